"""The hyperparameters of every model, as data.

They stand apart from the models so that the command line can list and check them without waiting
for TensorFlow.
"""

from dataclasses import dataclass
from typing import Literal

from ..errors import InputError
from .checks import above_zero, at_least, divides, even_head, even_width, option, share


@dataclass(frozen=True)
class GPTConfig:
    """A decoder of the GPT family; as it stands, the architecture of GPT-2."""

    vocab_size: int = 0
    """Number of tokens, V; 0: as many as the tokenizer has."""
    context_length: int = 64
    """The most tokens that the model looks at, T."""
    num_layers: int = 4
    """Number of blocks, N."""
    num_heads: int = 4
    """Attention heads in a block, H."""
    num_kv_heads: int = 0
    """Key and value heads, each shared by a group of query heads; 0: one for each query head."""
    width: int = 128
    """Width of the residual stream, D."""
    feed_forward_width: int = 0
    """Width inside the feed-forward network; 0: four times --model.width."""
    dropout: float = 0.0
    """Share of activations dropped in training, from 0 to below 1."""
    use_bias: bool = True
    """Whether linear layers and layer normalisation have biases."""
    norm: Literal["layer", "rms"] = "layer"
    """Layer normalisation (Ba et al. 2016) or RMSNorm (Zhang & Sennrich 2019)."""
    positions: Literal["learned", "rotary"] = "learned"
    """An embedding for each position, or rotated queries and keys (Su et al. 2021)."""
    activation: Literal["gelu", "gelu_tanh", "relu_squared"] = "gelu_tanh"
    """GELU (Hendrycks & Gimpel 2016), its tanh approximation, or ReLU^2 (So et al. 2021)."""
    qk_norm: bool = False
    """Whether queries and keys are normalised (Henry et al. 2020)."""
    tie_embeddings: bool = True
    """Whether the output layer is the transposed token embedding (Press & Wolf 2017)."""

    def __post_init__(self):
        at_least(self, 1, "context_length", "num_layers", "num_heads", "width")
        at_least(self, 0, "vocab_size", "num_kv_heads", "feed_forward_width")
        share(self, "dropout")
        divides(self, "num_heads", "width")
        if self.num_kv_heads:
            divides(self, "num_kv_heads", "num_heads")
        if self.positions == "rotary":
            even_head(self, "--model.positions rotary")

    @property
    def head_dim(self) -> int:
        """Width of one head, K."""
        return self.width // self.num_heads


