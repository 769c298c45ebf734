"""Callbacks that Keras does not have: the length of the training, its progress, a stop at NaN."""

import math
import time
from collections.abc import Callable
from typing import Any

import keras

from ..errors import TrainingStopped
from .config import TrainConfig
from .optimizers import CLOCK_TICKS, make_schedule


class TrainingClock(keras.callbacks.Callback):
    """Counts steps and seconds, logs them, and ends the training when it has had its share.

    On the clock it also sets the learning rate, from the share of the time that is over, so that
    the schedule ends with the training on any machine. It comes first in the list of callbacks, so
    that the others see what it logs.

    Args:
        config: `minutes`, `accumulate` and the schedule are used.
        steps: when to stop; None if the clock decides.
        tokens_per_step: tokens that one step learns from.
        step: steps that were taken before, when a run is taken up again.
        seconds: how long those took.
    """

    def __init__(
        self,
        config: TrainConfig,
        steps: int | None,
        tokens_per_step: float,
        step: int = 0,
        seconds: float = 0.0,
    ):
        super().__init__()
        self.steps = steps
        self.seconds_allowed = None if config.minutes is None else 60 * config.minutes
        self.tokens_per_step = tokens_per_step
        self.step, self.seconds = step, seconds
        self._earlier_seconds = seconds
        self._batches_per_step = config.accumulate
        if self.seconds_allowed is not None:
            self._schedule = make_schedule(config, CLOCK_TICKS)

    @property
    def share(self) -> float:
        """How much of the training is over, from 0 to 1."""
        if self.seconds_allowed is None:
            return min(1.0, self.step / self.steps)
        return min(1.0, self.seconds / self.seconds_allowed)

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Start the clock; what compilation takes comes after this, and counts."""
        self._start = time.perf_counter()
        self._mark = None

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Count steps and measure the speed from here on."""
        self._step_before = self.step
        if self._mark is not None:
            self._set_mark()

    def on_train_batch_begin(self, batch: int, logs: dict | None = None) -> None:
        """Set the learning rate if it follows the clock."""
        if self.seconds_allowed is not None:
            self._read_clock()
            if keras.backend.backend() == "jax":  # which would put the old one back
                self.model.jax_state_sync()
            self.model.optimizer.learning_rate = float(self._schedule(self.share * CLOCK_TICKS))

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Log speed and time left, and stop after a whole step if the training has its length."""
        steps, batches_over = divmod(batch + 1, self._batches_per_step)
        self.step = self._step_before + steps
        self._read_clock()
        if self._mark is None:  # the first call compiles, which is no measure of speed
            self._set_mark()
        self.model.stop_training = self.share >= 1 and not batches_over
        self._log_speed(logs)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Log where the training is."""
        self._read_clock()
        self._log_speed(logs)
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        logs["step"], logs["seconds"] = self.step, round(self.seconds, 3)

    def _read_clock(self) -> None:
        self.seconds = self._earlier_seconds + time.perf_counter() - self._start

    def _set_mark(self) -> None:
        self._read_clock()
        self._mark = (self.step, self.seconds)

    def _log_speed(self, logs: dict) -> None:
        steps, seconds = self.step - self._mark[0], self.seconds - self._mark[1]
        speed = steps / seconds if steps else 0.0  # steps a second
        if self.seconds_allowed is not None:
            seconds_left = self.seconds_allowed - self.seconds
        else:
            seconds_left = (self.steps - self.step) / speed if speed else 0.0
        logs["kilotokens_per_second"] = speed * self.tokens_per_step / 1000
        logs["minutes_left"] = max(0.0, seconds_left) / 60


class Averages(keras.callbacks.SwapEMAWeights):
    """Puts the averages of the weights into the model while it is validated and saved.

    The optimizer has the weights in the meantime, and so has it in a checkpoint. This one comes
    before the others in the list of callbacks.

    Args:
        is_resumed: whether the training goes on from a checkpoint.
    """

    def __init__(self, is_resumed: bool):
        super().__init__(swap_on_epoch=True)
        self._ema_weights_in_model = is_resumed


class Validation(keras.callbacks.Callback):
    """Scores the model between two stretches of training, with the scorer that judges it at last.

    Args:
        score: returns how well the model does on held-out text: an object with `loss`, and
            with `kept_for` and `bits_per_byte`, which may be None.
    """

    def __init__(self, score: Callable[[], Any]):
        super().__init__()
        self.score = score

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Log the loss and what else there is."""
        score = self.score()
        logs["val_loss"] = score.loss
        if score.kept_for is not None:
            logs["val_score"] = score.kept_for
        if score.bits_per_byte is not None:
            logs["val_bits_per_byte"] = score.bits_per_byte


class StopAtNaN(keras.callbacks.Callback):
    """Stops the training when the loss is no longer a number, and says why that probably was.

    It comes after the validation and before what keeps the model.

    Args:
        config: looked at for the likely cause.
        length: knows the step.
    """

    def __init__(self, config: TrainConfig, length: TrainingClock):
        super().__init__()
        self.config, self.length = config, length

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Raise if the loss, a mean since the last validation, is NaN or infinite."""
        self._check(logs["loss"])

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Raise if the validation's loss is NaN or infinite; no other check sees the last step."""
        self._check(logs["val_loss"])

    def _check(self, loss: float) -> None:
        if math.isfinite(loss):
            return
        config = self.config
        rate = float(self.model.optimizer.learning_rate)
        if config.precision == "float16":
            cause = "numbers too large for float16; begin a new run with --train.precision bfloat16"
        elif not config.clip_norm:
            cause = (
                "a gradient too long, as nothing clips it; go on with --resume --train.clip-norm 1"
            )
        else:
            cause = (
                f"a learning rate too high, {rate:.2g} at that step; go on with --resume "
                f"--train.learning-rate {config.learning_rate / 3:.1g}"
            )
        raise TrainingStopped(
            f"the loss became {loss} at step {self.length.step}; the likely cause is "
            f"{cause}. The last good checkpoint is kept."
        )


class ProgressBar(keras.callbacks.ProgbarLogger):
    """Keras's progress bar without its "Epoch 1/9": a stretch between validations is no epoch."""

    def set_params(self, params: dict) -> None:
        """Take the settings of `fit`, but for the number of epochs."""
        super().set_params({**params, "epochs": 1})
