"""Precision, recall and F1 from counts, class by class.

    precision = hits / predicted        recall = hits / gold        F1 = 2 hits / (predicted + gold)

F1 is the harmonic mean of precision and recall. What nothing was predicted for, or is not there to
be found, has 0, as in scikit-learn and seqeval.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .score import Score


@dataclass(frozen=True)
class Counts:
    """How often each class was predicted, is right, and both; arrays of one shape (..., C).

    Args:
        hits: predicted and right.
        predicted: predicted.
        gold: right.
    """

    hits: np.ndarray
    predicted: np.ndarray
    gold: np.ndarray

    @classmethod
    def from_sums(cls, sums: np.ndarray) -> "Counts":
        """Split (..., 3 C) into hits, predicted and gold, in this order."""
        return cls(*np.split(sums, 3, axis=-1))

    def total(self) -> "Counts":
        """Return the counts of all classes together, (..., 1), for the micro average."""
        return Counts(
            *(each.sum(-1, keepdims=True) for each in (self.hits, self.predicted, self.gold))
        )

    @property
    def precision(self) -> np.ndarray:
        """The share of what was predicted that is right.

        >>> Counts(np.array([3, 0]), np.array([4, 0]), np.array([6, 1])).precision
        array([0.75, 0.  ])
        """
        return self.hits / np.maximum(self.predicted, 1)

    @property
    def recall(self) -> np.ndarray:
        """The share of what is right that was predicted."""
        return self.hits / np.maximum(self.gold, 1)

    @property
    def f1(self) -> np.ndarray:
        """The harmonic mean of precision and recall."""
        return 2 * self.hits / np.maximum(self.predicted + self.gold, 1)

    def macro(self, values: np.ndarray) -> np.ndarray:
        """Return the mean of a value over the classes that there are."""
        there = self.predicted + self.gold > 0
        return (values * there).sum(-1) / np.maximum(there.sum(-1), 1)

    def weighted(self, values: np.ndarray) -> np.ndarray:
        """Return the mean of a value over the classes, weighted by how often each is right."""
        return (values * self.gold).sum(-1) / np.maximum(self.gold.sum(-1), 1)


@dataclass(frozen=True)
class ClassScores:
    """The scores of one class.

    Args:
        precision: the share of its predictions that are right.
        recall: the share of its examples that were found.
        f1: their harmonic mean.
        support: how many there are to be found.
    """

    precision: Score
    recall: Score
    f1: Score
    support: int

    @property
    def by_name(self) -> dict[str, Score]:
        """The scores by name."""
        return {"precision": self.precision, "recall": self.recall, "F1": self.f1}


def class_scores(
    names: Sequence[Hashable],
    values: Sequence[np.ndarray],
    drawn: Counts,
    num_examples: int,
    signature: str,
) -> dict[Any, ClassScores]:
    """Return the scores of each class.

    Args:
        names: the classes.
        values: a tool's precision, recall, F1 and support of each class, (C,) each.
        drawn: the counts of the draws, (R, C).
        num_examples: how many examples they were computed from.
        signature: the tool, its version and its settings.
    """
    draws = (drawn.precision, drawn.recall, drawn.f1)
    return {
        name: ClassScores(
            *(
                Score(float(value[k]), each[:, k], num_examples, signature)
                for value, each in zip(values[:3], draws, strict=True)
            ),
            support=int(values[3][k]),
        )
        for k, name in enumerate(names)
    }
