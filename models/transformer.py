"""The Transformer, from one text to another: "Attention Is All You Need" (Vaswani et al. 2017).

    memory = encoder(source)                            every position sees every other
    h_0 = sqrt(D) E[token] + PE[position]               E: one embedding for both texts, section 3.4
    h_n = block(h_{n-1}, memory)                        n = 1 ... N
    P(next token) = softmax(h_N E^T)                    or another matrix than E: `tie_embeddings`

Its blocks are post-norm, as published; `norm_first` makes them pre-norm, which trains without a
warm-up and needs one more normalisation after the last block (Xiong et al. 2020). With
`zero_init_residual` the parts of a block begin by adding nothing (Zhang et al. 2019). Dropout is on
the embeddings and on what each part adds, not on the weights of attention (section 5.4).

Embeddings that learn fast outgrow the waves of PE, which stay as long as they are. Positions that
are turns of queries and keys (`positions`) are as visible at the end as at the beginning.

Shapes: B batch, S source positions, T positions, D width, H heads, K head width, V vocabulary,
N blocks.
"""

import keras
from keras import ops

from .attention import Attention, CausalAttention, CrossAttention, padding_mask
from .blocks import DecoderBlock, EncoderBlock
from .configs import TransformerConfig
from .encoder_decoder import EncoderDecoder, Memory
from .language_model import Cache, Tensor
from .layers import FeedForward, make_norm, with_a_token


def sinusoidal_positions(positions: Tensor, width: int) -> Tensor:
    """Return the vectors that tell positions apart (section 3.5): (T,) to (T, D) float32.

        PE[position, 2i] = sin(position / 10000^(2i/D)),   PE[position, 2i+1] = cos(the same)

    They are computed, not learned: the vector of a position is that of another one, with each pair
    of features turned by an angle that depends on the distance only.
    """
    frequencies = 10_000.0 ** (-ops.arange(0, width, 2, dtype="float32") / width)  # (D/2,)
    angles = ops.cast(positions, "float32")[:, None] * frequencies  # (T, D/2)
    pairs = ops.stack([ops.sin(angles), ops.cos(angles)], axis=-1)  # (T, D/2, 2)
    return ops.reshape(pairs, (-1, width))  # (T, D)


