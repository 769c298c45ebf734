"""What every encoder-decoder promises, tested on every one of them."""

import functools
import itertools
import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops

import kerazoo
from kerazoo.errors import InputError
from kerazoo.models import families
from kerazoo.models.compiled import compiled
from kerazoo.models.configs import RNNSeq2SeqConfig, TransformerConfig
from kerazoo.models.decoding import STRETCH, generate
from kerazoo.models.inspection import cross_attention_weights, encoder_attention_weights
from kerazoo.models.rnn_seq2seq import RNNSeq2Seq
from kerazoo.models.sampling import Sampling
from kerazoo.tasks.losses import CrossEntropy

pytestmark = pytest.mark.usefixtures("without_xla")

V, S, T = 11, 9, 12
SMALL = {"vocab_size": V, "context_length": 40, "width": 16, "dropout": 0.1}
CONFIGS = {
    "transformer": TransformerConfig(**SMALL, num_layers=2),
    "transformer modern": TransformerConfig(
        **SMALL,
        num_layers=1,
        norm_first=True,
        positions="rotary",
        qk_norm=True,
        tie_embeddings=False,
    ),
    **{
        f"{cell} {attention}": RNNSeq2SeqConfig(
            **SMALL, num_layers=num_layers, cell=cell, attention=attention
        )
        for cell, attention, num_layers in (
            ("lstm", "additive", 2),
            ("lstm", "multiplicative", 1),
            ("lstm", "none", 2),
            ("gru", "additive", 1),
            ("gru", "multiplicative", 2),
            ("gru", "none", 1),
        )
    },
}
every_model = pytest.mark.parametrize("name", CONFIGS)
some_models = pytest.mark.parametrize("name", ["transformer", "gru additive", "lstm none"])
every_attention = pytest.mark.parametrize("name", [n for n in CONFIGS if not n.endswith("none")])


def make(name, dtype="float32"):
    keras.utils.set_random_seed(0)
    model = families.build(CONFIGS[name], dtype)
    for weight in model.trainable_weights:  # far from the small and zero weights of the beginning
        weight.assign_add(0.3 * keras.random.normal(weight.shape, seed=1))
    return model


made = functools.cache(make)
"""The same, for tests that leave the model as it is."""


def some_inputs(batch_size=3, seed=0):
    """Return sources of nine, seven and five tokens, and texts of twelve."""
    rng = np.random.default_rng(seed)
    lengths = S - 2 * (np.arange(batch_size) % 3)
    return {
        "source_ids": rng.integers(0, V, (batch_size, S)).astype("int32"),
        "source_mask": np.arange(S) < lengths[:, None],
        "token_ids": rng.integers(0, V, (batch_size, T)).astype("int32"),
    }


@functools.cache
def _function(model):
    return compiled(lambda inputs: model(inputs), model, xla=False)


def logits_of(model, **inputs):
    return ops.convert_to_numpy(_function(model)(inputs))


def repeated(inputs, times):
    """Return the same batch several times in one: (times * B, ...)."""
    return {name: np.tile(value, (times, 1)) for name, value in inputs.items()}


# === The model ===


@every_model
def test_a_saved_model_gives_the_same_logits(name, tmp_path):
    made(name).save(tmp_path / "model.keras")
    again = kerazoo.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(some_inputs()), made(name)(some_inputs()))


@every_model
def test_the_configuration_is_data_that_rebuilds_the_model(name):
    model = made(name)
    content = json.loads(json.dumps(model.get_config()))
    again = type(model).from_config(content)
    assert again.config == model.config
    assert [w.shape for w in again.weights] == [w.shape for w in model.weights]


@every_model
def test_logits_are_float32_one_for_each_token_of_the_vocabulary(name):
    logits = made(name)(some_inputs())
    assert logits.shape == (3, T, V)
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"


@every_model
def test_changing_a_token_leaves_earlier_logits_untouched(name):
    # Batch t has another token at position t, the last batch none.
    inputs = repeated(some_inputs(), T + 1)
    for t in range(T):
        changed = inputs["token_ids"][3 * t : 3 * t + 3]
        changed[:, t] = (changed[:, t] + 1) % V
    *after, before = logits_of(made(name), **inputs).reshape(T + 1, 3, T, V)
    for t in range(T):
        # Sums are added in another order elsewhere in a batch, hence not bit by bit.
        np.testing.assert_allclose(before[:, :t], after[t][:, :t], atol=1e-5)
        assert not np.allclose(before[:, t:], after[t][:, t:])


