"""Compare trained runs: one table, on text that they have not learnt from.

    python evaluate.py runs/*
    python evaluate.py runs/gpt-nano runs/lstm-shakespeare --text another.txt
    python evaluate.py runs/* --json scores.json --csv scores.csv --chart scores.png
    python evaluate.py runs/bert-trec runs/lstm-trec --baseline runs/lstm-trec

Transformers read a text through a window that slides by half its length; models whose memory has no
end read it as one stream. Bits per byte compare models with any tokenizers; loss and perplexity
compare models with the same one. A run of a task with right answers is scored by that task's
metrics. All scores of a single run are shown, with intervals, and with --report those of each.
--baseline compares with another run on the same examples by a paired test.

    python evaluate.py files --task translation --predictions out.txt --references ref.txt

scores files that other programs wrote; see `score_files.py`.
"""

import csv
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from kerazoo import baselines, quality_chart, runs, score_files
from kerazoo.chosen_runs import chosen
from kerazoo.cli import parse
from kerazoo.data import datasets
from kerazoo.data.records import ANSWERED_IN_WORDS
from kerazoo.errors import InputError, command
from kerazoo.files import whole_file, write_json
from kerazoo.metrics import report as reporting
from kerazoo.metrics.table import COLUMNS, comparable, table
from kerazoo.tasks.configs import LanguageModelingConfig, SequenceToSequenceConfig

if TYPE_CHECKING:
    from kerazoo.tasks.task import FinalScore

TABLES = (".csv", ".tsv", ".jsonl")
"""Files of one's own that have columns."""


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
    columns: tuple[str, ...] = ()
    """The columns of --text, a table or .jsonl file, that hold the fields of an example, such as
    `review stars` for text and label; without it, those of the file that a run has learnt from."""
    language: str = ""
    """The language of the answers in --text, such as zh; without it, of those that a run has learnt
    to give."""
    name: str | None = None
    """A dataset to score all runs on, instead of each on its own data."""
    stride: int | None = None
    """Tokens that the window slides by; without it, half the window, or no window for a model whose
    memory has no end."""
    beams: int | None = None
    """Texts that beam search keeps where a text is written for another, such as a translation; 1:
    the likeliest token, always; without it, what the run was made for."""
    baseline: Path | None = None
    """A run of the same task to compare each run with, on the same examples."""
    report: bool = False
    """Whether to show all scores of each run; without it, of a single one."""
    json: Path | None = None
    """Write the scores to this file as JSON."""
    csv: Path | None = None
    """Write the scores to this file as CSV."""
    chart: Path | None = None
    """Write the chart of quality against training time to this PNG file; without it, to quality.png
    beside the first run that has bits per byte."""

    def __post_init__(self):
        if self.text and self.name:
            raise InputError(
                f"both --text {self.text} and --name {self.name} say what to score on; leave one "
                "of them out."
            )
        if self.columns and not self.text:
            raise InputError(
                f"--columns {' '.join(self.columns)} names columns of a file that --text names, "
                "and none is given; leave it out."
            )
        if self.language and not self.text:
            raise InputError(
                f"--language {self.language} is that of --text, and none is given; leave it out."
            )


_DESCRIPTION = (
    "Compare trained runs in one table. "
    f"`{command('evaluate', 'files', '--help')}` tells how to score other files."
)


@dataclass(frozen=True)
class Evaluation:
    """A run with its score on a split."""

    run: runs.Run
    score: "FinalScore"
    scored_on: str
    """Which data, and which split."""
    name: str
    """What the run is called."""
    note: str = ""
    """What makes the score doubtful."""

    @property
    def report(self) -> reporting.Report:
        """All scores, with their intervals, and all notes."""
        report = self.score.report
        return replace(report, notes=(*report.notes, self.note)) if self.note else report

    def row(self) -> dict[str, Any]:
        """Return the row of the table: see `COLUMNS`."""
        return {
            "run": self.name,
            "model": self.run.model_name,
            "parameters": self.run.report["parameters"],
            **self.score.columns(),
            "seconds": self.run.report["seconds"],
            "tokens/s": self.run.report["tokens_per_second"],
            "scored on": self.scored_on,
        }


