"""The contract of a language model: what every one of them can do, whatever is inside.

    P(x_1 ... x_T) = P(x_1) P(x_2 | x_1) ... P(x_T | x_1 ... x_{T-1})

Shapes: B batch, T positions, D width, V vocabulary.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import keras
from keras import ops

from .compiled import first_ids
from .configs import ModelConfig

Tensor = keras.KerasTensor
Cache = Any
"""What a model remembers of the tokens before: a nested structure of tensors, batch axis first."""


class LanguageModel(keras.Model):
    """A neural language model: a `keras.Model` from token ids to next-token logits.

    A model has a `token_embedding`, says how ids become hidden states (`hidden_states`) and what it
    remembers from step to step (`initial_cache`). The rest follows.

    Args:
        config: the hyperparameters, with `vocab_size` set.
    """

    config_class: type[ModelConfig]
    prefers_xla: bool
    """Whether XLA makes it faster on this machine; as measured for each family."""

    def __init__(self, config: ModelConfig, **kwargs):
        super().__init__(**kwargs)
        if config.vocab_size < 1:
            raise ValueError("config.vocab_size is 0; set it to the tokenizer's vocab_size.")
        self.config = config

    # === What each model defines ===

    def hidden_states(
        self,
        token_ids: Tensor,
        cache: Cache = None,
        index: int | Tensor = 0,
        training: bool = False,
    ) -> tuple[Tensor, Cache]:
        """Return the last layer's states, (B, T, D), and the cache after these tokens.

        Args:
            token_ids: (B, T) int32, the tokens at positions `index` to `index + T - 1`.
            cache: what `initial_cache` or an earlier call returned; None to begin anew and remember
                nothing.
            index: position of the first of the tokens.
            training: whether dropout is on.
        """
        raise NotImplementedError

    def initial_cache(self, batch_size: int, length: int) -> Cache:
        """Return the cache before the first token, with room for `length` tokens."""
        raise NotImplementedError

    @property
    def max_length(self) -> int | None:
        """The most positions that a cache can have; None for a cache that is not by position."""
        raise NotImplementedError

    def parts(self) -> list[list[keras.Layer]]:
        """Return the layers from the bottom: the embeddings, then one block after the other.

        Fine-tuning counts them. What is above the last block, such as a normalisation, is not among
        them; a model without layers has none.
        """
        return []

    def logits(self, hidden_states: Tensor) -> Tensor:
        """Map states (..., D) to logits (..., V) float32, before the softmax.

        Here by the transposed token embedding or, where the two are not tied, by its other matrix.
        """
        return ops.cast(self.token_embedding(hidden_states, reverse=True), "float32")

    def first_logits(self) -> Tensor:
        """Return the logits of the first token of all, (V,) float32.

        Most models predict a token from those before it, so this one, which has none, is as likely
        to be any. A model that knows better says so.
        """
        return ops.zeros((self.config.vocab_size,), "float32")

    # === What follows from it ===

    def build(self, input_shape: Any = None) -> None:
        """Create all weights, by a call."""
        if not self.built:
            self.built = True  # or the call would come back here
            self(first_ids(self.config.context_length))

    def call(self, token_ids: Tensor, training: bool = False) -> Tensor:
        """Map token ids (B, T) to logits (B, T, V): at t, for the token after t."""
        hidden_states, _ = self.hidden_states(token_ids, training=training)
        return self.logits(hidden_states)

    def read(
        self,
        token_ids: Tensor,
        padding_mask: Tensor | None = None,
        segment_ids: Tensor | None = None,
        training: bool = False,
    ) -> Tensor:
        """Return a state for each token, for a head to stand on: (B, T, D).

        Here each knows the tokens before it, and none the padding, which stands on the right.

        Args:
            token_ids: (B, T) int32.
            padding_mask: (B, T) bool, True for tokens and False for padding.
            segment_ids: (B, T) int32, for a model that tells a first text from a second.
            training: whether dropout is on.
        """
        hidden_states, _ = self.hidden_states(token_ids, training=training)
        return hidden_states

    @property
    def output_variables(self) -> list[keras.Variable]:
        """The weights that are there only to predict tokens, and so idle under a head."""
        bias = getattr(self, "output_bias", None)
        matrix = getattr(self.token_embedding, "reverse_embeddings", None)  # if it is one apart
        return [variable for variable in (matrix, bias) if variable is not None]

    def extend(self, token_ids: Tensor, cache: Cache, index: int | Tensor) -> tuple[Tensor, Cache]:
        """Go on by several tokens: ids (B, T) from position `index` to logits (B, T, V), cache."""
        hidden_states, cache = self.hidden_states(token_ids, cache, index)
        return self.logits(hidden_states), cache

    def next(self, token_ids: Tensor, cache: Cache, index: int | Tensor) -> tuple[Tensor, Cache]:
        """Go on by one token: ids (B,) at position `index` to logits (B, V), and the cache."""
        logits, cache = self.extend(token_ids[:, None], cache, index)
        return logits[:, 0], cache

    def token_log_probs(self, token_ids: Tensor) -> Tensor:
        """Return log P(token_t | tokens before t), natural logarithm: (B, T) to (B, T) float32.

        The probabilities of all texts of T tokens sum to one.
        """
        return self._log_probs_by(self(token_ids[:, :-1]), token_ids)

    def _log_probs_by(self, logits: Tensor, token_ids: Tensor) -> Tensor:
        """Return log P(token_t | before): logits (B, T - 1, V) of all but the first, ids (B, T)."""
        first = ops.take(ops.log_softmax(self.first_logits()), token_ids[:, :1])  # (B, 1)
        log_probs = ops.log_softmax(logits, axis=-1)  # (B, T - 1, V)
        log_probs = ops.take_along_axis(log_probs, token_ids[:, 1:, None], axis=-1)[..., 0]
        return ops.concatenate([first, log_probs], axis=1)

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the model: the configuration, name and precision."""
        return {**super().get_config(), "config": asdict(self.config)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> "LanguageModel":
        """Rebuild a model from what `get_config` returned."""
        return cls(**{**config, "config": cls.config_class(**config["config"])})
