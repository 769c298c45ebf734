"""On the JAX backend models train, score and write, and runs are the same as on TensorFlow."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kerazoo.evaluate import main as evaluate

ROOT = Path(__file__).parents[1]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("jax") is None,
        reason="needs the jax extra: pip install -e .[jax]",
    ),
]

SMALL = ["--train.steps", "6", "--train.validate-every", "3", "--train.batch-size", "4"]
SIZE = ["--model.num-layers", "1", "--model.width", "16"]
HEADS = ["--model.num-heads", "2"]
RECIPES = {
    "gpt-shakespeare": [*SIZE, *HEADS, "--train.precision", "bfloat16"],
    "lstm-shakespeare": SIZE,
    "bert-shakespeare": [*SIZE, *HEADS],
    "lstm-spa": [*SIZE, "--model.attention", "additive"],
    "transformer-spa": SIZE,
}


def by_jax(script, *arguments):
    """Run a script of kerazoo on JAX and return what it printed."""
    outcome = subprocess.run(
        [sys.executable, str(ROOT / script), *map(str, arguments)],
        env={**os.environ, "KERAS_BACKEND": "jax"},
        capture_output=True,
        text=True,
    )
    assert outcome.returncode == 0, outcome.stderr
    return outcome.stdout


@pytest.fixture
def pairs(tmp_path):
    path = tmp_path / "pairs.tsv"
    words = ["one", "two", "three", "four", "five"]
    lines = [f"{a} {b}\t{b} {a}\n" for a in words for b in words for _ in range(4)]
    path.write_text("source\ttarget\n" + "".join(lines))
    return path


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_run_trains_and_writes_and_has_the_same_score_on_both_backends(
    recipe, small_text, pairs, tmp_path
):
    run = tmp_path / "run"
    data = pairs if recipe.endswith("spa") else small_text
    command = [recipe, "--data.text", data, "--out", run, *SMALL, *RECIPES[recipe]]
    if recipe.endswith("spa"):
        command += ["--data.vocab-size", "300"]
    by_jax("train.py", *command)
    by_jax("evaluate.py", run, "--json", tmp_path / "jax.json")
    evaluate([str(run), "--json", str(tmp_path / "tensorflow.json")])
    on_jax, here = (
        json.loads((tmp_path / f"{name}.json").read_text())[0]["details"]["loss"]
        for name in ("jax", "tensorflow")
    )
    tolerance = 1e-2 if "--train.precision" in RECIPES[recipe] else 1e-4
    assert on_jax == pytest.approx(here, rel=tolerance)
    translates = recipe.endswith("spa")
    prompt = "one two" if translates else "the [MASK]" if recipe.startswith("bert") else "the cat"
    written = by_jax("generate.py", run, prompt)
    assert translates or written.strip()  # a translator may have nothing to say
