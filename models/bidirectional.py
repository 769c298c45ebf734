"""Recurrent layers that read a text in both directions (Schuster & Paliwal 1997).

    h_j = [forward_j; backward_j]                       j = 1 ... T

    forward_j  = cell(x_j, forward_{j-1})               knows the tokens before
    backward_j = cell(x_j, backward_{j+1})              knows the tokens after

Each direction has half of the width. The next layer reads what both directions of this one say.

Shapes: B batch, T positions, D width, N layers.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import keras
from keras import ops

from .compiled import first_ids
from .configs import RNNEncoderConfig
from .layers import with_a_token
from .recurrence import CELLS, KERAS_LAYERS, has_gpu, run_layer

Tensor = keras.KerasTensor


def make_layer(cell: str, width: int, name: str, policy: Any, **options: Any) -> keras.layers.RNN:
    """Return Keras's recurrent layer of that cell, one that gives all states."""
    return KERAS_LAYERS[cell](
        width, return_sequences=True, return_state=True, dtype=policy, name=name, **options
    )


class BidirectionalRNN(keras.Layer):
    """A stack of recurrent layers in both directions: (B, T, D) to (B, T, D).

    Args:
        cell: "lstm" or "gru".
        width: D; even.
        num_layers: N.
        dropout: share of the inputs and of each layer's outputs dropped in training.
    """

    def __init__(self, cell: str, width: int, num_layers: int, dropout: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.cell, self.width = cell, width
        self.by_keras = has_gpu()
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)
        self.forward_layers, self.backward_layers = (
            [
                make_layer(
                    cell, width // 2, f"{name}_{n}", self.dtype_policy, go_backwards=backwards
                )
                for n in range(num_layers)
            ]
            for name, backwards in (("forward", False), ("backward", True))
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights of all layers."""
        for layer in (*self.forward_layers, *self.backward_layers):
            layer.build((None, None, self.width))

    def call(
        self, x: Tensor, is_token: Tensor, training: bool = False
    ) -> tuple[Tensor, tuple[tuple[Tensor, ...], ...]]:
        """Read a text.

        Args:
            x: the embeddings, (B, T, D).
            is_token: (B, T) bool, True for tokens and False for padding, which stands on the right.
            training: whether dropout is on.

        Returns:
            States (B, T, D), of which those at padding mean nothing. And for each layer the state
            that its two directions end in, side by side: (h,) or, for the LSTM, (h, c), each
            (B, D).
        """
        is_token = with_a_token(is_token)
        zeros = ops.zeros((ops.shape(x)[0], self.width // 2), self.compute_dtype)
        zeros = (zeros,) * CELLS[self.cell].num_states
        states = []
        for forward, backward in zip(self.forward_layers, self.backward_layers, strict=True):
            (x_forward, after_last), (x_backward, after_first) = (
                run_layer(self.cell, layer, x, zeros, is_token, self.by_keras)
                for layer in (forward, backward)
            )  # x_forward, x_backward: (B, T, D/2)
            x = ops.concatenate([x_forward, x_backward], axis=-1)  # (B, T, D)
            x = self.dropout(x, training=training)
            both = zip(after_last, after_first, strict=True)
            states.append(tuple(ops.concatenate(pair, axis=-1) for pair in both))  # (B, D)
        return x, tuple(states)


@keras.saving.register_keras_serializable(package="kerazoo")
class RNNEncoder(keras.Model):
    """A recurrent model that reads a text in both directions: ids (B, T) to states (B, T, D).

    It predicts no tokens, and so is no language model: a head stands on it, which says something of
    the text or of its tokens.

    Args:
        config: the hyperparameters, with `vocab_size` set.

    Example:
        >>> from kerazoo.models.configs import RNNEncoderConfig
        >>> model = RNNEncoder(RNNEncoderConfig(vocab_size=65, width=32))
        >>> model(keras.ops.zeros((1, 8), dtype="int32")).shape
        TensorShape([1, 8, 32])
    """

    config_class = RNNEncoderConfig

    def __init__(self, config: RNNEncoderConfig, **kwargs):
        super().__init__(**kwargs)
        if config.vocab_size < 1:
            raise ValueError("config.vocab_size is 0; set it to the tokenizer's vocab_size.")
        self.config = config
        self.token_embedding = keras.layers.Embedding(
            config.vocab_size, config.width, dtype=self.dtype_policy, name="token_embedding"
        )
        self.dropout = keras.layers.Dropout(config.dropout, dtype=self.dtype_policy)
        self.layers_both_ways = BidirectionalRNN(
            config.cell,
            config.width,
            config.num_layers,
            config.dropout,
            dtype=self.dtype_policy,
            name="layers",
        )
        self.build()

    def build(self, input_shape: Any = None) -> None:
        """Create all weights, by a call."""
        if not self.built:
            self.built = True  # or the call would come back here
            self(first_ids(self.config.context_length))

    def call(self, token_ids: Tensor, training: bool = False) -> Tensor:
        """Map token ids (B, T) to states (B, T, D)."""
        return self.read(token_ids, training=training)

    def read(
        self,
        token_ids: Tensor,
        padding_mask: Tensor | None = None,
        segment_ids: Tensor | None = None,
        training: bool = False,
    ) -> Tensor:
        """Return a state for each token, (B, T, D); see `LanguageModel.read`."""
        if padding_mask is None:
            padding_mask = ops.ones_like(token_ids)
        x = self.dropout(self.token_embedding(token_ids), training=training)  # (B, T, D)
        x, _ = self.layers_both_ways(x, ops.cast(padding_mask, "bool"), training=training)
        return x

    def parts(self) -> list[list[keras.Layer]]:
        """Return the layers from the bottom up; see `LanguageModel.parts`."""
        layers = self.layers_both_ways
        both = zip(layers.forward_layers, layers.backward_layers, strict=True)
        return [[self.token_embedding], *map(list, both)]

    @property
    def output_variables(self) -> list[keras.Variable]:
        """None: no weight is there only to predict tokens."""
        return []

    @property
    def prefers_xla(self) -> bool:
        """Whether XLA makes it faster: `recurrence`, but not cuDNN."""
        return not self.layers_both_ways.by_keras

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the model: the configuration, name and precision."""
        return {**super().get_config(), "config": asdict(self.config)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> "RNNEncoder":
        """Rebuild a model from what `get_config` returned."""
        return cls(**{**config, "config": cls.config_class(**config["config"])})