def score(
    run: runs.Run,
    data: datasets.DataConfig | None = None,
    split: str | None = None,
    stride: int | None = None,
    beams: int | None = None,
) -> Evaluation:
    """Score a run.

    Args:
        run: the run.
        data: the data to score on; the run's own if not given.
        split: "train", "validation" or "test"; the test split if not given, or validation where
            there is no test split.
        stride: tokens that the window slides by; if not given, half the window, or no window for a
            model whose memory has no end.
        beams: texts that beam search keeps; what the run was made for if not given.

    Raises:
        InputError: if the data have no such split, or the run no use for an option.
    """
    corpus = datasets.load(data or run.recipe.data, run.recipe.task.reads)
    splits = corpus.content
    if split is None:
        split = "test" if "test" in splits else "validation"
    if split not in splits:
        raise InputError(f"{corpus.name} has no {split} split; it has {', '.join(splits)}.")
    if stride is not None and not isinstance(run.recipe.task, LanguageModelingConfig):
        raise InputError(
            f"--stride {stride} is for language models, whose window slides over the text, and "
            f"{run.folder} has examples that stand side by side; leave it out."
        )
    task = run.task
    if beams is not None:
        if beams < 1:
            raise InputError(f"--beams is {beams}; it must be at least 1.")
        if not isinstance(run.recipe.task, SequenceToSequenceConfig):
            raise InputError(
                f"--beams {beams} is for runs that turn one text into another, and {run.folder} "
                "does not; leave it out."
            )
        task = replace(task, config=replace(task.config, beams=beams))
    result = task.score(run.model, task.encode(splits[split]), stride=stride)
    scored_on = _scored_on(corpus, split, data or run.recipe.data)
    if beams is not None:
        scored_on += f", {beams} {'beam' if beams == 1 else 'beams'}"
    note = _note(run, data or run.recipe.data, corpus) if split != "train" else ""
    return Evaluation(run, result, scored_on, run.folder.name, note)


def _note(run: runs.Run, data: datasets.DataConfig, corpus: datasets.Corpus) -> str:
    """Say so if a run has learnt from what it is scored on, or may have."""
    own = run.recipe.data
    if baselines.has_learnt_from(own, data, run.recipe.task.reads):
        return (
            f"{run.folder} has learnt from what it is scored on, {data.validation or data.text}; "
            "give it a text that it has not seen."
        )
    which = ("name", "text", "validation", "swap", "fold", "cleaning")
    if any(getattr(data, field) != getattr(own, field) for field in which):
        return ""
    if run.has_learnt(corpus):
        return ""
    return (
        f"the training split of {corpus.name} is not what it was when {run.folder} was trained, "
        "which may have learnt from what it is scored on; train it again to know how good it is."
    )


def _scored_on(corpus: datasets.Corpus, split: str, data: datasets.DataConfig) -> str:
    """Describe the examples; scores compare only where these descriptions are equal."""
    own = split == "validation" and data.text is not None and data.validation
    words = [f"{own or corpus.name} {split}"]
    if data.text is None and datasets.find(data.name).has_folds:
        words.append(f"fold {data.fold or 0}")
    if data.swap:
        words.append("swapped")
    # A label is right whatever has been cleaned; an answer in words is another one.
    reads_alike = corpus.kind not in ("text", *ANSWERED_IN_WORDS)
    return ", ".join([*words, *(() if reads_alike else data.cleaning)])


def evaluate(run: runs.Run, **options: Any) -> dict[str, Any]:
    """Score a run and return its row of the table; options as for `score`."""
    return score(run, **options).row()


def main(arguments: Sequence[str]) -> None:
    """Run `python evaluate.py` with these arguments."""
    if arguments and arguments[0] == "files":
        score_files.main(arguments[1:])
        return
    options = parse(Options, arguments, "evaluate", _DESCRIPTION)
    loaded = chosen(options.runs, need_data=options.text is None and options.name is None)
    baseline = chosen((options.baseline,), need_data=False)[0] if options.baseline else None

    found = _scored(loaded, baseline, options)
    found.sort(key=_rank)
    rows = [evaluation.row() for evaluation in found]
    reporting.show(map(table, comparable(rows)))
    is_given = options.text is not None or options.name is not None
    read_alike = len({each.run.recipe.task.reads for each in found}) == 1
    if len({row["scored on"] for row in rows}) > 1 and read_alike and not is_given:
        print("The texts differ; --text FILE or --name DATASET scores all runs on one.")
    known: dict[datasets.DataConfig, Evaluation] = {}
    compared = [
        _Compared(each, baseline and _against(each, baseline, options, known)) for each in found
    ]
    if baseline or options.report or len(found) == 1:
        for each in compared:
            each.show(whole=options.report or len(found) == 1, named=len(found) > 1)
    else:
        reporting.show(each.note for each in found if each.note)
    if options.json:
        write_json(options.json, [each.to_json() for each in compared])
    if options.csv:
        with (
            whole_file(options.csv) as scratch,
            open(scratch, "w", newline="", encoding="utf-8") as file,
        ):
            given = [name for name in COLUMNS if any(name in row for row in rows)]
            writer = csv.DictWriter(file, given)
            writer.writeheader()
            writer.writerows(rows)
    quality_chart.write([each.run for each in found], options.chart)


def _scored(
    loaded: Sequence[runs.Run], baseline: runs.Run | None, options: Options
) -> list[Evaluation]:
    """Score runs; of several, pass over those that cannot be scored or compared, and say why."""
    found, errors = [], []
    for run, name in zip(loaded, quality_chart.names(loaded), strict=True):
        try:
            if baseline:
                baselines.check(baseline, run)
                _data_of_baseline(baseline, run, options)
            evaluation = _as_asked(run, _data(run, options), options)
        except InputError as error:
            errors.append((name, error))
        else:
            found.append(replace(evaluation, name=name))
    if not found:
        raise errors[0][1]
    for name, error in errors:
        print(f"{name} is passed over: {error}")
    return found


