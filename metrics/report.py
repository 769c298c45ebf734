"""Scores as tables and as JSON, of one system or of two that are compared.

A table has a line for each score: value, 95 % interval and, next to another system, the difference
with its interval and p-value. Below it stands how the numbers were computed.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..errors import InputError, did_you_mean
from .precision_recall import ClassScores
from .score import Difference, Score

LEAST_WIDTH = 140
"""Characters in a line of a table, at least."""
MOST_LABELS_SHOWN = 12
"""A confusion matrix of more labels is not shown, but in the JSON."""


@dataclass(frozen=True)
class Report:
    """What can be said of a system's predictions.

    Args:
        scores: the scores by name.
        classes: precision, recall and F1 of each label or type.
        confusion: the labels, and how often each right one (row) was predicted as each (column).
        notes: what else there is to know.
    """

    scores: Mapping[str, Score]
    classes: Mapping[str, ClassScores] = field(default_factory=dict)
    confusion: tuple[list[str], np.ndarray] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """One score of a system, next to the baseline's if there is one."""

    name: str
    score: Score
    baseline: Score | None = None
    difference: Difference | None = None


def chosen(wanted: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the names that were asked for, or all.

    >>> chosen(["f1-macro"], ["accuracy", "F1 macro"])
    ['F1 macro']

    Args:
        wanted: names as in `--metrics`: small letters, hyphens for spaces.
        names: the names that there are.

    Raises:
        InputError: if one is none of them.
    """
    by_option = {re.sub("[ ,]+", "-", name.lower()): name for name in names}
    for name in wanted:
        if name.lower() not in by_option:
            raise InputError(
                f"--metrics has '{name}'; there are {', '.join(by_option)}"
                f"{did_you_mean(name.lower(), by_option)}"
            )
    return [by_option[name.lower()] for name in wanted] or list(names)


def compare(
    report: Report, baseline: Report | None = None, metrics: Sequence[str] = ()
) -> list[Line]:
    """Return the lines of the table.

    Args:
        report: the system's scores.
        baseline: those of the system to compare with.
        metrics: which scores are wanted, all if none is named.

    Raises:
        InputError: if there is no such score.
    """
    lines = []
    for name in chosen(metrics, list(report.scores)):
        score = report.scores[name]
        other = baseline.scores.get(name) if baseline else None
        lines.append(Line(name, score, other, score.against(other) if other else None))
    return lines


def table(lines: Sequence[Line]) -> Table:
    """Return the scores as a table, which rich and notebooks show."""
    compared = any(line.baseline for line in lines)
    columns = ("baseline", "95 %", "difference", "95 %", "p") if compared else ()
    rows = _table("metric", "score", "95 %", *columns)
    for line in lines:
        digits = _digits(line.score)
        cells = [line.name, *_shown(line.score, digits)]
        if line.difference:
            cells += [*_shown(line.baseline, digits), *_shown(line.difference, digits, sign="+")]
            p_value = line.difference.p_value
            cells.append("-" if math.isnan(p_value) else f"{p_value:.4f}")
        rows.add_row(*cells)
    return rows


def shown(score: Score) -> str:
    """Return a score in a few words: its value and its interval."""
    value, interval = _shown(score, _digits(score))
    return value if interval == "-" else f"{value} ({interval})"


def _digits(score: Score) -> int:
    if score.scale == 100:
        return 2
    small = 0 < abs(score.value) < 0.001  # such as squared errors of small numbers
    return 3 - math.floor(math.log10(abs(score.value))) if small else 4


def _shown(score: Score | Difference, digits: int, sign: str = "") -> tuple[str, str]:
    form = f"{{:{sign}.{digits}f}}"
    value = "-" if math.isnan(score.value) else form.format(score.value)
    return value, "-" if score.interval is None else " to ".join(map(form.format, score.interval))


def class_table(classes: Mapping[str, ClassScores]) -> Table:
    """Return precision, recall and F1 of each class as a table."""
    shown = _table("", "precision", "recall", "F1", "of")
    for name, scores in classes.items():
        values = (scores.precision, scores.recall, scores.f1)
        cells = (f"{score.value:.4f}" for score in values)
        shown.add_row(Text(name), *cells, f"{scores.support:,}")
    return shown


def confusion_table(labels: Sequence[str], matrix: np.ndarray) -> Table:
    """Return how often each right label (row) was predicted as each (column) as a table."""
    shown = _table("right \\ predicted", *(Text(label) for label in labels))
    for label, row in zip(labels, matrix, strict=True):
        shown.add_row(Text(label), *(f"{count:,}" for count in row))
    return shown


def _table(first: str, *others: str | Text) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown.add_column(first)
    for name in others:
        shown.add_column(name, justify="right", no_wrap=True)
    return shown


def remarks(lines: Sequence[Line]) -> Iterator[str]:
    """Yield how the numbers were computed."""
    signatures: dict[str, list[str]] = {}
    for line in lines:
        signatures.setdefault(line.score.signature, []).append(line.name)
    for signature, names in signatures.items():
        yield signature if len(signatures) == 1 else f"{', '.join(names)}: {signature}"
    first = lines[0].score
    tests: dict[str, list[str]] = {}
    for line in lines:
        if line.baseline:
            tests.setdefault(line.score.TEST, []).append(line.name)
    told = ""
    for test, names in tests.items():
        told += f"; p: {test}" if len(tests) == 1 else f"; p of {', '.join(names)}: {test}"
    yield f"95 %: bootstrap, {len(first.drawn):,} draws of {first.num_examples:,} examples{told}"


def parts(
    report: Report, lines: Sequence[Line], baseline: Report | None = None
) -> Iterator[Table | str]:
    """Yield all that there is to show of a system, tables and sentences.

    Args:
        report: the system's scores.
        lines: what `compare` made of them.
        baseline: the scores of the system that it is compared with.
    """
    yield table(lines)
    if report.classes:
        yield class_table(report.classes)
    if report.confusion and len(report.confusion[0]) <= MOST_LABELS_SHOWN:
        yield confusion_table(*report.confusion)
    notes = (*report.notes, *(baseline.notes if baseline else ()))
    yield from (*remarks(lines), *dict.fromkeys(notes))


def show(shown: Iterable[Table | str]) -> None:
    """Print tables and sentences; a narrow terminal wraps their lines and hides nothing."""
    console = Console()
    console.width = max(console.width, LEAST_WIDTH)
    for part in shown:
        if isinstance(part, str):
            print(part)
        else:
            console.print(part)


def to_json(lines: Sequence[Line], report: Report) -> dict[str, Any]:
    """Return the scores, the intervals and what they were computed from."""
    scores = {}
    for line in lines:
        scores[line.name] = line.score.to_json()
        if line.difference:
            scores[line.name]["baseline"] = line.baseline.to_json()
            scores[line.name]["difference"] = line.difference.to_json()
    content: dict[str, Any] = {"examples": lines[0].score.num_examples, "scores": scores}
    if report.classes:
        content["classes"] = {name: each.to_json() for name, each in report.classes.items()}
    if report.confusion:
        labels, matrix = report.confusion
        content["confusion"] = {"labels": labels, "matrix": matrix.tolist()}
    return content
