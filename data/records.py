"""Records: examples that have fields, kept on disk as one JSON object a line.

What the fields are depends on the kind of the examples:

    labels      text, label
    pairs       source, target, and where there are several right ones, references
    tags        tokens, tags (one for each token; entities in BIO)
    questions   id, question, context, answers: a text and where it starts in the context, each
    dialogues   dialogue (its name), history (the turns so far), response (to the last of them)

Beside the records there is a plain text of them, for tokenizers and language models to learn from.
"""

import functools
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..errors import InputError
from .cleaning import clean_text
from .sources import sha256

Kind = Literal["text", "labels", "pairs", "tags", "questions", "dialogues"]
ANSWERED_IN_WORDS: tuple[Kind, ...] = ("pairs", "questions", "dialogues")
Record = dict[str, Any]
TURNS_REMEMBERED = 10
"""The most turns of a dialogue that stand before the one that answers them."""

_CLEANED_FIELDS: dict[str, tuple[str, ...]] = {
    "labels": ("text",),
    "pairs": ("source", "target", "references"),
    "dialogues": ("history", "response"),
}
"""The fields that cleaning may change. Tokens and the places of answers must stay as they are."""
_OF_CHARACTERS = ("control", "nfc", "mojibake", "lowercase")
"""The steps that can be run on the beginning of a line."""


@dataclass(frozen=True)
class Records:
    """Records on disk, read one by one.

    Args:
        path: a .jsonl file, a record a line.
        kind: which fields a record has.
        languages: the languages of the texts, such as ("en",), for pairs of source and target;
            empty where they are not known.
        numbers: which lines, counted from 0; None for all.
    """

    path: Path
    kind: Kind
    languages: tuple[str, ...] = ()
    numbers: frozenset[int] | None = None

    def __iter__(self) -> Iterator[Record]:
        # With this `newline`, lines end at line feeds and not at what is in a text.
        with open(self.path, encoding="utf-8", newline="\n") as file:
            for number, line in enumerate(file):
                if self.numbers is None or number in self.numbers:
                    yield json.loads(line)

    def __len__(self) -> int:
        return self._number if self.numbers is None else len(self.numbers)

    @functools.cached_property
    def _number(self) -> int:
        with open(self.path, "rb") as file:
            return sum(1 for _ in file)

    def head(self, number: int) -> list[Record]:
        """Return the first `number` records, or all there are."""
        return list(itertools.islice(self, number))

    def sha256(self) -> str:
        """Return the hexadecimal sha256 of the file."""
        return sha256(self.path)


def plain_text(record: Record, kind: Kind) -> Iterator[str]:
    r"""Yield the texts of a record, each on one line: its line breaks become spaces.

    >>> list(plain_text({"source": "Go.", "target": "Ve.\nYa."}, "pairs"))
    ['Go.', 'Ve. Ya.']
    """
    match kind:
        case "labels":
            texts = [record["text"]]
        case "pairs":
            texts = [record["source"], record["target"]]
        case "tags":
            texts = [" ".join(record["tokens"])]
        case "questions":
            texts = [record["question"], record["context"]]
        case "dialogues":
            texts = [*record["history"][-1:], record["response"]]
    yield from (" ".join(text.splitlines()) for text in texts)


def check_steps(steps: Sequence[str], kind: Kind) -> None:
    """Raise `InputError` unless the cleaning steps can be run on the texts of such records."""
    if steps and kind not in _CLEANED_FIELDS:
        what = "the places of answers" if kind == "questions" else "tokens"
        raise InputError(
            f"{kind} cannot be cleaned ({', '.join(steps)}), because {what} must stay as they are; "
            "leave out --data.cleaning."
        )
    if "near_duplicates" in steps:
        raise InputError(
            f"the cleaning step near_duplicates is for plain text, not for {kind}; leave it out of "
            "--data.cleaning."
        )


