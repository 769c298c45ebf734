"""Scores of language models: cross entropy in nats, perplexity, bits per byte, accuracy.

Perplexities over different vocabularies cannot be compared: a model of characters is asked easier
questions than a model of words. Bits per byte can: how long the text would be, compressed with the
model, for each byte that it has.
"""

import math
from dataclasses import dataclass

BITS_PER_UNKNOWN_BYTE = 8


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
    """

    nats: float
    correct: int
    num_tokens: int
    num_bytes: int
    num_unknown: int = 0
    unknown_bytes: int = 0
    lossy: bool = False

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

    @property
    def accuracy(self) -> float:
        """Share of tokens that were the model's first choice."""
        return self.correct / self.num_tokens

    def to_json(self) -> dict[str, float | int | None]:
        """Return the scores and what they were counted from."""
        return {
            "loss": self.loss,
            "perplexity": self.perplexity,
            "bits_per_byte": self.bits_per_byte,
            "accuracy": self.accuracy,
            "tokens": self.num_tokens,
            "bytes": self.num_bytes,
            "unknown_tokens": self.num_unknown,
        }
