"""Tasks that begin from a pretrained model."""

import itertools
import shutil
from dataclasses import replace

import numpy as np
import pytest

import kerazoo
from kerazoo.data.datasets import DataConfig
from kerazoo.errors import InputError
from kerazoo.models.configs import BERTConfig, GPTConfig, LlamaConfig, RNNConfig
from kerazoo.recipe import Recipe
from kerazoo.tests.every_task.small_tasks import SIZE, TRAINING, recipe_of
from kerazoo.train import train
from kerazoo.training import finetuning
from kerazoo.training.config import TrainConfig

pytestmark = pytest.mark.usefixtures("without_xla")


@pytest.fixture(scope="module")
def pretrained(finished):
    return finished["masked"]


def classifier(data, init, model=None, **train_fields):
    recipe = recipe_of("classification", data, init, **train_fields)
    return replace(recipe, model=model or BERTConfig(**SIZE, num_layers=1))


def backbone_weights(run):
    model = getattr(run.model, "backbone", run.model)
    return {weight.path.split("/", 1)[-1]: weight.numpy() for weight in model.weights}


def test_a_head_learns_on_a_pretrained_model_that_stays_as_it_is(data, pretrained, tmp_path):
    run = train(classifier(data, pretrained, frozen=-1), tmp_path / "run")
    before, after = backbone_weights(kerazoo.load(pretrained)), backbone_weights(run)
    assert before.keys() == after.keys()
    for name, weight in after.items():
        np.testing.assert_array_equal(weight, before[name])
    assert run.tokenizer.fingerprint() == kerazoo.load(pretrained).tokenizer.fingerprint()
    again = kerazoo.load(tmp_path / "run")
    assert again.recipe.init == pretrained
    assert again.predict(["the cat"])[0].label in again.labels


def test_a_pretrained_model_learns_on_by_lora(data, pretrained, tmp_path):
    run = train(classifier(data, pretrained, lora_rank=2), tmp_path / "run")
    before, after = backbone_weights(kerazoo.load(pretrained)), backbone_weights(run)
    changed = {name for name in after if not np.array_equal(after[name], before[name])}
    assert changed
    assert all(name.endswith("kernel") for name in changed)


@pytest.mark.parametrize("fields", [{"frozen": 1}, {"lora_rank": 2}, {"layer_decay": 0.5}])
def test_with_a_head_it_goes_on_when_the_pretrained_run_is_gone(fields, data, pretrained, tmp_path):
    shutil.copytree(pretrained, tmp_path / "pretrained")
    recipe = classifier(data, tmp_path / "pretrained", steps=1, validate_every=1, **fields)
    train(recipe, tmp_path / "run")
    shutil.rmtree(tmp_path / "pretrained")
    longer = replace(recipe, train=replace(recipe.train, steps=2))
    assert train(longer, tmp_path / "run", resume=True).report["steps"] == 2


def test_the_lower_a_part_is_the_less_it_moves_by_layer_decay(data, pretrained, tmp_path):
    """In a step of SGD, by as much as the learning rate is smaller."""
    before, moved = kerazoo.load(pretrained).model, {}
    fields = {"optimizer": "sgd", "momentum": 0.0, "weight_decay": 0.0, "warmup": 0.0}
    for decay in (1.0, 0.25):
        recipe = classifier(data, pretrained, layer_decay=decay, steps=1, learning_rate=1, **fields)
        model = train(recipe, tmp_path / f"{decay}").model
        weights = zip(finetuning.parts(model), finetuning.parts(before), strict=True)
        moved[decay] = [
            np.sqrt(
                sum(np.sum((a.numpy() - b.numpy()) ** 2) for a, b in zip(part, old, strict=True))
            )
            for part, old in itertools.islice(weights, 2)  # the embeddings, a block
        ]
    assert min(moved[1.0]) > 1e-3
    assert np.divide(moved[0.25], moved[1.0]) == pytest.approx([0.25**2, 0.25], rel=1e-2)


def test_a_size_that_is_not_that_of_the_run_gives_way(data, pretrained, tmp_path):
    model = BERTConfig(context_length=12, width=64, num_layers=3)
    run = train(classifier(data, pretrained, model, steps=1), tmp_path / "run")
    assert (run.model.config.width, run.model.config.context_length) == (16, 12)


@pytest.mark.parametrize("model", [GPTConfig(**SIZE), RNNConfig(**SIZE), LlamaConfig(**SIZE)])
def test_a_model_of_another_family_is_no_beginning(model, data, pretrained, tmp_path):
    with pytest.raises(InputError, match="is a run of bert, and the recipe's model is"):
        train(classifier(data, pretrained, model), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_language_model_gets_the_special_tokens_of_a_task(data, tmp_path):
    model = GPTConfig(**SIZE, num_layers=1, vocab_size=256)
    settings = TrainConfig(**{**TRAINING, "steps": 2, "validate_every": 2})
    text = DataConfig(text=data / "text.txt", tokenizer="byte")
    language = Recipe("A test.", model, text, settings)
    before = train(language, tmp_path / "gpt")
    recipe = classifier(data, tmp_path / "gpt", model, steps=2, validate_every=2)
    after = train(recipe, tmp_path / "run")
    assert set(before.tokenizer.special_ids) < set(after.tokenizer.special_ids)
    assert after.tokenizer.special_ids.keys() >= {"[CLS]", "[SEP]", "[PAD]", "[MASK]"}
    ids = before.tokenizer.encode("the cat")
    np.testing.assert_array_equal(after.tokenizer.encode("the cat"), ids)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"frozen": 2}, "--train.frozen 2 is for a pretrained model, and nothing is pretrained"),
        ({"layer_decay": 0.5}, "--train.layer-decay 0.5 is for a pretrained model"),
        ({"lora_rank": 4}, "--train.lora-rank 4 is for a pretrained model"),
    ],
)
def test_what_is_for_pretrained_models_is_refused_without_one(fields, message, data):
    with pytest.raises(InputError, match=message):
        classifier(data, None, **fields)
