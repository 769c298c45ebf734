"""What every task learns from, and what it refuses."""

from dataclasses import replace

import pytest

import kerazoo
from kerazoo import evaluate
from kerazoo.data.datasets import DataConfig
from kerazoo.errors import InputError
from kerazoo.models.configs import BERTConfig, GPTConfig, TransformerConfig
from kerazoo.recipe import Recipe
from kerazoo.tasks.configs import (
    ClassificationConfig,
    ContinuationConfig,
    LanguageModelingConfig,
    MaskedLanguageModelingConfig,
    TaggingConfig,
    TranslationConfig,
)
from kerazoo.tests.every_task.small_tasks import recipe_of
from kerazoo.train import main, train
from kerazoo.training.config import TrainConfig

pytestmark = pytest.mark.usefixtures("without_xla")


@pytest.mark.parametrize(
    ("task", "file", "message"),
    [
        ("classification", "tags.conll", "which is no file of labels; give a table"),
        ("regression", "labels.csv", "has the label '.*', which is no number; regression needs"),
        ("tagging", "words.conll", "'cat' is no tag of IOB2"),
        ("questions", "labels.csv", "which is no file of questions; give a .json file in SQuAD's"),
        ("translation", "text.txt", "line 1"),
        ("dialogue", "labels.csv", "which is no file of dialogues"),
    ],
)
def test_data_of_another_kind_are_refused(task, file, message, data, tmp_path):
    recipe = replace(recipe_of(task, data), data=DataConfig(text=data / file))
    with pytest.raises(InputError, match=message):
        train(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_is_for_testing_only_is_not_learnt_from(data, tmp_path, monkeypatch):
    (tmp_path / "wmt13").mkdir()
    for side in ("src.en", "src.es"):
        path = tmp_path / "wmt13" / f"newstest2013-{side}.sgm"
        path.write_text('<seg id="1">A sentence.</seg>\n')
    monkeypatch.setenv("KERAZOO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KERAZOO_MIRROR", str(tmp_path))
    recipe = replace(recipe_of("translation", data), data=DataConfig(name="wmt13-en-es"))
    with pytest.raises(InputError, match="'wmt13-en-es' is for testing only"):
        train(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_texts_of_one_class_are_no_classification(data, tmp_path):
    path = tmp_path / "one.csv"
    path.write_text("text,label\na,x\nb,x\nc,x\n")
    recipe = replace(recipe_of("classification", data), data=DataConfig(text=path))
    with pytest.raises(InputError, match="such as 'x', is 1; classification needs from 2 to"):
        train(recipe, tmp_path / "run")


def test_a_class_that_no_training_example_has_is_refused_by_its_example(data, tmp_path):
    path = tmp_path / "new.csv"
    path.write_text("text,label\nthe cat,cat\nthe fish,fish\n")
    recipe = recipe_of("classification", data)
    recipe = replace(recipe, data=replace(recipe.data, validation=path))
    with pytest.raises(InputError, match="'.+' has the label 'fish', which no training exam"):
        train(recipe, tmp_path / "run")


def test_a_tag_that_no_training_example_has_is_scored_as_not_found(finished, tmp_path):
    path = tmp_path / "new.conll"
    path.write_text("Paris B-place\nsees O\nAda B-person\nByron I-person\n")
    run = kerazoo.load(finished["tagging"])
    report = evaluate.score(run, DataConfig(text=path, validation=path)).report
    assert (report.classes["place"].support, report.classes["place"].recall.value) == (1, 0)


@pytest.mark.parametrize(
    ("model", "task", "message"),
    [
        (GPTConfig(), MaskedLanguageModelingConfig(), "given the model gpt; it needs one of bert"),
        (BERTConfig(), LanguageModelingConfig(), "given the model bert; it needs one of ngram"),
        (
            GPTConfig(),
            ClassificationConfig(pooling="first"),
            "--task.pooling first takes the state.*in this model has not seen the tokens after it",
        ),
        (GPTConfig(), ContinuationConfig(), "it needs one of transformer, rnn-seq2seq"),
        (BERTConfig(), TranslationConfig(), "it needs one of rnn, gpt, llama, transformer, rnn-se"),
        (TransformerConfig(), TaggingConfig(), "it needs one of rnn, gpt, llama, rnn-encoder, be"),
    ],
)
def test_a_model_that_cannot_do_a_task_is_refused(model, task, message, small_text):
    with pytest.raises(InputError, match=message):
        Recipe("A test.", model, DataConfig(text=small_text), TrainConfig(steps=1), task)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bert-shakespeare", "--task.mask-share", "0.9"], "--task.mask-share is 0.9; it must be"),
        (["transformer-reverse", "--data.name", "pydoc"], "has text, and the task reads pairs"),
        (["transformer-reverse", "--task.beams", "0"], "--task.beams is 0; it must be at least 1"),
        (
            ["bert-squad", "--model.num-segments", "1"],
            "--model.num-segments is 1, and the task tells two texts apart",
        ),
        (
            ["transformer-spa", "--data.language", "fr"],
            "--data.language fr is for examples of yours",
        ),
        (
            ["bert-sst", "--data.text", "reviews.csv", "--data.language", "fr"],
            "--data.language fr is for examples of yours.*of which answers in words are scored",
        ),
        (
            ["bert-sst", "--train.label-smoothing", "0.1"],
            "spreads a target over classes or tokens, and regression predicts neither",
        ),
    ],
)
def test_wrong_settings_of_a_task_are_refused(arguments, message, tmp_path):
    with pytest.raises(InputError, match=message):
        main([*arguments, "--out", str(tmp_path / "run")])
    assert not (tmp_path / "run").exists()
