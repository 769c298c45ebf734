"""What every language model promises, tested on every one of them."""

import functools
import itertools
import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

from kerazoo.models import families
from kerazoo.models.compiled import compiled
from kerazoo.models.configs import (
    BERTConfig,
    GPTConfig,
    HMMConfig,
    LlamaConfig,
    RNNConfig,
    RNNEncoderConfig,
    RNNSeq2SeqConfig,
    TransformerConfig,
)
from kerazoo.tasks.losses import CrossEntropy

V, T = 11, 12
GPT = {"vocab_size": V, "context_length": T, "num_layers": 2, "num_heads": 4, "width": 16}
RNN = {"vocab_size": V, "context_length": T, "num_layers": 2, "width": 8}
CONFIGS = {
    "gpt": GPTConfig(**GPT),
    "gpt modern": GPTConfig(
        **GPT,
        num_kv_heads=2,
        use_bias=False,
        norm="rms",
        positions="rotary",
        activation="relu_squared",
        qk_norm=True,
        tie_embeddings=False,
    ),
    "llama": LlamaConfig(**GPT, num_kv_heads=2),
    "llama tied": LlamaConfig(**GPT, tie_embeddings=True, rope_theta=500_000.0),
    "lstm": RNNConfig(**RNN),
    "gru": RNNConfig(**RNN, cell="gru", tie_embeddings=True),
    "simple": RNNConfig(**RNN, cell="simple"),
    "lstm from equations": RNNConfig(**RNN, from_equations=True),
    "lstm of Zaremba": RNNConfig(**RNN, output_bias=True, initial_scale=0.1),
    "hmm": HMMConfig(vocab_size=V, context_length=T, num_states=48),
}
KNOWS_THE_FIRST_TOKEN = {"hmm"}
"""Models that have a distribution for it; for the others it is as likely to be any token."""
STATES_IN_FLOAT32 = {"hmm"}
"""Models whose states are log-probabilities, which in half precision would not sum to one."""
LIKE_ANOTHER = {"llama tied", "lstm from equations", "lstm of Zaremba"}
"""Variants of a model above, which learn as it does."""
every_model = pytest.mark.parametrize("name", CONFIGS)


def make(name, dtype="float32"):
    keras.utils.set_random_seed(0)
    model = families.build(CONFIGS[name], dtype)
    for weight in model.trainable_weights:  # far from the small and zero weights of the beginning
        weight.assign_add(0.2 * keras.random.normal(weight.shape, seed=1))
    return model


made = functools.cache(make)
"""The same, for tests that leave the model as it is."""


def some_ids(batch_size=3, length=T, seed=0):
    return np.random.default_rng(seed).integers(0, V, (batch_size, length)).astype("int32")


@pytest.fixture(scope="module")
def reloaded(tmp_path_factory):
    """Logits of all models, saved here and loaded in a process that has imported only kerazoo.

    Models of other families are only loaded there.
    """
    folder = tmp_path_factory.mktemp("saved")
    names = dict(enumerate(CONFIGS))
    for number, name in names.items():
        made(name).save(folder / f"{number}.keras")
    np.save(folder / "ids.npy", some_ids())
    for config in (BERTConfig, TransformerConfig, RNNSeq2SeqConfig, RNNEncoderConfig):
        other = families.build(config(vocab_size=V, context_length=T, width=8, num_layers=1))
        other.save(folder / f"other {config.__name__}.keras")
    script = """
import json, sys
from pathlib import Path
import numpy as np
import kerazoo
folder = Path(sys.argv[1])
for path in folder.glob("*.keras"):
    model = kerazoo.load_model(path)
    if not path.stem.startswith("other"):
        np.save(path.with_suffix(".npy"), model(np.load(folder / "ids.npy")))
"""
    subprocess.run([sys.executable, "-c", script, str(folder)], check=True)
    return {name: np.load(folder / f"{number}.npy") for number, name in names.items()}


