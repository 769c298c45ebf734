"""What an entry of the registry is, and the splits that such entries are cut into.

Splits made here are functions of the examples alone, the same on every machine: an example goes
where its place in the order of their hashes sends it. That may be elsewhere if there are others.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .archives import packed
from .records import Kind, Record
from .sources import Source

SPLITS = ("train", "validation", "test")
FOLDS = 10

Splits = dict[str, Iterable[Any]]
"""Pieces of text, or records, by split."""


@dataclass(frozen=True)
class Dataset:
    """One entry of the registry.

    Args:
        prepare: turns the fetched files, in the order of `sources`, into pieces of text, or records
            of the dataset's kind, by split. Where there are folds, it is also given the `fold`.
        cleaning: the cleaning steps that the texts go through.
        one_a_line: whether each line is an example by itself.
        kind: what an example is: text, or records of some kind.
        folder: the folder of the files in cache and mirror, where it is not called as the dataset.
        has_folds: whether the test split is one fold of ten, to be chosen.
        tokenised: whether words, and what else counts as one, stand apart, for BLEU to know.
    """

    name: str
    title: str
    task: str
    language: str
    size: str
    licence: str
    citation: str
    split: str
    prepare: Callable[..., Splits]
    sources: tuple[Source, ...] = ()
    cleaning: tuple[str, ...] = ("control", "nfc")
    one_a_line: bool = False
    kind: Kind = "text"
    folder: str = ""
    has_folds: bool = False
    tokenised: bool = False

    @property
    def files_in(self) -> str:
        """The name of the folder of its files, in cache and mirror."""
        return self.folder or self.name

    @property
    def languages(self) -> tuple[str, ...]:
        """Its languages; of pairs, those of source and target, as de-x-tok if tokenised."""
        suffix = "-x-tok" if self.tokenised else ""
        return tuple(code + suffix for code in self.language.split("-") if code)


def in_order_of_hash(texts: Iterable[str]) -> list[str]:
    """Return each distinct text once, in an order as good as shuffled and the same everywhere."""
    return sorted(set(texts), key=hash_of)


def hash_of(text: str) -> bytes:
    """Return the sha256 of a text."""
    return hashlib.sha256(text.encode()).digest()


def in_tenths(texts: Iterable[str]) -> dict[str, int]:
    """Deal out the distinct texts, in the order of their hashes, to ten equal parts.

    >>> sorted(in_tenths("abcdefghij").values())
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    return {text: number % 10 for number, text in enumerate(in_order_of_hash(texts))}


def stratified_tenths(records: Iterable[Record]) -> dict[str, int]:
    """Deal out texts with labels to ten parts that have as much of each label.

    Returns:
        The part of each text; equal texts are in the same one.
    """
    by_label: dict[str, list[str]] = {}
    for record in records:
        by_label.setdefault(record["label"], []).append(record["text"])
    tenths: dict[str, int] = {}
    for label in sorted(by_label):
        tenths = in_tenths(by_label[label]) | tenths
    return tenths


def lines_of(path: Path) -> Iterator[str]:
    """Yield the lines of a file, packed by gzip or not, without their ends.

    A line that is not UTF-8 is taken for what it mostly is in old files: Windows-1252, which has
    Latin-1 in it.
    """
    for line in packed(path).split(b"\n"):
        line = line.removesuffix(b"\r")
        try:
            text = line.decode()
        except UnicodeDecodeError:
            text = line.decode("cp1252", errors="replace")
        if text:
            yield text
