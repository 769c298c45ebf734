"""Scores of language models: cross entropy in nats, perplexity, bits per byte, accuracy.

Perplexities over different vocabularies cannot be compared: a model of characters is asked easier
questions than a model of words. Bits per byte can: how many bits each byte of the text would take,
compressed with the model.

Letters: N stretches of text, K things counted in each.
"""

import functools
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from . import calibration
from .report import Report
from .score import Score, drawn_sums

BITS_PER_UNKNOWN_BYTE = 8
STRETCH_BYTES = 1024
"""UTF-8 bytes of a stretch that the bootstrap draws as one, as neighbours depend on each other."""

_NATS, _RIGHT, _TOKENS, _BYTES, _SPELLING = range(5)
_GAPS = slice(5, 5 + calibration.NUM_BINS)
_NUM_COUNTED = 5 + calibration.NUM_BINS


@dataclass(frozen=True)
class LanguageScore:
    """How well a model predicts a text.

    Args:
        stretches: what was counted in each stretch of the text, float64 (N, K): see `Tally`.
        num_unknown: tokens that stand for text which the vocabulary lacks.
        lossy: whether the text cannot be restored from the tokens even where they are known.
    """

    stretches: np.ndarray = field(repr=False, compare=False)
    num_unknown: int = 0
    lossy: bool = False

    @functools.cached_property
    def _values(self) -> dict[str, np.ndarray]:
        return _values(self.stretches.sum(0), self.lossy)

    @property
    def kept_for(self) -> None:
        """None: the lowest loss is best."""
        return None

    @property
    def nats(self) -> float:
        """-log P of all tokens together, natural logarithm."""
        return float(self.stretches[:, _NATS].sum())

    @property
    def correct(self) -> int:
        """How many tokens were the likeliest ones."""
        return round(self.stretches[:, _RIGHT].sum())

    @property
    def num_tokens(self) -> int:
        """Tokens of the text."""
        return round(self.stretches[:, _TOKENS].sum())

    @property
    def num_bytes(self) -> int:
        """UTF-8 bytes of the text."""
        return round(self.stretches[:, _BYTES].sum())

    @property
    def loss(self) -> float:
        """Cross entropy in nats for each token."""
        return float(self._values["loss"])

    @property
    def perplexity(self) -> float:
        """The exponential of the loss: between how many equal choices the model wavers."""
        return float(self._values["perplexity"])

    @property
    def bits_per_byte(self) -> float | None:
        """Bits needed for each byte of the text.

        An unknown token says only that something unknown stands here; what it is must be spelled
        out, at 8 bits for each of its bytes and 8 for its end. None for a lossy tokenizer: no
        number of bits gives that text back.
        """
        return None if self.lossy else float(self._values["bits/byte"])

    @property
    def accuracy(self) -> float:
        """Share of tokens that were the model's first choice."""
        return float(self._values["accuracy"])

    @property
    def calibration_error(self) -> float:
        """By how much the probability of the first choice differs from how often it is right."""
        return float(self._values["calibration error"])

    @functools.cached_property
    def report(self) -> Report:
        """All scores with their intervals.

        The bootstrap draws stretches of the text, again and again. They are the same stretches for
        every model, whatever its tokens are.
        """
        with np.errstate(invalid="ignore"):  # of a text that is impossible
            drawn = _values(drawn_sums(self.stretches), self.lossy)
        number, about = len(self.stretches), f"examples: stretches of {STRETCH_BYTES:,} bytes"
        signatures = {"calibration error": f"{calibration.SIGNATURE}|{about}"}
        return Report(
            {
                name: Score(float(value), drawn[name], number, signatures.get(name, about))
                for name, value in self._values.items()
            }
        )

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % interval of the bits per byte; None where there are none, or too little text."""
        return None if self.lossy else self.report.scores["bits/byte"].interval

    def columns(self) -> dict[str, Any]:
        """Return the scores as the columns of the table that compares runs."""
        return {
            "bits/byte": self.bits_per_byte,
            "95 %": self.interval,
            "loss": self.loss,
            "perplexity": self.perplexity,
            "accuracy": self.accuracy,
        }

    def in_words(self) -> str:
        """Return the scores in a line."""
        bits = self.bits_per_byte
        per_byte = (
            "bits per byte not defined (lossy tokenizer)"
            if bits is None
            else f"{bits:.3f} bits per byte"
        )
        return f"loss {self.loss:.3f} nats, perplexity {self.perplexity:.2f}, {per_byte}"

    def to_json(self) -> dict[str, Any]:
        """Return the scores, their intervals and what they were counted from."""
        return {
            "loss": self.loss,
            "perplexity": self.perplexity,
            "bits_per_byte": self.bits_per_byte,
            "interval": self.interval,
            "accuracy": self.accuracy,
            "calibration_error": self.calibration_error,
            "tokens": self.num_tokens,
            "bytes": self.num_bytes,
            "unknown_tokens": self.num_unknown,
        }


class Tally:
    """Counts what a model says of a text, token by token, in stretches of the text.

    Args:
        num_bytes: UTF-8 bytes of the text.
    """

    def __init__(self, num_bytes: int):
        self._bytes_read = 0.0
        self._num_bytes = num_bytes
        # What is left over at the end belongs to the last stretch.
        self._counted = np.zeros((max(1, num_bytes // STRETCH_BYTES), _NUM_COUNTED))

    def add(
        self,
        nats: np.ndarray,
        is_right: np.ndarray,
        confidences: np.ndarray,
        num_bytes: np.ndarray,
        is_unknown: np.ndarray,
    ) -> None:
        """Count the tokens that come next, each array (T,).

        Args:
            nats: -log P of each token, natural logarithm.
            is_right: whether it was the model's first choice.
            confidences: the probability of the first choice.
            num_bytes: UTF-8 bytes of the text that it stands for.
            is_unknown: whether the vocabulary lacks that text.
        """
        if not len(nats):
            return
        ends = self._bytes_read + np.cumsum(num_bytes, dtype=np.float64)
        starts = ends - num_bytes
        stretch = np.minimum(starts // STRETCH_BYTES, len(self._counted) - 1).astype(np.int64)
        spelling = BITS_PER_UNKNOWN_BYTE * is_unknown * (num_bytes + 1)
        of_token = (nats, is_right, np.ones(len(nats)), num_bytes, spelling)
        counted = self._counted[stretch[0] : stretch[-1] + 1]
        stretch -= stretch[0]
        for column, values in enumerate(of_token):
            counted[:, column] += np.bincount(stretch, values)
        gaps = counted[:, _GAPS]
        np.add.at(gaps, (stretch, calibration.bins_of(confidences)), is_right - confidences)
        self._bytes_read = float(ends[-1])

    @property
    def stretches(self) -> np.ndarray:
        """What was counted in each stretch, float64 (N, K).

        That is nats, right first choices, tokens, bytes and bits for the spelling of what is
        unknown; then in each bin of confidence, right choices less confidence.
        """
        counted = self._counted.copy()
        # The bytes of a lossy tokenizer's tokens, and of a part of a text, are estimates.
        counted[:, _BYTES] *= self._num_bytes / counted[:, _BYTES].sum()
        return counted


def _values(sums: np.ndarray, lossy: bool) -> dict[str, np.ndarray]:
    """Return the scores of sums over stretches, (..., K) to (...) each."""
    tokens = sums[..., _TOKENS]
    loss = sums[..., _NATS] / tokens
    values = {}
    if not lossy:
        bits = sums[..., _NATS] / math.log(2) + sums[..., _SPELLING]
        values["bits/byte"] = bits / sums[..., _BYTES]
    with np.errstate(over="ignore"):
        values["loss"], values["perplexity"] = loss, np.exp(loss)
    values["accuracy"] = sums[..., _RIGHT] / tokens
    values["calibration error"] = calibration.expected_error(sums[..., _GAPS], tokens)
    return values
