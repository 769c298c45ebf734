"""Sequence to sequence: turn one text into another, such as a word into its reverse.

    loss = -mean over the target's tokens of log P(y_t | y_1 ... y_{t-1}, source)

The target ends with [END], and so does what the model writes. An encoder-decoder reads the source
with its encoder. A language model, which has none, reads both as one text,

    source [START] target [END]

and learns to go on from the [START] (Liu et al. 2018; Radford et al. 2018, section 3.3).

Shapes: B batch, S source positions, T target positions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.encoded import EncodedRecords, Example, padded
from ..data.records import Record, Records
from ..errors import InputError
from ..metrics.report import Report
from ..metrics.score import mean_scores
from ..metrics.sequence import SequenceScore
from ..metrics.task_score import TaskScore
from ..models.configs import ENCODER_DECODERS
from ..models.decoding import generate, side_by_side
from ..models.language_model import LanguageModel
from ..models.sampling import Sampling
from .language_modeling import predictions_of_windows
from .supervised import SAMPLES, SCORING_BATCH, Batch, SupervisedTask, language_of, one_line
from .task import AS_USUAL, Writing


@dataclass(frozen=True)
class SequenceToSequence(SupervisedTask):
    """Sequence to sequence, as `train.py`, `evaluate.py` and `generate.py` use it."""

    counted = "target"
    shown = ("exact match",)
    read = "sources"
    example = "a source"
    asks = ("source",)

    # === Data ===

    @property
    def has_encoder(self) -> bool:
        """Whether the model reads the source apart from the target."""
        return isinstance(self.model, ENCODER_DECODERS)

    @property
    def max_tokens(self) -> int:
        """The most tokens of a source, and of a target with its end."""
        return self.model.context_length // (1 if self.has_encoder else 2)

    def whole_source(self, record: Record) -> np.ndarray:
        """Return all tokens of the source."""
        return self.tokenizer.encode(record["source"])

    def source(self, record: Record) -> np.ndarray:
        """Return what the encoder reads, as much as it can."""
        return self.whole_source(record)[: self.max_tokens]

    def target(self, record: Record) -> str:
        """Return what the decoder is to write."""
        return record["target"]

    def references(self, record: Record) -> list[str]:
        """Return all that would be right."""
        return record.get("references") or [self.target(record)]

    def examples(self, number: int, record: Record) -> Iterable[Example]:
        """Return the tokens of source and target, the latter with its end."""
        target = self.tokenizer.encode(self.target(record))[: self.max_tokens - 1]
        end = np.array([self.tokenizer.special_id("[END]")], np.int32)
        return [{"source": self.source(record), "target": np.concatenate([target, end])}]

    def depends_on(self) -> Any:
        """Return what else an example depends on."""
        return self.max_tokens

    def lengths(self, examples: EncodedRecords) -> np.ndarray:
        """Return the length of the longer text of each pair, or of both where they are one."""
        lengths = [examples.columns[name].lengths for name in ("source", "target")]
        return np.maximum(*lengths) if self.has_encoder else np.add(*lengths)

    def fill(self, examples: EncodedRecords, numbers: np.ndarray, length: int) -> Batch:
        """Return what the model reads, (B, T) each, targets (B, T) and which of their tokens count.

        What it reads is sources and the targets so far, or one text of both.
        """
        columns = [examples.columns[name] for name in ("source", "target")]
        padding, start = (self.tokenizer.special_id(name) for name in ("[PAD]", "[START]"))
        source_ids, target_ids = (padded(column, numbers, length, padding) for column in columns)
        source_lengths, target_lengths = (
            np.where(numbers >= 0, column.lengths[numbers], 0)[:, None] for column in columns
        )
        places = np.arange(length)
        if self.has_encoder:
            starts = np.full_like(target_ids[:, :1], start)
            inputs = {
                "source_ids": source_ids,
                "source_mask": places < source_lengths,
                "token_ids": np.concatenate([starts, target_ids[:, :-1]], axis=1),
            }
            return inputs, target_ids, (places < target_lengths).astype(np.float32)
        # At its place in the whole text, token t of the target is predicted at source length + t.
        place = places - source_lengths  # (B, T)
        is_target = (place >= 0) & (place < target_lengths)
        right = np.take_along_axis(target_ids, np.clip(place, 0, length - 1), axis=1)
        right = np.where(is_target, right, padding)
        before = np.concatenate([np.full_like(right[:, :1], start), right[:, :-1]], axis=1)
        text = np.where(place < 0, source_ids, np.where(place == 0, start, before))
        return text, right, is_target.astype(np.float32)

    # === Training ===

    def prefers_xla(self, model: LanguageModel) -> bool:
        """Whether the training is long enough to gain by XLA.

        Compiling all lengths takes a minute, and each step is then a third shorter.
        600 steps of a translator took 134 s with it, and 145 s without.
        """
        train = self.train
        minutes, steps, epochs = (n or 0 for n in (train.minutes, train.steps, train.epochs))
        return model.prefers_xla and (minutes >= 10 or steps >= 2000 or epochs >= 10)

    # === Scores ===

    def score_in_training(
        self, model: LanguageModel, examples: EncodedRecords, limit: int
    ) -> SequenceScore:
        """Score the right targets, without writing any."""
        batches = self._batches(examples.sample(limit), SCORING_BATCH).in_order()
        predictions = predictions_of_windows(model, (batch for _, batch in batches), xla=False)
        sums = [
            (*judged[:2].sum(axis=1, dtype=np.float64), judged.shape[1]) for judged in predictions
        ]
        return SequenceScore(*np.sum(sums, axis=0).tolist())

    def score(
        self,
        model: LanguageModel,
        examples: EncodedRecords,
        limit: int | None = None,
        stride: int | None = None,
    ) -> TaskScore:
        """Score the right targets, and write each to see how good it is."""
        if limit is not None:
            examples = examples.sample(limit)
        loss = self.score_in_training(model, examples, examples.num_tokens).loss
        records = list(examples.records)
        written = self.answer_all(model, records)
        report = self.report(records, written, language_of(examples.records))
        return TaskScore(loss, self.noting_cuts(report, records), self.shown)

    def is_cut(self, record: Record) -> bool:
        """Tell whether a source is longer than the model reads."""
        return len(self.whole_source(record)) > self.max_tokens

    def report(self, records: Sequence[Record], answers: Sequence[str], language: str) -> Report:
        """Tell how many were written without a mistake."""
        exact = [
            answer in self.references(record)
            for record, answer in zip(records, answers, strict=True)
        ]
        return Report(mean_scores({"exact match": exact}, "the same text", scale=100))

    def answer_all(self, model: LanguageModel, records: Sequence[Record]) -> list[str]:
        """Return what the model writes for each record, those of about one length at a time."""
        sources = [self.source(record) for record in records]
        order = np.argsort([-len(source) for source in sources], kind="stable")
        written = [""] * len(records)
        for first in range(0, len(order), SCORING_BATCH):
            some = order[first : first + SCORING_BATCH]
            # All batches have one size, as each is compiled for itself.
            batch = [sources[n] for n in np.resize(some, SCORING_BATCH)]
            texts = self._write_for(model, batch, self.max_tokens, self.default_sampling)
            for n, text in zip(some, texts, strict=False):
                written[n] = text
        return written

    def _write_for(
        self,
        model: LanguageModel,
        sources: Sequence[np.ndarray],
        max_new_tokens: int,
        sampling: Sampling,
    ) -> list[str]:
        """Return what the model writes for each source, up to its end."""
        start, end = self.tokenizer.special_id("[START]"), self.tokenizer.special_id("[END]")
        prompts, source = [np.array([start], np.int32)] * len(sources), None
        if self.has_encoder:
            source = side_by_side(sources)
        else:
            prompts = [np.append(ids, start).astype(np.int32) for ids in sources]
        rows = generate(
            model,
            prompts,
            min(self.max_tokens, max_new_tokens),
            sampling,
            source=source,
            end_id=end,
        )
        written = [row[len(prompt) :] for row, prompt in zip(rows, prompts, strict=True)]
        return [self.tokenizer.decode(ids[ids != end]) for ids in written]

    # === What a person asks of it ===

    @property
    def default_sampling(self) -> Sampling:
        """The likeliest token, always, or beam search if the settings say so."""
        beams = self.config.beams
        return Sampling("beam", num_beams=beams) if beams > 1 else Sampling("greedy")

    def record_of(self, prompt: str) -> Record:
        """Return the record, without what is right, of what a person asks."""
        return {"source": self.words_apart(prompt), "target": ""}

    def write(
        self, model: LanguageModel, prompts: Sequence[str], how: Writing = AS_USUAL
    ) -> list[str]:
        """Return the target for each source."""
        records = [self.record_of(prompt) for prompt in prompts]
        self.check(records)
        sampling = how.sampling or self.default_sampling
        sources = [self.source(record) for record in records]
        texts = self._write_for(model, sources, how.max_new_tokens, sampling)
        return [text.partition(how.stop)[0] for text in texts] if how.stop else texts

    def check(self, records: Sequence[Record]) -> None:
        """Refuse a source that the model cannot read.

        Raises:
            InputError: if it is empty, too long, or has parts that the tokenizer does not know.
        """
        for record in records:
            number = len(self.tokenizer.encode_known(record["source"]))
            if not 0 < number <= self.max_tokens:
                raise InputError(
                    f"the text '{one_line(record['source'], 40)}' has {number} tokens; the model "
                    f"reads from 1 to {self.max_tokens}."
                )

    def sample(self, model: LanguageModel, held_out: Records) -> str:
        """Return some held-out sources, what the model writes for them, and what was right."""
        records = held_out.head(SAMPLES)
        return "\n".join(
            f"{one_line(self.shown_source(record))}\n  -> {one_line(said, 300)}\n  "
            + ("right" if said in self.references(record) else f"right: {self.target(record)}")
            for record, said in zip(records, self.answer_all(model, records), strict=True)
        )

    def shown_source(self, record: Record) -> str:
        """Return what a person sees of a source."""
        return record["source"]
