"""How the next token is chosen from its probabilities, as data."""

from dataclasses import dataclass
from typing import Literal

from ..errors import InputError

SamplerKind = Literal["greedy", "temperature", "top-k", "top-p", "beam", "contrastive"]
HEEDED: dict[SamplerKind, tuple[str, ...]] = {
    "greedy": (),
    "temperature": ("temperature",),
    "top-k": ("temperature", "k"),
    "top-p": ("temperature", "p"),
    "beam": ("num_beams", "length_penalty"),
    "contrastive": ("candidates", "alpha"),
}
"""What each way of choosing knows of; all may be given a seed."""
LOWEST_TEMPERATURE = 1e-6
"""Logits are divided by the temperature; by less, they might be too large for float32."""


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen from its probabilities."""

    sampler: SamplerKind = "temperature"
    """The likeliest token; a random one; a random one of the K likeliest (Fan et al. 2018) or of
    the likeliest with probability P together (Holtzman et al. 2020); the likeliest text found by
    beam search; or contrastive search (Su et al. 2022)."""
    temperature: float = 0.8
    """Divides the logits of a random choice: below 1 safer, above 1 wilder."""
    k: int = 40
    """Tokens that top-k chooses from."""
    p: float = 0.9
    """Probability that the tokens top-p chooses from have together."""
    num_beams: int = 4
    """Texts that beam search keeps."""
    length_penalty: float = 1.0
    """Of texts that end, beam search chooses the one with the highest logarithm of its probability,
    divided by its length to this power; with 0 the likeliest, which is often too short (after Wu et
    al. 2016, section 7, without their constant)."""
    candidates: int = 4
    """Contrastive search: tokens compared at each step."""
    alpha: float = 0.6
    """Contrastive search: how much likeness to earlier tokens counts against a token."""
    seed: int | None = None
    """Makes a random choice repeatable; from 0 to below 2^32."""

    def __post_init__(self):
        for name in ("temperature", "k", "num_beams", "candidates"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"--{name.replace('_', '-')} is {value}; it must be above 0.")
        if self.temperature < LOWEST_TEMPERATURE:
            raise InputError(
                f"--temperature is {self.temperature}; it must be at least {LOWEST_TEMPERATURE:g}. "
                "For the likeliest token, always, choose the sampler greedy."
            )
        if not self.length_penalty >= 0:
            raise InputError(f"--length-penalty is {self.length_penalty}; it must be at least 0.")
        for name in ("p", "alpha"):
            if not 0 < getattr(self, name) <= 1:
                raise InputError(
                    f"--{name} is {getattr(self, name)}; it must be above 0 and at most 1."
                )
        if self.seed is not None and not 0 <= self.seed < 1 << 32:
            raise InputError(f"--seed is {self.seed}; it must be from 0 to below 4,294,967,296.")
