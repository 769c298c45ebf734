import numpy as np
import pytest

from kerazoo.errors import InputError
from kerazoo.models import decoding, families
from kerazoo.models.configs import GPTConfig, HMMConfig, RNNConfig
from kerazoo.models.decoding import generate
from kerazoo.models.sampling import Sampling

pytestmark = pytest.mark.usefixtures("without_xla")

V = 11
CONFIGS = {
    "gpt": GPTConfig(vocab_size=V, context_length=40, num_layers=1, num_heads=2, width=16),
    "lstm": RNNConfig(vocab_size=V, context_length=40, width=16),
    "hmm": HMMConfig(vocab_size=V, context_length=40, num_states=16),
}
PROMPTS = [np.array([1, 2, 3]), np.array([4]), np.arange(9)]
RANDOM = ("temperature", "top-k", "top-p")
SEARCH = ("beam", "contrastive")


@pytest.fixture(scope="module", params=CONFIGS)
def model(request):
    import keras

    keras.utils.set_random_seed(0)
    model = families.build(CONFIGS[request.param])
    for weight in model.trainable_weights:
        weight.assign_add(0.4 * keras.random.normal(weight.shape, seed=1))
    return model


def likeliest(model, prompt, number):
    """Greedy generation without a cache: the whole text through the model for each token."""
    tokens = list(prompt)
    for _ in range(number):
        tokens.append(int(np.argmax(model(np.array([tokens]))[0, -1])))
    return tokens


@pytest.mark.usefixtures("with_xla")
def test_cached_generation_equals_uncached(model):
    for found, prompt in zip(
        generate(model, PROMPTS, 25, Sampling("greedy")), PROMPTS, strict=True
    ):
        assert found.tolist() == likeliest(model, prompt, 25)


@pytest.mark.parametrize("sampler", SEARCH)
def test_a_batch_gives_the_same_as_its_rows_one_by_one(model, sampler):
    together = generate(model, PROMPTS, 12, Sampling(sampler, num_beams=3))
    for found, prompt in zip(together, PROMPTS, strict=True):
        (alone,) = generate(model, [prompt], 12, Sampling(sampler, num_beams=3))
        assert found.tolist() == alone.tolist()


@pytest.mark.parametrize("sampler", ["greedy", *RANDOM, *SEARCH])
def test_a_prompt_is_kept_and_continued_by_as_many_tokens(model, sampler):
    for found, prompt in zip(
        generate(model, PROMPTS, 12, Sampling(sampler, seed=1)), PROMPTS, strict=True
    ):
        assert found[: len(prompt)].tolist() == prompt.tolist()
        assert len(found) == len(prompt) + 12
        assert found.max() < V


@pytest.mark.parametrize("sampler", RANDOM)
def test_a_seed_makes_chance_repeatable(model, sampler):
    def sample(seed):
        return np.concatenate(generate(model, PROMPTS, 12, Sampling(sampler, seed=seed))).tolist()

    assert sample(1) == sample(1)
    assert sample(1) != sample(2)
    assert sample(None) != sample(None)


def test_top_1_is_greedy(model):
    greedy = generate(model, PROMPTS, 12, Sampling("greedy"))
    top_1 = generate(model, PROMPTS, 12, Sampling("top-k", k=1))
    assert [row.tolist() for row in greedy] == [row.tolist() for row in top_1]


@pytest.mark.usefixtures("with_xla")
def test_temperature_samples_from_the_softmax(model):
    prompt = np.array([1, 2, 3])
    rows = generate(model, [prompt] * 4000, 1, Sampling(temperature=2.0, seed=0))
    found = np.bincount([row[-1] for row in rows], minlength=V) / 4000
    logits = np.asarray(model(prompt[None]))[0, -1] / 2.0
    expected = np.exp(logits) / np.exp(logits).sum()
    # Three standard deviations of a frequency from 4,000 draws are at most 0.024.
    np.testing.assert_allclose(found, expected, atol=0.03)


