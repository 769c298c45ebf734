"""Train every family on the same Shakespeare, and write the comparison into the README.

    python bench/zoo.py                  trains what is not in runs/zoo yet, 20 minutes in all
    python bench/zoo.py --minutes 0.1    a quick look; leaves the README alone

Each model has the same time to learn; those that count take what they need. All are scored on the
test plays, and the README's tables and docs/zoo.png say how they did.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import readme
import tyro

from kerazoo import evaluate, quality_chart, recipes, run_folder, runs
from kerazoo.metrics.table import COLUMNS
from kerazoo.models.sampling import Sampling
from kerazoo.tasks.masked_language_modeling import PSEUDO_TOKENS
from kerazoo.train import train

MINUTES = 2.0
BEGIN, END = "<!-- zoo: written by `make zoo` -->", "<!-- end of zoo -->"
LANGUAGE_MODELS = ("parameters", "bits/byte", "95 %", "perplexity", "accuracy", "seconds")
MASKED = ("parameters", "masked accuracy", "sentence accuracy", "pseudo-perplexity", "seconds")
MASKED_LINES = ("To be or not to [MASK].", "Good [MASK], my lord.")
SAMPLE_CHARACTERS = 80


@dataclass(frozen=True)
class Options:
    """What `python bench/zoo.py` takes."""

    minutes: float = MINUTES
    """Time that each neural model has to learn."""
    out: Path | None = None
    """Folder for the runs; without it, runs/zoo, or runs/zoo-MINUTES for other --minutes."""

    @property
    def folder(self) -> Path:
        """The folder for the runs."""
        usual = "zoo" if self.minutes == MINUTES else f"zoo-{self.minutes:g}"
        return self.out or Path("runs") / usual


def trained(name: str, folder: Path, minutes: float) -> runs.Run:
    """Return the run of that recipe, trained now if it is not there yet.

    Raises:
        InputError: if the run there is one of another recipe, such as an earlier state of this one.
    """
    recipe = recipes.find(name)
    if recipe.train.minutes is not None:
        recipe = replace(recipe, train=replace(recipe.train, minutes=minutes))
    if run_folder.has_ended(folder):
        run_folder.check_unchanged(folder, recipe)
    return train(recipe, folder, name, resume=True)


def sample(run: runs.Run) -> str:
    """Return what the model makes of the beginning of a speech, on one line."""
    text = run.generate("KING:\n", max_new_tokens=90, sampling=Sampling(seed=1))
    lines = " / ".join(line for line in text.splitlines()[1:] if line)
    return lines[:SAMPLE_CHARACTERS].replace("|", "")


def filled(run: runs.Run) -> str:
    """Return what BERT makes of some masks, on one line."""
    lines = (run.generate(line).splitlines()[0] for line in MASKED_LINES)
    return " / ".join(lines).replace("|", "")


def markdown(rows: Sequence[dict[str, Any]], columns: Sequence[str], last: str) -> str:
    """Return a table; `last` is the heading of the samples."""
    lines = [
        f"| model | {' | '.join(columns)} | {last} |",
        "|---|" + "---:|" * len(columns) + "---|",
    ]
    for row in rows:
        cells = [COLUMNS[name].format(row[name]) for name in columns]
        lines.append(f"| `{row['run']}` | {' | '.join(cells)} | {row['sample']} |")
    return "\n".join(lines)


def main() -> None:
    """Train, score, and write the tables and the chart."""
    options = tyro.cli(Options, description=__doc__)
    names = [name for name in recipes.RECIPES if name.endswith("-shakespeare")]
    found = [trained(name, options.folder / name, options.minutes) for name in names]
    rows = [evaluate.evaluate(run) for run in found]
    models, masked = [], []
    for run, row in zip(found, rows, strict=True):
        if "bits/byte" in row:
            models.append({**row, "sample": sample(run)})
        else:
            masked.append({**row, "sample": filled(run)})
    models.sort(key=lambda row: row["bits/byte"])
    tables = "\n\n".join(
        [
            markdown(models, LANGUAGE_MODELS, "writes after KING:"),
            "BERT sees both sides of a hidden token; its scores compare with none of the above.\n"
            f"(Pseudo-perplexity: of the first {PSEUDO_TOKENS:,} tokens or so.)",
            markdown(masked, MASKED, "fills in [MASK]"),
        ]
    )
    print(tables)
    if options.minutes != MINUTES:
        return
    readme.write(BEGIN, END, tables)
    language_models = [run for run, row in zip(found, rows, strict=True) if "bits/byte" in row]
    quality_chart.draw(language_models).savefig(readme.ROOT / "docs" / "zoo.png", dpi=120)


if __name__ == "__main__":
    main()