@every_model
def test_changing_any_token_of_the_source_changes_all_logits(name):
    inputs = repeated(some_inputs(1), S + 1)
    for s in range(S):
        inputs["source_ids"][s, s] = (inputs["source_ids"][s, s] + 1) % V
    *after, before = logits_of(made(name), **inputs)
    assert (np.abs(after - before).max(axis=-1) > 1e-6).all()


@every_model
def test_padding_of_the_source_changes_nothing(name):
    model, inputs = made(name), some_inputs()
    padded = model(inputs)
    for row, length in enumerate(inputs["source_mask"].sum(axis=1)):
        source_ids = inputs["source_ids"][row : row + 1, :length]
        token_ids = inputs["token_ids"][row : row + 1]
        alone = model({"source_ids": source_ids, "token_ids": token_ids})
        # A shorter sum may be added in another order, hence not bit by bit.
        np.testing.assert_allclose(padded[row : row + 1], alone, atol=1e-5)


@every_model
def test_padding_on_the_right_changes_nothing_before_it(name):
    model, inputs = made(name), some_inputs()
    token_ids = inputs["token_ids"].copy()
    token_ids[:, 7:] = 0
    padded = model({**inputs, "token_ids": token_ids})
    short = model({**inputs, "token_ids": token_ids[:, :7]})
    np.testing.assert_allclose(padded[:, :7], short, atol=1e-5)


@every_model
def test_step_by_step_equals_one_full_call(name):
    model, inputs = made(name), some_inputs()
    cache, steps = model.begin(inputs["source_ids"], inputs["source_mask"], T), []
    for index in range(T):
        # As a tensor, which the loop of generation passes.
        index = ops.convert_to_tensor(index, "int32")
        logits, cache = model.next(inputs["token_ids"][:, index], cache, index)
        steps.append(logits)
    np.testing.assert_allclose(ops.stack(steps, axis=1), model(inputs), atol=1e-5)


@every_model
def test_a_prompt_taken_in_at_once_equals_one_full_call(name):
    model, inputs = made(name), some_inputs()
    token_ids = inputs["token_ids"]
    cache = model.begin(inputs["source_ids"], inputs["source_mask"], T)
    first, cache = model.extend(token_ids[:, :5], cache, 0)
    second, _ = model.extend(token_ids[:, 5:], cache, 5)
    np.testing.assert_allclose(ops.concatenate([first, second], axis=1), model(inputs), atol=1e-5)


@every_model
def test_a_cache_has_the_batch_first(name):
    cache = made(name).begin(some_inputs()["source_ids"], None, T)
    for tensor in keras.tree.flatten(cache):
        assert tensor.shape[0] == 3


@pytest.mark.parametrize(
    "name",
    ["transformer", "transformer modern", "lstm additive", "lstm none", "gru multiplicative"],
)
def test_xla_on_equals_xla_off(name):
    model, inputs = made(name), some_inputs()
    on, off = (compiled(lambda x: model(x), model, xla)(inputs) for xla in (True, False))
    np.testing.assert_allclose(on, off, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "policy"),
    [
        *((name, "mixed_float16") for name in CONFIGS),
        *itertools.product(("transformer modern", "lstm additive"), ("float32", "mixed_bfloat16")),
    ],
)
def test_training_is_finite_in_every_precision_with_a_row_of_padding(name, policy):
    model, inputs = make(name, policy), some_inputs()
    inputs["source_mask"][1] = False
    weights = np.ones((3, T), "float32")
    weights[1] = 0
    model.compile("sgd", loss=CrossEntropy(), run_eagerly=True)
    loss = model.train_on_batch(inputs, inputs["token_ids"], sample_weight=weights)
    assert np.isfinite(loss)
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
    dtype = keras.dtype_policies.get(policy).compute_dtype
    cache = model.begin(inputs["source_ids"], inputs["source_mask"], T)
    hidden_states, cache = model.hidden_states(inputs["token_ids"], cache)
    assert hidden_states.dtype == dtype
    assert {tensor.dtype.name for tensor in keras.tree.flatten(cache)} - {"bool"} == {dtype}
    assert model(inputs).dtype == "float32"
    scales_the_loss = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scales_the_loss == (policy == "mixed_float16")


@pytest.mark.parametrize("name", ["lstm additive", "gru multiplicative"])
def test_one_batch_can_be_learnt_by_heart(name):
    keras.utils.set_random_seed(0)
    model, inputs = families.build(replace(CONFIGS[name], dropout=0.0)), some_inputs()
    next_token_ids = np.roll(inputs["token_ids"], -1, axis=1)
    model.compile(keras.optimizers.Adam(0.03), loss=CrossEntropy(), jit_compile=False)
    losses = (model.train_on_batch(inputs, next_token_ids) for _ in range(150))
    assert any(loss < 0.1 for loss in losses)


