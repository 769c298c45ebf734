import json
import math
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerazoo.errors import InputError
from kerazoo.models import ngram
from kerazoo.models.configs import NGramConfig
from kerazoo.models.ngram import NGram
from kerazoo.models.ngram_counts import PADDING
from kerazoo.models.ngram_smoothing import ESTIMATORS, absolute_discounts, modified_discounts
from kerazoo.models.sampling import Sampling

A, B, C = range(3)
SMALL = np.array([A, B, A, B, A, C])
every_smoothing = pytest.mark.parametrize("smoothing", ESTIMATORS)
KNESER_NEY = ("kneser-ney", "modified-kneser-ney")


def fitted(tokens, vocab_size=3, **config):
    return NGram(NGramConfig(vocab_size=vocab_size, **config)).fit(np.asarray(tokens))


def some_text(length=300, vocab_size=6, seed=0):
    """A text in which low ids are frequent and a token hangs together with the one before it."""
    rng = np.random.default_rng(seed)
    tokens = (vocab_size * rng.random(length) ** 2).astype(int)
    tokens[1::3] = (tokens[:-1:3] + 1) % vocab_size
    return tokens


def log(x):
    with np.errstate(divide="ignore"):
        return np.log(x)


# === The estimators, by hand ===


@pytest.mark.parametrize(
    ("config", "after_a"),
    [
        # After A came B twice and C once.
        ({"smoothing": "maximum-likelihood"}, [0, 2 / 3, 1 / 3]),
        ({"smoothing": "add-k", "k": 0.5}, [0.5 / 4.5, 2.5 / 4.5, 1.5 / 4.5]),
        # Scores 0.4 * 3/6, 2/3 and 1/3, together 1.2.
        ({"smoothing": "stupid-backoff", "backoff": 0.4}, [1 / 6, 5 / 9, 5 / 18]),
        # P(A), P(B), P(C) = 4/9, 3/9, 2/9; two kinds of token came after A, so 2 of 5 are left.
        ({"smoothing": "witten-bell"}, [2 / 5 * 4 / 9, (2 + 2 * 3 / 9) / 5, (1 + 2 * 2 / 9) / 5]),
        # AB and BA twice, AC once: D = 1 / (1 + 2 * 2). Each token came after one other: P = 1/3.
        ({"smoothing": "kneser-ney"}, [0.4 / 9, 1.8 / 3 + 0.4 / 9, 0.8 / 3 + 0.4 / 9]),
        # Without pairs seen three times the discounts are 0.5 and 1, so 1.5 of 3 are left.
        ({"smoothing": "modified-kneser-ney"}, [1.5 / 9, 1 / 3 + 1.5 / 9, 0.5 / 3 + 1.5 / 9]),
    ],
    ids=lambda value: value["smoothing"] if isinstance(value, dict) else "",
)
def test_probabilities_after_a_token_are_those_computed_by_hand(config, after_a):
    model = fitted(SMALL, order=2, **config)
    np.testing.assert_allclose(model.probabilities([A]), after_a, rtol=1e-12)


@pytest.mark.parametrize(
    ("smoothing", "expected"),
    [
        ("maximum-likelihood", [3 / 6, 2 / 6, 1 / 6, 0]),
        ("add-k", [3.1 / 6.4, 2.1 / 6.4, 1.1 / 6.4, 0.1 / 6.4]),
        ("stupid-backoff", [3 / 6 / 1.1, 2 / 6 / 1.1, 1 / 6 / 1.1, 0.1 / 1.1]),
        ("witten-bell", [3.75 / 9, 2.75 / 9, 1.75 / 9, 0.75 / 9]),
        # One token each is seen 1, 2 and 3 times: D = 1 / (1 + 2 * 1).
        ("kneser-ney", [(8 / 3 + 1 / 4) / 6, (5 / 3 + 1 / 4) / 6, (2 / 3 + 1 / 4) / 6, 1 / 24]),
    ],
)
def test_the_recursion_ends_in_the_uniform_distribution(smoothing, expected):
    model = fitted(SMALL, vocab_size=4, order=1, smoothing=smoothing)
    np.testing.assert_allclose(model.probabilities([]), expected, rtol=1e-12)


@every_smoothing
def test_a_model_that_has_learnt_nothing_is_uniform(smoothing):
    model = NGram(NGramConfig(vocab_size=5, order=3, smoothing=smoothing))
    np.testing.assert_allclose(model.probabilities([1, 2]), 1 / 5, rtol=1e-12)


