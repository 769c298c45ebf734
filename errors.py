"""The exceptions whose message is meant for the user, and the nearest-name hint."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """What the user gave cannot be used.

    The message is one sentence: what was given, what is allowed, what to do. The command line
    prints it without a traceback and exits with code 2.
    """


class TrainingStopped(RuntimeError):
    """Training cannot go on; the message says at which step and why, in one sentence."""


def did_you_mean(given: str, allowed: Iterable[str]) -> str:
    """End a sentence with the allowed name nearest to `given`, or with a full stop.

    >>> did_you_mean("gpt-shakespear", ["gpt-nano", "gpt-shakespeare"])
    "; did you mean 'gpt-shakespeare'?"
    >>> did_you_mean("x", ["gpt-nano"])
    '.'
    """
    nearest = difflib.get_close_matches(given, list(allowed), n=1)
    return f"; did you mean '{nearest[0]}'?" if nearest else "."
