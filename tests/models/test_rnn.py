import keras
import numpy as np
import pytest

from kerazoo.models.configs import RNNConfig
from kerazoo.models.rnn import CELLS, KERAS_LAYERS, RNN


@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_from_its_equations_equals_that_of_keras(cell):
    ours, theirs = CELLS[cell](7), KERAS_LAYERS[cell](7).cell
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 5)).astype("float32")
    states = [rng.normal(size=(3, 7)).astype("float32") for _ in ours.state_names]
    ours(x, states), theirs(x, states)
    weights = [rng.normal(size=weight.shape) for weight in theirs.weights]
    ours.set_weights(weights), theirs.set_weights(weights)
    for found, expected in zip(
        keras.tree.flatten(ours(x, states)), keras.tree.flatten(theirs(x, states)), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_a_model_from_equations_begins_with_the_weights_of_keras(cell):
    keras.utils.set_random_seed(0)
    config = {"vocab_size": 11, "cell": cell, "width": 8, "num_layers": 2}
    ours = RNN(RNNConfig(**config, from_equations=True))
    theirs = RNN(RNNConfig(**config))
    for found, expected in zip(ours.weights, theirs.weights, strict=True):
        assert found.shape == expected.shape
        if found.name == "bias":  # the forget gate's begins at one
            np.testing.assert_array_equal(found, expected)


def test_the_state_goes_on_without_end():
    model = RNN(RNNConfig(vocab_size=11, width=8, context_length=4))
    token_ids = np.random.default_rng(0).integers(0, 11, (1, 50)).astype("int32")
    cache = model.initial_cache(1, 0)
    for index in range(50):
        logits, cache = model.next(token_ids[:, index], cache, index)
    np.testing.assert_allclose(logits, model(token_ids)[:, -1], atol=1e-5)
