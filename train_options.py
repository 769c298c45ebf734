"""What `python train.py RECIPE ...` takes, and the recipe that it makes of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import zip_longest
from pathlib import Path

from . import recipes
from .cli import parse
from .data.datasets import DataConfig
from .errors import InputError
from .models.configs import ModelConfig, NGramConfig
from .recipe import Recipe, check_able
from .tasks.configs import TaskConfig
from .training.config import TrainConfig

LENGTHS = ("steps", "epochs", "minutes")


@dataclass(frozen=True)
class Options:
    """What `python train.py RECIPE` takes: where the run goes, and the recipe's fields."""

    model: ModelConfig
    data: DataConfig
    train: TrainConfig
    task: TaskConfig
    model_of: str | None = None
    """Recipe whose model takes the place of this one's, such as gpt-shakespeare."""
    init: Path | None = None
    """A run to begin from: its weights, its tokenizer, and the size of its model. Without it, from
    random weights."""
    out: Path | None = None
    """Folder of the run; without it runs/RECIPE, or runs/RECIPE-2 and so on if that exists."""
    resume: bool = False
    """Go on from the last checkpoint in the folder; begin if there is none."""


def parsed(arguments: Sequence[str]) -> tuple[Recipe, Options]:
    """Return the recipe that `python train.py` with these arguments trains, and all they say.

    Raises:
        InputError: if there is no such recipe or option, or an option has no effect.
    """
    name, *rest = arguments
    recipe = recipes.find(name)
    before = _defaults(recipe, rest)
    options = parse(before, rest, f"train {name}", recipe.description)
    _check_heeded(options, before)
    own = {part: getattr(options, part) for part in ("model", "data", "train", "task", "init")}
    if options.model_of:
        own["description"] = f"{recipe.description} (With the model of {options.model_of}.)"
    return replace(recipe, **own), options


def _check_heeded(options: Options, before: Options) -> None:
    """Refuse options that were given and would have no effect beside the others.

    A recipe may have such settings: Adam knows nothing of the weight decay that is there for
    another optimizer.
    """

    def given(part: str, names: Iterable[str]) -> list[str]:
        old, new = getattr(before, part), getattr(options, part)
        return [
            f"--{part}.{name.replace('_', '-')}"
            for name in names
            if getattr(old, name, None) != getattr(new, name, None)
        ]

    train, of_run = options.train, f"--init {options.init} brings its own"
    idle = {
        f"--train.optimizer {train.optimizer} has no use for it": given(
            "train", _OF_OTHER_OPTIMIZERS[train.optimizer]
        ),
        f"--train.schedule {train.schedule} has no use for it": given(
            "train", _OF_OTHER_SCHEDULES[train.schedule]
        ),
    }
    if isinstance(options.model, NGramConfig):
        smoothing = options.model.smoothing
        idle[f"--model.smoothing {smoothing} has no use for it"] = given(
            "model", _OF_OTHER_SMOOTHINGS.get(smoothing, ("k", "backoff"))
        )
    if options.data.text is not None:
        idle[f"--data.text {options.data.text} is what it learns from"] = given("data", ["name"])
    if options.data.tokenizer in ("byte", "char"):
        size = f"--data.tokenizer {options.data.tokenizer} has as many tokens as there are"
        idle[size] = given("data", ["vocab_size"])
    if options.init is not None:
        names = {entry.name for entry in fields(options.model)} - {"context_length", "dropout"}
        idle[of_run] = given("model", sorted(names)) + given("data", ["tokenizer", "vocab_size"])
    for why, names in idle.items():
        if names:
            raise InputError(f"{' and '.join(names)} would change nothing: {why}; leave it out.")


_OF_OTHER_OPTIMIZERS = {
    "adamw": ("momentum", "adam_learning_rate"),
    "adam": ("momentum", "adam_learning_rate", "weight_decay"),
    "sgd": ("adam_learning_rate", "weight_decay", "beta_1", "beta_2"),
    "muon": (),
}
_OF_OTHER_SCHEDULES = {
    "cosine": ("constant_epochs", "decay"),
    "inverse-root": ("constant_epochs", "decay", "final_learning_rate"),
    "step": ("final_learning_rate", "warmup"),
}
_OF_OTHER_SMOOTHINGS = {"add-k": ("backoff",), "stupid-backoff": ("k",)}


def _defaults(recipe: Recipe, arguments: Sequence[str]) -> Options:
    """Return the options before the arguments; a length that those give replaces the recipe's."""
    model, settings = recipe.model, recipe.train
    for name in _values(arguments, "--model-of"):
        other = recipes.find(name)
        model = other.model
        check_able(model, recipe.task)  # before its options are read
        if isinstance(model, NGramConfig) != isinstance(recipe.model, NGramConfig):
            settings = other.train  # counting has no steps, and what has steps needs to know them
    given = [length for length in LENGTHS if any(_is_train_option(a, length) for a in arguments)]
    if given:
        only = {length: 1 if length == given[0] else None for length in LENGTHS}
        by_clock = given[0] == "minutes" and settings.schedule == "step"
        if by_clock and any(_is_train_option(argument, "schedule") for argument in arguments):
            only["schedule"] = "cosine"  # or the recipe's would be refused, not what is given
        settings = replace(settings, **only)
    return Options(model, recipe.data, settings, recipe.task, recipe.init)


def _values(arguments: Sequence[str], option: str) -> list[str]:
    """Return what stands behind an option that decides which other options there are, in order."""
    found = []
    for argument, following in zip_longest(arguments, arguments[1:]):
        name, equals, value = argument.partition("=")
        if name.replace("_", "-") == option:  # as tyro reads it
            found.append(value if equals else following)
    return [value for value in found if value is not None]


def _is_train_option(argument: str, option: str) -> bool:
    return argument.split("=")[0].replace("_", "-") == f"--train.{option}"
