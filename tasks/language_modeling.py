"""Language modelling: predict each token of a text from the tokens before it.

    loss = -1/T sum_t log P(x_t | x_1 ... x_{t-1})        in nats for each token

Shapes: B batch, T positions, V vocabulary.
"""

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ..data import batches
from ..data.batches import TokenFile, scoring_windows
from ..data.text import Text
from ..errors import InputError
from ..metrics.language import LanguageScore
from ..models.compiled import compiled
from ..models.configs import NGramConfig
from ..models.decoding import generate
from ..models.families import Model
from ..models.language_model import Cache, LanguageModel, Tensor
from ..models.rnn import CarriedState
from ..models.sampling import Sampling
from .losses import CrossEntropy, cross_entropy, sums
from .task import AS_USUAL, Task, Writing

SAMPLE_TOKENS = 500
SCORING_BATCH = 32
BLOCK_TOKENS = 1024
"""Tokens, about, in a block that the bootstrap draws as one: neighbours depend on each other."""
STREAM_STRETCH = 256
"""Tokens that a model with a state reads at a time when it scores a text as one stream."""


@keras.saving.register_keras_serializable(package="kerazoo")
class BitsPerByte(keras.metrics.MeanMetricWrapper):
    """Mean cross entropy over the tokens that count, in bits for each byte of the text.

    Args:
        tokens_per_byte: tokens of the text for each of its UTF-8 bytes.
    """

    def __init__(self, tokens_per_byte: float, name: str = "bits_per_byte"):
        bits = tokens_per_byte / math.log(2)
        super().__init__(fn=lambda y_true, y_pred: bits * cross_entropy(y_true, y_pred), name=name)
        self.tokens_per_byte = tokens_per_byte

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {"tokens_per_byte": self.tokens_per_byte, "name": self.name}


