"""Train every task on real data, and write the table of results into the README.

    python bench/results.py                      trains what is not in runs/results yet: some hours
    python bench/results.py lstm-trec bert-sst   these rows only; the README keeps the others

Each row is the result of the commands that stand beside it, run one after the other. The score is
the mean over them, on the test split (or the folds), which has as many examples as the table says;
the range is that of the trainings, and the interval of the mean a bootstrap over these examples.
Of some rows it is printed by how much their means differ from those of another.
"""

import functools
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import readme
import tyro

from kerazoo import evaluate, run_folder, runs
from kerazoo.data import datasets
from kerazoo.errors import InputError
from kerazoo.metrics import report as reporting
from kerazoo.metrics.score import Score
from kerazoo.metrics.table import COLUMNS
from kerazoo.train_options import parsed

BEGIN, END = "<!-- results: written by `make results` -->", "<!-- end of results -->"
HEADING = (
    "| data | tested on | command | parameters | training | score on the test split | 95 % | "
    "reference |\n|---|---:|---|---:|---:|---|---|---|"
)


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Args:
        recipe: the recipe.
        reference: what others reached, and who.
        options: what else stands in the command.
        varied: the option that differs from training to training.
        values: its values, one for each training.
        init: the recipe of the pretrained run that each begins from; none for random weights.
        also: scores to show beside those that the table of runs shows, named as in `--metrics`.
        against: the `name` of the row that it is compared with.
    """

    recipe: str
    reference: str = ""
    options: tuple[str, ...] = ()
    varied: str = "--train.seed"
    values: tuple[int, ...] = (0, 1, 2)
    init: str = ""
    also: tuple[str, ...] = ()
    against: str = ""

    @property
    def name(self) -> str:
        """The name of the row's runs."""
        words = [word.lstrip("-").replace("/", "-") for word in self.options]
        return "-".join([self.recipe, *words, *(["from", self.init] if self.init else [])])

    @property
    def command(self) -> str:
        """The commands, as one would type them."""
        values = ", ".join(map(str, self.values))
        if len(self.values) > 2:
            values = f"{self.values[0]}..{self.values[-1]}"
        init = ["--init", f"runs/{self.init}"] if self.init else []
        return " ".join(["python train.py", self.recipe, *self.options, *init, self.varied, values])


CNN = "CNN-rand (Kim 2014, his code)"
# Adam at the rate of `bert-trec` does not move a pretrained BERT far enough.
MUON = (
    "--model.context-length",
    "32",
    "--model.dropout",
    "0.1",
    "--task.token-dropout",
    "0.1",
    "--train.optimizer",
    "muon",
    "--train.learning-rate",
    "0.005",
    "--train.adam-learning-rate",
    "1",
    "--train.clip-norm",
    "0",
)
# With a running average of the weights, the learning rate need not fall to nothing.
AVERAGED = ("--train.ema-momentum", "0.998", "--train.final-learning-rate", "0.1")
LSTM_AVERAGED = Row("lstm-spa", "", AVERAGED, values=(0, 1), also=("ter",), against="lstm-spa")
FROM_SCRATCH = Row("bert-trec", f"88.2, {CNN}", MUON)
ROWS = (
    Row("lstm-trec", f"88.2, {CNN}"),
    Row("bert-trec", f"88.2, {CNN}"),
    FROM_SCRATCH,
    Row("bert-trec", f"88.2, {CNN}", MUON, init="bert-chitchat", against=FROM_SCRATCH.name),
    Row("lstm-mr", f"75.9, {CNN}", varied="--data.fold", values=tuple(range(10))),
    Row("bert-sms", also=("f1-spam",)),
    Row("bert-sst"),
    Row(
        "bert-wnut", "26 to 42: the shared task, with vectors from outside (Derczynski et al. 2017)"
    ),
    Row(
        "transformer-babi",
        "100, sequence to sequence",
        ("--data.name", "dialog-babi-1"),
    ),
    Row(
        "transformer-babi",
        "100, sequence to sequence",
        ("--data.name", "dialog-babi-2"),
    ),
    Row("seq2seq-chitchat", values=(0,)),
    Row("transformer-spa", values=(0, 1), also=("ter",), against="lstm-spa"),
    Row(
        "transformer-spa",
        "",
        ("--model.zero-init-residual", *AVERAGED),
        values=(0, 1),
        also=("ter",),
        against=LSTM_AVERAGED.name,
    ),
    Row(
        "transformer-spa",
        "",
        ("--model.dropout", "0.1", "--model.zero-init-residual", *AVERAGED),
        values=(0,),
    ),
    Row("lstm-spa", values=(0, 1), also=("ter",)),
    LSTM_AVERAGED,
    Row("lstm-spa", "", ("--model.dropout", "0.1", *AVERAGED), values=(0,)),
    Row("lstm-spa", "", ("--model.attention", "none"), values=(0,)),
    Row("transformer-spa", "", ("--data.swap", "--model.dropout", "0.1"), values=(0,)),
    Row("transformer-cmn", values=(0,)),
    Row("transformer-cmn", "", ("--data.swap",), values=(0,)),
)


