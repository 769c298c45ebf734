"""Trainings that end early or learn by LoRA, interrupted and taken up again."""

import csv
import os
import zipfile
from dataclasses import replace

import keras
import numpy as np
import pytest

import kerazoo
from kerazoo.data.datasets import DataConfig
from kerazoo.errors import InputError
from kerazoo.models import families
from kerazoo.models.configs import GPTConfig
from kerazoo.recipe import Recipe
from kerazoo.tasks.configs import RegressionConfig
from kerazoo.train import train
from kerazoo.training import callbacks, checkpoints, finetuning, optimizers
from kerazoo.training.config import TrainConfig

pytestmark = pytest.mark.usefixtures("without_xla", "without_samples")


def recipe_of(text, init=None, **train_fields):
    fields = {"steps": 12, "validate_every": 2, "batch_size": 4, "xla": "off", **train_fields}
    model = GPTConfig(context_length=8, num_layers=1, num_heads=2, width=8, dropout=0.1)
    return Recipe("A test.", model, DataConfig(text=text), TrainConfig(**fields), init=init)


@pytest.fixture(scope="module")
def pretrained(small_text, tmp_path_factory):
    """The folder of a run to begin from."""
    folder = tmp_path_factory.mktemp("runs") / "pretrained"
    train(recipe_of(small_text, steps=2), folder)
    return folder


def interrupted(recipe, folder, stop_at, step):
    """Return the run of a training that was stopped at a step and taken up again."""
    stop_at(step)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, folder)
    stop_at(None)
    return train(recipe, folder, resume=True)


# === Early stopping ===


@pytest.fixture
def losses(monkeypatch):
    """Decide what the validations say: the second is the best."""

    def validate(self, epoch, logs):
        logs["val_loss"] = [3.0, 2.0, 2.5, 2.0, 2.4, 1.0][epoch]

    monkeypatch.setattr(callbacks.Validation, "on_epoch_end", validate)


def steps_of(run):
    with open(run.folder / "history.csv", newline="") as file:
        return [int(row["step"]) for row in csv.DictReader(file)]


def test_what_was_half_written_when_a_process_was_killed_goes(tmp_path):
    folder = tmp_path / "checkpoints"
    (folder / "step-00000002").mkdir(parents=True)
    (folder / ".step-00000004-x").mkdir()
    (folder / ".123-best.keras").write_bytes(b"half")
    checkpoints.Checkpoints(tmp_path, None, checkpoints.State())
    assert [path.name for path in folder.iterdir()] == ["step-00000002"]


def test_a_training_stops_after_too_many_validations_without_a_better_loss(
    losses, small_text, tmp_path, capsys
):
    run = train(recipe_of(small_text, patience=2), tmp_path / "run")
    assert steps_of(run) == [2, 4, 6, 8]
    assert (run.report["steps"], run.report["best_step"]) == (8, 4)
    assert "Stopped at step 8: no validation after step 4 was better" in capsys.readouterr().out


def test_without_patience_or_with_enough_of_it_a_training_goes_on(losses, small_text, tmp_path):
    assert not checkpoints.State(round=9, best_round=1).is_over(0)
    run = train(recipe_of(small_text, patience=4), tmp_path / "run")
    assert (run.report["steps"], run.report["best_step"]) == (12, 12)


@pytest.mark.parametrize("step", [6, 8])
def test_a_resumed_training_stops_where_the_uninterrupted_one_does(
    step, losses, small_text, tmp_path, stop_at
):
    run = interrupted(recipe_of(small_text, patience=2), tmp_path / "run", stop_at, step)
    assert steps_of(run) == [2, 4, 6, 8]
    assert (run.report["steps"], run.report["best_step"]) == (8, 4)


def test_a_training_that_stopped_early_goes_on_with_more_patience(losses, small_text, tmp_path):
    train(recipe_of(small_text, patience=2), tmp_path / "run")
    with pytest.raises(InputError, match="nothing left to do.*or another --train.patience if that"):
        train(recipe_of(small_text, patience=2, steps=14), tmp_path / "run", resume=True)
    run = train(recipe_of(small_text, patience=4), tmp_path / "run", resume=True)
    assert steps_of(run) == [2, 4, 6, 8, 10, 12]
    assert run.report["best_step"] == 12