@every_model
def test_probabilities_of_all_texts_of_two_tokens_sum_to_one(name):
    model = made(name)
    texts = np.stack(np.meshgrid(*[np.arange(V)] * 2), axis=-1).reshape(-1, 2).astype("int32")
    source_ids = np.repeat(some_inputs(1)["source_ids"], V**2, axis=0)
    log_probs = model.token_log_probs({"source_ids": source_ids, "token_ids": texts})
    assert log_probs.shape == (V**2, 2)
    assert np.exp(np.sum(log_probs, axis=1)).sum() == pytest.approx(1, abs=1e-4)


@every_model
def test_token_log_probs_are_those_of_the_logits(name):
    model, inputs = made(name), some_inputs()
    log_probs = ops.convert_to_numpy(model.token_log_probs(inputs))
    expected = ops.convert_to_numpy(ops.log_softmax(model(inputs)))
    for row, t in np.ndindex(3, T - 1):
        next_token = inputs["token_ids"][row, t + 1]
        assert log_probs[row, t + 1] == pytest.approx(expected[row, t, next_token], abs=1e-5)
    np.testing.assert_allclose(log_probs[:, 0], -np.log(V), rtol=1e-6)  # uniform


@every_model
def test_no_two_matrices_of_a_shape_begin_with_the_same_random_numbers(name):
    keras.utils.set_random_seed(0)
    model = families.build(CONFIGS[name])
    matrices = [w for w in map(np.asarray, model.trainable_weights) if w.ndim > 1 and w.std() > 0]
    for first, second in itertools.combinations(matrices, 2):
        if first.shape == second.shape:
            assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.6


# === Attention ===


@every_attention
def test_attention_looks_at_tokens_of_the_source_alone_and_its_weights_sum_to_one(name):
    model, inputs = made(name), some_inputs()
    weights = cross_attention_weights(model, inputs)
    is_recurrent = isinstance(model, RNNSeq2Seq)
    blocks, heads = (1, 1) if is_recurrent else (model.config.num_layers, model.config.num_heads)
    assert weights.shape == (blocks, 3, heads, T, S)
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-5)
    padding = np.broadcast_to(~inputs["source_mask"][None, :, None, None], weights.shape)
    assert (weights[padding] == 0).all()


def test_a_model_without_attention_says_so():
    with pytest.raises(InputError, match="no attention to look at"):
        cross_attention_weights(made("lstm none"), some_inputs())


def test_the_encoder_looks_at_tokens_alone_and_its_weights_sum_to_one():
    model, inputs = made("transformer"), some_inputs()
    mask = inputs["source_mask"]
    weights = encoder_attention_weights(model, inputs["source_ids"], mask)
    assert weights.shape == (2, 3, 4, S, S)
    np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=1e-5)
    assert (weights[np.broadcast_to(~mask[None, :, None, None], weights.shape)] == 0).all()


# === Generation ===

PROMPTS = [np.array([7]), np.array([4]), np.array([7, 2, 3])]
END = 7


def some_source():
    inputs = some_inputs()
    return inputs["source_ids"], inputs["source_mask"]


def row_of(source, row):
    return tuple(part[row : row + 1] for part in source)


def likeliest(model, source, prompts, number):
    """Greedy generation without a cache: whole texts through the model for each token."""
    texts = np.zeros((len(prompts), max(map(len, prompts)) + number), "int32")
    for row, prompt in enumerate(prompts):
        texts[row, : len(prompt)] = prompt
    for n in range(number):
        logits = logits_of(model, source_ids=source[0], source_mask=source[1], token_ids=texts)
        for row, prompt in enumerate(prompts):
            texts[row, len(prompt) + n] = np.argmax(logits[row, len(prompt) + n - 1])
    return [text[: len(prompt) + number] for text, prompt in zip(texts, prompts, strict=True)]


@every_model
def test_cached_generation_equals_uncached(name):
    model, source = made(name), some_source()
    found = generate(model, PROMPTS, 20, Sampling("greedy"), source=source)
    expected = likeliest(model, source, PROMPTS, 20)
    assert [row.tolist() for row in found] == [row.tolist() for row in expected]


@some_models
def test_a_batch_gives_the_same_as_its_rows_one_by_one(name):
    model, source = made(name), some_source()
    sampling = Sampling("beam", num_beams=3)
    together = generate(model, PROMPTS[:2], 9, sampling, source=[part[:2] for part in source])
    for row in range(2):
        (alone,) = generate(model, [PROMPTS[row]], 9, sampling, source=row_of(source, row))
        assert together[row].tolist() == alone.tolist()