@every_model
def test_a_saved_model_gives_the_same_logits_in_a_fresh_process(name, reloaded):
    np.testing.assert_array_equal(reloaded[name], made(name)(some_ids()))


@every_model
def test_the_configuration_is_data_that_rebuilds_the_model(name):
    model = made(name)
    content = json.loads(json.dumps(model.get_config()))
    again = type(model).from_config(content)
    assert again.config == model.config
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]


@every_model
def test_logits_are_float32_one_for_each_token_of_the_vocabulary(name):
    logits = made(name)(some_ids())
    assert logits.shape == (3, T, V)
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"


@every_model
def test_changing_a_token_leaves_earlier_logits_untouched(name):
    # Batch t has another token at position t, the last batch none.
    token_ids = np.tile(some_ids(), (T + 1, 1))
    for t in range(T):
        changed = token_ids[3 * t : 3 * t + 3]
        changed[:, t] = (changed[:, t] + 1) % V
    *after, before = ops.convert_to_numpy(made(name)(token_ids)).reshape(T + 1, 3, T, V)
    for t in range(T):
        # Sums are added in another order elsewhere in a batch, hence not bit by bit.
        np.testing.assert_allclose(before[:, :t], after[t][:, :t], atol=1e-5)
        assert not np.allclose(before[:, t:], after[t][:, t:])


@every_model
def test_padding_on_the_right_changes_nothing_before_it(name):
    model, token_ids = made(name), some_ids()
    padded = np.concatenate([token_ids[:, :7], np.zeros((3, T - 7), "int32")], axis=1)
    # A shorter sum may be added in another order, hence not bit by bit.
    np.testing.assert_allclose(model(padded)[:, :7], model(token_ids[:, :7]), atol=1e-5)


@every_model
def test_step_by_step_equals_one_full_call(name):
    model, token_ids = made(name), some_ids()
    cache, steps = model.initial_cache(3, T), []
    for index in range(T):
        logits, cache = model.next(token_ids[:, index], cache, index)
        steps.append(logits)
    np.testing.assert_allclose(ops.stack(steps, axis=1), model(token_ids), atol=1e-5)


@every_model
def test_a_prompt_taken_in_at_once_equals_one_full_call(name):
    model, token_ids = made(name), some_ids()
    first, cache = model.extend(token_ids[:, :5], model.initial_cache(3, T), 0)
    second, _ = model.extend(token_ids[:, 5:], cache, 5)
    np.testing.assert_allclose(
        ops.concatenate([first, second], axis=1), model(token_ids), atol=1e-5
    )


@every_model
def test_a_cache_has_the_batch_first(name):
    model = made(name)
    for tensor in keras.tree.flatten(model.initial_cache(3, T)):
        assert tensor.shape[0] == 3


@every_model
def test_xla_on_equals_xla_off(name):
    model, token_ids = made(name), some_ids()
    on, off = (compiled(lambda ids: model(ids), model, xla)(token_ids) for xla in (True, False))
    np.testing.assert_allclose(on, off, atol=1e-5)


