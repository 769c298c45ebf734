"""Compare trained runs: one table, on text that they have not learnt from.

    python evaluate.py runs/*
    python evaluate.py runs/gpt-nano runs/lstm-shakespeare --text another.txt
    python evaluate.py runs/* --json scores.json --csv scores.csv --chart scores.png

A window slides over the text so that every token is predicted from at least half a window of tokens
before it. Bits per byte compare models with any tokenizers; losses and perplexities compare models
with the same one.

    python evaluate.py files --task translation --predictions out.txt --references ref.txt

scores files that other programs wrote; see `score_files.py`.
"""

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro
from rich import box
from rich.console import Console
from rich.table import Table

from kerazoo import runs, score_files
from kerazoo.cli import parse
from kerazoo.data import datasets
from kerazoo.errors import InputError
from kerazoo.files import whole_file, write_text


@dataclass(frozen=True)
class Options:
    """What `python evaluate.py` takes."""

    runs: tyro.conf.Positional[tuple[Path, ...]]
    """Run folders, such as runs/*."""
    split: Literal["test", "validation", "train"] | None = None
    """Which split of a run's own data to score on; without it test, or validation if there is no
    test split."""
    text: Path | None = None
    """A text file or folder to score all runs on, instead of each on its own data."""
    name: str | None = None
    """A dataset to score all runs on, instead of each on its own data."""
    stride: int | None = None
    """Tokens that the window slides by; without it, half the window."""
    json: Path | None = None
    """Write the scores to this file as JSON."""
    csv: Path | None = None
    """Write the scores to this file as CSV."""
    chart: Path | None = None
    """Write the chart of quality against training time to this PNG file."""


_DESCRIPTION = (
    "Compare trained runs in one table. `evaluate.py files --help` tells how to score other files."
)
COLUMNS = {
    "run": "{}",
    "model": "{}",
    "parameters": "{:,}",
    "bits/byte": "{:.3f}",
    "95 %": "{0[0]:.3f}-{0[1]:.3f}",
    "loss": "{:.3f}",
    "perplexity": "{:.2f}",
    "accuracy": "{:.1%}",
    "masked loss": "{:.3f}",
    "masked accuracy": "{:.1%}",
    "sentence accuracy": "{:.1%}",
    "pseudo-perplexity": "{:.2f}",
    "target loss": "{:.3f}",
    "exact match": "{:.1%}",
    "seconds": "{:.0f}",
    "tokens/s": "{:,}",
    "scored on": "{}",
}
"""The columns of the table, of which it has those that a run fills, and how they are shown."""


def evaluate(
    run: runs.Run,
    data: datasets.DataConfig | None = None,
    split: str | None = None,
    stride: int | None = None,
) -> dict[str, Any]:
    """Score a run.

    Args:
        run: the run.
        data: the data to score on; the run's own if not given.
        split: "train", "validation" or "test"; the test split if not given, or validation where
            there is no test split.
        stride: tokens that the window slides by; half the window if not given.

    Returns:
        The row of the table: see `COLUMNS`.

    Raises:
        InputError: if the data have no such split.
    """
    kind = "pairs" if run.recipe.task.one_a_line else "text"
    corpus = datasets.load(data or run.recipe.data, kind)
    splits = corpus.splits
    if split is None:
        split = "test" if "test" in splits else "validation"
    if split not in splits:
        raise InputError(f"{corpus.name} has no {split} split; it has {', '.join(splits)}.")
    score = run.task.score(run.model, run.task.encode(splits[split]), stride=stride)
    return {
        "run": run.folder.name,
        "model": type(run.model).__name__,
        "parameters": run.report["parameters"],
        **score.columns(),
        "seconds": run.report["seconds"],
        "tokens/s": run.report["tokens_per_second"],
        "scored on": f"{corpus.name} {split}",
    }


def main(arguments: Sequence[str]) -> None:
    """Run `python evaluate.py` with these arguments."""
    if arguments and arguments[0] == "files":
        score_files.main(arguments[1:])
        return
    options = parse(Options, arguments, "evaluate.py", _DESCRIPTION)
    folders = [path for path in options.runs if not path.is_file()]  # runs/* has charts, too
    if not folders:
        raise InputError("no run folder is given; give some, such as runs/*.")
    data = None
    if options.text is not None:
        data = datasets.DataConfig(text=options.text, validation=options.text)
    elif options.name is not None:
        data = datasets.DataConfig(name=options.name)

    loaded = [runs.load(folder) for folder in folders]
    rows = [evaluate(run, data, options.split, options.stride) for run in loaded]
    rows.sort(key=lambda row: row.get("bits/byte") or math.inf)

    console = Console()
    if not console.is_terminal:
        console.width = 140
    for group in comparable(rows):
        console.print(table(group))
    if len({row["scored on"] for row in rows}) > 1:
        print("The texts differ; --text FILE or --name DATASET scores all runs on one.")
    if options.json:
        write_text(options.json, json.dumps(rows, indent=2) + "\n")
    if options.csv:
        with whole_file(options.csv) as scratch, open(scratch, "w", newline="") as file:
            writer = csv.DictWriter(file, _columns(rows))
            writer.writeheader()
            writer.writerows(rows)
    path = options.chart or loaded[0].folder.parent / "quality.png"
    with whole_file(path) as scratch:
        chart(loaded).savefig(scratch, dpi=120, format="png")
    print(f"Chart of quality against training time: {path}")


def comparable(rows: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return the rows in groups that have the same scores, each for a table of its own."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(_columns([row])), []).append(row)
    return list(groups.values())


def table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return what `evaluate` returned for each run as a table, which rich and notebooks show."""
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), caption_justify="left")
    if any("pseudo-perplexity" in row for row in rows):
        shown.caption = (
            "A hidden token is predicted from both sides: masked loss and pseudo-perplexity do not "
            "compare with the loss and perplexity of a language model."
        )
    columns = _columns(rows)
    for name in columns:
        is_text = isinstance(rows[0].get(name), str)
        shown.add_column(
            name, justify="left" if is_text else "right", no_wrap=not is_text or name == "run"
        )
    for row in rows:
        shown.add_row(
            *("-" if row.get(name) is None else COLUMNS[name].format(row[name]) for name in columns)
        )
    return shown


def _columns(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Return the columns that a row fills, in their order."""
    return [name for name in COLUMNS if any(name in row for row in rows)]


def chart(loaded: Sequence[runs.Run]) -> "Figure":  # noqa: F821
    """Draw bits per byte of validation text over the seconds of training of each run."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for run in loaded:
        with open(run.folder / "history.csv", newline="") as file:
            history = list(csv.DictReader(file))
        quality = [float(row.get("val_bits_per_byte") or "nan") for row in history]
        seconds = [float(row["seconds"]) for row in history]
        axes.plot(seconds, quality, marker="o", markersize=3, label=run.folder.name)
    axes.set(
        xlabel="training time in seconds", ylabel="bits per byte of validation text, in training"
    )
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


if __name__ == "__main__":
    from kerazoo.cli import run as run_command

    run_command(main)
