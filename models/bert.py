"""BERT: blocks in which every token sees every other one (Devlin et al. 2019).

    h_0 = norm(token embedding + position embedding + segment embedding)
    h_n = block(h_{n-1})                                 n = 1 ... N
    P(token_t | text with [MASK] at t) = softmax(norm(gelu(h_N,t W)) E^T + b)
    P(sentence B follows A) = softmax(tanh(h_N,0 W_p) W_s)     E: the token embedding

A model that sees what comes after a token cannot be trained to predict it from what came before. It
is trained to restore tokens that were masked instead, and to tell whether two sentences belong
together: whether the second is the next one (BERT), or whether the two are in order (ALBERT, Lan et
al. 2020). So it gives no probability to a text, unlike the language models of this zoo, and what
comes nearest is the pseudo-likelihood, in which each token is predicted from all the others.

Shapes: B batch, T positions, M masked positions, D width, V vocabulary, N blocks.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import keras
import numpy as np
from keras import ops

from . import attention
from .blocks import EncoderBlock
from .compiled import first_ids
from .configs import BERTConfig
from .layers import ACTIVATIONS, FeedForward, make_norm

Tensor = keras.KerasTensor
EPSILON = 1e-12
"""What layer normalisation adds to the variance, as in the published code."""


def at_positions(x: Tensor, positions: Tensor) -> Tensor:
    """Pick vectors out of each row: (B, T, D) at positions (B, M) to (B, M, D)."""
    return ops.take_along_axis(x, positions[:, :, None], axis=1)


def _initializer() -> keras.Initializer:
    """Return a new initializer, with random numbers of its own."""
    return keras.initializers.TruncatedNormal(stddev=0.02)


@keras.saving.register_keras_serializable(package="kerazoo")
class BERT(keras.Model):
    """A BERT: ids (B, T) to logits of masked tokens (B, M, V) and of sentence pairs (B, 2).

    Args:
        config: the hyperparameters, with `vocab_size` set.

    Example:
        >>> from kerazoo.models.configs import BERTConfig
        >>> model = BERT(BERTConfig(vocab_size=65, num_layers=2))
        >>> token_ids = keras.ops.zeros((1, 8), dtype="int32")
        >>> logits = model({"token_ids": token_ids, "mask_positions": token_ids[:, :3]})
        >>> logits["mask_logits"].shape, logits["sentence_logits"].shape
        (TensorShape([1, 3, 65]), TensorShape([1, 2]))
    """

    config_class = BERTConfig

    def __init__(self, config: BERTConfig, **kwargs):
        super().__init__(**kwargs)
        if config.vocab_size < 1:
            raise ValueError("config.vocab_size is 0; set it to the tokenizer's vocab_size.")
        self.config = config
        # === Layers ===
        self.token_embedding = self._make_embedding(
            "token_embedding", config.vocab_size, keras.layers.ReversibleEmbedding
        )
        self.position_embedding = self._make_embedding("position_embedding", config.context_length)
        self.segment_embedding = self._make_embedding("segment_embedding", config.num_segments)
        self.embedding_norm = self._make_norm("embedding_norm")
        self.dropout = keras.layers.Dropout(config.dropout, dtype=self.dtype_policy)
        self.blocks = [self._make_block(f"block_{n}") for n in range(config.num_layers)]
        if config.norm_first:
            self.final_norm = self._make_norm("final_norm")
        # Head for masked tokens; its last layer is the transposed token embedding.
        self.mask_dense = self._make_dense("mask_dense", config.width)
        self.mask_norm = self._make_norm("mask_norm")
        self.output_bias = self.add_weight(
            shape=(config.vocab_size,), initializer="zeros", autocast=False, name="output_bias"
        )
        # Head for sentence pairs.
        self.pooler = self._make_dense("pooler", config.width)
        self.sentence_head = self._make_dense("sentence_head", 2)
        self.build()

    def _make_embedding(
        self, name: str, size: int, kind: type[keras.layers.Embedding] = keras.layers.Embedding
    ) -> keras.layers.Embedding:
        return kind(
            size,
            self.config.width,
            embeddings_initializer=_initializer(),
            dtype=self.dtype_policy,
            name=name,
        )

    def _make_norm(self, name: str) -> keras.Layer:
        return make_norm("layer", True, self.dtype_policy, name, EPSILON)

    def _make_dense(self, name: str, units: int) -> keras.layers.Dense:
        return keras.layers.Dense(
            units, kernel_initializer=_initializer(), dtype=self.dtype_policy, name=name
        )

    def _make_block(self, name: str) -> EncoderBlock:
        config = self.config
        shared = {
            "initializer": _initializer(),
            "output_initializer": _initializer(),
            "dtype": self.dtype_policy,
        }
        return EncoderBlock(
            attention.Attention(
                config.num_heads,
                config.head_dim,
                dropout=config.dropout,
                name="attention",
                **shared,
            ),
            FeedForward(
                config.feed_forward_width or 4 * config.width,
                activation="gelu",
                name="feed_forward",
                **shared,
            ),
            dropout=config.dropout,
            norm_epsilon=EPSILON,
            norm_first=config.norm_first,
            dtype=self.dtype_policy,
            name=name,
        )

    # === The model ===

    def build(self, input_shape: Any = None) -> None:
        """Create all weights, by a call."""
        if not self.built:
            self.built = True  # or the call would come back here
            self({"token_ids": first_ids(self.config.context_length)})

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> dict[str, Tensor]:
        """Predict masked tokens, and how two sentences belong together.

        Args:
            inputs: `token_ids` (B, T) int32; where wanted, `segment_ids` and `padding_mask`, as for
                `hidden_states`, and `mask_positions` (B, M) int32: the positions of the tokens to
                predict, all T without it. As few logits as are needed are what makes training fast.
            training: whether dropout is on.

        Returns:
            `mask_logits`, (B, M, V), and `sentence_logits`, (B, 2), both float32.
        """
        states = self.hidden_states(
            inputs["token_ids"],
            inputs.get("segment_ids"),
            inputs.get("padding_mask"),
            training=training,
        )  # (B, T, D)
        positions = inputs.get("mask_positions")
        masked = states if positions is None else at_positions(states, positions)  # (B, M, D)
        return {
            "mask_logits": self.mask_logits(masked),
            "sentence_logits": self.sentence_logits(states),
        }

    def hidden_states(
        self,
        token_ids: Tensor,
        segment_ids: Tensor | None = None,
        padding_mask: Tensor | None = None,
        training: bool = False,
    ) -> Tensor:
        """Return the states after the last block, (B, T, D).

        Args:
            token_ids: (B, T) int32.
            segment_ids: (B, T) int32: 0 for tokens of the first sentence, 1 for those of the
                second; None: all are 0.
            padding_mask: (B, T) bool, True for tokens and False for padding; None: all are tokens.
            training: whether dropout is on.
        """
        x = self.embed(token_ids, segment_ids, training)  # (B, T, D)
        attention_mask = None if padding_mask is None else attention.padding_mask(padding_mask)
        for block in self.blocks:
            x = block(x, attention_mask=attention_mask, training=training)
        return self.final_norm(x) if self.config.norm_first else x

    def read(
        self,
        token_ids: Tensor,
        padding_mask: Tensor | None = None,
        segment_ids: Tensor | None = None,
        training: bool = False,
    ) -> Tensor:
        """Return a state for each token, (B, T, D); see `LanguageModel.read`."""
        return self.hidden_states(token_ids, segment_ids, padding_mask, training=training)

    @property
    def output_variables(self) -> list[keras.Variable]:
        """The weights that are there only for the two heads of pre-training."""
        layers = (self.mask_dense, self.mask_norm, self.pooler, self.sentence_head)
        return [self.output_bias, *(v for layer in layers for v in layer.variables)]

    def embed(
        self, token_ids: Tensor, segment_ids: Tensor | None = None, training: bool = False
    ) -> Tensor:
        """Return what the first block sees: ids (B, T) to (B, T, D)."""
        if segment_ids is None:
            segment_ids = ops.zeros_like(token_ids)
        x = self.token_embedding(token_ids) + self.segment_embedding(segment_ids)  # (B, T, D)
        x = x + self.position_embedding(ops.arange(ops.shape(token_ids)[1]))
        return self.dropout(self.embedding_norm(x), training=training)

    def mask_logits(self, hidden_states: Tensor) -> Tensor:
        """Map states (..., D) to the logits of the tokens there, (..., V) float32."""
        x = ACTIVATIONS["gelu"](self.mask_dense(hidden_states))  # (..., D)
        logits = self.token_embedding(self.mask_norm(x), reverse=True)  # (..., V)
        return ops.cast(logits, "float32") + self.output_bias

    def pooled(self, hidden_states: Tensor) -> Tensor:
        """Return one vector for a text, from its first token: (B, T, D) to (B, D)."""
        return ops.tanh(self.pooler(hidden_states[:, 0]))

    def sentence_logits(self, hidden_states: Tensor) -> Tensor:
        """Map states (B, T, D) to logits (B, 2) float32.

        Class 0 is that the second sentence follows the first, or that the two are in order; class 1
        that they are not.
        """
        return ops.cast(self.sentence_head(self.pooled(hidden_states)), "float32")

    def parts(self) -> list[list[keras.Layer]]:
        """Return the embeddings and their norm, then one block after the other."""
        embeddings = [self.token_embedding, self.position_embedding, self.segment_embedding]
        return [[*embeddings, self.embedding_norm], *([block] for block in self.blocks)]

    @property
    def prefers_xla(self) -> bool:
        """Whether XLA makes it faster: not with dropout, whose random numbers it draws slowly."""
        return self.config.dropout == 0

    # === What it is used for ===

    def masked_log_probs(
        self,
        token_ids: Tensor,
        mask_id: int,
        segment_ids: Tensor | None = None,
        padding_mask: Tensor | None = None,
        positions: Tensor | None = None,
    ) -> Tensor:
        """Return log P(token_t | all the other tokens), natural logarithm (Salazar et al. 2020).

        Each token is masked in turn, which takes a pass over the whole batch for each position.
        The exponential of minus the mean is the pseudo-perplexity. It is not comparable with the
        perplexity of a language model, which does not know what comes after a token.

        Args:
            token_ids: (B, T) int32.
            mask_id: the id of [MASK].
            segment_ids: as for `hidden_states`.
            padding_mask: as for `hidden_states`.
            positions: (B, M) int32, the positions of the tokens to predict; None: all T.

        Returns:
            (B, M) float32.
        """
        token_ids = ops.convert_to_tensor(token_ids, "int32")
        shape = ops.shape(token_ids)
        everywhere = ops.broadcast_to(ops.arange(shape[1]), shape)  # (B, T)
        positions = everywhere if positions is None else ops.convert_to_tensor(positions, "int32")

        def log_probs_at(positions: Tensor) -> Tensor:  # (B, 1) to (B, 1)
            masked = ops.where(everywhere == positions, mask_id, token_ids)  # (B, T)
            states = self.hidden_states(masked, segment_ids, padding_mask)  # (B, T, D)
            logits = self.mask_logits(at_positions(states, positions))  # (B, 1, V)
            targets = ops.take_along_axis(token_ids, positions, axis=1)  # (B, 1)
            return -ops.sparse_categorical_crossentropy(targets, logits, from_logits=True)

        by_position = ops.map(log_probs_at, ops.transpose(positions)[:, :, None])  # (M, B, 1)
        return ops.transpose(by_position[..., 0])

    def fill(
        self,
        token_ids: Tensor,
        mask_id: int,
        k: int = 5,
        segment_ids: Tensor | None = None,
        padding_mask: Tensor | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the likeliest tokens for each [MASK], and their probabilities.

        Args:
            token_ids: (B, T) int32, with M times `mask_id` among them.
            mask_id: the id of [MASK].
            k: how many tokens.
            segment_ids: as for `hidden_states`.
            padding_mask: as for `hidden_states`.

        Returns:
            Ids (M, k) int32 and probabilities (M, k) float32, likeliest first: a row for each
            [MASK], in the order of the texts and their positions.
        """
        masks = np.flatnonzero(ops.convert_to_numpy(token_ids) == mask_id)  # (M,)
        states = self.hidden_states(token_ids, segment_ids, padding_mask)  # (B, T, D)
        states = ops.take(ops.reshape(states, (-1, self.config.width)), masks, axis=0)  # (M, D)
        logits = self.mask_logits(states)  # (M, V)
        probabilities, ids = ops.top_k(ops.softmax(logits), k)
        return ops.convert_to_numpy(ids), ops.convert_to_numpy(probabilities)

    # === Saving ===

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds the model: the configuration, name and precision."""
        return {**super().get_config(), "config": asdict(self.config)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> "BERT":
        """Rebuild a model from what `get_config` returned."""
        return cls(**{**config, "config": cls.config_class(**config["config"])})
