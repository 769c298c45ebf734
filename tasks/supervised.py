"""What the tasks with right answers have in common: records -> examples -> batches -> outputs.

Each such task says what columns an example has, how a batch is made of them, which head stands on
the model, and what its outputs mean.

Shapes: B batch, T positions.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from ..data import encoded
from ..data.encoded import Batches, EncodedRecords, Example, padded
from ..data.records import Record, Records
from ..data.words import apart
from ..errors import InputError
from ..metrics.languages import base_language, check_spaces
from ..metrics.report import Report
from ..metrics.task_score import TaskScore
from ..models import families
from ..models.compiled import compiled
from ..models.configs import DECODERS
from ..models.families import Model
from .losses import CrossEntropy, cross_entropy
from .task import AS_USUAL, Task, Writing

SCORING_BATCH = 64
SAMPLES = 5
CHECKED = 1000
"""How many records are looked at before a training, or before they are scored."""
_ANSWERS = {"pairs": "target", "questions": "context", "dialogues": "response"}
"""Which field of a record shows how its answers are written."""
Batch = tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]
"""What the model takes, what is right, and how much each answer counts."""


@dataclass(frozen=True)
class SupervisedTask(Task):
    """A task whose records say what is right."""

    counted: ClassVar[str] = "token_ids"
    """The column whose numbers are the tokens to learn from."""
    shown: ClassVar[tuple[str, ...]]
    """The scores that the table of runs shows, the one that counts first."""
    read: ClassVar[str] = "texts"
    """What the model reads, in a word."""

    # === What each task defines ===

    def examples(self, number: int, record: Record) -> Iterable[Example]:
        """Return the examples of a record, each with the columns that `fill` reads.

        Args:
            number: the record's number in its split.
            record: its fields.
        """
        raise NotImplementedError

    def fill(self, examples: EncodedRecords, numbers: np.ndarray, length: int) -> Batch:
        """Return a batch of examples, filled up to `length` positions; -1 is an empty example."""
        raise NotImplementedError

    def report(self, records: Sequence[Record], answers: Sequence[Any], language: str) -> Report:
        """Hold the answers to what is right, by the rules of the language that they are in."""
        raise NotImplementedError

    # === What follows from it ===

    def encode(self, content: Records) -> EncodedRecords:
        """Return a split as examples, from the cache if they are there.

        Raises:
            InputError: if its answers cannot be scored as ones in their language.
        """
        language = language_of(content)
        base_language(language)  # or its name would be refused after the training
        if content.kind in _ANSWERS:
            some = content.head(CHECKED)
            texts = (record[_ANSWERS[content.kind]] for record in some)
            check_spaces(texts, language, "--data.language")
        key = (type(self).__name__, self.tokenizer.fingerprint(), self.labels, self.depends_on())
        return encoded.encode(content, repr(key), self.examples, self.counted)

    def depends_on(self) -> Any:
        """Return what else an example depends on."""
        return self.model.context_length

    def lengths(self, examples: EncodedRecords) -> np.ndarray:
        """Return how many positions each example takes."""
        return examples.columns[self.counted].lengths

    def _batches(self, examples: EncodedRecords, batch_size: int) -> Batches:
        return Batches(
            self.lengths(examples),
            self.model.context_length,
            batch_size,
            functools.partial(self.fill, examples),
        )

    def steps_per_epoch(self, examples: EncodedRecords) -> float:
        """Return how many steps make one pass over the examples."""
        return examples.num_examples / self.train.batch_size

    def batches(self, examples: EncodedRecords, first_step: int) -> tf.data.Dataset:
        """Return examples in random order, in batches of about the same length."""
        accumulate = self.train.accumulate
        batches = self._batches(examples, self.train.batch_size // accumulate)
        return batches.training(self.train.seed, first_step * accumulate)

    def prefers_xla(self, model: Model) -> bool:
        """No: XLA compiles once for each batch length.

        That takes longer than most trainings save.
        """
        return False

    def objectives(self, examples: EncodedRecords) -> dict[str, Any]:
        """Return the cross entropy as the loss, and the share of right answers."""
        return {
            "loss": CrossEntropy(self.train.label_smoothing),
            "weighted_metrics": [keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        }

    @property
    def max_tokens(self) -> int:
        """The most tokens of a text that are read, where it is not read in windows."""
        raise NotImplementedError

    def is_cut(self, record: Record) -> bool:
        """Tell whether a record is longer than the model reads; here none, thanks to windows."""
        return False

    def noting_cuts(self, report: Report, records: Sequence[Record]) -> Report:
        """Return a report with a note on how many records were cut, if any were."""
        cut = sum(map(self.is_cut, records))
        notes = (self.note_on_cuts(cut, len(records)),) if cut else ()
        return replace(report, notes=(*report.notes, *notes))

    def note_on_cuts(self, cut: int, number: int) -> str:
        """Return a sentence that says how many texts of a number were cut."""
        return (
            f"{cut:,} of {number:,} {self.read} {'was' if cut == 1 else 'were'} cut: the model "
            f"reads {self.max_tokens:,} tokens of each."
        )

    def words_apart(self, text: str) -> str:
        """Return what a person has typed, with punctuation apart if the tokenizer needs it."""
        if self.tokenizer.kind != "whitespace":
            return text

        def is_known(word: str) -> bool:
            # At the beginning of a text, and after a space, which is part of the token.
            forms = map(self.tokenizer.encode, (word, f" {word}"))
            return any(self.tokenizer.unknown_id not in token_ids for token_ids in forms)

        return apart(text, is_known)


@dataclass(frozen=True)
class HeadTask(SupervisedTask):
    """A task for which a head is put on a model; what the head says of an example is its output."""

    # === What each task defines ===

    def head(self, backbone: Model) -> keras.Model:
        """Return a new head on a model."""
        raise NotImplementedError

    def answers(self, examples: EncodedRecords, outputs: Sequence[np.ndarray]) -> Sequence[Any]:
        """Return what the model says of each record, from its outputs for each example."""
        raise NotImplementedError

    # === What follows from it ===

    @property
    def is_causal(self) -> bool:
        """Whether the model's state at a token knows nothing of the tokens after it."""
        return isinstance(self.model, DECODERS)

    def losses(self, right: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """Return the loss of each output; here -log P of what is right.

        A head whose outputs are not probabilities overrides it.
        """
        return keras.ops.convert_to_numpy(cross_entropy(right, outputs))

    def build(self) -> keras.Model:
        """Return a new model with a head."""
        return self.head(families.build(self.model, self.train.policy))

    def batches(self, examples: EncodedRecords, first_step: int) -> tf.data.Dataset:
        """Return examples in random order, some of their tokens hidden if the task says so."""
        batches = super().batches(examples, first_step)
        share = self.config.token_dropout
        if not share:
            return batches
        special = sorted(self.tokenizer.special_ids.values())
        mask_id, seed = self.tokenizer.special_id("[MASK]"), self.train.seed

        def hide(number: tf.Tensor, batch: tuple) -> tuple:
            inputs, *others = batch
            token_ids = inputs["token_ids"]
            chance = tf.random.stateless_uniform(
                tf.shape(token_ids), tf.stack([seed + tf.zeros_like(number), number])
            )
            hidden = (chance < share) & tf.reduce_all(token_ids[..., None] != special, axis=-1)
            return ({**inputs, "token_ids": tf.where(hidden, mask_id, token_ids)}, *others)

        return batches.enumerate(first_step * self.train.accumulate).map(hide)

    def score(
        self,
        model: Model,
        examples: EncodedRecords,
        limit: int | None = None,
        stride: int | None = None,
    ) -> TaskScore:
        """Score what the model says of the examples, or of some that have so many tokens."""
        if limit is not None:
            examples = examples.sample(limit)
        outputs, loss = self._outputs(model, examples)
        answers = self.answers(examples, outputs)
        records = examples.records.head(len(answers))
        report = self.report(records, answers, language_of(examples.records))
        if limit is None:  # not while it trains: to count them takes time
            report = self.noting_cuts(report, records)
        return TaskScore(loss, report, self.shown)

    def _outputs(self, model: Model, examples: EncodedRecords) -> tuple[list[np.ndarray], float]:
        """Return what the model says of each example, and its mean loss."""
        forward = _compiled_forward(model)
        outputs: list[np.ndarray] = [np.zeros(0)] * examples.num_examples
        loss = weight = 0.0
        for numbers, batch in self._batches(examples, SCORING_BATCH).in_order():
            inputs, right, weights = batch
            of_batch = keras.ops.convert_to_numpy(forward(inputs))
            loss += float(np.sum(weights * self.losses(right, of_batch)))
            weight += float(weights.sum())
            for n, output in zip(numbers, of_batch, strict=True):
                if n >= 0:
                    outputs[n] = output
        return outputs, loss / max(weight, 1e-9)

    def say(self, model: Model, records: Sequence[Record]) -> Sequence[Any]:
        """Return what the model says of records that are in no split."""
        if not records:
            return []
        made = [example for n, record in enumerate(records) for example in self.examples(n, record)]
        examples = encoded.in_memory(made)
        outputs, _ = self._outputs(model, examples)
        return self.answers(examples, outputs)

    def generate_json(
        self, model: Model, prompts: Sequence[str], how: Writing = AS_USUAL
    ) -> list[dict[str, Any]]:
        """Return what `predict` says of each prompt as what `json.dumps` accepts."""
        return [asdict(prediction) for prediction in self.predict(model, prompts)]

    # === Pieces of examples and batches ===

    def framed(self, *texts: np.ndarray) -> np.ndarray:
        """Return [CLS] text [SEP], or [CLS] text [SEP] text [SEP], as much as the model can read.

        The last text is cut where there is too much.
        """
        first, last = (self.tokenizer.special_id(name) for name in ("[CLS]", "[SEP]"))
        ids = [np.array([first], np.int32)]
        for text in texts:
            ids += [text, np.array([last], np.int32)]
        ids = np.concatenate(ids).astype(np.int32)
        if len(ids) > self.model.context_length:
            ids = ids[: self.model.context_length]
            ids[-1] = last
        return ids

    def inputs(
        self, examples: EncodedRecords, numbers: np.ndarray, length: int
    ) -> dict[str, np.ndarray]:
        """Return the token ids (B, T) of some examples, and which of them are no padding."""
        column = examples.columns["token_ids"]
        token_ids = padded(column, numbers, length, self.tokenizer.special_id("[PAD]"))
        lengths = np.where(numbers >= 0, column.lengths[numbers], 0)
        return {"token_ids": token_ids, "padding_mask": np.arange(length) < lengths[:, None]}


@dataclass(frozen=True)
class TextTask(HeadTask):
    """A task whose head says something of a whole text, of which the model reads the beginning."""

    asks = ("text",)

    @property
    def max_tokens(self) -> int:
        """The most tokens of a text."""
        return self.model.context_length - 2  # [CLS] and [SEP]

    def is_cut(self, record: Record) -> bool:
        """Tell whether a text is longer than the model reads."""
        return len(self.tokenizer.encode(record["text"])) > self.max_tokens

    def num_cut(self, prompts: Sequence[str]) -> int:
        """Return how many texts are longer than the model reads."""
        return sum(self.is_cut({"text": self.words_apart(text)}) for text in prompts)

    def asked(self, prompts: Sequence[str]) -> list[str]:
        """Return texts that a person asks about, with punctuation apart if the tokenizer needs it.

        Raises:
            InputError: if one is empty.
        """
        return list(map(self.words_apart, checked(prompts)))


def language_of(records: Records) -> str:
    """Return the language of the answers; English where it is not known."""
    return (records.languages or ("en",))[-1]


def one_line(text: str, most: int = 100) -> str:
    """Return a text on one line, shortened."""
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 3] + "..."


def checked(prompts: Sequence[str]) -> Iterator[str]:
    """Yield the prompts.

    Raises:
        InputError: if one is empty.
    """
    for prompt in prompts:
        if not prompt.strip():
            raise InputError("an empty text was given, of which nothing can be said; give one.")
        yield prompt


@functools.lru_cache(maxsize=8)
def _compiled_forward(model: Model) -> Callable:
    """Return the compiled function from a batch to outputs, made by an earlier call if any."""
    return compiled(lambda inputs: model(inputs), model, xla=False)
