import math

import pytest

from kerazoo.errors import InputError
from kerazoo.models.configs import (
    BERTConfig,
    GPTConfig,
    HMMConfig,
    LlamaConfig,
    NGramConfig,
    RNNConfig,
    TransformerConfig,
)
from kerazoo.models.sampling import Sampling


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (GPTConfig, {"num_heads": 3}, "--model.num-heads 3 does not divide --model.width 128"),
        (GPTConfig, {"num_kv_heads": 3}, "--model.num-kv-heads 3 does not divide"),
        (GPTConfig, {"num_layers": 0}, "--model.num-layers is 0; it must be at least 1"),
        (GPTConfig, {"dropout": 1.0}, "--model.dropout is 1.0; it must be from 0 to below 1"),
        (GPTConfig, {"width": 12, "positions": "rotary"}, "even head width"),
        (TransformerConfig, {"width": 12, "positions": "rotary"}, "even head width"),
        (LlamaConfig, {"num_kv_heads": 3}, "--model.num-kv-heads 3 does not divide"),
        (BERTConfig, {"num_heads": 3}, "--model.num-heads 3 does not divide --model.width 128"),
        (BERTConfig, {"num_segments": 0}, "--model.num-segments is 0; it must be at least 1"),
        (LlamaConfig, {"width": 12}, "a Llama needs an even head width.*heads = 3"),
        (LlamaConfig, {"rope_theta": 0.0}, "--model.rope-theta is 0.0; it must be above 0"),
        (LlamaConfig, {"norm_epsilon": -1.0}, "--model.norm-epsilon is -1.0; it must be above 0"),
        (RNNConfig, {"width": -1}, "--model.width is -1"),
        (RNNConfig, {"dropout": -0.1}, "--model.dropout is -0.1"),
        (RNNConfig, {"initial_scale": -0.1}, "--model.initial-scale is -0.1; it must be at least"),
        (RNNConfig, {"initial_scale": math.nan}, "--model.initial-scale is nan; it must be a fin"),
        (NGramConfig, {"k": math.inf}, "--model.k is inf; it must be a finite number"),
        (HMMConfig, {"num_states": 0}, "--model.num-states is 0; it must be at least 1"),
        (Sampling, {"temperature": 0}, "--temperature is 0; it must be above 0"),
        (Sampling, {"temperature": 1e-40}, "is 1e-40; it must be at least 1e-06.*sampler greedy"),
        (Sampling, {"p": 1.5}, "--p is 1.5; it must be above 0 and at most 1"),
        (Sampling, {"k": 0}, "--k is 0"),
        (Sampling, {"seed": -1}, "--seed is -1; it must be from 0 to below 4,294,967,296"),
        (Sampling, {"seed": 1 << 32}, "--seed is 4294967296; it must be from 0 to below"),
    ],
)
def test_a_value_that_is_not_allowed_is_named(kind, fields, message):
    with pytest.raises(InputError, match=message):
        kind(**fields)


@pytest.mark.parametrize(("width", "inner"), [(96, 256), (128, 352), (4096, 10944)])
def test_a_gated_network_is_as_large_as_a_plain_one_four_times_as_wide(width, inner):
    config = LlamaConfig(width=width)
    assert config.inner_width == inner
    assert 3 * width * inner == pytest.approx(2 * width * 4 * width, rel=0.04)