@pytest.mark.parametrize("name", ["gpt", "gpt modern", "llama"])
def test_training_with_xla_equals_training_without(name):
    trained, token_ids = [], some_ids()
    for xla in (True, False):
        model = make(name)
        before = model.get_weights()
        model.compile(keras.optimizers.SGD(0.1), loss=CrossEntropy(), jit_compile=xla)
        for _ in range(2):
            model.train_on_batch(token_ids[:, :-1], token_ids[:, 1:])
        trained.append(model.get_weights())
    for on, off, weight, old in zip(*trained, model.weights, before, strict=True):
        np.testing.assert_allclose(on, off, atol=1e-5, err_msg=weight.path)
        # The bias of keys adds the same to all scores of a query, and so makes no difference.
        is_idle = weight.path.endswith("key/bias")
        assert (np.abs(off - old).max() > 1e-4) != is_idle, weight.path


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        *((name, "mixed_float16") for name in CONFIGS),
        *((name, "mixed_bfloat16") for name in CONFIGS if name not in LIKE_ANOTHER),
        *itertools.product(("gpt modern", "lstm"), ("float32",)),
    ],
)
def test_training_is_finite_in_every_precision_with_a_row_of_padding(name, policy):
    model, token_ids = make(name, policy), some_ids()
    weights = np.ones((3, T - 1), "float32")
    weights[1] = 0
    model.compile("sgd", loss=CrossEntropy(), run_eagerly=True)  # a step or two need no graph
    losses = [
        model.train_on_batch(token_ids[:, :-1], token_ids[:, 1:], sample_weight=weights)
        for _ in range(2)
    ]
    assert np.isfinite(losses).all()
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    hidden_states, _ = model.hidden_states(token_ids)
    dtype = (
        "float32" if name in STATES_IN_FLOAT32 else keras.dtype_policies.get(policy).compute_dtype
    )
    assert hidden_states.dtype == dtype
    assert model(token_ids).dtype == "float32"
    scales_the_loss = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scales_the_loss == (policy == "mixed_float16")


@pytest.mark.parametrize("name", [name for name in CONFIGS if name not in LIKE_ANOTHER])
def test_one_batch_can_be_learnt_by_heart(name):
    keras.utils.set_random_seed(0)
    model, token_ids = families.build(CONFIGS[name]), some_ids()
    learning_rate = 0.1 if name == "hmm" else 0.03  # bare logits have a long way to go
    model.compile(keras.optimizers.Adam(learning_rate), loss=CrossEntropy(), jit_compile=False)
    enough = 0.3 if name == "hmm" else 0.1  # which climbs to the nearest top
    losses = (model.train_on_batch(token_ids[:, :-1], token_ids[:, 1:]) for _ in range(300))
    assert any(loss < enough for loss in losses)


@every_model
def test_probabilities_of_all_texts_of_three_tokens_sum_to_one(name):
    model = made(name)
    texts = np.stack(np.meshgrid(*[np.arange(V)] * 3), axis=-1).reshape(-1, 3).astype("int32")
    log_probs = model.token_log_probs(texts)
    assert log_probs.shape == (V**3, 3)
    assert np.exp(np.sum(log_probs, axis=1)).sum() == pytest.approx(1, abs=1e-4)


@every_model
def test_token_log_probs_are_those_of_the_logits(name):
    model, token_ids = made(name), some_ids()
    log_probs = ops.convert_to_numpy(model.token_log_probs(token_ids))
    logits = ops.convert_to_numpy(model(token_ids))
    for row, t in np.ndindex(3, T - 1):
        probabilities = np.exp(logits[row, t]) / np.exp(logits[row, t]).sum()
        expected = np.log(probabilities[token_ids[row, t + 1]])
        assert log_probs[row, t + 1] == pytest.approx(expected, abs=1e-5)
    first = ops.convert_to_numpy(model.first_logits())
    if name not in KNOWS_THE_FIRST_TOKEN:
        np.testing.assert_array_equal(first, np.zeros(V))  # uniform
    expected = first - np.log(np.exp(first).sum())
    np.testing.assert_allclose(log_probs[:, 0], expected[token_ids[:, 0]], rtol=1e-5)


@every_model
def test_no_two_matrices_of_a_shape_begin_with_the_same_random_numbers(name):
    keras.utils.set_random_seed(0)
    model = families.build(CONFIGS[name])
    matrices = [w for w in map(np.asarray, model.trainable_weights) if w.ndim > 1 and w.std() > 0]
    for first, second in itertools.combinations(matrices, 2):
        if first.shape == second.shape:
            assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.6


@every_model
def test_a_model_without_a_vocabulary_is_refused(name):
    from dataclasses import replace

    with pytest.raises(ValueError, match="vocab_size is 0"):
        families.build(replace(CONFIGS[name], vocab_size=0))
