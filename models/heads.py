"""Heads: what a model that reads a text is made to say of it.

    text    y = dropout(pool(h_1 ... h_T)) W + b        a class of the text, or a number
    tokens  y_t = dropout(h_t) W + b                    a tag for each token
    span    P(it begins at t) = softmax over t of (h_t W + b)_1, and _2 for its end

h are the states of the model below, the backbone, which may have been trained before to predict
tokens (Radford et al. 2018; Devlin et al. 2019, section 4): pre-training, then fine-tuning. The
weights with which it did so are left alone.

Shapes: B batch, T positions, D width, K outputs.
"""

from collections.abc import Mapping
from typing import Any, Literal

import keras
import numpy as np
from keras import ops

from .compiled import first_ids
from .layers import with_a_token

Tensor = keras.KerasTensor
LOWEST = np.finfo("float32").min
Pooling = Literal["first", "last", "mean", "max"]


class _Head(keras.Model):
    """A backbone with a dense layer on its states.

    Args:
        backbone: a model with `read`.
        num_outputs: K.
        dropout: share of the features dropped before the last layer in training.
    """

    def __init__(self, backbone: keras.Model, num_outputs: int, dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.backbone, self.num_outputs = backbone, num_outputs
        for variable in backbone.output_variables:
            variable.trainable = False
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)
        self.output_dense = keras.layers.Dense(num_outputs, dtype=self.dtype_policy, name="output")
        self.build()

    @property
    def config(self) -> Any:
        """The hyperparameters of the backbone."""
        return self.backbone.config

    prefers_xla = False
    """Batches have many lengths, and XLA would compile each for itself."""

    def build(self, input_shape: Any = None) -> None:
        """Create all weights, by a call."""
        if not self.built:
            self.built = True  # or the call would come back here
            ids = first_ids(self.config.context_length)
            self({"token_ids": ids, "padding_mask": ops.ones_like(ids, "bool")})

    def states(self, inputs: Mapping[str, Tensor], training: bool = False) -> Tensor:
        """Return the backbone's states, (B, T, D).

        Args:
            inputs: `token_ids` (B, T) int32, `padding_mask` (B, T) bool, True for tokens, and where
                there are two texts `segment_ids` (B, T) int32.
            training: whether dropout is on.
        """
        return self.backbone.read(
            inputs["token_ids"],
            inputs["padding_mask"],
            inputs.get("segment_ids"),
            training=training,
        )

    def outputs(self, features: Tensor, training: bool = False) -> Tensor:
        """Map features (..., D) to what the head says, (..., K) float32."""
        return ops.cast(self.output_dense(self.dropout(features, training=training)), "float32")

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the model."""
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.backbone),
            "num_outputs": self.num_outputs,
            "dropout": self.dropout.rate,
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> "_Head":
        """Rebuild a model from what `get_config` returned."""
        backbone = keras.saving.deserialize_keras_object(config["backbone"])
        return cls(**{**config, "backbone": backbone})


@keras.saving.register_keras_serializable(package="kerazoo")
class TextHead(_Head):
    """Says something of a whole text: ids (B, T) to (B, K).

    Args:
        pooling: how the states become one: that of the first token (for a BERT, which is trained to
            sum up there, through its pooler), of the last, their mean, or the largest of each
            feature.
        **kwargs: as for every head: `backbone`, `num_outputs`, `dropout`.

    Example:
        >>> from kerazoo.models.bidirectional import RNNEncoder
        >>> from kerazoo.models.configs import RNNEncoderConfig
        >>> head = TextHead(backbone=RNNEncoder(RNNEncoderConfig(vocab_size=65)), num_outputs=2)
        >>> token_ids = keras.ops.zeros((1, 8), "int32")
        >>> head({"token_ids": token_ids, "padding_mask": keras.ops.ones((1, 8), "bool")}).shape
        TensorShape([1, 2])
    """

    def __init__(self, pooling: Pooling = "mean", **kwargs):
        self.pooling = pooling  # before the call that creates the weights, which needs it
        super().__init__(**kwargs)
        if self._has_pooler:  # which is used, unlike the rest of what predicted tokens
            for variable in self.backbone.pooler.variables:
                variable.trainable = True

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor:
        """Map texts to what is said of them, (B, K) float32; inputs as for `states`."""
        states = self.states(inputs, training)  # (B, T, D)
        return self.outputs(self.pool(states, inputs["padding_mask"]), training)

    def pool(self, states: Tensor, padding_mask: Tensor) -> Tensor:
        """Make one vector of the states: (B, T, D) to (B, D)."""
        if self._has_pooler:
            return self.backbone.pooled(states)
        states = ops.cast(states, "float32")
        is_token = with_a_token(padding_mask)
        is_token = ops.cast(is_token, "float32")[:, :, None]  # (B, T, 1)
        number = ops.sum(is_token, axis=1)  # (B, 1)
        if self.pooling == "mean":
            return ops.sum(states * is_token, axis=1) / number
        if self.pooling == "max":
            return ops.max(ops.where(is_token > 0, states, LOWEST), axis=1)
        if self.pooling == "last":
            last = ops.cast(number - 1, "int32")[:, :, None]  # (B, 1, 1)
            return ops.take_along_axis(states, last, axis=1)[:, 0]
        return states[:, 0]

    @property
    def _has_pooler(self) -> bool:
        return self.pooling == "first" and hasattr(self.backbone, "pooled")

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the model."""
        return {**super().get_config(), "pooling": self.pooling}


@keras.saving.register_keras_serializable(package="kerazoo")
class TokenHead(_Head):
    """Says something of each token: ids (B, T) to (B, T, K)."""

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor:
        """Map texts to what is said of their tokens, (B, T, K) float32; inputs as for `states`."""
        return self.outputs(self.states(inputs, training), training)


@keras.saving.register_keras_serializable(package="kerazoo")
class SpanHead(_Head):
    """Points to the first and the last token of a span: ids (B, T) to (B, 2, T)."""

    def __init__(self, num_outputs: int = 2, **kwargs):
        super().__init__(num_outputs=num_outputs, **kwargs)

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor:
        """Map texts to the logits of where a span begins and of where it ends, (B, 2, T) float32.

        Args:
            inputs: as for `states`, and `may_be_answer` (B, T) bool: where the span may lie.
            training: whether dropout is on.
        """
        logits = self.outputs(self.states(inputs, training), training)  # (B, T, 2)
        logits = ops.transpose(logits, (0, 2, 1))  # (B, 2, T)
        if "may_be_answer" not in inputs:
            return logits
        return ops.where(inputs["may_be_answer"][:, None], logits, LOWEST)
