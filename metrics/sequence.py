"""Scores of models that turn one text into another, which need no knowledge of language."""

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SequenceScore:
    """How well a model predicts targets, and how often it writes the whole target.

    Args:
        nats: -log P of all target tokens together, given the source and those before, natural
            logarithm.
        correct: how many tokens were the likeliest ones.
        num_tokens: tokens of the targets, their ends included.
        exact: how many targets were written without a mistake; None if none was written.
        num_written: how many were written.
    """

    nats: float
    correct: float
    num_tokens: float
    exact: int | None = None
    num_written: int = 0

    @property
    def loss(self) -> float:
        """Cross entropy in nats for each token of a target."""
        return self.nats / self.num_tokens

    @property
    def bits_per_byte(self) -> None:
        """None: given the source, a target is no text like any other."""
        return None

    @property
    def accuracy(self) -> float:
        """Share of the tokens that were the model's first choice, given the right ones before."""
        return self.correct / self.num_tokens

    @property
    def exact_match(self) -> float | None:
        """Share of the targets that were written without a mistake."""
        return None if self.exact is None else self.exact / self.num_written

    def columns(self) -> dict[str, Any]:
        """Return the scores as the columns of the table that compares runs."""
        return {"target loss": self.loss, "exact match": self.exact_match}

    def in_words(self) -> str:
        """Return the scores in a line."""
        words = f"loss {self.loss:.3f} nats, perplexity {math.exp(min(self.loss, 700)):.2f}"
        if self.exact is None:
            return words
        return f"{words}, {self.exact} of {self.num_written} written without a mistake"

    def to_json(self) -> dict[str, float | int | None]:
        """Return the scores and what they were counted from."""
        return {
            "loss": self.loss,
            "accuracy": self.accuracy,
            "tokens": round(self.num_tokens),
            "exact_match": self.exact_match,
            "written": self.num_written,
        }