def test_counts_are_those_of_a_naive_count():
    text = some_text()
    model = fitted(text, vocab_size=6, order=4)
    for m in range(1, 5):
        expected = Counter(tuple(map(int, text[t : t + m])) for t in range(len(text) - m + 1))
        assert ngrams(model, m) == expected
    assert model.count_params() == sum(len(ngrams(model, m)) for m in range(1, 5))


def ngrams(model, m):
    """Return the n-grams of length m with their counts."""
    below = {0: ()}
    for level in model._levels[:m]:
        pairs = zip(level.contexts.tolist(), level.tokens.tolist(), strict=True)
        below = {n: (*below[context], token) for n, (context, token) in enumerate(pairs)}
    return {below[n]: count for n, count in enumerate(level.counts.tolist())}


# === Kneser-Ney against its recursive definition ===


def contexts_of(tokens, boundary):
    """Yield each token with the tokens that may be its context."""
    sentence = [] if boundary is None else [boundary]
    for token in tokens:
        yield tuple(sentence), token
        sentence = [boundary] if token == boundary else [*sentence, token]


class SlowKneserNey:
    """Chen & Goodman's equations in dictionaries, one probability at a time."""

    def __init__(self, tokens, vocab_size, order, modified, boundary):
        self.vocab_size, self.order, self.boundary = vocab_size, order, boundary
        counts = {m: Counter() for m in range(1, order + 1)}
        for context, token in contexts_of(tokens, boundary):
            for m in range(1, min(order, len(context) + 1) + 1):
                counts[m][(*context[len(context) - m + 1 :], token)] += 1
        self.counts = {order: counts[order]}
        for m in range(1, order):
            self.counts[m] = Counter(longer[1:] for longer in counts[m + 1])  # N1+(. w)
            for found, count in counts[m].items():
                if m > 1 and found[0] == boundary:
                    self.counts[m][found] = count
        self.discounts = {m: self.discounts_of(c, modified) for m, c in self.counts.items()}

    def discounts_of(self, counts, modified):
        n1, n2, n3, n4 = (sum(count == r for count in counts.values()) for r in (1, 2, 3, 4))
        if not modified:
            return [n1 / (n1 + 2 * n2)] * 3 if n1 * n2 else [0.5] * 3
        if n1 * n2 * n3 * n4:
            y = n1 / (n1 + 2 * n2)
            found = [1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
            if min(found) > 0:
                return found
        return [0.5, 1, 1.5]

    def probability(self, token, context):
        m = len(context) + 1
        lower = self.probability(token, context[1:]) if context else 1 / self.vocab_size
        after = {found[-1]: n for found, n in self.counts[m].items() if found[:-1] == context}
        if not after:
            return lower
        discount = {w: self.discounts[m][min(count, 3) - 1] for w, count in after.items()}
        mass = max(after[token] - discount[token], 0) if token in after else 0
        return (mass + sum(discount.values()) * lower) / sum(after.values())

    def probabilities(self, tokens):
        if self.boundary in tokens:
            last = len(tokens) - 1 - tokens[::-1].index(self.boundary)
            tokens = tokens[last:]
        context = tuple(tokens[max(0, len(tokens) - self.order + 1) :])
        return [self.probability(token, context) for token in range(self.vocab_size)]


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("smoothing", KNESER_NEY)
@pytest.mark.parametrize("boundary", [None, 0])
def test_kneser_ney_equals_its_recursive_definition(smoothing, order, boundary):
    text = some_text(length=800, vocab_size=8)
    modified = smoothing == "modified-kneser-ney"
    slow = SlowKneserNey(text.tolist(), 8, order, modified, boundary)
    model = fitted(text, vocab_size=8, order=order, smoothing=smoothing, boundary_id=boundary)
    if modified and order > 2:  # the formulas are at work, not only what stands in for them
        assert any(discounts != [0.5, 1, 1.5] for discounts in slow.discounts.values())
    other = np.random.default_rng(1)
    for _ in range(60):
        context = other.integers(0, 8, other.integers(0, 7)).tolist()
        np.testing.assert_allclose(
            model.probabilities(context), slow.probabilities(context), rtol=1e-10
        )


def test_discounts_are_the_formulas_of_chen_and_goodman():
    counts = np.array([1] * 4 + [2] * 2 + [3] * 2 + [4] + [9])  # n_1 ... n_4 = 4, 2, 2, 1
    np.testing.assert_allclose(absolute_discounts(counts), 4 / (4 + 2 * 2))
    y = 4 / (4 + 2 * 2)
    np.testing.assert_allclose(
        modified_discounts(counts),
        [1 - 2 * y * 2 / 4, 2 - 3 * y * 2 / 2, 3 - 4 * y * 1 / 2],
    )


@pytest.mark.parametrize("counts", [[], [5], [1, 1], [2, 2, 3], [1, 2, 2, 3, 3, 3, 4], [1, 2, 3]])
def test_discounts_are_sensible_where_a_count_of_counts_is_zero(counts):
    for discounts in (absolute_discounts, modified_discounts):
        found = discounts(np.array(counts, int))
        assert (found > 0).all()
        assert (found <= [1, 2, 3]).all()


# === The estimators against NLTK ===


WORDS = [*map(str, range(6)), "<UNK>"]


@pytest.mark.parity
@pytest.mark.parametrize("smoothing", ESTIMATORS)
def test_probabilities_equal_those_of_nltk(smoothing):
    lm = pytest.importorskip("nltk.lm", reason="needs nltk: pip install nltk")
    from nltk.util import everygrams

    # It ends as it begins: NLTK counts the first n-gram among those seen after its context, though
    # nothing came before it, so that its Kneser-Ney would not sum to one there.
    text = some_text(length=600)
    text = np.append(text, text[:3])
    # NLTK's vocabulary has a token for unknown words; all but add-k give it nothing here.
    size = 7 if smoothing == "add-k" else 6
    model = fitted(text, vocab_size=size, order=3, smoothing=smoothing, k=0.3)
    theirs = {
        "maximum-likelihood": lambda: lm.MLE(3),
        "add-k": lambda: lm.Lidstone(0.3, 3),
        "stupid-backoff": lambda: lm.StupidBackoff(alpha=0.4, order=3),
        "witten-bell": lambda: lm.WittenBellInterpolated(3),
        "kneser-ney": lambda: lm.KneserNeyInterpolated(3),
        "modified-kneser-ney": lambda: pytest.skip("NLTK has no modified Kneser-Ney"),
    }[smoothing]()
    theirs.fit([everygrams([WORDS[token] for token in text], max_len=3)], WORDS[:6])
    if smoothing in ("witten-bell", "kneser-ney"):
        # NLTK ends in the unsmoothed single tokens, we in the uniform distribution below them.
        single = model.probabilities([])
        theirs.estimator.unigram_score = lambda word: single[WORDS.index(word)]
    if smoothing == "kneser-ney":  # NLTK is given one discount, ours differ by length
        discounts = [absolute_discounts(counts)[0] for counts in model._counts_to_smooth()]
        alpha_gamma = theirs.estimator.alpha_gamma

        def with_the_discount_of_its_length(word, context):
            theirs.estimator.discount = discounts[len(context)]
            return alpha_gamma(word, context)

        theirs.estimator.alpha_gamma = with_the_discount_of_its_length

    contexts = set(np.ndindex(6, 6))
    if smoothing == "maximum-likelihood":  # after an unseen context NLTK says 0 for all tokens
        contexts &= set(zip(text[:-2].tolist(), text[1:-1].tolist(), strict=True))
    for context in contexts:
        names = tuple(WORDS[token] for token in context)
        scores = np.array([theirs.unmasked_score(word, names) for word in WORDS[:size]])
        if smoothing == "stupid-backoff":  # ours are made to sum to one
            scores /= scores.sum()
        np.testing.assert_allclose(model.probabilities(context), scores, rtol=1e-10)


# === Distributions ===

configs = st.builds(
    NGramConfig,
    vocab_size=st.just(5),
    order=st.integers(1, 5),
    smoothing=st.sampled_from(list(ESTIMATORS)),
    boundary_id=st.sampled_from([None, 0, 4]),
    k=st.sampled_from([0.01, 1.0]),
).flatmap(
    lambda config: st.sampled_from(
        [config, NGramConfig(**{**vars(config), "cache_size": 3, "cache_weight": 0.2})]
    )
)
tokens_of_five = st.lists(st.integers(0, 4), max_size=40)


@settings(max_examples=200, deadline=None)
@given(config=configs, text=tokens_of_five, context=tokens_of_five)
def test_probabilities_sum_to_one_after_every_context_seen_or_not(config, text, context):
    model = NGram(config).fit(np.array(text, int))
    for length in range(len(context) + 1):
        probabilities = model.probabilities(context[:length])
        assert probabilities.sum() == pytest.approx(1, abs=1e-12)
        assert probabilities.min() >= 0
        if config.smoothing != "maximum-likelihood":
            assert probabilities.min() > 0


@settings(max_examples=100, deadline=None)
@given(config=configs, text=tokens_of_five, other=st.lists(st.integers(0, 4), min_size=1))
def test_log_probabilities_of_a_text_are_those_step_by_step(config, text, other):
    model = NGram(config).fit(np.array(text, int))
    found = model.token_log_probs(np.array([other]))
    assert found.dtype == np.float32
    assert found.shape == (1, len(other))
    before = [] if config.boundary_id is None else [config.boundary_id]
    if not before:
        assert found[0, 0] == pytest.approx(-math.log(5))
    for t in range(1 - len(before), len(other)):
        expected = log(model.probabilities([*before, *other[:t]])[other[t]])
        assert found[0, t] == pytest.approx(expected, abs=1e-5)


def test_maximum_likelihood_gives_nothing_to_what_was_not_seen():
    model = fitted(SMALL, order=3, smoothing="maximum-likelihood")
    assert model.token_log_probs(np.array([[A, A]]))[0, 1] == -np.inf
    # Nothing came after C, so all that counts after it is how frequent a token is.
    np.testing.assert_allclose(model.probabilities([A, C]), [3 / 6, 2 / 6, 1 / 6])


def test_add_k_knows_nothing_after_a_context_that_was_never_seen():
    model = fitted(SMALL, order=3, smoothing="add-k")
    np.testing.assert_allclose(model.probabilities([C, C]), 1 / 3)


# === Sentence boundaries ===


@every_smoothing
def test_a_context_never_crosses_a_boundary(smoothing):
    text = some_text(length=500)
    model = fitted(text, vocab_size=6, order=4, smoothing=smoothing, boundary_id=0)
    for before in range(6):
        for after in ([], [3], [3, 1]):
            np.testing.assert_array_equal(
                model.probabilities([before, 2, 0, *after]), model.probabilities([0, *after])
            )
    for m in range(3, 5):
        assert all(0 not in found[1:-1] for found in ngrams(model, m))


@every_smoothing
def test_the_order_of_sentences_makes_no_difference(smoothing):
    lines = [[1, 2, 0], [3, 0], [1, 2, 1, 0], [0], [2, 1, 0]]
    models = [
        fitted(np.concatenate(some), vocab_size=4, order=3, smoothing=smoothing, boundary_id=0)
        for some in (lines, lines[::-1])
    ]
    for context in ([0], [0, 1], [0, 0], [1, 2], [3]):
        np.testing.assert_allclose(*(m.probabilities(context) for m in models), rtol=1e-12)


def test_the_text_begins_after_a_boundary_that_is_not_itself_counted():
    model = fitted([1, 2, 0], vocab_size=3, order=2, smoothing="maximum-likelihood", boundary_id=0)
    np.testing.assert_allclose(model.probabilities([0]), [0, 1, 0])  # from <s> to 1
    np.testing.assert_allclose(model.probabilities([]), [1 / 3, 1 / 3, 1 / 3])


# === The cache of the recent past ===


def test_the_recent_past_is_mixed_in_by_its_weight():
    text = some_text()
    plain = fitted(text, vocab_size=6, order=2)
    model = fitted(text, vocab_size=6, order=2, cache_size=4, cache_weight=0.25)
    past = np.array([0, 0, 5, 5, 1, 5])  # the last four: 5 three times, 1 once
    expected = 0.75 * plain.probabilities(past) + 0.25 * np.array([0, 1 / 4, 0, 0, 0, 3 / 4])
    np.testing.assert_allclose(model.probabilities(past), expected, rtol=1e-12)
    # Of a past that is shorter, shares count as well; without any, the n-grams stand alone.
    expected = 0.75 * plain.probabilities([2]) + 0.25 * np.eye(6)[2]
    np.testing.assert_allclose(model.probabilities([2]), expected, rtol=1e-12)
    np.testing.assert_array_equal(model.probabilities([]), plain.probabilities([]))


# === The contract ===

CONFIGS = {
    **{name: {"smoothing": name} for name in ESTIMATORS if name != "maximum-likelihood"},
    "one token": {"order": 1},
    "boundary": {"boundary_id": 0},
    "cache": {"cache_size": 5, "cache_weight": 0.3},
}
every_config = pytest.mark.parametrize("name", CONFIGS)


def make(name):
    return fitted(some_text(), vocab_size=6, **{"order": 4, **CONFIGS[name]})


def some_ids(batch_size=3, length=12):
    return np.random.default_rng(5).integers(0, 6, (batch_size, length)).astype("int32")


@every_config
def test_logits_are_log_probabilities_in_float32(name):
    logits = make(name)(some_ids())
    assert logits.shape == (3, 12, 6)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(np.exp(logits).sum(axis=-1), 1, atol=1e-6)


@every_config
def test_step_by_step_equals_one_full_call(name):
    model, token_ids = make(name), some_ids()
    cache, steps = model.initial_cache(3, 12), []
    for index in range(12):
        logits, cache = model.next(token_ids[:, index], cache, index)
        steps.append(logits)
        assert cache.dtype == np.int32
    np.testing.assert_array_equal(np.stack(steps, axis=1), model(token_ids))


@every_config
def test_a_prompt_taken_in_at_once_equals_one_full_call(name):
    model, token_ids = make(name), some_ids()
    first, cache = model.extend(token_ids[:, :5], model.initial_cache(3, 12), 0)
    second, _ = model.extend(token_ids[:, 5:], cache, 5)
    np.testing.assert_array_equal(np.concatenate([first, second], axis=1), model(token_ids))


@every_config
def test_changing_a_token_leaves_earlier_logits_untouched(name):
    model, token_ids = make(name), some_ids()
    before = model(token_ids)
    for t in range(12):
        changed = token_ids.copy()
        changed[:, t] = (changed[:, t] + 1) % 6
        np.testing.assert_array_equal(before[:, :t], model(changed)[:, :t])


@every_config
def test_token_log_probs_are_those_of_the_logits(name):
    model, token_ids = make(name), some_ids()
    expected = np.take_along_axis(model(token_ids)[:, :-1], token_ids[:, 1:, None], axis=2)
    found = model.token_log_probs(token_ids)
    np.testing.assert_allclose(found[:, 1:], expected[..., 0], atol=1e-6)
    first = np.full(6, -np.log(6)) if name != "boundary" else np.log(model.probabilities([0]))
    np.testing.assert_allclose(
        model.first_logits() - np.logaddexp.reduce(model.first_logits()), first, atol=1e-6
    )
    np.testing.assert_allclose(found[:, 0], first[token_ids[:, 0]], atol=1e-6)


def test_the_cache_has_the_batch_first_and_no_more_than_matters():
    assert make("boundary").initial_cache(3, 100).tolist() == [[PADDING, PADDING, 0]] * 3
    assert make("witten-bell").initial_cache(3, 100).tolist() == [[PADDING] * 3] * 3
    assert make("cache").initial_cache(3, 100).shape == (3, 5)
    assert make("one token").initial_cache(3, 100).shape == (3, 0)


def test_a_large_batch_is_worked_through_in_chunks(monkeypatch):
    model, token_ids = make("cache"), some_ids(4, 9)
    expected = model(token_ids)
    monkeypatch.setattr(ngram, "_CHUNK_ELEMENTS", 5 * 6)
    np.testing.assert_array_equal(model(token_ids), expected)


# === Training ===


@every_config
@pytest.mark.parametrize("cuts", [[1], [2, 4, 100], [7, 7, 299]])
def test_a_text_in_pieces_is_learnt_as_at_once(name, cuts, monkeypatch):
    whole = make(name)
    monkeypatch.setattr(ngram, "_PIECE_TOKENS", 13)
    pieces = (piece.astype("uint8") for piece in np.split(some_text(), cuts))
    model = NGram(whole.config).fit(pieces)
    in_turns = NGram(whole.config)
    for piece in np.split(some_text(), cuts):
        in_turns.update(piece)
    for other in (model, in_turns):
        assert other.count_params() == whole.count_params()
        for found, expected in zip(other._levels, whole._levels, strict=True):
            np.testing.assert_array_equal(found.codes, expected.codes)
            np.testing.assert_array_equal(found.counts, expected.counts)
        np.testing.assert_array_equal(other(some_ids()), whole(some_ids()))


def test_fit_forgets_and_update_does_not():
    model = fitted(some_text(seed=1), vocab_size=6, order=4).fit(some_text())
    expected = make("modified-kneser-ney")
    np.testing.assert_array_equal(model(some_ids()), expected(some_ids()))
    twice = fitted(some_text(), vocab_size=6, order=1).update(some_text())
    assert ngrams(twice, 1) == {
        found: 2 * count for found, count in ngrams(fitted(some_text(), 6, order=1), 1).items()
    }


@pytest.fixture(scope="module")
def characters(small_text):
    """The small text as ids of its characters, nine tenths and one tenth."""
    text = small_text.read_text()
    vocabulary = {character: n for n, character in enumerate(sorted(set(text)))}
    ids = np.array([vocabulary[character] for character in text])
    cut = 9 * len(ids) // 10
    return ids[:cut], ids[cut:], len(vocabulary)


@pytest.mark.parametrize("smoothing", ["witten-bell", "stupid-backoff", *KNESER_NEY])
def test_a_longer_context_lowers_the_perplexity_of_held_out_text(smoothing, characters):
    train, held_out, size = characters
    losses = [
        -fitted(train, size, order=order, smoothing=smoothing)
        .token_log_probs(held_out[None])
        .mean()
        for order in range(1, 5)  # longer ones have nothing to add in this small grammar
    ]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.3 * losses[0]


def test_kneser_ney_predicts_held_out_text_better_than_add_k(characters):
    train, held_out, size = characters
    loss = {
        smoothing: -fitted(train, size, smoothing=smoothing).token_log_probs(held_out[None]).mean()
        for smoothing in ("add-k", "modified-kneser-ney")
    }
    assert loss["modified-kneser-ney"] < loss["add-k"]


# === Keeping ===


@every_config
def test_a_saved_model_gives_the_same_logits_and_can_go_on_learning(name, tmp_path):
    model = make(name)
    model.save(tmp_path / "model")
    again = NGram.load(tmp_path / "model")
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert again.config == model.config
    np.testing.assert_array_equal(again(some_ids()), model(some_ids()))
    for each in (model, again):
        each.update(some_text(seed=1))
    np.testing.assert_array_equal(again(some_ids()), model(some_ids()))


def test_an_n_gram_model_needs_no_tensorflow(tmp_path):
    make("boundary").save(tmp_path / "model.npz")
    script = """
import sys
from kerazoo.models.ngram import NGram
NGram.load(sys.argv[1]).probabilities([1])
print("tensorflow" in sys.modules, "keras" in sys.modules)
"""
    outcome = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "model.npz")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert outcome.stdout.split() == ["False", "False"]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the most memory used as Linux tells it")