def test_a_training_on_the_clock_stops_early_too(losses, small_text, tmp_path):
    run = train(recipe_of(small_text, steps=None, minutes=5, patience=2), tmp_path / "run")
    assert run.report["steps"] == 8


def test_of_a_task_with_a_score_it_decides_what_is_best(small_text, tmp_path, monkeypatch):
    def validate(self, epoch, logs):
        logs["val_loss"] = [3.0, 2.0, 1.0, 0.5, 0.1, 0.1][epoch]
        logs["val_score"] = [0.1, 0.3, 0.2, 0.29, 0.3, 0.3][epoch]

    monkeypatch.setattr(callbacks.Validation, "on_epoch_end", validate)
    run = train(recipe_of(small_text, patience=2), tmp_path / "two")
    assert (run.report["steps"], run.report["best_step"]) == (8, 4)
    run = train(recipe_of(small_text, patience=3), tmp_path / "three")
    assert (run.report["steps"], run.report["best_step"]) == (12, 10)


def test_without_a_score_that_is_a_number_the_loss_decides(tmp_path):
    (tmp_path / "train.csv").write_text("text,label\n" + "the cat,0\na dog,9\n" * 8)
    (tmp_path / "one.csv").write_text("text,label\na dog,90\n")  # which has no correlation
    recipe = recipe_of(tmp_path / "train.csv", patience=1, learning_rate=0.003)
    data = replace(recipe.data, validation=tmp_path / "one.csv")
    run = train(replace(recipe, data=data, task=RegressionConfig()), tmp_path / "run")
    with open(run.folder / "history.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    losses = [float(row["val_loss"]) for row in rows]
    assert {row["val_score"] for row in rows} == {"nan"}
    assert losses == sorted(losses, reverse=True)
    assert (run.report["steps"], run.report["best_step"]) == (12, 12)


def test_a_training_that_scales_its_loss_resumes_to_the_same_weights(small_text, tmp_path, stop_at):
    recipe = recipe_of(small_text, precision="float16", steps=6)
    whole = train(recipe, tmp_path / "whole")
    resumed = interrupted(recipe, tmp_path / "stopped", stop_at, 4)
    assert kerazoo.load(tmp_path / "whole").model.compute_dtype == "float16"
    for one, other in zip(whole.model.get_weights(), resumed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    state = {}
    for name in ("whole", "stopped"):
        model = families.build(whole.model.config, "mixed_float16")
        schedule = optimizers.make_schedule(recipe.train, 6)
        model.compile(optimizers.make_optimizer(recipe.train, schedule, model.trainable_variables))
        model.optimizer.build(model.trainable_variables)
        checkpoints.restore(tmp_path / name, model)
        state[name] = [variable.numpy() for variable in model.optimizer.variables]
        assert int(model.optimizer.step_counter) == 6
    for one, other in zip(*state.values(), strict=True):
        np.testing.assert_array_equal(one, other)


# === Averages of the weights ===


def test_averages_of_the_weights_are_validated_and_saved(small_text, tmp_path, monkeypatch):
    weights = {0.0: [], 0.5: []}
    for momentum, saved in weights.items():
        save = checkpoints.Checkpoints.on_epoch_end

        def on_epoch_end(self, epoch, logs, saved=saved, save=save):
            saved.append(self.model.get_weights())
            save(self, epoch, logs)

        with monkeypatch.context() as patch:
            patch.setattr(checkpoints.Checkpoints, "on_epoch_end", on_epoch_end)
            recipe = recipe_of(small_text, steps=3, validate_every=1, ema_momentum=momentum)
            run = train(recipe, tmp_path / str(momentum))
        best = saved[run.report["best_step"] - 1]
        for weight, expected in zip(run.model.get_weights(), best, strict=True):
            np.testing.assert_array_equal(weight, expected)
    for first, second, third, *averages in zip(*weights[0.0], *weights[0.5], strict=True):
        expected = [first, (first + second) / 2, (first + second + 2 * third) / 4]
        for average, right in zip(averages, expected, strict=True):
            np.testing.assert_allclose(average, right, atol=1e-6)


@pytest.mark.parametrize("fields", [{"optimizer": "muon"}, {"precision": "float16"}])
def test_a_training_that_averages_resumes_to_the_same_weights(
    fields, small_text, tmp_path, stop_at
):
    recipe = recipe_of(small_text, ema_momentum=0.9, steps=6, **fields)
    whole = train(recipe, tmp_path / "whole")
    resumed = interrupted(recipe, tmp_path / "stopped", stop_at, 4)
    for one, other in zip(whole.model.get_weights(), resumed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_damaged_checkpoint_is_refused_by_name(small_text, tmp_path, stop_at):
    stop_at(4)
    with pytest.raises(KeyboardInterrupt):
        train(recipe_of(small_text), tmp_path / "run")
    stop_at(None)
    for name in ("model.keras", "state.json", "random.json"):
        path = tmp_path / "run" / "checkpoints" / "step-00000004" / name
        whole = path.read_bytes()
        path.write_bytes(whole[:40] if name == "model.keras" else b"{")
        with pytest.raises(InputError, match=r"the checkpoint .*step-00000004.* cannot be read"):
            train(recipe_of(small_text), tmp_path / "run", resume=True)
        path.write_bytes(whole)


@pytest.fixture
def keep(tmp_path):
    """Return a function that makes the checkpoint of a model at a step."""
    state = checkpoints.State()

    def keep(model, step, loss=1.0, **score):
        nonlocal state
        length = callbacks.TrainingClock(TrainConfig(steps=1), 1, 1, step=step)
        keeper = checkpoints.Checkpoints(tmp_path, length, state)
        keeper.set_model(model)
        keeper.on_epoch_end(state.round, {"val_loss": loss, **score})
        state = keeper.state
        return tmp_path / "checkpoints" / f"step-{step:08d}" / "model.keras"

    return keep


def compiled_gpt(optimizer, policy="float32"):
    config = GPTConfig(vocab_size=7, context_length=8, num_layers=1, num_heads=2, width=8)
    model = families.build(config, policy)
    model.compile(optimizer)
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.mark.parametrize("has_links", [True, False])
def test_the_best_checkpoint_takes_no_space_while_it_is_the_last(
    has_links, keep, tmp_path, monkeypatch
):
    if not has_links:

        def refuse(*_):
            raise OSError("no links here")

        monkeypatch.setattr(os, "link", refuse)
    model, best = compiled_gpt("sgd"), tmp_path / "checkpoints" / "best.keras"
    first = keep(model, 1)
    assert best.samefile(first) == has_links
    content = best.read_bytes()
    assert content == first.read_bytes()
    model.weights[0].assign_add(keras.ops.ones_like(model.weights[0]))
    worse = keep(model, 2, loss=2.0)
    assert best.read_bytes() == content != worse.read_bytes()
    better = keep(model, 3, loss=0.5)
    assert best.read_bytes() == better.read_bytes() != content


@pytest.mark.parametrize(
    ("losses", "scores", "best"),
    [
        ([3.0, 2.0, 1.0, 2.0], [0.1, 0.3, 0.2, 0.3], 2),
        ([3.0, 2.0, 3.0, 1.5], [0.3, 0.3, 0.3, 0.3], 4),
        ([3.0, 2.0, 2.5, 2.0], [np.nan] * 4, 2),
        ([3.0, 2.0, 5.0, 1.0], [np.nan, np.nan, -0.1, np.nan], 3),
        ([3.0, 2.0, 5.0, 1.0], [np.nan, 0.1, np.nan, 0.2], 4),
    ],
)
def test_the_best_is_what_has_the_highest_score_and_among_equals_the_lowest_loss(
    losses, scores, best, keep, tmp_path
):
    model = compiled_gpt("sgd")
    for step, (loss, score) in enumerate(zip(losses, scores, strict=True), start=1):
        keep(model, step, loss, val_score=score)
    state = checkpoints.read_state(tmp_path)
    assert (state.best_step, state.best_of_equals) == (best, losses[best - 1])


@pytest.mark.parametrize(
    ("policy", "other", "step", "message"),
    [
        ("float32", "sgd", 2, "is of step 2, and its optimizer of another kind or of step 0"),
        ("float32", "adam", 3, "is of step 3, and its optimizer of another kind or of step 2"),
        ("mixed_float16", "sgd", 2, "its optimizer of another kind or of step 0"),
        ("mixed_float16", "adam", 1, "is of step 1, .* or of step 2"),
    ],
)
@pytest.mark.filterwarnings("ignore:Skipping variable loading")
def test_a_checkpoint_whose_optimizer_is_another_is_refused(
    policy, other, step, message, keep, tmp_path
):
    model = compiled_gpt("adam", policy)
    inner = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    inner.iterations.assign(2)
    keep(model, step)
    with pytest.raises(InputError, match=message):
        checkpoints.restore(tmp_path, compiled_gpt(other, policy))


@pytest.mark.parametrize(("taken", "scale"), [(2, 2.0**15), (1, 2.0**14), (0, 2.0**13)])
def test_a_scaled_loss_may_have_left_out_steps(taken, scale, keep, tmp_path):
    model = compiled_gpt("adam", "mixed_float16")
    model.optimizer.inner_optimizer.iterations.assign(taken)
    model.optimizer.dynamic_scale.assign(scale)
    keep(model, 2)
    assert checkpoints.restore(tmp_path, compiled_gpt("adam", "mixed_float16")).step == 2


# === LoRA ===


def test_a_training_by_lora_resumes_to_the_same_weights(small_text, pretrained, tmp_path, stop_at):
    recipe = recipe_of(small_text, pretrained, lora_rank=2, learning_rate=0.05, steps=6)
    whole = train(recipe, tmp_path / "whole")
    resumed = interrupted(recipe, tmp_path / "stopped", stop_at, 4)
    for one, other in zip(whole.model.get_weights(), resumed.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert whole.report["validation"] == resumed.report["validation"]


def test_a_checkpoint_keeps_the_matrices_of_lora_apart_and_whole_in_half_precision(
    keep, tmp_path, monkeypatch
):
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 5000)  # above it, a file is a large one

    def build():
        config = GPTConfig(vocab_size=7, context_length=8, num_layers=1, num_heads=2, width=8)
        model = families.build(config, "mixed_bfloat16")
        finetuning.prepare(model, TrainConfig(steps=1, lora_rank=2))
        model.compile("sgd")
        return model

    model, other = build(), build()
    for weight in model.weights:
        weight.assign(np.random.default_rng(0).normal(size=weight.shape))
    model.optimizer.iterations.assign(1)
    keep(model, 1)
    assert checkpoints.restore(tmp_path, other).step == 1
    for one, another in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(one, another)


def test_the_model_of_a_training_by_lora_has_no_trace_of_it(
    small_text, pretrained, tmp_path, capsys
):
    recipe = recipe_of(small_text, pretrained, lora_rank=2, learning_rate=0.05, steps=4)
    run = train(recipe, tmp_path / "run")
    # Six matrices, four of them (8, 8), one (8, 32), one (32, 8): 2 (8 + 8) 4 + 2 (8 + 32) 2.
    assert "288 of them learning" in capsys.readouterr().out
    loaded = kerazoo.load(run.folder).model
    token_ids = np.arange(8)[None]
    np.testing.assert_allclose(loaded(token_ids), run.model(token_ids), atol=1e-5)
    assert not any("lora" in weight.name for weight in loaded.weights)
    assert run.report["parameters"] == loaded.count_params()
    old = kerazoo.load(pretrained).model
    for weight, other in zip(loaded.weights, old.weights, strict=True):
        changed = not np.array_equal(weight, other)
        assert changed == (weight.name == "kernel"), weight.path


def test_of_a_training_by_lora_the_model_that_validated_best_is_kept(
    pretrained, losses, small_text, tmp_path, stop_at
):
    settings = {"lora_rank": 2, "learning_rate": 0.05, "precision": "bfloat16"}
    recipe = recipe_of(small_text, pretrained, patience=2, **settings)
    run = train(recipe, tmp_path / "run")
    assert run.report["best_step"] == 4
    stop_at(4)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "stopped")
    best = kerazoo.load(tmp_path / "stopped").model
    assert not any("lora" in weight.name for weight in best.weights)
    for one, other in zip(run.model.get_weights(), best.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_frozen_parts_and_layer_decay_reach_the_training(small_text, pretrained, tmp_path):
    recipe = recipe_of(
        small_text, pretrained, frozen=1, layer_decay=0.5, optimizer="sgd", steps=2, momentum=0.0
    )
    run = train(recipe, tmp_path / "run")
    old = kerazoo.load(pretrained).model
    for weight, other in zip(run.model.weights, old.weights, strict=True):
        frozen = "embedding" in weight.path
        assert np.array_equal(weight, other) == frozen, weight.path