@keras.saving.register_keras_serializable(package="kerazoo")
class Transformer(EncoderDecoder):
    """An encoder-decoder of Transformer blocks: a source (B, S), a text (B, T) to logits (B, T, V).

    Args:
        config: the hyperparameters, with `vocab_size` set.

    Example:
        >>> from kerazoo.models.configs import TransformerConfig
        >>> model = Transformer(TransformerConfig(vocab_size=65))
        >>> source_ids, token_ids = keras.ops.ones((1, 9), "int32"), keras.ops.ones((1, 8), "int32")
        >>> model({"source_ids": source_ids, "token_ids": token_ids}).shape
        TensorShape([1, 8, 65])
    """

    config_class = TransformerConfig
    prefers_xla = True

    def __init__(self, config: TransformerConfig, **kwargs):
        super().__init__(config, **kwargs)
        # === Layers ===
        self.token_embedding = keras.layers.ReversibleEmbedding(
            config.vocab_size,
            config.width,
            tie_weights=config.tie_embeddings,
            # Times sqrt(D) on the way in, it has variance 1 at both ends.
            embeddings_initializer=keras.initializers.RandomNormal(stddev=config.width**-0.5),
            dtype=self.dtype_policy,
            name="token_embedding",
        )
        self.dropout = keras.layers.Dropout(config.dropout, dtype=self.dtype_policy)
        numbers = range(config.num_layers)
        self.encoder_blocks = [self._make_encoder_block(f"encoder_block_{n}") for n in numbers]
        self.decoder_blocks = [self._make_decoder_block(f"decoder_block_{n}") for n in numbers]
        if config.norm_first:
            self.encoder_norm, self.decoder_norm = (
                make_norm("layer", True, self.dtype_policy, name)
                for name in ("encoder_norm", "decoder_norm")
            )
        for block in self.decoder_blocks:  # its attention to the source is used before itself
            block.build((None, None, config.width))
        self.build()

    def _make_encoder_block(self, name: str) -> EncoderBlock:
        return EncoderBlock(
            self._make_attention(Attention, "attention"),
            self._make_feed_forward(),
            norm_first=self.config.norm_first,
            dropout=self.config.dropout,
            dtype=self.dtype_policy,
            name=name,
        )

    def _make_decoder_block(self, name: str) -> DecoderBlock:
        return DecoderBlock(
            self._make_attention(CausalAttention, "attention"),
            self._make_attention(CrossAttention, "cross_attention"),
            self._make_feed_forward(),
            norm_first=self.config.norm_first,
            dropout=self.config.dropout,
            dtype=self.dtype_policy,
            name=name,
        )

    def _make_attention(self, kind: type[Attention], name: str) -> Attention:
        config, to_itself = self.config, kind is not CrossAttention
        return kind(
            config.num_heads,
            config.head_dim,
            rotary=to_itself and config.positions == "rotary",
            qk_norm=to_itself and config.qk_norm,
            output_initializer=self._output_initializer(),
            dtype=self.dtype_policy,
            name=name,
        )

    def _make_feed_forward(self) -> FeedForward:
        return FeedForward(
            self.config.feed_forward_width or 4 * self.config.width,
            activation="relu",
            output_initializer=self._output_initializer(),
            dtype=self.dtype_policy,
            name="feed_forward",
        )

    def _output_initializer(self) -> str:
        """Return the initializer for what a part adds to the residual stream."""
        return "zeros" if self.config.zero_init_residual else "glorot_uniform"

    # === The model ===

    def embed(self, token_ids: Tensor, index: int | Tensor = 0, training: bool = False) -> Tensor:
        """Return what a first block sees: ids (B, T) from position `index` on to (B, T, D)."""
        x = self.token_embedding(token_ids) * self.config.width**0.5  # (B, T, D)
        if self.config.positions == "sinusoidal":
            positions = index + ops.arange(ops.shape(token_ids)[1])
            x = x + ops.cast(sinusoidal_positions(positions, self.config.width), x.dtype)
        return self.dropout(x, training=training)

    def encode(
        self, source_ids: Tensor, source_mask: Tensor | None = None, training: bool = False
    ) -> Memory:
        """Read the source; return what the decoder looks at, and where there is something.

        Returns:
            For each decoder block keys and values, two tensors (B, S, H, K), and the mask (B, S).
        """
        if source_mask is None:
            source_mask = ops.ones_like(source_ids)
        source_mask = with_a_token(source_mask)
        mask = padding_mask(source_mask)  # (B, 1, 1, S)
        x = self.embed(source_ids, training=training)  # (B, S, D)
        for block in self.encoder_blocks:
            x = block(x, attention_mask=mask, training=training)
        if self.config.norm_first:
            x = self.encoder_norm(x)
        seen = tuple(block.cross_attention.keys_and_values(x) for block in self.decoder_blocks)
        return seen, source_mask

    def decode(
        self,
        token_ids: Tensor,
        memory: Memory,
        cache: Cache = None,
        index: int | Tensor = 0,
        training: bool = False,
    ) -> tuple[Tensor, Cache]:
        """Return the states after the last block, (B, T, D), and the keys and values so far."""
        seen, source_mask = memory
        mask = padding_mask(source_mask)  # (B, 1, 1, S)
        x = self.embed(token_ids, index, training)  # (B, T, D)
        caches = []
        for n, block in enumerate(self.decoder_blocks):
            x, block_cache = block(
                x,
                seen[n],
                memory_mask=mask,
                cache=None if cache is None else cache[n],
                index=index,
                training=training,
            )
            caches.append(block_cache)
        if self.config.norm_first:
            x = self.decoder_norm(x)
        return x, None if cache is None else tuple(caches)

    def parts(self) -> list[list[keras.Layer]]:
        """Return the embedding, the encoder's blocks, the decoder's blocks."""
        encoder = [[block] for block in self.encoder_blocks]
        if self.config.norm_first:
            encoder[-1].append(self.encoder_norm)
        return [[self.token_embedding], *encoder, *([block] for block in self.decoder_blocks)]

    def own_cache(self, memory: Memory, length: int) -> Cache:
        """Return room for keys and values: for each block two tensors (B, length, H, K)."""
        _, source_mask = memory
        batch_size = ops.shape(source_mask)[0]
        return tuple(
            block.attention.initial_cache(batch_size, length) for block in self.decoder_blocks
        )

    @property
    def max_length(self) -> int:
        """The context length: keys and values are kept by position."""
        return self.config.context_length

    def cross_attention_weights(self, token_ids: Tensor, memory: Memory) -> Tensor:
        """Return how much each position looks at each of the source: (N, B, H, T, S)."""
        seen, source_mask = memory
        mask = padding_mask(source_mask)
        x, weights = self.embed(token_ids), []
        for block, keys_and_values in zip(self.decoder_blocks, seen, strict=True):
            weights.append(block.cross_attention_weights(x, keys_and_values, mask))
            x, _ = block(x, keys_and_values, memory_mask=mask)
        return ops.stack(weights)