def test_a_million_words_are_counted_and_scored_in_less_than_1_5_gb():
    # The r-th word is as frequent as 1 / r says (Zipf), so nearly all longer n-grams are new.
    script = """
import time
from pathlib import Path
import numpy as np
from kerazoo.models.configs import NGramConfig
from kerazoo.models.ngram import NGram
shares = 1 / np.arange(1, 10_001)
words = np.random.default_rng(0).choice(10_000, 1_000_000, p=shares / shares.sum())
begin = time.perf_counter()
model = NGram(NGramConfig(vocab_size=10_000, order=5, smoothing="modified-kneser-ney")).fit(words)
counted = time.perf_counter()
log_probs = model.token_log_probs(words[None])
scored = time.perf_counter()
assert log_probs.shape == (1, 1_000_000) and np.isfinite(log_probs).all()
# The resident set at its largest, in kB. (`ru_maxrss` would begin with that of the process before.)
peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
print(int(peak) * 1024, counted - begin, scored - counted)
"""
    outcome = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    peak, counting, scoring = map(float, outcome.stdout.split())
    print(f"{peak / 1e9:.2f} GB, counted in {counting:.1f} s, scored in {scoring:.1f} s")
    assert peak < 1.5e9


def test_a_file_that_is_no_model_is_refused(tmp_path):
    path = tmp_path / "model.npz"
    with pytest.raises(InputError, match="there is no file"):
        NGram.load(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="cannot be read as an n-gram model"):
        NGram.load(path)
    path.write_bytes(b"PK, but no zip file")
    with pytest.raises(InputError, match="cannot be read as an n-gram model"):
        NGram.load(path)