def _as_asked(run: runs.Run, data: datasets.DataConfig | None, options: Options) -> Evaluation:
    """Score a run as the options say, of which errors tell by their names here."""
    try:
        return score(run, data, options.split, options.stride, options.beams)
    except InputError as error:
        if options.text is None:
            raise
        # As settings of a recipe, they are called --data.text, --data.columns and so on.
        told = re.sub(r"--data\.(text|columns|language)", r"--\1", str(error))
        raise InputError(told) from None


def _data(run: runs.Run, options: Options) -> datasets.DataConfig | None:
    """Return the data that the options name, read as the run reads its own; None for its own.

    A text is taken as it is: what cleaning takes out would be missing from the bytes that it is
    scored by.
    """
    own, reads = run.recipe.data, run.recipe.task.reads
    reads_records = reads != "text"
    as_own = {"swap": own.swap, "cleaning": own.cleaning} if reads_records else {}
    if options.text is not None:
        if reads_records:
            as_own["cleaning"] = datasets.cleaning_steps(own)
        if reads in ANSWERED_IN_WORDS:
            as_own["language"] = options.language or own.language or _language(own)
        elif options.language:
            raise InputError(
                f"--language {options.language} is for runs that answer in words, and {run.folder} "
                "does not; leave it out."
            )
        if options.text.suffix.lower() in TABLES and reads_records:
            as_own["columns"] = own.columns
        if options.columns:
            as_own["columns"] = options.columns
        return datasets.DataConfig(text=options.text, validation=options.text, **as_own)
    if options.name is not None:
        fold = own.fold if datasets.find(options.name).has_folds else None
        return datasets.DataConfig(name=options.name, fold=fold, **as_own)
    return None


def _language(own: datasets.DataConfig) -> str:
    """Return the language of the answers in a registered dataset, "" where it has none."""
    languages = datasets.find(own.name).languages if own.text is None else ()
    return languages[0 if own.swap else -1] if languages else ""


def _rank(evaluation: Evaluation) -> tuple[int, float]:
    """Return what sorts runs, the best first; those with bits per byte come before all others."""
    bits, best = evaluation.score.bits_per_byte, evaluation.score.kept_for
    if bits is not None:
        return 0, bits
    if best is None:
        return 1, evaluation.score.loss
    return (1, math.inf) if math.isnan(best) else (1, -best)


# === Comparison with another run ===


def _against(
    evaluation: Evaluation,
    baseline: runs.Run,
    options: Options,
    known: dict[datasets.DataConfig, Evaluation],
) -> Evaluation | None:
    """Return how the baseline does on the examples that a run was scored on; None for itself.

    Args:
        evaluation: the run's.
        baseline: the run to compare with.
        options: how to score.
        known: how the baseline does on some data; what is scored here is added.
    """
    if evaluation.run.folder.resolve() == baseline.folder.resolve():
        return None
    data = _data_of_baseline(baseline, evaluation.run, options)
    if data not in known:
        known[data] = _as_asked(baseline, data, options)
    return known[data]


def _data_of_baseline(baseline: runs.Run, run: runs.Run, options: Options) -> datasets.DataConfig:
    """Return what a run is scored on, as the baseline reads it."""
    data = _data(run, options) or run.recipe.data
    return baselines.data_for(baseline, run, data, options.text is not None)


@dataclass(frozen=True)
class _Compared:
    """A run's score, next to that of the baseline if there is one."""

    evaluation: Evaluation
    baseline: Evaluation | None

    @property
    def other(self) -> reporting.Report | None:
        """The baseline's scores that can be compared with the run's."""
        if not self.baseline:
            return None
        return baselines.comparable(self.baseline.report, self.baseline.run, self.evaluation.run)

    def show(self, whole: bool, named: bool) -> None:
        """Print what there is to say of a run.

        Args:
            whole: whether to print all of it, or the scores alone.
            named: whether to say which run it is.
        """
        against = ""
        if self.baseline:
            name = self.baseline.name
            against = (
                f" against {self.baseline.run.folder if name == self.evaluation.name else name}"
            )
        if named or against:
            print(f"{self.evaluation.name}{against}, {self.evaluation.scored_on}:")
        report = self.evaluation.report if whole else replace(self.evaluation.report, **_NO_CLASSES)
        lines = reporting.compare(report, self.other)
        reporting.show(reporting.parts(report, lines, self.other))

    def to_json(self) -> dict[str, Any]:
        """Return the row, and all scores with their intervals."""
        content = {**self.evaluation.row(), "details": self.evaluation.score.to_json()}
        report = self.evaluation.report
        lines = reporting.compare(report, self.other)
        content["details"] |= reporting.to_json(lines, report, self.other)
        if self.baseline:
            content["baseline"] = str(self.baseline.run.folder)
        return content


_NO_CLASSES = {"classes": {}, "confusion": None}


if __name__ == "__main__":
    from kerazoo.cli import run as run_command

    run_command(main)
