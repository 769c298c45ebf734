"""Text on disk that may be larger than memory, read in pieces.

A `Text` is a list of byte ranges of UTF-8 files. Splitting it by position copies nothing, and
reading it never holds more than a piece.
"""

import codecs
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError

PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class Span:
    """The bytes of `path` from `start` up to, not including, `stop`."""

    path: Path
    start: int
    stop: int


@dataclass(frozen=True)
class Text:
    """UTF-8 text in one or more files.

    Args:
        spans: the byte ranges that make up the text, in order. Each begins and ends between two
            characters, and a line end stands between them, if need be one that is in no file.
    """

    spans: tuple[Span, ...]

    @classmethod
    def of(cls, *paths: Path) -> "Text":
        """Return the whole of the given files, after checking that they are text.

        Raises:
            InputError: if a file is missing, empty, binary or not UTF-8.
        """
        return cls(tuple(_checked_span(Path(path)) for path in paths))

    @property
    def num_bytes(self) -> int:
        """The length of the text in UTF-8 bytes."""
        added = sum(map(_lacks_line_end, self.spans[:-1]))
        return sum(span.stop - span.start for span in self.spans) + added

    def pieces(self) -> Iterator[str]:
        """Yield the text in pieces of about 1 MiB that end at line ends where there are any."""
        rest = b""
        for block in self._blocks():
            block = rest + block
            cut = block.rfind(b"\n") + 1 or _last_character_start(block)
            if cut:
                yield block[:cut].decode()
            rest = block[cut:]
        if rest:
            yield rest.decode()

    def _blocks(self) -> Iterator[bytes]:
        """Yield the bytes, with a line end after a file that has none and is not the last."""
        for number, span in enumerate(self.spans, start=1):
            yield from _blocks_of(span)
            if number < len(self.spans) and _lacks_line_end(span):
                yield b"\n"

    def read(self) -> str:
        """Return the whole text; only for text that is known to be small."""
        return "".join(self.pieces())

    def sha256(self) -> str:
        """Return the hexadecimal sha256 of the text's bytes."""
        digest = hashlib.sha256()
        for block in self._blocks():
            digest.update(block)
        return digest.hexdigest()

    def split(self, fraction: float) -> tuple["Text", "Text"]:
        """Split by position: the first `fraction` of the characters, and the rest.

        The first part has `int(fraction * number of characters)` characters, the split that
        nanoGPT and others use for tinyshakespeare. Line ends that are in no file do not count.
        """
        characters = [sum(_count(block) for block in _blocks_of(span)) for span in self.spans]
        wanted = int(fraction * sum(characters))
        first, second = [], []
        for span, count in zip(self.spans, characters, strict=True):
            cut = _byte_offset(span, min(wanted, count))
            wanted -= min(wanted, count)
            first.append(Span(span.path, span.start, cut))
            second.append(Span(span.path, cut, span.stop))

        def without_empty(spans: list[Span]) -> Text:
            return Text(tuple(span for span in spans if span.start < span.stop))

        return without_empty(first), without_empty(second)


def _blocks_of(span: Span) -> Iterator[bytes]:
    with open(span.path, "rb") as file:
        file.seek(span.start)
        left = span.stop - span.start
        while left > 0:
            block = file.read(min(left, PIECE_BYTES))
            if not block:
                raise InputError(
                    f"{span.path} became shorter while it was being read; start again with a file "
                    "that does not change."
                )
            left -= len(block)
            yield block


def _lacks_line_end(span: Span) -> bool:
    with open(span.path, "rb") as file:
        file.seek(span.stop - 1)
        return file.read(1) != b"\n"


def _starts_character(block: bytes) -> np.ndarray:
    """Tell for each byte whether a UTF-8 character begins there."""
    return (np.frombuffer(block, np.uint8) & 0xC0) != 0x80


def _count(block: bytes) -> int:
    return int(np.count_nonzero(_starts_character(block)))


def _last_character_start(block: bytes) -> int:
    return int(np.flatnonzero(_starts_character(block[-4:]))[-1]) + max(0, len(block) - 4)


def _byte_offset(span: Span, characters: int) -> int:
    """Return where in the file the character with index `characters` of the span begins."""
    offset = span.start
    for block in _blocks_of(span):
        starts = np.flatnonzero(_starts_character(block))
        if characters < len(starts):
            return offset + int(starts[characters])
        characters -= len(starts)
        offset += len(block)
    return span.stop


def _checked_span(path: Path) -> Span:
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no file"
        what = f"{what} that can be read twice" if path.exists() and not path.is_dir() else what
        raise InputError(f"{path} is {what}; give the path of a text file in UTF-8.")
    size = os.path.getsize(path)
    with open(path, "rb") as file:
        start = len(codecs.BOM_UTF8) if file.read(3) == codecs.BOM_UTF8 else 0
    if size == start:
        raise InputError(f"{path} is empty; give a text file with something in it.")
    span = Span(path, start, size)
    decoder = codecs.getincrementaldecoder("utf-8")()
    position = start
    for block in _blocks_of(span):
        if b"\0" in block:
            raise InputError(
                f"{path} is not text: it has a zero byte at position "
                f"{position + block.index(0)}; give a plain text file in UTF-8."
            )
        try:
            position += len(block)
            decoder.decode(block, final=position == size)
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path} is not UTF-8 text ({error.reason} near byte "
                f"{position - len(block) + error.start}); save it as UTF-8 and try again."
            ) from None
    return span
