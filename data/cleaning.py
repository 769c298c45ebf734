"""Cleaning steps, each with a name, in any order: the article's "text cleaning" (section 2.2.1).

A step is a function from an iterable of lines to an iterable of lines, each with its line end, so
that steps compose and a text of any size streams through. A line of more than `MOST_CHARACTERS`
comes in parts, of which only the last has a line end. `STEPS` names the steps; a dataset, or
`--data.cleaning` on the command line, lists the ones it wants.

    >>> "".join(clean(["<p>caf\\u0065\\u0301 &amp; bar</p>\\n"], ["html", "nfc"]))
    'café & bar\\n'
"""

import hashlib
import html as html_entities
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise

import ftfy

from ..errors import InputError, did_you_mean
from .words import LETTER

Lines = Iterable[str]
MOST_CHARACTERS = 1 << 20
"""A longer line comes in parts."""
_NEAR = 1000  # characters before that limit, among which a good place for a cut is sought

_TAG = re.compile(r"<(?:!--.*?--|/?[A-Za-z][^<>]*|![A-Za-z][^<>]*)>")
# Unicode category Cc without tab, plus the invisible format characters that text picks up on the
# web: zero-width space, word joiner, byte order mark, bidirectional marks. The zero-width joiner
# stays: it is part of emoji and of several scripts.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060\ufeff]")
_LINE_END = re.compile(r"\r\n|\n|\r(?!\Z)")
# Chinese runs on into an address without a space, so that its letters are not all of \w.
_EMAIL = re.compile(
    rf"(?<!{LETTER})(?<![.+-])(?:{LETTER}|[.+-])+@(?:{LETTER}|-)+(?:\.(?:{LETTER}|-)+)+"
)
_HANDLE = re.compile(rf"(?<!{LETTER})(?<!\.)@[A-Za-z_](?:\.?[A-Za-z_0-9]){{2,}}")
_PHONE = re.compile(
    r"""(?<![\dA-Za-z_.+])(?:
      (?:\+|00)[1-9](?:[ .()-]{0,2}\d){7,14}              # with the code of the country
    | \(\d{2,5}\)[ .-]?\d{2,4}(?:[ .-]?\d{2,4}){1,4}      # with that of the area
    | \d{10,11}                                           # all digits in a row
    | \d{3}-\d{4}                                         # within an area
    | (?!\d{4}([.-])\d\d\1\d\d(?!\d) | \d\d([.-])\d\d\2\d{4}(?!\d))  # a date, none of them
      (?!\d{1,3}(?:\.\d{1,3}){3}(?!\d))                   # nor is an internet address
      (?!(?:1\d|20)\d\d(?:[ -](?:1\d|20)\d\d)+(?!\d))    # nor are years
      \d{2,4}(?:[ .-]\d{2,4}){2,4}                        # in groups
    )(?![\dA-Za-z_])""",
    re.VERBOSE,
)


def html(lines: Lines) -> Iterator[str]:
    """Remove HTML tags that begin and end on one line, then turn entities into characters."""
    for line in lines:
        yield html_entities.unescape(_TAG.sub("", line))


def control(lines: Lines) -> Iterator[str]:
    """Remove control characters, except the tab, and invisible format characters."""
    for line in lines:
        yield _CONTROL.sub("", line)


def nfc(lines: Lines) -> Iterator[str]:
    """Compose characters: Unicode normalisation form C."""
    for line in lines:
        yield unicodedata.normalize("NFC", line)


def mojibake(lines: Lines) -> Iterator[str]:
    """Repair text that was decoded with the wrong encoding ("schÃ¶n" becomes "schön"), by ftfy."""
    for line in lines:
        yield ftfy.fix_encoding(line)


def whitespace(lines: Lines) -> Iterator[str]:
    """Make every run of spaces one space, trim lines, and keep at most one empty line in a row."""
    after_words = False  # whether the line before has any
    has_words = has_space = False  # of the line so far; has_space: behind its last word
    for part in lines:
        words = " ".join(part.split())
        if words:
            if has_words and (has_space or part[0].isspace()):
                words = " " + words
            has_words, has_space = True, part[-1].isspace()
        else:
            has_space |= part != ""
        if part.endswith("\n"):
            if has_words or after_words:
                yield words + "\n"
            after_words, has_words, has_space = has_words, False, False
        elif words:
            yield words


