"""The models against independent implementations: the same weights give the same numbers."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from kerazoo import recipes
from kerazoo.models.configs import GPTConfig, RNNConfig
from kerazoo.models.gpt import GPT
from kerazoo.models.rnn import RNN, CarriedState
from kerazoo.tasks.losses import CrossEntropy
from kerazoo.training.optimizers import make_optimizer, make_schedule

TOKEN_IDS = np.random.default_rng(0).integers(0, 50, (3, 16)).astype("int32")


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="needs the parity extra: pip install -e .[parity]")


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


@pytest.mark.parity
def test_gpt_equals_gpt2_of_hugging_face(torch):
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
        expected = theirs(torch.tensor(TOKEN_IDS).long(), output_hidden_states=True)
    np.testing.assert_allclose(ours(TOKEN_IDS), expected.logits.numpy(), atol=1e-4)
    np.testing.assert_allclose(
        ours.hidden_states(TOKEN_IDS)[0], expected.hidden_states[-1].numpy(), atol=1e-4
    )


def copy_gpt2_backbone(theirs, ours):
    """Copy weights of keras-nlp's GPT-2, whose projections keep the heads apart: (D, H, K)."""
    width = ours.config.width

    def copy(source, target, *shapes):
        weights = [np.asarray(weight) for weight in source.weights]
        target.set_weights([w.reshape(s) for w, s in zip(weights, shapes, strict=True)])

    square, row = (width, width), (width,)
    ours.token_embedding.set_weights(theirs.token_embedding.get_weights())
    ours.position_embedding.set_weights(theirs.position_embedding.get_weights())
    ours.final_norm.set_weights(theirs.layer_norm.get_weights())
    for block, layer in zip(ours.blocks, theirs.transformer_layers, strict=True):
        block.attention_norm.set_weights(layer._self_attention_layer_norm.get_weights())
        block.feed_forward_norm.set_weights(layer._feedforward_layer_norm.get_weights())
        block.feed_forward.inner.set_weights(layer._feedforward_intermediate_dense.get_weights())
        block.feed_forward.output_dense.set_weights(layer._feedforward_output_dense.get_weights())
        heads = layer._self_attention_layer
        copy(heads._query_dense, block.attention.query, square, row)
        copy(heads._key_dense, block.attention.key, square, row)
        copy(heads._value_dense, block.attention.value, square, row)
        copy(heads._output_dense, block.attention.output_dense, square, row)


def test_gpt_equals_gpt2_of_keras_nlp():
    from keras_nlp.models import GPT2Backbone

    theirs = GPT2Backbone(
        vocabulary_size=50,
        num_layers=3,
        num_heads=4,
        hidden_dim=32,
        intermediate_dim=128,
        max_sequence_length=16,
    )
    rng = np.random.default_rng(0)
    theirs.set_weights([rng.normal(scale=0.3, size=w.shape) for w in theirs.weights])
    ours = GPT(GPTConfig(vocab_size=50, context_length=16, num_layers=3, num_heads=4, width=32))
    copy_gpt2_backbone(theirs, ours)
    assert ours.count_params() == theirs.count_params()
    for length in (1, 5, 16):
        token_ids = TOKEN_IDS[:, :length]
        expected = theirs({"token_ids": token_ids, "padding_mask": np.ones_like(token_ids)})
        np.testing.assert_allclose(ours.hidden_states(token_ids)[0], expected, atol=1e-4)


@pytest.mark.parity
@pytest.mark.parametrize("cell", ["lstm", "gru", "simple"])
def test_rnn_equals_torch(cell, torch):
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
    expected, _ = theirs(torch.tensor(embedded))
    np.testing.assert_allclose(
        ours.hidden_states(TOKEN_IDS)[0], expected.detach().numpy(), atol=1e-5
    )


@pytest.mark.parity
@pytest.mark.parametrize(("initial_scale", "is_clipped"), [(0.5, False), (3.0, True)])
def test_training_by_the_recipe_of_zaremba_equals_that_in_torch(initial_scale, is_clipped, torch):
    # As the paper has it: losses added up over the window, learning rate 1, gradients of at most 5,
    # half the rate in each epoch after the fourth. Here an epoch is a single window.
    keras.utils.set_random_seed(0)
    recipe = recipes.find("lstm-ptb-small")
    config = replace(recipe.model, vocab_size=500, width=8, initial_scale=initial_scale)
    batch, length, steps = recipe.train.batch_size, config.context_length, 7
    text = np.random.default_rng(0).integers(0, 500, (batch, length * (steps + 1)))

    ours = RNN(config)
    learner = CarriedState(ours, batch)
    schedule = make_schedule(recipe.train, steps, steps_per_epoch=1)
    optimizer = make_optimizer(recipe.train, schedule, ours.trainable_variables)
    learner.compile(optimizer, loss=CrossEntropy(), jit_compile=False)

    embedding = torch.nn.Embedding(500, 8)
    lstm = torch.nn.LSTM(8, 8, num_layers=2, batch_first=True)
    output = torch.nn.Linear(8, 500)
    table, back = ours.token_embedding.get_weights()
    pairs = [(embedding.weight, table), (output.weight, back.T), (output.bias, ours.output_bias)]
    for n, layer in enumerate(ours.recurrent_layers):
        kernel, recurrent, bias = layer.get_weights()
        pairs += [
            (getattr(lstm, f"weight_ih_l{n}"), kernel.T),
            (getattr(lstm, f"weight_hh_l{n}"), recurrent.T),
            (getattr(lstm, f"bias_ih_l{n}"), bias),
        ]
        torch.nn.init.zeros_(getattr(lstm, f"bias_hh_l{n}"))  # torch has two; one does not learn
    weights = [weight for weight, _ in pairs]
    for weight, value in pairs:
        weight.data = torch.tensor(np.asarray(value))

    state, norms = None, []
    for step in range(steps):
        window = text[:, step * length : (step + 1) * length + 1]
        states, state = lstm(embedding(torch.tensor(window[:, :-1])), state)
        state = tuple(part.detach() for part in state)
        targets = torch.tensor(window[:, 1:]).ravel()
        loss = torch.nn.functional.cross_entropy(
            output(states).flatten(0, 1), targets, reduction="sum"
        )
        gradients = torch.autograd.grad(loss / batch, weights)
        norms.append(float(torch.sqrt(sum((gradient**2).sum() for gradient in gradients))))
        rate = 0.5 ** max(0, step + 1 - 4)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.data -= rate * min(1, 5 / norms[-1]) * gradient
        inputs = {"token_ids": window[:, :-1], "goes_on": np.full(batch, step > 0)}
        found = learner.train_on_batch(inputs, window[:, 1:])
        assert float(found) == pytest.approx(loss.item() / (batch * length), rel=1e-5)

    assert (max(norms) > 5) == is_clipped
    for ours_after, theirs_after in (
        (ours.token_embedding.get_weights()[0], embedding.weight),
        (ours.recurrent_layers[0].get_weights()[1].T, lstm.weight_hh_l0),
        (ours.recurrent_layers[1].get_weights()[0].T, lstm.weight_ih_l1),
        (ours.output_bias, output.bias),
    ):
        np.testing.assert_allclose(ours_after, theirs_after.detach().numpy(), rtol=1e-4, atol=5e-5)
