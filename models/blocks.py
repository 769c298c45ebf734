"""The blocks that Transformers are stacks of: attention, feed-forward network, residual stream.

    pre-norm    x + dropout(part(norm(x)))              (Radford et al. 2019)
    post-norm   norm(x + dropout(part(x)))              (Vaswani et al. 2017, section 3.1)

Shapes: B batch, T positions, S positions of the source, D model width, H heads.
"""

import keras

from .attention import Attention, Cache, CausalAttention, CrossAttention
from .layers import FeedForward, GatedFeedForward, make_norm

Tensor = keras.KerasTensor


class _ResidualBlock(keras.Layer):
    """Parts, each of which adds to the residual stream and has a normalisation of its own.

    Args:
        norm: "layer" or "rms".
        use_bias: whether layer normalisation has a bias.
        dropout: share of each part's output dropped in training.
        norm_epsilon: as for `make_norm`.
        norm_first: whether it is pre-norm.
        parts: the parts by name; the block has them, and for each a normalisation NAME_norm.
    """

    def __init__(
        self,
        norm: str = "layer",
        use_bias: bool = True,
        dropout: float = 0.0,
        norm_epsilon: float | None = None,
        norm_first: bool = True,
        *,
        parts: dict[str, keras.Layer],
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.norm_first = norm_first
        self.dropout = keras.layers.Dropout(dropout, dtype=self.dtype_policy)
        for name, part in parts.items():
            layer = make_norm(norm, use_bias, self.dtype_policy, f"{name}_norm", norm_epsilon)
            setattr(self, f"{name}_norm", layer)
            setattr(self, name, part)
        self._part_names = tuple(parts)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Build the parts, all of the same width."""
        for name in self._part_names:
            getattr(self, f"{name}_norm").build(input_shape)
            getattr(self, name).build(input_shape)

    def _before(self, x: Tensor, norm: keras.Layer) -> Tensor:
        """Return what a part sees of the residual stream (B, T, D)."""
        return norm(x) if self.norm_first else x

    def _after(self, x: Tensor, norm: keras.Layer, change: Tensor, training: bool) -> Tensor:
        """Return the residual stream (B, T, D) after a part."""
        x = x + self.dropout(change, training=training)
        return x if self.norm_first else norm(x)

    def _feed_forward(self, x: Tensor, training: bool) -> Tensor:
        change = self.feed_forward(self._before(x, self.feed_forward_norm))
        return self._after(x, self.feed_forward_norm, change, training)


class Block(_ResidualBlock):
    """A block of a decoder-only Transformer, by default pre-norm as in GPT-2.

        x --+-- norm -- attention -- dropout -(+)-+-- norm -- feed-forward -- dropout -(+)--
            |                                  |  |                                     |
            +----------------------------------+  +-------------------------------------+

    Args:
        attention: the attention layer.
        feed_forward: the feed-forward network.
        kwargs: see `_ResidualBlock`.
    """

    def __init__(
        self, attention: CausalAttention, feed_forward: FeedForward | GatedFeedForward, **kwargs
    ):
        super().__init__(parts={"attention": attention, "feed_forward": feed_forward}, **kwargs)

    def call(
        self,
        x: Tensor,
        cache: Cache | None = None,
        index: int | Tensor = 0,
        training: bool = False,
    ) -> tuple[Tensor, Cache | None]:
        """Map (B, T, D) to (B, T, D), and the cache to the cache; as `CausalAttention.call`."""
        attended, cache = self.attention(
            self._before(x, self.attention_norm), cache=cache, index=index, training=training
        )
        x = self._after(x, self.attention_norm, attended, training)
        return self._feed_forward(x, training), cache

    def attention_weights(self, x: Tensor) -> Tensor:
        """Return how much each position of `x` looks at each: (B, T, D) to (B, H, T, T)."""
        return self.attention.attention_weights(self._before(x, self.attention_norm))


class EncoderBlock(_ResidualBlock):
    """A block of an encoder: the same as `Block`, but every position sees every other one."""

    def __init__(self, attention: Attention, feed_forward: FeedForward, **kwargs):
        super().__init__(parts={"attention": attention, "feed_forward": feed_forward}, **kwargs)

    def call(
        self, x: Tensor, attention_mask: Tensor | None = None, training: bool = False
    ) -> Tensor:
        """Map (B, T, D) to (B, T, D), as `Attention.call`."""
        attended = self.attention(
            self._before(x, self.attention_norm), attention_mask=attention_mask, training=training
        )
        return self._feed_forward(self._after(x, self.attention_norm, attended, training), training)

    def attention_weights(self, x: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        """Return how much each position of `x` looks at each: (B, T, D) to (B, H, T, T)."""
        x = self._before(x, self.attention_norm)
        return self.attention.attention_weights(x, attention_mask)


class DecoderBlock(_ResidualBlock):
    """A block of the decoder of an encoder-decoder (Vaswani et al. 2017, figure 1, right).

        attention to the text so far -> attention to the source -> feed-forward network

    Args:
        attention: to the decoder's own text.
        cross_attention: to the source.
        feed_forward: the feed-forward network.
        kwargs: see `_ResidualBlock`.
    """

    def __init__(
        self,
        attention: CausalAttention,
        cross_attention: CrossAttention,
        feed_forward: FeedForward,
        **kwargs,
    ):
        parts = {
            "attention": attention,
            "cross_attention": cross_attention,
            "feed_forward": feed_forward,
        }
        super().__init__(parts=parts, **kwargs)

    def call(
        self,
        x: Tensor,
        memory: Cache,
        memory_mask: Tensor | None = None,
        cache: Cache | None = None,
        index: int | Tensor = 0,
        training: bool = False,
    ) -> tuple[Tensor, Cache | None]:
        """Map (B, T, D) to (B, T, D), and the cache to the cache.

        Args:
            x: (B, T, D).
            memory: what `cross_attention.keys_and_values` made of the source.
            memory_mask: which positions of the source may be looked at, as for `attention`.
            cache: as for `CausalAttention.call`, and the arguments after it.
            index: position of the first token of `x`.
            training: whether dropout is on.
        """
        x, cache = self._self_attention(x, cache, index, training)
        attended = self.cross_attention(
            self._before(x, self.cross_attention_norm),
            memory,
            attention_mask=memory_mask,
            training=training,
        )
        x = self._after(x, self.cross_attention_norm, attended, training)
        return self._feed_forward(x, training), cache

    def attention_weights(self, x: Tensor) -> Tensor:
        """Return how much each position of `x` looks at each: (B, T, D) to (B, H, T, T)."""
        return self.attention.attention_weights(self._before(x, self.attention_norm))

    def cross_attention_weights(
        self, x: Tensor, memory: Cache, memory_mask: Tensor | None = None
    ) -> Tensor:
        """Return how much each position of `x` looks at each of the source: (B, H, T, S)."""
        x, _ = self._self_attention(x, None, 0, False)
        x = self._before(x, self.cross_attention_norm)
        return self.cross_attention.attention_weights(x, memory, memory_mask)

    def _self_attention(
        self, x: Tensor, cache: Cache | None, index: int | Tensor, training: bool
    ) -> tuple[Tensor, Cache | None]:
        attended, cache = self.attention(
            self._before(x, self.attention_norm), cache=cache, index=index, training=training
        )
        return self._after(x, self.attention_norm, attended, training), cache
