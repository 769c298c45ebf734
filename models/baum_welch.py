"""How a hidden Markov model learns by counting: the algorithm of Baum and Welch (Baum et al. 1970).

Each step counts how often every start, transition and emission is expected to have happened, and
makes the shares of the counts the new probabilities.

Shapes: B batch, T positions, S states, V vocabulary.
"""

import functools
from collections.abc import Callable

import numpy as np
from keras import ops

from ..errors import InputError
from .compiled import compiled
from .hmm import DENSE, HMM, LOG_ZERO, SMALLEST, Parameters, backward, forward, token_scores
from .language_model import Tensor


def expected_counts(
    model: HMM, token_ids: Tensor, mask: Tensor | None = None
) -> tuple[Parameters, Tensor]:
    """Count starts, transitions and emissions, each as often as it is likely to have happened.

    Args:
        model: the model.
        token_ids: (B, T) int32.
        mask: as for `forward`.

    Returns:
        The counts, and the log-likelihoods of the texts, (B,).

    Raises:
        InputError: if it is another kind of model.
    """
    beliefs, log_probs = forward(model, token_ids, mask)
    evidence = backward(model, token_ids, beliefs, mask)
    if mask is None:
        mask = ops.ones_like(token_ids)
    is_token = ops.cast(mask, "float32")[..., None]  # (B, T, 1)
    parameters = model.log_parameters()
    gamma = is_token * ops.exp(beliefs + evidence)  # (B, T, S): Rabiner's equation 27

    # The expected transitions at t, Rabiner's equation 37, are P(z_t | x_1 ... x_t) a(z_t, z_{t+1})
    # P(x_{t+1} ... x_T | z_{t+1}) / P(x_{t+1} ... x_T | x_1 ... x_t).
    scores = ops.swapaxes(token_scores(parameters, token_ids, mask), 0, 1)  # (B, T, S)
    after = scores + evidence - log_probs[..., None]
    after = ops.where(ops.cast(is_token, "bool"), after, LOG_ZERO)
    transitions = _pair_sums(parameters.transitions, beliefs[:, :-1], after[:, 1:])

    by_token = ops.segment_sum(
        ops.reshape(gamma, (-1, model.config.num_states)),
        ops.reshape(token_ids, (-1,)),
        model.config.vocab_size,
    )  # (V, S)
    counts = Parameters(
        initial=ops.sum(gamma[:, 0], axis=0),
        transitions=transitions,
        emissions=ops.transpose(by_token),
    )
    return counts, ops.sum(log_probs, axis=1)


def baum_welch(
    model: HMM,
    token_ids: np.ndarray,
    steps: int,
    mask: np.ndarray | None = None,
    smoothing: float = 0.0,
    batch_size: int = 256,
) -> np.ndarray:
    """Train by expectation and maximisation (Baum et al. 1970; Rabiner 1989, section III.C).

    Each step counts what is expected under the probabilities as they are, over all texts, and makes
    the shares of the counts the new probabilities. The likelihood never falls; with smoothing, the
    likelihood times the Dirichlet prior that the added counts amount to never falls. Without
    smoothing, transitions may become so unlikely that only sums in log space are exact, and a step
    then takes twenty times as long (128 states).

    Args:
        model: the model, whose weights are changed.
        token_ids: (N, T), all the texts.
        steps: how many steps to take, 0 or more.
        mask: boolean (N, T), False for padding on the right; without it there is none.
        smoothing: added to each count, 0 or more.
        batch_size: texts worked on at a time, 1 or more; makes no difference to the result.

    Returns:
        The log-likelihood of all texts together before each step and after the last, (steps + 1,).

    Raises:
        InputError: if it is another kind of model, there is no text, or a number is too small.
    """
    token_ids = np.asarray(token_ids)
    if token_ids.ndim != 2 or not token_ids.size:
        raise InputError(
            f"the texts have the shape {token_ids.shape}; Baum-Welch needs (texts, positions), at "
            "least one of each."
        )
    if steps < 0 or smoothing < 0 or batch_size < 1:
        raise InputError(
            f"steps is {steps}, smoothing {smoothing} and batch_size {batch_size}; the first two "
            "must be 0 or more, the last 1 or more."
        )
    if mask is None:
        mask = np.ones(token_ids.shape, bool)
    batch_size = min(batch_size, len(token_ids))
    missing = -len(token_ids) % batch_size  # rows that fill up the last batch, all of them padding
    token_ids, mask = (np.pad(rows, ((0, missing), (0, 0))) for rows in (token_ids, mask))
    count, history = _compiled_counts(model), []
    for step in range(steps + 1):
        totals, log_likelihood = [0.0, 0.0, 0.0], 0.0
        for start in range(0, len(token_ids), batch_size):
            batch = slice(start, start + batch_size)
            counts, log_likelihoods = count(token_ids[batch], mask[batch])
            totals = [np.add(*pair, dtype="float64") for pair in zip(totals, counts, strict=True)]
            log_likelihood += float(ops.sum(log_likelihoods))
        history.append(log_likelihood)
        if step < steps:
            old = [np.exp(table) for table in model.log_parameters()]
            shares = (_shares(*pair, smoothing) for pair in zip(totals, old, strict=True))
            model.set_parameters(Parameters(*shares))
    return np.array(history)


def _pair_sums(log_matrix: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Return the sum over texts and positions of exp(before_i + log_matrix_ij + after_j), (S, S).

    Args:
        log_matrix: the logarithms of the transitions, (S, S).
        before: (B, T, S).
        after: (B, T, S).
    """

    def in_log_space() -> Tensor:  # neither factor alone need be a float
        def add(t: Tensor, total: Tensor) -> Tensor:
            here, there = (ops.take(logs, t, axis=1) for logs in (before, after))  # (B, S)
            terms = ops.exp(here[:, :, None] + log_matrix + there[:, None])  # (B, S, S)
            return total + ops.sum(terms, axis=0)

        if not before.shape[1]:
            return ops.zeros_like(log_matrix)
        return ops.fori_loop(0, before.shape[1], add, ops.zeros_like(log_matrix))

    def by_product() -> Tensor:
        pairs = ops.einsum("bti,btj->ij", ops.exp(before), ops.exp(after))
        return ops.exp(log_matrix) * pairs

    return ops.cond(ops.min(log_matrix) > DENSE, by_product, in_log_space)


@functools.lru_cache(maxsize=8)
def _compiled_counts(model: HMM) -> Callable:
    """Return `expected_counts` of this model, compiled by an earlier call if there was one."""
    return compiled(functools.partial(expected_counts, model), model, model.prefers_xla)


def _shares(counts: np.ndarray, old: np.ndarray, smoothing: float) -> np.ndarray:
    """Return counts as shares of their row, or the old shares where nothing was counted."""
    counts = counts + smoothing
    totals = counts.sum(axis=-1, keepdims=True)
    return np.where(totals > 0, counts / np.maximum(totals, SMALLEST), old)
