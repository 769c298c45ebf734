"""Counting n-grams: each length as one sorted array of numbers.

An n-gram c w, of the tokens c and one more, w, becomes the number (index of c) * V + w, where the
index of c is its place among the n-grams one shorter. Sorted, the n-grams of one context stand side
by side, one is found by binary search, and two countings are added up by merging.

Shapes: T tokens of a text, V vocabulary, n n-grams of one length.
"""

from dataclasses import dataclass

import numpy as np

from .configs import NGramConfig

PADDING = -1
"""Stands for no token, in the memory of a text that has just begun."""
UNSEEN, UNAVAILABLE = -1, -2
"""In the place of an index: an n-gram that was never seen; not enough tokens for one."""


@dataclass
class Level:
    """The n-grams of one length m. An n-gram is known by its index; the empty one's is 0."""

    vocab_size: int
    codes: np.ndarray  # (n,) int64, increasing
    counts: np.ndarray  # (n,) int64
    suffixes: np.ndarray | None = None  # (n,) indices of the last m - 1 tokens, one level below
    probabilities: np.ndarray | None = None  # (n,) float64, f(c w)
    weights: np.ndarray | None = None  # (n one level below,) float64, b(c)

    @property
    def contexts(self) -> np.ndarray:
        """The first m - 1 tokens of each n-gram, as an index one level below: (n,)."""
        return self.codes // self.vocab_size

    @property
    def tokens(self) -> np.ndarray:
        """The last token of each n-gram: (n,)."""
        return self.codes % self.vocab_size

    def find(self, contexts: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Return the indices of the n-grams (context, token), or why there is none."""
        found = np.where(contexts == UNAVAILABLE, UNAVAILABLE, UNSEEN)
        if not len(self.codes):
            return found
        at = np.nonzero((contexts >= 0) & (tokens >= 0))
        codes = contexts[at] * self.vocab_size + tokens[at]
        places = np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)
        found[at] = np.where(self.codes[places] == codes, places, UNSEEN)
        return found

    def check(self, num_contexts: int) -> None:
        """Raise ValueError if the arrays cannot be n-grams with that many contexts."""
        for array in (self.codes, self.counts):
            if array.dtype != np.int64 or array.shape != (len(self.codes),):
                raise ValueError("an array has the wrong type or shape")
        # Increasing, from 0 to below the number of all pairs of a context and a token.
        if (np.diff(self.codes, prepend=-1, append=num_contexts * self.vocab_size) <= 0).any():
            raise ValueError("its n-grams are not in order")
        if (self.counts < 0).any():
            raise ValueError("a count is negative")


def _distinct(codes: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the distinct codes in order, which of them each code is, and their summed counts."""
    order = np.argsort(codes, kind="stable")  # in linear time for a few sorted runs
    codes = codes[order]
    is_new = np.diff(codes, prepend=-1) != 0
    which = np.empty_like(order)
    which[order] = np.cumsum(is_new) - 1
    return codes[is_new], which, np.bincount(which, counts).astype(np.int64)


def count(tokens: np.ndarray, num_before: int, config: NGramConfig) -> list[Level]:
    """Count the n-grams that end in `tokens` (T,), but for the first `num_before`."""
    levels = []
    contexts = np.zeros(len(tokens), np.int64)  # the n-gram of the m - 1 tokens before each token
    for m in range(1, config.order + 1):
        (at,) = np.nonzero(contexts >= 0)
        codes = contexts[at] * config.vocab_size + tokens[at]
        codes, which, counts = _distinct(codes, at >= num_before)
        levels.append(Level(config.vocab_size, codes, counts))
        contexts[:] = UNAVAILABLE
        contexts[at[at + 1 < len(tokens)] + 1] = which[at + 1 < len(tokens)]
        if m > 1 and config.boundary_id is not None:
            contexts[1:][tokens[:-1] == config.boundary_id] = UNAVAILABLE
    return levels


def merge(first: list[Level], second: list[Level]) -> list[Level]:
    """Add up two countings."""
    merged, indices = [], (np.zeros(1, np.int64), np.zeros(1, np.int64))
    for both in zip(first, second, strict=True):
        size = both[0].vocab_size
        codes = [index[level.contexts] * size for index, level in zip(indices, both, strict=True)]
        codes = [code + level.tokens for code, level in zip(codes, both, strict=True)]
        counts = np.concatenate([level.counts for level in both])
        codes, which, counts = _distinct(np.concatenate(codes), counts)
        merged.append(Level(size, codes, counts))
        indices = np.split(which, [len(both[0].codes)])
    return merged
