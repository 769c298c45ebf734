import pytest

from kerazoo.errors import InputError
from kerazoo.training.config import TrainConfig


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "given 0 times; give one of --train.steps, --train.epochs and --train.minutes"),
        ({"steps": 1, "minutes": 1}, "given 2 times .--train.steps, --train.minutes."),
        ({"steps": 0}, "--train.steps is 0; it must be above 0"),
        ({"minutes": float("nan")}, "--train.minutes is nan"),
        ({"steps": 1, "learning_rate": -1.0}, "--train.learning-rate is -1.0"),
        ({"steps": 1, "warmup": 2.0}, "--train.warmup is 2.0; it must be from 0 to 1"),
        ({"steps": 1, "beta_2": 1.0}, "--train.beta-2 is 1.0; it must be from 0 to below 1"),
        ({"steps": 1, "batch_size": 10, "accumulate": 3}, "3 does not divide --train.batch-size"),
        ({"steps": 1, "decay": 0.0}, "--train.decay is 0.0; it must be above 0"),
        ({"steps": 1, "constant_epochs": 0}, "--train.constant-epochs is 0; it must be above 0"),
        ({"minutes": 1, "schedule": "step"}, "--train.schedule step counts epochs"),
        ({"steps": 1, "patience": -1}, "--train.patience is -1; it must be 0 or above"),
        ({"steps": 1, "clip_norm": float("inf")}, "--train.clip-norm is inf; it must be finite"),
        ({"steps": 1, "frozen": -2}, "--train.frozen is -2; it must be -1, 0 or above"),
        ({"steps": 1, "layer_decay": 0.0}, "layer-decay is 0.0; it must be above 0 and at most 1"),
        ({"steps": 1, "layer_decay": 1.1}, "layer-decay is 1.1; it must be above 0 and at most 1"),
        ({"steps": 1, "lora_rank": -1}, "--train.lora-rank is -1; it must be 0 or above"),
        ({"steps": 1, "lora_rank": 4, "frozen": 1}, "--train.lora-rank 4 already keeps all"),
        ({"steps": 1, "carry_state": True, "accumulate": 2}, "--train.accumulate 2 cannot cut it"),
    ],
)
def test_a_value_that_is_not_allowed_is_named(fields, message):
    with pytest.raises(InputError, match=message):
        TrainConfig(**fields)


@pytest.mark.parametrize(
    ("precision", "policy"),
    [
        ("float32", "float32"),
        ("bfloat16", "mixed_bfloat16"),
        ("float16", "mixed_float16"),
    ],
)
def test_precision_is_a_keras_policy(precision, policy):
    assert TrainConfig(steps=1, precision=precision).policy == policy
