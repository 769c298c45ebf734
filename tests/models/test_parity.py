"""The models against independent implementations: the same weights give the same numbers."""

import keras
import numpy as np
import pytest

from kerazoo.models.configs import GPTConfig, RNNConfig
from kerazoo.models.gpt import GPT
from kerazoo.models.rnn import RNN

torch = pytest.importorskip("torch", reason="needs the parity extra: pip install -e .[parity]")
pytestmark = pytest.mark.parity
TOKEN_IDS = np.random.default_rng(0).integers(0, 50, (3, 16)).astype("int32")


def as_torch(array):
    return torch.tensor(np.asarray(array))


def copy_gpt2_weights(theirs, ours):
    """Copy weights of Hugging Face's GPT-2, whose linear layers are (in, out) as in Keras."""
    source = {name: value.numpy() for name, value in theirs.state_dict().items()}

    def set_norm(layer, name):
        layer.set_weights([source[f"{name}.weight"], source[f"{name}.bias"]])

    def set_dense(layer, name):
        layer.set_weights([source[f"{name}.weight"], source[f"{name}.bias"]])

    ours.token_embedding.set_weights([source["transformer.wte.weight"]])
    ours.position_embedding.set_weights([source["transformer.wpe.weight"]])
    set_norm(ours.final_norm, "transformer.ln_f")
    for n, block in enumerate(ours.blocks):
        name = f"transformer.h.{n}"
        set_norm(block.attention_norm, f"{name}.ln_1")
        set_norm(block.feed_forward_norm, f"{name}.ln_2")
        kernels = np.split(source[f"{name}.attn.c_attn.weight"], 3, axis=1)
        biases = np.split(source[f"{name}.attn.c_attn.bias"], 3)
        attention = block.attention
        for layer, kernel, bias in zip(
            (attention.query, attention.key, attention.value), kernels, biases, strict=True
        ):
            layer.set_weights([kernel, bias])
        set_dense(attention.output_dense, f"{name}.attn.c_proj")
        set_dense(block.feed_forward.inner, f"{name}.mlp.c_fc")
        set_dense(block.feed_forward.output_dense, f"{name}.mlp.c_proj")


def test_gpt_equals_gpt2_of_hugging_face():
    transformers = pytest.importorskip("transformers", reason="needs the parity extra")
    torch.manual_seed(0)
    theirs = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(
            vocab_size=50, n_positions=16, n_embd=32, n_layer=3, n_head=4, initializer_range=0.2
        )
    ).eval()
    ours = GPT(GPTConfig(vocab_size=50, context_length=16, num_layers=3, num_heads=4, width=32))
    copy_gpt2_weights(theirs, ours)
    with torch.no_grad():
        expected = theirs(as_torch(TOKEN_IDS).long(), output_hidden_states=True)
    np.testing.assert_allclose(ours(TOKEN_IDS), expected.logits.numpy(), atol=1e-4)
    np.testing.assert_allclose(
        ours.hidden_states(TOKEN_IDS)[0], expected.hidden_states[-1].numpy(), atol=1e-4
    )


@pytest.mark.parametrize("cell", ["lstm", "gru", "simple"])
def test_rnn_equals_torch(cell):
    torch.manual_seed(0)
    layer = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "simple": torch.nn.RNN}[cell]
    theirs = layer(8, 8, num_layers=2, batch_first=True)
    ours = RNN(RNNConfig(vocab_size=50, cell=cell, width=8, num_layers=2))
    gates = {"lstm": [0, 1, 2, 3], "gru": [1, 0, 2], "simple": [0]}[cell]  # torch's order in ours

    def reordered(weight):
        return np.concatenate([np.split(weight.detach().numpy(), len(gates))[g] for g in gates])

    for n, layer in enumerate(ours.recurrent_layers):
        kernel, recurrent, bias, recurrent_bias = (
            reordered(getattr(theirs, f"{name}_l{n}"))
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        both = np.stack([bias, recurrent_bias]) if cell == "gru" else bias + recurrent_bias
        layer.set_weights([kernel.T, recurrent.T, both])
    embedded = keras.ops.convert_to_numpy(ours.token_embedding(TOKEN_IDS))
    expected, _ = theirs(as_torch(embedded))
    np.testing.assert_allclose(
        ours.hidden_states(TOKEN_IDS)[0], expected.detach().numpy(), atol=1e-5
    )