def cleaned(
    records: Iterable[Record], kind: Kind, steps: Sequence[str], held_out: bool = False
) -> Iterator[Record]:
    """Run each text of the records through cleaning steps.

    Records with nothing left are dropped, unless they are held out: those are scored all the same,
    so that scores with other cleaning are of the same examples.
    """
    if not steps:
        yield from records
        return

    # A turn of a dialogue is in the history of many records.
    cleaned_text = functools.lru_cache(1 << 12)(functools.partial(clean_text, steps=steps))

    def cleaned_field(value: str | list[str]) -> str | list[str]:
        if isinstance(value, list):
            return [text for text in map(cleaned_text, value) if text]
        return cleaned_text(value)

    for record in records:
        # Where what is answered has gone, the turn before it is not what is.
        has_gone = kind == "dialogues" and not cleaned_text(record["history"][-1])
        record = {
            name: cleaned_field(value) if name in _CLEANED_FIELDS[kind] else value
            for name, value in record.items()
        }
        if has_gone:
            record["history"].append("")
        is_whole = all(record[name] for name in _CLEANED_FIELDS[kind] if name in record)
        if held_out or (is_whole and not has_gone):
            yield record


def as_cleaned(text: str, kind: Kind, steps: Sequence[str]) -> str:
    r"""Return a text that a person gives, its parts apart by tabs, cleaned as the examples were.

    The beginning of a text, which a model goes on from, keeps its spaces, its line ends and masks.

    >>> as_cleaned("Hello\tWho is it?", "dialogues", ["lowercase"])
    'hello\twho is it?'
    >>> as_cleaned("To BE or [MASK] ", "text", ["lowercase", "whitespace"])
    'to be or [MASK] '
    """
    if kind == "text":
        steps = [step for step in steps if step in _OF_CHARACTERS]
        return "".join(_with_its_end(part, steps) for part in re.split(r"(\[MASK\])", text))
    if not steps or kind not in _CLEANED_FIELDS:
        return text
    return "\t".join(clean_text(part, steps) for part in text.split("\t"))


def _with_its_end(part: str, steps: Sequence[str]) -> str:
    if part == "[MASK]":
        return part
    return clean_text(part, steps) + ("\n" if part.endswith("\n") else "")


def with_references(pairs: Iterable[tuple[str, str]]) -> Iterator[Record]:
    """Yield a record for each source, with all its targets.

    >>> list(with_references([("Go.", "Ve."), ("Go.", "Vaya.")]))
    [{'source': 'Go.', 'target': 'Ve.', 'references': ['Ve.', 'Vaya.']}]
    """
    targets: dict[str, list[str]] = {}
    for source, target in pairs:
        targets.setdefault(source, []).append(target)
    for source, references in targets.items():
        yield {"source": source, "target": references[0], "references": references}


def swapped(records: Iterable[Record], held_out: bool = False) -> Iterator[Record]:
    """Yield pairs with source and target in each other's place.

    If they are held out, each reference becomes a source, whose references are all sources that it
    was a reference of; what is learnt from has one target for each source.
    """
    pairs = []
    for record in records:
        if held_out and "references" in record:
            pairs += [(target, record["source"]) for target in record["references"]]
        else:
            yield {"source": record["target"], "target": record["source"]}
    yield from with_references(pairs)


def write(folder: Path, split: str, records: Iterable[Record], kind: Kind) -> None:
    """Write `<split>.jsonl`, and `<split>.txt` with the plain text.

    A text that the record before has too, such as the context of several questions, is written once
    in the plain text.
    """
    before: list[str] = []
    with (
        open(folder / f"{split}.jsonl", "w", encoding="utf-8", newline="") as file,
        open(folder / f"{split}.txt", "w", encoding="utf-8", newline="") as text_file,
    ):
        for record in records:
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
            texts = list(plain_text(record, kind))
            text_file.writelines(f"{text}\n" for text in texts if text and text not in before)
            before = texts
