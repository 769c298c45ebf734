"""Pairs of texts, a source and a target: one pair a line, a tab between the two.

    Go.<TAB>Ve.

On disk they are one array of token ids and one of offsets. Batches are read in the threads of
`tf.data`, and are a function of the seed and the step.

Shapes: B batch, S source positions, T target positions.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from ..errors import InputError
from ..files import whole_folder
from .batches import PREFETCHED_BATCHES, shuffled, without_autotune
from .records import Records
from .sources import home
from .text import Text
from .tokenizers import Tokenizer

_FORMAT = 1


@dataclass(frozen=True)
class PairFile:
    """Pairs of texts as token ids, and what they were made from."""

    folder: Path
    """Holds `ids.npy`, source and target of each pair one after the other, and `offsets.npy`, where
    each of them begins."""
    text_sha256: str
    num_pairs: int
    num_tokens: int
    """Tokens of all targets, their ends included."""

    def read(self, pairs: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the token ids of some pairs: of each source and target, (length,) each."""
        ids = np.load(self.folder / "ids.npy", mmap_mode="r")
        offsets = np.load(self.folder / "offsets.npy", mmap_mode="r")
        bounds = [offsets[2 * pair : 2 * pair + 3] for pair in pairs]
        return [
            (np.array(ids[start:middle]), np.array(ids[middle:stop]))
            for start, middle, stop in bounds
        ]


def parse(text: Text) -> Iterator[tuple[str, str]]:
    """Yield the pairs of a text.

    Raises:
        InputError: naming the line that is no pair.
    """
    prepared = text.spans[0].path.with_suffix(".jsonl")
    if prepared.is_file():
        for record in Records(prepared, "pairs"):
            yield record["source"], record["target"]
        return
    number = 0
    for piece in text.pieces():
        for line in piece.split("\n"):
            if not line:
                continue
            number += 1
            if line.count("\t") != 1:
                raise InputError(
                    f"line {number} of {text.spans[0].path}, {line[:40]!r}, is no pair; give a "
                    "source and a target with one tab between them."
                )
            source, target = line.split("\t")
            yield source, target


def encode_pairs(text: Text, tokenizer: Tokenizer) -> PairFile:
    """Return the pairs of a text as token ids, from the cache if they are there."""
    text_sha256 = text.sha256()
    description = f"pairs {_FORMAT} {text_sha256} {tokenizer.fingerprint()}"
    key = hashlib.sha256(description.encode()).hexdigest()[:20]
    folder = home() / "tokens" / f"{key}-pairs"
    if not folder.is_dir():
        _write(folder, text, text_sha256, tokenizer)
    about = json.loads((folder / "about.json").read_text())
    return PairFile(folder=folder, **about)


def _write(folder: Path, text: Text, text_sha256: str, tokenizer: Tokenizer) -> None:
    ids, lengths = [], []
    for pair in parse(text):
        for part in pair:
            ids.append(tokenizer.encode(part))
            lengths.append(len(ids[-1]))
    if not lengths:
        raise InputError(
            f"{text.spans[0].path} has no pair in it; give lines of a source and a target with a "
            "tab between them."
        )
    pairs = PairFile(
        folder=folder,
        text_sha256=text_sha256,
        num_pairs=len(lengths) // 2,
        num_tokens=sum(lengths[1::2]) + len(lengths) // 2,
    )
    about = {name: value for name, value in asdict(pairs).items() if name != "folder"}
    with whole_folder(folder) as scratch:
        np.save(scratch / "ids.npy", np.concatenate(ids))
        np.save(scratch / "offsets.npy", np.cumsum([0, *lengths]))
        (scratch / "about.json").write_text(json.dumps(about))


@dataclass(frozen=True)
class PairBatches:
    """Batches of pairs, each filled up to the same length.

    Args:
        pairs: the pairs.
        tokenizer: a tokenizer that was trained with `PAIR_TOKENS`.
        length: the most tokens of a source, S, and of a target with its end, T; what is longer is
            cut.
        batch_size: pairs in a batch, B.
    """

    pairs: PairFile
    tokenizer: Tokenizer
    length: int
    batch_size: int

    def training(self, seed: int, first_batch: int = 0) -> tf.data.Dataset:
        """Return an endless dataset of pairs in random order, each once an epoch.

        Args:
            seed: decides the order.
            first_batch: where to begin; the batches before it are skipped at no cost.

        Returns:
            A dataset of `(inputs, next_token_ids, weights)`. inputs: `source_ids` (B, S) int32,
            `source_mask` (B, S) bool, `token_ids` (B, T) int32, which begin with [START]. Targets,
            which end with [END], (B, T) int32; weights (B, T) float32, 0 for the padding.
        """
        numbers = shuffled(self.pairs.num_pairs, seed, first_batch * self.batch_size)
        numbers = numbers.map(lambda number, order: number)
        return self._batches(numbers.batch(self.batch_size, drop_remainder=True))

    def in_order(self, limit: int | None = None) -> tf.data.Dataset:
        """Return the first `limit` pairs, or all; the last batch is filled up with empty ones."""
        number = min(self.pairs.num_pairs, limit or self.pairs.num_pairs)
        filled_up = -(-number // self.batch_size) * self.batch_size
        numbers = tf.data.Dataset.range(filled_up)
        numbers = numbers.map(lambda n: tf.where(n < number, n, tf.constant(-1, tf.int64)))
        return self._batches(numbers.batch(self.batch_size, drop_remainder=True))

    def _batches(self, numbers: tf.data.Dataset) -> tf.data.Dataset:
        names = ("source_ids", "source_mask", "token_ids")
        types = (tf.int32, tf.bool, tf.int32, tf.int32, tf.float32)

        def read(numbers: tf.Tensor) -> tuple:
            arrays = tf.numpy_function(self._filled, [numbers], types)
            shape = (self.batch_size, self.length)
            *inputs, targets, weights = (tf.ensure_shape(array, shape) for array in arrays)
            return dict(zip(names, inputs, strict=True)), targets, weights

        return without_autotune(numbers.map(read).prefetch(PREFETCHED_BATCHES))

    def _filled(self, numbers: np.ndarray) -> tuple[np.ndarray, ...]:
        """Read pairs into arrays (B, length); those of number -1 stay empty."""
        shape = (len(numbers), self.length)
        padding, start, end = (
            self.tokenizer.special_id(name) for name in ("[PAD]", "[START]", "[END]")
        )
        source_ids, token_ids, targets = (np.full(shape, padding, np.int32) for _ in range(3))
        source_mask, weights = np.zeros(shape, bool), np.zeros(shape, np.float32)
        there = np.flatnonzero(numbers >= 0)
        for row, (source, target) in zip(there, self.pairs.read(numbers[there]), strict=True):
            source = source[: self.length]
            source_ids[row, : len(source)] = source
            source_mask[row, : len(source)] = True
            target = np.concatenate([[start], target[: self.length - 1], [end]])
            token_ids[row, : len(target) - 1] = target[:-1]
            targets[row, : len(target) - 1] = target[1:]
            weights[row, : len(target) - 1] = 1
        return source_ids, source_mask, token_ids, targets, weights