def near_duplicates(lines: Lines) -> Iterator[str]:
    """Drop a line equal to an earlier one but for case, punctuation, digits and spaces.

    Lines of fewer than 20 letters, such as speaker names and refrains, are all kept, and so are
    those that come in parts. Memory: 16 bytes and the overhead of a set entry for each distinct
    line.
    """
    seen: set[bytes] = set()
    is_whole = True
    for line in lines:
        begins, is_whole = is_whole, line.endswith("\n")
        letters = "".join(filter(str.isalpha, line.casefold())) if begins and is_whole else ""
        if len(letters) >= 20:
            key = hashlib.blake2b(letters.encode(), digest_size=16).digest()
            if key in seen:
                continue
            seen.add(key)
        yield line


def redact(lines: Lines) -> Iterator[str]:
    """Replace e-mail addresses, telephone numbers and handles such as @kerazoo.

    `<email>`, `<phone>` and `<handle>` take their places.
    """
    for line in lines:
        line = _HANDLE.sub("<handle>", _EMAIL.sub("<email>", line))
        yield _PHONE.sub(lambda found: found[0] if _counts(found[0]) else "<phone>", line)


def _counts(numbers: str) -> bool:
    """Tell whether numbers are those of somebody who counts, such as 8 9 10 or 50 40 30."""
    steps = {after - before for before, after in pairwise(map(int, re.findall(r"\d+", numbers)))}
    return len(steps) == 1 and abs(*steps) in (1, 2, 5, 10)


def lowercase(lines: Lines) -> Iterator[str]:
    """Make all letters small."""
    for line in lines:
        yield line.lower()


STEPS: dict[str, Callable[[Lines], Iterator[str]]] = {
    step.__name__: step
    for step in (html, control, nfc, mojibake, whitespace, near_duplicates, redact, lowercase)
}


def check(steps: Sequence[str]) -> None:
    """Raise `InputError` unless every name is in `STEPS`."""
    for name in steps:
        if name not in STEPS:
            raise InputError(
                f"there is no cleaning step '{name}'; the steps are {', '.join(STEPS)}"
                f"{did_you_mean(name, STEPS)}"
            )


def clean(pieces: Iterable[str], steps: Sequence[str]) -> Iterator[str]:
    """Run the text through the named steps, in their order, and yield it line by line.

    A comment in HTML that lies in two parts of a very long line stays.

    Args:
        pieces: the text in pieces. Lines end with `\\n`, `\\r\\n` or `\\r`.
        steps: names from `STEPS`.

    Yields:
        Lines, each with `\\n` at its end; very long ones in parts.
    """
    check(steps)
    lines = _lines(pieces)
    for name in steps:
        lines = STEPS[name](lines)
    return lines


def clean_text(text: str, steps: Sequence[str]) -> str:
    """Return a text without a line end, such as a field of a record, after the named steps.

    >>> clean_text("What is  it?", ["lowercase", "whitespace"])
    'what is it?'
    """
    return "".join(clean([text], steps)).removesuffix("\n")


def _lines(pieces: Iterable[str]) -> Iterator[str]:
    """Split at line ends only; `str.splitlines` also splits at form feeds and U+2028."""
    begun: list[str] = []  # of a line that goes on in the next piece
    length = 0  # of what is begun, or a little more
    for piece in pieces:
        if begun and begun[-1].endswith("\r"):  # its line end may be half there
            piece = begun.pop() + piece
        first, *others = _LINE_END.split(piece)
        begun.append(first)
        length += len(first)
        if others:
            for line in ("".join(begun), *others[:-1]):
                yield from _parts(line + "\n")
            begun, length = [others[-1]], len(others[-1])
        if length > MOST_CHARACTERS:
            *parts, last = _parts("".join(begun))
            yield from parts
            begun, length = [last], len(last)
    if last := "".join(begun):
        yield from _parts(last.removesuffix("\r") + "\n")


def _parts(line: str) -> Iterator[str]:
    """Yield a line in parts of at most `MOST_CHARACTERS`; the last is not empty."""
    start = 0
    while len(line) - start > MOST_CHARACTERS:
        cut = _cut(line, start, start + MOST_CHARACTERS)
        yield line[start:cut]
        start = cut
    yield line[start:]


def _cut(line: str, start: int, stop: int) -> int:
    """Return where a part ends: before a space between words if there is one, and in no tag."""
    rules = (
        lambda k: line[k] == " " and line[k - 1].isalpha() and line[k + 1 : k + 2].isalpha(),
        lambda k: line[k].isspace(),
        lambda k: line[k].isalpha(),
    )
    places = range(stop, max(start, stop - _NEAR), -1)
    cut = next((k for is_good in rules for k in places if is_good(k)), stop)
    tag = line.rfind("<", start + 1, cut)
    return tag if tag > line.rfind(">", start, cut) else cut
