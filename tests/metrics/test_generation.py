import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU

from kerazoo.errors import InputError
from kerazoo.metrics import generation
from kerazoo.metrics.suffix_automaton import SuffixAutomaton


@pytest.fixture
def shakespeare(mirror):
    return (mirror / "tinyshakespeare" / "input.txt").read_text(encoding="utf-8")


def longest_by_trying(text, other):
    """Return the length of the longest span of a text that is in another."""
    best = 0
    for start in range(len(text)):
        while start + best < len(text) and text[start : start + best + 1] in other:
            best += 1
    return best


letters = st.text("ab好", max_size=12)


@given(texts=st.lists(letters, min_size=1, max_size=4), pieces=st.lists(letters, max_size=4))
@settings(max_examples=300, deadline=None)
def test_the_automaton_finds_what_trying_finds(texts, pieces):
    shared = SuffixAutomaton(texts).longest_shared(pieces)
    other = "".join(pieces)
    for text, span in zip(texts, shared, strict=True):
        assert span in text
        assert span in other
        assert len(span) == longest_by_trying(text, other)


def test_copies_of_a_real_text_are_found(shakespeare):
    chance = random.Random(0)
    texts = []
    for length in (20, 60, 300):
        start = chance.randrange(len(shakespeare) - length)
        texts.append("qqq" + shakespeare[start : start + length] + "zzz 中文")
    copies = generation.longest_copies(texts, shakespeare)
    for text, copy, length in zip(texts, copies, (20, 60, 300), strict=True):
        assert copy in shakespeare
        assert copy in text
        assert length <= len(copy) == longest_by_trying(text, shakespeare)
    pieces = [shakespeare[k : k + 1000] for k in range(0, len(shakespeare), 1000)]
    assert generation.longest_copies(texts, pieces) == copies


def test_a_copy_does_not_span_two_texts():
    assert generation.longest_copies(["ab", "cd"], "abcd") == ["ab", "cd"]
    assert generation.longest_copies(["", "x"], "abcd") == ["", ""]
    assert generation.longest_copies(["x"], "") == [""]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_self_bleu_is_that_of_sacrebleu(language, spanish, chinese):
    texts = [*(chinese if language == "zh" else spanish)[0][:40], "", "a b", "a b"]
    metric = BLEU(effective_order=True, tokenize="zh" if language == "zh" else "13a")
    expected = np.mean(
        [
            metric.sentence_score(text, [*texts[:k], *texts[k + 1 :]]).score
            for k, text in enumerate(texts)
        ]
    )
    score = generation.self_bleu(texts, language)
    assert score.value == pytest.approx(expected, abs=1e-6)
    assert score.signature == str(metric.get_signature())


def test_self_bleu_of_one_text_is_no_number():
    assert math.isnan(generation.self_bleu(["a b c d"]).value)


def test_distinct_by_hand():
    # a b a | a c: 3 different tokens of 5; ab, ba, ac: 3 different pairs of 3.
    tokens = [["a", "b", "a"], ["a", "c"]]
    assert generation.distinct(tokens, 1).value == pytest.approx(3 / 5)
    assert generation.distinct(tokens, 2).value == 1
    assert math.isnan(generation.distinct([["a"], []], 2).value)


def test_the_interval_of_distinct_holds_shares():
    tokens = [["a", "b"], ["c", "d"], ["e", "f"], ["a", "a", "a", "a"]]
    score = generation.distinct(tokens, 1)
    low, high = score.interval
    assert 0 <= low < score.value < high <= 1
    assert "draws:jackknife" in score.signature
    assert generation.distinct([["a", "b"], ["c"]], 2).interval is None  # one text has pairs


def test_the_interval_of_distinct_is_around_it():
    rng = np.random.default_rng(0)
    tokens = [[str(token) for token in rng.zipf(1.5, 20)] for _ in range(200)]
    score = generation.distinct(tokens, 1)
    low, high = score.interval
    assert low < score.value < high
    # New texts of the same kind vary as much as the interval says, within a factor of two.
    others = [
        generation.distinct([[str(t) for t in rng.zipf(1.5, 20)] for _ in range(200)], 1).value
        for _ in range(30)
    ]
    assert 0.5 < (high - low) / (4 * np.std(others)) < 2


def test_repetition_by_hand():
    # abab has ab ba ab: one of three was there; abc repeats nothing; a has no pair.
    score = generation.repetition([list("abab"), list("abc"), ["a"]], n=2)
    assert score.value == pytest.approx((1 / 3 + 0) / 2)
    assert score.interval is not None
    assert generation.repetition([list("abab"), ["a"]], n=2).interval is None


def test_a_text_that_goes_round_in_circles_is_told(shakespeare):
    texts = [text for text in shakespeare.split("\n\n") if len(text) > 100][:50]
    fresh = generation.score(texts)
    stuck = generation.score(["the same again and " * 20] * 50)
    assert stuck["repetition"].value > 0.9 > 0.1 > fresh["repetition"].value
    assert stuck["distinct-2"].value < 0.01 < 0.5 < fresh["distinct-2"].value
    assert stuck["self-BLEU"].value == pytest.approx(100)
    assert fresh["self-BLEU"].value < 50
    assert stuck["repetition"].against(fresh["repetition"]).p_value < 0.01


def test_training_text_gives_the_length_of_copies(shakespeare):
    texts = ["To be or not", shakespeare[1000:1100]]
    scores = generation.score(texts, training=shakespeare)
    assert scores["longest copy"].value >= (5 + 100) / 2
    assert "longest copy" not in generation.score(texts)


def test_chinese_is_counted_by_character():
    assert generation.score(["好好好好好"], "zh")["distinct-1"].value == pytest.approx(1 / 5)


def test_no_texts_are_refused():
    with pytest.raises(InputError, match="no examples"):
        generation.score([])
