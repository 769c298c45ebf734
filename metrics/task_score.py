"""The score of a run on a task with right answers: its loss, and what the field reports of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import report
from .report import Report
from .score import Score


@dataclass(frozen=True)
class TaskScore:
    """How well a model does a task.

    Args:
        loss: what training tries to lower.
        report: the scores, with intervals and all that there is to say of them.
        shown: the names of those that the table of runs shows; the first is the one that counts, of
            which more is better.
    """

    loss: float
    report: Report
    shown: tuple[str, ...]

    @property
    def kept_for(self) -> float:
        """The score that counts: where labels are few it still rises when the loss rises, too.

        Not a number where it is not defined.
        """
        return self.scores[self.shown[0]].value

    @property
    def bits_per_byte(self) -> None:
        """None: an answer is no text like any other."""
        return None

    @property
    def scores(self) -> Mapping[str, Score]:
        """The scores by name."""
        return self.report.scores

    def columns(self) -> dict[str, Any]:
        """Return the scores as the columns of the table that compares runs."""
        first, *others = self.shown
        return {
            first: self.scores[first].value,
            "95 %": self.scores[first].interval,
            **{name: self.scores[name].value for name in others},
            "task loss": self.loss,
        }

    def in_words(self) -> str:
        """Return the scores in a line."""
        parts = [f"{name} {report.shown(self.scores[name])}" for name in self.shown]
        return ", ".join([*parts, f"loss {self.loss:.3f}"])

    def to_json(self) -> dict[str, Any]:
        """Return the scores, their intervals and what they were counted from."""
        return {"loss": self.loss, **report.to_json(report.compare(self.report), self.report)}
