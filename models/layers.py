"""The parts that Transformers are made of: attention, feed-forward network, block.

    attention(Q, K, V) = softmax(Q K^T / sqrt(d_k)) V        (Vaswani et al. 2017, equation 1)

A query asks, keys answer, and the values of the keys that match are averaged by how well they do.
The division by sqrt(d_k) keeps the scores' variance at 1 whatever the width, so that the softmax
does not saturate.

Shapes: B batch, T query positions, S key positions, D model width, H query heads, G key/value heads
(each shared by H / G query heads), K head width, F feed-forward width.
"""

import keras
import numpy as np
from keras import ops

Tensor = keras.KerasTensor
Cache = tuple[Tensor, Tensor]
"""What a causal attention layer remembers: keys and values so far, each (B, S, G, K)."""

ACTIVATIONS = {
    "gelu": lambda x: ops.gelu(x, approximate=False),
    "gelu_tanh": lambda x: ops.gelu(x, approximate=True),
    "relu_squared": lambda x: ops.square(ops.relu(x)),
}

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

    The scalar product of a rotated query and a rotated key depends on their distance only. Feature
    i is paired with feature i + K/2, as in GPT-NeoX and Llama.

    Args:
        x: queries or keys, (B, T, H, K) with K even.
        positions: (T,).
        max_wavelength: positions until the slowest pair has turned round, over 2 pi.
    """
    half = x.shape[-1] // 2
    frequencies = max_wavelength ** (-ops.arange(half, dtype="float32") / half)  # (K/2,)
    angles = ops.cast(positions, "float32")[:, None, None] * frequencies  # (T, 1, K/2)
    cos, sin = ops.cast(ops.cos(angles), x.dtype), ops.cast(ops.sin(angles), x.dtype)
    first, second = x[..., :half], x[..., half:]
    return ops.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)


# === Layers ===


def make_norm(
    kind: str, use_bias: bool, dtype: keras.DTypePolicy, name: str, epsilon: float | None = None
) -> keras.Layer:
    """Return layer normalisation or RMSNorm over the last axis.

    Args:
        kind: "layer" or "rms".
        use_bias: whether layer normalisation has a bias.
        dtype: the dtype policy.
        name: the layer's name.
        epsilon: added before the root; None: 1e-5 for layer normalisation, 1e-6 for RMSNorm.
    """
    options = {"dtype": dtype, "name": name}
    if kind == "rms":
        return keras.layers.RMSNormalization(epsilon=epsilon or 1e-6, **options)
    return keras.layers.LayerNormalization(epsilon=epsilon or 1e-5, center=use_bias, **options)


def _own(initializer: keras.Initializer | str) -> keras.Initializer:
    """Return the initializer with random numbers of its own; one object always draws the same."""
    return keras.initializers.get(initializer).clone()


class CausalAttention(keras.Layer):
    """Multi-head self-attention in which a position sees itself and what came before it.

    Args:
        num_heads: query heads, H.
        num_kv_heads: key and value heads, G: H for multi-head attention (Vaswani et al. 2017), 1
            for multi-query (Shazeer 2019), between for grouped-query attention (Ainslie et al.
            2023).
        head_dim: width of a head, K.
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
        num_kv_heads: int,
        head_dim: int,
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
        self.num_heads, self.num_kv_heads, self.head_dim = num_heads, num_kv_heads, head_dim
        self.rotary, self.rope_theta, self.qk_norm = rotary, rope_theta, qk_norm
        self.use_bias, self.output_initializer = use_bias, output_initializer
        options = {"use_bias": use_bias, "dtype": self.dtype_policy}
        self.query, self.key, self.value = (
            keras.layers.Dense(
                heads * head_dim, kernel_initializer=_own(initializer), name=name, **options
            )
            for name, heads in (
                ("query", num_heads),
                ("key", num_kv_heads),
                ("value", num_kv_heads),
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
            kernel_initializer=_own(self.output_initializer),
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
        length = ops.shape(x)[1]
        query, key, value = self._project(x, index)
        if cache is not None:
            key = ops.slice_update(cache[0], (0, index, 0, 0), key)  # (B, S, G, K)
            value = ops.slice_update(cache[1], (0, index, 0, 0), value)  # (B, S, G, K)
            cache = (key, value)

        mask = causal_mask(length, ops.shape(key)[1], index)  # (T, S)
        if training and self.dropout.rate > 0:
            output, _ = attention_with_weights(query, key, value, mask, self.dropout)
        else:
            output = attention(query, key, value, mask[None, None])
        output = ops.reshape(output, (-1, length, self.num_heads * self.head_dim))  # (B, T, H * K)
        return self.output_dense(output), cache

    def attention_weights(self, x: Tensor) -> Tensor:
        """Return how much each position looks at each: (B, T, D) to (B, H, T, T)."""
        query, key, value = self._project(x, index=0)
        mask = causal_mask(ops.shape(x)[1], ops.shape(x)[1])  # (T, T)
        return attention_with_weights(query, key, value, mask)[1]

    def _project(self, x: Tensor, index: int | Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries (B, T, H, K), keys and values (B, T, G, K), as attention compares them."""
        length = ops.shape(x)[1]

        def split_heads(x: Tensor) -> Tensor:  # (B, T, heads * K) to (B, T, heads, K)
            return ops.reshape(x, (-1, length, x.shape[-1] // self.head_dim, self.head_dim))

        query = split_heads(self.query(x))  # (B, T, H, K)
        key, value = split_heads(self.key(x)), split_heads(self.value(x))  # (B, T, G, K)
        if self.qk_norm:
            query, key = self.query_norm(query), self.key_norm(key)
        if self.rotary:
            positions = index + ops.arange(length)
            query, key = (rotate(x, positions, self.rope_theta) for x in (query, key))
        return query, key, value


class FeedForward(keras.Layer):
    """Two linear layers with a non-linearity between them, at each position alone.

        FFN(x) = activation(x W_1 + b_1) W_2 + b_2        (Vaswani et al. 2017, equation 2)

    Args:
        width: width inside, F.
        activation: a key of `ACTIVATIONS`.
        use_bias: whether the linear layers have biases.
        initializer: for the first kernel.
        output_initializer: for the second.
    """

    def __init__(
        self,
        width: int,
        activation: str = "gelu_tanh",
        use_bias: bool = True,
        initializer: keras.Initializer | str = "glorot_uniform",
        output_initializer: keras.Initializer | str = "glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.activation = ACTIVATIONS[activation]
        self.use_bias, self.output_initializer = use_bias, output_initializer
        self.inner = keras.layers.Dense(
            width,
            use_bias=use_bias,
            kernel_initializer=_own(initializer),
            dtype=self.dtype_policy,
            name="inner",
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the output layer, as wide as the input."""
        self.output_dense = keras.layers.Dense(
            input_shape[-1],
            use_bias=self.use_bias,
            kernel_initializer=_own(self.output_initializer),
            dtype=self.dtype_policy,
            name="output",
        )
        self.inner.build(input_shape)
        self.output_dense.build((*input_shape[:-1], self.inner.units))

    def call(self, x: Tensor) -> Tensor:
        """Map (B, T, D) to (B, T, D)."""
        return self.output_dense(self.activation(self.inner(x)))  # (B, T, F) inside


class GatedFeedForward(keras.Layer):
    """A feed-forward network in which one linear layer opens and shuts another (SwiGLU).

        FFN(x) = (swish(x W) * x V) W_2,   swish(x) = x sigmoid(x)    (Shazeer 2020, equation 6)

    Args:
        width: width inside, F.
        initializer: for the kernels of gate and inner layer, W and V.
        output_initializer: for the kernel of the output layer, W_2.
    """

    def __init__(
        self,
        width: int,
        initializer: keras.Initializer | str = "glorot_uniform",
        output_initializer: keras.Initializer | str = "glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.output_initializer = output_initializer
        self.gate, self.inner = (
            keras.layers.Dense(
                width,
                use_bias=False,
                kernel_initializer=_own(initializer),
                dtype=self.dtype_policy,
                name=name,
            )
            for name in ("gate", "inner")
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the output layer, as wide as the input."""
        self.output_dense = keras.layers.Dense(
            input_shape[-1],
            use_bias=False,
            kernel_initializer=_own(self.output_initializer),
            dtype=self.dtype_policy,
            name="output",
        )
        self.gate.build(input_shape)
        self.inner.build(input_shape)
        self.output_dense.build((*input_shape[:-1], self.inner.units))

    def call(self, x: Tensor) -> Tensor:
        """Map (B, T, D) to (B, T, D)."""
        return self.output_dense(ops.silu(self.gate(x)) * self.inner(x))  # (B, T, F) inside


class Block(keras.Layer):
    """A Transformer block that normalises before each part (pre-norm; Radford et al. 2019).

        x --+-- norm -- attention -- dropout -(+)-+-- norm -- feed-forward -- dropout -(+)--
            |                                  |  |                                     |
            +----------------------------------+  +-------------------------------------+

    Args:
        attention: the attention layer.
        feed_forward: the feed-forward network.
        norm: "layer" or "rms".
        use_bias: whether layer normalisation has a bias.
        dropout: share of each part's output dropped in training.
        norm_epsilon: as for `make_norm`.
    """

    def __init__(
        self,
        attention: CausalAttention,
        feed_forward: FeedForward | GatedFeedForward,
        norm: str = "layer",
        use_bias: bool = True,
        dropout: float = 0.0,
        norm_epsilon: float | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.attention_norm, self.feed_forward_norm = (
            make_norm(norm, use_bias, self.dtype_policy, name, norm_epsilon)
            for name in ("attention_norm", "feed_forward_norm")
        )
        self.attention, self.feed_forward = attention, feed_forward
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Build the parts, all of the same width."""
        for layer in (
            self.attention_norm,
            self.attention,
            self.feed_forward_norm,
            self.feed_forward,
        ):
            layer.build(input_shape)

    def call(
        self,
        x: Tensor,
        cache: Cache | None = None,
        index: int | Tensor = 0,
        training: bool = False,
    ) -> tuple[Tensor, Cache | None]:
        """Map (B, T, D) to (B, T, D), and the cache to the cache; as `CausalAttention.call`."""
        attended, cache = self.attention(
            self.attention_norm(x), cache=cache, index=index, training=training
        )
        x = x + self.dropout(attended, training=training)
        transformed = self.feed_forward(self.feed_forward_norm(x))
        return x + self.dropout(transformed, training=training), cache

    def attention_weights(self, x: Tensor) -> Tensor:
        """Return how much each position of `x` looks at each: (B, T, D) to (B, H, T, T)."""
        return self.attention.attention_weights(self.attention_norm(x))
