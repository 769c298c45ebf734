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
the state before. Luong's states do not wait (his "input feeding" of s~_t into the next step, which
would make them wait, is left out), so attention is two matrix products over all positions at once.

The embedding E is shared by source, text and output layer (Press & Wolf 2017): it is most of a
small model's weights, and this way each token's vector learns from all three places.

Shapes: B batch, S source positions, T positions, D width, V vocabulary, N layers.
"""

import keras
import numpy as np
from keras import ops

from ..errors import InputError
from .configs import RNNSeq2SeqConfig
from .encoder_decoder import EncoderDecoder, Memory
from .language_model import Cache, Tensor
from .recurrence import CELLS, KERAS_LAYERS, State, run_layer

Seen = tuple[Tensor, Tensor, Tensor]
"""What attention looks at: keys (B, S, D), values (B, S, D) and where there are any, (B, S)."""

# === Attention ===


class _Attention(keras.layers.Layer):
    """Attention with a single head: a weighted mean of the encoder's states.

    Args:
        width: width of keys, queries and values, D.
    """

    def __init__(self, width: int, **kwargs):
        super().__init__(**kwargs)
        self.key = self._make_dense(width, "key")

    def _make_dense(self, width: int, name: str) -> keras.layers.Dense:
        dense = keras.layers.Dense(width, use_bias=False, dtype=self.dtype_policy, name=name)
        dense.build((None, None, width))
        return dense

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """Return how well keys match queries: (B, T, D) and (B, S, D) to (B, T, S)."""
        raise NotImplementedError

    def call(
        self, query: Tensor, keys: Tensor, values: Tensor, is_token: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return contexts (B, T, D), and the weights that they were averaged with, (B, T, S).

        Args:
            query: the decoder's states, (B, T, D).
            keys: the encoder's states through `key`, (B, S, D).
            values: the encoder's states, (B, S, D).
            is_token: (B, S) bool, False at padding.
        """
        scores = ops.cast(self.scores(query, keys), "float32")  # (B, T, S)
        scores = ops.where(is_token[:, None, :], scores, np.finfo("float32").min)
        weights = ops.cast(ops.softmax(scores, axis=-1), values.dtype)
        return weights @ values, weights


class MultiplicativeAttention(_Attention):
    """Luong et al. (2015), section 3.1: score(s, h) = s^T W h, where W h is the key."""

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """Return how well keys match queries: (B, T, D) and (B, S, D) to (B, T, S)."""
        return query @ ops.transpose(keys, (0, 2, 1))


class AdditiveAttention(_Attention):
    """Bahdanau et al. (2015), A.1.2: score(s, h) = v^T tanh(W s + U h), where U h is the key."""

    def __init__(self, width: int, **kwargs):
        super().__init__(width, **kwargs)
        self.query = self._make_dense(width, "query")
        self.score = keras.layers.Dense(1, use_bias=False, dtype=self.dtype_policy, name="score")
        self.score.build((None, None, None, width))

    def scores(self, query: Tensor, keys: Tensor) -> Tensor:
        """Return how well keys match queries: (B, T, D) and (B, S, D) to (B, T, S)."""
        pairs = ops.tanh(self.query(query)[:, :, None, :] + keys[:, None, :, :])  # (B, T, S, D)
        return self.score(pairs)[..., 0]


ATTENTIONS = {"additive": AdditiveAttention, "multiplicative": MultiplicativeAttention}

