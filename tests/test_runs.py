"""Runs that have not ended, and runs that go on, as they were or with other settings."""

import csv
import functools
import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kerazoo import generate, run_folder, runs
from kerazoo.chosen_runs import chosen
from kerazoo.data.datasets import DataConfig
from kerazoo.errors import InputError, TrainingStopped, quoted
from kerazoo.models import recurrence
from kerazoo.models.configs import GPTConfig, NGramConfig, RNNConfig
from kerazoo.models.rnn import RNN
from kerazoo.recipe import Recipe
from kerazoo.tasks.configs import TaggingConfig
from kerazoo.train import train
from kerazoo.training import checkpoints
from kerazoo.training.config import TrainConfig

pytestmark = pytest.mark.usefixtures("without_xla", "without_samples")

ROOT = Path(__file__).parents[1]
GPT = GPTConfig(context_length=16, num_layers=1, num_heads=2, width=16)
LSTM = RNNConfig(context_length=16, width=8)


def recipe_of(text, model=GPT, **train_fields):
    fields = {"steps": 4, "validate_every": 2, "batch_size": 4, "xla": "off", **train_fields}
    return Recipe("A test.", model, DataConfig(text=text), TrainConfig(**fields))


def with_other(recipe, **train_fields):
    return replace(recipe, train=replace(recipe.train, **train_fields))


def steps_of(folder):
    with open(folder / "history.csv", newline="") as file:
        return [int(row["step"]) for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def finished(small_text, tmp_path_factory):
    return train(recipe_of(small_text), tmp_path_factory.mktemp("runs") / "finished")


# === Runs that have not ended ===


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_training_says_how_to_go_on_and_can_be_asked(
    number, code, small_text, tmp_path
):
    folder = tmp_path / "my run"
    command = [sys.executable, str(ROOT / "train.py"), "gpt-nano", "--out", str(folder)]
    command += ["--data.text", str(small_text), "--train.steps", "100000", "--train.xla", "off"]
    command += ["--train.validate-every", "20", "--model.num-layers", "1", "--model.width", "16"]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    # What runs in the background, as tests may, is started deaf to Ctrl-C.
    hear = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, **pipes, preexec_fn=hear)
    try:
        while not list(folder.glob("checkpoints/step-*")):
            assert process.poll() is None, "the training ended before it could be interrupted"
            time.sleep(0.01)
    finally:
        process.send_signal(number)
        _, message = process.communicate()
    assert process.returncode == code
    again = quoted(["python", *command[1:], "--out", folder, "--resume"])
    assert message == f"\nkerazoo: interrupted; `{again}` goes on from the last checkpoint.\n"
    if number == signal.SIGTERM:
        command = [sys.executable, str(ROOT / "generate.py"), str(folder), "the cat"]
        asked = subprocess.run([*command, "--max-tokens", "5"], capture_output=True, text=True)
        assert asked.returncode == 0
        assert asked.stdout.startswith("the cat")
        assert asked.stderr.startswith(f"{folder} has not been trained to its end; this is its be")


def test_of_an_interrupted_training_the_best_model_so_far_is_there(
    small_text, tmp_path, stop_at, capsys
):
    folder, recipe = tmp_path / "run", recipe_of(small_text, LSTM, steps=8, carry_state=True)
    stop_at(4)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, folder)
    capsys.readouterr()
    generate.main([str(folder), "the cat", "--max-tokens", "5"])
    written = capsys.readouterr()
    assert written.out.startswith("the cat")
    assert written.err == (
        f"{folder} has not been trained to its end; this is its best model so far, of step 4.\n"
    )
    assert type(runs.load(folder).model) is RNN  # without what carried its state

    from_there = replace(with_other(recipe, carry_state=False, steps=2), init=folder)
    assert train(from_there, tmp_path / "after").report["steps"] == 2


def test_a_training_without_a_checkpoint_has_no_model(small_text, tmp_path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints.Checkpoints, "on_epoch_end", stop)
    monkeypatch.setattr("kerazoo.models.ngram.NGram.fit", stop)
    for name, model, fields in (
        ("gpt", GPT, {}),
        ("ngram", NGramConfig(order=2), {"steps": None, "epochs": 1}),
    ):
        settings = TrainConfig(**{"steps": 4, **fields})
        recipe = Recipe("A test.", model, DataConfig(text=small_text), settings)
        with pytest.raises(KeyboardInterrupt):
            train(recipe, tmp_path / name)
        message = f"{name} has not been trained to its end; go on with the command that began it, "
        message += f"and add --out {tmp_path / name} --resume."
        with pytest.raises(InputError, match=message):
            runs.load(tmp_path / name)


