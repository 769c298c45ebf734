"""The exceptions whose message is meant for the user, and what such messages name."""

import difflib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path


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


def command(name: str, *arguments: str | Path) -> str:
    """Return a command of kerazoo's for the shell, called as this process was.

    That is `python train.py` if a script of this folder was started, and `kerazoo train` otherwise.
    """
    script, ours = Path(sys.argv[0]), Path(__file__).resolve().parent
    is_ours = script.suffix == ".py" and script.resolve().parent == ours
    start = ("python", script.with_name(f"{name}.py")) if is_ours else ("kerazoo", name)
    return quoted([*start, *arguments])


def quoted(words: Iterable[str | Path]) -> str:
    """Return words as one line for the shell, those in quotes that need it."""
    words = list(map(str, words))
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)
