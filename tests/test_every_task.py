"""Every task from end to end: trained, interrupted, resumed, loaded, scored, asked."""

import csv
import json

import numpy as np
import pytest

import kerazoo
from kerazoo import evaluate, generate, recipes
from kerazoo.data.datasets import DataConfig
from kerazoo.errors import InputError
from kerazoo.models.configs import BERTConfig, GPTConfig, TransformerConfig
from kerazoo.recipes import Recipe
from kerazoo.tasks.configs import (
    ContinuationConfig,
    LanguageModelingConfig,
    MaskedLanguageModelingConfig,
    SequenceToSequenceConfig,
)
from kerazoo.train import main, train
from kerazoo.training import checkpoints
from kerazoo.training.config import TrainConfig

pytestmark = [
    pytest.mark.xdist_group("every task"),  # they share trainings
    pytest.mark.usefixtures("without_xla"),
]

TRAINING = {
    "steps": 20,
    "validate_every": 10,
    "batch_size": 8,
    "learning_rate": 0.01,
    "xla": "off",
    "validation_tokens": 500,
}
SIZE = {"context_length": 16, "width": 16, "dropout": 0.1}
TASKS = {
    "continuation": (TransformerConfig(**SIZE, num_layers=1), ContinuationConfig()),
    "masked": (BERTConfig(**SIZE, num_layers=1), MaskedLanguageModelingConfig()),
    "pairs": (TransformerConfig(**SIZE, num_layers=1), SequenceToSequenceConfig()),
}


@pytest.fixture(scope="module")
def pairs_text(tmp_path_factory):
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice(list("abcd"), rng.integers(1, 6))) for _ in range(400)]
    path = tmp_path_factory.mktemp("pairs") / "pairs.txt"
    path.write_text("".join(f"{word}\t{word[::-1]}\n" for word in words))
    return path


def recipe_of(task, small_text, pairs_text, **train_fields):
    model, config = TASKS[task]
    text = pairs_text if task == "pairs" else small_text
    settings = TrainConfig(**{**TRAINING, **train_fields})
    return Recipe("A test.", model, DataConfig(text=text), settings, config)


@pytest.fixture(scope="module")
def finished(small_text, pairs_text, tmp_path_factory):
    """A run of each task."""
    parent = tmp_path_factory.mktemp("runs")
    made = {}
    for number, task in enumerate(TASKS):
        folder = parent / f"run{number}"
        train(recipe_of(task, small_text, pairs_text), folder, "a-test")
        made[task] = folder
    return made


every_task = pytest.mark.parametrize("task", TASKS)


@every_task
def test_a_run_loads_and_scores_as_reported(task, finished):
    run = kerazoo.load(finished[task])
    assert recipes.from_json(json.loads(json.dumps(recipes.to_json(run.recipe)))) == run.recipe
    from kerazoo.data.datasets import load

    kind = "pairs" if task == "pairs" else "text"
    examples = run.task.encode(load(run.recipe.data, kind).validation)
    score = run.task.score_in_training(run.model, examples, 10**6)
    assert score.loss == pytest.approx(run.report["validation"]["loss"], rel=1e-4)
    assert score.loss < np.log(run.tokenizer.vocab_size)


@pytest.mark.parametrize(
    "task",
    [pytest.param(task, marks=[] if task == "masked" else pytest.mark.slow) for task in TASKS],
)
def test_an_interrupted_training_resumes_to_the_same_weights(
    task, finished, small_text, pairs_text, tmp_path, monkeypatch
):
    save = checkpoints.Checkpoints.on_epoch_end

    def save_and_stop(self, *args):
        save(self, *args)
        if self.state.step == 10:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints.Checkpoints, "on_epoch_end", save_and_stop)
    recipe = recipe_of(task, small_text, pairs_text)
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
    expected = {"masked": "[MASK]", "pairs": " -> "}.get(task, "\n")
    assert expected in samples
    assert "python generate.py" in card


def test_losses_by_name_train_in_half_precision_with_accumulation(small_text, pairs_text, tmp_path):
    halves = {"precision": "float16", "accumulate": 2, "steps": 4, "validate_every": 4}
    run = train(recipe_of("masked", small_text, pairs_text, **halves), tmp_path / "run")
    assert np.isfinite(run.report["validation"]["loss"])


