"""The registry of datasets, and data of your own.

`load` turns a `DataConfig` into a `Corpus`: training, validation and, where the dataset has one,
test data, on disk and of any size: text, and for examples that have fields, records. What a dataset
makes of its sources is kept in the cache under `prepared/`, so it is made once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError, did_you_mean
from ..files import expanded
from . import (
    datasets_of_dialogues,
    datasets_of_labels,
    datasets_of_pairs,
    datasets_of_questions,
    datasets_of_tags,
    datasets_of_text,
    preparation,
)
from .cleaning import check
from .dataset import FOLDS, SPLITS, Dataset
from .datasets_of_text import TRAINING_FRACTION
from .records import ANSWERED_IN_WORDS, Kind, Records, check_steps
from .text import Text
from .tokenizers import TokenizerKind

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for file in (
        datasets_of_text,
        datasets_of_labels,
        datasets_of_pairs,
        datasets_of_tags,
        datasets_of_questions,
        datasets_of_dialogues,
    )
    for dataset in file.DATASETS
}


@dataclass(frozen=True)
class DataConfig:
    """What to train on, and how it becomes tokens."""

    name: str = "shakespeare"
    """A dataset that `kerazoo data list` lists."""
    text: Path | None = None
    """A file of yours, used instead of a dataset: a text file or a folder of .txt files for a
    language model; for other tasks a table (.csv, .tsv), .jsonl, sentences with a tab between,
    CoNLL columns, SQuAD's .json, or a turn of a dialogue a line."""
    validation: Path | None = None
    """A file or folder to validate on; without it, about a tenth of --data.text, of texts,
    questions and dialogues the last ones."""
    columns: tuple[str, ...] = ()
    """The columns of a table of yours, or keys of a .jsonl file, that hold the fields of an
    example, such as `review stars` for text and label; without it, they are called as the fields
    are."""
    language: str = ""
    """The code of the language of your file, of pairs that of the targets, such as es or zh; the
    scores of texts depend on it; without it, English."""
    swap: bool = False
    """Whether sources and targets of pairs change places."""
    fold: int | None = None
    """The fold to test on, 0 to 9, of a dataset that is scored by cross-validation; without it,
    the first."""
    cleaning: tuple[str, ...] = ()
    """Cleaning steps to run the text through: html, control, nfc, mojibake, whitespace,
    near_duplicates, redact, lowercase."""
    tokenizer: TokenizerKind = "char"
    """What a token is."""
    vocab_size: int = 1024
    """The most tokens that a word, whitespace, bpe, wordpiece or unigram tokenizer may have."""

    def __post_init__(self) -> None:
        if self.fold is not None and not 0 <= self.fold < FOLDS:
            raise InputError(f"--data.fold is {self.fold}; give a fold from 0 to {FOLDS - 1}.")


@dataclass(frozen=True)
class Corpus:
    """Data in splits: a dataset may have no test split, or nothing but that.

    Args:
        name: of the dataset, or the path of one's own file.
        licence: what may be done with it.
        train, validation, test: the plain text of each split; None where there is no such split.
        kind: what an example is.
        records: the examples of each split, where they have fields; none for text.
        languages: the languages; of pairs, those of source and target; empty if not known.
    """

    name: str
    licence: str
    train: Text | None = None
    validation: Text | None = None
    test: Text | None = None
    kind: Kind = "text"
    records: Mapping[str, Records] = field(default_factory=dict)
    languages: tuple[str, ...] = ()

    @property
    def splits(self) -> dict[str, Text]:
        """The plain text of the splits that there are, by name."""
        texts = zip(SPLITS, (self.train, self.validation, self.test), strict=True)
        return {name: text for name, text in texts if text is not None}

    @property
    def content(self) -> Mapping[str, Text | Records]:
        """The splits as a task reads them: records where examples have fields, else text."""
        return self.records or self.splits


def find(name: str) -> Dataset:
    """Return the dataset of that name.

    Raises:
        InputError: if there is none.
    """
    if name not in DATASETS:
        raise InputError(
            f"there is no dataset '{name}'; the datasets are {', '.join(sorted(DATASETS))}"
            f"{did_you_mean(name, DATASETS)}"
        )
    return DATASETS[name]


def cleaning_steps(config: DataConfig) -> tuple[str, ...]:
    """Return all steps that such data are cleaned by, the dataset's own before those chosen."""
    own = find(config.name).cleaning if config.text is None else ()
    return (*own, *config.cleaning)


