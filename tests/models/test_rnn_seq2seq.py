import keras
import numpy as np
import pytest

from kerazoo.models import families
from kerazoo.models.configs import RNNSeq2SeqConfig
from kerazoo.models.inspection import cross_attention_weights

V, S, T, D = 20, 7, 6, 8
LENGTHS = np.array([7, 4, 1])
INPUTS = {
    "source_ids": np.random.default_rng(0).integers(0, V, (3, S)).astype("int32"),
    "source_mask": np.arange(S) < LENGTHS[:, None],
    "token_ids": np.random.default_rng(1).integers(0, V, (3, T)).astype("int32"),
}


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="needs the parity extra: pip install -e .[parity]")


def make(**config):
    keras.utils.set_random_seed(0)
    model = families.build(RNNSeq2SeqConfig(vocab_size=V, width=D, **config))
    for weight in model.trainable_weights:  # far from the small and zero weights of the beginning
        weight.assign_add(0.5 * keras.random.normal(weight.shape, seed=1))
    return model


def arrays(nested):
    return keras.tree.map_structure(keras.ops.convert_to_numpy, nested)


def softmax(x):
    return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)


# === The encoder ===


@pytest.mark.parity
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_encoder_equals_that_of_torch(cell, torch):
    torch.manual_seed(0)
    layer = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[cell]
    theirs = layer(D, D // 2, num_layers=2, bidirectional=True, batch_first=True)
    ours = make(cell=cell, num_layers=2)
    gates = {"lstm": [0, 1, 2, 3], "gru": [1, 0, 2]}[cell]  # torch's order in ours

    def reordered(weight):
        return np.concatenate([np.split(weight.detach().numpy(), len(gates))[g] for g in gates])

    for suffix, layers in (
        ("", ours.encoder.forward_layers),
        ("_reverse", ours.encoder.backward_layers),
    ):
        for n, layer in enumerate(layers):
            kernel, recurrent, bias, recurrent_bias = (
                reordered(getattr(theirs, f"{name}_l{n}{suffix}"))
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            both = np.stack([bias, recurrent_bias]) if cell == "gru" else bias + recurrent_bias
            layer.set_weights([kernel.T, recurrent.T, both])

    embedded = keras.ops.convert_to_numpy(ours.token_embedding(INPUTS["source_ids"]))
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.tensor(embedded), torch.tensor(LENGTHS), batch_first=True
    )
    outputs, last = theirs(packed)
    outputs, _ = torch.nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)
    states, (_, values, is_token) = arrays(ours.encode(INPUTS["source_ids"], INPUTS["source_mask"]))
    np.testing.assert_array_equal(is_token, INPUTS["source_mask"])
    np.testing.assert_allclose(
        values * is_token[..., None], outputs.detach().numpy() * is_token[..., None], atol=1e-5
    )
    for number, part in enumerate(last if cell == "lstm" else [last]):  # (2 N, B, D/2) each
        for n in range(2):
            expected = np.concatenate(part.detach().numpy()[2 * n : 2 * n + 2], axis=-1)
            np.testing.assert_allclose(states[n][number], expected, atol=1e-5)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_keras_reads_the_source_as_the_recurrence_does(cell):
    model = make(cell=cell, num_layers=2, attention="additive")
    found = model(INPUTS)
    model.by_keras = True
    np.testing.assert_allclose(found, model(INPUTS), atol=1e-5)


# === Attention ===


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_multiplicative_attention_is_the_formulas_of_the_paper(cell):
    # Luong et al. (2015): a = softmax(s_t^T W_a h_s), c_t = sum a h_s, s~_t = tanh(W_c [c_t; s_t]).
    model = make(cell=cell, attention="multiplicative")
    initial, (_, values, _) = model.encode(INPUTS["source_ids"], INPUTS["source_mask"])
    layer = model.decoder_layers[0]
    states, *_ = layer(model.token_embedding(INPUTS["token_ids"]), initial_state=list(initial[0]))
    values, states = arrays((values, states))
    (key_kernel,), (output_kernel,) = (
        layer.get_weights() for layer in (model.key, model.output_dense)
    )
    weights = np.zeros((3, T, S))
    for row, length in enumerate(LENGTHS):
        scores = states[row] @ key_kernel.T @ values[row, :length].T  # (T, length)
        weights[row, :, :length] = softmax(scores)
    contexts = weights @ values
    expected = np.tanh(np.concatenate([contexts, states], axis=-1) @ output_kernel)
    hidden_states, _ = model.decode(
        INPUTS["token_ids"], model.encode(INPUTS["source_ids"], INPUTS["source_mask"])
    )
    np.testing.assert_allclose(hidden_states, expected, atol=1e-5)
    np.testing.assert_allclose(cross_attention_weights(model, INPUTS)[0, :, 0], weights, atol=1e-5)


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_additive_attention_is_the_formulas_of_the_paper(cell, num_layers):
    # Bahdanau et al. (2015): a = softmax(v^T tanh(W s_{t-1} + U h_j)), c_t = sum a h_j,
    # s_t = cell([x_t; c_t], s_{t-1}); a layer above reads s_t alone.
    model = make(cell=cell, attention="additive", num_layers=num_layers)
    memory = model.encode(INPUTS["source_ids"], INPUTS["source_mask"])
    initial, (_, values, _) = memory
    layer = model.decoder_layers[0]
    (key_kernel,), (query_kernel,), (score_kernel,), (output_kernel,) = (
        layer.get_weights() for layer in (model.key, model.query, model.score, model.output_dense)
    )
    x = keras.ops.convert_to_numpy(model.token_embedding(INPUTS["token_ids"]))
    values, state = arrays((values, list(initial[0])))
    weights, contexts, states = np.zeros((3, T, S)), np.zeros((3, T, D)), np.zeros((3, T, D))
    for t in range(T):
        for row, length in enumerate(LENGTHS):
            keys, query = values[row, :length] @ key_kernel, state[0][row] @ query_kernel
            weights[row, t, :length] = softmax((np.tanh(query + keys) @ score_kernel)[:, 0])
            contexts[row, t] = weights[row, t] @ values[row]
        _, state = layer.cell(np.concatenate([x[:, t], contexts[:, t]], axis=-1), state)
        state = arrays(state) if isinstance(state, list) else [arrays(state)]
        states[:, t] = state[0]
    for above, begin in zip(model.decoder_layers[1:], initial[1:], strict=True):
        states, *_ = above(states, initial_state=list(begin))
    expected = np.tanh(np.concatenate([contexts, states], axis=-1) @ output_kernel)
    np.testing.assert_allclose(model.decode(INPUTS["token_ids"], memory)[0], expected, atol=1e-5)
    np.testing.assert_allclose(cross_attention_weights(model, INPUTS)[0, :, 0], weights, atol=1e-5)


def test_without_attention_the_source_is_in_the_first_state_alone():
    model = make(attention="none")
    states, seen = model.encode(INPUTS["source_ids"], INPUTS["source_mask"])
    assert seen == ()
    other = keras.tree.map_structure(keras.ops.zeros_like, states)
    changed, _ = model.decode(INPUTS["token_ids"], (other, ()))
    same, _ = model.decode(INPUTS["token_ids"], (states, ()), cache=other)
    np.testing.assert_array_equal(changed, same)


def test_a_source_without_a_token_is_read_as_one_of_a_single_token():
    model, inputs = make(), {name: value[:1] for name, value in INPUTS.items()}
    empty, single = (model({**inputs, "source_mask": (np.arange(S) < n)[None]}) for n in (0, 1))
    np.testing.assert_array_equal(empty, single)
