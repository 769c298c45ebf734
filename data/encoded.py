"""Examples as arrays of numbers on disk, and batches of examples that are about as long.

A task turns each record into one or more examples, and an example into columns: its token ids, the
tag of each token, the number of its label. On disk a column is one array with all examples one
after the other and one array of where each begins, both read as memory maps.

What is as long as its neighbours needs little padding, so examples are sorted by length before they
are cut into batches: not all of them, or every epoch would have the same batches, but a stretch of
`CHUNK_BATCHES` batches at a time, or of an epoch where that is shorter, as a batch of one example
ten times over teaches little. Everything is a function of the seed and the step.

Shapes: B batch, T positions.
"""

import hashlib
import json
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import tensorflow as tf

from ..errors import InputError
from ..files import whole_folder
from .batches import prefetched
from .records import Record, Records
from .sources import home

_FORMAT = 1
CHUNK_BATCHES = 64
_LENGTHS = sorted({8 * 2**n for n in range(16)} | {12 * 2**n for n in range(16)})
"""The lengths that a batch is filled up to: 8, 12, 16, 24, 32, 48, ... Few, as each is compiled for
itself, and none much longer than what it holds."""

Example = Mapping[str, np.ndarray]
"""The columns of an example, each (length,) of integers or of float32."""


@dataclass(frozen=True)
class EncodedRecords:
    """Examples as columns of numbers, and what they were made from."""

    records: Records
    text_sha256: str
    columns: Mapping[str, "Column"]
    num_examples: int
    num_tokens: int
    """Tokens of the column that the task counts."""

    def sample(self, limit: int) -> "EncodedRecords":
        """Return examples with about `limit` tokens, all those of each record that is chosen.

        The records are spread evenly over the file, which may be sorted by length or by label.
        """
        if limit >= self.num_tokens:
            return self
        of_examples = np.arange(self.num_examples)  # the record of each
        if "record" in self.columns:
            of_examples = self.columns["record"].values
        all_records = np.unique(of_examples)
        number = max(1, limit * len(all_records) // self.num_tokens)
        chosen = all_records[np.arange(number) * len(all_records) // number]
        examples = np.flatnonzero(np.isin(of_examples, chosen))
        columns = {name: column.some(examples) for name, column in self.columns.items()}
        if "record" in columns:
            numbers = np.searchsorted(chosen, columns["record"].values).astype(np.int32)
            columns["record"] = Column(numbers, columns["record"].starts)
        records = replace(self.records, numbers=frozenset(chosen.tolist()))
        num_tokens = round(self.num_tokens * len(examples) / self.num_examples)
        return replace(
            self,
            records=records,
            columns=columns,
            num_examples=len(examples),
            num_tokens=num_tokens,
        )


@dataclass(frozen=True)
class Column:
    """Some numbers for each example, which may differ in how many they are.

    Args:
        values: the numbers of all examples, one after the other.
        starts: where each example begins, and where the last one ends.
    """

    values: np.ndarray
    starts: np.ndarray

    def __getitem__(self, number: int) -> np.ndarray:
        """Return what one example has, (length,)."""
        return self.values[self.starts[number] : self.starts[number + 1]]

    def some(self, numbers: np.ndarray) -> "Column":
        """Return the column of some of the examples, in memory."""
        starts = np.cumsum([0, *self.lengths[numbers]])
        return Column(np.concatenate([self[n] for n in numbers]), starts)

    @cached_property
    def lengths(self) -> np.ndarray:
        """How many numbers each example has: int64, (number of examples,)."""
        return np.diff(self.starts)


def encode(
    records: Records,
    key: str,
    examples: Callable[[int, Record], Iterable[Example]],
    counted: str,
) -> EncodedRecords:
    """Return records as examples, from the cache if they are there.

    Args:
        records: the records of a split.
        key: all else that the examples depend on, such as the tokenizer's fingerprint.
        examples: makes the examples of a record, of which it gets the number, too; all examples
            have the same columns.
        counted: the column whose numbers are tokens to learn from.

    Raises:
        InputError: if there is no example.
    """
    text_sha256 = records.sha256()
    digest = hashlib.sha256(f"{_FORMAT} {text_sha256} {key}".encode()).hexdigest()[:20]
    folder = home() / "tokens" / f"{digest}-examples"
    if not folder.is_dir():
        made = (example for n, record in enumerate(records) for example in examples(n, record))
        with whole_folder(folder) as scratch:
            _write(scratch, made, counted, records.path)
    about = json.loads((folder / "about.json").read_text())
    columns = {
        name: Column(_mapped(folder / f"{name}.bin", dtype), np.load(folder / f"{name}.starts.npy"))
        for name, dtype in about.pop("dtypes").items()
    }
    return EncodedRecords(records, text_sha256, columns, **about)


def in_memory(examples: Sequence[Example], counted: str = "token_ids") -> EncodedRecords:
    """Return examples that are not kept, such as those of what a person asks."""
    columns = {
        name: Column(
            np.concatenate([example[name] for example in examples]),
            np.cumsum([0, *(len(example[name]) for example in examples)]),
        )
        for name in examples[0]
    }
    nothing = Records(Path(os.devnull), "text")
    num_tokens = len(columns[counted].values)
    return EncodedRecords(nothing, "", columns, len(examples), num_tokens)


def _mapped(path: Path, dtype: str) -> np.ndarray:
    is_empty = not path.stat().st_size  # which cannot be mapped
    return np.zeros(0, dtype) if is_empty else np.memmap(path, dtype, mode="r")


def _write(folder: Path, examples: Iterable[Example], counted: str, path: Path) -> None:
    """Write the columns of all examples as they come."""
    files: dict[str, BinaryIO] = {}
    lengths: dict[str, array] = {}
    dtypes: dict[str, str] = {}
    with ExitStack() as stack:
        for example in examples:
            for name, values in example.items():
                if name not in files:
                    files[name] = stack.enter_context(open(folder / f"{name}.bin", "wb"))
                    lengths[name], dtypes[name] = array("q"), values.dtype.name
                files[name].write(values.astype(dtypes[name]).tobytes())
                lengths[name].append(len(values))
    if not files:
        raise InputError(f"{path} has no example in it; give some.")
    for name, each in lengths.items():
        np.save(folder / f"{name}.starts.npy", np.cumsum([0, *each]))
    about = {
        "num_examples": len(lengths[counted]),
        "num_tokens": sum(lengths[counted]),
        "dtypes": dtypes,
    }
    (folder / "about.json").write_text(json.dumps(about))


# === Batches ===


@dataclass(frozen=True)
class Batches:
    """Batches of examples of about the same length.

    Args:
        lengths: the length of each example, (number of examples,).
        most: the most positions that a batch may have, T.
        batch_size: examples in a batch, B.
        fill: makes a batch of the examples with these numbers, (B,) int64, -1 for an empty one, all
            filled up to that many positions: nested arrays.
    """

    lengths: np.ndarray
    most: int
    batch_size: int
    fill: Callable[[np.ndarray, int], Any]

    def training(self, seed: int, first_batch: int = 0) -> tf.data.Dataset:
        """Return an endless dataset of examples in random order, each once an epoch.

        Args:
            seed: decides the order.
            first_batch: where to begin; the batches before it are skipped at next to no cost.
        """
        return self._dataset(lambda: self._shuffled(seed, first_batch))

    def _shuffled(self, seed: int, first_batch: int) -> Iterator[np.ndarray]:
        """Yield the numbers of the examples of each batch."""
        of_chunk = min(CHUNK_BATCHES, max(1, len(self.lengths) // self.batch_size))
        first_chunk, skipped = divmod(first_batch, of_chunk)
        size = of_chunk * self.batch_size
        epochs: dict[int, np.ndarray] = {}
        chunk = first_chunk
        while True:
            epoch, position = np.divmod(chunk * size + np.arange(size), len(self.lengths))
            present = np.unique(epoch).tolist()
            for each in present:
                if each not in epochs:
                    chance = np.random.default_rng((seed, each))
                    epochs[each] = chance.permutation(len(self.lengths))
            epochs = {each: epochs[each] for each in present}  # the others are over
            numbers = [order[position[epoch == each]] for each, order in epochs.items()]
            numbers = np.concatenate(numbers)
            numbers = numbers[np.argsort(self.lengths[numbers], kind="stable")]
            batches = numbers.reshape(of_chunk, self.batch_size)
            order = np.random.default_rng((seed, chunk, 1)).permutation(of_chunk)
            yield from batches[order[skipped:]]
            chunk, skipped = chunk + 1, 0

    def in_order(self) -> Iterator[tuple[np.ndarray, Any]]:
        """Yield the examples, the longest first, in batches of one size.

        Yields:
            The numbers of the examples, (B,), -1 where the last batch is filled up, and the batch.
        """
        number = self.lengths.size
        numbers = np.full(-(-number // self.batch_size) * self.batch_size, -1)
        numbers[:number] = np.argsort(-self.lengths, kind="stable")
        for batch in numbers.reshape(-1, self.batch_size):
            yield batch, self._filled(batch)

    def _filled(self, numbers: np.ndarray) -> Any:
        longest = int(self.lengths[numbers[numbers >= 0]].max())
        length = next(length for length in _LENGTHS if length >= longest)
        return self.fill(numbers, min(length, self.most))

    def _dataset(self, numbers: Callable[[], Iterator[np.ndarray]]) -> tf.data.Dataset:
        def with_any_length(array: np.ndarray) -> tf.TensorSpec:
            shape = (self.batch_size, *(None for _ in array.shape[1:]))
            return tf.TensorSpec(shape, tf.as_dtype(array.dtype))

        example = self.fill(np.zeros(self.batch_size, np.int64), self.most)
        dataset = tf.data.Dataset.from_generator(
            lambda: map(self._filled, numbers()),
            output_signature=tf.nest.map_structure(with_any_length, example),
        )
        return prefetched(dataset)


def padded(column: Column, numbers: np.ndarray, length: int, filling: int | float) -> np.ndarray:
    """Return a column of some examples, filled up or cut to the same length.

    Args:
        column: the column.
        numbers: which examples, (B,); -1 for an empty one.
        length: positions, T.
        filling: what stands in the padding.

    Returns:
        (B, T), int32 or float32.
    """
    dtype = np.float32 if column.values.dtype.kind == "f" else np.int32
    places = np.arange(length)
    is_there = places < np.where(numbers >= 0, column.lengths[numbers], 0)[:, None]  # (B, T)
    table = np.full(is_there.shape, filling, dtype)
    table[is_there] = column.values[(column.starts[numbers][:, None] + places)[is_there]]
    return table
