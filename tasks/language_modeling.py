"""Language modelling: predict each token of a text from the tokens before it.

    loss = -1/T sum_t log P(x_t | x_1 ... x_{t-1})        in nats for each token

Shapes: B batch, T positions, V vocabulary.
"""

import functools
import math
from collections.abc import Callable

import keras
from keras import ops

from ..data.batches import TokenFile, scoring_windows
from ..metrics.language import LanguageScore
from ..models.compiled import compiled
from ..models.language_model import LanguageModel, Tensor

SCORING_BATCH = 32


def cross_entropy(next_token_ids: Tensor, logits: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Return the loss of each token, in nats: (B, T) ids and (B, T, V) logits to (B, T) float32.

    Args:
        next_token_ids: the right answers.
        logits: the predictions, before the softmax.
        label_smoothing: share of the target spread evenly over the vocabulary.
    """
    loss = ops.sparse_categorical_crossentropy(next_token_ids, logits, from_logits=True)
    if label_smoothing:
        uniform = ops.logsumexp(logits, axis=-1) - ops.mean(logits, axis=-1)
        loss = (1 - label_smoothing) * loss + label_smoothing * uniform
    return loss


@keras.saving.register_keras_serializable(package="kerazoo")
class NextTokenLoss(keras.losses.Loss):
    """Mean `cross_entropy` over the tokens that count."""

    def __init__(self, label_smoothing: float = 0.0, name: str = "next_token_loss"):
        super().__init__(name=name, reduction="mean_with_sample_weight")
        self.label_smoothing = label_smoothing

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each token, (B, T)."""
        return cross_entropy(y_true, y_pred, self.label_smoothing)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {"label_smoothing": self.label_smoothing, "name": self.name}


@keras.saving.register_keras_serializable(package="kerazoo")
class BitsPerByte(keras.metrics.MeanMetricWrapper):
    """Mean cross entropy over the tokens that count, in bits for each byte of the text.

    Args:
        tokens_per_byte: tokens of the text for each of its UTF-8 bytes.
    """

    def __init__(self, tokens_per_byte: float, name: str = "bits_per_byte"):
        bits = tokens_per_byte / math.log(2)
        super().__init__(fn=lambda y_true, y_pred: bits * cross_entropy(y_true, y_pred), name=name)
        self.tokens_per_byte = tokens_per_byte

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {"tokens_per_byte": self.tokens_per_byte, "name": self.name}


def score(
    model: LanguageModel,
    tokens: TokenFile,
    length: int | None = None,
    stride: int | None = None,
    batch_size: int = SCORING_BATCH,
) -> LanguageScore:
    """Score a model on a text: every token but the first, once, from the tokens before it.

    The window slides by `stride`, so that each token (but those of the first window) is predicted
    from at least `length - stride` tokens. The first token of all counts as the uniform 1 / V.

    Args:
        model: the model.
        tokens: the text, in the model's tokens.
        length: positions in a window; the model's context length if not given.
        stride: tokens from one window to the next; half the window if not given. `length` scores
            windows side by side, as training does.
        batch_size: windows scored at a time.
    """
    length = length or model.config.context_length
    stride = stride or max(1, length // 2)
    batches = scoring_windows(tokens, length, stride, batch_size)
    sums_of_batch = _compiled_sums(model)
    nats, correct = math.log(model.config.vocab_size), 0
    for batch in batches:
        batch_nats, batch_correct = sums_of_batch(*batch)
        nats += float(batch_nats)
        correct += round(float(batch_correct))
    return LanguageScore(
        nats=nats,
        correct=correct,
        num_tokens=tokens.num_tokens,
        num_bytes=tokens.num_bytes,
        num_unknown=tokens.num_unknown,
        unknown_bytes=tokens.unknown_bytes,
        lossy=tokens.lossy,
    )


@functools.lru_cache(maxsize=8)
def _compiled_sums(model: LanguageModel) -> Callable:
    """Return the compiled function from a batch to its sums, made by an earlier call if any."""

    def sums(token_ids: Tensor, next_token_ids: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        logits = model(token_ids)  # (B, T, V)
        right = ops.cast(ops.argmax(logits, axis=-1) == next_token_ids, "float32")
        nats = cross_entropy(next_token_ids, logits)
        return ops.sum(weights * nats), ops.sum(weights * right)

    return compiled(sums, model, xla=model.prefers_xla)
