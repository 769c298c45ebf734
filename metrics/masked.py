"""Scores of masked language models, which cannot be compared with those of language models."""

import math
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class MaskedScore:
    """How well a model says what was hidden.

    Args:
        nats: -log P of the hidden tokens together, natural logarithm.
        correct: how many of them were the likeliest ones.
        num_hidden: how many there were.
        sentence_nats: -log P of the answers about sentences together.
        sentences_correct: how many of them were right.
        num_sentences: how many there were.
        pseudo_log_probs: log P of tokens that were hidden one by one.
    """

    nats: float
    correct: float
    num_hidden: float
    sentence_nats: float = 0.0
    sentences_correct: float = 0.0
    num_sentences: float = 0.0
    pseudo_log_probs: tuple[float, ...] = ()

    def with_pseudo_log_probs(self, log_probs: tuple[float, ...]) -> "MaskedScore":
        """Return the score with these log probabilities of tokens that were hidden one by one."""
        return replace(self, pseudo_log_probs=log_probs)

    @property
    def kept_for(self) -> None:
        """None: the lowest loss is best."""
        return None

    @property
    def loss(self) -> float:
        """Cross entropy in nats for each hidden token."""
        return self.nats / self.num_hidden

    @property
    def bits_per_byte(self) -> None:
        """None: a text cannot be compressed with a model that must see what comes after a token."""
        return None

    @property
    def accuracy(self) -> float:
        """Share of the hidden tokens that were the model's first choice."""
        return self.correct / self.num_hidden

    @property
    def sentence_accuracy(self) -> float | None:
        """Share of right answers about sentences; None if none was asked for."""
        return self.sentences_correct / self.num_sentences if self.num_sentences else None

    @property
    def pseudo_perplexity(self) -> float | None:
        """Salazar et al. (2020), equation 3; None if it was not measured.

        >>> score = MaskedScore(nats=0.0, correct=1, num_hidden=1)
        >>> score = score.with_pseudo_log_probs((math.log(0.5), math.log(0.125)))
        >>> round(score.pseudo_perplexity, 6)
        4.0
        """
        if not self.pseudo_log_probs:
            return None
        return math.exp(-sum(self.pseudo_log_probs) / len(self.pseudo_log_probs))

    def columns(self) -> dict[str, Any]:
        """Return the scores as the columns of the table that compares runs."""
        return {
            "masked loss": self.loss,
            "masked accuracy": self.accuracy,
            "sentence accuracy": self.sentence_accuracy,
            "pseudo-perplexity": self.pseudo_perplexity,
        }

    def in_words(self) -> str:
        """Return the scores in a line."""
        words = f"masked loss {self.loss:.3f} nats, masked accuracy {self.accuracy:.1%}"
        if self.num_sentences:
            words += f", sentence accuracy {self.sentence_accuracy:.1%}"
        if self.pseudo_log_probs:
            words += f", pseudo-perplexity {self.pseudo_perplexity:.2f}"
        return words

    def to_json(self) -> dict[str, float | int | None]:
        """Return the scores and what they were counted from."""
        return {
            "loss": self.loss,
            "accuracy": self.accuracy,
            "hidden_tokens": round(self.num_hidden),
            "sentence_accuracy": self.sentence_accuracy,
            "sentences": round(self.num_sentences),
            "pseudo_perplexity": self.pseudo_perplexity,
            "pseudo_tokens": len(self.pseudo_log_probs),
        }