def score(
    model: LanguageModel,
    tokens: TokenFile,
    length: int | None = None,
    stride: int | None = None,
    batch_size: int = SCORING_BATCH,
) -> LanguageScore:
    """Score a model on a text: every token once, from the tokens before it.

    The window slides by `stride`, so that each token (but those of the first window) is predicted
    from at least `length - stride` tokens. A model whose memory has no end (`max_length` is None)
    needs no window: unless a stride is given, it reads the text as one stream, and each token is
    predicted from all before it. The first token of all, predicted from nothing, has the
    probability that `model.first_logits()` gives it, for most models 1 / V.

    Args:
        model: the model.
        tokens: the text, in the model's tokens.
        length: positions in a window; the model's context length if not given.
        stride: tokens from one window to the next; half the window, or one stream, if not given.
            `length` scores windows side by side, as training does.
        batch_size: windows scored at a time.

    Raises:
        InputError: if the stride is not from 1 to `length`.
    """
    if stride is None and model.max_length is None:
        sums = _sums_of_stream(model, tokens)
    else:
        length = length or model.config.context_length
        stride = max(1, length // 2) if stride is None else stride
        if not 1 <= stride <= length:
            raise InputError(
                f"the stride is {stride}; windows of {length} tokens need one from 1 to {length}."
            )
        sums = sums_of_windows(model, scoring_windows(tokens, length, stride, batch_size))
    return to_score(model, tokens, sums)


def to_score(
    model: LanguageModel, tokens: TokenFile, sums: Iterable[tuple[Tensor, ...]]
) -> LanguageScore:
    """Add up what batches gave for all tokens but the first: nats, right answers, tokens."""
    sums = np.array([[float(value) for value in batch] for batch in sums])  # (batches, 3)
    nats, correct, _ = sums.sum(axis=0)
    (first,) = tokens.read([0], 1)[0]
    nats -= float(ops.log_softmax(model.first_logits())[int(first)])
    return LanguageScore(
        nats=nats,
        correct=round(correct),
        num_tokens=tokens.num_tokens,
        num_bytes=tokens.num_bytes,
        num_unknown=tokens.num_unknown,
        unknown_bytes=tokens.unknown_bytes,
        lossy=tokens.lossy,
        blocks=_blocks(sums),
    )


def _blocks(sums: np.ndarray) -> tuple[float, ...]:
    """Return the loss of each stretch of about `BLOCK_TOKENS` tokens: (batches, 3) to floats."""
    block = np.cumsum(sums[:, 2]) // BLOCK_TOKENS
    _, starts = np.unique(block, return_index=True)
    nats, _, counted = np.add.reduceat(sums, starts, axis=0).T
    whole = counted > BLOCK_TOKENS / 2  # the last may be short
    return tuple((nats[whole] / counted[whole]).tolist())


def sums_of_windows(
    model: LanguageModel, windows: Iterable, xla: bool | None = None
) -> Iterator[tuple[Tensor, ...]]:
    """Yield nats, right answers and tokens of each batch of windows, each for itself.

    Args:
        model: the model.
        windows: batches of what the model takes, next token ids (B, T) and weights (B, T).
        xla: whether XLA compiles it; None: if the model prefers it.
    """
    sums, _ = _compiled_sums(model, model.prefers_xla if xla is None else xla)
    for batch in windows:
        yield sums(*batch)


def _sums_of_stream(model: LanguageModel, tokens: TokenFile) -> Iterator[tuple[Tensor, ...]]:
    """Yield nats, right answers and tokens of each stretch of the text, one after the other."""
    _, sums = _compiled_sums(model, model.prefers_xla)
    cache = model.initial_cache(1, tokens.num_tokens)
    stretches = scoring_windows(tokens, STREAM_STRETCH, STREAM_STRETCH, batch_size=1)
    for n, stretch in enumerate(stretches):
        *of_stretch, cache = sums(*stretch, cache, np.int32(n * STREAM_STRETCH))
        yield tuple(of_stretch)


@functools.lru_cache(maxsize=8)
def _compiled_sums(model: LanguageModel, xla: bool) -> tuple[Callable, Callable]:
    """Return the compiled functions from a batch to its sums, made by an earlier call if any."""

    def of_windows(inputs: Tensor, next_token_ids: Tensor, weights: Tensor) -> tuple:
        return sums(next_token_ids, model(inputs), weights)

    def of_stretch(
        token_ids: Tensor, next_token_ids: Tensor, weights: Tensor, cache: Cache, index: Tensor
    ) -> tuple:
        logits, cache = model.extend(token_ids, cache, index)  # (1, T, V)
        return *sums(next_token_ids, logits, weights), cache

    return tuple(compiled(function, model, xla) for function in (of_windows, of_stretch))


# === The task ===


@dataclass(frozen=True)
class LanguageModeling(Task):
    """Language modelling, as `train.py`, `evaluate.py` and `generate.py` use it."""

    def encode(self, text: Text) -> TokenFile:
        """Return the text as tokens."""
        return batches.tokenize(text, self.tokenizer)

    def steps_per_epoch(self, examples: TokenFile) -> float:
        """Return how many steps make one pass over the text."""
        size, length = self.train.batch_size, self.model.context_length
        if self.train.carry_state:
            return batches.batches_per_pass(examples, length, size)
        return examples.num_tokens / (size * length)

    def batches(self, examples: TokenFile, first_step: int) -> tf.data.Dataset:
        """Return random windows, or windows that follow one another where the state is carried."""
        size, length = self.train.batch_size, self.model.context_length
        if self.train.carry_state:
            return batches.contiguous_windows(examples, length, size, first_step)
        accumulate = self.train.accumulate
        return batches.training_windows(
            examples, length, size // accumulate, self.train.seed, first_step * accumulate
        )

    def learner(self, model: LanguageModel) -> keras.Model:
        """Return the model, or what carries its state from window to window."""
        if not self.train.carry_state:
            return model
        return CarriedState(model, self.train.batch_size, dtype=self.train.policy)

    def objectives(self, examples: TokenFile) -> dict[str, Any]:
        """Return the loss, and bits per byte."""
        return {
            "loss": CrossEntropy(self.train.label_smoothing),
            "weighted_metrics": [BitsPerByte(examples.num_tokens / examples.num_bytes)],
        }

    def score_in_training(self, model: Model, examples: TokenFile, limit: int) -> LanguageScore:
        """Score on windows side by side, or on one stream where the model has all before it."""
        has_all_before = self.train.carry_state or isinstance(self.model, NGramConfig)
        stride = None if has_all_before else self.model.context_length
        return self.score(model, examples, limit, stride)

    def score(
        self,
        model: Model,
        examples: TokenFile,
        limit: int | None = None,
        stride: int | None = None,
    ) -> LanguageScore:
        """Score every token once, from the tokens before it: see `score`."""
        return score(model, batches.head(examples, limit or examples.num_tokens), stride=stride)

    @property
    def start(self) -> str:
        """A line end, which is as near to nothing as most texts have, if the tokenizer has it."""
        return self.tokenizer.start

    @property
    def default_sampling(self) -> Sampling:
        """At random."""
        return Sampling()

    def write(self, model: Model, prompts: Sequence[str], how: Writing = AS_USUAL) -> list[str]:
        """Return each prompt with its continuation; several, of any lengths, at once."""
        token_ids = [self.tokenizer.encode_known(prompt) for prompt in prompts]
        texts: list[str] = list(prompts)

        def look(rows: list[np.ndarray]) -> bool:
            done = []
            for n, (row, ids) in enumerate(zip(rows, token_ids, strict=True)):
                # Some kinds put spaces between tokens, so the prompt is decoded along.
                text = self.tokenizer.decode(row)[len(self.tokenizer.decode(ids)) :]
                new, found, _ = text.partition(how.stop) if how.stop else (text, "", "")
                texts[n] = prompts[n] + new
                done.append(bool(found))
            how.watch(texts)
            return all(done)

        sampling = how.sampling or self.default_sampling
        self.extend(model, token_ids, how.max_new_tokens, sampling, look)
        return texts

    def extend(
        self,
        model: Model,
        token_ids: Sequence[np.ndarray],
        max_new_tokens: int,
        sampling: Sampling,
        look: Callable[[list[np.ndarray]], bool],
    ) -> None:
        """Add tokens to each row; `look` sees the rows as they grow and says when to stop."""
        generate(model, token_ids, max_new_tokens, sampling, look)

    def sample(self, model: Model, held_out: Text) -> str:
        """Return what the model writes when nothing is given."""
        return self.write(model, [self.start], Writing(SAMPLE_TOKENS, Sampling(seed=0)))[0]
