"""Accuracy, precision, recall, F1 and the Matthews correlation of labels, by scikit-learn.

Accuracy is the share of examples with the right label; balanced accuracy the mean over the classes
of the share found, so that a rare class counts as much as a frequent one. Precision, recall and F1
are averaged over classes (macro), over classes by their size (weighted), or counted over all
examples at once (micro; with one label an example, all three are then the accuracy). The Matthews
correlation coefficient (MCC) is 1 for right labels and about 0 for guessed ones, however unequal
the classes.

Letters: N examples, C classes, R draws.
"""

import warnings
from collections.abc import Sequence

import numpy as np
import sklearn
from scipy import sparse
from sklearn import metrics

from . import calibration
from .examples import check_pairs
from .precision_recall import ClassScores, Counts, class_scores
from .report import Report
from .score import Score, drawn_sums

Label = str | int
MOST_LABELS = 1_000
_SIGNATURE = f"scikit-learn|undefined:0|version:{sklearn.__version__}"


def score(predictions: Sequence[Label], references: Sequence[Label]) -> dict[str, Score]:
    """Score labels.

    >>> scores = score(["spam", "ham", "ham", "ham"], ["spam", "spam", "ham", "ham"])
    >>> {name: round(scores[name].value, 3) for name in ("accuracy", "F1 macro", "MCC")}
    {'accuracy': 0.75, 'F1 macro': 0.733, 'MCC': 0.577}

    Args:
        predictions: the label that the system gave to each example.
        references: the right ones.

    Returns:
        The scores by name.

    Raises:
        InputError: if there are not as many of both.
    """
    labels, predicted, gold = _coded(predictions, references)
    sums = drawn_sums(_statistics(predicted, gold, len(labels)))
    counts = Counts.from_sums(sums)
    values = {"accuracy": metrics.accuracy_score(gold, predicted)}
    drawn = {"accuracy": counts.hits.sum(-1) / len(gold)}
    with warnings.catch_warnings():  # of labels that are never right, and of a single one
        warnings.simplefilter("ignore")
        values["balanced accuracy"] = metrics.balanced_accuracy_score(gold, predicted)
        values["MCC"] = metrics.matthews_corrcoef(gold, predicted)
    drawn["balanced accuracy"] = counts.recall.sum(-1) / (counts.gold > 0).sum(-1)
    averages = {
        "macro": counts.macro,
        "weighted": counts.weighted,
        "micro": lambda of_classes: drawn["accuracy"],
    }
    for average, average_drawn in averages.items():
        precision, recall, f1, _ = metrics.precision_recall_fscore_support(
            gold, predicted, average=average, zero_division=0
        )
        for name, value, of_classes in (
            (f"precision {average}", precision, counts.precision),
            (f"recall {average}", recall, counts.recall),
            (f"F1 {average}", f1, counts.f1),
        ):
            values[name], drawn[name] = value, average_drawn(of_classes)
    drawn["MCC"] = _matthews(counts, len(gold))
    return {
        name: Score(float(value), drawn[name], len(gold), _SIGNATURE)
        for name, value in values.items()
    }


def per_class(
    predictions: Sequence[Label], references: Sequence[Label]
) -> dict[Label, ClassScores]:
    """Return precision, recall and F1 of each label.

    >>> spam = per_class(["spam", "ham", "ham"], ["spam", "spam", "ham"])["spam"]
    >>> spam.precision.value, spam.recall.value, spam.support
    (1.0, 0.5, 2)

    Args:
        predictions: the label that the system gave to each example.
        references: the right ones.

    Raises:
        InputError: if there are not as many of both.
    """
    labels, predicted, gold = _coded(predictions, references)
    counts = Counts.from_sums(drawn_sums(_statistics(predicted, gold, len(labels))))
    values = metrics.precision_recall_fscore_support(
        gold, predicted, labels=range(len(labels)), average=None, zero_division=0
    )
    return class_scores(labels, values, counts, len(gold), _SIGNATURE)


