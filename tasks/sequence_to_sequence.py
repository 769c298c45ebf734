"""Sequence to sequence: turn one text into another, such as a word into its reverse.

    loss = -mean over the target's tokens of log P(y_t | y_1 ... y_{t-1}, source)

The target ends with [END], and so does what the model writes.

Shapes: B batch, S source positions, T target positions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..data import pairs
from ..data.pairs import PairBatches, PairFile
from ..data.text import Text
from ..errors import InputError
from ..metrics.sequence import SequenceScore
from ..models.configs import Sampling
from ..models.decoding import generate
from ..models.encoder_decoder import EncoderDecoder
from .language_modeling import NextTokenLoss, sums_of_windows
from .task import Task, Watch

SCORING_BATCH = 64
SAMPLES = 5
GREEDY = Sampling("greedy")


@dataclass(frozen=True)
class SequenceToSequence(Task):
    """Sequence to sequence, as `train.py`, `evaluate.py` and `generate.py` use it."""

    # === Data ===

    def encode(self, text: Text) -> PairFile:
        """Return the pairs of a text as tokens."""
        return pairs.encode_pairs(text, self.tokenizer)

    def steps_per_epoch(self, examples: PairFile) -> float:
        """Return how many steps make one pass over the pairs."""
        return examples.num_pairs / self.train.batch_size

    def batches(self, examples: PairFile, first_step: int) -> tf.data.Dataset:
        """Return pairs in random order."""
        accumulate = self.train.accumulate
        of_pairs = self._batches(examples, self.train.batch_size // accumulate)
        return of_pairs.training(self.train.seed, first_step * accumulate)

    def _batches(self, examples: PairFile, batch_size: int) -> PairBatches:
        return PairBatches(examples, self.tokenizer, self.model.context_length, batch_size)

    # === Training ===

    def objectives(self, examples: PairFile) -> dict[str, Any]:
        """Return the loss, and how many tokens are right."""
        accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
        return {
            "loss": NextTokenLoss(self.train.label_smoothing),
            "weighted_metrics": [accuracy],
        }

    # === Scores ===

    def score_in_training(
        self, model: EncoderDecoder, examples: PairFile, limit: int
    ) -> SequenceScore:
        """Score the right targets, without writing any."""
        batches = self._batches(examples, SCORING_BATCH).in_order(self._num_pairs(limit))
        sums = np.sum(
            [list(map(float, batch)) for batch in sums_of_windows(model, batches)], axis=0
        )
        return SequenceScore(*sums.tolist())

    def score(
        self,
        model: EncoderDecoder,
        examples: PairFile,
        limit: int | None = None,
        stride: int | None = None,
    ) -> SequenceScore:
        """Score the right targets, and write each to see whether it comes out right."""
        number = examples.num_pairs
        if limit is not None:
            number = min(number, self._num_pairs(limit))
        score = self.score_in_training(model, examples, number * self.model.context_length)
        written, exact = 0, 0
        for _, target, found in self._written(model, examples, number):
            written, exact = written + 1, exact + np.array_equal(found, target)
        return SequenceScore(score.nats, score.correct, score.num_tokens, exact, written)

    def _num_pairs(self, num_tokens: int) -> int:
        return max(1, num_tokens // self.model.context_length)

    def _written(self, model: EncoderDecoder, examples: PairFile, number: int) -> Iterator[tuple]:
        """Yield source, target and what the model writes, as ids without their ends."""
        for first in range(0, number, SCORING_BATCH):
            some = examples.read(np.arange(first, min(number, first + SCORING_BATCH)))
            found = self._translate(model, [source for source, _ in some])
            for (source, target), ids in zip(some, found, strict=True):
                yield source, target[: self.model.context_length - 1], ids

    def _translate(
        self,
        model: EncoderDecoder,
        sources: Sequence[np.ndarray],
        max_new_tokens: int | None = None,
        sampling: Sampling = GREEDY,
    ) -> list[np.ndarray]:
        """Return what the model writes for each source, up to its end."""
        length = self.model.context_length
        source_ids = np.full((len(sources), length), self.tokenizer.special_id("[PAD]"), np.int32)
        source_mask = np.zeros_like(source_ids, dtype=bool)
        for n, source in enumerate(sources):
            source = source[:length]
            source_ids[n, : len(source)] = source
            source_mask[n, : len(source)] = True
        start, end = self.tokenizer.special_id("[START]"), self.tokenizer.special_id("[END]")
        rows = generate(
            model,
            [np.array([start], np.int32)] * len(sources),
            min(length, max_new_tokens or length),
            sampling,
            stop=lambda rows: all(end in row for row in rows),
            source=(source_ids, source_mask),
            end_id=end,
        )
        return [row[1:][np.cumsum(row[1:] == end) == 0] for row in rows]

    # === What a person asks of it ===

    example = "a source"
    needs = "give a source"
    default_sampler = "greedy"

    def write(
        self,
        model: EncoderDecoder,
        prompts: Sequence[str],
        max_new_tokens: int = 300,
        sampling: Sampling = GREEDY,
        stop: str | None = None,
        watch: Watch = lambda texts: None,
    ) -> list[str]:
        """Return the target for each source."""
        sources = [self.tokenizer.encode_known(prompt) for prompt in prompts]
        for prompt, source in zip(prompts, sources, strict=True):
            if not 0 < len(source) <= self.model.context_length:
                raise InputError(
                    f"the text {prompt[:40]!r} has {len(source)} tokens; the model reads from 1 to "
                    f"{self.model.context_length}."
                )
        found = self._translate(model, sources, max_new_tokens, sampling)
        texts = [self.tokenizer.decode(ids) for ids in found]
        return [text.partition(stop)[0] for text in texts] if stop else texts

    def sample(self, model: EncoderDecoder, held_out: Text) -> str:
        """Return some held-out sources, what the model writes for them, and what was right."""
        examples = self.encode(held_out)
        lines = []
        for ids in self._written(model, examples, min(SAMPLES, examples.num_pairs)):
            source, target, found = map(self.tokenizer.decode, ids)
            right = "right" if found == target else f"not {target}"
            lines.append(f"{source} -> {found} ({right})")
        return "\n".join(lines)
