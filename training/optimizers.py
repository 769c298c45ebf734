"""Optimizers and their learning rate: Keras's own, put together from a `TrainConfig`."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
from keras import ops
from keras.optimizers import schedules

from .config import TrainConfig

Tensor = keras.KerasTensor
CLOCK_TICKS = 1_000_000
"""The length of a schedule that follows the clock: steps from 0 to this, set from outside."""


@keras.saving.register_keras_serializable(package="kerazoo")
class InverseRootDecay(schedules.LearningRateSchedule):
    """A linear warm-up, then a fall with the root of the step (Vaswani et al. 2017, equation 3).

    Args:
        learning_rate: the highest, at the end of the warm-up.
        warmup_steps: length of the warm-up.
    """

    def __init__(self, learning_rate: float, warmup_steps: int):
        self.learning_rate, self.warmup_steps = learning_rate, warmup_steps

    def __call__(self, step: int | keras.KerasTensor) -> keras.KerasTensor:
        """Return the learning rate of a step, counted from 0."""
        share = (ops.cast(step, "float32") + 1) / self.warmup_steps
        return self.learning_rate * ops.minimum(share, ops.rsqrt(share))

    def get_config(self) -> dict[str, float]:
        """Return the constructor's arguments."""
        return {"learning_rate": self.learning_rate, "warmup_steps": self.warmup_steps}


@keras.saving.register_keras_serializable(package="kerazoo")
class StepDecay(schedules.LearningRateSchedule):
    """The same learning rate for some epochs, then a fall by the same factor with each.

    Args:
        learning_rate: the first.
        decay: the factor.
        constant_epochs: how many epochs have the first.
        steps_per_epoch: steps in a pass over the training text, which may end within a step.
    """

    def __init__(
        self, learning_rate: float, decay: float, constant_epochs: int, steps_per_epoch: float
    ):
        self.learning_rate, self.decay = learning_rate, decay
        self.constant_epochs, self.steps_per_epoch = constant_epochs, steps_per_epoch

    def __call__(self, step: int | keras.KerasTensor) -> keras.KerasTensor:
        """Return the learning rate of a step, counted from 0."""
        # The last addend is less than a step: a whole number of epochs may come out just below it.
        epoch = ops.floor(ops.cast(step, "float32") / self.steps_per_epoch + 1e-5)
        falls = ops.maximum(0.0, epoch + 1 - self.constant_epochs)
        return self.learning_rate * ops.power(ops.cast(self.decay, "float32"), falls)

    def get_config(self) -> dict[str, float]:
        """Return the constructor's arguments."""
        return {
            "learning_rate": self.learning_rate,
            "decay": self.decay,
            "constant_epochs": self.constant_epochs,
            "steps_per_epoch": self.steps_per_epoch,
        }


def make_schedule(
    config: TrainConfig, steps: int, steps_per_epoch: float = 0.0
) -> schedules.LearningRateSchedule:
    """Return the learning rate as a function of the step.

    Cosine: linear warm-up, then half a cosine wave. Inverse root: with s the step and w the length
    of the warm-up,

        learning_rate * min(s / w, sqrt(w / s))

    which is the schedule of Vaswani et al. (2017, equation 3) with the learning rate
    1 / sqrt(D w). Step: in epoch e, counted from 0,

        learning_rate * decay ^ max(0, e + 1 - constant_epochs)

    Args:
        config: `learning_rate`, `schedule` and the fields that belong to it are used.
        steps: the length of the training; `CLOCK_TICKS` for one that follows the clock.
        steps_per_epoch: steps in a pass over the training text; the step schedule needs it.
    """
    if config.schedule == "step":
        return StepDecay(
            config.learning_rate, config.decay, config.constant_epochs, steps_per_epoch
        )
    warmup_steps = max(1, round(config.warmup * steps))
    if config.schedule == "inverse-root":
        return InverseRootDecay(config.learning_rate, warmup_steps)
    return schedules.CosineDecay(
        initial_learning_rate=config.learning_rate / warmup_steps,
        warmup_target=config.learning_rate,
        warmup_steps=warmup_steps,
        decay_steps=max(1, steps - warmup_steps),
        alpha=config.final_learning_rate,
    )


