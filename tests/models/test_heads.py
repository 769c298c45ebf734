"""Heads on every kind of model that carries one; the numbers of Hugging Face: in test_bert."""

import warnings

import keras
import numpy as np
import pytest
from keras import ops

from kerazoo.models import families
from kerazoo.models.configs import BERTConfig, GPTConfig, LlamaConfig, RNNConfig, RNNEncoderConfig
from kerazoo.models.heads import SpanHead, TextHead, TokenHead
from kerazoo.training import finetuning
from kerazoo.training.config import TrainConfig

V, T, K = 11, 12, 3
SIZE = {"vocab_size": V, "context_length": T, "num_layers": 1, "width": 16}
BACKBONES = {
    "bert": BERTConfig(**SIZE, dropout=0.0),
    "gpt": GPTConfig(**SIZE, tie_embeddings=False, positions="rotary"),
    "llama": LlamaConfig(**SIZE, num_kv_heads=2),
    "rnn": RNNConfig(**SIZE, output_bias=True),
    "rnn encoder": RNNEncoderConfig(**SIZE),
    "gru encoder": RNNEncoderConfig(**SIZE, cell="gru"),
}
HEADS = {
    "first": lambda **options: TextHead("first", num_outputs=K, **options),
    "last": lambda **options: TextHead("last", num_outputs=K, **options),
    "mean": lambda **options: TextHead("mean", num_outputs=K, **options),
    "max": lambda **options: TextHead("max", num_outputs=K, **options),
    "tokens": lambda **options: TokenHead(num_outputs=K, **options),
    "span": lambda **options: SpanHead(**options),
}
PAIRS = [(backbone, "mean") for backbone in BACKBONES]
PAIRS += [("bert", head) for head in HEADS if head != "mean"]
every_pair = pytest.mark.parametrize(("backbone", "head"), PAIRS)
"""Every model with one head, and one model with every head."""
LENGTHS = np.array([12, 7, 1])


def make(backbone, head, dtype="float32"):
    keras.utils.set_random_seed(0)
    model = HEADS[head](backbone=families.build(BACKBONES[backbone], dtype), dtype=dtype)
    for weight in model.trainable_weights:  # far from the small and zero weights of the beginning
        weight.assign_add(0.2 * keras.random.normal(weight.shape, seed=1))
    return model


def some_inputs(lengths=LENGTHS, filling=0):
    token_ids = np.random.default_rng(0).integers(0, V, (len(lengths), T)).astype("int32")
    padding_mask = np.arange(T) < lengths[:, None]
    token_ids = np.where(padding_mask, token_ids, filling).astype("int32")
    return {"token_ids": token_ids, "padding_mask": padding_mask}


def alone(inputs, n):
    """One text of a batch, without its padding."""
    return {name: values[n : n + 1, : LENGTHS[n]] for name, values in inputs.items()}


@pytest.mark.parametrize(
    ("backbone", "head"), [*PAIRS, *(("rnn encoder", head) for head in HEADS if head != "mean")]
)
def test_padding_changes_nothing(backbone, head):
    model, inputs = make(backbone, head), some_inputs()
    padded = ops.convert_to_numpy(model(inputs))
    other_filling = ops.convert_to_numpy(model(some_inputs(filling=V - 1)))
    for n, length in enumerate(LENGTHS):
        expected = ops.convert_to_numpy(model(alone(inputs, n)))[0]
        for found in (padded[n], other_filling[n]):
            if head == "tokens":
                found = found[:length]
            if head == "span":
                found = found[:, :length]
            # A shorter sum may be added in another order, hence not bit by bit.
            np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_pooling_is_what_its_name_says():
    states = np.random.default_rng(0).normal(size=(3, T, 16)).astype("float32")
    mask = some_inputs()["padding_mask"]
    of_texts = [row[:length] for row, length in zip(states, LENGTHS, strict=True)]
    expected = {
        "first": [text[0] for text in of_texts],
        "last": [text[-1] for text in of_texts],
        "mean": [text.mean(axis=0) for text in of_texts],
        "max": [text.max(axis=0) for text in of_texts],
    }
    model = make("rnn", "mean")
    for model.pooling, vectors in expected.items():
        found = model.pool(states, mask)
        np.testing.assert_allclose(found, vectors, atol=1e-6)


def test_a_bert_pools_the_first_token_as_it_was_trained_to():
    model, inputs = make("bert", "first"), some_inputs()
    states = model.states(inputs)
    np.testing.assert_array_equal(
        model.pool(states, inputs["padding_mask"]), model.backbone.pooled(states)
    )


def test_a_bert_tells_the_two_texts_apart():
    model, inputs = make("bert", "mean"), some_inputs()
    segment_ids = (np.arange(T) >= 4).astype("int32") * np.ones((3, 1), "int32")
    one, other = model(inputs), model({**inputs, "segment_ids": segment_ids})
    assert not np.allclose(one, other, atol=1e-3)


