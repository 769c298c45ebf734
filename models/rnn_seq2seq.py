"""Recurrent encoder-decoders: from one text to another, with or without attention.

    encoder   h_j = [forward_j; backward_j]             read in both directions, j = 1 ... S
    decoder   s_t = cell(x_t, s_{t-1})                  x_t: the embedding of token t
    context   c_t = sum over j of a_tj h_j              a_t: the weights of attention, sum to one
    output    s~_t = tanh(W [c_t; s_t]),   P(token after t) = softmax(s~_t E^T)

`attention` says how the weights come about, and with them how much of the source the decoder sees:

    none             no context; all that is known of the source is the state that the encoder ends
                     in and the decoder begins with (Sutskever et al. 2014; Cho et al. 2014)
    additive         score_tj = v^T tanh(W s_{t-1} + U h_j), and the context goes into the next
                     state, s_t = cell([x_t; c_t], s_{t-1})              (Bahdanau et al. 2015)
    multiplicative   score_tj = s_t^T W h_j, after the state is known    (Luong et al. 2015,
                     "global" attention with the "general" score)

Bahdanau's decoder has to work step by step, as every state waits for a context and the context for
the state before (`additive_attention.py`); of several layers only the lowest does so, so that those
above it need not wait (Wu et al. 2016, section 3). Luong's states do not wait (his "input feeding"
of s~_t into the next step, which would make them wait, is left out), so that his attention is two
matrix products over all positions at once.

The embedding E is shared by source, text and output layer (Press & Wolf 2017): it is most of a
small model's weights, and this way each token's vector learns from all three places.

Shapes: B batch, S source positions, T positions, D width, V vocabulary, N layers.
"""

import keras
import numpy as np
from keras import ops

from ..errors import InputError
from .additive_attention import Seen, recur_attending
from .bidirectional import BidirectionalRNN, make_layer
from .configs import RNNSeq2SeqConfig
from .encoder_decoder import EncoderDecoder, Memory
from .language_model import Cache, Tensor
from .layers import with_a_token
from .recurrence import CELLS, has_gpu, run_layer


def multiplicative_attention(query: Tensor, seen: Seen) -> tuple[Tensor, Tensor]:
    """Average the values by how well their keys match the queries (Luong et al. 2015, section 3.1).

    Args:
        query: the decoder's states s, (B, T, D).
        seen: the source, with the encoder's states h as values and W h as keys.

    Returns:
        Contexts (B, T, D), and the weights that they were averaged with, (B, T, S).
    """
    keys, values, is_token = seen
    scores = ops.cast(query @ ops.transpose(keys, (0, 2, 1)), "float32")  # (B, T, S)
    scores = ops.where(is_token[:, None], scores, np.finfo("float32").min)
    weights = ops.cast(ops.softmax(scores, axis=-1), query.dtype)
    return weights @ values, weights


