"""Records in files of your own: tables, JSON, tab-separated pairs, CoNLL, SQuAD, dialogues.

What is wrong in a file is told in one sentence, with the number of the line where there is one.
"""

import csv
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, did_you_mean
from .annotated_files import read_json, read_lines, read_sentences
from .records import TURNS_REMEMBERED, Kind, Record

FIELDS: dict[str, tuple[str, ...]] = {
    "labels": ("text", "label"),
    "pairs": ("source", "target"),
    "tags": ("tokens", "tags"),
    "dialogues": ("history", "response"),
}
"""The fields of each kind that a file of one's own must have, in the order of --data.columns."""

_LISTS = ("tokens", "tags", "history")
_FORMATS = {
    "labels": "a table (.csv, .tsv) with the columns text and label, or .jsonl with these keys",
    "pairs": "a source and a target with a tab between them on each line, a table (.csv, .tsv) "
    "with the columns source and target, or .jsonl with these keys",
    "tags": "CoNLL columns, or .jsonl with the keys tokens and tags",
    "questions": "a .json file in SQuAD's format",
    "dialogues": "a turn a line and a blank line between dialogues (.txt), or .jsonl with the keys "
    "history and response",
}
_TABLES = (".csv", ".tsv")

Row = tuple[int, Mapping[str, Any]]
"""The number of a line, and its values by column."""


def read(path: Path, kind: Kind, columns: Sequence[str] = ()) -> list[Record]:
    """Return the records in a file.

    Args:
        path: the file; its ending tells the format.
        kind: what the records are.
        columns: the columns or keys that hold the fields, in the order of `FIELDS`; those that are
            called as the fields if not given.

    Raises:
        InputError: if the file cannot be read, has nothing in it, or something in it is wrong.
    """
    if columns and len(columns) != len(FIELDS.get(kind, ())):
        wanted = FIELDS.get(kind)
        allowed = f"the columns of {' and '.join(wanted)}" if wanted else "none"
        raise InputError(f"--data.columns is {' '.join(columns)}; for {kind}, give {allowed}.")
    suffix = path.suffix.lower()
    if columns and suffix not in (*_TABLES, ".jsonl"):
        raise InputError(
            f"--data.columns goes with a .csv, .tsv or .jsonl file, and {path} is none; leave it "
            "out."
        )
    records = _reader(path, kind, suffix)(path, kind, columns)
    if not records:
        raise InputError(f"{path} has no {kind} in it; give {_FORMATS[kind]}.")
    return records


def _reader(path: Path, kind: Kind, suffix: str) -> Callable[..., list[Record]]:
    if kind == "questions":
        readers = {".json": _read_questions}
    elif suffix == ".jsonl":
        readers = {".jsonl": _read_objects}
    elif kind == "labels":
        readers = dict.fromkeys(_TABLES, _read_table)
    elif kind == "pairs":
        readers = {suffix: _read_pair_lines} | dict.fromkeys(_TABLES, _read_table)
    elif kind == "tags":
        readers = {suffix: _read_tags}
    else:
        readers = {".txt": _read_turns}
    if suffix not in readers:
        ending = f"ends with {suffix}" if suffix else "has no ending"
        raise InputError(f"{path} {ending}, which is no file of {kind}; give {_FORMATS[kind]}.")
    return readers[suffix]


# === Tables and JSON lines ===


def _read_table(path: Path, kind: Kind, columns: Sequence[str]) -> list[Record]:
    lines = read_lines(path)
    is_csv = path.suffix.lower() == ".csv"
    rows = _csv_rows(path, lines) if is_csv else _tsv_rows(lines)
    _, header = next(rows, (1, []))
    if not header:
        return []
    wanted = columns or FIELDS[kind]
    is_named = set(wanted) <= set(header)
    if kind == "pairs" and not (is_csv or columns or is_named) and _are_pairs(lines):
        return _read_pair_lines(path, kind, columns)
    _check_columns(path, wanted, header)
    numbered = (_with_names(path, number, header, row) for number, row in rows)
    return [_record(path, kind, row, wanted) for row in numbered]


