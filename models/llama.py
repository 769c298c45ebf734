"""Llama: a decoder of the parts that most open models share (Touvron et al. 2023; Llama 3: 2024).

    a = x + attention(rms_norm(x))              rotary positions, grouped-query heads
    h = a + SwiGLU(rms_norm(a))
    P(next token) = softmax(rms_norm(h_N) W)

The plan is GPT's; what differs is in its parts. RMSNorm (Zhang & Sennrich 2019) does not subtract
the mean; rotary positions (Su et al. 2021) tell a query how far back a key is, where GPT-2 learns a
vector for each place; a gate decides what the feed-forward network lets through (Shazeer 2020);
query heads share keys and values (Ainslie et al. 2023), so that the cache is small; no linear layer
has a bias.

Shapes: B batch, T positions, D width, G key/value heads, K head width, V vocabulary, N blocks.
"""

import keras

from .attention import CausalAttention
from .blocks import Block
from .configs import LlamaConfig
from .language_model import Cache, LanguageModel, Tensor
from .layers import GatedFeedForward, make_norm


@keras.saving.register_keras_serializable(package="kerazoo")
class Llama(LanguageModel):
    """A Llama language model: ids (B, T) to logits (B, T, V).

    Args:
        config: the hyperparameters, with `vocab_size` set.

    Example:
        >>> from kerazoo.models.configs import LlamaConfig
        >>> model = Llama(LlamaConfig(vocab_size=65, num_layers=2, num_kv_heads=2))
        >>> model(keras.ops.zeros((1, 8), dtype="int32")).shape
        TensorShape([1, 8, 65])
    """

    config_class = LlamaConfig
    prefers_xla = True

    def __init__(self, config: LlamaConfig, **kwargs):
        super().__init__(config, **kwargs)
        # === Layers ===
        self.token_embedding = keras.layers.ReversibleEmbedding(
            config.vocab_size,
            config.width,
            tie_weights=config.tie_embeddings,
            embeddings_initializer=keras.initializers.RandomNormal(stddev=0.02),
            dtype=self.dtype_policy,
            name="token_embedding",
        )
        self.dropout = keras.layers.Dropout(config.dropout, dtype=self.dtype_policy)
        self.blocks = [self._make_block(f"block_{n}") for n in range(config.num_layers)]
        self.final_norm = make_norm(
            "rms", False, self.dtype_policy, "final_norm", config.norm_epsilon
        )
        self.build()

    def _make_block(self, name: str) -> Block:
        config = self.config
        shared = {
            "initializer": keras.initializers.RandomNormal(stddev=0.02),
            # Level variance in the residual stream, as in GPT-2.
            "output_initializer": keras.initializers.RandomNormal(
                stddev=0.02 / (2 * config.num_layers) ** 0.5
            ),
            "dtype": self.dtype_policy,
        }
        attention = CausalAttention(
            num_heads=config.num_heads,
            num_kv_heads=config.num_kv_heads,
            head_dim=config.head_dim,
            rotary=True,
            rope_theta=config.rope_theta,
            use_bias=False,
            dropout=config.dropout,
            name="attention",
            **shared,
        )
        return Block(
            attention,
            GatedFeedForward(config.inner_width, name="feed_forward", **shared),
            norm="rms",
            norm_epsilon=config.norm_epsilon,
            dropout=config.dropout,
            dtype=self.dtype_policy,
            name=name,
        )

    # === The model ===

    def hidden_states(
        self,
        token_ids: Tensor,
        cache: Cache = None,
        index: int | Tensor = 0,
        training: bool = False,
    ) -> tuple[Tensor, Cache]:
        """Return the states after the last block, (B, T, D), and the keys and values so far."""
        x = self.embed(token_ids, training=training)  # (B, T, D)
        caches = []
        for n, block in enumerate(self.blocks):
            x, block_cache = block(
                x, cache=None if cache is None else cache[n], index=index, training=training
            )
            caches.append(block_cache)
        return self.final_norm(x), None if cache is None else tuple(caches)

    def embed(self, token_ids: Tensor, training: bool = False) -> Tensor:
        """Return what the first block sees: ids (B, T) to (B, T, D), nothing of positions yet."""
        return self.dropout(self.token_embedding(token_ids), training=training)

    def parts(self) -> list[list[keras.Layer]]:
        """Return the embedding, then one block after the other."""
        return [[self.token_embedding], *([block] for block in self.blocks)]

    def initial_cache(self, batch_size: int, length: int) -> Cache:
        """Return room for keys and values: for each block two tensors (B, length, G, K)."""
        return tuple(block.attention.initial_cache(batch_size, length) for block in self.blocks)

    @property
    def max_length(self) -> int:
        """The context length: keys and values are kept by position."""
        return self.config.context_length
