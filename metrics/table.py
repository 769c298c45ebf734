"""The table of runs: a row for each, a column for each score that they have.

A row is what `evaluate` returns for a run: values by the name of the column.
"""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

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
    "BLEU": "{:.2f}",
    "chrF": "{:.2f}",
    "ROUGE-L": "{:.3f}",
    "ROUGE-1": "{:.3f}",
    "ROUGE-2": "{:.3f}",
    "F1": "{:.3f}",  # a share of names, hundredths of answers
    "precision": "{:.3f}",
    "recall": "{:.3f}",
    "token accuracy": "{:.1%}",
    "F1 macro": "{:.3f}",
    "Pearson": "{:.3f}",
    "MSE": "{:.4g}",
    "response accuracy": "{:.1%}",
    "dialogue accuracy": "{:.1%}",
    "exact match": "{:.2f}",
    "task loss": "{:.3f}",
    "seconds": "{:.0f}",
    "tokens/s": "{:,}",
    "scored on": "{}",
}
"""The columns of the tables, of which each has those that its runs fill, and how they are shown."""


def comparable(rows: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return the rows in groups that have the same scores, each for a table of its own."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row), []).append(row)
    return list(groups.values())


def table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return what `evaluate` returned for each run as a table, which rich and notebooks show."""
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), caption_justify="left")
    if any("pseudo-perplexity" in row for row in rows):
        shown.caption = (
            "A hidden token is predicted from both sides: masked loss and pseudo-perplexity do not "
            "compare with the loss and perplexity of a language model."
        )
    columns = list(dict.fromkeys(name for row in rows for name in row))
    for name in columns:
        is_text = isinstance(rows[0].get(name), str)
        shown.add_column(
            name,
            justify="left" if is_text else "right",
            no_wrap=not is_text or name == "run",
            overflow="fold",
        )
    for row in rows:
        shown.add_row(
            *(
                Text("-" if row.get(name) is None else COLUMNS[name].format(row[name]))
                for name in columns
            )
        )
    return shown