def _are_pairs(lines: Sequence[str]) -> bool:
    return all(line.count("\t") == 1 for line in lines if line)


def _tsv_rows(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    for number, line in enumerate(lines, start=1):
        if line:
            yield number, line.split("\t")


def _csv_rows(path: Path, lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a .csv file, each with its first line."""
    csv.field_size_limit(1 << 30)
    reader = csv.reader((line + "\n" for line in lines), strict=True)
    while True:
        number = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise InputError(
                f"{path} line {number} is no row of a CSV file ({error}); put texts that have "
                'quotes, commas or line breaks in quotes, and double the quotes in them ("").'
            ) from None
        if row is None:
            return
        if row:
            yield number, row


def _check_columns(path: Path, wanted: Sequence[str], header: Sequence[str]) -> None:
    for name in wanted:
        if name not in header:
            raise InputError(
                f"{path} line 1 has no column '{name}', and its columns are {', '.join(header)}; "
                f"name those that you mean with --data.columns{did_you_mean(name, header)}"
            )
        if header.count(name) > 1:
            raise InputError(
                f"{path} line 1 has {header.count(name)} columns '{name}'; give each another name."
            )


def _with_names(path: Path, number: int, header: Sequence[str], row: Sequence[str]) -> Row:
    if len(row) != len(header):
        raise InputError(
            f"{path} line {number} has {len(row)} columns, and line 1 has {len(header)}; give each "
            "line as many."
        )
    return number, dict(zip(header, row, strict=True))


def _read_objects(path: Path, kind: Kind, columns: Sequence[str]) -> list[Record]:
    records = []
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} line {number} is not JSON: {error}.") from None
        if not isinstance(content, dict):
            raise InputError(f"{path} line {number} is no object; give {_FORMATS[kind]}.")
        wanted = columns or FIELDS[kind]
        for name in wanted:
            if name not in content:
                raise InputError(
                    f"{path} line {number} has no '{name}', and its keys are "
                    f"{', '.join(content) or 'none'}; name those that you mean with "
                    f"--data.columns{did_you_mean(name, content)}"
                )
        records.append(_record(path, kind, (number, content), wanted))
    return records


def _record(path: Path, kind: Kind, row: Row, wanted: Sequence[str]) -> Record:
    number, values = row
    record: Record = (
        {"dialogue": str(values.get("dialogue", number))} if kind == "dialogues" else {}
    )
    for field, name in zip(FIELDS[kind], wanted, strict=True):
        record[field] = _value(path, number, name, values[name], field)
    if kind == "pairs" and isinstance(values.get("references"), list):
        further = _value(path, number, "references", values["references"], "references")
        others = [text for text in further if text != record["target"]]
        record["references"] = [record["target"], *others]
    if kind == "tags":
        if len(record["tokens"]) != len(record["tags"]):
            raise InputError(
                f"{path} line {number} has {len(record['tokens'])} tokens and "
                f"{len(record['tags'])} tags; give each token a tag."
            )
        record["tags"] = in_bio(record["tags"])
    return record


def _value(path: Path, number: int, name: str, value: Any, field: str) -> str | list[str]:
    where = f"{path} line {number}"
    if field in (*_LISTS, "references"):
        if not isinstance(value, list) or not value or not all(map(_is_text, value)):
            raise InputError(f"{where}: '{name}' is no list of texts; give at least one.")
        return value
    if field == "label" and isinstance(value, int | float):
        value = json.dumps(value)  # JSON's own writing: 1, 2.5, true
    if field == "label" and isinstance(value, str):
        value = value.strip()
    if value is None or value == "":
        raise InputError(f"{where} has nothing in '{name}'; give it a {field} or drop the line.")
    if not _is_text(value):
        raise InputError(f"{where}: '{name}' is no text that can be written in UTF-8.")
    return value


def _is_text(value: Any) -> bool:
    """Tell whether a value is a text, without halves of characters or zero bytes."""
    return (
        isinstance(value, str)
        and "\0" not in value
        and not any("\ud800" <= character <= "\udfff" for character in value)
    )


# === One pair, token or turn a line ===


def _read_pair_lines(path: Path, kind: Kind, columns: Sequence[str]) -> list[Record]:
    records = []
    for number, line in enumerate(read_lines(path), start=1):
        if not line:
            continue
        if line.count("\t") != 1:
            raise InputError(
                f"line {number} of {path}, {line[:40]!r}, is no pair; give a source and a target "
                "with one tab between them."
            )
        source, target = line.split("\t")
        values = {"source": source, "target": target}
        records.append(_record(path, "pairs", (number, values), FIELDS["pairs"]))
    return records


def _read_tags(path: Path, kind: Kind, columns: Sequence[str]) -> list[Record]:
    return read_tags(path)


def read_tags(path: Path) -> list[Record]:
    """Return the sentences of a file in CoNLL's columns, with tags in BIO.

    Raises:
        InputError: if the file cannot be read, or a token has no tag.
    """
    records = []
    for sentence in read_sentences(path):
        for row in sentence:
            if len(row.columns) < 2 or not row.columns[0] or not row.columns[-1]:
                raise InputError(
                    f"{path} line {row.line} has no token with a tag; give both, the token first "
                    "and the tag last."
                )
        tokens = [row.columns[0] for row in sentence]
        tags = in_bio([row.columns[-1] for row in sentence])
        records.append({"tokens": tokens, "tags": tags})
    return records


def in_bio(tags: Sequence[str]) -> list[str]:
    """Return tags in BIO, in which each entity begins with B-; they may be in IOB1.

    >>> in_bio(["I-PER", "I-PER", "B-PER", "O", "I-LOC", "I-ORG"])
    ['B-PER', 'I-PER', 'B-PER', 'O', 'B-LOC', 'B-ORG']
    """
    converted = []
    for before, tag in itertools.pairwise(["O", *tags]):
        begins = tag.startswith("I-") and before[1:] != tag[1:]
        converted.append("B" + tag[1:] if begins else tag)
    return converted


def _read_turns(path: Path, kind: Kind, columns: Sequence[str]) -> list[Record]:
    records, history, name = [], [], 1
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            history, name = [], number + 1
            continue
        if history:
            records.append({"dialogue": str(name), "history": [*history], "response": line})
        history = [*history, line][-TURNS_REMEMBERED:]
    return records


# === Questions ===


def _read_questions(path: Path, kind: Kind, columns: Sequence[str]) -> list[Record]:
    records = list(questions_of(read_json(path), path))
    seen: set[str] = set()
    for record in records:
        where = f"{path}, question '{record['id']}'"
        if record["id"] in seen:
            raise InputError(f"{where} is there twice; give each question an id of its own.")
        seen.add(record["id"])
        if not all(map(_is_text, (record["question"], record["context"]))):
            raise InputError(f"{where} has a question or context that is no text; give both.")
        for answer in record["answers"]:
            text, start = answer["text"], answer["start"]
            if not isinstance(start, int) or not _is_text(text) or not text or start < 0:
                raise InputError(
                    f"{where} has an answer without a text and its answer_start; give both."
                )
            there = record["context"][start : start + len(text)]
            if there != text:
                raise InputError(
                    f"{where}: at character {start} of the context stands {there!r}, not the "
                    f"answer {text!r}; give answer_start in characters from 0."
                )
    return records


def questions_of(content: Any, path: Path) -> Iterator[Record]:
    """Yield the questions in the content of a file in SQuAD's format.

    Raises:
        InputError: if the content of the file has another format.
    """
    try:
        for article in content["data"]:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    answers = [] if question.get("is_impossible") else question["answers"]
                    yield {
                        "id": str(question["id"]),
                        "question": question["question"],
                        "context": paragraph["context"],
                        "answers": [
                            {"text": answer["text"], "start": answer["answer_start"]}
                            for answer in answers
                        ],
                    }
    except (KeyError, TypeError, AttributeError):
        raise InputError(
            f"{path} is not in SQuAD's format; it must have data, in it paragraphs with a context, "
            "in them qas with id, question and answers."
        ) from None