class Trap:
    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize(
    "damage",
    [
        {"config": None},
        {"config": np.array(json.dumps({"order": 2, "width": 3}))},
        {"config": np.array([Trap()], object)},
        {"codes_2": None},
        {"codes_2": np.array([5, 3, 999])},
        {"codes_1": np.array([0, 1, 2, 2**40])},
        {"counts_2": np.array([1.0])},
        {"last": np.array([77])},
    ],
)
def test_a_damaged_model_is_refused(damage, tmp_path, capsys):
    model = fitted(SMALL, order=2)
    model.save(tmp_path / "good.npz")
    arrays = {**np.load(tmp_path / "good.npz"), **damage}
    arrays = {name: array for name, array in arrays.items() if array is not None}
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(InputError, match="cannot be read as an n-gram model"):
        NGram.load(tmp_path / "bad.npz")
    assert "run" not in capsys.readouterr().out


# === What is refused ===


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"order": 0}, "--model.order is 0; it must be at least 1"),
        ({"k": 0}, "--model.k is 0; it must be above 0."),
        ({"backoff": 1.5}, "--model.backoff is 1.5; it must be above 0 and at most 1"),
        ({"cache_size": 100}, "--model.cache-size is 100 and --model.cache-weight 0.0; give both"),
        ({"cache_weight": 1.0}, "--model.cache-weight is 1.0; it must be from 0 to below 1"),
        ({"boundary": 5}, "--model.boundary is 5, which is no text.*--model.boundary-id"),
        (
            {"boundary": "5", "boundary_id": 5},
            "--model.boundary '5' and --model.boundary-id 5 both",
        ),
        ({"boundary_id": -1}, "--model.boundary-id is -1"),
        ({"vocab_size": 5, "boundary_id": 5}, "--model.boundary-id is 5, which is no token of the"),
    ],
)
def test_a_value_that_is_not_allowed_is_named(fields, message):
    with pytest.raises(InputError, match=message):
        NGramConfig(**fields)


