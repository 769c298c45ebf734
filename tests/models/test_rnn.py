import keras
import numpy as np
import pytest

from kerazoo import recipes
from kerazoo.models.configs import RNNConfig
from kerazoo.models.rnn import EQUATION_CELLS, KERAS_LAYERS, RNN, CarriedState
from kerazoo.tasks.losses import CrossEntropy
from kerazoo.training.optimizers import make_schedule


@pytest.mark.parametrize("cell", EQUATION_CELLS)
def test_a_cell_from_its_equations_equals_that_of_keras(cell):
    ours, theirs = EQUATION_CELLS[cell](7), KERAS_LAYERS[cell](7).cell
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


@pytest.mark.parametrize("cell", EQUATION_CELLS)
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


@pytest.mark.parametrize("from_equations", [False, True])
@pytest.mark.parametrize("cell", EQUATION_CELLS)
def test_all_weights_begin_between_minus_and_plus_the_scale(cell, from_equations):
    keras.utils.set_random_seed(0)
    model = RNN(
        RNNConfig(
            vocab_size=50,
            cell=cell,
            width=16,
            num_layers=2,
            output_bias=True,
            initial_scale=0.1,
            from_equations=from_equations,
        )
    )
    assert len(model.weights) == 2 + 1 + 2 * 3
    for weight in model.weights:
        assert 0.08 < np.abs(weight).max() <= 0.1, weight.path
        assert np.abs(np.mean(weight)) < 0.04, weight.path


def test_the_output_bias_is_added_to_the_logits():
    config = {"vocab_size": 11, "width": 8}
    with_bias, without = RNN(RNNConfig(**config, output_bias=True)), RNN(RNNConfig(**config))
    bias = np.arange(11, dtype="float32")
    with_bias.set_weights([bias, *without.get_weights()])
    token_ids = np.arange(6)[None]
    np.testing.assert_allclose(with_bias(token_ids), without(token_ids) + bias, rtol=1e-6)


# === Training on windows that follow one another ===


def windows_of(token_ids, length):
    for start in range(0, token_ids.shape[1] - length, length):
        yield token_ids[:, start : start + length], token_ids[:, start + 1 : start + length + 1]


@pytest.fixture
def learner():
    keras.utils.set_random_seed(0)
    return CarriedState(RNN(RNNConfig(vocab_size=11, width=8, num_layers=2)), batch_size=3)


TOKEN_IDS = np.random.default_rng(0).integers(0, 11, (3, 21)).astype("int32")
GOES_ON, BEGINS = np.ones(3, bool), np.zeros(3, bool)


def test_windows_with_a_carried_state_are_one_long_window(learner):
    found = [
        learner({"token_ids": token_ids, "goes_on": GOES_ON}, training=True)
        for token_ids, _ in windows_of(TOKEN_IDS, 5)
    ]
    whole = learner.model(TOKEN_IDS[:, :20])
    np.testing.assert_allclose(np.concatenate(found, axis=1), whole, atol=1e-6)


def test_a_row_that_begins_anew_forgets_what_was_before(learner):
    first, second = TOKEN_IDS[:, :5], TOKEN_IDS[:, 5:10]
    learner({"token_ids": first, "goes_on": BEGINS}, training=True)
    mixed = learner({"token_ids": second, "goes_on": np.array([True, False, True])}, training=True)
    np.testing.assert_allclose(mixed[1], learner.model(second)[1], atol=1e-6)
    expected = learner.model(TOKEN_IDS[:, :10])[:, 5:]
    np.testing.assert_allclose(mixed[0], expected[0], atol=1e-6)
    np.testing.assert_allclose(mixed[2], expected[2], atol=1e-6)


def test_outside_training_the_carried_state_stays(learner):
    learner({"token_ids": TOKEN_IDS, "goes_on": BEGINS}, training=True)
    before = [np.asarray(state).copy() for state in learner.states]
    learner({"token_ids": TOKEN_IDS, "goes_on": GOES_ON})
    for state, expected in zip(learner.states, before, strict=True):
        np.testing.assert_array_equal(state, expected)