def asked(capsys, *arguments):
    generate.main([str(argument) for argument in arguments])
    return capsys.readouterr().out


def test_a_text_goes_on_beyond_the_context_from_prompts_of_any_length(finished, capsys):
    folder = finished["continuation"]
    for prompt in ("t", "the cat sees a dog.\nmy friend hears the"):
        out = asked(capsys, folder, prompt, "--max-tokens", 50, "--seed", 1)
        assert out.startswith(prompt)
        assert len(out) == len(prompt) + 50 + 1
        assert asked(capsys, folder, prompt, "--max-tokens", 50, "--seed", 1) == out
    assert len(asked(capsys, folder, "--max-tokens", 20)) == 22


def test_continuations_of_a_batch_are_those_of_its_rows(finished):
    run = kerazoo.load(finished["continuation"])
    greedy = {"sampling": generate.Sampling("greedy")}
    prompts = ["the", "a dog likes my friend.\n"]
    together = run.generate_all(prompts, 40, **greedy)
    assert together == [run.generate(prompt, 40, **greedy) for prompt in prompts]


def test_masks_are_filled_on_the_screen_and_as_data(finished, capsys):
    run = kerazoo.load(finished["masked"])
    first, second = run.fill_mask("the c[MASK]t s[MASK]es", k=3)
    assert len(first.tokens) == 3
    assert list(first.probabilities) == sorted(first.probabilities, reverse=True)
    assert 0 < sum(second.probabilities) <= 1
    out = asked(capsys, finished["masked"], "the c[MASK]t s[MASK]es")
    filled, *alternatives = out.splitlines()
    assert filled == f"the c{first.tokens[0]}t s{second.tokens[0]}es"
    assert len(alternatives) == 2


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("the cat", r"'the cat' has no \[MASK\] in it"),
        ("[MASK]" + "t" * 20, "21 tokens and the model can look at 14"),
        ("[MASK]ü", "'ü', unknown to this char tokenizer"),
        (None, r"needs a text to work on; give one with \[MASK\] in it"),
    ],
)
def test_what_cannot_be_filled_in_is_refused(prompt, message, finished):
    with pytest.raises(InputError, match=message):
        kerazoo.load(finished["masked"]).generate(prompt)


def test_only_bert_fills_masks(finished):
    with pytest.raises(InputError, match="fills no masks"):
        kerazoo.load(finished["continuation"]).fill_mask("[MASK]")


def test_a_source_is_turned_into_a_target(finished, capsys):
    out = asked(capsys, finished["pairs"], "abc", "d", "--max-tokens", 5)
    assert len(out.split("\n\n---\n\n")) == 2
    with pytest.raises(InputError, match="has 17 tokens; the model reads from 1 to 16"):
        kerazoo.load(finished["pairs"]).generate("a" * 17)


def test_the_table_sets_apart_what_cannot_be_compared(finished, tmp_path, capsys):
    folders = [str(finished[task]) for task in TASKS]
    files = ["--json", f"{tmp_path}/scores.json", "--csv", f"{tmp_path}/scores.csv"]
    evaluate.main([*folders, *files, "--chart", f"{tmp_path}/chart.png"])
    out = capsys.readouterr().out
    assert "do not compare with the loss and perplexity" in " ".join(out.split())
    rows = {row["run"]: row for row in json.loads((tmp_path / "scores.json").read_text())}
    by_task = {task: rows[folder.name] for task, folder in finished.items()}
    assert 0 < by_task["continuation"]["bits/byte"] < 4
    assert by_task["masked"]["pseudo-perplexity"] > 1
    assert 0 <= by_task["pairs"]["exact match"] <= 1
    assert "bits/byte" not in by_task["masked"]
    with open(tmp_path / "scores.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(TASKS)


@pytest.mark.parametrize(
    ("model", "task", "message"),
    [
        (GPTConfig(), MaskedLanguageModelingConfig(), "given the model gpt; it needs one of bert"),
        (BERTConfig(), LanguageModelingConfig(), "given the model bert; it needs one of ngram"),
        (GPTConfig(), ContinuationConfig(), "it needs one of transformer, rnn-seq2seq"),
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
    ],
)
def test_wrong_settings_of_a_task_are_refused(arguments, message, tmp_path):
    with pytest.raises(InputError, match=message):
        main([*arguments, "--out", str(tmp_path / "run")])
    assert not (tmp_path / "run").exists()
