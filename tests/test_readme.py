"""What the documents say is there: their commands' options, the files that they link to."""

import re
import shlex
from pathlib import Path

import pytest

from kerazoo import evaluate, generate, recipes, score_files, train_options
from kerazoo.cli import parse
from kerazoo.data.datasets import DATASETS

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^ +python (train|generate|evaluate)\.py(.*?)(?:  #.*)?$", README, re.M)
# In a sentence a command may go on in the next line; 0..2 and 0, 1 are seeds, one after another.
COMMANDS += [
    (script, " ".join(re.sub(r"0(\.\.|, )(?=\d)", "", arguments).split()))
    for script, arguments in re.findall(r"`python\s+(train|generate|evaluate)\.py([^`]*)`", README)
    if arguments and not re.search(r"\.\.\.|--help|RECIPE", arguments)
]


@pytest.mark.parametrize(("script", "arguments"), COMMANDS, ids=lambda part: part.strip() or "-")
def test_the_options_of_a_command_in_the_readme_exist(script, arguments):
    arguments = shlex.split(arguments)
    if script == "train":
        if arguments:
            train_options.parsed(arguments)
    elif arguments[0] == "files":
        parse(score_files.Options, arguments[1:], "evaluate files", "")
    else:
        parse({"generate": generate, "evaluate": evaluate}[script].Options, arguments, script, "")


def test_the_readme_shows_every_recipe_and_dataset():
    for name in (*recipes.RECIPES, *DATASETS):
        assert f"`{name}`" in README


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_files_that_a_document_names_are_there(path):
    text = path.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (path.parent / link).exists(), link
    text = re.sub(r"[\w/]*(NAME|KIND)\.py", "", text)  # stand for files to come
    for name in re.findall(r"`((?:data|models|tasks|metrics|training|tests|docs)/[\w./]+)`", text):
        assert (ROOT / name).exists(), name
