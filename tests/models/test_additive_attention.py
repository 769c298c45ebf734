import numpy as np
import pytest
import tensorflow as tf

from kerazoo.models.additive_attention import recur_attending
from kerazoo.models.recurrence import CELLS

B, S, T, D = 3, 5, 6, 4
IS_TOKEN = np.arange(S) < np.array([[5], [3], [1]])
GATES = {"simple": 1, "lstm": 4, "gru": 3}


def normal(*shape, seed):
    return tf.constant(np.random.default_rng(seed).normal(size=shape).astype("float32"))


def by_automatic_differentiation(cell, x, keys, values, weights, state):
    """The same, a step at a time, as the equations are written."""
    kernel, recurrent, bias, query_kernel, score_kernel = weights
    bias, state_bias = (bias[0], bias[1]) if len(bias.shape) == 2 else (bias, 0.0)
    hs, contexts, attention = [], [], []
    for t in range(T):
        scores = tf.tanh((state[0] @ query_kernel)[:, None] + keys) @ score_kernel
        a = tf.nn.softmax(tf.where(IS_TOKEN, scores[..., 0], -np.inf))
        context = tf.reduce_sum(a[..., None] * values, axis=1)
        xw = tf.concat([x[:, t], context], axis=-1) @ kernel + bias
        state, _ = cell.forward(xw, state[0] @ recurrent + state_bias, state)
        hs.append(state[0]), contexts.append(context), attention.append(a)
    return *(tf.stack(parts, axis=1) for parts in (hs, contexts, attention)), state


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize("lengths", [(T, S), (None, None)], ids=["one shape", "any shape"])
def test_outputs_and_all_gradients_equal_those_of_automatic_differentiation(name, xla, lengths):
    cell, width = CELLS[name], GATES[name] * D
    x, keys, values = normal(B, T, 2, seed=0), normal(B, S, D, seed=1), normal(B, S, D, seed=2)
    weights = (
        normal(2 + D, width, seed=3),
        normal(D, width, seed=4),
        normal(*((2, width) if name == "gru" else (width,)), seed=5),
        normal(D, D, seed=6),
        normal(D, 1, seed=7),
    )
    state = tuple(normal(B, D, seed=8 + n) for n in range(cell.num_states))
    # A loss in which every output has a part of its own.
    factors = [normal(B, T, D, seed=20), normal(B, T, D, seed=21)]
    factors += [normal(B, D, seed=22 + n) for n in range(cell.num_states)]

    def run(function, x, keys, values, is_token):
        with tf.GradientTape() as tape:
            watched = [x, keys, values, *weights, *state]
            tape.watch(watched)
            hs, contexts, attention, last = function(x, keys, values, is_token)
            outputs = [hs, contexts, *last]
            loss = sum(tf.reduce_sum(f * y) for f, y in zip(factors, outputs, strict=True))
        return [*outputs, attention, *tape.gradient(loss, watched)]

    def by_automatic(x, keys, values, is_token):
        return by_automatic_differentiation(cell, x, keys, values, weights, state)

    def by_hand(x, keys, values, is_token):
        return recur_attending(cell, x, state, (keys, values, is_token), *weights)

    t, s = lengths
    compiled = tf.function(
        lambda *inputs: run(by_hand, *inputs),
        input_signature=[
            tf.TensorSpec((B, t, 2)),
            tf.TensorSpec((B, s, D)),
            tf.TensorSpec((B, s, D)),
            tf.TensorSpec((B, s), tf.bool),
        ],
        jit_compile=xla,
        autograph=False,
    )
    inputs = (x, keys, values, tf.constant(IS_TOKEN))
    expected, found = run(by_automatic, *inputs), compiled(*inputs)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5, rtol=1e-5)
