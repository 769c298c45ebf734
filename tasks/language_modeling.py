"""Language modelling: predict each token of a text from the tokens before it.

    loss = -1/T sum_t log P(x_t | x_1 ... x_{t-1})        in nats for each token

Shapes: B batch, T positions, V vocabulary.
"""

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ..data import batches
from ..data.batches import TokenFile, scoring_windows
from ..data.text import Text
from ..errors import InputError
from ..metrics.language import BITS_PER_UNKNOWN_BYTE, LanguageScore, Tally
from ..models.compiled import compiled
from ..models.configs import NGramConfig
from ..models.decoding import generate
from ..models.families import Model
from ..models.language_model import Cache, LanguageModel, Tensor
from ..models.rnn import CarriedState
from ..models.sampling import Sampling
from .losses import CrossEntropy, cross_entropy, judged
from .task import AS_USUAL, Task, Writing

SAMPLE_TOKENS = 500
SCORING_BATCH = 32
STREAM_STRETCH = 256
"""Tokens that a model with a state reads at a time when it scores a text as one stream."""


@keras.saving.register_keras_serializable(package="kerazoo")
class BitsPerByte(keras.metrics.MeanMetricWrapper):
    """Mean cross entropy over the tokens that count, in bits for each byte of the text.

    Args:
        tokens_per_byte: tokens of the text for each of its UTF-8 bytes.
        spelling: bits for each byte of the text that unknown tokens take to be spelled out.
    """

    def __init__(self, tokens_per_byte: float, spelling: float = 0.0, name: str = "bits_per_byte"):
        bits = tokens_per_byte / math.log(2)
        super().__init__(
            fn=lambda y_true, y_pred: bits * cross_entropy(y_true, y_pred) + spelling, name=name
        )
        self.tokens_per_byte, self.spelling = tokens_per_byte, spelling

    def get_config(self) -> dict:
        """Return the constructor's arguments."""
        return {
            "tokens_per_byte": self.tokens_per_byte,
            "spelling": self.spelling,
            "name": self.name,
        }


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
        predictions = _predictions_of_stream(model, tokens)
    else:
        length = length or model.config.context_length
        stride = max(1, length // 2) if stride is None else stride
        if not 1 <= stride <= length:
            raise InputError(
                f"the stride is {stride}; windows of {length} tokens need one from 1 to {length}."
            )
        windows = scoring_windows(tokens, length, stride, batch_size)
        predictions = predictions_of_windows(model, windows)
    return to_score(model, tokens, predictions)


def to_score(
    model: LanguageModel, tokens: TokenFile, predictions: Iterable[np.ndarray]
) -> LanguageScore:
    """Add up what is known of the predictions of all tokens but the first.

    Args:
        model: the model, which knows what may come first.
        tokens: the text.
        predictions: of the tokens in their order, any number (3, n) at a time: see `judged`.
    """
    (first,) = tokens.read([0], 1)
    tally, position = Tally(tokens.num_bytes), 1
    first_logits = ops.convert_to_tensor(model.first_logits())[None]  # (1, V)
    _count(tally, tokens, first, ops.convert_to_numpy(judged(first.astype("int32"), first_logits)))
    for judgements in predictions:
        (token_ids,) = tokens.read([position], judgements.shape[1])
        _count(tally, tokens, token_ids, judgements)
        position += len(token_ids)
    return LanguageScore(tally.stretches, tokens.num_unknown, tokens.lossy)


def _count(tally: Tally, tokens: TokenFile, token_ids: np.ndarray, judgements: np.ndarray) -> None:
    tally.add(*judgements, tokens.bytes_of(token_ids), token_ids == tokens.unknown_id)


def predictions_of_windows(
    model: LanguageModel, windows: Iterable, xla: bool | None = None
) -> Iterator[np.ndarray]:
    """Yield what is known of the predictions of each batch of windows, each for itself.

    Args:
        model: the model.
        windows: batches of what the model takes, next token ids (B, T) and weights (B, T): 1 where
            a token counts, else 0.
        xla: whether XLA compiles it; None: if the model prefers it.

    Yields:
        (3, n) float32 for the n tokens that count, in their order: see `judged`.
    """
    judge, _ = _compiled(model, model.prefers_xla if xla is None else xla)
    for inputs, next_token_ids, weights in windows:
        judgements = ops.convert_to_numpy(judge(inputs, next_token_ids))  # (3, B, T)
        yield judgements[:, np.asarray(weights) > 0]


def _predictions_of_stream(model: LanguageModel, tokens: TokenFile) -> Iterator[np.ndarray]:
    """Yield what is known of the predictions of each stretch of the text, one after the other."""
    _, judge = _compiled(model, model.prefers_xla)
    cache = model.initial_cache(1, tokens.num_tokens)
    stretches = scoring_windows(tokens, STREAM_STRETCH, STREAM_STRETCH, batch_size=1)
    for n, (token_ids, next_token_ids, weights) in enumerate(stretches):
        index = np.int32(n * STREAM_STRETCH)
        judgements, cache = judge(token_ids, next_token_ids, cache, index)  # (3, 1, T)
        yield ops.convert_to_numpy(judgements)[:, np.asarray(weights) > 0]


@functools.lru_cache(maxsize=8)
def _compiled(model: LanguageModel, xla: bool) -> tuple[Callable, Callable]:
    """Return the compiled functions that judge a batch, made by an earlier call if any."""

    def of_windows(inputs: Tensor, next_token_ids: Tensor) -> Tensor:
        return judged(next_token_ids, model(inputs))

    def of_stretch(
        token_ids: Tensor, next_token_ids: Tensor, cache: Cache, index: Tensor
    ) -> tuple[Tensor, Cache]:
        logits, cache = model.extend(token_ids, cache, index)  # (1, T, V)
        return judged(next_token_ids, logits), cache

    return tuple(compiled(function, model, xla) for function in (of_windows, of_stretch))


# === The task ===


@dataclass(frozen=True)
class Written:
    """A prompt and how a model goes on from it.

    Args:
        text: both.
        continuation: what is new.
        stopped: whether it ends where the stop text came, which is no part of it; if not, it has
            as many tokens as were asked for.
    """

    text: str
    continuation: str
    stopped: bool


@dataclass(frozen=True)
class LanguageModeling(Task):
    """Language modelling, as `train.py`, `evaluate.py` and `generate.py` use it."""

    def encode(self, text: Text) -> TokenFile:
        """Return the text as tokens."""
        tokens = batches.tokenize(text, self.tokenizer)
        batches.check_two(tokens)
        return tokens

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
        """Return the loss and, unless the tokenizer is lossy, bits per byte."""
        spelling = BITS_PER_UNKNOWN_BYTE * (examples.unknown_bytes + examples.num_unknown)
        bits = BitsPerByte(examples.num_tokens / examples.num_bytes, spelling / examples.num_bytes)
        return {
            "loss": CrossEntropy(self.train.label_smoothing),
            "weighted_metrics": [] if examples.lossy else [bits],
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
        examples = batches.head(examples, limit or examples.num_tokens)
        return score(model, examples, stride=stride, batch_size=self.scoring_batch)

    @property
    def scoring_batch(self) -> int:
        """How many windows are scored at a time: no more than training has room for."""
        return min(SCORING_BATCH, self.train.batch_size // self.train.accumulate)

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
        return [written.text for written in self._write_on(model, prompts, how)]

    def generate_json(
        self, model: Model, prompts: Sequence[str], how: Writing = AS_USUAL
    ) -> list[dict[str, Any]]:
        """Return the fields of `Written` for each prompt as what `json.dumps` accepts."""
        return [asdict(written) for written in self._write_on(model, prompts, how)]

    def _write_on(self, model: Model, prompts: Sequence[str], how: Writing) -> list[Written]:
        token_ids = [self.tokenizer.encode_known(prompt) for prompt in prompts]
        written = [Written(prompt, "", stopped=False) for prompt in prompts]
        shown = list(prompts)

        def look(rows: list[np.ndarray]) -> bool:
            for n, (row, ids) in enumerate(zip(rows, token_ids, strict=True)):
                # Some kinds put spaces between tokens, so the prompt is decoded along.
                text = self.tokenizer.decode(row)[len(self.tokenizer.decode(ids)) :]
                new, found, _ = text.partition(how.stop) if how.stop else (text, "", "")
                written[n] = Written(prompts[n] + new, new, bool(found))
                shown[n] = prompts[n] + (new if found else _decided(new, how.stop))
            how.watch(list(shown))
            return all(each.stopped for each in written)

        sampling = how.sampling or self.default_sampling
        self.extend(model, token_ids, how.max_new_tokens, sampling, look)
        texts = [each.text for each in written]
        if texts != shown:
            how.watch(texts)
        return written

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


def _decided(text: str, stop: str | None) -> str:
    """Return a text that is still growing without an end that may become the stop text.

    >>> _decided("so be it", "it is")
    'so be '
    """
    known = text.rstrip("\ufffd")  # the first bytes of a character still to come
    for length in range(len(stop or "") - 1, 0, -1):
        if known.endswith(stop[:length]):
            return known[:-length]
    return text