def test_a_model_without_a_vocabulary_is_refused():
    with pytest.raises(ValueError, match="vocab_size is 0"):
        NGram(NGramConfig())


def test_a_boundary_whose_token_is_not_known_is_refused():
    with pytest.raises(ValueError, match="set boundary_id"):
        NGram(NGramConfig(vocab_size=5, boundary="5"))


@pytest.mark.parametrize("wrong", [np.array([[1, 6]]), np.array([[-1, 2]]), np.ones((1, 2)), [1]])
def test_ids_outside_the_vocabulary_are_refused(wrong):
    model = make("witten-bell")
    with pytest.raises(ValueError, match="token ids are"):
        model(wrong)
    with pytest.raises(ValueError, match="token ids are"):
        model.token_log_probs(wrong)


# === With the rest of kerazoo ===


@pytest.mark.parametrize("name", ["modified-kneser-ney", "boundary", "cache"])
def test_scoring_in_windows_equals_scoring_the_text_as_one(name, small_text):
    from kerazoo.data import batches, tokenizers
    from kerazoo.data.text import Text
    from kerazoo.models import families
    from kerazoo.tasks.language_modeling import score

    text = Text.of(small_text)
    tokenizer = tokenizers.train("char", text, 0)
    tokens = batches.tokenize(text, tokenizer)
    (ids,) = tokens.read([0], tokens.num_tokens)
    config = NGramConfig(**{"vocab_size": tokenizer.vocab_size, "order": 4, **CONFIGS[name]})
    model = families.build(config).fit(ids[:5000])
    expected = -model.token_log_probs(ids[None]).sum(dtype=float)
    assert score(model, tokens).nats == pytest.approx(expected, rel=1e-5)