class _WholeGradients:
    """Adds up the parts of a gradient before an optimizer looks at it.

    On TensorFlow the gradient of an embedding comes as one part for each token of the batch. Keras
    would take the parts of a token that occurs ten times for ten gradients, and find the whole
    shorter than it is when it clips by length.
    """

    def apply(self, grads: list, trainable_variables: list | None = None) -> None:
        """Update the variables, as the optimizer does it."""
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            grads = [None if grad is None else tf.convert_to_tensor(grad) for grad in grads]
        super().apply(grads, trainable_variables)


class _LearningRateShares:
    """Gives each variable its share of the learning rate, for steps and weight decay alike."""

    _shares: ClassVar[Mapping[Any, float]] = {}

    def set_shares(self, variables: Sequence[keras.Variable], shares: Sequence[float]) -> None:
        """Set what the learning rate of each variable is multiplied by; others have the whole."""
        keys = map(self._var_key, variables)
        self._shares = dict(zip(keys, shares, strict=True))

    def _share(self, variable: keras.Variable) -> float:
        return self._shares.get(self._var_key(variable), 1.0)

    def update_step(self, gradient: Tensor, variable: keras.Variable, learning_rate: Any) -> None:
        """Update one variable, as the optimizer does it."""
        super().update_step(gradient, variable, learning_rate * self._share(variable))

    def _apply_weight_decay(self, variables: list[keras.Variable]) -> None:
        if self.weight_decay is None:
            return
        # Keras takes learning rate times weight decay off a variable.
        whole = self.weight_decay
        for share in sorted(set(map(self._share, variables))):
            self.weight_decay = whole * share
            super()._apply_weight_decay([v for v in variables if self._share(v) == share])
        self.weight_decay = whole


class _CountsSteps:
    """Reads the schedule at the optimizer's step; Keras reads it at the part of one."""

    def _get_current_learning_rate(self) -> Any:
        if isinstance(self._learning_rate, schedules.LearningRateSchedule):
            return self._learning_rate(self.iterations)  # which are whole steps
        return super()._get_current_learning_rate()


def _optimizer(name: str) -> type[keras.Optimizer]:
    """Return Keras's optimizer of that name, given whole gradients, shares and steps."""
    mixins = (_WholeGradients, _LearningRateShares, _CountsSteps)
    return type(name, (*mixins, getattr(keras.optimizers, name)), {})


def make_optimizer(
    config: TrainConfig,
    learning_rate: float | schedules.LearningRateSchedule,
    variables: list[keras.Variable],
    shares: Sequence[float] | None = None,
) -> keras.Optimizer:
    """Return the optimizer that `config` names.

    Args:
        config: everything but the schedule is taken from here.
        learning_rate: a schedule over steps, or a number that a callback sets.
        variables: the model's trainable variables; biases and the scales of norms are spared weight
            decay.
        shares: for each of the variables, what its learning rate is multiplied by; None: 1 for all.
    """
    optimizer = _make(config, learning_rate)
    if shares is not None:
        optimizer.set_shares(variables, shares)
    if optimizer.weight_decay is not None:
        # The bias of a GRU has two axes.
        spared = [v for v in variables if len(v.shape) < 2 or v.name == "bias"]
        optimizer.exclude_from_weight_decay(var_list=spared)
    return optimizer


def _make(
    config: TrainConfig, learning_rate: float | schedules.LearningRateSchedule
) -> keras.Optimizer:
    shared = {
        "learning_rate": learning_rate,
        "global_clipnorm": config.clip_norm or None,
        "gradient_accumulation_steps": config.accumulate if config.accumulate > 1 else None,
        "use_ema": config.ema_momentum > 0,
        # Keras averages after each part of a step.
        "ema_momentum": config.ema_momentum ** (1 / config.accumulate),
    }
    betas = {"beta_1": config.beta_1, "beta_2": config.beta_2, "epsilon": 1e-8}
    if config.optimizer == "sgd":
        return _optimizer("SGD")(momentum=config.momentum, **shared)
    if config.optimizer == "adam":
        return _optimizer("Adam")(**betas, **shared)
    if config.optimizer == "adamw":
        return _optimizer("AdamW")(weight_decay=config.weight_decay, **betas, **shared)
    # Matrices are orthogonalised; embeddings, the output layer among them, biases and all that has
    # one axis are left to Adam.
    return _optimizer("Muon")(
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        adam_lr_ratio=config.adam_learning_rate,
        adam_beta_1=config.beta_1,
        adam_beta_2=config.beta_2,
        adam_weight_decay=None,
        epsilon=1e-8,
        exclude_layers=["/bias$"],
        **shared,
    )