@dataclass(frozen=True)
class Options:
    """What `python bench/results.py` takes."""

    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Recipes whose rows are wanted; without any, all."""
    out: Path = Path("runs/results")
    """Folder for the runs."""


def trained(row: Row, value: int, out: Path) -> runs.Run:
    """Return a run of the row, trained now, by its command, if it is not there yet."""
    options = [*row.options, row.varied, str(value)]
    if row.init:
        run = in_folder(out / row.init, row.init)
        options += ["--init", str(run.folder)]
    return in_folder(out / f"{row.name}-{row.varied.rsplit('.')[-1]}-{value}", row.recipe, *options)


def in_folder(folder: Path, *arguments: str) -> runs.Run:
    """Return the run in a folder, trained now if it is not there yet.

    Raises:
        InputError: if the run there is one of another recipe, such as an earlier state of this one,
            or has learnt from other data.
    """
    if not run_folder.has_ended(folder):
        command = [sys.executable, str(readme.ROOT / "train.py"), *arguments]
        subprocess.run([*command, "--out", str(folder), "--resume"], check=True)
    recipe, _ = parsed(arguments)
    run_folder.check_unchanged(folder, recipe)
    run = runs.load(folder)
    if not run.has_learnt(datasets.load(recipe.data, recipe.task.reads)):
        raise InputError(
            f"the training split of {recipe.data.name} is not what it was when {folder} was "
            "trained; remove the folder to train it again."
        )
    return run


@functools.cache
def scored(row: Row, out: Path) -> tuple[list[runs.Run], dict[str, list[Score]]]:
    """Return the runs of a row, and by name their scores, the one that counts first."""
    found = [trained(row, value, out) for value in row.values]
    reports = [evaluate.score(run).report for run in found]
    scores = {name: [report.scores[name] for report in reports] for name in found[0].task.shown}
    for option in row.also:
        lines = [reporting.compare(report, metrics=(option,))[0] for report in reports]
        scores[lines[0].name] = [each.score for each in lines]
    return found, scores


def line(row: Row, out: Path) -> str:
    """Return the row as a line of the table."""
    found, scores = scored(row, out)
    cells = [f"{name} {_shown(name, of_runs)}" for name, of_runs in scores.items()]
    first = next(iter(scores.values()))
    low, high = _mean(first).interval
    tested = [score.num_examples for score in first]
    tested = sum(tested) if row.varied == "--data.fold" else tested[0]
    seconds = np.mean([run.report["seconds"] for run in found])
    return (
        f"| `{found[0].recipe.data.name}` | {tested:,} | `{row.command}` | "
        f"{found[0].report['parameters']:,} | {seconds:.0f} s | {', '.join(cells)} | {low:.3f} to "
        f"{high:.3f} | {row.reference} |"
    )


def difference(row: Row, out: Path) -> str:
    """Return by how much the means of a row differ from those of the one that it is compared with.

    The intervals are of the same drawn examples for both; what other trainings would make is not in
    them.
    """
    (other,) = (each for each in ROWS if each.name == row.against)
    (_, scores), (_, others) = scored(row, out), scored(other, out)
    told = []
    for name, of_runs in scores.items():
        found = _mean(of_runs).against(_mean(others[name]))
        low, high = found.interval
        told.append(f"{name} {found.value:+.4f} ({low:.4f} to {high:.4f}), p = {found.p_value:.4f}")
    return f"against `{other.command}`: {'; '.join(told)}"


def _shown(name: str, scores: Sequence[Score]) -> str:
    """Return the mean of a score over trainings, and their range."""
    form, values = COLUMNS.get(name, "{:.3f}"), [score.value for score in scores]
    mean = form.format(np.mean(values))
    if len(values) == 1:
        return mean
    return f"{mean} ({form.format(min(values))} to {form.format(max(values))})"


def _mean(scores: Sequence[Score]) -> Score:
    """Return the mean of scores and of their draws, on the same examples or on those of folds.

    Its p-values come of the draws, as those of translations otherwise come of one system's words.
    """
    value, drawn = np.mean([s.value for s in scores]), np.mean([s.drawn for s in scores], axis=0)
    first = scores[0]
    return Score(
        float(value), drawn, first.num_examples, scale=first.scale, num_counted=first.num_counted
    )


def main() -> None:
    """Train, score, and write the table."""
    options = tyro.cli(Options, description=__doc__)
    known = {row.recipe for row in ROWS}
    unknown = [name for name in options.names if name not in known]
    if unknown:
        raise InputError(f"there are no rows of {unknown[0]}; there are some of {sorted(known)}.")
    for row in ROWS:
        if not options.names or row.recipe in options.names:
            text = line(row, options.out)
            print(text)
            if row.against:
                print(difference(row, options.out))
            write(row, text)


def write(row: Row, text: str) -> None:
    """Put a line into the README's table, in the place of the same row's earlier one."""
    table = readme.read(BEGIN, END)
    there = {line.split("`")[3]: line for line in table.splitlines() if line.count("`") >= 4}
    there[row.command] = text
    table = "\n".join([HEADING, *(there[each.command] for each in ROWS if each.command in there)])
    readme.write(BEGIN, END, table)


if __name__ == "__main__":
    main()
