import re

import keras
import numpy as np
import pytest
from keras import ops

from kerazoo.data import tokenizers
from kerazoo.data.text import Text
from kerazoo.errors import InputError
from kerazoo.models import baum_welch, families, hmm
from kerazoo.models.attention import CausalAttention, rotate
from kerazoo.models.configs import (
    GPTConfig,
    HMMConfig,
    LlamaConfig,
    RNNConfig,
    RNNSeq2SeqConfig,
    TransformerConfig,
)
from kerazoo.models.heads import TokenHead
from kerazoo.models.inspection import (
    attention_weights,
    cross_attention_weights,
    decoder_attention_weights,
    encoder_attention_weights,
    gate_activations,
    likely_tokens,
    state_path,
)

V, T = 11, 9
SMALL = {"vocab_size": V, "context_length": T, "num_layers": 3, "num_heads": 4, "width": 16}
TRANSFORMERS = {
    "gpt": GPTConfig(**SMALL),
    "gpt modern": GPTConfig(**SMALL, positions="rotary", norm="rms", qk_norm=True),
    "llama": LlamaConfig(**SMALL, num_kv_heads=2, rope_theta=100.0),
}
TOKEN_IDS = np.random.default_rng(0).integers(0, V, (2, T)).astype("int32")
INPUTS = {
    "source_ids": np.random.default_rng(1).integers(0, V, (2, 7)).astype("int32"),
    "source_mask": np.arange(7) < np.array([[7], [4]]),
    "token_ids": TOKEN_IDS,
}


def make(config):
    keras.utils.set_random_seed(0)
    model = families.build(config)
    for weight in model.trainable_weights:  # far from the small weights of the beginning
        weight.assign_add(0.5 * keras.random.normal(weight.shape, seed=1))
    return model


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.fixture(params=TRANSFORMERS)
def transformer(request):
    return make(TRANSFORMERS[request.param])


def test_attention_weights_sum_to_one_and_look_at_nothing_ahead(transformer):
    weights = attention_weights(transformer, TOKEN_IDS)
    assert weights.shape == (3, 2, 4, T, T)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-6)
    assert (weights[..., ~np.tri(T, dtype=bool)] == 0).all()


def test_attention_weights_are_those_of_the_formula_in_every_block(transformer):
    config, x = transformer.config, transformer.embed(TOKEN_IDS)
    for block, found in zip(
        transformer.blocks, attention_weights(transformer, TOKEN_IDS), strict=True
    ):
        normal, layer = block.attention_norm(x), block.attention
        query, key = (
            np.reshape(dense(normal), (2, T, -1, 4)) for dense in (layer.query, layer.key)
        )
        if layer.qk_norm:
            query, key = layer.query_norm(query), layer.key_norm(key)
        if layer.rotary:
            query, key = (rotate(x, np.arange(T), layer.rope_theta) for x in (query, key))
        query, key = np.asarray(query), np.asarray(key)
        for head in range(config.num_heads):
            shared = head * key.shape[2] // config.num_heads
            scores = query[:, :, head] @ key[:, :, shared].transpose(0, 2, 1) / np.sqrt(4)
            allowed = np.exp(scores) * np.tri(T)
            expected = allowed / allowed.sum(axis=-1, keepdims=True)
            np.testing.assert_allclose(found[:, head], expected, atol=1e-5)
        x, _ = block(x)
    np.testing.assert_allclose(
        transformer.final_norm(x), transformer.hidden_states(TOKEN_IDS)[0], atol=1e-6
    )