def test_a_training_that_became_nan_can_be_asked_and_goes_on_at_a_lower_rate(
    finished, tmp_path, capsys
):
    folder, recipe = tmp_path / "run", with_other(finished.recipe, steps=8)
    shutil.copytree(finished.folder, folder)
    with pytest.raises(TrainingStopped, match="go on with --resume --train.clip-norm 1. The last"):
        train(with_other(recipe, learning_rate=1e30, clip_norm=0.0), folder, resume=True)
    assert runs.load(folder).generate("the cat", 5).startswith("the cat")
    told = capsys.readouterr()
    assert "\nFrom step 4 on: --train.steps 8 instead of 4, --train.learning-rate 1e+30" in told.out
    assert "this is its best model so far, of step 4." in told.err

    run = train(recipe, folder, resume=True)
    assert steps_of(folder) == [2, 4, 6, 8]
    assert run.report["best_step"] == 8


# === Going on with other settings ===


def test_a_run_that_has_ended_goes_on_for_a_greater_length(small_text, tmp_path, stop_at, capsys):
    constant = {"final_learning_rate": 1.0, "warmup": 0.0}
    folder, recipe = tmp_path / "run", recipe_of(small_text, **constant)
    train(recipe, folder)
    recipe = with_other(recipe, steps=8)
    stop_at(6)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, folder, resume=True)
    stop_at(None)
    assert "From step 4 on: --train.steps 8 instead of 4.\n" in capsys.readouterr().out
    config = json.loads((folder / "config.json").read_text())
    assert config["changes"] == [{"step": 4, "train.steps": [4, 8]}]
    with pytest.raises(InputError, match="run has not been trained to its end; go on with the com"):
        chosen([folder], need_data=False)

    run, whole = train(recipe, folder, resume=True), train(recipe, tmp_path / "whole")
    assert steps_of(folder) == [2, 4, 6, 8]
    assert run.report["validation"] == whole.report["validation"]
    for one, other in zip(run.model.get_weights(), whole.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    (again,) = chosen([folder], need_data=False)
    assert again.recipe == recipe


def test_validations_at_other_steps_do_not_lengthen_the_training(finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "run")
    recipe = with_other(finished.recipe, steps=9, validate_every=3)
    assert train(recipe, tmp_path / "run", resume=True).report["steps"] == 9
    assert steps_of(tmp_path / "run") == [2, 4, 7, 9]


def test_a_run_goes_on_in_another_precision(small_text, tmp_path):
    recipe = recipe_of(small_text, LSTM, steps=2, carry_state=True, precision="bfloat16")
    train(recipe, tmp_path / "run")
    recipe = with_other(recipe, steps=4, precision="float32")
    run = train(recipe, tmp_path / "run", resume=True)
    assert runs.load(run.folder).model.compute_dtype == "float32"
    assert steps_of(tmp_path / "run") == [2, 4]


def test_a_run_goes_on_where_it_and_all_that_it_needs_has_been_moved_to(
    small_text, tmp_path, stop_at, capsys
):
    def recipe_in(place):
        data = DataConfig(text=place / "a.txt", validation=place / "b.txt")
        return replace(recipe_of(small_text), data=data, init=place / "pretrained")

    old, new, counting = tmp_path / "old", tmp_path / "new", NGramConfig(order=2)
    old.mkdir()
    for name in ("a.txt", "b.txt"):
        shutil.copy(small_text, old / name)
    train(recipe_of(small_text, steps=2), old / "pretrained")
    counts = replace(recipe_in(old), model=counting, train=TrainConfig(epochs=1), init=None)
    train(counts, old / "counts")
    stop_at(2)
    with pytest.raises(KeyboardInterrupt):
        train(recipe_in(old), old / "run")
    stop_at(None)
    old.rename(new)
    capsys.readouterr()
    assert train(recipe_in(new), new / "run", resume=True).report["steps"] == 4
    assert (
        f"From step 2 on: --data.text {new / 'a.txt'} instead of {old / 'a.txt'}, --data.val"
        in (capsys.readouterr().out)
    )
    assert runs.read_recipe(new / "run").data == recipe_in(new).data
    counts = replace(counts, data=recipe_in(new).data)
    train(counts, new / "counts", resume=True)
    assert "has already ended" in capsys.readouterr().out

    longer = with_other(recipe_in(new), steps=6)
    shutil.copytree(new / "pretrained", new / "another")
    with pytest.raises(InputError, match="--init .*pretrained, not .*another; resume it as it was"):
        train(replace(longer, init=new / "another"), new / "run", resume=True)
    (new / "c.txt").write_text(small_text.read_text()[:-1])
    for changed in ({"text": new / "c.txt"}, {"validation": new / "c.txt"}):
        other = replace(longer, data=replace(longer.data, **changed))
        with pytest.raises(InputError, match="is not what it was when the run began"):
            train(other, new / "run", resume=True)
    other = replace(recipe_in(new), data=DataConfig(text=new / "c.txt", validation=new / "b.txt"))
    with pytest.raises(InputError, match="nothing left to do"):
        train(other, new / "run", resume=True)
    assert run_folder.has_ended(new / "run")


def test_a_run_that_has_begun_does_not_need_the_pretrained_one_any_more(
    small_text, tmp_path, stop_at
):
    recipe = replace(recipe_of(small_text, steps=4), init=tmp_path / "pretrained")
    train(recipe_of(small_text, steps=2), tmp_path / "pretrained")
    expected = train(recipe, tmp_path / "without a break")
    stop_at(2)
    for name, settings in {"run": {}, "frozen": {"frozen": 1}}.items():
        with pytest.raises(KeyboardInterrupt):
            train(with_other(recipe, **settings), tmp_path / name)
    stop_at(None)
    shutil.rmtree(tmp_path / "pretrained")
    run = train(recipe, tmp_path / "run", resume=True)
    assert run.report["validation"] == expected.report["validation"]
    assert train(recipe, tmp_path / "run", resume=True).report == run.report
    with pytest.raises(InputError, match="no run folder.*pretrained"):
        train(with_other(recipe, frozen=1), tmp_path / "frozen", resume=True)
    with pytest.raises(InputError, match="no run folder.*pretrained"):
        train(recipe, tmp_path / "another", resume=True)
    tagger = replace(with_other(recipe, frozen=1), task=TaggingConfig())
    (tmp_path / "tagger" / "checkpoints" / "step-1").mkdir(parents=True)
    shutil.copy(tmp_path / "run" / "config.json", tmp_path / "tagger")
    assert run_folder.has_outlived_its_init(tmp_path / "tagger", tagger)  # it has a head


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"batch_size": 5}, "--train.batch-size 4, not 5; resume it as it was begun"),
        ({"steps": 3}, "--train.steps 4, not 3"),
        ({"steps": None, "minutes": 1}, "--train.steps 4, not None"),
        ({"precision": "float16"}, "--train.precision float32, not float16"),
        ({"learning_rate": 1e-4}, "has ended, and there is nothing left to do with what is given"),
    ],
)
def test_other_changes_are_refused_by_name(fields, message, finished):
    before = (finished.folder / "config.json").read_text()
    with pytest.raises(InputError, match=message):
        train(with_other(finished.recipe, **fields), finished.folder, resume=True)
    assert (finished.folder / "config.json").read_text() == before
    assert run_folder.has_ended(finished.folder)


