"""What goes on inside a trained model, as arrays that are ready to be drawn.

    weights = attention_weights(run.model, token_ids)          # (N, B, H, T, T)
    pyplot.imshow(weights[0, 0, 0])                            # first block, first text, first head

Shapes: B batch, T positions, S source positions, D width, H heads, N layers.
"""

from typing import Literal, Protocol

import numpy as np
from keras import ops

from ..errors import InputError
from .attention import padding_mask as mask_of_padding
from .bert import BERT
from .blocks import Block
from .encoder_decoder import EncoderDecoder, Memory
from .hmm import HMM, most_likely_tokens, posteriors, viterbi
from .language_model import Tensor
from .layers import with_a_token
from .rnn import EQUATION_CELLS, RNN
from .transformer import Transformer


class Decoder(Protocol):
    """A Transformer that reads from left to right: `GPT`, `Llama`."""

    blocks: list[Block]

    def embed(self, token_ids: Tensor) -> Tensor:
        """Return what the first block sees: ids (B, T) to (B, T, D)."""


class Tokenizer(Protocol):
    """What knows the text of a token, such as `run.tokenizer`."""

    def text_of(self, token_id: int) -> str:
        """Return the token with this id as readable text."""


def attention_weights(
    model: Decoder | BERT,
    token_ids: Tensor,
    segment_ids: Tensor | None = None,
    padding_mask: Tensor | None = None,
) -> np.ndarray:
    """Return how much each position looks at each of those that it sees.

    Args:
        model: a Transformer: one that reads from left to right, or a BERT.
        token_ids: (B, T) int32.
        segment_ids: for a BERT, as for `BERT.hidden_states`.
        padding_mask: for a BERT, as for `BERT.hidden_states`.

    Returns:
        (N, B, H, T, T) float32: in layer, text and head, the weight that the query at the fourth
        index gives to the key at the fifth. Rows sum to one; what a position does not see, which is
        padding or, for a model that reads from left to right, what is above the diagonal, is zero.

    Raises:
        InputError: if the model has no such attention, or the texts are longer than it can read.
        ValueError: if a model that reads from left to right is given segments or padding.

    Example:
        >>> from kerazoo.models.configs import GPTConfig
        >>> from kerazoo.models.gpt import GPT
        >>> model = GPT(GPTConfig(vocab_size=65, num_layers=2, num_heads=4))
        >>> attention_weights(model, np.array([[3, 1, 4, 1, 5]])).shape
        (2, 1, 4, 5, 5)
    """
    token_ids = ops.convert_to_tensor(token_ids, "int32")
    limit = getattr(model, "position_embedding", None) and model.config.context_length
    if limit and token_ids.shape[1] > limit:
        raise InputError(
            f"the texts have {token_ids.shape[1]} tokens, and the model has learnt {limit} "
            "positions; give the first of them."
        )
    weights = []  # (B, H, T, T) of each block
    if isinstance(model, BERT):
        x = model.embed(token_ids, segment_ids)  # (B, T, D)
        mask = None if padding_mask is None else mask_of_padding(padding_mask)
        for block in model.blocks:
            weights.append(block.attention_weights(x, mask))
            x = block(x, attention_mask=mask)
    else:
        if not hasattr(model, "embed") or not hasattr(model, "blocks"):
            raise InputError(
                f"{type(model).__name__} has no attention of this kind; GPT, Llama and BERT have, "
                "a Transformer has encoder_attention_weights, decoder_attention_weights and "
                "cross_attention_weights, and of a model with a head give model.backbone."
            )
        if segment_ids is not None or padding_mask is not None:
            raise ValueError(
                f"segment_ids and padding_mask are for a BERT, not for {type(model).__name__}; "
                "leave them out, as it does not look at padding on the right."
            )
        x = model.embed(token_ids)  # (B, T, D)
        for block in model.blocks:
            weights.append(block.attention_weights(x))
            x, _ = block(x)
    return np.stack([_as_array(layer) for layer in weights])


