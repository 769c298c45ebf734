"""Score files that other programs wrote: `python evaluate.py files --task TASK ...`.

    --task translation     one translation per line; --language is the one that was translated into
    --task summarization   one summary per line; \\n, written out, ends a sentence for ROUGE-Lsum
    --task classification  one label per line, optionally followed by a tab and the confidence
    --task regression      one number per line
    --task tagging         one token per line, its tag last; or right and predicted tag in one file
    --task qa              questions in SQuAD's format; predictions {"ID": "ANSWER", ...}
    --task dialogue        one response per line; what is blank in all references ends a dialogue
    --task generation      one text per line, of which nothing else is right, or .jsonl that
                           `generate.py --json` wrote; --training shows copies

References are a file of the same kind, or, for translation, summarization and dialogue, several; a
blank line in one of several says that there is none, in all that a dialogue ends.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

import tyro

from .cli import parse
from .data import annotated_files as files
from .data.text import Text
from .errors import InputError
from .files import write_json
from .metrics import report as reporting
from .metrics.languages import base_language, check_spaces
from .metrics.report import Report


@dataclass(frozen=True)
class Options:
    """What `python evaluate.py files` takes."""

    task: Literal[
        "translation",
        "summarization",
        "classification",
        "regression",
        "tagging",
        "qa",
        "dialogue",
        "generation",
    ]
    """What the files hold: translations, summaries, labels, numbers, tagged tokens, answers to
    questions, responses, or texts that a model made up."""
    predictions: Path
    """What the system said."""
    references: tyro.conf.UseAppendAction[tuple[tuple[Path, ...], ...]] = ()
    """What is right; for translation, summarization and dialogue, several files may say it, and a
    blank line in one says that there is none, in all that a dialogue ends. Without it, for tagging,
    the last but one column of the predictions."""
    baseline: Path | None = None
    """What another system said of the same examples, to compare with."""
    language: str = "en"
    """The code of the language, such as en, zh or es; what a word is depends on it. Languages
    without spaces need it. For BLEU, de-x-tok is German whose words stand apart already."""
    metrics: tuple[str, ...] = ()
    """Which scores to show, such as bleu, f1-macro or, of a label, f1-spam; without it, all."""
    labels: tuple[str, ...] = ()
    """The labels, or types of entities, that there are; without it, those of the references."""
    scheme: Literal["IOB2", "IOB1", "IOBES"] = "IOB2"
    """How tags are written: IOB2 is BIO, IOBES is BIOES."""
    strict: bool = False
    """Whether tags that may not follow each other are no entity; without it, they are read like
    conlleval reads them."""
    stemmer: bool = False
    """Whether ROUGE cuts the endings of English words off."""
    training: Path | None = None
    """For generation: the text that the model has learnt from, to find what was copied."""
    json: Path | None = None
    """Write the scores to this file as JSON."""

    def __post_init__(self):
        if self.training and self.task != "generation":
            raise InputError(
                f"--training {self.training} is for --task generation, which looks for copies, and "
                f"the task is {self.task}; leave it out."
            )
        for name, tasks in _FOR_SOME_TASKS.items():
            value = getattr(self, name)
            if self.task not in tasks and value != getattr(type(self), name):
                raise InputError(
                    f"--{name} is for --task {' and '.join(tasks)}, and the task is {self.task}; "
                    "leave it out."
                )
        if self.stemmer and base_language(self.language) != "en":
            raise InputError(
                f"--stemmer is for English, and --language is {self.language}; leave one out."
            )
        if self.references and self.task == "generation":
            raise InputError(
                "--references is of no use to --task generation, where no text is the right one; "
                "leave it out, or give the text that the model has learnt from as --training."
            )


_FOR_SOME_TASKS = {
    "labels": ("classification", "tagging"),
    "scheme": ("tagging",),
    "strict": ("tagging",),
    "stemmer": ("summarization",),
    "language": ("translation", "summarization", "qa", "dialogue", "generation"),
}
"""Options that other tasks have no use for."""
Scorer = Callable[[Path], Report]


def main(arguments: Sequence[str]) -> None:
    """Run `python evaluate.py files` with these arguments."""
    options = parse(Options, arguments, "evaluate files", "Score files of your own.")
    score = TASKS[options.task](options)
    result = score(options.predictions)
    baseline = score(options.baseline) if options.baseline else None
    lines = reporting.compare(result, baseline, options.metrics)

    reporting.show(reporting.parts(result, lines, baseline))
    if options.json:
        content = {
            "task": options.task,
            "predictions": str(options.predictions),
            "references": [str(path) for path in chain(*options.references)],
            "baseline": str(options.baseline) if options.baseline else None,
            **reporting.to_json(lines, result, baseline),
        }
        write_json(options.json, content)


def _translation(options: Options) -> Scorer:
    from .metrics import translation

    metrics = reporting.chosen(options.metrics, list(translation.METRICS))
    references, gold_path = _several_references(options), _reference_paths(options)[0]
    check_spaces(chain(*references), options.language)

    def score(path: Path) -> Report:
        predictions = files.read_lines(path)
        files.check_as_many(path, predictions, gold_path, references)
        return Report(translation.score(predictions, references, options.language, metrics))

    return score


def _summarization(options: Options) -> Scorer:
    from .metrics import summarization

    references = [
        [_with_new_lines(text) for text in several] for several in _several_references(options)
    ]
    gold_path = _reference_paths(options)[0]
    check_spaces(chain(*references), options.language)

    def score(path: Path) -> Report:
        lines = files.read_lines(path)
        files.check_as_many(path, lines, gold_path, references)
        summaries = [_with_new_lines(line) for line in lines]
        return Report(summarization.score(summaries, references, options.language, options.stemmer))

    return score


def _with_new_lines(line: str) -> str:
    return line.replace("\\n", "\n")


def _classification(options: Options) -> Scorer:
    from .metrics import classification

    gold_path = _one_reference(options)
    references, _ = files.read_labels(gold_path)
    labels = options.labels or sorted(set(references))
    if len(labels) > classification.MOST_LABELS:
        raise InputError(
            f"{gold_path} has {len(labels):,} different labels; classification has at most "
            f"{classification.MOST_LABELS:,}."
        )
    files.check_labels(gold_path, enumerate(references, start=1), labels)

    def score(path: Path) -> Report:
        predictions, confidences = files.read_labels(path)
        files.check_as_many(path, predictions, gold_path, references)
        files.check_labels(path, enumerate(predictions, start=1), labels)
        return classification.report(predictions, references, confidences)

    return score


def _regression(options: Options) -> Scorer:
    from .metrics import regression

    gold_path = _one_reference(options)
    references = files.read_numbers(gold_path)

    def score(path: Path) -> Report:
        predictions = files.read_numbers(path)
        files.check_as_many(path, predictions, gold_path, references)
        return Report(regression.score(predictions, references))

    return score


def _tagging(options: Options) -> Scorer:
    from .metrics import tagging

    if options.references:
        gold_path, gold_column = _one_reference(options), -1
    else:
        gold_path, gold_column = options.predictions, -2
    gold = files.read_sentences(gold_path)
    references = _tags(gold_path, gold, gold_column, options)
    types = options.labels or sorted({_type(tag) for tags in references for tag in tags} - {None})

    def score(path: Path) -> Report:
        # Of a single file with both, which may be a pipe, read once.
        rows = gold if path == gold_path else files.read_sentences(path)
        predictions = _tags(path, rows, -1, options)
        files.check_same(path, rows, gold_path, gold, 0)
        if not options.references:
            files.check_same(path, rows, gold_path, gold, gold_column)
        for where, sentences, tags in ((gold_path, gold, references), (path, rows, predictions)):
            files.check_labels(where, _numbered_types(sentences, tags), types)
        arguments = (predictions, references, options.scheme, options.strict)
        return Report(tagging.score(*arguments), tagging.per_type(*arguments))

    return score


def _tags(path: Path, sentences: files.Sentences, column: int, options: Options) -> list[list[str]]:
    """Return a column of a file, in which tags must be."""
    from .metrics.tagging import SCHEMES, check_tag

    for row in chain(*sentences):
        if len(row.columns) < -column:
            raise InputError(
                f"{path} line {row.line} has one column; give the right tag and then the predicted "
                "one, or the right tags as --references."
            )
        try:
            check_tag(row.columns[column], options.scheme)
        except InputError as error:
            others = " or ".join(scheme for scheme in SCHEMES if scheme != options.scheme)
            raise InputError(
                f"{path} line {row.line}: {error} Correct it, or give the --scheme that it is "
                f"written in, {others}."
            ) from None
    return [[row.columns[column] for row in sentence] for sentence in sentences]


def _type(tag: str) -> str | None:
    return None if tag == "O" else tag.partition("-")[2] or "_"  # seqeval's name for no type


def _numbered_types(
    sentences: files.Sentences, tags: Sequence[Sequence[str]]
) -> Iterator[tuple[int, str | None]]:
    """Yield the line and the type of each tag that has one."""
    for row, tag in zip(chain(*sentences), chain(*tags), strict=True):
        if tag != "O":
            yield row.line, _type(tag)


def _qa(options: Options) -> Scorer:
    from .metrics import question_answering

    gold_path = _one_reference(options)
    questions = files.read_questions(gold_path)
    check_spaces(chain(*questions.answers.values()), options.language)
    is_answered = all(questions.answers.values())
    rules = question_answering.rules_for(options.language, is_answered)
    if questions.is_version_2:
        rules = rules.replace("SQuAD 1.1", "SQuAD 2.0")

    def score(path: Path) -> Report:
        answers = files.read_answers(path)
        files.check_ids(path, answers, gold_path, questions.answers)
        scores = question_answering.score(answers, questions.answers, rules)
        missing = len(questions.answers) - len(answers)
        note = f"{path} has no answer to {missing:,} of the questions, which count as wrong"
        if rules.startswith("SQuAD 2.0"):
            note += "; the official script of SQuAD 2.0 leaves them out of its means"
        return Report(scores, notes=(f"{note}.",) if missing else ())

    return score


def _dialogue(options: Options) -> Scorer:
    from .metrics import dialogue

    references, gold_path = _lines_of_references(options), _reference_paths(options)[0]
    check_spaces(chain(*references), options.language)
    ends = [not any(map(str.strip, several)) for several in references]
    turns = [n for n, is_end in enumerate(ends) if not is_end]
    dialogues = [n - k for k, n in enumerate(turns)]  # blank lines before the turn

    def score(path: Path) -> Report:
        responses = files.read_lines(path)
        files.check_as_many(path, responses, gold_path, references)
        for number, (response, is_end) in enumerate(zip(responses, ends, strict=True), start=1):
            if is_end and response.strip():
                raise InputError(
                    f"{path} line {number} has a response where {gold_path} ends a dialogue; give "
                    "a line for each line of the references, blank where theirs is."
                )
        return Report(
            dialogue.score(
                [responses[n] for n in turns],
                [[text for text in references[n] if text.strip()] for n in turns],
                dialogues,
                options.language,
            )
        )

    return score


def _generation(options: Options) -> Scorer:
    from .metrics import generation

    training = Text.of(options.training) if options.training else None
    texts = {path: _written(path) for path in (options.predictions, options.baseline) if path}
    for path, some in texts.items():
        files.check_as_many(path, some, options.predictions, texts[options.predictions])
        check_spaces(some, options.language)

    def score(path: Path) -> Report:
        pieces = training.pieces() if training else None
        return Report(generation.score(texts[path], options.language, pieces))

    return score


def _written(path: Path) -> list[str]:
    """Return the texts of a file, one a line."""
    if path.suffix.lower() == ".jsonl":
        return files.read_written(path)
    return [_with_new_lines(line) for line in files.read_lines(path)]


TASKS: dict[str, Callable[[Options], Scorer]] = {
    "translation": _translation,
    "summarization": _summarization,
    "classification": _classification,
    "regression": _regression,
    "tagging": _tagging,
    "qa": _qa,
    "dialogue": _dialogue,
    "generation": _generation,
}
"""By name, what reads the references of a task and returns what scores a file of predictions."""


def _reference_paths(options: Options) -> list[Path]:
    paths = list(chain(*options.references))
    if not paths:
        raise InputError("--references is missing; give the file that says what is right.")
    return paths


def _one_reference(options: Options) -> Path:
    paths = _reference_paths(options)
    if len(paths) > 1:
        raise InputError(
            f"--references has {len(paths)} files; give one, as only translations, summaries and "
            "responses can have several."
        )
    return paths[0]


def _several_references(options: Options) -> list[list[str]]:
    """Return the references of each line, one at least; a blank is none."""
    paths, references = _reference_paths(options), []
    for number, several in enumerate(_lines_of_references(options), start=1):
        references.append([text for text in several if text.strip()])
        if not references[-1]:
            where = f"{paths[0]} line {number}" if len(paths) == 1 else f"line {number} of all"
            raise InputError(f"{where} has no reference; give each line one.")
    return references


def _lines_of_references(options: Options) -> list[list[str]]:
    """Return the references of each line."""
    paths = _reference_paths(options)
    columns = [files.read_lines(path) for path in paths]
    for path, column in zip(paths, columns, strict=True):
        files.check_as_many(path, column, paths[0], columns[0])
    return [list(several) for several in zip(*columns, strict=True)]
