import math

import pytest

from kerazoo.metrics.language import LanguageScore


def test_a_uniform_guess_over_bytes_costs_eight_bits():
    score = LanguageScore(nats=10 * math.log(256), correct=0, num_tokens=10, num_bytes=10)
    assert score.perplexity == pytest.approx(256)
    assert score.bits_per_byte == pytest.approx(8)


def test_bits_per_byte_do_not_depend_on_what_a_token_is():
    characters = LanguageScore(nats=60.0, correct=0, num_tokens=40, num_bytes=50)
    words = LanguageScore(nats=60.0, correct=0, num_tokens=8, num_bytes=50)
    assert characters.bits_per_byte == words.bits_per_byte
    assert characters.perplexity != words.perplexity


def test_unknown_text_must_be_spelled_out():
    known = LanguageScore(nats=60.0, correct=0, num_tokens=8, num_bytes=50)
    unknown = LanguageScore(60.0, 0, 8, 50, num_unknown=2, unknown_bytes=9)
    assert unknown.bits_per_byte == pytest.approx(known.bits_per_byte + 8 * (9 + 2) / 50)


def test_a_lossy_tokenizer_has_no_bits_per_byte():
    assert LanguageScore(60.0, 0, 8, 50, lossy=True).bits_per_byte is None


def test_perplexity_equals_that_of_keras_nlp():
    import keras
    import keras_nlp
    import numpy as np

    rng = np.random.default_rng(0)
    token_ids, logits = rng.integers(0, 7, (3, 5)), rng.normal(size=(3, 5, 7)).astype("float32")
    theirs = keras_nlp.metrics.Perplexity(from_logits=True)(token_ids, logits)
    losses = keras.ops.sparse_categorical_crossentropy(token_ids, logits, from_logits=True)
    ours = LanguageScore(float(np.sum(losses)), 0, 15, 15)
    assert ours.perplexity == pytest.approx(float(theirs), rel=1e-6)


def test_a_hopeless_model_has_infinite_perplexity():
    assert LanguageScore(1e6, 0, 10, 10).perplexity == math.inf


def test_the_interval_is_that_of_a_mean_of_independent_stretches():
    import numpy as np

    losses = np.random.default_rng(1).normal(2.0, 0.3, 400)
    score = LanguageScore(2.0 * 400_000, 0, 400_000, 500_000, blocks=tuple(losses))
    low, high = score.interval()
    width = 2 * 1.96 * losses.std() / math.sqrt(400) / math.log(2) * 0.8
    assert high - low == pytest.approx(width, rel=0.1)
    assert (low + high) / 2 == pytest.approx(score.bits_per_byte, abs=0.1 * width)
    assert score.interval() == (low, high)


@pytest.mark.parametrize("blocks", [(), (1.0,), (1.0, math.inf)])
def test_too_little_text_and_impossible_text_have_no_interval(blocks):
    assert LanguageScore(60.0, 0, 8, 50, blocks=blocks).interval() is None
