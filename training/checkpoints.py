"""Checkpoints: everything that a run needs to go on as if it had never stopped.

A checkpoint is a folder, `checkpoints/step-00000500/`, that appears whole or not at all. It holds
the weights, the states of the optimizer and the random generators, and where the training was. The
data need no state: a batch is a function of the seed and its number.
"""

import csv
import json
import math
import os
import shutil
import zipfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import keras
import numpy as np

from ..errors import InputError
from ..files import whole_file, whole_folder
from .callbacks import TrainingClock
from .finetuning import lora_weights

# Keras's archive and not bare HDF5, which can crash the process when the disk is full.
_MODEL = "model.keras"
_BEST = "best.keras"
_STATE, _RANDOM = "state.json", "random.json"
_LORA = "lora.npz"
"""Within the model's file: what Keras does not keep of layers that learn by LoRA."""


@dataclass(frozen=True)
class State:
    """Where a training stands."""

    round: int = 0
    """Validations so far."""
    step: int = 0
    """Optimizer steps so far."""
    seconds: float = 0.0
    """Time that they took, with compilation and validation."""
    best_round: int = 0
    """Which validation was best, counted from 1."""
    best_step: int = 0
    """The step of that validation."""
    best_loss: float = math.inf
    """The loss of that validation, or its score, negative, where that decides; infinite where the
    score is not a number."""
    best_of_equals: float = math.inf
    """The loss of that validation, which decides between equal scores, and without any."""

    def is_over(self, patience: int) -> bool:
        """Tell whether so many validations in a row were no better; 0: never."""
        return 0 < patience <= self.round - self.best_round


class Checkpoints(keras.callbacks.Callback):
    """Saves the state after each validation, and the model whenever it is the best so far.

    Args:
        run_folder: the checkpoints go into its folder `checkpoints`.
        length: knows step and seconds.
        state: where the training stands at the start.
    """

    def __init__(self, run_folder: Path, length: TrainingClock, state: State):
        super().__init__()
        self.folder, self.length, self.state = _folder(run_folder), length, state
        for left in self.folder.glob(".*"):  # half written when the process was killed
            shutil.rmtree(left) if left.is_dir() else left.unlink()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Save, then delete the checkpoint before."""
        # The lowest loss is best, or the highest score; of equal scores, that with the lowest loss.
        # A score that is not a number, as of a correlation with equal ones, is below all others.
        step, of_equals = self.length.step, logs["val_loss"]
        loss = -logs["val_score"] if "val_score" in logs else of_equals
        loss = math.inf if math.isnan(loss) else loss
        is_best = (loss, of_equals) < (self.state.best_loss, self.state.best_of_equals)
        self.state = replace(self.state, round=epoch + 1, step=step, seconds=self.length.seconds)
        if is_best:
            self.state = replace(
                self.state,
                best_round=epoch + 1,
                best_step=step,
                best_loss=loss,
                best_of_equals=of_equals,
            )
        path = self.folder / f"step-{step:08d}"
        with whole_folder(path) as scratch:
            _save(self.model, scratch / _MODEL)
            (scratch / _STATE).write_text(json.dumps(asdict(self.state)))
            states = [generator.numpy().tolist() for generator in _random_generators(self.model)]
            (scratch / _RANDOM).write_text(json.dumps(states))
            if is_best:
                with whole_file(self.folder / _BEST) as scratch_best:
                    _link(scratch / _MODEL, scratch_best)
        for other in self.folder.glob("step-*"):
            if other != path:  # what a virus scanner holds goes the next time
                shutil.rmtree(other, ignore_errors=True)


class Patience(keras.callbacks.Callback):
    """Stops the training when too many validations in a row were no better.

    Args:
        patience: how many are too many; 0: the training goes on.
        checkpoints: knows the validations; it comes before this one in the list of callbacks.
    """

    def __init__(self, patience: int, checkpoints: Checkpoints):
        super().__init__()
        self.patience, self.checkpoints = patience, checkpoints

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Stop if it is time."""
        if self.checkpoints.state.is_over(self.patience):
            self.model.stop_training = True

    def on_train_end(self, logs: dict | None = None) -> None:
        """Say why the training ended."""
        state = self.checkpoints.state
        if state.is_over(self.patience):
            print(
                f"Stopped at step {state.step:,}: no validation after step {state.best_step:,} was "
                "better."
            )


