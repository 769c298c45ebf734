"""Scores as tables and as JSON, of one system or of two that are compared.

A table has a line for each score: value, 95 % interval and, next to another system, the difference
with its interval and p-value. Below it stands how the numbers were computed.
"""

import math
import re
import sys
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


def chosen(
    wanted: Sequence[str], names: Sequence[str], of_classes: Sequence[str] = ()
) -> list[str]:
    """Return the names that were asked for, or all but those of classes.

    >>> chosen(["f1-macro", "f1-spam"], ["accuracy", "F1 macro"], ["F1 ham", "F1 spam"])
    ['F1 macro', 'F1 spam']

    Args:
        wanted: names as in `--metrics`: small letters, hyphens for spaces; where labels differ in
            their capitals alone, the label as it is.
        names: the names that there are.
        of_classes: names of scores of single classes, which may be asked for, too.

    Raises:
        InputError: if one is none of them.
    """
    given = {_option(name): name for name in (*of_classes, *names)}
    by_option = {option.lower(): name for option, name in given.items()} | given
    found = []
    for name in wanted:
        option = _option(name)
        if option.lower() not in by_option:
            each = ", and of each label f1-LABEL, precision-LABEL, recall-LABEL"
            raise InputError(
                f"--metrics has '{name}'; there are {', '.join(map(_option, names)).lower()}"
                f"{each if of_classes else ''}{did_you_mean(option.lower(), by_option)}"
            )
        found.append(by_option.get(option) or by_option[option.lower()])
    return found or list(names)


def _option(name: str) -> str:
    """Return how a score is asked for; the label of a class keeps its capitals."""
    first, *others = re.sub("[ ,]+", "-", name).partition("-")
    return first.lower() + "".join(others)


def compare(
    report: Report, baseline: Report | None = None, metrics: Sequence[str] = ()
) -> list[Line]:
    """Return the lines of the table.

    Args:
        report: the system's scores.
        baseline: those of the system to compare with.
        metrics: which scores are wanted, those of classes as "f1-LABEL"; without any, all but those
            of classes.

    Raises:
        InputError: if there is no such score.
    """
    of_classes, others = _of_classes(report), {}
    if baseline:
        others = _of_classes(baseline) | baseline.scores
    names = chosen(metrics, list(report.scores), list(of_classes))
    scores = of_classes | report.scores
    return [_line(name, scores[name], others.get(name)) for name in names]


def _of_classes(report: Report) -> dict[str, Score]:
    """Return the scores of each class by names such as "F1 spam"."""
    return {
        f"{kind} {label}": score
        for label, scores in report.classes.items()
        for kind, score in scores.by_name.items()
    }


def _line(name: str, score: Score, baseline: Score | None) -> Line:
    return Line(name, score, baseline, score.against(baseline) if baseline else None)


def table(lines: Sequence[Line]) -> Table:
    """Return the scores as a table, which rich and notebooks show."""
    compared = any(line.baseline for line in lines)
    columns = ("baseline", "95 %", "difference", "95 %", "p") if compared else ()
    rows = _table("metric", "score", "95 %", *columns)
    for line in lines:
        digits = _digits(line.score)
        cells = [Text(line.name), *_shown(line.score, digits)]
        if line.difference:
            cells += [*_shown(line.baseline, digits), *_difference(line, digits)]
        rows.add_row(*cells)
    return rows


def _difference(line: Line, digits: int) -> tuple[str, str, str]:
    p_value = line.difference.p_value
    shown = "-" if math.isnan(p_value) else f"{p_value:.4f}"
    return *_shown(line.difference, digits, sign="+"), shown


def shown(score: Score) -> str:
    """Return a score in a few words: its value and its interval."""
    value, interval = _shown(score, _digits(score))
    return value if interval == "-" else f"{value} ({interval})"


def _digits(score: Score) -> int:
    if score.scale == 100:
        return 2
    if not 0 < abs(score.value) < math.inf:
        return 4
    power = math.floor(math.log10(abs(score.value)))  # small or large such as squared errors
    return 3 - power if power < -3 else min(4, max(0, 7 - power))


def _shown(score: Score | Difference, digits: int, sign: str = "") -> tuple[str, str]:
    form = f"{{:{sign}.{digits}f}}"
    value = "-" if math.isnan(score.value) else form.format(score.value)
    return value, "-" if score.interval is None else " to ".join(map(form.format, score.interval))