@pytest.mark.parametrize("sampler", ["temperature", "top-k", "top-p", "contrastive"])
def test_every_sampler_continues_a_prompt_and_can_be_repeated(sampler):
    model = made("gru multiplicative")

    def sample(seed):
        rows = generate(model, PROMPTS, 12, Sampling(sampler, seed=seed), source=some_source())
        assert [len(row) for row in rows] == [13, 13, 15]
        return np.concatenate(rows).tolist()

    assert sample(1) == sample(1)
    assert (sample(1) == sample(2)) == (sampler == "contrastive")


@pytest.mark.parametrize("sampler", ["temperature", "beam"])
@pytest.mark.usefixtures("with_xla")
def test_the_loop_is_not_traced_again_for_a_second_call(sampler, monkeypatch):
    model, (source_ids, source_mask) = made("lstm multiplicative"), some_source()
    sampling = Sampling(sampler, temperature=0.123, num_beams=2)
    generate(model, PROMPTS, 10, sampling, source=(source_ids, source_mask), end_id=END)
    for method in ("encode", "decode"):
        monkeypatch.setattr(type(model), method, None)
    # Nor for a source of another length, up to the next multiple of a stretch.
    prompts, source = [prompt % 5 for prompt in PROMPTS], (source_ids[:, :4], source_mask[:, :4])
    generate(model, prompts, 10, sampling, source=source, end_id=END)


# === Where a text ends ===


def test_a_row_ends_with_the_first_end_token_that_is_new():
    model, source = made("lstm none"), some_source()
    whole = generate(model, PROMPTS, 20, Sampling("greedy"), source=source)
    new = [row[len(prompt) :].tolist() for row, prompt in zip(whole, PROMPTS, strict=True)]
    for end_id in {new[0][1], new[1][-1]}:
        ended = generate(model, PROMPTS, 20, Sampling("greedy"), source=source, end_id=end_id)
        for found, row, prompt in zip(ended, new, PROMPTS, strict=True):
            length = row.index(end_id) + 1 if end_id in row else 20
            assert found[len(prompt) :].tolist() == row[:length]


def test_generation_goes_no_further_than_the_row_that_ends_last():
    model, source, looks = made("lstm none"), row_of(some_source(), 0), []

    def look(rows):
        looks.append([len(row) for row in rows])
        return False

    (row,) = generate(model, PROMPTS[:1], 1, Sampling("greedy"), source=source)
    generate(
        model,
        PROMPTS[:1],
        9 * STRETCH,
        Sampling("greedy"),
        look,
        source=source,
        end_id=int(row[-1]),
    )
    assert looks == [[2]]


def likeliest_of_all(model, source, prompt, end_id, length):
    """Return the likeliest of all texts that end, or do not within a length; by trying them all."""
    texts = [
        text
        for n in range(1, length + 1)
        for text in itertools.product(range(V), repeat=n)
        if end_id not in text[:-1] and (text[-1] == end_id or n == length)
    ]
    token_ids = np.array([[*prompt, *text, *[0] * (length - len(text))] for text in texts], "int32")
    source_ids, source_mask = (np.repeat(part, len(texts), axis=0) for part in source)
    inputs = {"source_ids": source_ids, "source_mask": source_mask, "token_ids": token_ids}
    log_probs = np.asarray(model.token_log_probs(inputs))[:, len(prompt) :]
    scores = [row[: len(text)].sum() for row, text in zip(log_probs, texts, strict=True)]
    return texts[np.argmax(scores)]


@pytest.mark.parametrize("name", ["transformer", "gru additive"])
def test_a_wide_beam_finds_the_likeliest_of_all_texts_that_end(name):
    model, source = made(name), some_source()
    lengths = set()
    for row, (prompt, end_id) in enumerate(zip(PROMPTS, (0, 5, 7), strict=True)):
        of_row = row_of(source, row)
        expected = likeliest_of_all(model, of_row, prompt, end_id, 2)
        # One beam for each text of a token: nothing is lost.
        sampling = Sampling("beam", num_beams=V, length_penalty=0)
        (found,) = generate(model, [prompt], 2, sampling, source=of_row, end_id=end_id)
        assert found[len(prompt) :].tolist() == list(expected)
        lengths.add(len(expected))
    assert len(lengths) > 1


def test_an_encoder_decoder_needs_a_source_for_each_prompt():
    model, source = made("lstm none"), some_source()
    with pytest.raises(InputError, match="from a source of its own, but there are none"):
        generate(model, PROMPTS, 5)
    with pytest.raises(InputError, match="each of 1 prompts from .* but there are 3"):
        generate(model, PROMPTS[:1], 5, source=source)
