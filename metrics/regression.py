"""Errors and correlations of predicted numbers, by scikit-learn and SciPy.

MSE is the mean squared error, MAE the mean absolute one, both in the references' own scale.
Pearson's correlation is 1 where predictions lie on a rising line over the references, Spearman's
where they are only in the same order; neither is defined where all predictions, or all references,
are equal.

Letters: N examples, R draws.
"""

import warnings
from collections.abc import Sequence

import numpy as np
import scipy
import sklearn
from scipy import stats
from sklearn.metrics import mean_absolute_error, mean_squared_error

from ..errors import InputError
from .examples import check_pairs
from .score import Score, draws


def score(predictions: Sequence[float], references: Sequence[float]) -> dict[str, Score]:
    """Score numbers.

    >>> scores = score([1.0, 2.0, 4.0, 8.0], [1.0, 2.0, 3.0, 4.0])
    >>> {name: round(score.value, 3) for name, score in scores.items()}
    {'MSE': 4.25, 'MAE': 1.25, 'Pearson': 0.959, 'Spearman': 1.0}

    Args:
        predictions: what the system said of each example.
        references: what is right.

    Returns:
        The scores by name.

    Raises:
        InputError: if there are not as many of both, or some are no finite numbers.
    """
    check_pairs(predictions, references)
    x, y = (np.asarray(each, np.float64) for each in (predictions, references))
    for number, pair in enumerate(zip(x, y, strict=True), start=1):
        if not np.isfinite(pair).all():
            raise InputError(f"example {number} has a value that is no finite number.")
    values = {
        "MSE": mean_squared_error(y, x),
        "MAE": mean_absolute_error(y, x),
        "Pearson": _correlation(stats.pearsonr, x, y),
        "Spearman": _correlation(stats.spearmanr, x, y),
    }
    errors = np.stack([(x - y) ** 2, np.abs(x - y)], axis=1)  # (N, 2)
    centred = x - x.mean(), y - y.mean()  # correlations stay, rounding errors shrink
    parts = [
        (counts @ errors / len(x), _pearson(counts, *centred), _spearman(counts, x, y))
        for counts in draws(len(x))
    ]
    drawn_errors, pearson, spearman = (np.concatenate(part) for part in zip(*parts, strict=True))
    drawn = (*drawn_errors.T, pearson, spearman)
    by_sklearn = f"scikit-learn|version:{sklearn.__version__}"
    by_scipy = f"SciPy|version:{scipy.__version__}"
    signatures = (by_sklearn, by_sklearn, by_scipy, by_scipy)
    return {
        name: Score(float(value), of_draws, len(x), signature)
        for (name, value), of_draws, signature in zip(
            values.items(), drawn, signatures, strict=True
        )
    }


def _correlation(correlate, x: np.ndarray, y: np.ndarray) -> float:
    if len(x) < 2:
        return float("nan")
    with warnings.catch_warnings():  # of equal values: the result is not a number, which tells
        warnings.simplefilter("ignore")
        return correlate(x, y).statistic


def _pearson(counts: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the correlation in each draw, (R,); x and y are (N,) or, for each draw, (R, N)."""
    n = counts.sum(-1, keepdims=True)
    tiny = [1e-20 * each.var() for each in (x, y)]  # what rounding leaves of no variance at all
    x, y = (each - (counts * each).sum(-1, keepdims=True) / n for each in (x, y))
    covariance, *variances = ((counts * each).sum(-1) / n[:, 0] for each in (x * y, x * x, y * y))
    defined = (variances[0] > tiny[0]) & (variances[1] > tiny[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(defined, covariance / np.sqrt(variances[0] * variances[1]), np.nan)


def _spearman(counts: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the correlation of the ranks in each draw, (R,)."""
    return _pearson(counts, _ranks(counts, x), _ranks(counts, y))


def _ranks(counts: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the rank of each example among those drawn, equal ones sharing theirs: (R, N)."""
    order = np.argsort(x, kind="stable")
    starts = np.flatnonzero(np.diff(x[order], prepend=-np.inf))
    drawn = np.add.reduceat(counts[:, order], starts, axis=1)  # of each distinct value
    middle = np.cumsum(drawn, axis=1) - (drawn - 1) / 2
    return middle[:, np.searchsorted(x[order][starts], x)]