def cross_attention_weights(model: EncoderDecoder, inputs: dict[str, Tensor]) -> np.ndarray:
    """Return how much each position looks at each of the source: the alignment of the two texts.

    Args:
        model: an encoder-decoder.
        inputs: as for its call: `source_ids` (B, S) int32, `token_ids` (B, T) int32, and, where
            there is padding, `source_mask` (B, S) bool. As in training, `token_ids` begin with the
            tokenizer's `[START]`; only the runs that go on from a text, such as those on
            `shakespeare`, have none, and read the source backwards.

    Returns:
        (N, B, H, T, S) float32: in layer, text and head, the weight that the position at the fourth
        index, when it predicts the token after it, gives to that of the source at the fifth. Rows
        sum to one. A recurrent model has one layer and one head.

    Raises:
        InputError: if the model is no encoder-decoder, or one without attention.

    Example:
        >>> from kerazoo.models.configs import RNNSeq2SeqConfig
        >>> from kerazoo.models.rnn_seq2seq import RNNSeq2Seq
        >>> model = RNNSeq2Seq(RNNSeq2SeqConfig(vocab_size=65, width=8))
        >>> inputs = {"source_ids": np.array([[3, 1, 4, 1]]), "token_ids": np.array([[5, 9, 2]])}
        >>> cross_attention_weights(model, inputs).shape
        (1, 1, 1, 3, 4)
    """
    _expect(model, EncoderDecoder, "attention to a source", "Transformer and RNNSeq2Seq have")
    token_ids, memory = _read(model, inputs)
    return _as_array(model.cross_attention_weights(token_ids, memory))


def encoder_attention_weights(
    model: Transformer, source_ids: Tensor, source_mask: Tensor | None = None
) -> np.ndarray:
    """Return how much each position of a source looks at each of the same source.

    Args:
        model: an encoder-decoder of Transformer blocks.
        source_ids: (B, S) int32.
        source_mask: (B, S) bool, False at padding; None: all are tokens.

    Returns:
        (N, B, H, S, S) float32: in layer, text and head, the weight that the query at the fourth
        index gives to the key at the fifth. Rows sum to one.

    Raises:
        InputError: if it is another kind of model.

    Example:
        >>> from kerazoo.models.configs import TransformerConfig
        >>> model = Transformer(TransformerConfig(vocab_size=65))
        >>> encoder_attention_weights(model, np.array([[3, 1, 4, 1]])).shape
        (2, 1, 4, 4, 4)
    """
    _expect(model, Transformer, "attention within a source", "Transformer has")
    x = model.embed(ops.convert_to_tensor(source_ids, "int32"))  # (B, S, D)
    mask = None if source_mask is None else mask_of_padding(with_a_token(source_mask))
    weights = []
    for block in model.encoder_blocks:
        weights.append(_as_array(block.attention_weights(x, mask)))  # (B, H, S, S)
        x = block(x, attention_mask=mask)
    return np.stack(weights)


def decoder_attention_weights(model: Transformer, inputs: dict[str, Tensor]) -> np.ndarray:
    """Return how much each position of the text that is written looks at those before it.

    Args:
        model: an encoder-decoder of Transformer blocks.
        inputs: as for its call: `source_ids` (B, S) int32, `token_ids` (B, T) int32, and, where
            there is padding, `source_mask` (B, S) bool.

    Returns:
        (N, B, H, T, T) float32: in layer, text and head, the weight that the query at the fourth
        index gives to the key at the fifth. Rows sum to one; what is above the diagonal is zero.

    Raises:
        InputError: if it is another kind of model.

    Example:
        >>> from kerazoo.models.configs import TransformerConfig
        >>> model = Transformer(TransformerConfig(vocab_size=65))
        >>> inputs = {"source_ids": np.array([[3, 1, 4, 1]]), "token_ids": np.array([[5, 9, 2]])}
        >>> decoder_attention_weights(model, inputs).shape
        (2, 1, 4, 3, 3)
    """
    _expect(model, Transformer, "attention of a decoder to its own text", "Transformer has")
    token_ids, (seen, source_mask) = _read(model, inputs)
    x = model.embed(token_ids)  # (B, T, D)
    mask = mask_of_padding(source_mask)
    weights = []
    for block, keys_and_values in zip(model.decoder_blocks, seen, strict=True):
        weights.append(_as_array(block.attention_weights(x)))  # (B, H, T, T)
        x, _ = block(x, keys_and_values, memory_mask=mask)
    return np.stack(weights)


