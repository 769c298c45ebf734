import math

import keras
import numpy as np
import pytest

from kerazoo.models import families
from kerazoo.models.configs import GPTConfig, RNNConfig
from kerazoo.training.config import TrainConfig
from kerazoo.training.optimizers import make_optimizer, make_schedule

OPTIMIZERS = {
    "adamw": keras.optimizers.AdamW,
    "adam": keras.optimizers.Adam,
    "sgd": keras.optimizers.SGD,
    "muon": keras.optimizers.Muon,
}


def test_the_learning_rate_warms_up_and_falls_on_half_a_cosine():
    config = TrainConfig(steps=1000, learning_rate=0.2, warmup=0.1, final_learning_rate=0.05)
    schedule = make_schedule(config, 1000)
    assert float(schedule(50)) == pytest.approx(0.1, rel=0.02)
    assert float(schedule(100)) == pytest.approx(0.2)
    for step in (100, 333, 550, 1000):
        cosine = 0.5 * (1 + math.cos(math.pi * (step - 100) / 900))
        assert float(schedule(step)) == pytest.approx(0.2 * (0.05 + 0.95 * cosine), rel=1e-3)


def test_the_inverse_root_is_the_schedule_of_attention_is_all_you_need():
    width, warmup_steps = 512, 400
    config = TrainConfig(
        steps=4000,
        schedule="inverse-root",
        learning_rate=(width * warmup_steps) ** -0.5,
        warmup=warmup_steps / 4000,
    )
    schedule = make_schedule(config, 4000)
    for step in (1, 10, 399, 400, 401, 2000, 4000):  # the paper counts from 1
        expected = width**-0.5 * min(step**-0.5, step * warmup_steps**-1.5)
        assert float(schedule(step - 1)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("steps_per_epoch", [10, 10.4])
def test_the_learning_rate_falls_in_steps_from_epoch_to_epoch(steps_per_epoch):
    config = TrainConfig(
        epochs=7, schedule="step", learning_rate=20.0, constant_epochs=4, decay=0.5, warmup=0.5
    )
    schedule = make_schedule(config, math.ceil(7 * steps_per_epoch), steps_per_epoch)
    for step in range(math.ceil(7 * steps_per_epoch)):
        epoch = int(step / steps_per_epoch)
        assert float(schedule(step)) == 20 * [1, 1, 1, 1, 0.5, 0.25, 0.125][epoch]


def test_a_training_shorter_than_the_constant_epochs_keeps_its_learning_rate():
    config = TrainConfig(steps=30, schedule="step", learning_rate=0.3, constant_epochs=4)
    schedule = make_schedule(config, 30, 10)
    assert [float(schedule(step)) for step in range(30)] == pytest.approx([0.3] * 30)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_lowers_the_loss_with_clipping_and_accumulation(name):
    rate = {"sgd": 0.3, "muon": 0.02}.get(name, 0.01)
    config = TrainConfig(steps=1, optimizer=name, learning_rate=rate, batch_size=4, accumulate=2)
    keras.utils.set_random_seed(0)
    model = families.build(GPTConfig(vocab_size=7, context_length=6, num_layers=1, width=8))
    optimizer = make_optimizer(config, rate, model.trainable_variables)
    assert isinstance(optimizer, OPTIMIZERS[name])
    assert optimizer.global_clipnorm == 1.0
    assert optimizer.gradient_accumulation_steps == 2
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss=loss, jit_compile=False)
    token_ids = np.random.default_rng(0).integers(0, 7, (4, 6))
    losses = [float(model.train_on_batch(token_ids, token_ids)) for _ in range(60)]
    assert losses[-1] < 0.7 * losses[0]


def test_the_gradient_of_a_token_that_occurs_often_is_clipped_as_one():
    config = TrainConfig(steps=1, optimizer="sgd", momentum=0.0, clip_norm=1.0)
    model = keras.Sequential([keras.layers.Embedding(5, 1, embeddings_initializer="ones")])
    model.build((1, 10))
    model.compile(make_optimizer(config, 1.0, model.trainable_variables), loss="mse")
    model.train_on_batch(np.full((1, 10), 3), np.zeros((1, 10, 1)))
    # The gradient, 2 in all, is cut to 1; in ten parts of 0.2 it would have had the length 0.63.
    np.testing.assert_allclose(model.get_weights()[0][:, 0], [1, 1, 1, 0, 1], atol=1e-6)


