import numpy as np
import pytest
import tensorflow as tf

from kerazoo.models.recurrence import CELLS, KERAS_LAYERS, run_layer


def normal(*shape, seed):
    return tf.constant(np.random.default_rng(seed).normal(size=shape).astype("float32"))


MASK = np.arange(6) < np.array([[6], [4], [0]])  # (B, T): a whole text, a padded one, padding


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize(
    ("mask", "traced_for"),
    [(None, (3, 6)), (MASK, (3, 6)), (MASK, (None, None))],
    ids=["all tokens", "padded", "padded, any shape"],
)
@pytest.mark.parametrize("go_backwards", [False, True], ids=["forwards", "backwards"])
def test_outputs_and_all_gradients_equal_those_of_keras(name, xla, mask, traced_for, go_backwards):
    batch_size, length, width_in, width = 3, 6, 5, 4
    layer = KERAS_LAYERS[name](
        width, return_sequences=True, return_state=True, go_backwards=go_backwards
    )
    layer.build((None, None, width_in))
    layer.set_weights([normal(*w.shape, seed=n) for n, w in enumerate(layer.weights)])
    x = normal(batch_size, length, width_in, seed=10)
    states = CELLS[name].num_states
    state = tuple(normal(batch_size, width, seed=20 + n) for n in range(states))
    # A loss in which every output has a part of its own.
    factors = [normal(batch_size, length, width, seed=30)]
    factors += [normal(batch_size, width, seed=31 + n) for n in range(states)]

    def run(x, is_token, by_keras):
        with tf.GradientTape() as tape:
            watched = [x, *state, *(weight.value for weight in layer.weights)]
            tape.watch(watched)
            mask_given = None if mask is None else is_token
            outputs, last = run_layer(name, layer, x, state, mask_given, by_keras)
            outputs = outputs * tf.cast(is_token[..., None], "float32")  # nobody looks elsewhere
            loss = sum(tf.reduce_sum(f * y) for f, y in zip(factors, (outputs, *last), strict=True))
        return [outputs, *last, *tape.gradient(loss, watched)]

    is_token = tf.constant(np.ones((batch_size, length), bool) if mask is None else mask)
    by_hand = tf.function(
        lambda x, is_token: run(x, is_token, by_keras=False),
        input_signature=[
            tf.TensorSpec((*traced_for, width_in)),
            tf.TensorSpec(traced_for, tf.bool),
        ],
        jit_compile=xla,
        autograph=False,
    )
    expected, found = run(x, is_token, by_keras=True), by_hand(x, is_token)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("name", CELLS)
def test_any_number_of_texts_at_once(name):
    layer = KERAS_LAYERS[name](4)
    layer.build((None, None, 5))
    states = CELLS[name].num_states

    @tf.function(input_signature=[tf.TensorSpec((None, None, 5))], autograph=False)
    def outputs(x):
        return run_layer(name, layer, x, (tf.zeros((tf.shape(x)[0], 4)),) * states)[0]

    for batch_size, length in ((1, 1), (3, 2)):
        x = normal(batch_size, length, 5, seed=0)
        np.testing.assert_allclose(outputs(x)[:, -1], layer(x), atol=1e-6)
