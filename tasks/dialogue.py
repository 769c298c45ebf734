"""Dialogue: the next turn of a conversation, from those before it.

The turns are one source, each with [END] after it, the newest last. Where there are more than the
model can read, the oldest are left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..data.records import Record, Records
from ..errors import InputError
from ..metrics import dialogue
from ..metrics.report import Report
from .sequence_to_sequence import SequenceToSequence
from .supervised import one_line


@dataclass(frozen=True)
class Dialogue(SequenceToSequence):
    """Dialogue, as `train.py`, `evaluate.py` and `generate.py` use it."""

    shown = ("response accuracy", "dialogue accuracy", "BLEU")
    example = "hello"
    asks = ("message",)
    goes_on = True

    @classmethod
    def labels_of(cls, content: Records) -> tuple[str, ...]:
        """Return how many turns there are before an answer, at most, written out."""
        return (str(max((len(record["history"]) for record in content), default=0)),)

    @property
    def most_turns(self) -> int | None:
        """The most turns before an answer that the training has shown; None where nobody knows."""
        return int(self.labels[0]) if self.labels else None

    def whole_source(self, record: Record) -> np.ndarray:
        """Return the turns so far."""
        end = np.array([self.tokenizer.special_id("[END]")], np.int32)
        parts = [part for turn in record["history"] for part in (self.tokenizer.encode(turn), end)]
        return np.concatenate(parts or [end])

    def source(self, record: Record) -> np.ndarray:
        """Return as many of the last turns as the encoder can read."""
        return self.whole_source(record)[-self.max_tokens :]

    def target(self, record: Record) -> str:
        """Return the next turn."""
        return record["response"]

    def report(self, records: Sequence[Record], answers: Sequence[str], language: str) -> Report:
        """Score the responses."""
        references = [self.references(record) for record in records]
        dialogues = [record["dialogue"] for record in records]
        return Report(dialogue.score(answers, references, dialogues, language))

    def record_of(self, prompt: str) -> Record:
        """Return the conversation that a person has given, its turns with tabs between them.

        It has its last turns, as many as the training has shown before an answer.
        """
        turns = [self.words_apart(turn) for turn in prompt.split("\t")]
        return {"history": turns[-(self.most_turns or 0) :], "response": ""}

    def check(self, records: Sequence[Record]) -> None:
        """Refuse a conversation that has not begun.

        Raises:
            InputError: if the last turn is empty, or has parts that the tokenizer does not know.
        """
        for record in records:
            if not record["history"][-1].strip():
                raise InputError("nothing was said; say something.")
            self.tokenizer.encode_known(record["history"][-1])

    def shown_source(self, record: Record) -> str:
        """Return the turn that is to be answered."""
        return one_line(record["history"][-1] if record["history"] else "(it begins)")