def test_a_span_lies_where_it_may():
    model, inputs = make("rnn encoder", "span"), some_inputs()
    allowed = inputs["padding_mask"] & (np.arange(T) != 1)
    logits = ops.convert_to_numpy(model({**inputs, "may_be_answer": allowed}))
    shares = ops.convert_to_numpy(ops.softmax(logits, axis=-1))
    assert (shares[~np.repeat(allowed[:, None], 2, axis=1)] == 0).all()
    np.testing.assert_allclose(shares.sum(axis=-1), 1, atol=1e-6)
    everywhere = ops.convert_to_numpy(model(inputs))
    np.testing.assert_array_equal(logits[0, :, 2:], everywhere[0, :, 2:])


def targets_of(head):
    """Right answers, and what they weigh, for three texts."""
    if head == "tokens":
        return np.arange(3 * T).reshape(3, T) % K, some_inputs()["padding_mask"].astype("float32")
    if head == "span":
        return np.array([[3, 5], [2, 2], [0, 0]]), np.ones((3, 2), "float32")
    return np.array([2, 0, 1]), np.ones(3, "float32")


def compile_for_training(model, optimizer, **options):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss=loss, **options)


@pytest.mark.parametrize(
    ("backbone", "head", "policy"),
    [
        *((*pair, "mixed_float16") for pair in PAIRS),
        *(
            (backbone, "mean", policy)
            for backbone in ("bert", "rnn encoder")
            for policy in ("float32", "mixed_bfloat16")
        ),
    ],
)
def test_outputs_and_gradients_are_finite_float32_with_an_empty_text(backbone, head, policy):
    model, inputs = make(backbone, head, policy), some_inputs(np.array([12, 7, 0]))
    outputs = model(inputs)
    assert keras.backend.standardize_dtype(outputs.dtype) == "float32"
    assert np.isfinite(outputs).all()
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    compile_for_training(model, "sgd", run_eagerly=True)  # a step needs no graph
    right, weights = targets_of(head)
    assert np.isfinite(model.train_on_batch(inputs, right, sample_weight=weights))
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


@every_pair
def test_every_weight_but_the_idle_ones_is_trained_and_has_a_gradient(backbone, head):
    model = make(backbone, head)
    compile_for_training(model, keras.optimizers.SGD(1.0), run_eagerly=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # such as "gradients do not exist for variables"
        right, weights = targets_of(head)
        model.fit(some_inputs(), right, sample_weight=weights, verbose=0)
    idle = {id(weight) for weight in model.backbone.output_variables}
    if (backbone, head) == ("bert", "first"):
        idle -= {id(weight) for weight in model.backbone.pooler.weights}
    assert {id(weight) for weight in model.backbone.weights if not weight.trainable} == idle
    assert bool(idle) == (backbone in ("bert", "gpt", "llama", "rnn"))


@pytest.mark.parametrize("head", ["first", "tokens"])
def test_lora_is_for_layers_that_a_head_makes_use_of(head):
    model = make("bert", head)
    finetuning.prepare(model, TrainConfig(steps=1, lora_rank=2))
    compile_for_training(model, "sgd", run_eagerly=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(some_inputs(), targets_of(head)[0], verbose=0)
    used = {w.path.split("/")[-2] for w in model.trainable_weights if "lora" in w.name}
    assert ("pooler" in used) == (head == "first")
    assert not used & {"mask_dense", "sentence_head"}


@every_pair
def test_a_saved_model_says_the_same(backbone, head, tmp_path):
    model, inputs = make(backbone, head), some_inputs()
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(again(inputs), model(inputs))
    assert again.config == model.config == BACKBONES[backbone]
    assert again.dropout.rate == model.dropout.rate
    assert [w.path for w in again.trainable_weights] == [w.path for w in model.trainable_weights]


@pytest.mark.parametrize(
    ("backbone", "head"), [("bert", "first"), ("rnn encoder", "tokens"), ("llama", "span")]
)
def test_one_batch_can_be_learnt_by_heart(backbone, head):
    keras.utils.set_random_seed(0)
    model = HEADS[head](backbone=families.build(BACKBONES[backbone]))
    compile_for_training(model, keras.optimizers.Adam(0.02), jit_compile=False)
    right, weights = targets_of(head)
    for _ in range(100):
        loss = model.train_on_batch(some_inputs(), right, sample_weight=weights)
    assert float(loss) < 0.05


def test_dropout_is_on_in_training_alone():
    keras.utils.set_random_seed(0)
    model = TextHead(backbone=families.build(BACKBONES["rnn encoder"]), num_outputs=K, dropout=0.5)
    inputs = some_inputs()
    np.testing.assert_array_equal(model(inputs), model(inputs))
    assert not np.allclose(model(inputs), model(inputs, training=True))
