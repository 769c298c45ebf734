"""Scores of language models: cross entropy in nats, perplexity, bits per byte, accuracy.

Perplexities over different vocabularies cannot be compared: a model of characters is asked easier
questions than a model of words. Bits per byte can: how long the text would be, compressed with the
model, for each byte that it has.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

BITS_PER_UNKNOWN_BYTE = 8
_MOST_DRAWN = 10_000_000  # numbers drawn at a time; of a long text, all would be gigabytes


@dataclass(frozen=True)
class LanguageScore:
    """How well a model predicts a text.

    Args:
        nats: -log P of all tokens together, natural logarithm.
        correct: how many tokens were the likeliest ones.
        num_tokens: tokens of the text.
        num_bytes: UTF-8 bytes of the text.
        num_unknown: tokens that stand for text which the vocabulary lacks.
        unknown_bytes: UTF-8 bytes of that text.
        lossy: whether the text cannot be restored from the tokens even where they are known.
        blocks: the loss of each of the stretches that the text was cut into.
    """

    nats: float
    correct: int
    num_tokens: int
    num_bytes: int
    num_unknown: int = 0
    unknown_bytes: int = 0
    lossy: bool = False
    blocks: tuple[float, ...] = ()

    @property
    def kept_for(self) -> None:
        """None: the lowest loss is best."""
        return None

    @property
    def loss(self) -> float:
        """Cross entropy in nats for each token."""
        return self.nats / self.num_tokens

    @property
    def perplexity(self) -> float:
        """The exponential of the loss: between how many equal choices the model wavers."""
        return math.exp(self.loss) if self.loss < 700 else math.inf

    @property
    def bits_per_byte(self) -> float | None:
        """Bits needed for each byte of the text.

        An unknown token says only that something unknown stands here; what it is must be spelled
        out, at 8 bits for each of its bytes and 8 for its end. None for a lossy tokenizer: no
        number of bits gives that text back.
        """
        if self.lossy:
            return None
        spelling = BITS_PER_UNKNOWN_BYTE * (self.unknown_bytes + self.num_unknown)
        return (self.nats / math.log(2) + spelling) / self.num_bytes

    def interval(self, confidence: float = 0.95) -> tuple[float, float] | None:
        """Return in which interval bits per byte lie, as far as the choice of the text goes.

        The bootstrap (Efron 1979): stretches of the text are drawn with replacement, again and
        again. What another training would make of the model is not in it. None where there are no
        bits per byte, or too little text.
        """
        if self.bits_per_byte is None or len(self.blocks) < 2 or not np.isfinite(self.blocks).all():
            return None
        from scipy import stats

        losses = stats.bootstrap(
            (self.blocks,),
            np.mean,
            n_resamples=2000,
            batch=max(1, _MOST_DRAWN // len(self.blocks)),
            confidence_level=confidence,
            method="percentile",
            rng=np.random.default_rng(0),
        ).confidence_interval
        bits_of_a_nat = self.num_tokens / math.log(2) / self.num_bytes
        centre = float(np.mean(self.blocks))
        low, high = (self.bits_per_byte + bits_of_a_nat * (loss - centre) for loss in losses)
        return float(low), float(high)

    @property
    def accuracy(self) -> float:
        """Share of tokens that were the model's first choice."""
        return self.correct / self.num_tokens

    def columns(self) -> dict[str, Any]:
        """Return the scores as the columns of the table that compares runs."""
        return {
            "bits/byte": self.bits_per_byte,
            "95 %": self.interval(),
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

    def to_json(self) -> dict[str, float | int | None]:
        """Return the scores and what they were counted from."""
        return {
            "loss": self.loss,
            "perplexity": self.perplexity,
            "bits_per_byte": self.bits_per_byte,
            "interval": self.interval(),
            "accuracy": self.accuracy,
            "tokens": self.num_tokens,
            "bytes": self.num_bytes,
            "unknown_tokens": self.num_unknown,
        }
