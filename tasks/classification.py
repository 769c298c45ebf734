"""Classification: which of several classes a text belongs to.

    P(class | text) = softmax(W pool(h_1 ... h_T) + b)
    loss = -log P(right class | text)

Shapes: B batch, T positions, K classes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from scipy.special import softmax

from ..data.encoded import EncodedRecords, Example
from ..data.records import Record, Records
from ..errors import InputError
from ..metrics import classification
from ..metrics.report import Report
from ..models.families import Model
from ..models.heads import TextHead
from .losses import CrossEntropy
from .supervised import SAMPLES, Batch, TextTask, one_line


@dataclass(frozen=True)
class Classified:
    """What a model says of a text.

    Args:
        label: the likeliest class.
        probabilities: of all classes, the likeliest first.
    """

    label: str
    probabilities: Mapping[str, float]

    def __str__(self) -> str:
        shares = list(self.probabilities.items())[:3]
        return ", ".join(f"{label} {share:.0%}" for label, share in shares)


@dataclass(frozen=True)
class Classification(TextTask):
    """Classification, as `train.py`, `evaluate.py` and `generate.py` use it."""

    shown = ("accuracy", "F1 macro")
    names_outputs = True
    example = "a text to be classified"

    @classmethod
    def labels_of(cls, content: Records) -> tuple[str, ...]:
        """Return the classes.

        Raises:
            InputError: if there are fewer than two, or too many to be classes.
        """
        labels = sorted({record["label"] for record in content})
        if not 2 <= len(labels) <= classification.MOST_LABELS:
            raise InputError(
                f"the number of labels in the training examples, such as {labels[0]!r}, is "
                f"{len(labels)}; classification needs from 2 to {classification.MOST_LABELS}."
            )
        return tuple(labels)

    def head(self, backbone: Model) -> keras.Model:
        """Return a head with an output for each class."""
        return TextHead(
            self.config.pooling,
            backbone=backbone,
            num_outputs=len(self.labels),
            dropout=self.config.dropout,
            dtype=self.train.policy,
        )

    def examples(self, number: int, record: Record) -> Iterable[Example]:
        """Return the tokens and the class."""
        if record["label"] not in self.labels:
            raise InputError(
                f"the example '{one_line(record['text'], 40)}' has the label '{record['label']}', "
                f"which no training example has; they have {', '.join(self.labels[:12])}. Give "
                "each label some training examples, or leave it out."
            )
        label = self.labels.index(record["label"])
        token_ids = self.framed(self.tokenizer.encode(record["text"]))
        return [{"token_ids": token_ids, "label": np.array([label], np.int32)}]

    def fill(self, examples: EncodedRecords, numbers: np.ndarray, length: int) -> Batch:
        """Return tokens (B, T), classes (B,) and which of them count (B,)."""
        labels = examples.columns["label"].values[numbers]
        weights = (numbers >= 0).astype(np.float32)
        return self.inputs(examples, numbers, length), labels, weights

    def batches(self, examples: EncodedRecords, first_step: int) -> tf.data.Dataset:
        """Return examples in random order, weighted by class if the task says so."""
        batches = super().batches(examples, first_step)
        if self.config.class_weights == "none":
            return batches
        by_class = self.class_weights(examples)
        return batches.map(
            lambda inputs, labels, weights: (inputs, labels, weights * tf.gather(by_class, labels))
        )

    def class_weights(self, examples: EncodedRecords) -> np.ndarray:
        """Return what an example of each class weighs if all classes weigh the same: (K,)."""
        counts = np.bincount(examples.columns["label"].values, minlength=len(self.labels))
        balanced = examples.num_examples / (len(self.labels) * np.maximum(counts, 1))
        return balanced.astype(np.float32)

    def objectives(self, examples: EncodedRecords) -> dict[str, Any]:
        """Return the loss, and the share of right answers."""
        # Class weights are for the loss, and in a batch of one class, too: accuracy counts each
        # example once.
        return {
            "loss": CrossEntropy(self.train.label_smoothing, reduction="sum_over_batch_size"),
            "metrics": [keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        }

    def answers(
        self, examples: EncodedRecords, outputs: Sequence[np.ndarray]
    ) -> Sequence[Classified]:
        """Return the classes by how likely they are."""
        answers = []
        for probabilities in softmax(np.stack(outputs), axis=-1):
            order = np.argsort(-probabilities, kind="stable")
            by_label = {self.labels[k]: float(probabilities[k]) for k in order}
            answers.append(Classified(self.labels[order[0]], by_label))
        return answers

    def report(
        self, records: Sequence[Record], answers: Sequence[Classified], language: str
    ) -> Report:
        """Score the likeliest classes, and how sure the model was of them."""
        said, right = [answer.label for answer in answers], [record["label"] for record in records]
        confidences = [answer.probabilities[answer.label] for answer in answers]
        return classification.report(said, right, confidences)

    def predict(self, model: Model, prompts: Sequence[str]) -> list[Classified]:
        """Return the classes of each text."""
        records = [{"text": text, "label": self.labels[0]} for text in self.asked(prompts)]
        return list(self.say(model, records))

    def sample(self, model: Model, held_out: Records) -> str:
        """Return some held-out texts, what the model says of them, and what was right."""
        records = held_out.head(SAMPLES)
        return "\n".join(
            f"{one_line(record['text'])}\n  -> {answer} "
            f"({'right' if answer.label == record['label'] else 'not ' + record['label']})"
            for record, answer in zip(records, self.say(model, records), strict=True)
        )
