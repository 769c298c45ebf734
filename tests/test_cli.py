import subprocess
import sys
from pathlib import Path

import pytest

from kerazoo import cli
from kerazoo.data import command
from kerazoo.data.datasets import DATASETS
from kerazoo.errors import InputError, TrainingStopped

ROOT = Path(__file__).parents[1]


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_importing_kerazoo_and_keras_is_quiet():
    outcome = python("import kerazoo, keras; keras.ops.ones(3)")
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "", "")


def test_tensorflow_can_be_imported_without_standard_error():
    code = "import sys; sys.stderr = None; import kerazoo, tensorflow; print('imported')"
    assert python(code).stdout == "imported\n"


def test_a_message_that_is_not_chatter_is_passed_on():
    code = "import kerazoo.startup as s, os\nwith s._without_chatter(): os.write(2, b'%s')"
    assert python(code % "something else\\n").stderr == "something else\n"
    assert python(code % "I0000 00:00:1.5 12 port.cc:153] oneDNN is on\\n").stderr == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["data", "list"],
        ["train"],
        ["train", "gpt-nano", "--help"],
        ["train", "gpt-non"],
        ["generate", "--help"],
        ["generate", "no-such-run"],
        ["evaluate", "--help"],
        ["evaluate", "no-such-run"],
    ],
)
def test_help_and_mistakes_do_not_wait_for_tensorflow(arguments):
    slow = {"tensorflow", "keras", "keras_nlp", "scipy", "sklearn", "matplotlib"}
    outcome = python(
        "import sys, atexit\n"
        f"sys.argv = ['kerazoo', *{arguments}]\n"
        f"atexit.register(lambda: print('imported:', *sorted({slow} & set(sys.modules))))\n"
        "import kerazoo.cli\n"
        "kerazoo.cli.main()"
    )
    assert outcome.stdout.splitlines()[-1].strip() == "imported:"
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize(
    ("error", "told", "code"),
    [
        (InputError("wrong."), "kerazoo: wrong.\n", 2),
        (TrainingStopped("NaN."), "kerazoo: NaN.\n", 1),
        (PermissionError(13, "Permission denied", "x"), "kerazoo: Permission denied: x.\n", 2),
        (OSError(28, "No space left on device", "x"), "kerazoo: the disk is full (writing x)", 2),
    ],
)
def test_an_error_is_one_sentence_and_an_exit_code(error, told, code, capsys, monkeypatch):
    def fail(arguments):
        raise error

    monkeypatch.setattr("sys.argv", ["kerazoo"])
    with pytest.raises(SystemExit) as stop:
        cli.run(fail)
    assert stop.value.code == code
    printed = capsys.readouterr().err
    assert printed.startswith(told)
    assert printed.count("\n") == 1


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_an_interruption_is_one_sentence_and_the_exit_code_of_its_signal(name, code):
    outcome = python(
        "import signal, kerazoo.cli\n"
        # What runs in the background is started without it.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"kerazoo.cli.run(lambda arguments: signal.raise_signal(signal.{name}))"
    )
    assert (outcome.returncode, outcome.stderr) == (code, "\nkerazoo: interrupted.\n")


def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch):
    def fail(arguments):
        raise ZeroDivisionError

    monkeypatch.setattr("sys.argv", ["kerazoo"])
    with pytest.raises(ZeroDivisionError):
        cli.run(fail)


def test_debug_shows_the_traceback_of_any_error(monkeypatch):
    def fail(arguments):
        assert arguments == ["x"]
        raise InputError("wrong.")

    monkeypatch.setattr("sys.argv", ["kerazoo", "--debug", "x"])
    with pytest.raises(InputError):
        cli.run(fail)


def test_a_reader_that_has_gone_is_no_error():
    outcome = subprocess.run(
        f"{sys.executable} {ROOT / 'train.py'} | head -c 1", shell=True, capture_output=True
    )
    assert outcome.stderr == b""


def test_an_unknown_command_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="did you mean 'generate'"):
        cli._dispatch(["generat"])


def test_the_root_scripts_are_the_commands():
    for name in ("train", "generate", "evaluate"):
        outcome = subprocess.run(
            [sys.executable, str(ROOT / f"{name}.py"), "--help"], capture_output=True, text=True
        )
        assert outcome.returncode == 0
        assert name in outcome.stdout


def test_datasets_are_listed_and_shown(capsys):
    command.main(["list"])
    listed = capsys.readouterr().out
    assert all(name in listed for name in DATASETS)
    command.main(["show", "pydoc"])
    assert "PSF-2.0" in capsys.readouterr().out
    command.main(["fetch", "pydoc"])
    assert "pydoc: train " in capsys.readouterr().out


def test_records_are_counted_and_shown(capsys, mirror):
    command.main(["fetch", "sst-2"])
    assert "sst-2: train 6,920 examples, validation 872 examples" in capsys.readouterr().out
    command.main(["show", "sst-2"])
    shown = capsys.readouterr().out
    for part in ("labels", "test examples", "1,821", "a stirring , funny", "positive"):
        assert part in shown


@pytest.mark.parametrize("arguments", [[], ["--help"], ["list", "--help"], ["show", "-h"]])
def test_the_commands_of_data_tell_how_they_are_used(arguments, capsys):
    command.main(arguments)
    assert capsys.readouterr().out.startswith("usage: kerazoo data list  ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shwo"], "did you mean 'show'"),
        (["show"], "needs a name"),
        (["list", "trec"], "takes no name; `kerazoo data show trec` does"),
        (["show", "shakspeare"], "did you mean 'shakespeare'"),
    ],
)
def test_wrong_data_commands_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        command.main(arguments)


def test_input_that_is_no_utf_8_is_told_in_one_sentence():
    with pytest.raises(UnicodeDecodeError) as caught:
        b"caf\xe9".decode("utf-8")
    assert cli._in_one_sentence(caught.value) == (
        "the input is not UTF-8 text; save it as UTF-8 in an editor, or use iconv.",
        2,
    )
