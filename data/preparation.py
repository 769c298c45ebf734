"""What is made of the files of a dataset, or of yours; kept in the cache, so it is made once.

Each folder under `prepared/` is named by a digest of all that its content depends on.
"""

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, did_you_mean
from ..files import expanded, whole_folder
from . import own_files, records, sources
from .cleaning import clean
from .dataset import SPLITS, Dataset, hash_of, in_order_of_hash
from .records import Kind, Record, Records
from .sources import fetch, home
from .text import Text

_MOST_NUMBERED = 20  # classes whose names are numbers
_HELD_OUT_BELOW = 26  # of the 256 values that the first byte of a hash has: about a tenth
_INPUT_FIELD = {"labels": "text", "pairs": "source", "tags": "tokens"}
"""What the system reads of an example."""
_GROUP_FIELD = {"questions": "context", "dialogues": "dialogue"}
"""What examples have in common that stay together."""
_PREPARATION = 7  # counts changes to what is made of the same sources


def prepared(
    dataset: Dataset, steps: Sequence[str] = (), swap: bool = False, fold: int | None = None
) -> Path:
    """Return the folder with the splits of a dataset.

    Args:
        dataset: the dataset.
        steps: cleaning steps beside the dataset's own.
        swap: whether sources and targets change places.
        fold: the fold to test on, of a dataset that has folds.
    """
    files = [fetch(source, dataset.files_in, dataset.licence) for source in dataset.sources]
    steps = (*dataset.cleaning, *steps)
    checksums = [
        source.sha256 or sources.sha256(path)
        for source, path in zip(dataset.sources, files, strict=True)
    ]
    key = f"{steps} {checksums} {dataset.kind} {swap} {fold}"
    if not dataset.sources:  # what the standard library holds changes with the Python version
        key += f" {sys.version_info[:3]}"
    folder = _folder(dataset.name, key)
    if not folder.is_dir():
        for source, path in zip(dataset.sources, files, strict=True):
            if note := sources.unverified(source, path):
                print(note, file=sys.stderr)
        try:
            splits = dataset.prepare(*files, **({"fold": fold} if dataset.has_folds else {}))
            _write(folder, dataset.kind, splits, steps, swap)
        except InputError:
            raise
        except (ValueError, LookupError, TypeError) as error:
            doubtful = [
                str(path)
                for source, path in zip(dataset.sources, files, strict=True)
                if source.sha256 is None
            ]
            if not doubtful:
                raise
            raise InputError(
                f"the files of '{dataset.name}' are not what was expected ({error}), and their "
                f"sha256 is not known; look into {', '.join(doubtful)}, delete what is wrong and "
                "try again."
            ) from None
    return folder


def texts_of(folder: Path) -> dict[str, Text]:
    """Return the plain text of each split that there is."""
    paths = {split: folder / f"{split}.txt" for split in SPLITS}
    return {split: Text.of(path) for split, path in paths.items() if path.is_file()}


def records_of(folder: Path, kind: Kind, languages: tuple[str, ...]) -> dict[str, Records]:
    """Return the records of each split that there are."""
    paths = {split: folder / f"{split}.jsonl" for split in SPLITS}
    return {
        split: Records(path, kind, languages) for split, path in paths.items() if path.is_file()
    }


def cleaned_text(text: Text, steps: Sequence[str]) -> Text:
    """Return the text after cleaning; without steps, itself."""
    if not steps:
        return text
    folder = _folder("text", f"{tuple(steps)} {text.sha256()}")
    if not folder.is_dir():
        _write(folder, "text", {"text": text.pieces()}, steps)
    return Text.of(folder / "text.txt")


def own_records(
    path: Path,
    validation: Path | None,
    kind: Kind,
    columns: Sequence[str],
    steps: Sequence[str],
    swap: bool,
) -> Path:
    """Return the folder with records of one's own, in training and validation.

    Without a file for validation, that is about a tenth, at least one. Of labels, pairs and tags it
    is drawn by the hash of what the system reads, as files may be sorted: equal ones stay together,
    and an example stays where it is when others come, but in files of a few hundred, and for labels
    that come once or twice: each label keeps one for training, unless the labels are numbers to be
    predicted. Of questions and dialogues it is the last ones; those about one paragraph, and what
    belongs to one dialogue, stay together wherever they stand, if there is more than one.

    Which are held out is decided before cleaning. Of labels and pairs, what cleaning makes equal to
    one of these is left out of training, unless a label would have nothing left there.

    Raises:
        InputError: if a file cannot be read or used.
    """
    paths = {"train": path} if validation is None else {"train": path, "validation": validation}
    paths = {split: _existing(path) for split, path in paths.items()}
    checksums = [(path.suffix, sources.sha256(path)) for path in paths.values()]
    folder = _folder("own", f"{checksums} {kind} {tuple(columns)} {tuple(steps)} {swap}")
    if not folder.is_dir():
        splits = {split: own_files.read(path, kind, columns) for split, path in paths.items()}
        if validation is None:
            splits = _with_validation(splits["train"], kind, swap)
        splits = {
            split: list(_treated(content, kind, split, steps, swap))
            for split, content in splits.items()
        }
        if validation is None:
            splits["train"] = _without(splits["validation"], splits["train"], kind)
            if kind == "labels":
                _give_back(splits)
            if not all(splits.values()):
                of_labels = ", or one of each label" if kind == "labels" else ""
                raise InputError(
                    f"{path} has one example, or only equal ones{of_labels}, too few to keep one "
                    "for validation; give more, or another file with --data.validation."
                )
        _write(folder, kind, splits)
    return folder


