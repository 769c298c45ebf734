"""Training from end to end: real text, real processes."""

import csv
import gc
import os
import shutil
import signal
import subprocess
import sys
import time
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import kerazoo
from kerazoo import recipes, run_folder, runs, train_options
from kerazoo import train as train_module
from kerazoo.data.datasets import DataConfig
from kerazoo.errors import InputError, TrainingStopped, quoted
from kerazoo.evaluate import evaluate
from kerazoo.evaluate import main as evaluate_runs
from kerazoo.models import families, recurrence
from kerazoo.models.configs import GPTConfig, NGramConfig, RNNConfig
from kerazoo.recipe import Recipe
from kerazoo.tasks.configs import ClassificationConfig
from kerazoo.tasks.language_modeling import LanguageModeling
from kerazoo.train import main, train
from kerazoo.training import checkpoints
from kerazoo.training.config import TrainConfig

pytestmark = pytest.mark.usefixtures("without_xla", "without_samples")

ROOT = Path(__file__).parents[1]
# The same training as options and as a recipe: small, with dropout, so that chance has a part.
MODEL = {"context_length": 16, "num_layers": 1, "num_heads": 2, "width": 16, "dropout": 0.1}
TRAIN = {"steps": 60, "validate_every": 20, "batch_size": 4, "xla": "off", "learning_rate": 3e-3}


def small_recipe(text, **train_fields):
    return Recipe(
        "A test.",
        GPTConfig(**MODEL),
        DataConfig(text=text),
        TrainConfig(**{**TRAIN, **train_fields}),
    )


def as_options(prefix, fields):
    for name, value in fields.items():
        yield from (f"--{prefix}.{name.replace('_', '-')}", str(value))


def all_weights(folder):
    model = kerazoo.load_model(folder / "checkpoints" / "step-00000060" / "model.keras")
    return model.get_weights()


