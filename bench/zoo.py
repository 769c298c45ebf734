"""Train every family on the same Shakespeare, and write the comparison into the README.

    python bench/zoo.py                  trains what is not in runs/zoo yet, about 20 minutes
    python bench/zoo.py --minutes 0.1    a quick look; leaves the README alone

Each model has the same time to learn; those that count take what they need. All are scored on the
test plays, and the README's table and docs/zoo.png say how they did.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from kerazoo import evaluate, recipes, runs
from kerazoo.models.configs import Sampling
from kerazoo.train import train

ROOT = Path(__file__).parents[1]
MINUTES = 2.0
BEGIN, END = "<!-- zoo: written by `make zoo` -->", "<!-- end of zoo -->"
COLUMNS = ("parameters", "bits/byte", "95 %", "perplexity", "accuracy", "seconds")


@dataclass(frozen=True)
class Options:
    """What `python bench/zoo.py` takes."""

    minutes: float = MINUTES
    """Time that each neural model has to learn."""
    out: Path = Path("runs/zoo")
    """Folder for the runs."""


def trained(name: str, folder: Path, minutes: float) -> runs.Run:
    """Return the run of that recipe, trained now if it is not there yet."""
    if (folder / "report.json").is_file():
        return runs.load(folder)
    recipe = recipes.find(name)
    if recipe.train.minutes is not None:
        recipe = replace(recipe, train=replace(recipe.train, minutes=minutes))
    return train(recipe, folder, name, resume=True)


def sample(run: runs.Run) -> str:
    """Return what the model makes of the beginning of a speech, on one line."""
    text = run.generate("KING:\n", max_new_tokens=90, sampling=Sampling(seed=1))
    return " / ".join(line for line in text.splitlines()[1:] if line)[:80].replace("|", "")


def markdown(rows: list[dict]) -> str:
    """Return the table, best first."""
    lines = ["| model | " + " | ".join(COLUMNS) + " | writes after KING: |"]
    lines.append("|---|" + "---:|" * len(COLUMNS) + "---|")
    for row in rows:
        cells = [evaluate.COLUMNS[name].format(row[name]) for name in COLUMNS]
        lines.append(f"| `{row['run']}` | {' | '.join(cells)} | {row['sample']} |")
    return "\n".join(lines)


def main() -> None:
    """Train, score, and write the table and the chart."""
    options = tyro.cli(Options, description=__doc__)
    names = [name for name in recipes.RECIPES if name.endswith("-shakespeare")]
    trained_runs = [trained(name, options.out / name, options.minutes) for name in names]
    rows = [{**evaluate.evaluate(run), "sample": sample(run)} for run in trained_runs]
    rows.sort(key=lambda row: row["bits/byte"])
    table = markdown(rows)
    print(table)
    if options.minutes != MINUTES:
        return
    readme = ROOT / "README.md"
    before, rest = readme.read_text().split(BEGIN)
    _, after = rest.split(END)
    readme.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}")
    evaluate.chart(trained_runs).savefig(ROOT / "docs" / "zoo.png", dpi=120)


if __name__ == "__main__":
    main()
