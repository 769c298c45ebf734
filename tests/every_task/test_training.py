"""Every task, trained: interrupted, resumed, loaded."""

import json
import shutil
import warnings
from dataclasses import replace

import numpy as np
import pytest

import kerazoo
from kerazoo.data.datasets import load
from kerazoo.errors import InputError
from kerazoo.recipe import Recipe
from kerazoo.tests.every_task.small_tasks import TASKS, every_task, recipe_of
from kerazoo.train import train
from kerazoo.training import checkpoints

pytestmark = pytest.mark.usefixtures("without_xla")


def validation_of(run):
    return run.task.encode(load(run.recipe.data, run.recipe.task.reads).content["validation"])


@every_task
def test_a_run_loads_and_scores_as_reported(task, finished):
    run = kerazoo.load(finished[task])
    assert Recipe.from_json(json.loads(json.dumps(run.recipe.to_json()))) == run.recipe
    score = run.task.score_in_training(run.model, validation_of(run), 10**6)
    assert score.loss == pytest.approx(run.report["validation"]["loss"], rel=1e-4)
    assert score.loss < np.log(run.tokenizer.vocab_size)
    assert score.bits_per_byte is None or task == "continuation"


@pytest.mark.parametrize(
    "task",
    [
        pytest.param(task, marks=[] if task in ("masked", "questions") else pytest.mark.slow)
        for task in TASKS
    ],
)
def test_an_interrupted_training_resumes_to_the_same_weights(
    task, finished, data, tmp_path, monkeypatch
):
    save = checkpoints.Checkpoints.on_epoch_end

    def save_and_stop(self, *args):
        save(self, *args)
        if self.state.step == 10:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints.Checkpoints, "on_epoch_end", save_and_stop)
    recipe = recipe_of(task, data)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "run")
    monkeypatch.undo()
    train(recipe, tmp_path / "run", resume=True)
    for one, other in zip(
        kerazoo.load(tmp_path / "run").model.get_weights(),
        kerazoo.load(finished[task]).model.get_weights(),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


@every_task
def test_the_samples_and_the_card_show_what_it_has_learnt(task, finished):
    samples = (finished[task] / "samples.txt").read_text()
    card = (finished[task] / "README.md").read_text()
    expected = {"continuation": "\n", "masked": "[MASK]", "tagging": "right: [('A"}
    assert expected.get(task, " -> ") in samples
    assert f'kerazoo generate {finished[task]} "' in card


def test_a_bert_trains_without_a_question_about_sentences(data, tmp_path):
    masked = recipe_of("masked", data, steps=4, validate_every=4)
    alone = replace(masked, task=replace(masked.task, sentences="none"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # such as one of weights without a gradient
        run = train(alone, tmp_path / "run")
    loaded = kerazoo.load(run.folder)
    score = loaded.task.score_in_training(loaded.model, validation_of(loaded), 10**6)
    assert score.loss == pytest.approx(run.report["validation"]["loss"], rel=1e-4)
    assert score.sentence_accuracy is None


def test_a_bert_trains_on_the_order_of_sentences_and_on_whole_words(data, tmp_path):
    masked = recipe_of("masked", data, steps=4, validate_every=4)
    task = replace(masked.task, sentences="order", whole_words=True)
    whole = replace(masked, task=task, data=replace(masked.data, tokenizer="wordpiece"))
    score = train(whole, tmp_path / "run").report["validation"]
    assert np.isfinite(score["loss"])
    assert 0 <= score["sentence_accuracy"] <= 1


def test_losses_by_name_train_in_half_precision_with_accumulation(data, tmp_path):
    halves = {"precision": "float16", "accumulate": 2, "steps": 4, "validate_every": 4}
    run = train(recipe_of("masked", data, **halves), tmp_path / "run")
    assert np.isfinite(run.report["validation"]["loss"])


def test_what_is_held_out_may_have_unknown_words_and_no_names(data, tmp_path):
    (tmp_path / "new.txt").write_text("the zebra sees the cat again and again.\n" * 9)
    masked = recipe_of("masked", data, steps=2, validate_every=2)
    new = replace(masked.data, tokenizer="word", validation=tmp_path / "new.txt")
    run = train(replace(masked, data=new), tmp_path / "masked")
    assert (run.folder / "model.keras").is_file()
    (tmp_path / "new.conll").write_text("the O\ncat O\n\na O\ndog O\n")
    tagging = recipe_of("tagging", data, steps=2, validate_every=2)
    new = replace(tagging.data, validation=tmp_path / "new.conll")
    run = train(replace(tagging, data=new), tmp_path / "tagging")
    assert "right: []" in (run.folder / "samples.txt").read_text()


@pytest.mark.parametrize("content", ['{"labels": "', "[]", '{"labels": [1, 2]}'])
def test_a_run_whose_labels_are_damaged_is_refused(content, finished, tmp_path):
    shutil.copytree(finished["classification"], tmp_path / "copy")
    (tmp_path / "copy" / "labels.json").write_text(content)
    with pytest.raises(InputError, match="labels.json is damaged"):
        kerazoo.load(tmp_path / "copy")
