"""Smoothing: how the probability of a token is estimated from counts, six ways.

    P(w | c) = f(c w)           if the token w was seen after the context c
             = b(c) P(w | c')   if not; c' is c without its first token

    f(c w) = (mass(c w) + left(c) P(w | c')) / norm(c)          b(c) = left(c) / norm(c)

An estimator says what mass, left and norm are. norm(c) is the sum of mass(c w) over all w, plus
left(c), so that the probabilities sum to one. Chen & Goodman (1998), "An empirical study of
smoothing techniques for language modeling", is the reference for all but stupid backoff.

Shapes: n n-grams c w of one length, seen after a smaller number of contexts c.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .configs import NGramConfig


@dataclass(frozen=True)
class Seen:
    """What an estimator is given about the n-grams of one length: those c w with w seen after c."""

    config: NGramConfig
    counts: np.ndarray  # (n,) how often w came after c, C(c w)
    contexts: np.ndarray  # (n,) the index of c
    num_contexts: int
    lower: np.ndarray  # (n,) P(w | c')
    lower_norm: np.ndarray  # (contexts,) norm(c')

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Add up a value of each n-gram for each context: (n,) to (contexts,)."""
        return np.bincount(self.contexts, values, minlength=self.num_contexts)


Estimate = tuple[np.ndarray, np.ndarray, np.ndarray]
"""mass (n,), left (contexts,) and norm (contexts,)."""


def _maximum_likelihood(seen: Seen) -> Estimate:
    """Return C(c w) / C(c): nothing is left for what was not seen after a seen context."""
    totals = seen.sums(seen.counts)
    return seen.counts, np.zeros_like(totals), totals


def _add_k(seen: Seen) -> Estimate:
    """Return (C(c w) + k) / (C(c) + k V): the rest is spread evenly, not by shorter contexts."""
    left = np.full(seen.num_contexts, seen.config.k * seen.config.vocab_size)
    return seen.counts, left, seen.sums(seen.counts) + left


def _witten_bell(seen: Seen) -> Estimate:
    """Return the left as the number of different tokens after c (Witten & Bell 1991)."""
    left = seen.sums(seen.counts > 0)
    return seen.counts, left, seen.sums(seen.counts) + left


def _kneser_ney(seen: Seen) -> Estimate:
    """Take a discount off each count (Kneser & Ney 1995; modified: Chen & Goodman)."""
    discounts = DISCOUNTS[seen.config.smoothing](seen.counts)
    discount = np.concatenate([[0], discounts])[np.minimum(seen.counts, 3)]
    return seen.counts - discount, seen.sums(discount), seen.sums(seen.counts)


def _stupid_backoff(seen: Seen) -> Estimate:
    """Score C(c w) / C(c), or `backoff` times the score without the first token of c.

    The scores do not sum to one over w. They are divided by their sum over w, norm(c), which
    follows from that of c'; what the method ranks first stays first.
    """
    totals = seen.sums(seen.counts)
    left = np.where(totals > 0, seen.config.backoff * seen.lower_norm, 0)
    unseen = np.maximum(0, 1 - seen.sums(np.where(seen.counts > 0, seen.lower, 0)))
    scores = seen.counts / np.maximum(totals, 1)[seen.contexts]
    mass = np.where(seen.counts > 0, scores - left[seen.contexts] * seen.lower, 0)
    return mass, left, np.where(totals > 0, 1 + left * unseen, 0)


ESTIMATORS: dict[str, Callable[[Seen], Estimate]] = {
    "maximum-likelihood": _maximum_likelihood,
    "add-k": _add_k,
    "stupid-backoff": _stupid_backoff,
    "witten-bell": _witten_bell,
    "kneser-ney": _kneser_ney,
    "modified-kneser-ney": _kneser_ney,
}


def absolute_discounts(counts: np.ndarray) -> np.ndarray:
    """Return D three times, for counts of 1, 2 and 3 or more; n_r is how many counts are r.

        D = n_1 / (n_1 + 2 n_2)                 (Ney et al. 1994)

    Where n_1 or n_2 is zero, D says nothing useful (it would take off nothing, or all); 0.5 then.
    """
    ones, twos = (np.count_nonzero(counts == r) for r in (1, 2))
    return np.full(3, ones / (ones + 2 * twos) if ones and twos else 0.5)


def modified_discounts(counts: np.ndarray) -> np.ndarray:
    """Return D_1, D_2 and D_3+ for counts of 1, 2 and 3 or more; n_r is how many counts are r.

        D_r = r - (r + 1) Y n_{r+1} / n_r,      Y = n_1 / (n_1 + 2 n_2)
                                                (Chen & Goodman)

    Where one of n_1 ... n_4 is zero, or a D_r is not above 0, the three are 0.5, 1 and 1.5. That is
    so for the single tokens of a small vocabulary, of which none is rare.
    """
    n = np.array([np.count_nonzero(counts == r) for r in (1, 2, 3, 4)], float)
    if n.all():
        r = np.arange(1, 4)
        discounts = r - (r + 1) * n[0] / (n[0] + 2 * n[1]) * n[1:] / n[:3]
        if (discounts > 0).all():
            return discounts
    return np.array([0.5, 1.0, 1.5])


DISCOUNTS = {"kneser-ney": absolute_discounts, "modified-kneser-ney": modified_discounts}
