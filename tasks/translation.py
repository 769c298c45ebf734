"""Translation and summarisation: a text in other words, of which there are many that are right.

A translation says the same in another language: BLEU, chrF, TER. A summary says in short what a
long text says: ROUGE.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..data.records import Record
from ..metrics import summarization, translation
from ..metrics.report import Report
from .sequence_to_sequence import SequenceToSequence


@dataclass(frozen=True)
class Translation(SequenceToSequence):
    """Translation, as `train.py`, `evaluate.py` and `generate.py` use it."""

    shown = ("BLEU", "chrF")
    example = "a sentence to be translated"
    asks = ("sentence",)

    def report(self, records: Sequence[Record], answers: Sequence[str], language: str) -> Report:
        """Score the translations."""
        references = [self.references(record) for record in records]
        return Report(translation.score(answers, references, language))


@dataclass(frozen=True)
class Summarization(SequenceToSequence):
    """Summarisation, as `train.py`, `evaluate.py` and `generate.py` use it."""

    shown = ("ROUGE-L", "ROUGE-1", "ROUGE-2")
    example = "a text to be summed up"
    asks = ("text",)

    def report(self, records: Sequence[Record], answers: Sequence[str], language: str) -> Report:
        """Score the summaries, split into sentences as `summarization.in_lines` tells."""
        references = [self.references(record) for record in records]
        return Report(summarization.score(answers, references, language, split=True))
