"""The hidden Markov model of a text (Rabiner 1989), as a language model.

A chain of hidden states, each depending on the one before it alone, and a token drawn from each:

    P(x_1 ... x_T, z_1 ... z_T) = pi(z_1) b(z_1, x_1) prod_{t>1} a(z_{t-1}, z_t) b(z_t, x_t)

with pi (S,), the transitions a (S, S) and the emissions b (S, V): a row for each state, a column
for each token. Nothing is remembered of a text but how likely each state is.

The weights are logits, which a softmax makes probabilities, so that `fit` can train them like
any others; `baum_welch.py` trains them by counting instead. What is known of a path is a logarithm,
in float32 whatever the precision policy: a text soon is less likely than any float can say.

Shapes: B batch, T positions, S states, V vocabulary. Inside a scan the positions come first.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from ..errors import InputError
from .configs import MOST_UNROLLED, HMMConfig
from .language_model import Cache, LanguageModel, Tensor

LOG_ZERO = -1e4
"""What passes for the logarithm of zero: with -inf, an impossible text would make NaNs."""
SMALLEST = 1e-30
"""The least that a matrix product of probabilities may be, as its logarithm must be finite.
`HMM.logits` give no token less."""
DENSE = -40.0
"""Where all transitions have a logarithm above this, a matrix product can add up the paths: what is
too small for it, next to the likeliest path, is too small to matter, too."""


class Parameters(NamedTuple):
    """The three tables of a hidden Markov model: probabilities, their logarithms, or counts."""

    initial: Tensor
    """(S,): the state of the first token."""
    transitions: Tensor
    """(S, S): from a state, the row, to the next, the column."""
    emissions: Tensor
    """(S, V): the token drawn from a state."""


# === The model ===


@keras.saving.register_keras_serializable(package="kerazoo")
class HMM(LanguageModel):
    """A hidden Markov model: ids (B, T) to logits (B, T, V) that are log-probabilities already.

    Args:
        config: the hyperparameters, with `vocab_size` set.

    Example:
        >>> from kerazoo.models.configs import HMMConfig
        >>> model = HMM(HMMConfig(vocab_size=65, num_states=16))
        >>> model(keras.ops.zeros((1, 8), dtype="int32")).shape
        TensorShape([1, 8, 65])
    """

    config_class = HMMConfig
    prefers_xla = False  # from 64 states on little is gained, and compilation takes 5 s longer

    def __init__(self, config: HMMConfig, **kwargs):
        super().__init__(config, **kwargs)
        states, tokens = config.num_states, config.vocab_size
        self.initial = self._add_logits("initial", (states,))
        self.transitions = self._add_logits("transitions", (states, states))
        self.emissions = self._add_logits("emissions", (states, tokens))
        self.build()

    def _add_logits(self, name: str, shape: tuple[int, ...]) -> keras.Variable:
        # Random, as equal states would get equal gradients and counts, and so stay equal for ever.
        initializer = keras.initializers.RandomNormal(stddev=1.0)
        return self.add_weight(shape=shape, initializer=initializer, autocast=False, name=name)

    def log_parameters(self) -> Parameters:
        """Return the logarithms of the probabilities, each row normalised."""
        logits = (self.initial, self.transitions, self.emissions)
        return Parameters(*(ops.log_softmax(table, axis=-1) for table in logits))

    def set_parameters(self, probabilities: Parameters) -> None:
        """Set all weights from probabilities; each row should sum to one."""
        logits = (self.initial, self.transitions, self.emissions)
        for weight, table in zip(logits, probabilities, strict=True):
            with np.errstate(divide="ignore"):
                weight.assign(np.maximum(np.log(table), LOG_ZERO))

    def hidden_states(
        self,
        token_ids: Tensor,
        cache: Cache = None,
        index: int | Tensor = 0,
        training: bool = False,
    ) -> tuple[Tensor, Cache]:
        """Return log P(z_{t+1} | x_1 ... x_t), (B, T, S), and the same after the last token.

        The position `index` makes no difference to a Markov model. In training, a state that
        is more than 1e30 times less likely than the likeliest is taken to be 1e30 times less so.
        """
        parameters = self.log_parameters()
        begin = self.initial_cache(ops.shape(token_ids)[0], 0) if cache is None else cache
        scores = token_scores(parameters, token_ids)
        predictions = _predictions(parameters, scores, begin, is_exact=not training)
        predictions = ops.swapaxes(predictions, 0, 1)  # (B, T, S)
        return predictions, None if cache is None else predictions[:, -1]

    def logits(self, hidden_states: Tensor) -> Tensor:
        """Mix the emissions: log P(z) (..., S) to log P(x) (..., V) float32."""
        mixed = ops.exp(hidden_states) @ ops.exp(self.log_parameters().emissions)
        return ops.log(ops.maximum(mixed, SMALLEST))

    def first_logits(self) -> Tensor:
        """Return log P(x_1), (V,): the emissions mixed by the initial probabilities."""
        return self.logits(self.log_parameters().initial[None])[0]

    def initial_cache(self, batch_size: int, length: int) -> Cache:
        """Return log P(z_1), (B, S): what is known of the state before the first token."""
        return ops.broadcast_to(self.log_parameters().initial, (batch_size, self.config.num_states))

    @property
    def max_length(self) -> None:
        """None: the belief stays the same size, however long the text."""
        return None


# === What is known of the states ===


def forward(model: HMM, token_ids: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Go through texts from left to right: the forward algorithm (Rabiner 1989, section III.A).

    Rabiner's alpha_t(s) = P(x_1 ... x_t, z_t = s) is exp(beliefs_t(s) + log_probs_1 + ... +
    log_probs_t).

    Args:
        model: the model.
        token_ids: (B, T) int32.
        mask: boolean (B, T), False for padding on the right; without it there is none.

    Returns:
        The beliefs log P(z_t | x_1 ... x_t), (B, T, S), and log P(x_t | x_1 ... x_{t-1}), (B, T),
        whose sum over t is the log-likelihood of the text. Padding has the log-probability 0.

    Raises:
        InputError: if it is another kind of model.
    """
    parameters = _log_parameters(model)
    scores = token_scores(parameters, token_ids, mask)  # (T, B, S)
    initial = ops.broadcast_to(parameters.initial, ops.shape(scores)[1:])[None]
    predictions = _predictions(parameters, scores[:-1], initial[0])  # (T - 1, B, S)
    joint = ops.concatenate([initial, predictions], axis=0) + scores  # log P(x_t, z_t | before)
    log_probs = ops.logsumexp(joint, axis=-1)  # (T, B)
    beliefs = joint - log_probs[..., None]
    return ops.swapaxes(beliefs, 0, 1), ops.swapaxes(log_probs, 0, 1)