def gate_activations(model: RNN, token_ids: Tensor) -> dict[str, np.ndarray]:
    """Return what the gates and states of a recurrent model are at each position.

    Args:
        model: a recurrent model, of Keras's cells or of those from the equations.
        token_ids: (B, T) int32, read from a zero state on.

    Returns:
        By name in the equations of `models/rnn.py` arrays (N, B, T, D) float32. LSTM: gates `i`,
        `f`, `o` from 0 to 1, `candidate` from -1 to 1, states `c` and `h`. GRU: gates `z` and `r`,
        `candidate`, state `h`. Plain cell: state `h`.

    Raises:
        InputError: if it is another kind of model.

    Example:
        >>> from kerazoo.models.configs import RNNConfig
        >>> model = RNN(RNNConfig(vocab_size=65, num_layers=2, width=8))
        >>> gates = gate_activations(model, np.array([[3, 1, 4, 1, 5]]))
        >>> sorted(gates), gates["f"].shape
        (['c', 'candidate', 'f', 'h', 'i', 'o'], (2, 1, 5, 8))
    """
    _expect(model, RNN, "gates that can be shown", "RNN has, of LSTM, GRU or plain cells")
    x = model.token_embedding(ops.convert_to_tensor(token_ids, "int32"))  # (B, T, D)
    by_layer = []
    for layer, states in zip(
        model.recurrent_layers, model.initial_cache(x.shape[0], x.shape[1]), strict=True
    ):
        cell = EQUATION_CELLS[model.config.cell](model.config.width, dtype=layer.dtype_policy)
        cell.build(x.shape)
        cell.set_weights(layer.get_weights())
        steps = []
        for t in range(x.shape[1]):
            steps.append(cell.activations(x[:, t], states))
            states = [steps[-1][name] for name in cell.state_names]
        values = {name: ops.stack([step[name] for step in steps], axis=1) for name in steps[0]}
        by_layer.append(values)  # each (B, T, D)
        x = values["h"]
    return {name: np.stack([_as_array(v[name]) for v in by_layer]) for name in by_layer[0]}


def state_path(
    model: HMM,
    token_ids: Tensor,
    mask: Tensor | None = None,
    by: Literal["viterbi", "posterior"] = "viterbi",
) -> np.ndarray:
    """Return the hidden state that each token of a text is drawn from.

    Args:
        model: a hidden Markov model.
        token_ids: (B, T) int32.
        mask: boolean (B, T), False for padding on the right; None: all are tokens.
        by: the states of the likeliest path (`hmm.viterbi`), or at each token the likeliest state,
            which make no path if one cannot follow the other (`hmm.posteriors`).

    Returns:
        (B, T) int32, from 0 to `num_states` - 1; what stands in the padding means nothing.

    Raises:
        InputError: if it is another kind of model, or `by` is something else.

    Example:
        >>> from kerazoo.models.configs import HMMConfig
        >>> model = HMM(HMMConfig(vocab_size=65, num_states=16))
        >>> state_path(model, np.array([[3, 1, 4, 1, 5]])).shape
        (1, 5)
    """
    if by not in ("viterbi", "posterior"):
        raise InputError(f"by is {by!r}; give 'viterbi' or 'posterior'.")
    token_ids = ops.convert_to_tensor(token_ids, "int32")
    if by == "viterbi":
        path, _ = viterbi(model, token_ids, mask)
    else:
        path = ops.argmax(posteriors(model, token_ids, mask), axis=-1)
    return ops.convert_to_numpy(path).astype("int32")


def likely_tokens(model: HMM, tokenizer: Tokenizer, number: int = 10) -> list[list[str]]:
    """Return the texts of the tokens that each hidden state likes best: what it has learnt.

    Args:
        model: a hidden Markov model.
        tokenizer: the one that it was trained with.
        number: how many tokens of each state; all, if there are fewer.

    Returns:
        For each state its tokens, the likeliest first. `hmm.most_likely_tokens` gives their
        probabilities, too.

    Raises:
        InputError: if it is another kind of model.

    Example:
        >>> run = kerazoo.load("runs/hmm-shakespeare")  # doctest: +SKIP
        >>> for state, tokens in enumerate(likely_tokens(run.model, run.tokenizer)):
        ...     print(state, tokens)  # doctest: +SKIP
    """
    token_ids, _ = most_likely_tokens(model, min(number, model.config.vocab_size))
    return [list(map(tokenizer.text_of, row)) for row in ops.convert_to_numpy(token_ids).tolist()]


def _expect(model: object, kind: type, what: str, which_have: str) -> None:
    """Refuse a model of another kind, and say which have what was asked for."""
    if not isinstance(model, kind):
        has_a_head = isinstance(getattr(model, "backbone", None), kind)
        instead = "model.backbone" if has_a_head else "such a model"
        raise InputError(f"{type(model).__name__} has no {what}; {which_have}; give {instead}.")


def _read(model: EncoderDecoder, inputs: dict[str, Tensor]) -> tuple[Tensor, Memory]:
    """Return the text (B, T) of the inputs, and what the model makes of their source."""
    source_ids, token_ids = (
        ops.convert_to_tensor(inputs[name], "int32") for name in ("source_ids", "token_ids")
    )
    return token_ids, model.encode(source_ids, inputs.get("source_mask"))


def _as_array(tensor: Tensor) -> np.ndarray:
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))
