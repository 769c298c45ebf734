"""N-gram language models: how often each token followed the few before it (Shannon 1948).

    P(w | c) = f(c w)           if the token w was seen after the context c
             = b(c) P(w | c')   if not; c' is c without its first token
    P(w | no context)           the same, with 1 / V in the place of P(w | c')

A context that was never seen has b(c) = 1. What f and b are is the business of a smoothing method
(`ngram_smoothing`). The n-grams and their counts are kept in sorted arrays (`ngram_counts`): a
token's probability takes one binary search for each length, for all tokens of a text at once.

Shapes: B batch, T positions, V vocabulary, N order.
"""

import json
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np

from ..errors import InputError
from .configs import NGramConfig
from .ngram_counts import PADDING, UNAVAILABLE, Level, count, merge
from .ngram_smoothing import DISCOUNTS, ESTIMATORS, Seen

_PIECE_TOKENS = 1 << 20
_CHUNK_ELEMENTS = 1 << 22


class NGram:
    """An n-gram language model: ids (B, T) to logits (B, T, V), from counts.

    It keeps the contract of `LanguageModel` in numpy. It has no gradients and is not compiled: it
    is trained by `fit`, which counts. Its logits are log-probabilities.

    Every token has a probability above zero, but for maximum likelihood: a token that never came
    after a context that was seen has 0, its logit is -inf, and so is the log-probability of a text
    with one such token. After a context that was never seen, or seen only at the end of the text,
    maximum likelihood takes the longest part of it that was.

    Args:
        config: the hyperparameters, with `vocab_size` set.

    Example:
        >>> model = NGram(NGramConfig(vocab_size=3, order=2, smoothing="maximum-likelihood"))
        >>> model.fit(np.array([0, 1, 0, 2, 0, 1])).probabilities([0])
        array([0.        , 0.66666667, 0.33333333])
    """

    config_class = NGramConfig
    prefers_xla = False
    max_length = None
    """None: what it remembers stays the same size, however long the text."""

    def __init__(self, config: NGramConfig):
        if config.vocab_size < 1:
            raise ValueError("config.vocab_size is 0; set it to the tokenizer's vocab_size.")
        if config.boundary is not None:
            raise ValueError("config.boundary is a text; set boundary_id to its token instead.")
        self.config = config
        self._forget()
        self._estimate()

    # === Training ===

    def fit(self, token_ids: np.ndarray | Iterable[np.ndarray]) -> "NGram":
        """Learn a text, and forget what was learnt before.

        Args:
            token_ids: (T,) ids, or an iterable of such arrays: the pieces of one text, in order. Of
                pieces, no more than about a million tokens are held at a time.

        Returns:
            The model itself.
        """
        self._forget()
        return self.update(token_ids)

    def update(self, token_ids: np.ndarray | Iterable[np.ndarray]) -> "NGram":
        """Learn how the text goes on; as `fit`, but without forgetting."""
        pieces = [token_ids] if hasattr(token_ids, "ndim") else token_ids
        waiting: list[np.ndarray] = []
        for piece in pieces:
            piece = self._checked(piece, 1)
            for start in range(0, len(piece), _PIECE_TOKENS):
                waiting.append(piece[start : start + _PIECE_TOKENS])
                if sum(map(len, waiting)) >= _PIECE_TOKENS:
                    self._learn(np.concatenate(waiting))
                    waiting = []
        if waiting:
            self._learn(np.concatenate(waiting))
        self._estimate()
        return self

    def _forget(self) -> None:
        nothing = np.zeros(0, np.int64)
        size, boundary = self.config.vocab_size, self.config.boundary_id
        self._levels = [Level(size, nothing, nothing) for _ in range(self.config.order)]
        # The tokens before the next to be counted: at first the end of a sentence before the text.
        self._last = np.array([boundary] if boundary is not None else [], np.int64)

    def _learn(self, tokens: np.ndarray) -> None:
        num_before = len(self._last)
        tokens = np.concatenate([self._last, tokens])
        self._levels = merge(self._levels, count(tokens, num_before, self.config))
        self._last = tokens[max(0, len(tokens) - self.config.order + 1) :]

    def _estimate(self) -> None:
        """Compute probabilities and weights from the counts."""
        size = self.config.vocab_size
        self._link()
        probabilities, lower_norm, num_contexts = np.array([1 / size]), np.ones(1), 1
        for level, counts in zip(self._levels, self._counts_to_smooth(), strict=True):
            contexts = level.contexts
            lower = probabilities[level.suffixes]
            if self._rests_on_uniform:
                lower = np.full(len(counts), 1 / size)
            seen = Seen(self.config, counts, contexts, num_contexts, lower, lower_norm)
            mass, left, norm = ESTIMATORS[self.config.smoothing](seen)
            safe = np.where(norm > 0, norm, 1)
            level.weights = np.where(norm > 0, left / safe, 1.0)
            level.probabilities = mass / safe[contexts] + level.weights[contexts] * lower
            probabilities, lower_norm = level.probabilities, norm[level.suffixes]
            num_contexts = len(counts)
        first = self._levels[0]
        self._unigrams = np.full(size, first.weights[0] / size)  # (V,)
        self._unigrams[first.tokens] = first.probabilities

    def _link(self) -> None:
        """Find what each n-gram is without its first token."""
        below = None
        for level in self._levels:
            if below is None:
                level.suffixes = np.zeros(len(level.codes), np.int64)
            else:
                level.suffixes = below.find(below.suffixes[level.contexts], level.tokens)
            below = level

    def _counts_to_smooth(self) -> list[np.ndarray]:
        """Return the counts of each level that its probabilities are made from.

        For Kneser-Ney, that of an n-gram shorter than N is how many different tokens came before
        it. Nothing comes before one that begins at a sentence boundary, so that keeps its count.
        """
        counts = [level.counts for level in self._levels]
        if self.config.smoothing not in DISCOUNTS:
            return counts
        begins = self._levels[0].tokens == self.config.boundary_id
        for m, (level, above) in enumerate(zip(self._levels, self._levels[1:], strict=False)):
            preceding = np.bincount(above.suffixes, minlength=len(level.codes))
            if m:
                begins = begins[level.contexts]
                preceding = np.where(begins, level.counts, preceding)
            counts[m] = preceding
        return counts

    @property
    def _rests_on_uniform(self) -> bool:
        return self.config.smoothing == "add-k"

    # === Prediction ===

    def __call__(self, token_ids: np.ndarray, training: bool = False) -> np.ndarray:
        """Map token ids (B, T) to logits (B, T, V) float32: at t, for the token after t."""
        token_ids = self._checked(token_ids, 2)
        return self.extend(token_ids, self.initial_cache(len(token_ids), 0), 0)[0]

    def initial_cache(self, batch_size: int, length: int) -> np.ndarray:
        """Return the memory before the first token, (B, tokens that matter) int32.

        It is `PADDING`, with the end of a sentence as its last token if the model knows that: every
        text, or window of one, is taken for a beginning.
        """
        width = max(self.config.order - 1, self.config.cache_size)
        cache = np.full((batch_size, width), PADDING, np.int32)
        if self.config.boundary_id is not None:
            cache[:, -1:] = self.config.boundary_id
        return cache

    def extend(
        self, token_ids: np.ndarray, cache: np.ndarray, index: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Go on by several tokens: ids (B, T) to logits (B, T, V), cache.

        The position `index` makes no difference to an n-gram model.
        """
        token_ids = self._checked(token_ids, 2)
        length = token_ids.shape[1]
        history = np.concatenate([np.asarray(cache), token_ids], axis=1)  # (B, width + T)
        logits = np.empty((token_ids.size, self.config.vocab_size), np.float32)
        for rows, probabilities in self._distributions(history, length):
            logits[rows] = _log(probabilities)
        logits = logits.reshape(*token_ids.shape, self.config.vocab_size)  # (B, T, V)
        return logits, history[:, length:].astype(np.int32)

    def next(
        self, token_ids: np.ndarray, cache: np.ndarray, index: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Go on by one token: ids (B,) to logits (B, V), and the cache."""
        logits, cache = self.extend(np.asarray(token_ids)[:, None], cache, index)
        return logits[:, 0], cache

    def hidden_states(
        self, token_ids: np.ndarray, cache: np.ndarray, index: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities (B, T, V), cache: nothing is hidden, the prediction is the state."""
        logits, cache = self.extend(token_ids, cache, index)
        return np.exp(logits), cache

    def logits(self, hidden_states: np.ndarray) -> np.ndarray:
        """Return the logarithms of the states."""
        return _log(hidden_states)

    def first_logits(self) -> np.ndarray:
        """Return the logits of the first token of all, (V,).

        Any is as likely as any other, unless the model knows what ends a sentence: then it is a
        token after that.
        """
        if self.config.boundary_id is None:
            return np.zeros(self.config.vocab_size, np.float32)
        return _log(self.probabilities([self.config.boundary_id])).astype(np.float32)

    def probabilities(self, context: np.ndarray) -> np.ndarray:
        """Return the probability of each token after a context: (T,) ids, T >= 0, to (V,)."""
        history = self._checked(np.asarray(context, np.int64), 1)[None]
        ((_, probabilities),) = self._distributions(history, 1)
        return probabilities[0]

    def token_log_probs(self, token_ids: np.ndarray) -> np.ndarray:
        """Return log P(token_t | tokens before t), natural logarithm: (B, T) to (B, T) float32.

        No (B, T, V) array is made, so a whole text can be one row. The first token, which has none
        before it, gets what `first_logits` says.
        """
        tokens = self._checked(token_ids, 2)
        if self.config.boundary_id is not None:
            tokens = np.pad(tokens, ((0, 0), (1, 0)), constant_values=self.config.boundary_id)
        probabilities = np.full(tokens.shape, 1 / self.config.vocab_size)
        for level, (contexts, entries) in zip(self._levels, self._walk(tokens), strict=True):
            if self._rests_on_uniform:
                probabilities[contexts != UNAVAILABLE] = 1 / self.config.vocab_size
            seen = contexts >= 0
            probabilities[seen] *= level.weights[contexts[seen]]
            seen = entries >= 0
            probabilities[seen] = level.probabilities[entries[seen]]
        if self.config.cache_size:
            times = self._times_in_cache(tokens)
            number = np.minimum(np.arange(tokens.shape[1]), self.config.cache_size)
            probabilities = self._mixed(probabilities, times, number)
        if self.config.boundary_id is not None:
            probabilities = probabilities[:, 1:]
        else:
            probabilities[:, :1] = 1 / self.config.vocab_size
        return _log(probabilities).astype(np.float32)

    def _walk(self, tokens: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield for m = 1 ... N the n-grams of the m - 1 tokens before and the m tokens up to each.

        Both are (B, T) indices, `UNSEEN` for what was not seen, and `UNAVAILABLE` where there are
        not so many tokens since the beginning or the last sentence boundary.
        """
        contexts = np.zeros(tokens.shape, np.int64)
        for m, level in enumerate(self._levels, 1):
            entries = level.find(contexts, tokens)
            yield contexts, entries
            entries[tokens == PADDING] = UNAVAILABLE
            if m > 1 and self.config.boundary_id is not None:
                entries[tokens == self.config.boundary_id] = UNAVAILABLE
            contexts = np.pad(entries[:, :-1], ((0, 0), (1, 0)), constant_values=UNAVAILABLE)

    def _distributions(
        self, history: np.ndarray, length: int
    ) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield the probabilities after each of the last `length` tokens of a history (B, S).

        They come as float64 (rows, V), so many of the B * length rows at a time as fit in memory.
        """
        batch_size, size = len(history), self.config.vocab_size
        near = history[:, max(0, history.shape[1] - length - self.config.order + 1) :]
        near = np.pad(near, ((0, 0), (0, 1)), constant_values=PADDING)
        contexts = [context[:, -length:].ravel() for context, _ in self._walk(near)]
        if self.config.cache_size:
            room = np.pad(history, ((0, 0), (self.config.cache_size, 0)), constant_values=PADDING)
            recent = np.lib.stride_tricks.sliding_window_view(room, self.config.cache_size, axis=1)
            recent = recent[:, -length:]  # (B, length, cache_size)
        step = max(1, _CHUNK_ELEMENTS // size)
        for start in range(0, batch_size * length, step):
            rows = slice(start, min(start + step, batch_size * length))
            probabilities = self._distribution([context[rows] for context in contexts])
            if self.config.cache_size:
                window = recent[np.divmod(np.arange(rows.start, rows.stop), length)]
                row, column = np.nonzero(window != PADDING)
                flat = row * size + window[row, column]
                times = np.bincount(flat, minlength=probabilities.size).reshape(-1, size)
                number = times.sum(axis=1, keepdims=True)
                probabilities = self._mixed(probabilities, times, number)
            yield rows, probabilities

    def _distribution(self, contexts: list[np.ndarray]) -> np.ndarray:
        """Return the probabilities (rows, V) after contexts of length 0 ... N - 1, each (rows,)."""
        size = self.config.vocab_size
        probabilities = np.tile(self._unigrams, (len(contexts[0]), 1))  # (rows, V)
        for level, context in zip(self._levels[1:], contexts[1:], strict=True):
            if self._rests_on_uniform:
                probabilities[context != UNAVAILABLE] = 1 / size
            (rows,) = np.nonzero(context >= 0)
            seen = context[rows]
            probabilities[rows] *= level.weights[seen][:, None]
            starts = np.searchsorted(level.codes, seen * size)
            numbers = np.searchsorted(level.codes, (seen + 1) * size) - starts
            # The n-grams from `starts[0]` on, `numbers[0]` of them, then those of the next row.
            shifts = starts - np.cumsum(numbers) + numbers
            entries = np.arange(numbers.sum()) + np.repeat(shifts, numbers)
            tokens = level.codes[entries] % size
            probabilities[np.repeat(rows, numbers), tokens] = level.probabilities[entries]
        return probabilities

    def _times_in_cache(self, tokens: np.ndarray) -> np.ndarray:
        """Return how often each token is among the `cache_size` before it: (B, T) to (B, T)."""
        batch_size, length = tokens.shape
        row, position = np.arange(batch_size)[:, None], np.arange(length)
        of_token = (row * self.config.vocab_size + tokens) * length
        places = np.sort((of_token + position).ravel())
        oldest = np.maximum(0, position - self.config.cache_size)
        return np.searchsorted(places, of_token + position) - np.searchsorted(
            places, of_token + oldest
        )

    def _mixed(
        self, probabilities: np.ndarray, times: np.ndarray, number: np.ndarray
    ) -> np.ndarray:
        """Mix in the share of each token among the recent ones, where there are any."""
        weight = np.where(number > 0, self.config.cache_weight, 0)
        return (1 - weight) * probabilities + weight * times / np.maximum(number, 1)

    # === Keeping ===

    def count_params(self) -> int:
        """Return how many n-grams are stored, of all lengths together."""
        return sum(len(level.codes) for level in self._levels)

    def save(self, path: Path) -> None:
        """Write configuration and counts to a file in numpy's .npz format."""
        arrays = {"config": np.array(json.dumps(asdict(self.config))), "last": self._last}
        for m, level in enumerate(self._levels, 1):
            arrays |= {f"codes_{m}": level.codes, f"counts_{m}": level.counts}
        with open(path, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path) -> "NGram":
        """Read what `save` wrote; nothing in the file is run.

        Raises:
            InputError: if the file is missing, or is no n-gram model.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                model = cls(NGramConfig(**json.loads(str(file["config"]))))
                model._last = model._checked(file["last"], 1)
                num_contexts = 1
                for m, level in enumerate(model._levels, 1):
                    level.codes, level.counts = file[f"codes_{m}"], file[f"counts_{m}"]
                    level.check(num_contexts)
                    num_contexts = len(level.codes)
            model._link()
            if any((level.suffixes < 0).any() for level in model._levels):
                raise ValueError("the end of an n-gram is missing")
            model._estimate()
        except FileNotFoundError:
            raise InputError(f"there is no file {path}.") from None
        except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile) as error:
            raise InputError(f"{path} cannot be read as an n-gram model: {error}.") from None
        return model

    def _checked(self, token_ids: np.ndarray, num_axes: int) -> np.ndarray:
        """Return ids as int64.

        Raises:
            ValueError: if they are not integers of the vocabulary in that many axes.
        """
        token_ids = np.asarray(token_ids)
        if token_ids.ndim != num_axes or token_ids.dtype.kind not in "iu":
            raise ValueError(
                f"token ids are integers in {num_axes} axes, not {token_ids.dtype} of shape "
                f"{token_ids.shape}."
            )
        if token_ids.size and not 0 <= token_ids.min() <= token_ids.max() < self.config.vocab_size:
            raise ValueError(
                f"token ids are from 0 to {self.config.vocab_size - 1}, not from "
                f"{token_ids.min()} to {token_ids.max()}."
            )
        return token_ids.astype(np.int64)


def _log(probabilities: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):  # log 0 = -inf, for maximum likelihood
        return np.log(probabilities)
