"""How well a model that turns one text into another predicts the right ones."""

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SequenceScore:
    """How well a model predicts targets, given the right tokens before each.

    Args:
        nats: -log P of all target tokens together, given the source and those before, natural
            logarithm.
        correct: how many tokens were the likeliest ones.
        num_tokens: tokens of the targets, their ends included.
    """

    nats: float
    correct: float
    num_tokens: float

    @property
    def kept_for(self) -> None:
        """None: the lowest loss is best."""
        return None

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

    def columns(self) -> dict[str, Any]:
        """Return the scores as the columns of the table that compares runs."""
        return {"task loss": self.loss}

    def in_words(self) -> str:
        """Return the scores in a line."""
        return f"loss {self.loss:.3f} nats, perplexity {math.exp(min(self.loss, 700)):.2f}"

    def to_json(self) -> dict[str, float | int]:
        """Return the scores and what they were counted from."""
        return {
            "loss": self.loss,
            "accuracy": self.accuracy,
            "tokens": round(self.num_tokens),
        }