# === The model ===


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
        self.by_keras = bool(keras.distribution.list_devices("gpu"))
        self.token_embedding = keras.layers.ReversibleEmbedding(
            config.vocab_size, config.width, dtype=self.dtype_policy, name="token_embedding"
        )
        self.dropout = keras.layers.Dropout(config.dropout, dtype=self.dtype_policy)
        numbers, half = range(config.num_layers), config.width // 2
        self.forward_layers = [self._make_layer(f"forward_{n}", half) for n in numbers]
        self.backward_layers = [
            self._make_layer(f"backward_{n}", half, go_backwards=True) for n in numbers
        ]
        self.decoder_layers = [self._make_layer(f"decoder_{n}", config.width) for n in numbers]
        for layer in (*self.forward_layers, *self.backward_layers, *self.decoder_layers):
            sees_context = config.attention == "additive" and layer is self.decoder_layers[0]
            layer.build((None, None, (1 + sees_context) * config.width))
        if config.attention != "none":
            self.attention = ATTENTIONS[config.attention](
                config.width, dtype=self.dtype_policy, name="attention"
            )
            self.output_dense = keras.layers.Dense(
                config.width,
                activation="tanh",
                use_bias=False,
                dtype=self.dtype_policy,
                name="output",
            )
        self.build()

    def _make_layer(self, name: str, width: int, go_backwards: bool = False) -> keras.layers.RNN:
        return KERAS_LAYERS[self.config.cell](
            width,
            return_sequences=True,
            return_state=True,
            go_backwards=go_backwards,
            dtype=self.dtype_policy,
            name=name,
        )

    # === The encoder ===

    def encode(
        self, source_ids: Tensor, source_mask: Tensor | None = None, training: bool = False
    ) -> Memory:
        """Read the source in both directions.

        Returns:
            For each layer the state that the decoder begins with, (h,) or, for the LSTM, (h, c),
            each (B, D): what the two directions end in, side by side. And what attention looks at,
            see `Seen`; nothing without attention.
        """
        if source_mask is None:
            source_mask = ops.ones_like(source_ids, dtype="bool")
        # A source without a token is read as one of a single token: cuDNN refuses the former.
        is_token = ops.logical_or(source_mask, ops.arange(ops.shape(source_ids)[1]) == 0)  # (B, S)
        x = self.dropout(self.token_embedding(source_ids), training=training)  # (B, S, D)
        zeros = ops.zeros((ops.shape(source_ids)[0], self.config.width // 2), self.compute_dtype)
        zeros = (zeros,) * CELLS[self.config.cell].num_states
        states = []
        for forward, backward in zip(self.forward_layers, self.backward_layers, strict=True):
            (x_forward, after_last), (x_backward, after_first) = (
                run_layer(self.config.cell, layer, x, zeros, is_token, self.by_keras)
                for layer in (forward, backward)
            )  # x_forward, x_backward: (B, S, D/2)
            x = ops.concatenate([x_forward, x_backward], axis=-1)  # (B, S, D)
            x = self.dropout(x, training=training)
            both = zip(after_last, after_first, strict=True)
            states.append(tuple(ops.concatenate(pair, axis=-1) for pair in both))  # (B, D)
        seen = () if self.config.attention == "none" else (self.attention.key(x), x, is_token)
        return tuple(states), seen

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
        initial, seen = memory
        x = self.dropout(self.token_embedding(token_ids), training=training)  # (B, T, D)
        states, context, weights = [], None, None
        for layer, state in zip(
            self.decoder_layers, initial if cache is None else cache, strict=True
        ):
            if self.config.attention == "additive" and layer is self.decoder_layers[0]:
                x, state, context, weights = self._attend_and_recur(layer, x, state, seen)
            else:
                x, state = run_layer(self.config.cell, layer, x, state, by_keras=self.by_keras)
            x = self.dropout(x, training=training)
            states.append(state)
        if self.config.attention == "none":
            return x, tuple(states), None
        if self.config.attention == "multiplicative":
            context, weights = self.attention(x, *seen)  # (B, T, D), (B, T, S)
        x = self.output_dense(ops.concatenate([context, x], axis=-1))  # (B, T, D)
        return self.dropout(x, training=training), tuple(states), weights

    def _attend_and_recur(
        self, layer: keras.layers.RNN, x: Tensor, state: State, seen: Seen
    ) -> tuple[Tensor, State, Tensor, Tensor]:
        """Run a layer that looks at the source before each step, over x (B, T, D).

        Of several layers the lowest does it, and its query is its own state, so that those above it
        need not wait (Wu et al. 2016, section 3).

        Returns:
            h (B, T, D), the state after the last step, contexts (B, T, D), weights (B, T, S).
        """
        cell = CELLS[self.config.cell]
        kernel, recurrent_kernel, bias = (
            ops.cast(weight, self.compute_dtype)
            for weight in (layer.cell.kernel, layer.cell.recurrent_kernel, layer.cell.bias)
        )
        token_kernel, context_kernel = ops.split(kernel, 2, axis=0)  # (D, G D) each
        input_bias, state_bias = (bias[0], bias[1]) if len(bias.shape) == 2 else (bias, 0.0)

        # What is stacked over time must also be carried, for TensorFlow's sake; nothing reads it.
        def step(carried: tuple, xw: Tensor) -> tuple[tuple, tuple]:
            state, _, _ = carried
            context, weights = self.attention(state[0][:, None], *seen)  # (B, 1, D), (B, 1, S)
            context, weights = context[:, 0], weights[:, 0]
            state, _ = cell.forward(
                xw + context @ context_kernel, state[0] @ recurrent_kernel + state_bias, state
            )
            return (state, context, weights), (state, context, weights)

        nothing = (ops.zeros_like(state[0]), ops.zeros_like(seen[0][..., 0]))  # (B, D), (B, S)
        xws = ops.transpose(x, (1, 0, 2)) @ token_kernel + input_bias  # (T, B, G D)
        (last, _, _), (states, contexts, weights) = ops.scan(step, (state, *nothing), xws)
        hs, contexts, weights = (
            ops.transpose(stacked, (1, 0, 2)) for stacked in (states[0], contexts, weights)
        )
        return hs, last, contexts, weights

    @property
    def prefers_xla(self) -> bool:
        """Whether XLA makes it faster: `recurrence`, but neither cuDNN nor a loop that attends."""
        return not self.by_keras and self.config.attention != "additive"

    def logits(self, hidden_states: Tensor) -> Tensor:
        """Map states (..., D) to logits (..., V) float32."""
        return ops.cast(self.token_embedding(hidden_states, reverse=True), "float32")

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
