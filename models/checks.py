"""Checks of hyperparameters, each of which names the option that has to change."""

import math
from typing import Any

from ..errors import InputError


def option(name: str) -> str:
    """Return what a hyperparameter is called on the command line."""
    return f"--model.{name.replace('_', '-')}"


def at_least(config: Any, least: int, *names: str) -> None:
    """Refuse numbers below the least, infinity, and what is no number."""
    for name in names:
        _finite(config, name)
        if getattr(config, name) < least:
            raise InputError(
                f"{option(name)} is {getattr(config, name)}; it must be at least {least}."
            )


def above_zero(config: Any, *names: str) -> None:
    """Refuse numbers that are not above zero, infinity, and what is no number."""
    for name in names:
        _finite(config, name)
        if getattr(config, name) <= 0:
            raise InputError(f"{option(name)} is {getattr(config, name)}; it must be above 0.")


def _finite(config: Any, name: str) -> None:
    if not math.isfinite(getattr(config, name)):
        raise InputError(f"{option(name)} is {getattr(config, name)}; it must be a finite number.")


def share(config: Any, name: str) -> None:
    """Refuse numbers outside 0 <= x < 1."""
    if not 0 <= getattr(config, name) < 1:
        raise InputError(
            f"{option(name)} is {getattr(config, name)}; it must be from 0 to below 1."
        )


def divides(config: Any, divisor: str, dividend: str) -> None:
    """Refuse a number that does not divide another."""
    if getattr(config, dividend) % getattr(config, divisor):
        raise InputError(
            f"{option(divisor)} {getattr(config, divisor)} does not divide {option(dividend)} "
            f"{getattr(config, dividend)}; choose a number that does."
        )


def even_width(config: Any) -> None:
    """Refuse a width that two directions cannot halve."""
    if config.width % 2:
        raise InputError(
            f"--model.width is {config.width}; a text is read in two directions, each with half of "
            "it, so it must be even."
        )


def even_head(config: Any, what: str) -> None:
    """Refuse a width of heads that has a feature without a partner."""
    if config.head_dim % 2:
        raise InputError(
            f"{what} needs an even head width, and width {config.width} / {config.num_heads} heads "
            f"= {config.head_dim}; change --model.width or --model.num-heads."
        )
