"""Optimizers and their learning rate: Keras's own, put together from a `TrainConfig`."""

import keras

from .config import TrainConfig

CLOCK_TICKS = 1_000_000
"""The length of a schedule that follows the clock: steps from 0 to this, set from outside."""


def make_schedule(config: TrainConfig, steps: int) -> keras.optimizers.schedules.CosineDecay:
    """Return the learning rate as a function of the step: linear warm-up, then half a cosine wave.

    Args:
        config: `learning_rate`, `warmup` and `final_learning_rate` are used.
        steps: the length of the training; `CLOCK_TICKS` for one that follows the clock.
    """
    warmup_steps = max(1, round(config.warmup * steps))
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=config.learning_rate / warmup_steps,
        warmup_target=config.learning_rate,
        warmup_steps=warmup_steps,
        decay_steps=max(1, steps - warmup_steps),
        alpha=config.final_learning_rate,
    )


def make_optimizer(
    config: TrainConfig,
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule,
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