PROMPTS = [np.array([1, 2, 3]), np.array([4]), np.arange(5), np.arange(50) % 6]


def likeliest(model, prompt, number):
    tokens = list(prompt)
    for _ in range(number):
        tokens.append(int(np.argmax(model.probabilities(tokens).astype("float32"))))
    return tokens


@pytest.mark.parametrize("name", ["witten-bell", "one token", "cache"])
def test_greedy_generation_takes_the_likeliest_token_each_time(name):
    from kerazoo.models.decoding import generate

    model = make(name)
    for found, prompt in zip(
        generate(model, PROMPTS, 40, Sampling("greedy")), PROMPTS, strict=True
    ):
        assert found.tolist() == likeliest(model, prompt, 40)


@pytest.mark.parametrize("sampler", ["temperature", "top-k", "top-p", "beam", "contrastive"])
def test_every_sampler_continues_the_prompts(sampler):
    from kerazoo.models.decoding import generate

    sampling = Sampling(sampler, seed=1, k=3, num_beams=3)
    first, second = (generate(make("witten-bell"), PROMPTS, 12, sampling) for _ in range(2))
    for row, same, prompt in zip(first, second, PROMPTS, strict=True):
        assert row[: len(prompt)].tolist() == prompt.tolist()
        assert len(row) == len(prompt) + 12
        assert row.tolist() == same.tolist()


