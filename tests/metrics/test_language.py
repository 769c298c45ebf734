import math

import numpy as np
import pytest

from kerazoo.metrics.classification import calibration_error
from kerazoo.metrics.language import STRETCH_BYTES, LanguageScore, Tally


def scored(nats, num_bytes, unknown=0, unknown_bytes=0.0, lossy=False, right=0.0, sure=0.5):
    """Return the score of tokens with these nats each, of bytes in equal shares."""
    nats = np.asarray(nats, float)
    tally = Tally(num_bytes)
    is_unknown = np.arange(len(nats)) < unknown
    known = (num_bytes - unknown_bytes) / max(1, len(nats) - unknown)
    of_token = np.where(is_unknown, unknown_bytes / max(1, unknown), known)
    tally.add(nats, np.full(len(nats), right), np.full(len(nats), sure), of_token, is_unknown)
    return LanguageScore(tally.stretches, unknown, lossy)


def test_a_uniform_guess_over_bytes_costs_eight_bits():
    score = scored([math.log(256)] * 10, 10)
    assert score.perplexity == pytest.approx(256)
    assert score.bits_per_byte == pytest.approx(8)


def test_bits_per_byte_do_not_depend_on_what_a_token_is():
    characters, words = scored([1.5] * 40, 50), scored([7.5] * 8, 50)
    assert characters.bits_per_byte == pytest.approx(words.bits_per_byte)
    assert characters.perplexity != words.perplexity


def test_unknown_text_must_be_spelled_out():
    known, unknown = scored([7.5] * 8, 50), scored([7.5] * 8, 50, 2, 9)
    assert unknown.bits_per_byte == pytest.approx(known.bits_per_byte + 8 * (9 + 2) / 50)


def test_a_lossy_tokenizer_has_no_bits_per_byte():
    score = scored([7.5] * 8, 50, lossy=True)
    assert score.bits_per_byte is None
    assert score.interval is None
    assert set(score.report.scores) == {"loss", "perplexity", "accuracy", "calibration error"}


def test_perplexity_equals_that_of_keras_nlp():
    import keras
    import keras_nlp

    rng = np.random.default_rng(0)
    token_ids, logits = rng.integers(0, 7, (3, 5)), rng.normal(size=(3, 5, 7)).astype("float32")
    theirs = keras_nlp.metrics.Perplexity(from_logits=True)(token_ids, logits)
    losses = keras.ops.sparse_categorical_crossentropy(token_ids, logits, from_logits=True)
    assert scored(np.ravel(losses), 15).perplexity == pytest.approx(float(theirs), rel=1e-6)


def test_a_hopeless_model_has_infinite_perplexity():
    assert scored([1e5] * 10, 10).perplexity == math.inf


def test_the_interval_is_that_of_a_mean_of_independent_stretches():
    number, length = 400, STRETCH_BYTES
    losses = np.random.default_rng(1).normal(2.0, 0.3, number)
    score = scored(np.repeat(losses, length // 2), number * length)  # two bytes a token
    low, high = score.interval
    width = 2 * 1.96 * losses.std() / math.sqrt(number) / math.log(2) / 2
    assert high - low == pytest.approx(width, rel=0.1)
    assert (low + high) / 2 == pytest.approx(score.bits_per_byte, abs=0.1 * width)
    low, high = score.report.scores["loss"].interval
    assert high - low == pytest.approx(width * 2 * math.log(2), rel=0.1)


def test_too_little_text_and_impossible_text_have_no_interval():
    assert scored([7.5] * 8, 50).interval is None
    impossible = scored([1.5] * 9999 + [math.inf], 10_000)
    assert impossible.bits_per_byte == math.inf
    assert impossible.interval is None
    assert impossible.report.scores["accuracy"].interval == (0, 0)


def test_what_is_left_over_belongs_to_the_last_stretch():
    coarse = Tally(10 * STRETCH_BYTES + 2)
    sizes = np.array([STRETCH_BYTES] * 9 + [STRETCH_BYTES - 3, 5])
    zeros = np.zeros(len(sizes))
    coarse.add(zeros, zeros, zeros, sizes, zeros.astype(bool))
    assert len(coarse.stretches) == 10
    assert len(scored([1.0] * (10 * STRETCH_BYTES + 2), 10 * STRETCH_BYTES + 2).stretches) == 10


def test_stretches_are_the_same_text_for_any_tokenizer():
    rng = np.random.default_rng(0)
    of_bytes = rng.uniform(0, 3, 10 * STRETCH_BYTES)
    fine = scored(of_bytes, len(of_bytes))
    coarse = scored(of_bytes.reshape(-1, 4).sum(1), len(of_bytes))  # four bytes a token
    assert len(fine.stretches) == len(coarse.stretches) == 10
    assert fine.interval == pytest.approx(coarse.interval)
    difference = fine.report.scores["bits/byte"].against(coarse.report.scores["bits/byte"])
    assert difference.interval == pytest.approx((0, 0), abs=1e-12)


def test_a_text_may_come_in_any_pieces():
    rng = np.random.default_rng(0)
    number = 5 * STRETCH_BYTES
    columns = [rng.uniform(0, 3, number), rng.integers(0, 2, number), rng.uniform(0, 1, number)]
    columns += [np.ones(number), np.zeros(number, bool)]
    whole, pieces = Tally(number), Tally(number)
    whole.add(*columns)
    for start in range(0, number, 777):
        pieces.add(*(column[start : start + 777] for column in columns))
    np.testing.assert_allclose(whole.stretches, pieces.stretches)


def test_the_calibration_error_is_that_of_labels():
    rng = np.random.default_rng(0)
    number = 3 * STRETCH_BYTES
    right, sure = rng.integers(0, 2, number), rng.uniform(0, 1, number)
    tally = Tally(number)
    tally.add(np.ones(number), right, sure, np.ones(number), np.zeros(number, bool))
    expected = calibration_error(right == 1, sure).value
    assert LanguageScore(tally.stretches).calibration_error == pytest.approx(expected)