@pytest.mark.parametrize("name", ["adamw", "muon"])
@pytest.mark.parametrize(
    "architecture",
    [
        GPTConfig(vocab_size=7, context_length=6, num_layers=1, width=8),
        RNNConfig(vocab_size=7, context_length=6, width=8, cell="gru"),  # its bias has two axes
    ],
    ids=["gpt", "gru"],
)
def test_norms_and_biases_do_not_decay(architecture, name):
    config = TrainConfig(steps=1, optimizer=name, weight_decay=0.5, learning_rate=0.1)
    model = families.build(architecture)
    for weight in model.trainable_variables:
        weight.assign(keras.ops.ones(weight.shape))
    optimizer = make_optimizer(config, 0.1, model.trainable_variables)
    optimizer.build(model.trainable_variables)
    zeros = [keras.ops.zeros(weight.shape) for weight in model.trainable_variables]
    optimizer.apply(zeros, model.trainable_variables)
    for weight in model.trainable_variables:
        is_matrix = len(weight.shape) > 1 and weight.name != "bias"
        decays = is_matrix and not (name == "muon" and "embedding" in weight.path)
        expected = 1 - 0.1 * 0.5 if decays else 1
        np.testing.assert_allclose(weight, expected, rtol=1e-5, err_msg=weight.path)


def test_accumulated_gradients_are_those_of_the_whole_batch():
    token_ids = np.random.default_rng(0).integers(0, 7, (4, 6))
    weights = []
    for accumulate in (1, 2):
        config = TrainConfig(
            steps=1, optimizer="sgd", momentum=0.0, accumulate=accumulate, batch_size=4
        )
        keras.utils.set_random_seed(0)
        model = families.build(GPTConfig(vocab_size=7, context_length=6, num_layers=1, width=8))
        optimizer = make_optimizer(config, 0.5, model.trainable_variables)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer, loss=loss, jit_compile=False)
        for part in np.split(token_ids, accumulate):
            model.train_on_batch(part, part)
        weights.append(model.get_weights())
    for whole, parts in zip(*weights, strict=True):
        np.testing.assert_allclose(whole, parts, atol=1e-6)


def stepped(name, values, gradients, shares=None, steps=3, learning_rate=0.1):
    """Return variables after some steps with the same gradients."""
    variables = [keras.Variable(value, name="weight") for value in values]
    config = TrainConfig(
        steps=1, optimizer=name, weight_decay=0.1, clip_norm=0.0, momentum=0.9, beta_2=0.999
    )
    optimizer = make_optimizer(config, learning_rate, variables, shares)
    optimizer.build(variables)
    for _ in range(steps):
        optimizer.apply([keras.ops.convert_to_tensor(g) for g in gradients], variables)
    return [variable.numpy() for variable in variables]


@pytest.fixture
def matrices():
    chance = np.random.default_rng(0)
    return [[chance.normal(size=(4, 3)).astype("float32") for _ in range(2)] for _ in range(2)]


def test_a_step_of_sgd_has_its_share_of_the_learning_rate(matrices):
    values, gradients = matrices
    for new, old, gradient, share in zip(
        stepped("sgd", values, gradients, [0.25, 1.0], steps=1),
        values,
        gradients,
        [0.25, 1.0],
        strict=True,
    ):
        np.testing.assert_allclose(new, old - 0.1 * share * gradient, rtol=1e-5)


def test_a_first_step_of_adamw_and_its_decay_have_their_share_of_the_learning_rate(matrices):
    values, gradients = matrices
    for new, old, gradient, share in zip(
        stepped("adamw", values, gradients, [0.25, 1.0], steps=1),
        values,
        gradients,
        [0.25, 1.0],
        strict=True,
    ):
        expected = old * (1 - 0.1 * share * 0.1) - 0.1 * share * np.sign(gradient)
        np.testing.assert_allclose(new, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_share_of_the_learning_rate_is_a_learning_rate_of_its_own(name, matrices):
    values, gradients = matrices
    first, second = stepped(name, values, gradients, [0.25, 1.0])
    np.testing.assert_array_equal(second, stepped(name, values, gradients)[1])
    quarter, _ = stepped(name, values, gradients, learning_rate=0.025)
    np.testing.assert_allclose(first, quarter, rtol=1e-5, atol=1e-6)


def test_shares_are_the_parameter_groups_of_pytorch(matrices):
    torch = pytest.importorskip("torch")
    values, gradients = matrices
    ours = stepped("adamw", values, gradients, [0.25, 1.0], steps=5)
    theirs = [torch.nn.Parameter(torch.tensor(value)) for value in values]
    groups = [
        {"params": [weight], "lr": 0.1 * share}
        for weight, share in zip(theirs, [0.25, 1.0], strict=True)
    ]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1)
    for weight, gradient in zip(theirs, gradients, strict=True):
        weight.grad = torch.tensor(gradient)
    for _ in range(5):
        optimizer.step()
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other.detach().numpy(), rtol=1e-4, atol=1e-5)
