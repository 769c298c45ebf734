"""Recurrent layers in both directions: the numbers of Keras and PyTorch, and an encoder of them."""

import keras
import numpy as np
import pytest
from keras import ops

from kerazoo.models import families
from kerazoo.models.bidirectional import BidirectionalRNN
from kerazoo.models.configs import RNNEncoderConfig
from kerazoo.models.recurrence import CELLS, KERAS_LAYERS

B, T, D = 3, 6, 8
LENGTHS = np.array([6, 4, 1])
IS_TOKEN = np.arange(T) < LENGTHS[:, None]
CONFIGS = {
    cell: RNNEncoderConfig(vocab_size=11, context_length=T, num_layers=2, width=D, cell=cell)
    for cell in ("lstm", "gru")
}
every_cell = pytest.mark.parametrize("cell", CONFIGS)


def normal(*shape, seed):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def randomised(layer):
    layer.set_weights([normal(*w.shape, seed=n) / 2 for n, w in enumerate(layer.weights)])
    return layer


def two_layers(cell):
    layers = BidirectionalRNN(cell, D, num_layers=2)
    layers.build((None, None, D))
    return randomised(layers)


@every_cell
def test_states_equal_those_of_bidirectional_of_keras(cell):
    ours, x = two_layers(cell), normal(B, T, D, seed=100)
    found, last = ours(x, IS_TOKEN)
    for n in range(2):
        theirs = keras.layers.Bidirectional(
            KERAS_LAYERS[cell](D // 2, return_sequences=True, return_state=True)
        )
        theirs.build((None, None, D))
        for layer, name in ((ours.forward_layers, "forward"), (ours.backward_layers, "backward")):
            getattr(theirs, f"{name}_layer").set_weights(layer[n].get_weights())
        x, *states = theirs(x, mask=IS_TOKEN)
        number = CELLS[cell].num_states
        both = zip(states[:number], states[number:], strict=True)
        for expected, state in zip(both, last[n], strict=True):
            np.testing.assert_allclose(state, ops.concatenate(expected, axis=-1), atol=1e-5)
    for row, expected, length in zip(found, x, LENGTHS, strict=True):
        np.testing.assert_allclose(row[:length], expected[:length], atol=1e-5)


@pytest.mark.parity
def test_states_equal_those_of_an_lstm_of_pytorch_on_packed_sequences():
    torch = pytest.importorskip("torch", reason="needs the parity extra: pip install -e .[parity]")
    ours, x = two_layers("lstm"), normal(B, T, D, seed=100)
    theirs = torch.nn.LSTM(D, D // 2, num_layers=2, bidirectional=True, batch_first=True)
    named = dict(theirs.named_parameters())
    with torch.no_grad():
        for layers, suffix in ((ours.forward_layers, ""), (ours.backward_layers, "_reverse")):
            for n, layer in enumerate(layers):
                kernel, recurrent, bias = map(torch.tensor, layer.get_weights())
                named[f"weight_ih_l{n}{suffix}"].copy_(kernel.T)
                named[f"weight_hh_l{n}{suffix}"].copy_(recurrent.T)
                named[f"bias_ih_l{n}{suffix}"].copy_(bias)
                named[f"bias_hh_l{n}{suffix}"].zero_()
        packed = torch.nn.utils.rnn.pack_padded_sequence(
            torch.tensor(x), torch.tensor(LENGTHS), batch_first=True
        )
        packed, (h, c) = theirs(packed)
        expected, _ = torch.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    found, last = ours(x, IS_TOKEN)
    for row, expected_row, length in zip(found, expected, LENGTHS, strict=True):
        np.testing.assert_allclose(row[:length], expected_row[:length].numpy(), atol=1e-5)
    for n in range(2):  # h, c: (layers and directions, B, D/2)
        for state, expected_state in zip(last[n], (h, c), strict=True):
            both = np.concatenate(expected_state[2 * n : 2 * n + 2].numpy(), axis=-1)
            np.testing.assert_allclose(state, both, atol=1e-5)


def some_ids():
    return np.random.default_rng(0).integers(0, 11, (B, T)).astype("int32")


@pytest.fixture(scope="module", params=CONFIGS)
def encoder(request):
    """A model that no test changes."""
    return randomised(families.build(CONFIGS[request.param]))


def test_padding_changes_nothing(encoder):
    padded = encoder.read(some_ids(), IS_TOKEN)
    filled_otherwise = encoder.read(np.where(IS_TOKEN, some_ids(), 7), IS_TOKEN)
    for n, length in enumerate(LENGTHS):
        alone = encoder.read(some_ids()[n : n + 1, :length])
        np.testing.assert_allclose(padded[n, :length], alone[0], atol=1e-5)
        np.testing.assert_allclose(filled_otherwise[n, :length], alone[0], atol=1e-5)


def test_a_state_knows_the_tokens_on_both_sides(encoder):
    before = ops.convert_to_numpy(encoder(some_ids()))
    for t in (0, T - 1):
        changed = some_ids()
        changed[:, t] = (changed[:, t] + 1) % 11
        difference = np.abs(ops.convert_to_numpy(encoder(changed)) - before).max(axis=(0, 2))
        assert (difference > 0).all()


def test_a_saved_encoder_gives_the_same_states(encoder, tmp_path):
    encoder.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    assert again.config == encoder.config
    np.testing.assert_array_equal(
        again.read(some_ids(), IS_TOKEN), encoder.read(some_ids(), IS_TOKEN)
    )


def test_the_parts_have_all_weights_once(encoder):
    weights = [id(w) for part in encoder.parts() for layer in part for w in layer.weights]
    assert sorted(weights) == sorted(map(id, encoder.weights))
    assert len(encoder.parts()) == 1 + encoder.config.num_layers
    assert not encoder.output_variables


def test_an_encoder_without_a_vocabulary_is_refused():
    with pytest.raises(ValueError, match="vocab_size is 0"):
        families.build(RNNEncoderConfig())
