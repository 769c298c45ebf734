"""The rules that hold the project together."""

import ast
import configparser
import doctest
import importlib
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("data", "metrics", "models", "tasks", "training")
# What each room may import besides itself and the files at the root that all rooms share.
MAY_IMPORT = {
    "data": set(),
    "metrics": set(),
    "models": set(),
    "training": set(),
    "tasks": {"data", "metrics", "models", "training"},
    "recipe": {"data", "models", "tasks", "training"},
    "recipes_of_tasks": {"data", "models", "tasks", "training", "recipe"},
    "recipes_of_texts": {"data", "models", "tasks", "training", "recipe"},
    "recipes": {"recipe", "recipes_of_tasks", "recipes_of_texts"},
    "model_card": {"data", "runs"},
    "run_folder": {"data", "models", "tasks", "training", "model_card", "recipe", "runs"},
    "runs": {"data", "metrics", "models", "tasks", "training", "model_card", "recipe"},
    "train_options": {"cli", "data", "models", "recipe", "recipes", "tasks", "training"},
    "quality_chart": {"runs"},
    "chosen_runs": {"data", "runs"},
    "baselines": {"data", "metrics", "recipe", "runs", "tasks"},
    "score_files": {"cli", "data", "metrics"},
}
SHARED = {"__version__", "errors", "files", "startup"}


def sources():
    yield from sorted(ROOT.glob("*.py"))
    for room in ROOMS:
        yield from sorted((ROOT / room).glob("*.py"))


def imported(path):
    """Yield the room or root module of kerazoo behind each relative import."""
    inside = path.parent != ROOT
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not node.level:
            continue
        if node.level == 1 + inside:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from (name.split(".")[0] for name in names)


def test_every_package_folder_is_listed():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = set(config["options"]["packages"].split())
    folders = {path.parent for path in ROOT.glob("*/__init__.py")}
    assert listed == {"kerazoo"} | {f"kerazoo.{folder.name}" for folder in folders}


@pytest.mark.parametrize("path", list(sources()), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    room = path.parent.name if path.parent != ROOT else path.stem
    if room in MAY_IMPORT:
        assert set(imported(path)) - SHARED - {room} <= MAY_IMPORT[room]


def test_models_use_keras_alone():
    for path in sorted((ROOT / "models").glob("*.py")):
        if path.stem == "compiled":  # compilation is the backend's own business
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not {"tensorflow", "jax", "torch"} & {name.split(".")[0] for name in names}


@pytest.mark.parametrize("path", list(sources()), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_examples_in_docstrings_run(path):
    parts = ("kerazoo", *path.relative_to(ROOT).with_suffix("").parts)
    module = importlib.import_module(".".join(part for part in parts if part != "__init__"))
    assert doctest.testmod(module, optionflags=doctest.ELLIPSIS).failed == 0


def test_no_file_is_large_and_no_name_says_nothing():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("needs a git checkout")
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file():
            assert path.stat().st_size <= 1 << 20, f"{name} is over 1 MiB"
            assert path.name not in {"utils.py", "helpers.py", "common.py", "misc.py"}
