"""Files of examples, as other programs write them: one a line, tokens with tags, questions.

What is wrong in a file is told with the number of its line.
"""

import codecs
import json
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

from ..errors import InputError, command, did_you_mean

MOST_LABELS_NAMED = 12


@dataclass(frozen=True)
class Row:
    """A token of a sentence.

    Args:
        line: its line in the file, from 1.
        columns: what stands there: the token first, its tag last.
    """

    line: int
    columns: tuple[str, ...]


Sentences = Sequence[Sequence[Row]]


@dataclass(frozen=True)
class Questions:
    """The questions of a file in SQuAD's format.

    Args:
        answers: the right answers to each question, by its id; none where there is no answer.
        is_version_2: whether questions may have no answer.
    """

    answers: Mapping[str, tuple[str, ...]]
    is_version_2: bool


def read_lines(path: Path) -> list[str]:
    """Return the lines of a UTF-8 text file, without their ends.

    Lines end with a line feed, or carriage return and line feed, and with nothing else that Unicode
    takes for a line's end: a file has as many lines here as for other programs.

    Raises:
        InputError: if there is no such file, or a line is not UTF-8 text.
    """
    if path.is_dir() or not path.exists():  # what else is there, such as a pipe, can be read
        what, hint = "a folder", "."
        if not path.is_dir():
            what = "no file"
            hint = did_you_mean(path.name, (file.name for file in path.parent.glob("*")))
        raise InputError(f"{path} is {what}; give the path of a text file in UTF-8{hint}")
    raw = path.read_bytes().removeprefix(codecs.BOM_UTF8).split(b"\n")
    if not raw[-1]:
        raw.pop()
    lines = []
    for number, line in enumerate(raw, start=1):
        try:
            lines.append(line.decode().removesuffix("\r"))
        except UnicodeDecodeError as error:
            raise InputError(
                f"{path} line {number} is not UTF-8 text ({error.reason} at its byte "
                f"{error.start + 1}); save the file as UTF-8 and try again."
            ) from None
        if "\0" in lines[-1]:
            raise InputError(
                f"{path} line {number} has a zero byte; save the file as UTF-8 text and try again."
            )
    return lines


def read_labels(path: Path) -> tuple[list[str], list[float]]:
    """Return the labels of a file that has one a line, and how sure the system was of each.

    White space around a label is no part of it. Confidences, from 0 to 1, stand behind the labels
    and a tab; all have one or none has, and then none is returned.

    Raises:
        InputError: if the file cannot be read, a line has no label, or a line has no such
            confidence and others have.
    """
    lines = read_lines(path)
    for number, line in enumerate(lines, start=1):
        if not line.partition("\t")[0].strip():
            raise InputError(f"{path} line {number} has no label; give each line one.")
    if not any("\t" in line for line in lines):
        return [line.strip() for line in lines], []
    labels, confidences = [], []
    for number, line in enumerate(lines, start=1):
        label, _, written = line.partition("\t")
        labels.append(label.strip())
        confidences.append(_number(written))
        if not 0 <= confidences[-1] <= 1:
            raise InputError(
                f"{path} line {number} has no confidence from 0 to 1 behind its label; give all "
                "lines one, behind a tab, or none."
            )
    return labels, confidences


def read_numbers(path: Path) -> list[float]:
    """Return the numbers of a file that has one a line.

    Raises:
        InputError: if the file cannot be read, or a line is no finite number.
    """
    numbers = []
    for number, line in enumerate(read_lines(path), start=1):
        numbers.append(_number(line))
        if not math.isfinite(numbers[-1]):
            raise InputError(f"{path} line {number} is '{line}'; give one number a line.")
    return numbers


def read_sentences(path: Path) -> Sentences:
    """Return the sentences of a file with a token a line and a blank line after each sentence.

    Columns stand apart by tabs or, in a line without one, by spaces (the CoNLL format). The lines
    that begin the documents of CoNLL 2003, -DOCSTART-, are left out.

    Raises:
        InputError: if the file cannot be read.
    """
    sentences: list[list[Row]] = [[]]
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            sentences.append([])
            continue
        columns = line.split("\t") if "\t" in line else line.split()
        row = Row(number, tuple(column.strip() for column in columns))
        if sentences[-1] or row.columns[0] != "-DOCSTART-":
            sentences[-1].append(row)
    return [sentence for sentence in sentences if sentence]


def read_questions(path: Path) -> Questions:
    """Return the questions of a file in SQuAD's format, and their right answers.

    Raises:
        InputError: if the file cannot be read, has another format, two questions have one id, or an
            answer is no text.
    """
    content = read_json(path)
    answers: dict[str, tuple[str, ...]] = {}
    try:
        for article in content["data"]:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    texts = [answer["text"] for answer in question["answers"]]
                    has_none, key = question.get("is_impossible"), str(question["id"])
                    if key in answers:
                        raise InputError(
                            f"{path} has two questions with the id '{key}'; give each its own."
                        )
                    _check_texts(path, key, texts)
                    answers[key] = () if has_none else tuple(texts)
    except (KeyError, TypeError, AttributeError):
        raise InputError(
            f"{path} is not in SQuAD's format; it must have data, in it paragraphs, in them qas "
            "with id and answers."
        ) from None
    has_version_2 = re.match(r"v?2(\.|$)", str(content.get("version"))) is not None
    return Questions(answers, has_version_2 or () in answers.values())


