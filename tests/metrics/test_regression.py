import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import mean_absolute_error, mean_squared_error

from kerazoo.errors import InputError
from kerazoo.metrics import regression


@pytest.fixture
def ratings(mirror):
    """Ratings from 0 to 4, with many ties, and guesses of them."""
    text = (mirror / "sst-fine" / "stsa.fine.dev").read_text(encoding="utf-8")
    references = np.array([int(line.split()[0]) for line in text.split("\n") if line])
    noise = np.random.default_rng(0).normal(0, 1, len(references))
    return np.round(references + noise, 1), references


def by_reference_tools(predictions, references):
    return {
        "MSE": mean_squared_error(references, predictions),
        "MAE": mean_absolute_error(references, predictions),
        "Pearson": stats.pearsonr(predictions, references).statistic,
        "Spearman": stats.spearmanr(predictions, references).statistic,
    }


def test_scores_are_those_of_scikit_learn_and_scipy(ratings):
    scores = regression.score(*ratings)
    for name, value in by_reference_tools(*ratings).items():
        assert scores[name].value == pytest.approx(value, abs=1e-6)
        low, high = scores[name].interval
        assert low < value < high


def test_a_draw_scores_what_the_tools_give_to_its_examples(ratings, picked):
    predictions, references = ratings
    rows = picked(len(references))
    scores = regression.score(*ratings)
    for name, value in by_reference_tools(predictions[rows], references[rows]).items():
        assert scores[name].drawn[0] == pytest.approx(value, abs=1e-6)


def test_numbers_far_from_zero_lose_nothing(ratings):
    predictions, references = ratings
    far = regression.score(predictions + 1e9, references + 1e9)
    near = regression.score(predictions, references)
    assert far["Pearson"].interval == pytest.approx(near["Pearson"].interval, abs=1e-5)


def test_numbers_of_very_different_sizes_keep_their_ranks():
    numbers = [*(1e-20 * k for k in range(8)), 1e6]
    assert regression.score(numbers, range(9))["Spearman"].interval == pytest.approx((1, 1))


def test_equal_predictions_have_no_correlation():
    scores = regression.score([2.1, 2.1, 2.1], [1.0, 2.0, 3.0])
    assert math.isnan(scores["Pearson"].value)
    assert math.isnan(scores["Spearman"].value)
    assert scores["Pearson"].interval is None
    assert scores["MSE"].value == pytest.approx((1.1**2 + 0.1**2 + 0.9**2) / 3)


def test_draws_of_equal_examples_are_left_out():
    # With three examples, one draw in nine has one of them thrice, and no correlation.
    score = regression.score([1.0, 2.0, 3.0], [2.0, 3.0, 5.0])["Pearson"]
    assert 0.08 < np.isnan(score.drawn).mean() < 0.14
    assert score.interval[1] == pytest.approx(1)


def test_one_example_has_errors_alone():
    scores = regression.score([1.0], [3.0])
    assert scores["MSE"].value == 4
    assert math.isnan(scores["Pearson"].value)


@pytest.mark.parametrize(
    ("predictions", "message"),
    [([1.0], "1 predictions and 2 references"), ([1.0, math.nan], "example 2")],
)
def test_what_cannot_be_scored_is_refused(predictions, message):
    with pytest.raises(InputError, match=message):
        regression.score(predictions, [1.0, 2.0])
