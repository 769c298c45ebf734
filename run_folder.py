"""How a training keeps its run: the folder that `runs.py` describes, begun and finished."""

import os
import platform
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from . import __version__, model_card
from .data.datasets import Corpus
from .errors import InputError
from .files import is_scratch, whole_file, write_json, write_text
from .recipe import Recipe
from .runs import FORMAT, Run, read_json, read_recipe

if TYPE_CHECKING:
    from .models.families import Model
    from .tasks.task import Examples, Score, Task
    from .training.checkpoints import State


def check_free(folder: Path, recipe: Recipe, resume: bool) -> None:
    """Refuse to train into a folder that holds something else.

    Raises:
        InputError: if the folder holds a run and `resume` is not set, a run of another recipe, or
            anything that is no run.
    """
    if (folder / "config.json").is_file():
        if not resume:
            raise InputError(
                f"{folder} already holds a run; go on with it by --resume, or choose another --out."
            )
        there, here = (_flat(recipe.to_json()) for recipe in (read_recipe(folder), recipe))
        if there["model.family"] != here["model.family"]:
            raise InputError(
                f"the run in {folder} has a model of the family {there['model.family']}, and this "
                f"recipe one of {here['model.family']}; give the recipe or the --model-of that it "
                "was begun with, or choose another --out."
            )
        for name in here:
            if here[name] != there.get(name) and name != "description":
                raise InputError(
                    f"the run in {folder} has --{name.replace('_', '-')} {there.get(name)}, not "
                    f"{here[name]}; resume it as it was begun, or choose another --out."
                )
    elif folder.exists() and not (folder.is_dir() and _is_free(folder, resume)):
        raise InputError(
            f"{folder} exists and is no run folder; choose another --out, or empty it."
        )


def _is_free(folder: Path, resume: bool) -> bool:
    """Tell whether the folder is empty, or has but what a training killed at its start has left."""
    names = {path.name for path in folder.iterdir()}
    if resume:
        names = {name for name in names if not is_scratch(name)}
        names -= {"tokenizer.json", "labels.json"}
    return not names


def begin(
    folder: Path,
    name: str,
    recipe: Recipe,
    task: "Task",
    examples: Mapping[str, "Examples"],
    resume: bool,
) -> None:
    """Make the run folder with its settings, its tokenizer and its labels, or check that it fits.

    Args:
        folder: the run folder.
        name: the recipe's name.
        recipe: the recipe.
        task: has the tokenizer and the labels.
        examples: the splits.
        resume: whether the run may be there already.

    Raises:
        InputError: if the run there was begun with other data, or has been begun by another process
            since `check_free` looked.
    """
    data = {split: content.text_sha256 for split, content in examples.items()}
    path = folder / "config.json"
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        if not resume and any(folder.iterdir()):
            raise InputError(
                f"another training has begun in {folder} in the meantime; choose another --out."
            ) from None
    if path.is_file():
        there, here = read_json(path), environment()["backend"]
        if there["data"] != data:
            raise InputError(
                f"the text of {folder} is not what it was when the run began; bring the old text "
                "back, or start a new run."
            )
        backend = there["environment"].get("backend", here)
        if backend != here:
            raise InputError(
                f"the run in {folder} was begun on {backend}, and this is {here}; set "
                f"KERAS_BACKEND={backend}, or start a new run."
            )
        return
    task.tokenizer.save(folder / "tokenizer.json")
    if task.labels:
        write_json(folder / "labels.json", {"labels": task.labels})
    config = {
        "kerazoo": __version__,
        "format": FORMAT,
        "name": name,
        "recipe": recipe.to_json(),
        "data": data,
        "environment": environment(),
    }
    write_json(path, config)


def finish(
    run: Run, name: str, corpus: Corpus, score: "Score", state: "State", num_tokens: int
) -> None:
    """Write what a training leaves: model, report, samples and model card.

    Args:
        run: the run, with the model that is to be kept.
        name: the recipe's name.
        corpus: what it was trained on.
        score: how well it predicts the validation split.
        state: where the training ended.
        num_tokens: how many tokens it has learnt from, counted as often as it has.
    """
    report = {
        "name": name,
        "parameters": run.model.count_params(),
        "steps": state.step,
        "best_step": state.best_step,
        "seconds": round(state.seconds, 1),
        "tokens_per_second": round(num_tokens / state.seconds),
        "validation": score.to_json(),
        "in_words": score.in_words(),
    }
    save_model(run.model, run.folder)
    samples = run.task.sample(run.model, corpus.content["validation"])
    write_text(run.folder / "samples.txt", samples + "\n")
    write_text(run.folder / "README.md", model_card.card(run, name, corpus, report, samples))
    write_json(run.folder / "report.json", report)


def save_model(model: "Model", folder: Path) -> None:
    """Write a model into a run folder, without its training state, which is twice its size."""
    import keras

    if not isinstance(model, keras.Model):
        with whole_file(folder / "model.npz") as scratch:
            model.save(scratch)
        return
    copy = type(model).from_config(model.get_config())
    copy.set_weights(model.get_weights())
    with whole_file(folder / "model.keras") as scratch:
        copy.save(scratch)


def new_folder(name: str, parent: Path = Path("runs")) -> Path:
    """Return a folder for a new run of that recipe: `runs/NAME`, or `runs/NAME-2` and so on."""
    folder, number = parent / name, 1
    while folder.exists():
        number += 1
        folder = parent / f"{name}-{number}"
    return folder


def latest_folder(name: str, parent: Path = Path("runs")) -> Path:
    """Return the folder of the newest run of that recipe; `runs/NAME` if there is none."""
    numbered = re.compile(re.escape(name) + r"(?:-(\d+))?")
    found = {
        int(match[1] or 1): folder
        for folder in parent.glob(f"{name}*")
        if (match := numbered.fullmatch(folder.name))
    }
    return found[max(found)] if found else parent / name


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other processes from training the run at the same time.

    Raises:
        InputError: if another process does.
    """
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(
            f"another process is training the run in {folder}; wait for its end, or choose another "
            "--out."
        ) from None
    except NotImplementedError:
        pass  # some network file systems have no locks
    try:
        yield
    finally:
        # While it is held: a file deleted later could be one that the next process has locked.
        with suppress(OSError):  # Windows deletes it at the release
            (folder / ".lock").unlink()
        lock.release()


def environment() -> dict[str, Any]:
    """Return what a number depends on besides the code: versions and machine."""
    import keras

    backend = keras.backend.backend()
    packages = ["tensorflow", "keras", "keras-nlp", "tokenizers", "numpy"]
    if backend == "jax":
        packages.append("jax")
    return {
        "python": platform.python_version(),
        "backend": backend,
        **{package: metadata.version(package) for package in packages},
        "platform": platform.platform(),
        "cores": os.cpu_count(),
    }


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn {"a": {"b": 1}} into {"a.b": 1}; sequences become lists, as in JSON."""
    flat = {}
    for name, value in content.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = list(value) if isinstance(value, tuple) else value
    return flat