def test_values_averaged_by_the_weights_are_what_the_model_attends_to(transformer):
    x = transformer.embed(TOKEN_IDS)
    for block, weights in zip(
        transformer.blocks, attention_weights(transformer, TOKEN_IDS), strict=True
    ):
        normal, layer = block.attention_norm(x), block.attention
        value = np.reshape(layer.value(normal), (2, T, -1, 4))
        value = value.repeat(4 // value.shape[2], axis=2)
        mixed = np.einsum("bhts,bshk->bthk", weights, value).reshape(2, T, 16)
        np.testing.assert_allclose(layer.output_dense(mixed), layer(normal)[0], atol=1e-4)
        x, _ = block(x)


@pytest.mark.parametrize("from_equations", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru", "simple"])
def test_the_states_are_those_of_the_model_itself(cell, from_equations):
    model = make(
        RNNConfig(vocab_size=V, cell=cell, width=8, num_layers=2, from_equations=from_equations)
    )
    gates = gate_activations(model, TOKEN_IDS)
    assert all(values.shape == (2, 2, T, 8) for values in gates.values())
    assert all(values.dtype == np.float32 for values in gates.values())
    hidden_states, cache = model.hidden_states(TOKEN_IDS, model.initial_cache(2, T))
    np.testing.assert_allclose(gates["h"][-1], hidden_states, atol=1e-5)
    for n, states in enumerate(cache):
        for name, state in zip(("h", "c"), states, strict=False):
            np.testing.assert_allclose(gates[name][n, :, -1], state, atol=1e-5)


def test_the_gates_of_an_lstm_are_those_of_its_equations():
    model = make(RNNConfig(vocab_size=V, width=8, num_layers=2))
    gates = gate_activations(model, TOKEN_IDS)
    below = [ops.convert_to_numpy(model.token_embedding(TOKEN_IDS)), gates["h"][0]]
    for n, layer in enumerate(model.recurrent_layers):
        kernel, recurrent, bias = layer.get_weights()
        before = {name: np.pad(gates[name][n], ((0, 0), (1, 0), (0, 0)))[:, :-1] for name in "hc"}
        i, f, candidate, o = np.split(below[n] @ kernel + before["h"] @ recurrent + bias, 4, axis=2)
        np.testing.assert_allclose(gates["i"][n], sigmoid(i), atol=1e-5)
        np.testing.assert_allclose(gates["f"][n], sigmoid(f), atol=1e-5)
        np.testing.assert_allclose(gates["o"][n], sigmoid(o), atol=1e-5)
        np.testing.assert_allclose(gates["candidate"][n], np.tanh(candidate), atol=1e-5)
        c = gates["f"][n] * before["c"] + gates["i"][n] * gates["candidate"][n]
        np.testing.assert_allclose(gates["c"][n], c, atol=1e-5)
        np.testing.assert_allclose(gates["h"][n], gates["o"][n] * np.tanh(c), atol=1e-5)


def test_the_gates_of_a_gru_are_those_of_its_equations():
    model = make(RNNConfig(vocab_size=V, cell="gru", width=8))
    gates = {name: values[0] for name, values in gate_activations(model, TOKEN_IDS).items()}
    assert set(gates) == {"z", "r", "candidate", "h"}
    kernel, recurrent, bias = model.recurrent_layers[0].get_weights()
    before = np.pad(gates["h"], ((0, 0), (1, 0), (0, 0)))[:, :-1]
    x = ops.convert_to_numpy(model.token_embedding(TOKEN_IDS)) @ kernel + bias[0]
    h = before @ recurrent + bias[1]
    (x_z, x_r, x_c), (h_z, h_r, h_c) = (np.split(part, 3, axis=2) for part in (x, h))
    np.testing.assert_allclose(gates["z"], sigmoid(x_z + h_z), atol=1e-5)
    np.testing.assert_allclose(gates["r"], sigmoid(x_r + h_r), atol=1e-5)
    np.testing.assert_allclose(gates["candidate"], np.tanh(x_c + gates["r"] * h_c), atol=1e-5)
    mixed = gates["z"] * before + (1 - gates["z"]) * gates["candidate"]
    np.testing.assert_allclose(gates["h"], mixed, atol=1e-5)


@pytest.mark.parametrize("positions", ["sinusoidal", "rotary"])
@pytest.mark.parametrize("norm_first", [False, True])
def test_values_averaged_by_the_weights_are_what_the_decoder_attends_to(
    norm_first, positions, monkeypatch
):
    options = {"norm_first": norm_first, "positions": positions, "qk_norm": positions == "rotary"}
    model = make(TransformerConfig(**SMALL, **options))
    weights = decoder_attention_weights(model, INPUTS)
    assert weights.shape == (3, 2, 4, T, T)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-6)
    assert (weights[..., ~np.tri(T, dtype=bool)] == 0).all()
    seen, call = [], CausalAttention.call  # what goes in and out of it when the model is called

    def recorded(layer, x, **options):
        attended, cache = call(layer, x, **options)
        seen.append((layer, x, attended))
        return attended, cache

    monkeypatch.setattr(CausalAttention, "call", recorded)
    model(INPUTS)
    for found, (layer, x, attended) in zip(weights, seen, strict=True):
        value = np.reshape(layer.value(x), (2, T, 4, 4))
        mixed = np.einsum("bhts,bshk->bthk", found, value).reshape(2, T, 16)
        np.testing.assert_allclose(layer.output_dense(mixed), attended, atol=1e-4)


def test_the_decoder_looks_at_its_text_in_the_light_of_the_source():
    model = make(TransformerConfig(**SMALL))
    weights = decoder_attention_weights(model, INPUTS)
    padding = np.where(INPUTS["source_mask"], INPUTS["source_ids"], 0)
    np.testing.assert_array_equal(
        weights, decoder_attention_weights(model, {**INPUTS, "source_ids": padding})
    )
    other = (INPUTS["source_ids"] + 1) % V
    changed = decoder_attention_weights(model, {**INPUTS, "source_ids": other})
    np.testing.assert_array_equal(weights[0], changed[0])  # the first has not yet seen the source
    assert not np.allclose(weights[1], changed[1], atol=1e-2)


def test_a_state_path_is_that_of_the_text():
    # Each state says one token and goes to any.
    model = make(HMMConfig(vocab_size=V, num_states=V))
    model.set_parameters(hmm.Parameters(np.full(V, 1 / V), np.full((V, V), 1 / V), np.eye(V)))
    for by in ("viterbi", "posterior"):
        path = state_path(model, TOKEN_IDS, by=by)
        assert isinstance(path, np.ndarray)
        assert path.dtype == np.int32
        np.testing.assert_array_equal(path, TOKEN_IDS)
    with pytest.raises(InputError, match="by is 'best'; give 'viterbi' or 'posterior'"):
        state_path(model, TOKEN_IDS, by="best")


@pytest.mark.parametrize("by", ["viterbi", "posterior"])
def test_the_state_path_of_a_shorter_text_is_that_without_its_padding(by):
    model = make(HMMConfig(vocab_size=V, num_states=5))
    mask = np.arange(TOKEN_IDS.shape[1]) < np.array([[3]] + [[4]] * (len(TOKEN_IDS) - 1))
    path = state_path(model, TOKEN_IDS, mask, by)
    np.testing.assert_array_equal(path[:1, :3], state_path(model, TOKEN_IDS[:1, :3], by=by))


def test_the_tokens_that_a_state_likes_are_texts(small_text):
    tokenizer = tokenizers.train("word", Text.of(small_text), vocab_size=300)
    model = make(HMMConfig(vocab_size=tokenizer.vocab_size, num_states=2))
    emissions = np.zeros((2, tokenizer.vocab_size))
    emissions[0, tokenizer.encode(" king dog")] = 0.6, 0.4
    emissions[1, tokenizer.encode(" likes sees")] = 0.3, 0.7
    model.set_parameters(hmm.Parameters(np.full(2, 0.5), np.full((2, 2), 0.5), emissions))
    assert likely_tokens(model, tokenizer, 2) == [[" king", " dog"], [" sees", " likes"]]
    assert [len(tokens) for tokens in likely_tokens(model, tokenizer, 999)] == [
        tokenizer.vocab_size
    ] * 2


# === Models without what is asked for ===


GPT, RNN, SEQ2SEQ = TRANSFORMERS["gpt"], RNNConfig(vocab_size=V), RNNSeq2SeqConfig(vocab_size=V)
OF_AN_HMM = {
    "forward": lambda model: hmm.forward(model, TOKEN_IDS),
    "backward": lambda model: hmm.backward(model, TOKEN_IDS, None),
    "posteriors": lambda model: hmm.posteriors(model, TOKEN_IDS),
    "viterbi": lambda model: hmm.viterbi(model, TOKEN_IDS),
    "expected_counts": lambda model: baum_welch.expected_counts(model, TOKEN_IDS),
    "baum_welch": lambda model: baum_welch.baum_welch(model, TOKEN_IDS, 1),
    "state_path": lambda model: state_path(model, TOKEN_IDS),
    "likely_tokens": lambda model: likely_tokens(model, None),
}


@pytest.mark.parametrize(
    ("ask", "config", "message"),
    [
        (
            lambda model: attention_weights(model, TOKEN_IDS),
            SEQ2SEQ,
            "RNNSeq2Seq has no attention of this kind; GPT, Llama and BERT have",
        ),
        (
            lambda model: cross_attention_weights(model, INPUTS),
            GPT,
            "GPT has no attention to a source; Transformer and RNNSeq2Seq have; give such a model.",
        ),
        (
            lambda model: encoder_attention_weights(model, INPUTS["source_ids"]),
            SEQ2SEQ,
            "RNNSeq2Seq has no attention within a source; Transformer has; give such a model.",
        ),
        (
            lambda model: decoder_attention_weights(model, INPUTS),
            SEQ2SEQ,
            "RNNSeq2Seq has no attention of a decoder to its own text; Transformer has; give such",
        ),
        (
            lambda model: gate_activations(model, TOKEN_IDS),
            GPT,
            "GPT has no gates that can be shown; RNN has, of LSTM, GRU or plain cells; give such a",
        ),
        *(
            (ask, RNN, "RNN has no states of a Markov chain; HMM has; give such a model.")
            for ask in OF_AN_HMM.values()
        ),
    ],
    ids=["attention", "cross", "encoder", "decoder", "gates", *OF_AN_HMM],
)
def test_a_model_without_what_is_asked_for_is_told_which_have_it(ask, config, message):
    with pytest.raises(InputError, match=re.escape(message)):
        ask(families.build(config))


def test_of_a_model_with_a_head_the_backbone_is_to_be_given():
    model = TokenHead(families.build(RNN), num_outputs=3)
    with pytest.raises(InputError, match="TokenHead has no gates .*; give model.backbone."):
        gate_activations(model, TOKEN_IDS)
    assert gate_activations(model.backbone, TOKEN_IDS)["h"].shape[1:3] == TOKEN_IDS.shape
