"""The loss of whatever is one of several: a token of the vocabulary, a class, a place in a text.

    loss = -log P(what is right)                        in nats

Shapes: V things to choose from.
"""

import keras
from keras import ops

Tensor = keras.KerasTensor


def cross_entropy(right: Tensor, logits: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Return the loss of each prediction, in nats: ids (...) and logits (..., V) to (...) float32.

    Args:
        right: the right answers, such as next token ids (B, T), or classes (B,).
        logits: the predictions, before the softmax.
        label_smoothing: share of the target spread evenly over all that might be predicted.
    """
    if not label_smoothing:
        return ops.sparse_categorical_crossentropy(right, logits, from_logits=True)
    # -log P is log(sum of exp) - logit, and the first part is the same for all that V might be.
    is_right = ops.arange(logits.shape[-1], dtype=right.dtype) == right[..., None]  # (..., V)
    of_right = ops.sum(ops.where(is_right, logits, 0.0), axis=-1)
    of_all = ops.mean(logits, axis=-1)
    target = (1 - label_smoothing) * of_right + label_smoothing * of_all
    return ops.logsumexp(logits, axis=-1) - target


def judged(right: Tensor, logits: Tensor) -> Tensor:
    """Return what scores are made of, of each prediction: ids (...), logits (..., V) to (3, ...).

    That is -log P of the right answer in nats, whether the likeliest one is right (1 or 0), and the
    probability of the likeliest, all float32.
    """
    is_right = ops.cast(ops.argmax(logits, axis=-1) == right, "float32")
    confidence = ops.exp(ops.max(logits, axis=-1) - ops.logsumexp(logits, axis=-1))
    return ops.stack([cross_entropy(right, logits), is_right, confidence])


@keras.saving.register_keras_serializable(package="kerazoo")
class CrossEntropy(keras.losses.Loss):
    """Mean `cross_entropy` over what counts.

    Args:
        label_smoothing: as for `cross_entropy`.
        reduction: what the weighted losses are divided by: "mean_with_sample_weight", the sum of
            the weights, where these tell tokens from padding; "sum_over_batch_size", the number of
            losses, so that weights count where all in a batch are the same, too.
        name: of the loss, in what Keras reports.
    """

    def __init__(
        self,
        label_smoothing: float = 0.0,
        reduction: str = "mean_with_sample_weight",
        name: str = "cross_entropy",
    ):
        super().__init__(name=name, reduction=reduction)
        self.label_smoothing = label_smoothing

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        """Return the loss of each prediction."""
        return cross_entropy(y_true, y_pred, self.label_smoothing)

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {
            "label_smoothing": self.label_smoothing,
            "reduction": self.reduction,
            "name": self.name,
        }
