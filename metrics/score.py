"""A score with its 95 % interval, and the comparison of two systems on the same examples.

The bootstrap (Efron 1979; for translation Koehn 2004) draws the examples with replacement, again
and again, and scores each draw: how much the score changes shows how much of it is the choice of
the examples. What another training would make of the system is not in it.

A score that can be told from sums over the examples need not look at the texts again: the sums of a
draw are a product of matrices. Draws depend on the number of examples alone, so two systems that
are scored apart have been drawn alike, and their difference is that of a paired test.

Letters: N examples, K statistics of an example, R draws.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from ..errors import InputError

NUM_DRAWS = 1000
SEED = 12345
"""sacreBLEU's seed: its intervals come from the same draws."""
_CHUNK = 1 << 23  # numbers held at a time


@dataclass(frozen=True)
class Score:
    """What a metric gives to a system.

    Args:
        value: the score; not a number where the metric is not defined.
        drawn: the scores of the draws, (R,).
        num_examples: how many examples it was computed from.
        signature: the tool, its version and its settings.
        scale: 100 where the tool counts in hundredths, as BLEU does; 1 elsewhere.
        num_counted: how many of the examples have a part in it; None where all have.
    """

    value: float
    drawn: np.ndarray = field(repr=False, compare=False)
    num_examples: int
    signature: str = ""
    scale: int = 1
    num_counted: int | None = None

    TEST: ClassVar[str] = f"paired bootstrap, {NUM_DRAWS:,} draws"
    """Where the p-value of a difference comes from."""

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval; None where fewer than two examples have a part in the score."""
        return None if self._num_counted < 2 else _interval(self.drawn)

    @property
    def _num_counted(self) -> int:
        return self.num_examples if self.num_counted is None else self.num_counted

    def against(self, baseline: "Score") -> "Difference":
        """Compare with another system's score on the same examples, in the same order.

        >>> right = np.array([1, 1, 0, 1, 1, 1, 1, 1])
        >>> score, baseline = mean_score(right), mean_score(1 - right)
        >>> score.against(baseline).value
        0.75

        Raises:
            InputError: if the two were not computed from as many examples.
        """
        if self.num_examples != baseline.num_examples:
            raise InputError(
                f"the system has {self.num_examples} examples and the baseline "
                f"{baseline.num_examples}; compare them on the same ones."
            )
        value = self.value - baseline.value
        if min(self._num_counted, baseline._num_counted) < 2:  # one draws the same only
            return Difference(value, None, math.nan)
        p_value = 1.0 if value == 0 else self._p_value(baseline)
        return Difference(value, _interval(self.drawn - baseline.drawn), p_value)

    def _p_value(self, baseline: "Score") -> float:
        """Return how often chance alone would make a difference as large.

        The paired bootstrap, two-sided: by how much the differences of the draws miss that of the
        examples is what chance makes (Hall and Wilson 1991, guideline 1). Few examples that all
        differ alike draw no chance at all, so p is at least 2^(1 - N), the least that an exact test
        by exchanging the systems' outputs can give to N examples.
        """
        difference = self.value - baseline.value
        by_chance = self.drawn - baseline.drawn - difference
        by_chance = by_chance[np.isfinite(by_chance)]
        if not len(by_chance) or not math.isfinite(difference):
            return math.nan
        # What differs by no more than rounding is equal.
        rounding = 1e-12 * max(abs(self.value), abs(baseline.value))
        larger = np.abs(by_chance) >= abs(difference) - rounding
        least = 2.0 ** (1 - min(self._num_counted, baseline._num_counted))
        return max((int(larger.sum()) + 1) / (len(by_chance) + 1), least)

    def to_json(self) -> dict[str, Any]:
        """Return the score, its interval and how it was computed."""
        return {
            "value": _finite(self.value),
            "interval": self.interval,
            "signature": self.signature,
        }


@dataclass(frozen=True)
class Difference:
    """By how much a system differs from a baseline.

    Args:
        value: the system's score less the baseline's.
        interval: the 95 % interval of the difference.
        p_value: the probability of a difference as large, either way, were the systems alike; NaN
            where fewer than two examples have a part in the scores.
    """

    value: float
    interval: tuple[float, float] | None
    p_value: float

    def to_json(self) -> dict[str, Any]:
        """Return the difference, its interval and the p-value."""
        return {
            "value": _finite(self.value),
            "interval": self.interval,
            "p_value": _finite(self.p_value),
        }


def draws(num_examples: int) -> Iterator[np.ndarray]:
    """Yield how often each example is in each draw: float64 (r, N), R rows in all."""
    generator = np.random.default_rng(SEED)
    rows = max(1, _CHUNK // num_examples)
    for start in range(0, NUM_DRAWS, rows):
        shape = (min(rows, NUM_DRAWS - start), num_examples)
        picked = generator.choice(num_examples, size=shape, replace=True)
        picked += num_examples * np.arange(shape[0])[:, None]  # so that one count serves all rows
        counts = np.bincount(picked.ravel(), minlength=picked.size)
        yield counts.reshape(shape).astype(np.float64)


def drawn_sums(statistics: Any) -> np.ndarray:
    """Return the sums of the statistics of each draw.

    Args:
        statistics: what was counted in each example, an array or a SciPy sparse array, (N, K).

    Returns:
        float64 (R, K).
    """
    return np.concatenate([counts @ statistics for counts in draws(statistics.shape[0])])


def mean_scores(
    columns: Mapping[str, Sequence[float] | np.ndarray],
    signature: str = "",
    scale: int = 1,
) -> dict[str, Score]:
    """Return the means of what each example was given, as scores.

    Args:
        columns: by name, a number for each example; a mean is of those that are numbers.
        signature: see `Score`.
        scale: what the means are multiplied by.
    """
    table = np.array(list(columns.values()), np.float64).T  # (N, K)
    counted = np.isfinite(table)
    sums = np.hstack([np.where(counted, table, 0), counted])  # (N, 2 K)
    with np.errstate(invalid="ignore"):
        means, drawn = (
            scale * total[..., : len(columns)] / total[..., len(columns) :]
            for total in (sums.sum(0), drawn_sums(sums))
        )
    return {
        name: Score(float(mean), drawn[:, k], len(table), signature, scale, int(number))
        for k, (name, mean, number) in enumerate(zip(columns, means, counted.sum(0), strict=True))
    }


def mean_score(values: Sequence[float] | np.ndarray, signature: str = "", scale: int = 1) -> Score:
    """Return the mean of what each example was given, as a score.

    >>> mean_score([0, 1, 1, 1]).value
    0.75
    """
    return mean_scores({"mean": values}, signature, scale)["mean"]


def _interval(drawn: np.ndarray) -> tuple[float, float] | None:
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return None
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def _finite(value: float) -> float | None:
    """Return the number, or None, as JSON has no other."""
    return float(value) if math.isfinite(value) else None