def backward(model: HMM, token_ids: Tensor, beliefs: Tensor, mask: Tensor | None = None) -> Tensor:
    """Go through texts from right to left: the backward algorithm (Rabiner 1989, section III.A).

    Rabiner's beta_t(s) = P(x_{t+1} ... x_T | z_t = s) is divided by P(x_{t+1} ... x_T | x_1 ...
    x_t), which keeps it near one for texts of any length (Bishop 2006, section 13.2.4).

    Args:
        model: the model.
        token_ids: (B, T) int32.
        beliefs: what `forward` returned, (B, T, S).
        mask: as for `forward`.

    Returns:
        (B, T, S), a logarithm: `beliefs` and this make log P(z_t | x_1 ... x_T).

    Raises:
        InputError: if it is another kind of model.
    """
    parameters = _log_parameters(model)
    from_next = ops.transpose(parameters.transitions)  # (S, S): from z_{t+1} to z_t
    scores = token_scores(parameters, token_ids, mask)  # (T, B, S)
    last = ops.zeros_like(scores[:1])
    evidence = _sums(from_next, last[0], scores[1:], reverse=True)  # (T - 1, B, S)
    evidence = ops.swapaxes(ops.concatenate([evidence, last], axis=0), 0, 1)  # (B, T, S)
    return evidence - ops.logsumexp(beliefs + evidence, axis=-1, keepdims=True)