@pytest.fixture(scope="module")
def finished(small_text, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "finished"
    return train(small_recipe(small_text), folder, "a-test")


def test_a_run_folder_holds_all_that_the_training_made(finished):
    names = {path.name for path in finished.folder.iterdir()}
    assert names == {
        "config.json",
        "tokenizer.json",
        "model.keras",
        "history.csv",
        "report.json",
        "samples.txt",
        "README.md",
        "tensorboard",
        "checkpoints",
    }


def test_the_history_has_a_row_for_each_validation(finished):
    with open(finished.folder / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [20, 40, 60]
    losses = [float(row["val_loss"]) for row in rows]
    assert losses == sorted(losses, reverse=True)


def test_a_run_loads_with_its_tokenizer_and_scores_as_reported(finished):
    from kerazoo.data.batches import tokenize
    from kerazoo.data.datasets import load
    from kerazoo.tasks.language_modeling import score

    run = kerazoo.load(finished.folder)
    assert run.recipe == finished.recipe
    tokens = tokenize(load(run.recipe.data).validation, run.tokenizer)
    result = score(run.model, tokens, stride=16)
    assert result.loss == pytest.approx(run.report["validation"]["loss"], rel=1e-5)
    assert result.loss < np.log(run.tokenizer.vocab_size)


def test_the_model_file_has_no_optimizer_in_it(finished):
    run = kerazoo.load(finished.folder)
    assert getattr(run.model, "optimizer", None) is None
    with_it = finished.folder / "checkpoints" / "best.keras"
    assert (finished.folder / "model.keras").stat().st_size < 0.7 * with_it.stat().st_size


def test_the_model_card_tells_data_licence_size_and_score(finished):
    card = (finished.folder / "README.md").read_text()
    report = finished.report
    for part in ("a-test", "your own text", f"{report['parameters']:,}", "bits per byte", "Limits"):
        assert part in card


def test_a_killed_training_resumes_to_the_same_weights(finished, small_text, tmp_path):
    folder = tmp_path / "killed"
    command = [sys.executable, str(ROOT / "train.py"), "gpt-nano", "--out", str(folder)]
    command += ["--data.text", str(small_text), "--model.use-bias", "--train.seed", "0"]
    command += [*as_options("model", MODEL), *as_options("train", TRAIN)]
    command += ["--train.final-learning-rate", "0.1", "--train.warmup", "0.05"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while not list(folder.glob("checkpoints/step-*")):
            assert process.poll() is None, "the training ended before it could be killed"
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (folder / "model.keras").exists()

    recipe = runs.read_recipe(folder)
    assert recipe.train == finished.recipe.train
    run = train(recipe, folder, resume=True)
    for resumed, uninterrupted in zip(
        all_weights(folder), all_weights(finished.folder), strict=True
    ):
        np.testing.assert_array_equal(resumed, uninterrupted)
    assert run.report["validation"] == finished.report["validation"]
    with open(folder / "history.csv", newline="") as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == [20, 40, 60]


def test_a_training_that_xla_compiles_resumes_to_the_same_weights(small_text, tmp_path, stop_at):
    recipe = small_recipe(small_text, xla="on")
    train(recipe, tmp_path / "whole")
    stop_at(20)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "run")
    stop_at(None)
    train(recipe, tmp_path / "run", resume=True)
    for resumed, uninterrupted in zip(
        all_weights(tmp_path / "run"), all_weights(tmp_path / "whole"), strict=True
    ):
        np.testing.assert_array_equal(resumed, uninterrupted)


def test_a_carried_state_resumes_to_the_same_weights_in_the_middle_of_a_pass(
    small_text, tmp_path, monkeypatch
):
    (tmp_path / "text.txt").write_text(small_text.read_text()[:2400])  # 33 steps a pass
    model = RNNConfig(context_length=16, width=8, num_layers=2, dropout=0.1)
    recipe = small_recipe(tmp_path / "text.txt")
    recipe = replace(recipe, model=model, train=replace(recipe.train, carry_state=True))
    whole = train(recipe, tmp_path / "whole")

    save = checkpoints.Checkpoints.on_epoch_end

    def save_and_stop(self, *args):
        save(self, *args)
        if self.state.step == 40:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints.Checkpoints, "on_epoch_end", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "stopped")
    monkeypatch.undo()
    resumed = train(recipe, tmp_path / "stopped", resume=True)
    for one, other in zip(
        all_weights(tmp_path / "whole"), all_weights(tmp_path / "stopped"), strict=True
    ):
        np.testing.assert_array_equal(one, other)
    assert resumed.report["validation"] == whole.report["validation"]
    assert type(resumed.model) is type(kerazoo.load(tmp_path / "whole").model)


@pytest.mark.parametrize("size", ["small", "large"])
def test_the_settings_of_zaremba_train_on_any_text(size, small_text, tmp_path):
    recipe = recipes.find(f"lstm-ptb-{size}")
    # The text has 18 words where the settings expect 10,000, so the gradients are far longer.
    rate = recipe.train.learning_rate / 10
    recipe = replace(
        recipe,
        model=replace(recipe.model, width=32),
        data=DataConfig(text=small_text, tokenizer="word", vocab_size=10_000),
        train=replace(recipe.train, epochs=None, steps=40, validate_every=20, learning_rate=rate),
    )
    run = train(recipe, tmp_path / "run")
    assert run.report["validation"]["loss"] < np.log(run.tokenizer.vocab_size)
    assert run.report["validation"]["bits_per_byte"] is not None


def test_only_a_recurrent_model_carries_a_state(small_text):
    with pytest.raises(InputError, match="--train.carry-state needs a recurrent model"):
        small_recipe(small_text, carry_state=True)
    with pytest.raises(InputError, match="classification has examples that stand alone"):
        Recipe(
            "A test.",
            RNNConfig(),
            DataConfig(),
            TrainConfig(steps=1, carry_state=True),
            ClassificationConfig(),
        )


def test_a_state_is_carried_in_half_precision_with_a_scaled_loss():
    settings = TrainConfig(steps=1, carry_state=True, precision="float16")
    model = families.build(RNNConfig(vocab_size=7, width=8), settings.policy)
    learner = LanguageModeling(None, model.config, settings, None).learner(model)
    learner.compile("adam", "mse")
    assert learner.optimizer.name == "loss_scale_optimizer"


def test_resuming_what_has_ended_changes_nothing(finished, small_text, capsys):
    before = (finished.folder / "model.keras").read_bytes()
    train(small_recipe(small_text), finished.folder, resume=True)
    assert "already ended" in capsys.readouterr().out
    assert (finished.folder / "model.keras").read_bytes() == before


def test_a_taken_folder_is_refused(finished, small_text, tmp_path):
    with pytest.raises(InputError, match="already holds a run"):
        train(small_recipe(small_text), finished.folder)
    with pytest.raises(InputError, match="--train.seed 0, not 1"):
        train(small_recipe(small_text, seed=1), finished.folder, resume=True)
    (tmp_path / "thesis.tex").write_text("my only copy")
    with pytest.raises(InputError, match="exists and is no run folder"):
        train(small_recipe(small_text), tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "my only copy"


def test_resuming_on_a_changed_text_is_refused(small_text, tmp_path):
    text = tmp_path / "text.txt"
    shutil.copy(small_text, text)
    train(small_recipe(text, steps=2, validate_every=2), tmp_path / "run")
    (tmp_path / "run" / "report.json").unlink()
    text.write_text(text.read_text() + "the cat sees the cat.\n")
    with pytest.raises(InputError, match="is not what it was when the run began"):
        train(small_recipe(text, steps=2, validate_every=2), tmp_path / "run", resume=True)


def test_nan_stops_the_training_with_step_and_cause(small_text, tmp_path):
    recipe = small_recipe(
        small_text,
        optimizer="sgd",
        learning_rate=1e12,  # after a while too much
        clip_norm=0.0,
        warmup=0.7,
        steps=30,
        validate_every=1,
    )
    with pytest.raises(TrainingStopped, match=r"at step \d+; the likely cause is a gradient too"):
        train(recipe, tmp_path / "run")
    assert checkpoints.read_state(tmp_path / "run").step > 0
    (last,) = (tmp_path / "run" / "checkpoints").glob("step-*")  # which --resume goes on from
    for path in (checkpoints.best(tmp_path / "run"), last / "model.keras"):
        weights = kerazoo.load_model(path).get_weights()
        assert all(np.isfinite(weight).all() for weight in weights)


def test_a_training_on_the_clock_ends_with_the_minute_and_its_learning_rate(small_text, tmp_path):
    recipe = small_recipe(small_text, steps=None, minutes=0.1, validate_every=10_000)
    run = train(recipe, tmp_path / "run")
    assert 6 <= run.report["seconds"] < 12  # of which a busy machine compiles for some
    with open(run.folder / "history.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert 3e-4 <= float(row["learning_rate"]) < 1.5e-3  # on its way from 3e-3 down to 3e-4


def test_an_epoch_is_a_pass_over_the_training_text(small_text, tmp_path):
    run = train(small_recipe(small_text, steps=None, epochs=0.1), tmp_path / "run")
    tokens = small_text.stat().st_size * 0.9
    assert run.report["steps"] == int(np.ceil(0.1 * tokens / (4 * 16)))


def test_half_precision_trains_and_keeps_its_policy(small_text, tmp_path):
    run = train(small_recipe(small_text, precision="bfloat16", steps=20), tmp_path / "run")
    loaded = kerazoo.load(run.folder)
    assert loaded.model.compute_dtype == "bfloat16"
    assert loaded.report["validation"]["loss"] < np.log(run.tokenizer.vocab_size)


def test_a_clock_that_runs_out_within_an_accumulated_step_waits_for_its_end(small_text, tmp_path):
    recipe = small_recipe(small_text, steps=None, minutes=1e-9, accumulate=4, validate_every=100)
    steps = []
    for _ in range(2):  # each goes on until the first look at the clock, after ten parts of a step
        run = train(recipe, tmp_path / "run", resume=True)
        steps.append(run.report["steps"])
        longer = checkpoints.read_state(tmp_path / "run").seconds / 60 + 1e-6
        recipe = replace(recipe, train=replace(recipe.train, minutes=longer))
    assert steps == [5, 10]


def test_accumulation_counts_steps_and_resumes_like_whole_batches(small_text, tmp_path):
    run = train(small_recipe(small_text, accumulate=2, steps=6, validate_every=3), tmp_path / "a")
    assert run.report["steps"] == 6
    whole = train(small_recipe(small_text, steps=6, validate_every=3), tmp_path / "b")
    # Dropout draws otherwise in two halves, so the two runs are alike and not the same.
    assert run.report["validation"]["loss"] == pytest.approx(
        whole.report["validation"]["loss"], abs=0.1
    )
    rates = []
    for made in (run, whole):
        with open(made.folder / "history.csv", newline="") as file:
            rates.append([float(row["learning_rate"]) for row in csv.DictReader(file)])
    assert rates[0] == pytest.approx(rates[1])


def test_two_trainings_do_not_share_a_folder(finished, small_text, tmp_path, monkeypatch):
    """Both looked before the other had begun."""
    shutil.copytree(finished.folder, tmp_path / "run")
    before = (tmp_path / "run/config.json").read_text()
    monkeypatch.setattr(run_folder, "check_free", lambda *_: None)
    (tmp_path / "run/report.json").unlink()
    with pytest.raises(InputError, match="another training has begun in .*run in the meantime"):
        train(small_recipe(small_text, seed=1), tmp_path / "run")
    assert (tmp_path / "run/config.json").read_text() == before


def test_two_processes_do_not_train_one_run(finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "run")
    (tmp_path / "run/report.json").unlink()
    with (
        run_folder.alone(tmp_path / "run"),
        pytest.raises(InputError, match="another process is training the run in .*run; wait"),
    ):
        train(finished.recipe, tmp_path / "run", resume=True)
    again = train(finished.recipe, tmp_path / "run", "a-test", resume=True)
    assert again.report == finished.report


def test_a_run_is_not_resumed_on_another_backend(finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "run")
    (tmp_path / "run/report.json").unlink()
    config = tmp_path / "run/config.json"
    config.write_text(config.read_text().replace('"backend": "tensorflow"', '"backend": "jax"'))
    with pytest.raises(InputError, match="was begun on jax, and this is tensorflow; set KERAS_BA"):
        train(finished.recipe, tmp_path / "run", resume=True)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_xla_does_not_compile_what_cudnn_computes(cell, small_text, tmp_path, monkeypatch):
    monkeypatch.setattr(recurrence, "has_gpu", lambda: True)
    recipe = replace(small_recipe(small_text, xla="on"), model=RNNConfig(width=8, cell=cell))
    with pytest.raises(InputError, match=f"--train.xla on cannot compile the {cell.upper()} of th"):
        train(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_large_model_takes_more_batches_at_a_time_on_a_gpu(monkeypatch):
    settings = TrainConfig(steps=100, validate_every=10, batch_size=16)
    numbers = []
    for found in (False, True):
        monkeypatch.setattr(recurrence, "has_gpu", lambda found=found: found)
        numbers.append(train_module._batches_per_call(settings, 100, 256, 10_000_000))
    assert numbers == [1, 10]


def test_the_pretrained_model_is_gone_when_the_training_begins(
    finished, small_text, tmp_path, monkeypatch
):
    models, load = [], runs.load

    def load_and_watch(folder):
        run = load(folder)
        models.append(weakref.ref(run.model))
        return run

    def begin(_):
        gc.collect()
        assert [model() for model in models] == [None]
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "load", load_and_watch)
    monkeypatch.setattr(train_module.Experiment, "begin", begin)
    with pytest.raises(KeyboardInterrupt):
        train(replace(small_recipe(small_text), init=finished.folder), tmp_path / "run")


def test_a_run_of_another_family_is_not_resumed(finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "run")
    recipe = replace(finished.recipe, model=RNNConfig(context_length=16, width=8))
    with pytest.raises(InputError, match="a model of the family gpt, and this recipe one of rnn"):
        train(recipe, tmp_path / "run", resume=True)


def test_what_a_killed_process_leaves_is_no_obstacle(small_text, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "tokenizer.json").write_text("{half")
    (folder / ".0123456789abcdef-config.json").write_text("{half")
    with pytest.raises(InputError, match="is no run folder"):
        train(small_recipe(small_text, steps=20), folder)
    assert train(small_recipe(small_text, steps=20), folder, resume=True).report["steps"] == 20


@pytest.mark.parametrize("kind", ["byte", "wordpiece", "unigram"])
def test_tokenizers_train_and_a_lossy_one_has_no_bits_per_byte(small_text, tmp_path, kind):
    recipe = replace(
        small_recipe(small_text, steps=4, validate_every=4),
        model=RNNConfig(context_length=16, width=8),
        data=DataConfig(text=small_text, tokenizer=kind, vocab_size=300),
    )
    score = train(recipe, tmp_path / "run").report["validation"]
    assert np.isfinite(score["loss"])
    assert (score["bits_per_byte"] is None) == (kind == "wordpiece")


def counting_recipe(text, **train_fields):
    return Recipe(
        "A test.",
        NGramConfig(order=4),
        DataConfig(text=text),
        TrainConfig(**{"epochs": 1, **train_fields}),
    )


def test_a_model_that_counts_is_trained_kept_and_scored_like_any_other(small_text, tmp_path):
    run = train(counting_recipe(small_text), tmp_path / "run")
    assert {path.name for path in run.folder.iterdir()} == {
        "config.json",
        "tokenizer.json",
        "model.npz",
        "history.csv",
        "report.json",
        "samples.txt",
        "README.md",
    }
    again = kerazoo.load(run.folder)
    assert again.recipe == run.recipe
    assert evaluate(again)["bits/byte"] == pytest.approx(evaluate(run)["bits/byte"])
    assert evaluate(again)["bits/byte"] < 0.8  # of a toy grammar
    assert again.generate("the cat ", 20).startswith("the cat ")
    with open(run.folder / "history.csv", newline="") as file:
        (row,) = csv.DictReader(file)
    assert float(row["val_bits_per_byte"]) < 0.8


def test_an_infinite_loss_is_no_number_in_json(small_text, tmp_path):
    counted = counting_recipe(small_text)
    certain = replace(counted.model, order=40, smoothing="maximum-likelihood")
    run = train(replace(counted, model=certain), tmp_path / "run")
    assert kerazoo.load(run.folder).report["validation"]["loss"] is None
    scores = tmp_path / "scores.json"
    evaluate_runs([str(run.folder), "--json", str(scores)])
    assert "Infinity" not in scores.read_text()
    assert "Infinity" not in (run.folder / "report.json").read_text()


def test_a_model_that_counts_refuses_a_length(small_text, tmp_path):
    with pytest.raises(InputError, match="reads its text once"):
        train(counting_recipe(small_text, epochs=None, steps=5), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_text_shorter_than_a_window_leaves_nothing_behind(tmp_path):
    (tmp_path / "short.txt").write_text("far too short text")
    with pytest.raises(InputError, match="16 tokens and one window needs 17"):
        train(small_recipe(tmp_path / "short.txt"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_held_out_text_with_nothing_to_predict_leaves_nothing_behind(small_text, tmp_path):
    (tmp_path / "blank.txt").write_text("\n")
    recipe = small_recipe(small_text)
    recipe = replace(recipe, data=replace(recipe.data, validation=tmp_path / "blank.txt"))
    for kind in ("char", "wordpiece"):  # of which it is one token, or none
        recipe = replace(recipe, data=replace(recipe.data, tokenizer=kind))
        with pytest.raises(InputError, match="fewer than two tokens"):
            train(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("what", ["run", "cache"])
def test_a_full_disk_stops_with_a_sentence_and_keeps_the_checkpoint(small_text, tmp_path, what):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=150k", "tmpfs", str(disk)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small file system")
    try:
        out, environment = disk / "run", dict(os.environ)
        if what == "cache":
            text = tmp_path / "text.txt"
            text.write_text(10 * small_text.read_text())
            out, environment["KERAZOO_HOME"] = tmp_path / "run", str(disk)
        command = [sys.executable, str(ROOT / "train.py"), "gpt-nano", "--out", str(out)]
        command += ["--data.text", str(text if what == "cache" else small_text)]
        command += ["--train.steps", "4", "--train.xla", "off"]
        command += ["--model.width", "32", "--model.num-layers", "1"]
        command += ["--train.validate-every", "2"]
        outcome = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert outcome.returncode == 2
        assert outcome.stderr.startswith("kerazoo: the disk is full")
        assert outcome.stderr.count("\n") == 1
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.slow
def test_the_memory_does_not_grow_with_the_text(small_text, tmp_path):
    large = tmp_path / "large.txt"
    lines = small_text.read_text()
    with open(large, "w") as file:
        while file.tell() < 1 << 30:
            file.write(f"chapter {file.tell()}\n{lines}")
    measured = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
    measured += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"

    def peak(text):
        """Return the most memory that a training on the text takes, in MiB."""
        command = [sys.executable, "-c", measured, sys.executable, str(ROOT / "train.py")]
        command += ["gpt-nano", "--data.text", str(text), "--train.steps", "20"]
        command += ["--train.report-tokens", "20000", "--out", str(tmp_path / text.stem)]
        outcome = subprocess.run(command, capture_output=True, text=True, check=True)
        return int(outcome.stdout.splitlines()[-1]) / 1024

    small, of_large = peak(small_text), peak(large)
    print(f"peak memory: {small:.0f} MiB with 20 kB of text, {of_large:.0f} MiB with 1 GiB")
    assert of_large < small + 200
    assert of_large < 2048  # TensorFlow alone takes half of that


def test_a_recipe_with_steps_of_epochs_can_follow_the_clock():
    arguments = ["lstm-ptb-small", "--train.minutes", "1", "--train.schedule", "cosine"]
    recipe, _ = train_options.parsed(arguments)
    assert (recipe.train.minutes, recipe.train.schedule) == (1, "cosine")


@pytest.mark.parametrize(
    "option",
    [
        ["--model-of", "gpt-nano"],
        ["--model_of=gpt-nano"],
        ["--model-of=lstm-trec"] * 2 + ["--model-of=gpt-nano"],
    ],
)
def test_the_model_of_another_recipe_can_take_a_task(option):
    recipe, _ = train_options.parsed(["bert-trec", *option, "--model.num-layers", "2"])
    assert recipe.model == replace(recipes.RECIPES["gpt-nano"].model, num_layers=2)
    assert recipe.description.endswith("(With the model of gpt-nano.)")
    assert (recipe.task, recipe.data) == (
        recipes.RECIPES["bert-trec"].task,
        recipes.RECIPES["bert-trec"].data,
    )


def test_a_model_of_another_recipe_is_checked_with_the_other_options():
    line = ["lstm-ptb-small", "--model-of", "gpt-nano", "--train.no-carry-state"]
    assert not train_options.parsed(line)[0].train.carry_state
    counting, _ = train_options.parsed(["gpt-names", "--model-of", "ngram-shakespeare"])
    assert counting.train == recipes.RECIPES["ngram-shakespeare"].train
    learning, _ = train_options.parsed(["ngram-shakespeare", "--model-of", "gpt-nano"])
    assert learning.train == recipes.RECIPES["gpt-nano"].train


def test_every_recipe_comes_back_from_json():
    for recipe in recipes.RECIPES.values():
        assert Recipe.from_json(recipe.to_json()) == recipe


@pytest.mark.usefixtures("with_xla")
def test_options_override_the_recipe_and_a_length_replaces_its_length(small_text, tmp_path, capsys):
    arguments = ["lstm-shakespeare", "--data.text", str(small_text), "--model.width", "8"]
    main([*arguments, "--train.steps", "3", "--out", str(tmp_path / "run")])
    recipe = runs.read_recipe(tmp_path / "run")
    assert (recipe.train.steps, recipe.train.minutes, recipe.model.width) == (3, None, 8)
    assert "3 steps" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("script", "generate"),
    [
        ("bin/kerazoo", ["kerazoo", "generate"]),
        (ROOT / "train.py", ["python", ROOT / "generate.py"]),
        ("my/train.py", ["kerazoo", "generate"]),
    ],
)
def test_what_can_be_done_next_is_a_command_as_it_was_started(
    script, generate, small_text, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "argv", [str(script)])
    monkeypatch.chdir(tmp_path)
    main(["ngram-shakespeare", "--data.text", str(small_text), "--out", "my run"])
    ask = quoted([*generate, "my run"])
    assert ask.endswith(('"my run"', "'my run'"))
    assert capsys.readouterr().out.endswith(f"\nTry it: {ask}\n")
    card = Path("my run", "README.md").read_text()
    assert f'\n    {ask} "' in card
    assert "`kerazoo generate` and, in kerazoo's own folder, `python generate.py` do the" in card


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gpt-shakespear"], "no recipe 'gpt-shakespear'.*did you mean 'gpt-shakespeare'"),
        (["bert-trec", "--model.context-length", "2"], r"room for \[CLS\], a token and \[SEP\]"),
        (["lstm-spa", "--model.context-length", "1"], r"room for a token and \[END\]; give at"),
        (
            ["hmm-shakespeare", "--model.context-length", "256", "--train.xla", "on"],
            "--train.xla on cannot train a hidden Markov model on more than 128 tokens at a time, "
            "and --model.context-length is 256; leave --train.xla out, or give at most 128",
        ),
        (["gpt-nano", "--model-of", "gpt-nono"], "no recipe.*did you mean 'gpt-nano'"),
        (["bert-trec", "--model-of", "lstm-spa"], "given the model rnn-seq2seq; it needs one of"),
        (["gpt-nano", "--model.num-heads", "3"], "--model.num-heads 3 does not divide"),
        (["gpt-nano", "--model.num-head", "3"], "--model.num-head.*did you mean --model.num-heads"),
        (["gpt-nano", "--train.steps", "many"], "--train.steps.*'many'"),
        (["gpt-nano", "--train.optimizer", "adan"], "'adan'.*--train.optimizer.*'adamw'"),
        (["gpt-nano", "--train.steps", "1", "--train.minutes", "1"], "is given 2 times"),
        (["gpt-nano", "--model.vocab-size", "7", "--data.name", "pydoc"], "leave --model.vocab"),
        (["gpt-nano", "--data.name", "pidoc"], "did you mean 'pydoc'"),
        (["gpt-nano", "--data.text", "/no/such.txt"], "no file or folder /no/such.txt"),
        (
            ["gpt-nano", "--data.text", "~nobody-here/x"],
            "home folder in ~nobody-here/x is not known",
        ),
        (["lstm-trec", "--data.text", "~nobody-here/x.csv"], "in ~nobody-here/x.csv is not known"),
        (["gpt-nano", "--train.momentum", "0.5"], "--train.momentum would change nothing.*adamw"),
        (["gpt-nano", "--train.decay", "0.9"], "--train.decay would change nothing.*cosine"),
        (["gpt-nano", "--data.vocab-size", "99"], "--data.vocab-size would change nothing.*char"),
        (["gpt-nano", "--init", "r", "--model.width", "8"], "--model.width would change nothing"),
        (["hmm-shakespeare", "--train.precision", "float16"], "--train.precision float16 is for"),
        (["ngram-shakespeare", "--train.seed", "3"], "leave out --train.seed"),
        (["gpt-nano", "--data.name", "names", "--data.text", "x"], "--data.name would change noth"),
        (["gpt-nano", "--train.report-tokens", "1"], "--train.report-tokens is 1.*at least 2"),
        (["gpt-nano", "--train.epochs", "inf"], "--train.epochs is inf"),
        (["lstm-ptb-small", "--train.minutes", "1"], "--train.schedule step counts epochs"),
        (["gpt-nano", "--train.seed", "4294967296"], "--train.seed.*below"),
        (["ngram-shakespeare", "--train.batch-size", "3"], "leave out --train.batch-size"),
        (["ngram-shakespeare", "--model.k", "0.2"], "--model.k would change nothing.*kneser-ney"),
        (["ngram-shakespeare", "--init", "runs/it"], "--init runs/it.*begins anew"),
    ],
)
def test_wrong_options_are_refused_by_name(arguments, message, tmp_path):
    with pytest.raises(InputError, match=f"(?s){message}"):
        main([*arguments, "--out", str(tmp_path / "run")])
    assert not (tmp_path / "run").exists()


def test_without_a_recipe_the_recipes_are_listed(capsys):
    main([])
    listed = capsys.readouterr().out
    assert all(name in listed for name in recipes.RECIPES)


def test_runs_are_numbered_and_the_newest_is_resumed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run_folder.new_folder("gpt") == run_folder.latest_folder("gpt") == Path("runs/gpt")
    for name in ("gpt", "gpt-2", "gpt-10", "gpt-nano", "gpt-3x"):
        Path("runs", name).mkdir(parents=True)
    assert run_folder.new_folder("gpt") == Path("runs/gpt-3")
    assert run_folder.latest_folder("gpt") == Path("runs/gpt-10")


@pytest.mark.parametrize("language", ["", "zh"])
def test_texts_without_spaces_need_their_language(tmp_path, language):
    path = tmp_path / "mine.tsv"
    rows = (f"number {n}\t我有{n}本书。\n" for n in range(20))
    path.write_text("source\ttarget\n" + "".join(rows), encoding="utf-8")
    arguments = ["transformer-cmn", "--data.text", str(path), "--train.steps", "1"]
    recipe, _ = train_options.parsed(arguments)
    recipe = replace(recipe, data=replace(recipe.data, language=language))
    if language:
        train(recipe, tmp_path / "run", "zh")
        return
    with pytest.raises(InputError, match="its language with --data.language, such as zh"):
        train(recipe, tmp_path / "run", "en")