@dataclass(frozen=True)
class LlamaConfig:
    """A decoder of the Llama family; as it stands, the architecture of Llama 2 at a small size."""

    vocab_size: int = 0
    """Number of tokens, V; 0: as many as the tokenizer has."""
    context_length: int = 64
    """The most tokens that the model looks at, T."""
    num_layers: int = 4
    """Number of blocks, N."""
    num_heads: int = 4
    """Attention heads in a block, H."""
    num_kv_heads: int = 0
    """Key and value heads, each shared by a group of query heads; 0: one for each query head."""
    width: int = 128
    """Width of the residual stream, D."""
    feed_forward_width: int = 0
    """Width inside the feed-forward network; 0: 8/3 of --model.width, up to a multiple of 32, so
    that its three matrices are as large as the two of a network four times as wide."""
    dropout: float = 0.0
    """Share of activations dropped in training, from 0 to below 1."""
    rope_theta: float = 10_000.0
    """Base of the rotary positions' wavelengths; 500,000 in Llama 3, for longer texts."""
    norm_epsilon: float = 1e-5
    """What RMSNorm adds to the mean square before the root."""
    tie_embeddings: bool = False
    """Whether the output layer is the transposed token embedding (Press & Wolf 2017)."""

    def __post_init__(self):
        at_least(self, 1, "context_length", "num_layers", "num_heads", "width")
        at_least(self, 0, "vocab_size", "num_kv_heads", "feed_forward_width")
        above_zero(self, "rope_theta", "norm_epsilon")
        share(self, "dropout")
        divides(self, "num_heads", "width")
        if self.num_kv_heads:
            divides(self, "num_kv_heads", "num_heads")
        even_head(self, "a Llama")

    @property
    def head_dim(self) -> int:
        """Width of one head, K."""
        return self.width // self.num_heads

    @property
    def inner_width(self) -> int:
        """Width inside the feed-forward network, F, whether given or derived."""
        return self.feed_forward_width or -(-8 * self.width // (3 * 32)) * 32


@dataclass(frozen=True)
class RNNConfig:
    """A recurrent language model."""

    vocab_size: int = 0
    """Number of tokens, V; 0: as many as the tokenizer has."""
    context_length: int = 64
    """Tokens in a training window, T: how far back gradients flow. The state itself has no end."""
    cell: Literal["lstm", "gru", "simple"] = "lstm"
    """LSTM (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000), GRU (Cho et al. 2014) or
    the plain recurrent cell (Elman 1990)."""
    num_layers: int = 1
    """Recurrent layers on top of each other, N."""
    width: int = 256
    """Width of the embedding and of each layer's state, D."""
    dropout: float = 0.0
    """Share of embeddings and layers' outputs dropped in training, from 0 to below 1."""
    tie_embeddings: bool = False
    """Whether the output layer is the transposed token embedding (Press & Wolf 2017)."""
    from_equations: bool = False
    """Whether to run the cell written out from its equations instead of Keras's; same numbers,
    slower."""
    output_bias: bool = False
    """Whether the output layer has a bias."""
    initial_scale: float = 0.0
    """All weights begin uniformly between minus and plus this; 0: as Keras's layers begin."""

    def __post_init__(self):
        at_least(self, 1, "context_length", "num_layers", "width")
        at_least(self, 0, "vocab_size", "initial_scale")
        share(self, "dropout")


@dataclass(frozen=True)
class NGramConfig:
    """An n-gram language model: counts, not weights."""

    vocab_size: int = 0
    """Number of tokens, V; 0: as many as the tokenizer has."""
    order: int = 5
    """Tokens in the longest n-gram, N: a token is predicted from the N - 1 before it."""
    smoothing: Literal[
        "maximum-likelihood",
        "add-k",
        "stupid-backoff",
        "witten-bell",
        "kneser-ney",
        "modified-kneser-ney",
    ] = "modified-kneser-ney"
    """How probability is kept for what was not seen: not at all; add-k (Lidstone 1920); stupid
    backoff (Brants et al. 2007); Witten-Bell (1991); Kneser-Ney (1995), interpolated, with one
    discount or with three (Chen & Goodman 1998)."""
    k: float = 0.1
    """add-k: what is added to each count, above 0."""
    backoff: float = 0.4
    """Stupid backoff: what a score loses for each token that the context is cut by, above 0 and at
    most 1."""
    boundary: str | None = None
    """Text of the token that ends a sentence and begins the next, such as "\\n", the line end; an
    n-gram does not reach across it. Without it, the text is one sequence."""
    boundary_id: int | None = None
    """Id of that token: what --model.boundary becomes once the tokenizer has learnt."""
    cache_size: int = 0
    """Tokens of the recent past that are mixed in as a unigram model (Kuhn & De Mori 1990)."""
    cache_weight: float = 0.0
    """Share of the recent past in the mixture, from 0 to below 1."""

    def __post_init__(self):
        at_least(self, 1, "order")
        at_least(self, 0, "vocab_size", "cache_size")
        share(self, "cache_weight")
        above_zero(self, "k", "backoff")
        if self.backoff > 1:
            raise InputError(
                f"{option('backoff')} is {self.backoff}; it must be above 0 and at most 1."
            )
        if (self.cache_size > 0) != (self.cache_weight > 0):
            raise InputError(
                f"--model.cache-size is {self.cache_size} and --model.cache-weight "
                f"{self.cache_weight}; give both, or neither."
            )
        if not isinstance(self.boundary, str | None):
            raise InputError(
                f"--model.boundary is {self.boundary}, which is no text; give the text of a token, "
                "or its id as --model.boundary-id."
            )
        if self.boundary is not None and self.boundary_id is not None:
            raise InputError(
                f"--model.boundary {self.boundary!r} and --model.boundary-id {self.boundary_id} "
                "both say what ends a sentence; leave one of them out."
            )
        if self.boundary_id is not None:
            at_least(self, 0, "boundary_id")
            if self.vocab_size and self.boundary_id >= self.vocab_size:
                raise InputError(
                    f"--model.boundary-id is {self.boundary_id}, which is no token of the "
                    f"{self.vocab_size} that there are; give one below that."
                )

    @property
    def context_length(self) -> int:
        """Tokens in a window of a text that is scored in windows.

        Half of it is at least as long as what the model looks at, so that windows which overlap by
        half give each token all of its context.
        """
        return 2 * max(self.order - 1, self.cache_size, 32)


MOST_UNROLLED = 128
"""Positions up to which a recursion of a hidden Markov model is a row of steps, not a loop."""


@dataclass(frozen=True)
class HMMConfig:
    """A hidden Markov model."""

    vocab_size: int = 0
    """Number of tokens, V; 0: as many as the tokenizer has."""
    context_length: int = 64
    """Tokens in a training window, T: how far back gradients flow. The belief itself has no end."""
    num_states: int = 64
    """Number of hidden states, S."""

    def __post_init__(self):
        at_least(self, 1, "context_length", "num_states")
        at_least(self, 0, "vocab_size")


@dataclass(frozen=True)
class RNNEncoderConfig:
    """A recurrent model that reads in both directions, for a head to stand on."""

    vocab_size: int = 0
    """Number of tokens, V; 0: as many as the tokenizer has."""
    context_length: int = 64
    """The most tokens of a text, T."""
    cell: Literal["lstm", "gru"] = "lstm"
    """LSTM (Hochreiter & Schmidhuber 1997) or GRU (Cho et al. 2014)."""
    num_layers: int = 1
    """Recurrent layers, N."""
    width: int = 128
    """Width of the embedding and of each layer's state, D; even, as each direction has half."""
    dropout: float = 0.0
    """Share of embeddings and layers' outputs dropped in training, from 0 to below 1."""

    def __post_init__(self):
        at_least(self, 1, "context_length", "num_layers", "width")
        at_least(self, 0, "vocab_size")
        share(self, "dropout")
        even_width(self)


@dataclass(frozen=True)
class BERTConfig:
    """An encoder of the BERT family; as it stands, the architecture of BERT at a small size."""

    vocab_size: int = 0
    """Number of tokens, V; 0: as many as the tokenizer has."""
    context_length: int = 64
    """The most tokens that the model looks at, T."""
    num_layers: int = 4
    """Number of blocks, N."""
    num_heads: int = 4
    """Attention heads in a block, H."""
    width: int = 128
    """Width of the residual stream, D."""
    feed_forward_width: int = 0
    """Width inside the feed-forward network; 0: four times --model.width."""
    num_segments: int = 2
    """Kinds of segments that have an embedding: the first sentence, the second."""
    dropout: float = 0.1
    """Share of activations dropped in training, from 0 to below 1."""
    norm_first: bool = False
    """Whether parts normalise their input (pre-norm), not the sum after them as in BERT."""

    def __post_init__(self):
        at_least(self, 1, "context_length", "num_layers", "num_heads", "width", "num_segments")
        at_least(self, 0, "vocab_size", "feed_forward_width")
        share(self, "dropout")
        divides(self, "num_heads", "width")

    @property
    def head_dim(self) -> int:
        """Width of one head, K."""
        return self.width // self.num_heads


@dataclass(frozen=True)
class TransformerConfig:
    """An encoder-decoder; as it stands, that of "Attention Is All You Need" at a small size."""

    vocab_size: int = 0
    """Number of tokens, V, the same in source and target; 0: as many as the tokenizer has."""
    context_length: int = 64
    """The most tokens of a source, and the most of a target, T."""
    num_layers: int = 2
    """Blocks in the encoder, and blocks in the decoder, N."""
    num_heads: int = 4
    """Attention heads in a block, H."""
    width: int = 128
    """Width of the residual stream, D; even, for the sinusoidal positions."""
    feed_forward_width: int = 0
    """Width inside the feed-forward network; 0: four times --model.width."""
    dropout: float = 0.1
    """Share of activations dropped in training, from 0 to below 1."""
    norm_first: bool = False
    """Whether parts normalise their input (pre-norm), not the sum after them as published."""
    positions: Literal["sinusoidal", "rotary"] = "sinusoidal"
    """Waves added to the embeddings, as published, or rotated queries and keys where a text attends
    to itself (Su et al. 2021)."""
    qk_norm: bool = False
    """Whether those queries and keys are normalised (Henry et al. 2020)."""
    tie_embeddings: bool = True
    """Whether the output layer is the transposed token embedding, as published."""
    zero_init_residual: bool = False
    """Whether each part of a block begins by adding nothing, with zeros in its output kernel (Zhang
    et al. 2019); for --model.norm-first."""

    def __post_init__(self):
        at_least(self, 1, "context_length", "num_layers", "num_heads", "width")
        at_least(self, 0, "vocab_size", "feed_forward_width")
        share(self, "dropout")
        divides(self, "num_heads", "width")
        if self.positions == "rotary":
            even_head(self, "--model.positions rotary")
        elif self.width % 2:
            raise InputError(
                f"--model.width is {self.width}; sinusoidal positions need an even one."
            )

    @property
    def head_dim(self) -> int:
        """Width of one head, K."""
        return self.width // self.num_heads


@dataclass(frozen=True)
class RNNSeq2SeqConfig:
    """A recurrent encoder-decoder, with or without attention."""

    vocab_size: int = 0
    """Number of tokens, V, the same in source and target; 0: as many as the tokenizer has."""
    context_length: int = 64
    """The most tokens of a source, and of a target in training, T."""
    cell: Literal["lstm", "gru"] = "lstm"
    """LSTM (Hochreiter & Schmidhuber 1997) or GRU (Cho et al. 2014)."""
    attention: Literal["additive", "multiplicative", "none"] = "multiplicative"
    """How the decoder looks at the source: additive (Bahdanau et al. 2015), multiplicative (Luong
    et al. 2015), or only through the encoder's last state (Sutskever et al. 2014)."""
    num_layers: int = 1
    """Recurrent layers in the encoder, and in the decoder, N."""
    width: int = 256
    """Width of the embedding and of each layer's state, D; even, as each layer of the encoder
    reads half of it in each direction."""
    dropout: float = 0.0
    """Share of embeddings and layers' outputs dropped in training, from 0 to below 1."""

    def __post_init__(self):
        at_least(self, 1, "context_length", "num_layers", "width")
        at_least(self, 0, "vocab_size")
        share(self, "dropout")
        even_width(self)


ModelConfig = (
    NGramConfig
    | HMMConfig
    | RNNConfig
    | GPTConfig
    | LlamaConfig
    | RNNEncoderConfig
    | BERTConfig
    | TransformerConfig
    | RNNSeq2SeqConfig
)

DECODERS = (RNNConfig, GPTConfig, LlamaConfig)
"""Models that read a text in one direction and write on, and on which a head can stand."""
ENCODER_DECODERS = (TransformerConfig, RNNSeq2SeqConfig)
"""Models that are given a source."""
