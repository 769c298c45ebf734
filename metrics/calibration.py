"""Whether a system that says 80 % is right in 80 % of the cases (Guo et al. 2017).

    ECE = sum_b |B_b| / N * |accuracy(B_b) - confidence(B_b)|        equation 3

The confidence is the probability of what the system says. Predictions are binned by it, bin b from
(b - 1) / 15, without it, to b / 15. It has no reference tool and is computed here.

Letters: N predictions, B bins.
"""

import numpy as np

NUM_BINS = 15
SIGNATURE = f"Guo et al. 2017|bins:{NUM_BINS} of equal width|biased upwards, draws more so"
"""Chance alone makes the gap of a bin larger than zero, and drawing adds chance to chance."""


def bins_of(confidences: np.ndarray) -> np.ndarray:
    """Return the bin of each confidence, counted from 0: (N,) from 0 to 1 to (N,) int64.

    What is no number is in the first.
    """
    bins = np.ceil(np.nan_to_num(np.asarray(confidences, np.float64)) * NUM_BINS) - 1
    return np.clip(bins, 0, NUM_BINS - 1).astype(np.int64)


def expected_error(gaps: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Return the expected calibration error.

    Args:
        gaps: in each bin, right predictions less the sum of the confidences, (..., B).
        number: of predictions in all bins, (...).
    """
    return np.abs(gaps).sum(-1) / number
