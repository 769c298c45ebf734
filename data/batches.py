"""Token ids on disk, and the batches that training and scoring cut from them.

A text becomes one array of token ids in a file. `tf.data` decides which windows go into which batch
and reads just those, in its own threads, so the memory used does not grow with the text and the
training step does not wait. Everything is a function of the seed and the step: a run that is taken
up again at step 700 sees the batches that it would have seen.

Shapes: B batch, T positions in a window.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from ..errors import InputError
from ..files import whole_file, write_json
from .sources import home
from .text import Text
from .tokenizers import LOSSY, Tokenizer

_FORMAT = 1
PREFETCHED_BATCHES = 16
_PIECE_TOKENS = 1 << 20


@dataclass(frozen=True)
class TokenFile:
    """A text as token ids in a file of raw unsigned integers, and what it was made from."""

    path: Path
    text_sha256: str
    dtype: str
    num_tokens: int
    num_bytes: int
    """UTF-8 bytes of the text."""
    num_unknown: int
    """How many of the tokens stand for text that the vocabulary lacks."""
    unknown_bytes: int
    """UTF-8 bytes of the text that those stand for."""
    lossy: bool
    """Whether the text cannot be restored from the tokens even where they are known."""
    unknown_id: int | None = None
    """The token that stands for what the vocabulary lacks."""
    token_bytes: np.ndarray | None = field(default=None, repr=False, compare=False)
    """UTF-8 bytes of the text that each known token stands for, (V,); None: of all the same."""

    def bytes_of(self, token_ids: np.ndarray) -> np.ndarray:
        """Return how many UTF-8 bytes of the text each token stands for, float64 (T,).

        Of unknown ones it is the mean; of a lossy tokenizer's, which cannot be told, of all.
        """
        if self.token_bytes is None or self.lossy:
            return np.full(len(token_ids), self.num_bytes / self.num_tokens)
        mean = self.unknown_bytes / max(1, self.num_unknown)
        return np.where(token_ids == self.unknown_id, mean, self.token_bytes[token_ids])

    def read(self, starts: Iterable[int], length: int) -> np.ndarray:
        """Return `length` tokens from each start on, zeros past both ends of the text.

        The result has the shape (len(starts), length).
        """
        starts = list(map(int, starts))
        windows = np.zeros((len(starts), length), self.dtype)
        # Plain reads: a memory map would count every page it ever touched as this process's memory.
        with open(self.path, "rb", buffering=0) as file:
            for window, start in zip(windows, starts, strict=True):
                before = min(length, max(0, -start))
                file.seek(max(0, start) * windows.itemsize)
                file.readinto(window[before:])
        return windows

    def pieces(self) -> Iterator[np.ndarray]:
        """Yield all tokens in their order, about a million at a time."""
        for start in range(0, self.num_tokens, _PIECE_TOKENS):
            yield self.read([start], min(_PIECE_TOKENS, self.num_tokens - start))[0]


def tokenize(text: Text, tokenizer: Tokenizer) -> TokenFile:
    """Return the token ids of `text`, from the cache if they are there."""
    text_sha256 = text.sha256()
    description = f"{_FORMAT} {text_sha256} {tokenizer.fingerprint()}"
    key = hashlib.sha256(description.encode()).hexdigest()[:20]
    path = home() / "tokens" / f"{key}.bin"
    about = path.with_suffix(".json")
    of_tokenizer = {"unknown_id": tokenizer.unknown_id, "token_bytes": tokenizer.token_bytes()}
    if path.is_file() and about.is_file():
        return TokenFile(path=path, **json.loads(about.read_text()), **of_tokenizer)

    dtype = np.min_scalar_type(tokenizer.vocab_size - 1)
    counts = np.zeros(tokenizer.vocab_size, np.int64)
    with whole_file(path) as scratch, open(scratch, "wb") as file:
        for token_ids in tokenizer.encode_pieces(text.pieces()):
            counts += np.bincount(token_ids, minlength=len(counts))
            file.write(token_ids.astype(dtype).tobytes())  # `tofile` hides why it failed
    unknown = 0 if tokenizer.unknown_id is None else int(counts[tokenizer.unknown_id])
    tokens = TokenFile(
        path=path,
        text_sha256=text_sha256,
        dtype=dtype.name,
        num_tokens=int(counts.sum()),
        num_bytes=text.num_bytes,
        num_unknown=unknown,
        unknown_bytes=text.num_bytes - int(counts @ of_tokenizer["token_bytes"]) if unknown else 0,
        lossy=tokenizer.kind in LOSSY,
        **of_tokenizer,
    )
    kept = {"path", *of_tokenizer}
    write_json(about, {name: value for name, value in asdict(tokens).items() if name not in kept})
    return tokens


def training_windows(
    tokens: TokenFile, length: int, batch_size: int, seed: int, first_batch: int = 0
) -> tf.data.Dataset:
    """Return an endless dataset of random windows and the same windows one token on.

    The text is cut into windows of `length` tokens, which come in random order, each once an epoch;
    in the next epoch the cuts lie elsewhere.

    Args:
        tokens: the training split.
        length: positions in a window, T.
        batch_size: windows in a batch, B.
        seed: decides the order and the cuts.
        first_batch: where to begin; the batches before it are skipped at no cost.

    Returns:
        A dataset of `(token_ids, next_token_ids)`, both (B, T) int32.

    Raises:
        InputError: if the text is shorter than one window.
    """
    if tokens.num_tokens <= length:
        raise InputError(
            f"the training text has {tokens.num_tokens} tokens and one window needs {length + 1} "
            "(the context length and the token to predict after it); give a longer text or a "
            "smaller --model.context-length."
        )

    def cut(starts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        windows = read_windows(tokens, starts, length + 1)  # (B, T + 1)
        return windows[:, :-1], windows[:, 1:]

    starts = scattered_starts(tokens.num_tokens - 1, length, batch_size, seed, first_batch)
    return prefetched(starts.map(cut))


def scattered_starts(
    num_tokens: int, length: int, batch_size: int, seed: int, first_batch: int = 0
) -> tf.data.Dataset:
    """Return an endless dataset of batches of places where windows of `length` tokens begin.

    The text is cut into windows side by side, which come in random order, each once an epoch; in
    the next epoch the cuts lie elsewhere. Each batch is (B,) int64.
    """
    whole_windows, slack = divmod(num_tokens, length)
    # One window is left out so that the cuts can begin anywhere in the first `length` tokens.
    num_windows, num_phases = max(1, whole_windows - 1), slack + 1
    if whole_windows > 1:
        num_phases += length

    def start_of_window(window: tf.Tensor, order: tf.Tensor) -> tf.Tensor:
        phase = tf.random.stateless_uniform((), order, maxval=num_phases, dtype=tf.int64)
        return window * length + phase

    windows = shuffled(num_windows, seed, first_batch * batch_size)
    return windows.map(start_of_window).batch(batch_size, drop_remainder=True)


def shuffled(number: int, seed: int, first: int = 0) -> tf.data.Dataset:
    """Return an endless dataset of the numbers below `number`, in another order each epoch.

    Each comes with the seed of its epoch, (2,) int64. The `first` ones are skipped at no cost.
    """

    def shuffle(example: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        order = tf.stack([tf.constant(seed, tf.int64), example // number])  # the epoch's
        return tf.random.experimental.index_shuffle(example % number, order, number - 1), order

    return tf.data.Dataset.range(first, np.iinfo(np.int64).max).map(shuffle)


def batches_per_pass(tokens: TokenFile, length: int, batch_size: int) -> int:
    """Return how many batches of `contiguous_windows` make one pass over the text.

    Raises:
        InputError: if the text is too short for one.
    """
    number = (tokens.num_tokens - 1) // batch_size // length
    if number < 1:
        raise InputError(
            f"the training text has {tokens.num_tokens} tokens, and {batch_size} windows of "
            f"{length} side by side need {batch_size * length + 1}; give a longer text or a "
            "smaller --train.batch-size or --model.context-length."
        )
    return number


def contiguous_windows(
    tokens: TokenFile, length: int, batch_size: int, first_batch: int = 0
) -> tf.data.Dataset:
    """Return an endless dataset of windows in the order of the text, for a state that is carried.

    The text is cut into `batch_size` streams of equal length; batch k has window k of each. When
    the streams are read to their end, they begin anew. What is too short for a window at the end of
    a stream is left out.

    Args:
        tokens: the training split.
        length: positions in a window, T.
        batch_size: streams, B.
        first_batch: where to begin; the batches before it are skipped at no cost.

    Returns:
        A dataset of `({"token_ids": (B, T) int32, "goes_on": (B,) bool}, next_token_ids (B, T))`,
        where `goes_on` tells whether a row goes on where the same row of the batch before ended.

    Raises:
        InputError: if the text is too short for one batch.
    """
    in_pass = batches_per_pass(tokens, length, batch_size)
    stream = (tokens.num_tokens - 1) // batch_size

    def cut(batch: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        position = batch % in_pass
        starts = stream * tf.range(batch_size, dtype=tf.int64) + position * length
        windows = read_windows(tokens, starts, length + 1)  # (B, T + 1)
        goes_on = tf.fill((batch_size,), position > 0)
        return {"token_ids": windows[:, :-1], "goes_on": goes_on}, windows[:, 1:]

    batches = tf.data.Dataset.range(first_batch, np.iinfo(np.int64).max)
    return prefetched(batches.map(cut))


def scoring_windows(
    tokens: TokenFile, length: int, stride: int, batch_size: int
) -> tf.data.Dataset:
    """Return windows that score every token but the first exactly once, with context where it can.

    Windows begin every `stride` tokens. The first scores all its `length` tokens, each later one
    its last `stride`, so that a token is predicted from at least `length - stride` tokens.

    Args:
        tokens: the held-out split, of at least two tokens.
        length: positions in a window, T.
        stride: tokens from one window to the next, at most `length`.
        batch_size: windows in a batch, B.

    Returns:
        A dataset of `(token_ids, next_token_ids, weights)`, each (B, T), the ids int32 and the
        weights float32: 1 where the token counts, 0 where another window counts it and in the
        padding. All batches have the same shape.
    """
    check_two(tokens)
    num_windows = 1 + max(0, -(-(tokens.num_tokens - 1 - length) // stride))
    num_batches = -(-num_windows // batch_size)
    positions = tf.range(length, dtype=tf.int64)  # (T,)

    def cut(starts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        windows = read_windows(tokens, starts, length + 1)  # (B, T + 1)
        first = starts[:, None]
        new = (first == 0) | (positions >= length - stride)  # (B, T)
        there = first + positions + 1 < tokens.num_tokens  # (B, T)
        return windows[:, :-1], windows[:, 1:], tf.cast(new & there, tf.float32)

    # The last batch is filled up with windows past the end, in which nothing counts.
    starts = tf.data.Dataset.range(0, num_batches * batch_size * stride, stride)
    windows = starts.batch(batch_size, drop_remainder=True).map(cut)
    return prefetched(windows)


def scoring_continuations(tokens: TokenFile, length: int, batch_size: int) -> tf.data.Dataset:
    """Return windows side by side that score every token but the first once, with what came before.

    A window is predicted from the `length` tokens before it (fewer only for the first one).

    Args:
        tokens: the held-out split, of at least two tokens.
        length: positions in a window, and before it, T.
        batch_size: windows in a batch, B.

    Returns:
        A dataset of `(before, is_token, token_ids, next_token_ids, weights)`, each (B, T): the
        tokens before the window and which of them there are (bool), the window with the token
        before it and without its last, the window, and 1 where a token counts (float32).
    """
    check_two(tokens)
    num_batches = -(-(tokens.num_tokens - 1) // (length * batch_size))
    positions = tf.range(length, dtype=tf.int64)  # (T,)

    def cut(starts: tf.Tensor) -> tuple[tf.Tensor, ...]:
        windows = read_windows(tokens, starts - length, 2 * length)  # (B, 2 T)
        is_token = starts[:, None] - length + positions >= 0  # (B, T)
        there = starts[:, None] + positions < tokens.num_tokens  # (B, T)
        return (
            windows[:, :length],
            is_token,
            windows[:, length - 1 : -1],
            windows[:, length:],
            tf.cast(there, tf.float32),
        )

    starts = tf.data.Dataset.range(1, 1 + num_batches * batch_size * length, length)
    windows = starts.batch(batch_size, drop_remainder=True).map(cut)
    return prefetched(windows)


def check_two(tokens: TokenFile) -> None:
    """Raise `InputError` unless there are two tokens: the first one is not predicted."""
    if tokens.num_tokens < 2:
        raise InputError(
            "the text (or its validation split) has fewer than two tokens, so there is nothing to "
            "predict; give a longer one."
        )


def head(tokens: TokenFile, limit: int) -> TokenFile:
    """Return the first `limit` tokens at most, with bytes in proportion; for quick estimates."""
    share = min(1.0, limit / tokens.num_tokens)
    return replace(
        tokens,
        num_tokens=round(share * tokens.num_tokens),
        num_bytes=round(share * tokens.num_bytes),
        num_unknown=round(share * tokens.num_unknown),
        unknown_bytes=round(share * tokens.unknown_bytes),
    )


def read_windows(tokens: TokenFile, starts: tf.Tensor, length: int) -> tf.Tensor:
    """Return `length` tokens from each of the starts (B,) on, (B, length) int32, in the graph."""
    windows = tf.numpy_function(
        lambda starts: tokens.read(starts, length), [starts], tf.as_dtype(tokens.dtype)
    )
    windows = tf.ensure_shape(windows, (starts.shape[0], length))
    return tf.cast(windows, tf.int32)


def prefetched(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Return the batches, some of them made ahead of their use.

    tf.data's tuning is off: there is nothing to tune, and its thread can delay the end of the
    process by 10 s.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.prefetch(PREFETCHED_BATCHES).with_options(options)
