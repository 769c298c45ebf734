"""Optimizers and their learning rate: Keras's own, put together from a `TrainConfig`."""

import math

import keras
from keras.optimizers import schedules

from .config import TrainConfig

CLOCK_TICKS = 1_000_000
"""The length of a schedule that follows the clock: steps from 0 to this, set from outside."""


def make_schedule(
    config: TrainConfig, steps: int, steps_per_epoch: float = 0.0
) -> schedules.LearningRateSchedule:
    """Return the learning rate as a function of the step.

    Cosine: linear warm-up, then half a cosine wave. Step: in epoch e, counted from 0,

        learning_rate * decay ^ max(0, e + 1 - constant_epochs)

    Args:
        config: `learning_rate`, `schedule` and the fields that belong to it are used.
        steps: the length of the training; `CLOCK_TICKS` for one that follows the clock.
        steps_per_epoch: steps in a pass over the training text; the step schedule needs it.
    """
    if config.schedule == "step":
        # A pass may end within a step, hence the rounding; at least one boundary, if past the end.
        num_epochs = max(config.constant_epochs + 1, math.ceil(steps / steps_per_epoch))
        decays = range(config.constant_epochs, num_epochs)
        return schedules.PiecewiseConstantDecay(
            [math.ceil(epoch * steps_per_epoch) - 1 for epoch in decays],
            [config.learning_rate * config.decay**n for n in range(len(decays) + 1)],
        )
    warmup_steps = max(1, round(config.warmup * steps))
    return schedules.CosineDecay(
        initial_learning_rate=config.learning_rate / warmup_steps,
        warmup_target=config.learning_rate,
        warmup_steps=warmup_steps,
        decay_steps=max(1, steps - warmup_steps),
        alpha=config.final_learning_rate,
    )


def make_optimizer(
    config: TrainConfig,
    learning_rate: float | schedules.LearningRateSchedule,
    variables: list[keras.Variable],
) -> keras.Optimizer:
    """Return the optimizer that `config` names.

    Args:
        config: everything but the schedule is taken from here.
        learning_rate: a schedule over steps, or a number that a callback sets.
        variables: the model's trainable variables; those with one axis (biases and the scales of
            norms) are spared weight decay.
    """
    shared = {
        "learning_rate": learning_rate,
        "global_clipnorm": config.clip_norm or None,
        "gradient_accumulation_steps": config.accumulate if config.accumulate > 1 else None,
    }
    betas = {"beta_1": config.beta_1, "beta_2": config.beta_2, "epsilon": 1e-8}
    if config.optimizer == "sgd":
        return keras.optimizers.SGD(momentum=config.momentum, **shared)
    if config.optimizer == "adam":
        return keras.optimizers.Adam(**betas, **shared)
    if config.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(weight_decay=config.weight_decay, **betas, **shared)
    else:
        # Matrices are orthogonalised; embeddings, the output layer among them, and all that has
        # one axis are left to Adam.
        optimizer = keras.optimizers.Muon(
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            adam_lr_ratio=config.adam_learning_rate,
            adam_beta_1=config.beta_1,
            adam_beta_2=config.beta_2,
            adam_weight_decay=None,
            epsilon=1e-8,
            **shared,
        )
    optimizer.exclude_from_weight_decay(var_list=[v for v in variables if len(v.shape) < 2])
    return optimizer