def test_the_carried_state_is_saved_with_the_weights(learner, tmp_path):
    learner({"token_ids": TOKEN_IDS, "goes_on": BEGINS}, training=True)
    learner.save(tmp_path / "learner.keras")
    again = keras.saving.load_model(tmp_path / "learner.keras")
    following = {"token_ids": TOKEN_IDS, "goes_on": GOES_ON}
    assert np.abs(again.states[0]).max() > 0
    np.testing.assert_array_equal(again(following), learner(following))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_the_carried_state_is_kept_in_half_precision(policy):
    model = RNN(RNNConfig(vocab_size=11, width=8, dropout=0.1), dtype=policy)
    learner = CarriedState(model, batch_size=3)
    learner.compile("adam", loss=CrossEntropy(), jit_compile=False)
    for token_ids, next_token_ids in windows_of(TOKEN_IDS, 5):
        inputs = {"token_ids": token_ids, "goes_on": GOES_ON}
        assert np.isfinite(learner.train_on_batch(inputs, next_token_ids))
    assert {state.dtype for state in learner.states} == {model.compute_dtype}


# === As published ===


@pytest.mark.parametrize("cell", EQUATION_CELLS)
def test_dropout_is_between_layers_and_never_on_the_carried_state(cell, monkeypatch):
    # Zaremba et al. (2014): on what goes up a layer, not on what goes on to the next step.
    model = RNN(RNNConfig(vocab_size=11, cell=cell, width=8, num_layers=3, dropout=0.5))
    random = np.random.default_rng(0)
    begin = keras.tree.map_structure(
        lambda state: random.normal(size=state.shape).astype("float32"), model.initial_cache(3, 0)
    )
    calls = []

    def changed(x, training):
        calls.append((x, training))
        return -2 * x

    monkeypatch.setattr(model.dropout, "call", changed)
    hidden_states, end = model.hidden_states(TOKEN_IDS, begin, training=True)
    assert len(calls) == 3 + 1
    x = model.token_embedding(TOKEN_IDS)
    for n, layer in enumerate(model.recurrent_layers):
        np.testing.assert_allclose(calls[n][0], x, atol=1e-5)
        x, *states = layer(-2 * x, initial_state=list(begin[n]))
        for found, expected in zip(end[n], states, strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-5)
    np.testing.assert_allclose(calls[-1][0], x, atol=1e-5)
    np.testing.assert_allclose(hidden_states, -2 * x, atol=1e-5)
    assert all(training for _, training in calls)


@pytest.mark.parametrize(
    ("size", "width", "unrolled", "dropout", "scale", "longest", "factor", "constant", "epochs"),
    [
        ("small", 200, 20, 0.0, 0.1, 5, 2, 4, 13),
        ("medium", 650, 35, 0.5, 0.05, 5, 1.2, 6, 39),
        ("large", 1500, 35, 0.65, 0.04, 10, 1.15, 14, 55),
    ],
)
def test_the_recipes_of_zaremba_have_the_numbers_of_the_paper(
    size, width, unrolled, dropout, scale, longest, factor, constant, epochs
):
    # Section 4.1: two layers, batches of 20, learning rate 1 for some epochs, then divided by the
    # factor for each. There losses are added up over time, here averaged.
    recipe = recipes.find(f"lstm-ptb-{size}")
    model, train = recipe.model, recipe.train
    assert (model.cell, model.num_layers, model.width) == ("lstm", 2, width)
    assert (model.context_length, model.dropout, model.initial_scale) == (unrolled, dropout, scale)
    assert not model.tie_embeddings
    assert (train.optimizer, train.momentum, train.batch_size) == ("sgd", 0, 20)
    assert train.carry_state
    assert train.clip_norm * unrolled == pytest.approx(longest)
    assert train.learning_rate / unrolled == 1
    assert train.decay * factor == pytest.approx(1)
    assert (train.constant_epochs, train.epochs) == (constant, epochs)

    steps_per_epoch = 929_589 / (20 * unrolled)
    last = round(epochs * steps_per_epoch) - 1
    schedule = make_schedule(train, last + 1, steps_per_epoch)
    for step, falls in (
        (0, 0),
        (constant * steps_per_epoch - 1, 0),
        (constant * steps_per_epoch + 1, 1),
        (last, epochs - constant),
    ):
        assert float(schedule(int(step))) / unrolled == pytest.approx(factor**-falls, rel=1e-5)