def class_table(
    classes: Mapping[str, ClassScores], baseline: Mapping[str, ClassScores] | None = None
) -> Table:
    """Return precision, recall and F1 of each class as a table, F1 with its 95 % interval.

    Args:
        classes: the scores by class.
        baseline: those of a system to compare with, by F1; a class that it has not is not compared.
    """
    columns = ("baseline F1", "difference", "95 %", "p") if baseline else ()
    shown = _table("", "precision", "recall", "F1", "95 %", *columns, "of")
    for name, scores in classes.items():
        cells = [f"{score.value:.4f}" for score in scores.by_name.values()]
        cells.append(_shown(scores.f1, 4)[1])
        if baseline and name in baseline:
            line = _line("F1", scores.f1, baseline[name].f1)
            cells += [f"{line.baseline.value:.4f}", *_difference(line, 4)]
        else:
            cells += ["-"] * len(columns)
        shown.add_row(Text(str(name)), *cells, f"{scores.support:,}")
    return shown


def confusion_table(labels: Sequence[str], matrix: np.ndarray) -> Table:
    """Return how often each right label (row) was predicted as each (column) as a table."""
    shown = _table("right \\ predicted", *(Text(str(label)) for label in labels))
    for label, row in zip(labels, matrix, strict=True):
        shown.add_row(Text(str(label)), *(f"{count:,}" for count in row))
    return shown


def _table(first: str, *others: str | Text) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    shown.add_column(first, overflow="fold")
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
    tests: dict[str, list[str]] = {}
    for line in lines:
        if line.baseline:
            tests.setdefault(line.score.TEST, []).append(line.name)
    told = ""
    for test, names in tests.items():
        told += f"; p: {test}" if len(tests) == 1 else f"; p of {', '.join(names)}: {test}"
    sizes = " or ".join(f"{size:,}" for size in {line.score.num_examples: None for line in lines})
    yield f"95 %: bootstrap, {len(lines[0].score.drawn):,} draws of {sizes} examples{told}"


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
        yield class_table(report.classes, baseline.classes if baseline else None)
    notes = _notes(report, baseline)
    if report.confusion and len(report.confusion[0]) <= MOST_LABELS_SHOWN:
        yield confusion_table(*report.confusion)
    elif report.confusion:
        notes.append(
            f"The confusion matrix is not shown, as it has {len(report.confusion[0]):,} labels and "
            f"there is room for {MOST_LABELS_SHOWN}; --json FILE writes it."
        )
    yield from (*remarks(lines), *notes)


def _notes(report: Report, baseline: Report | None) -> list[str]:
    of_baseline = [note for note in baseline.notes if note not in report.notes] if baseline else []
    return [*report.notes, *(f"baseline: {note}" for note in of_baseline)]


def show(shown: Iterable[Table | str]) -> None:
    """Print tables and sentences; a narrow terminal wraps their lines and hides nothing."""
    console = Console()
    width = max(console.width, LEAST_WIDTH)
    for part in shown:
        if isinstance(part, str):
            print(part)
        else:
            console.width = max(width, _least_width(console, part))
            console.print(part)


def _least_width(console: Console, shown: Table) -> int:
    """Return the characters in a line that a table needs; with fewer, rich cuts cells off."""
    unlimited = console.options.update(max_width=sys.maxsize)
    width = console.measure(shown, options=unlimited).maximum
    for column in shown.columns:
        if not column.no_wrap:  # its cells need room for their longest word alone
            cells = (column.header, *column.cells)
            sizes = [console.measure(cell, options=unlimited) for cell in cells]
            width -= max(size.maximum for size in sizes) - max(size.minimum for size in sizes)
    return width


def to_json(
    lines: Sequence[Line], report: Report, baseline: Report | None = None
) -> dict[str, Any]:
    """Return the scores, the intervals, what they were computed from, and the notes.

    Args:
        lines: what `compare` made of the scores.
        report: the system's scores.
        baseline: those of the system that it is compared with.
    """
    scores = {line.name: _line_to_json(line) for line in lines}
    content: dict[str, Any] = {"examples": lines[0].score.num_examples, "scores": scores}
    if report.classes:
        others = baseline.classes if baseline else {}
        content["classes"] = {
            name: _class_to_json(each, others.get(name)) for name, each in report.classes.items()
        }
    if report.confusion:
        labels, matrix = report.confusion
        content["confusion"] = {"labels": labels, "matrix": matrix.tolist()}
    if notes := _notes(report, baseline):
        content["notes"] = notes
    return content


def _line_to_json(line: Line) -> dict[str, Any]:
    content = line.score.to_json()
    if line.difference:
        content["baseline"] = line.baseline.to_json()
        content["difference"] = {**line.difference.to_json(), "test": line.score.TEST}
    return content


def _class_to_json(scores: ClassScores, baseline: ClassScores | None) -> dict[str, Any]:
    others = baseline.by_name if baseline else {}
    content: dict[str, Any] = {
        name: _line_to_json(_line(name, score, others.get(name)))
        for name, score in scores.by_name.items()
    }
    return {**content, "support": scores.support}