def read_answers(path: Path) -> dict[str, str]:
    """Return the answers of a JSON file, by the id of the question.

    Raises:
        InputError: if the file cannot be read or has something else than answers.
    """
    answers = read_json(path)
    if not isinstance(answers, dict):
        raise InputError(f'{path} has no answers by id; give {{"ID": "ANSWER", ...}}.')
    for key, answer in answers.items():
        _check_texts(path, key, [answer])
    return answers


def _check_texts(path: Path, key: str, answers: Sequence[object]) -> None:
    if not all(isinstance(answer, str) for answer in answers):
        raise InputError(f"{path} has an answer to '{key}' that is no text; put it in quotes.")


def read_written(path: Path) -> list[str]:
    """Return the texts that `generate.py --json` wrote, an object a line, without their prompts.

    A text of a language model begins with its prompt; what is new in it stands apart.

    Raises:
        InputError: if the file cannot be read, or a line is no such object.
    """
    texts = []
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue  # what was asked was empty, too
        try:
            content = json.loads(line)
            text = content.get("continuation", content["text"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            text = None
        if not isinstance(text, str):
            raise InputError(
                f'{path} line {number} is no object with a text, {{"prompt": ..., "text": ...}}; '
                f"give what `{command('generate', 'RUN', '--json')}` prints of a run that writes."
            )
        texts.append(text)
    return texts


def check_as_many(path: Path, lines: Sized, gold_path: Path, gold: Sized) -> None:
    """Refuse a file that has not as many lines as another.

    Raises:
        InputError: if one of them has fewer; it names the first line that is missing.
    """
    if len(lines) != len(gold):
        fewer = path if len(lines) < len(gold) else gold_path
        raise InputError(
            f"{path} has {len(lines):,} lines and {gold_path} {len(gold):,}: {fewer} has no line "
            f"{min(len(lines), len(gold)) + 1}; give a line for each example."
        )


def check_ids(path: Path, answers: Iterable[str], gold_path: Path, gold: Collection[str]) -> None:
    """Refuse an answer to a question that there is not.

    Args:
        path: the file that the answers are from.
        answers: the ids of the questions that they answer.
        gold_path: the file that the questions are from.
        gold: their ids.

    Raises:
        InputError: if there is no such question.
    """
    for key in answers:
        if key not in gold:
            raise InputError(
                f"{path} has an answer to '{key}', and {gold_path} no such question; leave it out, "
                f"or give the questions that belong to the answers{did_you_mean(key, gold)}"
            )


def check_labels(path: Path, numbered: Iterable[tuple[int, str]], allowed: Sequence[str]) -> None:
    """Refuse a label that is not allowed.

    Args:
        path: the file that the labels are from.
        numbered: the labels, each with its line.
        allowed: the labels that there are.

    Raises:
        InputError: if there is another one.
    """
    for number, label in numbered:
        if label not in allowed:
            known = ", ".join(allowed[:MOST_LABELS_NAMED]) or "none"
            more = ", ..." if len(allowed) > MOST_LABELS_NAMED else ""
            raise InputError(
                f"{path} line {number} has the label '{label}', and the labels are {known}{more}; "
                f"if it is right, name all with --labels{did_you_mean(label, allowed)}"
            )


def check_same(
    path: Path, sentences: Sentences, gold_path: Path, gold: Sentences, column: int
) -> None:
    """Refuse sentences that differ in their lengths or in a column.

    Args:
        path: the file that the sentences are from.
        sentences: its sentences.
        gold_path: the other file.
        gold: its sentences.
        column: which column to compare; it is not where a file has only one, the tags.

    Raises:
        InputError: if they differ; it names the first line where they do.
    """
    for mine, theirs in zip_longest(sentences, gold, fillvalue=()):
        if len(mine) != len(theirs):
            where, first = (path, mine) if mine else (gold_path, theirs)
            raise InputError(
                f"the sentence at {where} line {first[0].line} has {len(mine)} tokens in {path} "
                f"and {len(theirs)} in {gold_path}; give the same tokens in the same order."
            )
        for row, right in zip(mine, theirs, strict=True):
            have_tokens = min(len(row.columns), len(right.columns)) > 1
            if have_tokens and row.columns[column] != right.columns[column]:
                raise InputError(
                    f"{path} line {row.line} has '{row.columns[column]}' where {gold_path} line "
                    f"{right.line} has '{right.columns[column]}'; give the same tokens with tags."
                )


def _number(written: str) -> float:
    """Return a number, or not a number where something else is written."""
    try:
        return float(written)
    except ValueError:
        return math.nan


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        InputError: if the file cannot be read, or is not JSON.
    """
    text = "\n".join(read_lines(path))
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path} line {error.lineno} is not JSON: {error.msg}; correct it."
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is no JSON that can be read: {error}.") from None