def report(
    predictions: Sequence[Label],
    references: Sequence[Label],
    confidences: Sequence[float] = (),
) -> Report:
    """Return all that can be said of labels, by class, too.

    Args:
        predictions: the label that the system gave to each example.
        references: the right ones.
        confidences: the probability that it gave to the label, from 0 to 1, where it is known.

    Raises:
        InputError: if there are not as many of each.
    """
    scores = score(predictions, references)
    if len(confidences):
        correct = [a == b for a, b in zip(predictions, references, strict=True)]
        scores["calibration error"] = calibration_error(correct, confidences)
    classes, matrix = per_class(predictions, references), confusion(predictions, references)
    return Report(scores, classes, matrix)


def confusion(
    predictions: Sequence[Label], references: Sequence[Label]
) -> tuple[list[Label], np.ndarray]:
    """Return the labels, and how often each right one (row) was predicted as each (column).

    >>> labels, matrix = confusion(["spam", "ham", "ham"], ["spam", "spam", "ham"])
    >>> labels, matrix.tolist()
    (['ham', 'spam'], [[1, 0], [1, 1]])

    Args:
        predictions: the label that the system gave to each example.
        references: the right ones.

    Raises:
        InputError: if there are not as many of both.
    """
    labels, predicted, gold = _coded(predictions, references)
    return labels, metrics.confusion_matrix(gold, predicted, labels=range(len(labels)))


def calibration_error(correct: Sequence[bool], confidences: Sequence[float]) -> Score:
    """Return the expected calibration error: see `calibration`.

    Chance alone makes it larger than zero, in the draws as in the examples, so that the interval of
    a small error lies above it.

    >>> round(calibration_error([True, True, False, True], [0.9, 0.9, 0.9, 0.6]).value, 3)
    0.275

    Args:
        correct: whether each example got the right label.
        confidences: the probability that the system gave to the label, from 0 to 1.

    Raises:
        InputError: if there are not as many of both.
    """
    check_pairs(correct, confidences)
    confidences = np.asarray(confidences, np.float64)
    gaps = np.asarray(correct, np.float64) - confidences
    bins = calibration.bins_of(confidences)
    table = gaps[:, None] * (bins[:, None] == np.arange(calibration.NUM_BINS))  # (N, bins)
    error, drawn = (
        calibration.expected_error(sums, len(gaps)) for sums in (table.sum(0), drawn_sums(table))
    )
    return Score(float(error), drawn, len(gaps), calibration.SIGNATURE)


def _coded(
    predictions: Sequence[Label], references: Sequence[Label]
) -> tuple[list[Label], np.ndarray, np.ndarray]:
    """Return the labels in order, and predictions and references as their numbers."""
    check_pairs(predictions, references)
    labels = sorted({*predictions, *references}, key=lambda label: (str(type(label)), label))
    number = {label: k for k, label in enumerate(labels)}
    predicted, gold = (
        np.array([number[label] for label in each]) for each in (predictions, references)
    )
    return labels, predicted, gold


def _statistics(predicted: np.ndarray, gold: np.ndarray, num_classes: int) -> sparse.csr_array:
    """Return hits, predicted and gold of each example by class, (N, 3 C), one-hot."""
    examples = np.arange(len(gold))
    right = predicted == gold
    rows = np.concatenate([examples[right], examples, examples])
    columns = np.concatenate([gold[right], num_classes + predicted, 2 * num_classes + gold])
    shape = (len(gold), 3 * num_classes)
    return sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape)


def _matthews(counts: Counts, num_examples: int) -> np.ndarray:
    """Return the Matthews correlation coefficient of each draw (Gorodkin 2004)."""
    n = num_examples
    covariance = n * counts.hits.sum(-1) - (counts.predicted * counts.gold).sum(-1)
    variances = [n**2 - (each**2).sum(-1) for each in (counts.predicted, counts.gold)]
    product = variances[0] * variances[1]
    return np.where(product > 0, covariance / np.sqrt(np.maximum(product, 1)), 0.0)
