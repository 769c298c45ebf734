"""The smallest real task of an encoder-decoder: write a word backwards, as no word before."""

import keras
import numpy as np
import pytest

from kerazoo.models import families
from kerazoo.models.configs import RNNSeq2SeqConfig, TransformerConfig
from kerazoo.models.decoding import generate
from kerazoo.models.inspection import cross_attention_weights
from kerazoo.models.sampling import Sampling
from kerazoo.tasks.losses import CrossEntropy

LETTERS, LENGTH = 26, 8
START, END, V = LETTERS, LETTERS + 1, LETTERS + 2
SMALL = {"vocab_size": V, "context_length": LENGTH + 2, "num_layers": 1, "width": 64}
# Configuration, steps and learning rate.
SETTINGS = {
    "transformer": (TransformerConfig(**SMALL, dropout=0.0), 400, 3e-3),
    "gru additive": (RNNSeq2SeqConfig(**SMALL, cell="gru", attention="additive"), 300, 1e-2),
    "gru multiplicative": (
        RNNSeq2SeqConfig(**SMALL, cell="gru", attention="multiplicative"),
        300,
        1e-2,
    ),
}


def some_words(rng, number):
    """Return random words (B, 8), and the same backwards between start and end, (B, 10)."""
    words = rng.integers(0, LETTERS, (number, LENGTH)).astype("int32")
    return words, np.pad(words[:, ::-1], ((0, 0), (1, 1)), constant_values=(START, END))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "transformer" else pytest.mark.slow)
        for name in SETTINGS
    ],
)
def test_new_words_are_reversed_without_a_mistake(name):
    keras.utils.set_random_seed(0)
    config, steps, learning_rate = SETTINGS[name]
    model = families.build(config)
    warmup_steps = steps // 10
    schedule = keras.optimizers.schedules.CosineDecay(
        learning_rate / warmup_steps,
        steps - warmup_steps,
        warmup_target=learning_rate,
        warmup_steps=warmup_steps,
    )
    optimizer = keras.optimizers.Adam(schedule, beta_2=0.98, global_clipnorm=1.0)
    model.compile(optimizer, loss=CrossEntropy(label_smoothing=0.1), jit_compile=False)
    rng = np.random.default_rng(0)
    for _ in range(steps):
        words, reversed_words = some_words(rng, 64)
        inputs = {"source_ids": words, "token_ids": reversed_words[:, :-1]}
        model.train_on_batch(inputs, reversed_words[:, 1:])

    # Two out of 26^8 words are hardly ever the same.
    words, reversed_words = some_words(np.random.default_rng(1), 500)
    found = generate(
        model,
        [np.array([START])] * len(words),
        LENGTH + 5,
        Sampling("greedy"),
        source=(words, np.ones_like(words, bool)),
        end_id=END,
    )
    assert [row.tolist() for row in found] == reversed_words.tolist()

    # To write a letter, the model looks at it.
    inputs = {"source_ids": words, "token_ids": reversed_words[:, :-1]}
    (weights,) = cross_attention_weights(model, inputs)[..., :LENGTH, :]  # (B, H, T, S)
    looked_at = weights.mean(axis=(0, 1)).argmax(axis=-1)
    assert looked_at.tolist() == list(range(LENGTH))[::-1]
