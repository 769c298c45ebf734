"""Regression: how much of something a text has, as a number.

    y = W pool(h_1 ... h_T) + b
    loss = (y - right number)^2                         the mean squared error

The head says by how many standard deviations of the training examples a text is above their mean,
so that it begins near what is right whatever the unit of the numbers.

Shapes: B batch, T positions.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from ..data.encoded import EncodedRecords, Example
from ..data.records import Record, Records
from ..errors import InputError
from ..metrics import regression
from ..metrics.report import Report
from ..models.families import Model
from ..models.heads import TextHead
from .supervised import SAMPLES, Batch, TextTask, one_line
from .task import AS_USUAL, Writing


@dataclass(frozen=True)
class Regression(TextTask):
    """Regression, as `train.py`, `evaluate.py` and `generate.py` use it."""

    shown = ("Pearson", "MSE")
    example = "a text to be rated"

    @classmethod
    def labels_of(cls, content: Records) -> tuple[str, ...]:
        """Return mean and standard deviation of the training examples, written out."""
        numbers = [_number(record) for record in content]
        return repr(float(np.mean(numbers))), repr(float(np.std(numbers)) or 1.0)

    @property
    def scale(self) -> tuple[float, float]:
        """Mean and standard deviation of the training examples."""
        mean, deviation = map(float, self.labels)
        return mean, deviation

    def head(self, backbone: Model) -> keras.Model:
        """Return a head with one output."""
        return TextHead(
            self.config.pooling,
            backbone=backbone,
            num_outputs=1,
            dropout=self.config.dropout,
            dtype=self.train.policy,
        )

    def examples(self, number: int, record: Record) -> Iterable[Example]:
        """Return the tokens and the number, in standard deviations from the mean."""
        mean, deviation = self.scale
        value = (_number(record) - mean) / deviation
        token_ids = self.framed(self.tokenizer.encode(record["text"]))
        return [{"token_ids": token_ids, "number": np.array([value], np.float32)}]

    def fill(self, examples: EncodedRecords, numbers: np.ndarray, length: int) -> Batch:
        """Return tokens (B, T), numbers (B, 1) and which of them count (B,)."""
        values = examples.columns["number"].values[numbers][:, None]
        weights = (numbers >= 0).astype(np.float32)
        return self.inputs(examples, numbers, length), values, weights

    def objectives(self, examples: EncodedRecords) -> dict[str, Any]:
        """Return the loss."""
        return {"loss": keras.losses.MeanSquaredError()}

    def losses(self, right: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        """Return the squared errors, (B,), in squared standard deviations."""
        return np.square(outputs - right)[:, 0]

    def answers(self, examples: EncodedRecords, outputs: Sequence[np.ndarray]) -> Sequence[float]:
        """Return the numbers in their own unit."""
        mean, deviation = self.scale
        return (mean + deviation * np.stack(outputs)[:, 0].astype(np.float64)).tolist()

    def report(self, records: Sequence[Record], answers: Sequence[float], language: str) -> Report:
        """Score the numbers, next to what always saying the mean of them would give."""
        right = [_number(record) for record in records]
        note = (
            f"The variance of the right numbers is {np.var(right):.4f}: the least MSE of a guess."
        )
        return Report(regression.score(answers, right), notes=(note,))

    def predict(self, model: Model, prompts: Sequence[str]) -> list[float]:
        """Return the number of each text."""
        mean, _ = self.labels
        records = [{"text": text, "label": mean} for text in self.asked(prompts)]
        return list(self.say(model, records))

    def write(self, model: Model, prompts: Sequence[str], how: Writing = AS_USUAL) -> list[str]:
        """Return the numbers with as many decimals as hundredths of their deviation need."""
        return list(map(self._in_words, self.predict(model, prompts)))

    def _in_words(self, number: float) -> str:
        _, deviation = self.scale
        decimals = max(0, 2 - math.floor(math.log10(deviation)))
        return f"{number:.{decimals}f}"

    def generate_json(
        self, model: Model, prompts: Sequence[str], how: Writing = AS_USUAL
    ) -> list[dict[str, Any]]:
        """Return the numbers as what `json.dumps` accepts."""
        return [{"number": number} for number in self.predict(model, prompts)]

    def sample(self, model: Model, held_out: Records) -> str:
        """Return some held-out texts, what the model says of them, and what was right."""
        records = held_out.head(SAMPLES)
        return "\n".join(
            f"{one_line(record['text'])}\n"
            f"  -> {self._in_words(answer)} ({record['label']} is right)"
            for record, answer in zip(records, self.say(model, records), strict=True)
        )


def _number(record: Record) -> float:
    try:
        number = float(record["label"])
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(
            f"the example '{one_line(record['text'], 40)}' has the label '{record['label']}', "
            "which is no number; regression needs one for each, classification takes any label."
        )
    return number