def test_a_run_that_has_ended_without_checkpoints_does_not_begin_anew(finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    with pytest.raises(InputError, match="without its checkpoints it cannot go on; begin a new ru"):
        train(with_other(finished.recipe, steps=8), tmp_path / "run", resume=True)
    assert run_folder.has_ended(tmp_path / "run")


# === What a run computes on ===


def test_a_training_says_and_records_what_it_computes_on(finished, tmp_path, monkeypatch, capsys):
    assert bool(run_folder.gpus()) == recurrence.has_gpu()
    folder, warning = tmp_path / "run", "The run was begun on the GPU NVIDIA X, and here is none.\n"
    shutil.copytree(finished.folder, folder)
    config = json.loads((folder / "config.json").read_text())
    assert config["environment"]["gpus"] == run_folder.gpus()
    config["environment"]["gpus"] = ["NVIDIA X"]
    (folder / "config.json").write_text(json.dumps(config))
    for found, where in (([], "the CPU"), (["NVIDIA Y"], "the GPU NVIDIA Y")):
        (folder / "report.json").unlink()
        monkeypatch.setattr(run_folder, "gpus", lambda found=found: found)
        train(finished.recipe, folder, resume=True)
        told = capsys.readouterr().out
        assert f"tokens, in {folder}, on {where}\n" in told
        assert (warning in told) == (not found)