def test_contrastive_search_passes_over_what_has_no_probability():
    from kerazoo.models.decoding import generate

    text = np.tile([0, 1, 2, 0, 2, 1], 50)  # no token is ever followed by itself
    model = fitted(text, vocab_size=6, order=2, smoothing="maximum-likelihood")
    (row,) = generate(model, [np.array([0])], 12, Sampling("contrastive", k=2, alpha=0.6))
    assert model.token_log_probs(row[None]).min() > -np.inf


def test_temperature_samples_from_the_probabilities():
    from kerazoo.models.decoding import generate

    model, prompt = make("modified-kneser-ney"), np.array([0, 1, 2])
    rows = generate(model, [prompt] * 4000, 1, Sampling(temperature=1.0, seed=0))
    found = np.bincount([row[-1] for row in rows], minlength=6) / 4000
    # Three standard deviations of a frequency from 4,000 draws are at most 0.024.
    np.testing.assert_allclose(found, model.probabilities(prompt), atol=0.03)


def test_sentences_are_counted_one_by_one_from_the_command_line(small_text, tmp_path):
    import kerazoo
    from kerazoo.train import main

    lines = [f" {line} \n" for line in small_text.read_text().splitlines()]
    (tmp_path / "text.txt").write_text("".join(lines))  # with spaces as in the Penn Treebank
    arguments = ["ngram-ptb", "--data.text", str(tmp_path / "text.txt"), "--out", f"{tmp_path}/run"]
    main(arguments)
    main([*arguments, "--resume"])  # finds the same settings
    run = kerazoo.load(tmp_path / "run")
    end = run.tokenizer.encode(" \n")
    assert run.model.config == NGramConfig(run.tokenizer.vocab_size, boundary_id=end[0])
    after_a_line, after_another = (
        run.model.probabilities(run.tokenizer.encode(text)) for text in (" \n", " a dog. \n")
    )
    np.testing.assert_array_equal(after_a_line, after_another)


