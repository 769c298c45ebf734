"""GPT: a stack of causal Transformer blocks (Radford et al. 2018; GPT-2: Radford et al. 2019).

    h_0 = token embedding + position embedding, unless positions are rotary
    h_n = block(h_{n-1})                        n = 1 ... N, see `blocks`
    P(next token) = softmax(norm(h_N) W)        W = E^T, the token embedding, where they are tied

`GPTConfig` as it stands is GPT-2's architecture. Its options are what GPTs have adopted since:
RMSNorm, rotary positions, normalised queries and keys, other activations, grouped-query attention,
no biases, an output layer of its own. The recipe `gpt-shakespeare` uses most of them.

Shapes: B batch, T positions, D width, V vocabulary, N blocks.
"""

import keras
from keras import ops

from .attention import CausalAttention
from .blocks import Block
from .configs import GPTConfig
from .language_model import Cache, LanguageModel, Tensor
from .layers import FeedForward, make_norm


@keras.saving.register_keras_serializable(package="kerazoo")
class GPT(LanguageModel):
    """A GPT language model: ids (B, T) to logits (B, T, V).

    Args:
        config: the hyperparameters, with `vocab_size` set.

    Example:
        >>> from kerazoo.models.configs import GPTConfig
        >>> model = GPT(GPTConfig(vocab_size=65, num_layers=2))
        >>> model(keras.ops.zeros((1, 8), dtype="int32")).shape
        TensorShape([1, 8, 65])
    """

    config_class = GPTConfig
    prefers_xla = True

    def __init__(self, config: GPTConfig, **kwargs):
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
        if config.positions == "learned":
            self.position_embedding = keras.layers.Embedding(
                config.context_length,
                config.width,
                embeddings_initializer=keras.initializers.RandomNormal(stddev=0.02),
                dtype=self.dtype_policy,
                name="position_embedding",
            )
        self.dropout = keras.layers.Dropout(config.dropout, dtype=self.dtype_policy)
        self.blocks = [self._make_block(f"block_{n}") for n in range(config.num_layers)]
        self.final_norm = make_norm(config.norm, config.use_bias, self.dtype_policy, "final_norm")
        self.build()

    def _make_block(self, name: str) -> Block:
        config = self.config
        initializer = keras.initializers.RandomNormal(stddev=0.02)
        # Each of the 2 N parts adds to the residual stream; this keeps the sum's variance level
        # (Radford et al. 2019, section 2.3).
        residual = keras.initializers.RandomNormal(stddev=0.02 / (2 * config.num_layers) ** 0.5)
        shared = {
            "use_bias": config.use_bias,
            "initializer": initializer,
            "output_initializer": residual,
            "dtype": self.dtype_policy,
        }
        attention = CausalAttention(
            num_heads=config.num_heads,
            num_kv_heads=config.num_kv_heads,
            head_dim=config.head_dim,
            rotary=config.positions == "rotary",
            qk_norm=config.qk_norm,
            dropout=config.dropout,
            name="attention",
            **shared,
        )
        feed_forward = FeedForward(
            config.feed_forward_width or 4 * config.width,
            activation=config.activation,
            name="feed_forward",
            **shared,
        )
        return Block(
            attention,
            feed_forward,
            norm=config.norm,
            use_bias=config.use_bias,
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
        """Return norm(h_N), (B, T, D), and the keys and values so far."""
        x = self.embed(token_ids, index, training)  # (B, T, D)
        caches = []
        for n, block in enumerate(self.blocks):
            x, block_cache = block(
                x, cache=None if cache is None else cache[n], index=index, training=training
            )
            caches.append(block_cache)
        return self.final_norm(x), None if cache is None else tuple(caches)

    def embed(self, token_ids: Tensor, index: int | Tensor = 0, training: bool = False) -> Tensor:
        """Return what the first block sees: ids (B, T) from position `index` on to (B, T, D)."""
        x = self.token_embedding(token_ids)  # (B, T, D)
        if self.config.positions == "learned":
            x = x + self.position_embedding(index + ops.arange(ops.shape(token_ids)[1]))
        return self.dropout(x, training=training)

    def parts(self) -> list[list[keras.Layer]]:
        """Return the embeddings, then one block after the other."""
        embeddings = [self.token_embedding]
        if self.config.positions == "learned":
            embeddings.append(self.position_embedding)
        return [embeddings, *([block] for block in self.blocks)]

    def initial_cache(self, batch_size: int, length: int) -> Cache:
        """Return room for keys and values: for each block two tensors (B, length, G, K)."""
        return tuple(block.attention.initial_cache(batch_size, length) for block in self.blocks)

    @property
    def max_length(self) -> int:
        """The context length: keys and values are kept by position."""
        return self.config.context_length