def _existing(path: Path) -> Path:
    path = expanded(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder; give a file.")
    if not path.is_file():
        beside = [file.name for file in path.parent.glob("*")]
        raise InputError(f"there is no file {path}{did_you_mean(path.name, beside)}")
    return path


def _with_validation(examples: Sequence[Record], kind: Kind, swap: bool) -> dict[str, list[Record]]:
    """Return the examples, not treated yet, in training and validation."""
    if kind in _GROUP_FIELD:
        groups = [example[_GROUP_FIELD[kind]] for example in examples]
        if len(set(groups)) == 1:
            groups = list(map(str, range(len(examples))))
        held_out = _last_groups(groups)
    else:
        field = "target" if swap else _INPUT_FIELD[kind]
        groups = [json.dumps(example[field]) for example in examples]
        labels: dict[str, Collection[str]] = dict.fromkeys(groups, ())
        if kind == "labels":
            for text, example in zip(groups, examples, strict=True):
                labels[text] = {*labels[text], example["label"]}
        held_out = _drawn_by_hash(labels)
    splits: dict[str, list[Record]] = {"train": [], "validation": []}
    for group, example in zip(groups, examples, strict=True):
        splits["validation" if group in held_out else "train"].append(example)
    return splits


def _drawn_by_hash(labels: Mapping[str, Collection[str]]) -> set[str]:
    """Return about a tenth of the texts, drawn by hash, that leaves each label one of the others.

    They are those with the lowest hashes, at least one in twenty: few may have a low one.

    Args:
        labels: the labels of each text.
    """
    left = Counter(label for several in labels.values() for label in several)
    if _are_numbers(left):
        left.clear()
    least = max(1, len(labels) // 20)
    drawn: set[str] = set()
    for text in in_order_of_hash(labels):
        if hash_of(text)[0] >= _HELD_OUT_BELOW and len(drawn) >= least:
            break
        if all(left[label] != 1 for label in labels[text]):
            drawn.add(text)
            left.subtract(labels[text])
    return drawn


def _are_numbers(labels: Mapping[str, int]) -> bool:
    """Tell whether labels are numbers to be predicted, and none that stand for classes.

    They are more, or finer, than such, and most of them come once.

    Args:
        labels: how often each label comes.
    """
    try:
        numbers = list(map(float, labels))
    except ValueError:
        return False
    is_fine = len(numbers) > _MOST_NUMBERED or not all(map(float.is_integer, numbers))
    return is_fine and 2 * sum(count == 1 for count in labels.values()) > len(labels)


def _last_groups(groups: Sequence[str]) -> set[str]:
    """Return the groups that begin last, until they have a tenth of the examples.

    One with more than a fifth of them is passed over, and so is the first. If none is left, it is
    the smallest of all.

    Args:
        groups: the group of each example.
    """
    sizes = Counter(groups)  # in the order in which they begin
    wanted = max(1, len(groups) // 10)
    drawn: set[str] = set()
    for group in list(reversed(sizes))[:-1]:
        if wanted <= 0:
            break
        if sizes[group] <= max(1, len(groups) // 5):
            drawn.add(group)
            wanted -= sizes[group]
    return drawn or {min(reversed(sizes), key=sizes.__getitem__)}


def _without(
    held_out: Iterable[Record], examples: Sequence[Record], kind: Kind
) -> Sequence[Record]:
    """Return the examples in which the system reads no text that a held-out one has, too."""
    if kind not in ("labels", "pairs"):
        return examples
    field = _INPUT_FIELD[kind]
    texts = {example[field] for example in held_out}
    return [example for example in examples if example[field] not in texts]


def _give_back(splits: dict[str, list[Record]]) -> None:
    """Move what is held out of labels of which cleaning has left nothing to learn from."""
    labels = [example["label"] for split in splits.values() for example in split]
    if _are_numbers(Counter(labels)):
        return
    learnt = {example["label"] for example in splits["train"]}
    texts = {e["text"] for e in splits["validation"] if e["label"] not in learnt and e["text"]}
    back = [example for example in splits["validation"] if example["text"] in texts]
    splits["train"] = [*splits["train"], *back]
    splits["validation"] = [e for e in splits["validation"] if e["text"] not in texts]


def _folder(name: str, key: str) -> Path:
    digest = hashlib.sha256(f"{_PREPARATION} {key}".encode()).hexdigest()[:16]
    return home() / "prepared" / f"{name}-{digest}"


def _write(
    folder: Path,
    kind: Kind,
    splits: Mapping[str, Iterable[Any]],
    steps: Sequence[str] = (),
    swap: bool = False,
) -> None:
    with whole_folder(folder) as scratch:
        for split, content in splits.items():
            if kind == "text":
                pieces = clean(content, steps) if steps else content
                with open(scratch / f"{split}.txt", "w", encoding="utf-8", newline="") as file:
                    file.writelines(pieces)
            else:
                records.write(scratch, split, _treated(content, kind, split, steps, swap), kind)


def _treated(
    content: Iterable[Record], kind: Kind, split: str, steps: Sequence[str], swap: bool
) -> Iterable[Record]:
    """Return records cleaned and, if they are to be, swapped."""
    held_out = split != "train"
    content = records.cleaned(content, kind, steps, held_out)
    return records.swapped(content, held_out) if swap else content
