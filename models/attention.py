"""Attention: as a function, and as the layers that Transformers are made of.

    attention(Q, K, V) = softmax(Q K^T / sqrt(d_k)) V        (Vaswani et al. 2017, equation 1)

A query asks, keys answer, and the values of the keys that match are averaged by how well they do.
Of independent components with variance 1, the product q k has the variance d_k; the division brings
that back to 1, so that the softmax does not saturate. What a query must not see, a mask takes out
before the softmax.

Shapes: B batch, T query positions, S key positions, D model width, H query heads, G key/value heads
(each shared by H / G query heads), K head width.
"""

import keras
import numpy as np
from keras import ops

from .layers import make_norm, own

Tensor = keras.KerasTensor
Cache = tuple[Tensor, Tensor]
"""What a causal attention layer remembers: keys and values so far, each (B, S, G, K)."""

# === Attention as a function ===


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """Average the values by how well their keys match the query, in one fused operation.

    Args:
        query: (B, T, H, K).
        key: (B, S, G, K), where G divides H.
        value: (B, S, G, K).
        mask: boolean, broadcastable to (B, H, T, S); True where a query may look at a key. A query
            that may look at none gets the plain average of all values, never NaN.

    Returns:
        (B, T, H, K), in the dtype of the inputs.
    """
    if key.shape[2] == 1:  # Keras shares several key heads among query heads, but not a single one
        key, value = (ops.repeat(x, query.shape[2], axis=2) for x in (key, value))
    return ops.dot_product_attention(query, key, value, mask=mask)


def attention_with_weights(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    dropout: keras.layers.Layer | None = None,
) -> tuple[Tensor, Tensor]:
    """Do what `attention` does, step by step, and return the weights as well.

    Args:
        query: (B, T, H, K).
        key: (B, S, G, K), where G divides H.
        value: (B, S, G, K).
        mask: as for `attention`.
        dropout: applied to the weights.

    Returns:
        The output (B, T, H, K), and the weights (B, H, T, S), which sum to one over S.
    """
    groups = query.shape[2] // key.shape[2]
    key = ops.repeat(key, groups, axis=2)  # (B, S, H, K)
    value = ops.repeat(value, groups, axis=2)  # (B, S, H, K)

    scores = ops.einsum("bthk,bshk->bhts", query, key)  # (B, H, T, S)
    scores = ops.cast(scores, "float32") / query.shape[-1] ** 0.5
    if mask is not None:
        # The lowest finite number: a literal such as -1e9 would overflow in half precision, and
        # -inf would make a row that is masked throughout NaN.
        scores = ops.where(mask, scores, np.finfo("float32").min)
    weights = ops.cast(ops.softmax(scores, axis=-1), query.dtype)
    mixed = weights if dropout is None else dropout(weights, training=True)
    return ops.einsum("bhts,bshk->bthk", mixed, value), weights


def causal_mask(num_queries: int, num_keys: int, index: int | Tensor = 0) -> Tensor:
    """Let the query at position `index + t` look at keys 0 to `index + t`: boolean (T, S)."""
    return ops.arange(num_keys)[None, :] <= index + ops.arange(num_queries)[:, None]


def padding_mask(is_token: Tensor) -> Tensor:
    """Let every query look at the tokens but not at the padding: (B, S) to (B, 1, 1, S)."""
    return ops.cast(is_token, "bool")[:, None, None, :]


def rotate(x: Tensor, positions: Tensor, max_wavelength: float = 10_000.0) -> Tensor:
    """Turn each pair of features by an angle that grows with the position (Su et al. 2021, RoPE).

    Positions enter the scalar product of a rotated query and a rotated key as their difference
    alone. Feature i is paired with feature i + K/2, as in GPT-NeoX and Llama.

    Args:
        x: queries or keys, (B, T, H, K) with K even.
        positions: (T,).
        max_wavelength: the base; pair i turns round once in 2 pi max_wavelength^(2i / K) positions.
    """
    half = x.shape[-1] // 2
    frequencies = max_wavelength ** (-ops.arange(half, dtype="float32") / half)  # (K/2,)
    angles = ops.cast(positions, "float32")[:, None, None] * frequencies  # (T, 1, K/2)
    cos, sin = ops.cast(ops.cos(angles), x.dtype), ops.cast(ops.sin(angles), x.dtype)
    first, second = x[..., :half], x[..., half:]
    return ops.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