@pytest.mark.parametrize(
    ("boundary", "message"),
    [
        (
            "queen",
            r"'queen', which is not one token of this whitespace .* 20; give the text of one\.",
        ),
        ("a dog", "'a dog', which is not one token"),
        (r" \n", r"' \\n', which is not one token .* give the text of one, such as '\\n'\."),
        ("king", r"'king', which .* such as ' king'\."),
    ],
)
def test_a_boundary_that_is_no_token_is_refused(boundary, message, small_text):
    from kerazoo.data import tokenizers
    from kerazoo.data.text import Text
    from kerazoo.recipe import completed

    tokenizer = tokenizers.train("whitespace", Text.of(small_text), 100)
    assert completed(NGramConfig(boundary=r"\n"), tokenizer).boundary_id == tokenizer.encode("\n")
    with pytest.raises(InputError, match=message):
        completed(NGramConfig(boundary=boundary), tokenizer)


# === Published figures ===


@pytest.mark.network
@pytest.mark.parametrize(("order", "perplexity"), [(3, 148.3), (5, 141.2)])
def test_modified_kneser_ney_reaches_the_published_perplexity_on_penn_treebank(
    order, perplexity, monkeypatch
):
    from kerazoo.data import datasets, tokenizers
    from kerazoo.recipe import completed
    from kerazoo.recipes import RECIPES

    shared = Path(__file__).parents[3] / "shared" / "data"
    if (shared / "ptb").is_dir():
        monkeypatch.setenv("KERAZOO_MIRROR", str(shared))
    recipe = RECIPES["ngram-ptb"]
    try:
        corpus = datasets.load(recipe.data)
    except InputError as error:
        pytest.skip(f"needs the Penn Treebank: {error}")

    size = recipe.data.vocab_size
    tokenizer = tokenizers.train(recipe.data.tokenizer, corpus.train, size)
    model = NGram(completed(replace(recipe.model, order=order), tokenizer))
    train, test = (tokenizer.encode(text.read()) for text in (corpus.train, corpus.test))
    # The end of a line is a word to predict, as is <unk>, of which the tokenizer has another one.
    assert (tokenizer.vocab_size, len(train), len(test)) == (10_001, 929_589, 82_430)
    log_probs = model.fit(train).token_log_probs(test[None])
    # The published models (Mikolov et al. 2011) leave out some n-grams that were seen once.
    assert math.exp(-log_probs.mean(dtype=float)) == pytest.approx(perplexity, rel=0.01)
