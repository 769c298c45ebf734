import json
import math

import numpy as np
import pytest

from kerazoo.errors import InputError
from kerazoo.metrics import score as module
from kerazoo.metrics.score import NUM_DRAWS, Score, draws, mean_score, mean_scores


def test_the_interval_of_a_mean_is_as_wide_as_theory_says():
    values = np.random.default_rng(1).normal(5.0, 2.0, 400)
    score = mean_score(values)
    low, high = score.interval
    assert score.value == pytest.approx(values.mean())
    assert high - low == pytest.approx(2 * 1.96 * values.std() / math.sqrt(400), rel=0.1)
    assert low < score.value < high


def test_the_interval_is_that_of_scipy():
    from scipy import stats

    values = np.random.default_rng(1).normal(size=200)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=1000, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert mean_score(values).interval == pytest.approx(tuple(theirs), abs=0.1 * width)


def test_the_draws_are_the_same_each_time_and_those_of_sacrebleu(monkeypatch):
    picked = np.random.default_rng(12345).choice(7, size=(NUM_DRAWS, 7), replace=True)
    expected = np.array([np.bincount(row, minlength=7) for row in picked])
    assert np.array_equal(np.concatenate(list(draws(7))), expected)
    monkeypatch.setattr(module, "_CHUNK", 100)  # as for many examples, which come in parts
    assert np.array_equal(np.concatenate(list(draws(7))), expected)


def test_systems_that_err_together_differ_less_than_their_intervals_say():
    rng = np.random.default_rng(2)
    hardness = rng.normal(size=300)
    one, other = (mean_score(hardness + rng.normal(0, 0.1, 300)) for _ in range(2))
    difference = one.against(other)
    assert difference.interval[1] - difference.interval[0] < 0.2 * (
        one.interval[1] - one.interval[0]
    )


def test_equal_systems_are_told_apart_once_in_twenty_times():
    rng = np.random.default_rng(3)
    rejected = [
        mean_score(rng.normal(size=80)).against(mean_score(rng.normal(size=80))).p_value < 0.05
        for _ in range(400)
    ]
    assert 0.02 < np.mean(rejected) < 0.09  # four standard errors around 0.05


def test_a_clear_difference_is_told_and_a_system_is_like_itself():
    values = np.random.default_rng(4).normal(size=100)
    score, better = mean_score(values), mean_score(values + 0.5)
    assert better.against(score).value == pytest.approx(0.5)
    assert better.against(score).p_value == pytest.approx(1 / (NUM_DRAWS + 1))
    assert score.against(better).value == pytest.approx(-0.5)
    assert score.against(score).p_value == 1


@pytest.mark.parametrize("number", [2, 3, 6])
def test_few_examples_that_differ_alike_tell_no_more_than_an_exact_test(number):
    from scipy import stats

    mine, theirs = np.ones(number), np.zeros(number)
    exact = stats.permutation_test(
        (mine, theirs), lambda x, y: np.mean(x - y), permutation_type="samples"
    ).pvalue
    assert mean_score(mine).against(mean_score(theirs)).p_value == pytest.approx(exact)


@pytest.mark.parametrize("scale", [2.0**-50, 2.0**50])
def test_a_p_value_does_not_depend_on_the_unit(scale):
    rng = np.random.default_rng(5)
    values, others = rng.normal(5, 1, 50), rng.normal(5, 1, 50)
    plain = mean_score(values).against(mean_score(others)).p_value
    assert 0.002 < plain < 0.9
    assert mean_score(scale * values).against(mean_score(scale * others)).p_value == plain
    # Three times a tenth is not three tenths, but for rounding.
    assert mean_score([3 * 0.1 * scale] * 9).against(mean_score([0.3 * scale] * 9)).p_value == 1


def test_systems_on_other_examples_are_not_compared():
    with pytest.raises(InputError, match="3 examples and the baseline 2"):
        mean_score([1, 2, 3]).against(mean_score([1, 2]))


def test_one_example_tells_nothing_of_a_difference():
    difference = mean_score([1.0]).against(mean_score([0.0]))
    assert difference.value == 1
    assert difference.interval is None
    assert math.isnan(difference.p_value)


def test_one_example_has_a_score_and_no_interval():
    score = mean_score([0.5])
    assert score.value == 0.5
    assert score.interval is None
    assert score.against(mean_score([0.25])).interval is None


def test_what_is_no_number_is_left_out_of_the_mean():
    scores = mean_scores({"some": [1.0, math.nan, 0.0], "none": [math.nan] * 3})
    assert scores["some"].value == 0.5
    assert scores["some"].num_examples == 3
    assert math.isnan(scores["none"].value)
    assert scores["none"].interval is None
    assert math.isnan(scores["none"].against(scores["none"]).p_value)


def test_a_mean_of_a_single_number_has_no_interval():
    (one, other) = (mean_score([value, *[math.nan] * 9]) for value in (1.0, 0.0))
    assert one.interval is None
    difference = one.against(other)
    assert (difference.value, difference.interval) == (1, None)
    assert math.isnan(difference.p_value)


def test_json_has_null_for_what_is_no_number():
    score = mean_score([math.nan, math.nan])
    text = json.dumps([score.to_json(), score.against(score).to_json()], allow_nan=False)
    assert json.loads(text)[0] == {"value": None, "interval": None, "signature": ""}


def test_scores_compare_by_what_they_say():
    assert Score(0.5, np.zeros(3), 10) == Score(0.5, np.ones(3), 10)
