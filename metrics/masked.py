"""Scores of masked language models, which cannot be compared with those of language models.

Letters: N examples.
"""

import functools
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .report import Report
from .score import Score, drawn_sums

_NATS, _RIGHT, _HIDDEN, _, _SENTENCES_RIGHT, _SENTENCES = range(6)


@dataclass(frozen=True)
class MaskedScore:
    """How well a model says what was hidden.

    Args:
        counted: of each example -log P of its hidden tokens (natural logarithm), how many of them
            were the likeliest ones, how many there were; then the same of the answer about its
            sentences: (N, 6).
        pseudo_log_probs: log P of tokens that were hidden one by one, (windows, tokens of each).
    """

    counted: np.ndarray = field(repr=False, compare=False)
    pseudo_log_probs: np.ndarray | None = field(default=None, repr=False, compare=False)

    def with_pseudo_log_probs(self, log_probs: np.ndarray) -> "MaskedScore":
        """Return the score with these log probabilities of tokens that were hidden one by one."""
        return replace(self, pseudo_log_probs=log_probs)

    @functools.cached_property
    def _values(self) -> dict[str, np.ndarray]:
        return _values(self.counted.sum(0, dtype=np.float64))

    @property
    def kept_for(self) -> None:
        """None: the lowest loss is best."""
        return None

    @property
    def loss(self) -> float:
        """Cross entropy in nats for each hidden token."""
        return float(self._values["masked loss"])

    @property
    def bits_per_byte(self) -> None:
        """None: a text cannot be compressed with a model that must see what comes after a token."""
        return None

    @property
    def accuracy(self) -> float:
        """Share of the hidden tokens that were the model's first choice."""
        return float(self._values["masked accuracy"])

    @property
    def sentence_accuracy(self) -> float | None:
        """Share of right answers about sentences; None if none was asked for."""
        value = self._values.get("sentence accuracy")
        return None if value is None else float(value)

    @property
    def pseudo_perplexity(self) -> float | None:
        """Salazar et al. (2020), equation 3; None if it was not measured.

        >>> score = MaskedScore(np.ones((1, 6)))
        >>> score = score.with_pseudo_log_probs(np.log([[0.5, 0.125]]))
        >>> round(score.pseudo_perplexity, 6)
        4.0
        """
        if self.pseudo_log_probs is None:
            return None
        return float(np.exp(-np.mean(self.pseudo_log_probs, dtype=np.float64)))

    @functools.cached_property
    def report(self) -> Report:
        """All scores with their intervals; the bootstrap draws examples."""
        drawn = _values(drawn_sums(self.counted.astype(np.float64)))
        scores = {
            name: Score(float(value), drawn[name], len(self.counted), "examples: masked stretches")
            for name, value in self._values.items()
        }
        if self.pseudo_log_probs is not None:
            number, length = self.pseudo_log_probs.shape
            losses = -self.pseudo_log_probs.mean(1, keepdims=True, dtype=np.float64)
            scores["pseudo-perplexity"] = Score(
                self.pseudo_perplexity,
                np.exp(drawn_sums(losses)[:, 0] / number),
                number,
                f"Salazar et al. 2020|of the first {number * length:,} tokens",
            )
        return Report(scores)

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
        if self.sentence_accuracy is not None:
            words += f", sentence accuracy {self.sentence_accuracy:.1%}"
        if self.pseudo_perplexity is not None:
            words += f", pseudo-perplexity {self.pseudo_perplexity:.2f}"
        return words

    def to_json(self) -> dict[str, float | int | None]:
        """Return the scores and what they were counted from."""
        return {
            "loss": self.loss,
            "accuracy": self.accuracy,
            "hidden_tokens": round(self.counted[:, _HIDDEN].sum(dtype=np.float64)),
            "sentence_accuracy": self.sentence_accuracy,
            "sentences": round(self.counted[:, _SENTENCES].sum(dtype=np.float64)),
            "pseudo_perplexity": self.pseudo_perplexity,
            "pseudo_tokens": 0 if self.pseudo_log_probs is None else self.pseudo_log_probs.size,
        }


def _values(sums: np.ndarray) -> dict[str, np.ndarray]:
    """Return the scores of sums over examples, (..., 6) to (...) each."""
    hidden, sentences = sums[..., _HIDDEN], sums[..., _SENTENCES]
    values = {
        "masked loss": sums[..., _NATS] / hidden,
        "masked accuracy": sums[..., _RIGHT] / hidden,
    }
    if np.all(sentences):
        values["sentence accuracy"] = sums[..., _SENTENCES_RIGHT] / sentences
    return values