def posteriors(model: HMM, token_ids: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return P(z_t | x_1 ... x_T), how likely each state is at each token of a whole text.

    Args:
        model: the model.
        token_ids: (B, T) int32.
        mask: as for `forward`.

    Returns:
        (B, T, S) float32, which sum to one over the states.

    Raises:
        InputError: if it is another kind of model.
    """
    beliefs, _ = forward(model, token_ids, mask)
    return ops.exp(beliefs + backward(model, token_ids, beliefs, mask))


def viterbi(model: HMM, token_ids: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return the likeliest path through the states (Viterbi 1967; Rabiner 1989, section III.B).

    Args:
        model: the model.
        token_ids: (B, T) int32.
        mask: as for `forward`.

    Returns:
        The states, (B, T) int32, the last one repeated in the padding, and log P(tokens, states),
        (B,) float32.

    Raises:
        InputError: if it is another kind of model.
    """
    parameters = _log_parameters(model)
    scores = token_scores(parameters, token_ids, mask)  # (T, B, S)
    if mask is None:
        mask = ops.ones_like(token_ids)
    is_token = ops.cast(ops.transpose(mask), "bool")[..., None]  # (T, B, 1)

    def step(best: Tensor, inputs: tuple) -> Tensor:
        score, is_token = inputs
        new = ops.max(best[:, :, None] + parameters.transitions, axis=1) + score  # (B, S)
        return ops.where(is_token, _scaled(new), best)

    first = _scaled(parameters.initial + scores[0])  # (B, S)
    best = _scan(step, first, (scores[1:], is_token[1:]))
    best = ops.concatenate([first[None], best], axis=0)  # (T, B, S): of paths that end in z_t

    # Back along the path: the best z_t is the one from which z_{t+1} was reached.
    into = ops.transpose(parameters.transitions)  # (S, S): the row is where a transition ends

    def step_back(state: Tensor, inputs: tuple) -> Tensor:
        best, is_next = inputs
        link = ops.where(is_next, ops.take(into, state, axis=0), 0.0)  # (B, S)
        return ops.cast(ops.argmax(best + link, axis=-1), "int32")

    is_next = ops.concatenate([is_token[1:], ops.zeros_like(is_token[:1])], axis=0)
    none = ops.zeros_like(best[0, :, 0], dtype="int32")
    path = _scan(step_back, none, (best, is_next), reverse=True)  # (T, B)

    # How likely that path is, term by term of the equation at the top.
    emitted = ops.take_along_axis(scores, path[..., None], axis=-1)[..., 0]  # (T, B)
    begun = ops.take(parameters.initial, path[:1])  # (1, B)
    pairs = path[:-1] * model.config.num_states + path[1:]  # (T - 1, B)
    moved = ops.take(ops.reshape(parameters.transitions, (-1,)), pairs)  # (T - 1, B)
    linked = ops.concatenate([begun, moved], axis=0)  # (T, B)
    linked = ops.where(is_token[..., 0], linked, 0.0)
    return ops.transpose(path), ops.sum(linked + emitted, axis=0)


def most_likely_tokens(model: HMM, number: int) -> tuple[Tensor, Tensor]:
    """Return the tokens that each state likes best.

    Args:
        model: the model.
        number: how many.

    Returns:
        Token ids, (S, number) int32, the likeliest first, and their probabilities, (S, number).

    Raises:
        InputError: if it is another kind of model.
    """
    probabilities, token_ids = ops.top_k(ops.exp(_log_parameters(model).emissions), number)
    return token_ids, probabilities


# === Parts of these ===


def _log_parameters(model: HMM) -> Parameters:
    """Return the logarithms of the model's probabilities."""
    if not isinstance(model, HMM):
        raise InputError(
            f"{type(model).__name__} has no states of a Markov chain; HMM has; give such a model."
        )
    return model.log_parameters()


def token_scores(parameters: Parameters, token_ids: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return log P(x_t | z_t), (T, B, S), the positions first; 0 in the padding."""
    by_token = ops.transpose(parameters.emissions)  # (V, S)
    scores = ops.take(by_token, ops.transpose(token_ids), axis=0)  # (T, B, S)
    if mask is None:
        return scores
    return ops.where(ops.cast(ops.transpose(mask), "bool")[..., None], scores, 0.0)


def _predictions(
    parameters: Parameters, scores: Tensor, prediction: Tensor, is_exact: bool = True
) -> Tensor:
    """Return log P(z_{t+1} | x_1 ... x_t), (T, B, S), from log P(z_1), (B, S), and the scores."""
    sums = _sums(parameters.transitions, prediction, scores, is_exact=is_exact)
    return ops.log_softmax(sums, axis=-1)


def _sums(
    log_matrix: Tensor,
    begin: Tensor,
    scores: Tensor,
    reverse: bool = False,
    is_exact: bool = True,
) -> Tensor:
    """Add up the paths from one position to the next: x becomes log(exp(x + score) matrix).

    Args:
        log_matrix: the logarithms of the transitions, (S, S), from the row to the column.
        begin: x at the position before the first, (B, S).
        scores: (T, B, S).
        reverse: whether to begin at the last position.
        is_exact: whether to look if a matrix product will do, which makes gradients twice as slow.

    Returns:
        (T, B, S), each position up to a constant.
    """

    def in_log_space(x: Tensor, score: Tensor) -> Tensor:
        return ops.logsumexp(_scaled(x + score)[:, :, None] + log_matrix, axis=1)

    def by_product(x: Tensor, score: Tensor) -> Tensor:
        summed = ops.exp(_scaled(x + score)) @ ops.exp(log_matrix)
        return ops.log(ops.maximum(summed, SMALLEST))

    if not is_exact:
        return _scan(by_product, begin, scores, reverse)
    return ops.cond(
        ops.min(log_matrix) > DENSE,
        lambda: _scan(by_product, begin, scores, reverse),
        lambda: _scan(in_log_space, begin, scores, reverse),
    )


def _scan(step: Callable, state: Tensor, inputs: Any, reverse: bool = False) -> Tensor:
    """Return the states that `step` makes from position to position, (T, ...), or from the end on.

    Up to `MOST_UNROLLED` positions the steps stand in the graph one after the other, which is no
    slower than the loop of `ops.scan`, faster where nothing is compiled, and lets TensorFlow's XLA
    take gradients, as it cannot through that loop.

    Args:
        step: from the state (B, ...) and the inputs at a position to the next state.
        state: the one to begin with.
        inputs: a tensor (T, ...) or a tuple of them.
        reverse: whether to begin at the last position.
    """
    length = keras.tree.flatten(inputs)[0].shape[0]
    if not length or length > MOST_UNROLLED:

        def scan_step(state: Tensor, inputs: Any) -> tuple[Tensor, Tensor]:
            state = step(state, inputs)
            return state, state

        return ops.scan(scan_step, state, inputs, reverse=reverse)[1]
    columns = [ops.unstack(rows) for rows in keras.tree.flatten(inputs)]
    states = []
    for row in zip(*(reversed(column) if reverse else column for column in columns), strict=True):
        state = step(state, keras.tree.pack_sequence_as(inputs, row))
        states.append(state)
    return ops.stack(states[::-1] if reverse else states)


def _scaled(log_x: Tensor) -> Tensor:
    """Bring the largest entry of the last axis to 0, so that nothing that matters underflows."""
    return log_x - ops.stop_gradient(ops.max(log_x, axis=-1, keepdims=True))