# === Attention as layers ===


class Attention(keras.Layer):
    """Multi-head attention in which every position of a text sees every other one.

        MultiHead(x) = concat(head_1 ... head_H) W_O
        head_h = attention(x W_Q,h, x W_K,h, x W_V,h)      (Vaswani et al. 2017, section 3.2.2)

    Args:
        num_heads: query heads, H.
        head_dim: width of a head, K.
        num_kv_heads: key and value heads, G: H for multi-head attention (Vaswani et al. 2017), 1
            for multi-query (Shazeer 2019), between for grouped-query attention (Ainslie et al.
            2023); None for H.
        rotary: whether queries and keys are rotated by their positions.
        rope_theta: with `rotary`, the base of the wavelengths; the `max_wavelength` of `rotate`.
        qk_norm: whether queries and keys are normalised head by head.
        use_bias: whether the four linear layers have biases.
        dropout: share of attention weights dropped in training.
        initializer: for the query, key and value kernels.
        output_initializer: for the output kernel.
    """

    def __init__(
        self,
        num_heads: int,
        head_dim: int,
        num_kv_heads: int | None = None,
        rotary: bool = False,
        rope_theta: float = 10_000.0,
        qk_norm: bool = False,
        use_bias: bool = True,
        dropout: float = 0.0,
        initializer: keras.Initializer | str = "glorot_uniform",
        output_initializer: keras.Initializer | str = "glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_heads, self.num_kv_heads = num_heads, num_kv_heads or num_heads
        self.head_dim = head_dim
        self.rotary, self.rope_theta, self.qk_norm = rotary, rope_theta, qk_norm
        self.use_bias, self.output_initializer = use_bias, output_initializer
        options = {"use_bias": use_bias, "dtype": self.dtype_policy}
        self.query, self.key, self.value = (
            keras.layers.Dense(
                heads * head_dim, kernel_initializer=own(initializer), name=name, **options
            )
            for name, heads in (
                ("query", self.num_heads),
                ("key", self.num_kv_heads),
                ("value", self.num_kv_heads),
            )
        )
        if qk_norm:
            self.query_norm = make_norm("rms", False, self.dtype_policy, "query_norm")
            self.key_norm = make_norm("rms", False, self.dtype_policy, "key_norm")
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the output layer, as wide as the input."""
        self.output_dense = keras.layers.Dense(
            input_shape[-1],
            use_bias=self.use_bias,
            kernel_initializer=own(self.output_initializer),
            dtype=self.dtype_policy,
            name="output",
        )
        head = (None, None, None, self.head_dim)
        for layer in (self.query, self.key, self.value):
            layer.build(input_shape)
        if self.qk_norm:
            self.query_norm.build(head)
            self.key_norm.build(head)
        self.output_dense.build((*input_shape[:-1], self.num_heads * self.head_dim))

    def call(
        self, x: Tensor, attention_mask: Tensor | None = None, training: bool = False
    ) -> Tensor:
        """Attend: (B, T, D) to (B, T, D).

        Args:
            x: (B, T, D).
            attention_mask: the mask for `attention`, such as `padding_mask` makes it. (A `mask`
                would be one that Keras hands on from layer to layer.)
            training: whether to drop weights.
        """
        return self._attend(*self._project(x), attention_mask, training)

    def attention_weights(self, x: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return how much each position looks at each: (B, T, D) to (B, H, T, T)."""
        return attention_with_weights(*self._project(x), attention_mask)[1]

    def _attend(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, training: bool
    ) -> Tensor:
        """Return (B, T, D) from queries (B, T, H, K), keys and values (B, S, G, K)."""
        if training and self.dropout.rate > 0:
            output, _ = attention_with_weights(query, key, value, mask, self.dropout)
        else:
            output = attention(query, key, value, mask)  # (B, T, H, K)
        output = ops.reshape(output, (-1, ops.shape(query)[1], self.num_heads * self.head_dim))
        return self.output_dense(output)

    def _project(self, x: Tensor, index: int | Tensor = 0) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries (B, T, H, K), keys and values (B, T, G, K), as attention compares them."""
        query = self._split_heads(self.query(x))  # (B, T, H, K)
        key, value = self._split_heads(self.key(x)), self._split_heads(self.value(x))
        if self.qk_norm:
            query, key = self.query_norm(query), self.key_norm(key)
        if self.rotary:
            positions = index + ops.arange(ops.shape(x)[1])
            query, key = (rotate(x, positions, self.rope_theta) for x in (query, key))
        return query, key, value

    def _split_heads(self, x: Tensor) -> Tensor:
        """(B, T, heads * K) to (B, T, heads, K)."""
        shape = (-1, ops.shape(x)[1], x.shape[-1] // self.head_dim, self.head_dim)
        return ops.reshape(x, shape)


class CausalAttention(Attention):
    """Multi-head self-attention in which a position sees itself and what came before it."""

    def call(
        self,
        x: Tensor,
        cache: Cache | None = None,
        index: int | Tensor = 0,
        training: bool = False,
    ) -> tuple[Tensor, Cache | None]:
        """Attend, over `x` alone or over what the cache remembers and `x`.

        Args:
            x: (B, T, D), the tokens at positions `index` to `index + T - 1`.
            cache: keys and values of the positions before, with room for these.
            index: position of the first token of `x`.
            training: whether to drop weights.

        Returns:
            (B, T, D), and the cache with this call's keys and values in it.
        """
        query, key, value = self._project(x, index)
        if cache is not None:
            key = ops.slice_update(cache[0], (0, index, 0, 0), key)  # (B, S, G, K)
            value = ops.slice_update(cache[1], (0, index, 0, 0), value)  # (B, S, G, K)
            cache = (key, value)
        mask = causal_mask(ops.shape(x)[1], ops.shape(key)[1], index)  # (T, S)
        return self._attend(query, key, value, mask[None, None], training), cache

    def initial_cache(self, batch_size: int, length: int) -> Cache:
        """Return room for keys and values of `length` positions: two zeros (B, length, G, K)."""
        shape = (batch_size, length, self.num_kv_heads, self.head_dim)
        zeros = ops.zeros(shape, self.compute_dtype)
        return zeros, zeros

    def attention_weights(self, x: Tensor) -> Tensor:
        """Return how much each position looks at each: (B, T, D) to (B, H, T, T)."""
        length = ops.shape(x)[1]
        return super().attention_weights(x, causal_mask(length, length)[None, None])


class CrossAttention(Attention):
    """Multi-head attention from one text to another: queries from `x`, the rest from a source."""

    def keys_and_values(self, source: Tensor) -> Cache:
        """Return what is looked at, the same for every query: (B, S, D) to two (B, S, G, K)."""
        return self._split_heads(self.key(source)), self._split_heads(self.value(source))

    def call(
        self,
        x: Tensor,
        memory: Cache,
        attention_mask: Tensor | None = None,
        training: bool = False,
    ) -> Tensor:
        """Attend from (B, T, D) to what `keys_and_values` returned: (B, T, D)."""
        return self._attend(self._split_heads(self.query(x)), *memory, attention_mask, training)

    def attention_weights(
        self, x: Tensor, memory: Cache, attention_mask: Tensor | None = None
    ) -> Tensor:
        """Return how much each position of `x` looks at each of the source: (B, H, T, S)."""
        query = self._split_heads(self.query(x))
        return attention_with_weights(query, *memory, attention_mask)[1]
