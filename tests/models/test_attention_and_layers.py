import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from kerazoo.models import attention, layers


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


@settings(max_examples=25, deadline=None)
@given(
    batch=st.integers(1, 3),
    queries=st.integers(1, 6),
    keys=st.integers(1, 6),
    kv_heads=st.sampled_from([1, 2, 4]),
    seed=st.integers(0, 1000),
)
def test_the_fused_attention_equals_the_explicit_one(batch, queries, keys, kv_heads, seed):
    query = normal(batch, queries, 4, 8, seed=seed)
    key, value = normal(2, batch, keys, kv_heads, 8, seed=seed + 1)
    mask = np.random.default_rng(seed).random((batch, 1, queries, keys)) < 0.7
    mask[..., 0] = True  # a query with nothing to look at is tested below
    for allowed in (None, mask):
        fused = attention.attention(query, key, value, allowed)
        explicit, weights = attention.attention_with_weights(query, key, value, allowed)
        np.testing.assert_allclose(fused, explicit, atol=1e-5)
        np.testing.assert_allclose(np.sum(weights, axis=-1), 1, atol=1e-5)
        if allowed is not None:
            assert (np.where(allowed, 0, weights) == 0).all()


def test_attention_is_the_formula_of_the_paper():
    query, key, value = normal(3, 1, 5, 1, 8)
    scores = query[0, :, 0] @ key[0, :, 0].T / np.sqrt(8)
    weights = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        attention.attention(query, key, value)[0, :, 0], weights @ value[0, :, 0], atol=1e-6
    )


def test_equal_scores_average_the_values():
    # Three words with the same query and key: each gets the mean of the values, not a list of them.
    # The first values are the article's.
    ones = np.ones((1, 3, 1, 1), "float32")
    for values, mean in (([3, 3, 3], 3), ([3, 6, 9], 6)):
        value = np.array(values, "float32").reshape(1, 3, 1, 1)
        output, weights = attention.attention_with_weights(ones, 2 * ones, value)
        np.testing.assert_allclose(weights[0, 0], np.full((3, 3), 1 / 3), rtol=1e-6)
        np.testing.assert_allclose(output[0, :, 0, 0], [mean] * 3, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_query_that_may_look_at_nothing_is_not_nan(dtype):
    query, key, value = (ops.cast(x, dtype) for x in normal(3, 1, 4, 2, 8))
    mask = np.zeros((1, 1, 4, 4), bool)
    for output in (
        attention.attention(query, key, value, mask),
        attention.attention_with_weights(query, key, value, mask)[0],
    ):
        assert np.isfinite(ops.convert_to_numpy(ops.cast(output, "float32"))).all()


def test_grouped_heads_equal_repeated_heads():
    query = normal(2, 5, 4, 8)
    key, value = normal(2, 2, 5, 2, 8, seed=1)
    repeated = attention.attention(query, np.repeat(key, 2, axis=2), np.repeat(value, 2, axis=2))
    np.testing.assert_allclose(attention.attention(query, key, value), repeated, atol=1e-6)


def test_the_causal_mask_shows_a_position_itself_and_what_came_before():
    assert ops.convert_to_numpy(attention.causal_mask(3, 3)).tolist() == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]
    assert ops.convert_to_numpy(attention.causal_mask(2, 4, index=1)).tolist() == [
        [True, True, False, False],
        [True, True, True, False],
    ]


def test_padding_gets_no_weight():
    query, key, value = normal(3, 2, 4, 2, 8)
    mask = attention.padding_mask(np.array([[1, 1, 1, 1], [1, 1, 0, 0]]))
    full = attention.attention(query, key, value, mask)
    short = attention.attention(query[1:, :, :], key[1:, :2], value[1:, :2])
    np.testing.assert_allclose(full[1:], short, atol=1e-6)


def test_rotation_keeps_lengths_and_depends_on_distance_only():
    query, key = normal(2, 1, 6, 1, 8)
    positions = np.arange(6)
    products = [
        ops.einsum(
            "bthk,bshk->ts",
            attention.rotate(query, positions + s),
            attention.rotate(key, positions + s),
        )
        for s in (0, 100)
    ]
    np.testing.assert_allclose(products[0], products[1], atol=1e-4)
    np.testing.assert_allclose(
        np.linalg.norm(attention.rotate(query, positions), axis=-1),
        np.linalg.norm(query, axis=-1),
        rtol=1e-5,
    )
    np.testing.assert_array_equal(attention.rotate(query, np.zeros(6)), query)


def test_causal_attention_equals_keras_multi_head_attention():
    ours = attention.CausalAttention(num_heads=4, num_kv_heads=4, head_dim=8)
    theirs = keras.layers.MultiHeadAttention(num_heads=4, key_dim=8)
    x = normal(2, 6, 32)
    ours(x), theirs(x, x)
    weights = [0.3 * normal(*weight.shape, seed=n) for n, weight in enumerate(ours.weights)]
    ours.set_weights(weights)
    theirs.set_weights([w.reshape(o.shape) for w, o in zip(weights, theirs.weights, strict=True)])
    np.testing.assert_allclose(ours(x)[0], theirs(x, x, use_causal_mask=True), atol=1e-5)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_an_empty_cache_has_room_for_the_shared_heads_alone(policy):
    layer = attention.CausalAttention(num_heads=4, head_dim=8, num_kv_heads=2, dtype=policy)
    for tensor in layer.initial_cache(3, 5):
        assert tensor.shape == (3, 5, 2, 8)
        assert tensor.dtype == layer.compute_dtype
        assert not np.any(tensor)


def test_attention_dropout_is_on_in_training_only():
    layer = attention.CausalAttention(num_heads=2, num_kv_heads=2, head_dim=4, dropout=0.5)
    x = normal(1, 6, 8)
    np.testing.assert_array_equal(layer(x)[0], layer(x)[0])
    assert not np.allclose(layer(x, training=True)[0], layer(x, training=True)[0])


def test_a_feed_forward_network_works_on_each_position_alone():
    layer = layers.FeedForward(16)
    x = normal(1, 6, 8)
    shuffled = [3, 1, 5, 0, 2, 4]
    np.testing.assert_allclose(
        layer(x[:, shuffled]), ops.take(layer(x), shuffled, axis=1), atol=1e-6
    )


def test_a_gated_network_is_the_formula_of_the_paper():
    layer = layers.GatedFeedForward(16)
    x = normal(2, 6, 8)
    layer(x)
    gate, inner, output = (np.asarray(weight) for weight in layer.weights)
    opened = x @ gate / (1 + np.exp(-(x @ gate)))
    np.testing.assert_allclose(layer(x), (opened * (x @ inner)) @ output, atol=1e-5)


def test_theta_stretches_the_wavelengths_of_a_rotation():
    x = normal(1, 6, 1, 8)
    slow, fast = (np.asarray(attention.rotate(x, np.arange(6), theta)) for theta in (1e6, 1e2))
    # The first pair turns by one radian a position, whatever theta; the last the less, the larger.
    np.testing.assert_allclose(slow[..., [0, 4]], fast[..., [0, 4]], atol=1e-6)
    assert np.abs(slow - x)[..., [3, 7]].max() < 0.05 < np.abs(fast - x)[..., [3, 7]].max()