def _link(path: Path, other: Path) -> None:
    """Give a file a second name, which costs no space; a checkpoint is never changed in place."""
    try:
        os.link(path, other)
    except OSError:  # some file systems have no links
        shutil.copyfile(path, other)


def restore(run_folder: Path, model: keras.Model) -> State:
    """Bring a model with a built optimizer back to the last checkpoint; without one, leave it.

    Raises:
        InputError: if the checkpoint cannot be read or is of another model or optimizer.
    """
    path = _last(run_folder)
    if path is None:
        return State()
    _load(model, path / _MODEL)
    try:
        states = json.loads((path / _RANDOM).read_text())
        for generator, state in zip(_random_generators(model), states, strict=True):
            generator.assign(state)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise _unreadable(path, error) from None
    state = read_state(run_folder)
    if not _has_steps(model.optimizer, state.step):
        raise InputError(
            f"the checkpoint {path} is of step {state.step:,}, and its optimizer of another kind "
            f"or of step {int(model.optimizer.iterations):,}; delete it, or start anew."
        )
    return state


def _has_steps(optimizer: keras.Optimizer, step: int) -> bool:
    """Tell whether an optimizer has taken its steps; Keras only warns if it loads no state."""
    taken = int(optimizer.iterations)
    if not isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return taken == step
    # It leaves out a step whose gradient is infinite, and halves the scale.
    is_loaded = taken > 0 or float(optimizer.dynamic_scale) != optimizer.initial_scale
    return is_loaded and taken <= step


def read_state(run_folder: Path) -> State:
    """Return where the last checkpoint stands; without one, the beginning."""
    path = _last(run_folder)
    if path is None:
        return State()
    try:
        return State(**json.loads((path / _STATE).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise _unreadable(path, error) from None


class History(keras.callbacks.CSVLogger):
    """Keras's CSV log; a run that is taken up again goes on after the checkpoint's row.

    Args:
        run_folder: the log is its `history.csv`.
        state: where the training stands at the start.
    """

    def __init__(self, run_folder: Path, state: State):
        path = run_folder / "history.csv"
        if path.is_file():
            _drop_rows_after(path, state.step)
        super().__init__(path, append=state.step > 0)


def _drop_rows_after(path: Path, step: int) -> None:
    with open(path, newline="") as file:
        reader = csv.DictReader(file)
        whole = [row for row in reader if None not in row.values()]
        names = reader.fieldnames or []
    with whole_file(path) as scratch, open(scratch, "w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(row for row in whole if int(row["step"]) <= step)


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"the checkpoint {path} cannot be read ({error}); delete it, or start anew.")


def load_best(run_folder: Path, model: keras.Model) -> None:
    """Give a model the weights that validated best."""
    _load(model, best(run_folder))


def best(run_folder: Path) -> Path:
    """Return the file of the model that validated best."""
    path = _folder(run_folder) / _BEST
    last = _last(run_folder)
    return path if path.is_file() or last is None else last / _MODEL


def _save(model: keras.Model, path: Path) -> None:
    model.save(path)
    weights = lora_weights(model)
    if weights:
        with (
            zipfile.ZipFile(path, "a") as archive,
            archive.open(_LORA, "w", force_zip64=True) as file,
        ):
            np.savez(file, *map(keras.ops.convert_to_numpy, weights))


def _load(model: keras.Model, path: Path) -> None:
    try:
        model.load_weights(path)
        weights = lora_weights(model)
        if weights:
            with zipfile.ZipFile(path) as archive, archive.open(_LORA) as file:
                values = np.load(file, allow_pickle=False)
                for weight, name in zip(weights, values.files, strict=True):
                    weight.assign(values[name])
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from None


def _random_generators(model: keras.Model) -> list[keras.Variable]:
    """Return the states of the layers' random generators, which Keras does not save."""
    return [variable for variable in model.variables if variable.name == "seed_generator_state"]


def _folder(run_folder: Path) -> Path:
    return run_folder / "checkpoints"


def _last(run_folder: Path) -> Path | None:
    return max(_folder(run_folder).glob("step-*"), default=None)
