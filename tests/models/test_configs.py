import pytest

from kerazoo.errors import InputError
from kerazoo.models.configs import GPTConfig, RNNConfig, Sampling


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (GPTConfig, {"num_heads": 3}, "--model.num-heads 3 does not divide --model.width 128"),
        (GPTConfig, {"num_kv_heads": 3}, "--model.num-kv-heads 3 does not divide"),
        (GPTConfig, {"num_layers": 0}, "--model.num-layers is 0; it must be at least 1"),
        (GPTConfig, {"dropout": 1.0}, "--model.dropout is 1.0; it must be from 0 to below 1"),
        (GPTConfig, {"width": 12, "positions": "rotary"}, "even head width"),
        (RNNConfig, {"width": -1}, "--model.width is -1"),
        (RNNConfig, {"dropout": -0.1}, "--model.dropout is -0.1"),
        (Sampling, {"temperature": 0}, "--temperature is 0; it must be above 0"),
        (Sampling, {"p": 1.5}, "--p is 1.5; it must be above 0 and at most 1"),
        (Sampling, {"k": 0}, "--k is 0"),
    ],
)
def test_a_value_that_is_not_allowed_is_named(kind, fields, message):
    with pytest.raises(InputError, match=message):
        kind(**fields)
