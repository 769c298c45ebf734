"""Translation: the same in another language, scored by BLEU, chrF and TER."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..data.records import Record
from ..metrics import translation
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
