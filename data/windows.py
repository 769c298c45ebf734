"""A long text in windows that overlap, so that each token is seen with what is around it."""

import numpy as np


def windows(num_tokens: int, length: int, stride: int) -> list[tuple[int, int]]:
    """Return where windows of at most `length` tokens begin and end; the last ends with the text.

    >>> windows(10, length=6, stride=3)
    [(0, 6), (3, 9), (6, 10)]

    Args:
        num_tokens: tokens of the text.
        length: the most tokens of a window.
        stride: tokens from one window to the next, at most `length`.
    """
    number = 1 + max(0, -(-(num_tokens - length) // stride))
    starts = [n * stride for n in range(number)]
    return [(start, min(start + length, num_tokens)) for start in starts]


def context(num_tokens: int) -> np.ndarray:
    """Return how many tokens of a window stand on the shorter side of each: (num_tokens,).

    A token that several windows have is best judged in the one where this is largest (Devlin et al.
    2019, in their code for SQuAD).

    >>> context(5).tolist()
    [0, 1, 2, 1, 0]
    """
    places = np.arange(num_tokens)
    return np.minimum(places, places[::-1])
