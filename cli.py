"""The command line: `kerazoo train | generate | evaluate | data`, and how errors are told.

kerazoo train gpt-shakespeare           the same as  python train.py gpt-shakespeare
kerazoo generate runs/gpt-shakespeare "ROMEO:"
kerazoo evaluate runs/*
kerazoo data list
"""

import contextlib
import importlib
import io
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn, TypeVar

from .errors import InputError, TrainingStopped, command, did_you_mean

Options = TypeVar("Options")

COMMANDS = {
    "train": ("kerazoo.train", "train a recipe; without one, list the recipes"),
    "generate": ("kerazoo.generate", "let a trained run write, or ask it"),
    "evaluate": ("kerazoo.evaluate", "compare trained runs in one table, or score other files"),
    "data": ("kerazoo.data.command", "list, show and fetch datasets"),
}
_USAGE = "\n".join(
    [
        "usage: kerazoo COMMAND ...",
        "",
        "Language models from n-grams to GPT under one contract.",
        "",
    ]
    + [f"  {name:<10}{what}" for name, (_, what) in COMMANDS.items()]
    + ["", "`kerazoo COMMAND --help` lists a command's options. --debug shows tracebacks."]
)


def main() -> None:
    """Run the console script `kerazoo`."""
    run(_dispatch)


def _dispatch(arguments: Sequence[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_USAGE)
        return
    if arguments[0] == "--version":
        from . import __version__

        print(f"kerazoo {__version__}")
        return
    name, *rest = arguments
    if name not in COMMANDS:
        raise InputError(
            f"there is no command '{name}'; the commands are {', '.join(COMMANDS)}"
            f"{did_you_mean(name, COMMANDS)}"
        )
    importlib.import_module(COMMANDS[name][0]).main(rest)


class Terminated(KeyboardInterrupt):
    """The process was asked to end, by `kill` or a job scheduler: as by Ctrl-C, but SIGTERM."""


def _terminate(*_: object) -> NoReturn:
    raise Terminated


def run(command: Callable[[Sequence[str]], None]) -> NoReturn:
    """Run a command on this process's arguments and exit.

    What the user can mend is told in one sentence, without a traceback, and the exit code is 2; a
    training that had to stop exits with 1. What is interrupted exits as a shell expects it, with
    128 and the number of the signal: 130 after Ctrl-C, 143 after SIGTERM. `--debug` shows
    tracebacks.
    """
    signal.signal(signal.SIGTERM, _terminate)
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    # Pipes of Windows have another encoding, and its files begin with a byte order mark. A file's
    # name may be no text at all.
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(encoding="utf-8-sig")
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        command(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read the output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except KeyboardInterrupt as stop:
        print(f"\nkerazoo: {str(stop) or 'interrupted.'}", file=sys.stderr)
        with contextlib.suppress(OSError):  # of a pipe that nobody reads any more
            sys.stdout.flush()
        # At once: threads of TensorFlow that are still at work may crash while Python is ending.
        os._exit(128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT))
    except Exception as error:
        told = _in_one_sentence(error)
        if told is None or "--debug" in sys.argv:
            raise
        problem, code = told
        print(f"kerazoo: {problem}", file=sys.stderr)
        sys.exit(code)
    sys.exit(0)


def _in_one_sentence(error: Exception) -> tuple[str, int] | None:
    """Return what to tell the user and the exit code; None for what is a mistake of ours."""
    if isinstance(error, InputError):
        return str(error), 2
    if isinstance(error, TrainingStopped):
        return str(error), 1
    if "No space left on device" in str(error):  # TensorFlow has exception types of its own
        where = getattr(error, "filename", None)
        return (
            f"the disk is full{f' (writing {where})' if where else ''}; make room, then repeat the "
            "command, a training with --resume. Nothing that was saved before is lost."
        ), 2
    if isinstance(error, UnicodeDecodeError):
        return "the input is not UTF-8 text; save it as UTF-8 in an editor, or use iconv.", 2
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        hint = ""
        if isinstance(error, PermissionError) and ".cache" in str(error.filename):
            hint = " Another folder for the cache can be named in KERAZOO_HOME."
        return f"{error.strerror}{where}.{hint}", 2
    return None


def parse(
    options: type[Options] | Options, arguments: Sequence[str], name: str, description: str
) -> Options:
    """Make a dataclass from command-line arguments, or print its `--help`.

    Args:
        options: a dataclass with a docstring below each field, or an instance that has the
            defaults.
        arguments: what came after the command's name.
        name: the command's name, such as "evaluate files", for the help.
        description: what the command does, for the help.

    Raises:
        InputError: if an argument is unknown or its value not allowed.
    """
    import tyro

    kind = options if isinstance(options, type) else type(options)
    default = {} if isinstance(options, type) else {"default": options}
    # tyro tells errors in a box of several lines; ours are one sentence.
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            return tyro.cli(
                kind,
                prog=command(*name.split()),
                description=description,
                args=list(arguments),
                config=(tyro.conf.AvoidSubcommands,),
                **default,
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise InputError(_unboxed(told.getvalue())) from None


def _unboxed(box: str) -> str:
    """Turn tyro's error box into a sentence: its message, and the option that it points to."""
    lines = [line.strip(" │") for line in box.splitlines() if line.startswith("│")]
    rules = [n for n, line in enumerate(lines) if set(line) <= {"─"}] + [len(lines)]
    sentence = " ".join(lines[: rules[0]]).strip().rstrip(".")
    # "Error parsing train: " comes before our own sentences, which name the option.
    sentence = re.sub(r"^Error parsing (\w+: )?", "", sentence)
    option = next((line for line in lines[rules[0] :] if line.startswith("--")), None)
    if option is None:
        return f"{sentence or box.strip()}."
    hint = "did you mean" if "Unrecognized" in sentence else "the option is"
    return f"{sentence}; {hint} {option}?" if "did you" in hint else f"{sentence}; {hint} {option}."