@keras.saving.register_keras_serializable(package="kerazoo")
class RNNSeq2Seq(EncoderDecoder):
    """A recurrent encoder-decoder: a source (B, S) and a text (B, T) to logits (B, T, V).

    Args:
        config: the hyperparameters, with `vocab_size` set.

    Example:
        >>> from kerazoo.models.configs import RNNSeq2SeqConfig
        >>> model = RNNSeq2Seq(RNNSeq2SeqConfig(vocab_size=65, width=32))
        >>> source_ids, token_ids = keras.ops.ones((1, 9), "int32"), keras.ops.ones((1, 8), "int32")
        >>> model({"source_ids": source_ids, "token_ids": token_ids}).shape
        TensorShape([1, 8, 65])
    """

    config_class = RNNSeq2SeqConfig

    def __init__(self, config: RNNSeq2SeqConfig, **kwargs):
        super().__init__(config, **kwargs)
        self.by_keras = has_gpu()
        self.token_embedding = keras.layers.ReversibleEmbedding(
            config.vocab_size, config.width, dtype=self.dtype_policy, name="token_embedding"
        )
        self.dropout = keras.layers.Dropout(config.dropout, dtype=self.dtype_policy)
        self.encoder = BidirectionalRNN(
            config.cell,
            config.width,
            config.num_layers,
            config.dropout,
            dtype=self.dtype_policy,
            name="encoder",
        )
        self.decoder_layers = [
            make_layer(config.cell, config.width, f"decoder_{n}", self.dtype_policy)
            for n in range(config.num_layers)
        ]
        for layer in self.decoder_layers:
            sees_context = config.attention == "additive" and layer is self.decoder_layers[0]
            layer.build((None, None, (1 + sees_context) * config.width))
        if config.attention != "none":
            self.key = self._make_dense("key", config.width)
            self.output_dense = self._make_dense("output", config.width, 2 * config.width)
        if config.attention == "additive":
            self.query = self._make_dense("query", config.width)
            self.score = self._make_dense("score", 1)
        self.build()

    def _make_dense(self, name: str, width: int, width_in: int = 0) -> keras.layers.Dense:
        dense = keras.layers.Dense(width, use_bias=False, dtype=self.dtype_policy, name=name)
        dense.build((None, None, width_in or self.config.width))
        return dense

    # === The encoder ===

    def encode(
        self, source_ids: Tensor, source_mask: Tensor | None = None, training: bool = False
    ) -> Memory:
        """Read the source in both directions.

        Returns:
            For each layer the state that the decoder begins with, (h,) or, for the LSTM, (h, c),
            each (B, D): what the two directions end in, side by side. And what attention looks at:
            keys (B, S, D), values (B, S, D), and where there is something, (B, S).
        """
        if source_mask is None:
            source_mask = ops.ones_like(source_ids)
        is_token = with_a_token(source_mask)  # (B, S)
        x = self.dropout(self.token_embedding(source_ids), training=training)  # (B, S, D)
        x, states = self.encoder(x, is_token, training=training)
        seen = () if self.config.attention == "none" else (self.key(x), x, is_token)
        return states, seen

    # === The decoder ===

    def decode(
        self,
        token_ids: Tensor,
        memory: Memory,
        cache: Cache = None,
        index: int | Tensor = 0,
        training: bool = False,
    ) -> tuple[Tensor, Cache]:
        """Return the states for the output layer, (B, T, D), and each layer's after the last token.

        The position `index` makes no difference to a recurrent model.
        """
        x, states, _ = self._decode(token_ids, memory, cache, training)
        return x, None if cache is None else states

    def _decode(
        self, token_ids: Tensor, memory: Memory, cache: Cache, training: bool
    ) -> tuple[Tensor, Cache, Tensor | None]:
        """Return s~ (B, T, D), each layer's state, and the weights of attention (B, T, S)."""
        cell, attention = self.config.cell, self.config.attention
        initial, seen = memory
        x = self.dropout(self.token_embedding(token_ids), training=training)  # (B, T, D)
        states, context, weights = [], None, None
        for layer, state in zip(
            self.decoder_layers, initial if cache is None else cache, strict=True
        ):
            if attention == "additive" and layer is self.decoder_layers[0]:
                kernels = (layer.cell.kernel, layer.cell.recurrent_kernel, layer.cell.bias)
                kernels = (*kernels, self.query.kernel, self.score.kernel)
                kernels = (ops.cast(kernel, self.compute_dtype) for kernel in kernels)
                x, context, weights, state = recur_attending(CELLS[cell], x, state, seen, *kernels)
            else:
                x, state = run_layer(cell, layer, x, state, by_keras=self.by_keras)
            x = self.dropout(x, training=training)
            states.append(state)
        if attention == "none":
            return x, tuple(states), None
        if attention == "multiplicative":
            context, weights = multiplicative_attention(x, seen)  # (B, T, D), (B, T, S)
        x = ops.tanh(self.output_dense(ops.concatenate([context, x], axis=-1)))  # (B, T, D)
        return self.dropout(x, training=training), tuple(states), weights

    @property
    def prefers_xla(self) -> bool:
        """Whether XLA makes it faster: `recurrence`, but not cuDNN."""
        return not self.by_keras

    def parts(self) -> list[list[keras.Layer]]:
        """Return the embedding, the encoder's layers, each in both directions, the decoder's."""
        encoder = zip(self.encoder.forward_layers, self.encoder.backward_layers, strict=True)
        decoder = [[layer] for layer in self.decoder_layers]
        if self.config.attention == "additive":  # which its lowest layer works with
            decoder[0] += [self.key, self.query, self.score]
        return [[self.token_embedding], *map(list, encoder), *decoder]

    def own_cache(self, memory: Memory, length: int) -> Cache:
        """Return the state that the decoder begins with; see `encode`."""
        return memory[0]

    @property
    def max_length(self) -> None:
        """None: the state stays the same size, however long the text."""
        return None

    def cross_attention_weights(self, token_ids: Tensor, memory: Memory) -> Tensor:
        """Return how much each position looks at each of the source: (1, B, 1, T, S).

        Raises:
            InputError: if the model has no attention.
        """
        if self.config.attention == "none":
            raise InputError(
                "this model has no attention to look at; train one with --model.attention "
                "multiplicative or additive."
            )
        _, _, weights = self._decode(token_ids, memory, cache=None, training=False)
        return weights[None, :, None]