def load(config: DataConfig, kind: Kind = "text") -> Corpus:
    """Return the data that a `DataConfig` describes, fetching and preparing them first if need be.

    Args:
        config: which data, and how they are cleaned.
        kind: what the examples are to be. Any dataset can be had as "text": the plain text of its
            examples.

    Raises:
        InputError: if there is no such dataset, file or cleaning step, the dataset has no examples
            of the kind, a file is not what it should be, or a source cannot be had.
    """
    check(config.cleaning)
    if kind != "text":
        check_steps(config.cleaning, kind)
    if config.swap and kind != "pairs":
        raise InputError(f"--data.swap is for pairs, and the task reads {kind}; leave it out.")
    if config.columns and (config.text is None or kind == "text"):
        raise InputError(
            "--data.columns is for a table or .jsonl file of yours that --data.text names, with "
            "fields that the task reads; leave it out."
        )
    if config.language and (config.text is None or kind not in ANSWERED_IN_WORDS):
        raise InputError(
            f"--data.language {config.language} is for examples of yours that --data.text names, "
            "of which answers in words are scored; leave it out."
        )
    if config.text is None:
        if config.validation is not None:
            raise InputError("--data.validation goes with --data.text, which is not given.")
        return _registered(config, kind)
    if config.fold is not None:
        raise InputError("--data.fold is for datasets that have folds; leave it out.")
    return _own_text(config) if kind == "text" else _own_records(config, kind)


def _registered(config: DataConfig, kind: Kind) -> Corpus:
    dataset = find(config.name)
    if kind not in ("text", dataset.kind):
        others = ", ".join(name for name, other in DATASETS.items() if other.kind == kind)
        raise InputError(
            f"'{dataset.name}' has {dataset.kind}, and the task reads {kind}; give one of "
            f"{others}, or a file of yours with --data.text."
        )
    if config.fold is not None and not dataset.has_folds:
        folded = ", ".join(name for name, other in DATASETS.items() if other.has_folds)
        raise InputError(
            f"--data.fold is for datasets that are scored by cross-validation ({folded}), and "
            f"'{dataset.name}' has splits of its own; leave it out."
        )
    fold = (config.fold or 0) if dataset.has_folds else None
    if kind != dataset.kind:  # the plain text of records
        folder = preparation.prepared(dataset, fold=fold)
        texts = preparation.texts_of(folder)
        texts = {
            split: preparation.cleaned_text(text, config.cleaning) for split, text in texts.items()
        }
        return Corpus(dataset.name, dataset.licence, **texts, languages=dataset.languages)
    languages = dataset.languages[::-1] if config.swap else dataset.languages
    folder = preparation.prepared(dataset, config.cleaning, config.swap, fold)
    return Corpus(
        dataset.name,
        dataset.licence,
        **preparation.texts_of(folder),
        kind=kind,
        records=preparation.records_of(folder, kind, languages),
        languages=languages,
    )


def _own_records(config: DataConfig, kind: Kind) -> Corpus:
    folder = preparation.own_records(
        Path(config.text), config.validation, kind, config.columns, config.cleaning, config.swap
    )
    languages = (config.language,) if config.language else ()
    return Corpus(
        str(config.text),
        "your own text",
        **preparation.texts_of(folder),
        kind=kind,
        records=preparation.records_of(folder, kind, languages),
        languages=languages,
    )


def _own_text(config: DataConfig) -> Corpus:
    text = preparation.cleaned_text(_text_at(config.text), config.cleaning)
    if config.validation is None:
        train, validation = text.split(TRAINING_FRACTION)
        if not validation.num_bytes:
            raise InputError(
                f"{config.text} is too short to keep a tenth for validation; give a longer text, "
                "or another one with --data.validation."
            )
    else:
        train = text
        validation = preparation.cleaned_text(_text_at(config.validation), config.cleaning)
    return Corpus(str(config.text), "your own text", train, validation)


def _text_at(path: Path) -> Text:
    path = expanded(path)
    if not path.is_dir():
        if not path.exists():
            beside = [file.name for file in path.parent.glob("*")]
            raise InputError(f"there is no file or folder {path}{did_you_mean(path.name, beside)}")
        return Text.of(path)
    files = sorted(file for file in path.rglob("*.txt") if file.is_file())
    # Such as Jupyter's copies in .ipynb_checkpoints.
    files = [file for file in files if not _is_hidden(file.relative_to(path))]
    if not files:
        raise InputError(f"the folder {path} has no .txt file in it; give a folder that has.")
    return Text.of(*files)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
