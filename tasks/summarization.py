"""Summarisation: in short what a long text says, scored by ROUGE."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..data.encoded import EncodedRecords
from ..data.records import Record, Records
from ..metrics import summarization
from ..metrics.report import Report
from .sequence_to_sequence import SequenceToSequence
from .supervised import CHECKED, language_of


@dataclass(frozen=True)
class Summarization(SequenceToSequence):
    """Summarisation, as `train.py`, `evaluate.py` and `generate.py` use it."""

    shown = ("ROUGE-L", "ROUGE-1", "ROUGE-2")
    example = "a text to be summed up"
    asks = ("text",)

    def encode(self, content: Records) -> EncodedRecords:
        """Return a split as examples, after checking that summaries like its can be scored."""
        some = map(self.references, content.head(CHECKED))
        summarization.check_letters(some, language_of(content))
        return super().encode(content)

    def report(self, records: Sequence[Record], answers: Sequence[str], language: str) -> Report:
        """Score the summaries, split into sentences as `summarization.in_lines` tells."""
        references = [self.references(record) for record in records]
        return Report(summarization.score(answers, references, language, split=True))