@pytest.mark.usefixtures("with_xla")
def test_beam_search_finds_a_text_at_least_as_likely_as_the_greedy_one(model):
    def log_probability(row):
        return float(np.sum(np.asarray(model.token_log_probs(row[None]))[0, 1:]))

    greedy = generate(model, [PROMPTS[0]], 8, Sampling("greedy"))[0]
    beam = generate(model, [PROMPTS[0]], 8, Sampling("beam", num_beams=V))[0]
    assert log_probability(beam) >= log_probability(greedy) - 1e-4


@pytest.mark.parametrize(
    ("penalty", "end_id", "expected"), [(0, 0, 5), (0.5, 0, 5), (1, 0, 6), (1, None, 5)]
)
def test_the_best_text_depends_on_the_length_penalty(penalty, end_id, expected):
    texts = np.array([[[1, 2, 5, 0, 0, 0], [1, 2, 6, 7, 8, 0], [1, 2, 9, 9, 9, 9]]])
    log_probs = np.array([[-2.0, -3.0, -9.0]], "float32")  # of 2, 4 and 4 new tokens
    best = decoding._best(texts, log_probs, 2, end_id, penalty)
    assert np.asarray(best)[0, 2] == expected


def test_beam_search_weighs_probability_against_length(model):
    def log_probability(row):
        return float(np.sum(np.asarray(model.token_log_probs(row[None]))[0, 1:]))

    def found(penalty):
        sampling = Sampling("beam", num_beams=4, length_penalty=penalty)
        rows = [generate(model, [np.array([n])], 12, sampling, end_id=0)[0] for n in range(1, V)]
        return [(log_probability(row), len(row) - 1) for row in rows]

    likeliest, per_token = found(0.0), found(1.0)
    for (most, at_length), (total, length) in zip(likeliest, per_token, strict=True):
        assert most >= total - 1e-4
        assert total / length >= most / at_length - 1e-4


def test_text_goes_on_beyond_the_context(model):
    long_prompt = np.arange(100) % V
    for sampler in ("greedy", "beam"):
        rows = generate(model, [long_prompt, PROMPTS[0]], 90, Sampling(sampler))
        assert [len(row) for row in rows] == [190, 93]


@pytest.mark.parametrize("sampler", ["greedy", "beam"])
def test_a_long_prompt_in_a_batch_goes_on_as_it_would_alone(model, sampler):
    prompts = [np.arange(100) % V, PROMPTS[0], np.arange(61)[::-1] % V]
    together = generate(model, prompts, 30, Sampling(sampler))
    for found, prompt in zip(together, prompts, strict=True):
        (alone,) = generate(model, [prompt], 30, Sampling(sampler))
        assert found.tolist() == alone.tolist()


@pytest.mark.parametrize("sampling", [Sampling("greedy"), Sampling("beam", num_beams=1)])
def test_a_full_context_is_used_before_it_is_moved(model, sampling):
    # The token at position 40 is predicted from all 40 before it, which is the limit.
    (row,) = generate(model, [PROMPTS[0]], 38, sampling)
    assert row.tolist() == likeliest(model, PROMPTS[0], 38)


def test_stop_ends_generation_early(model):
    rows = generate(model, [PROMPTS[0]], 500, Sampling("greedy"), stop=lambda rows: True)
    assert len(rows[0]) < 3 + 2 * decoding.STRETCH


@pytest.mark.usefixtures("with_xla")
def test_the_loop_is_not_traced_again_for_a_second_call(model, monkeypatch):
    sampling = Sampling("temperature", temperature=0.123)
    generate(model, PROMPTS, 40, sampling)
    monkeypatch.setattr(type(model), "hidden_states", None)
    generate(model, [prompt[::-1].copy() for prompt in PROMPTS], 70, sampling)


@pytest.mark.parametrize("prompts", [[], [np.array([], "int32")], [np.array([1]), np.array([])]])
def test_an_empty_prompt_is_refused(model, prompts):
    with pytest.raises(InputError, match="empty prompt"):
        generate(model, prompts, 5)
