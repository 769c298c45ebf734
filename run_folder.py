"""How a training keeps its run: the folder that `runs.py` describes, begun and finished."""

import os
import platform
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from . import __version__, model_card
from .data.datasets import Corpus
from .errors import InputError, quoted
from .files import is_scratch, whole_file, write_json, write_text
from .models.configs import NGramConfig
from .recipe import Recipe
from .runs import FORMAT, MODELS, Run, architecture, read_json, read_recipe
from .tasks.configs import HeadConfig

if TYPE_CHECKING:
    from .models.families import Model
    from .tasks.task import Examples, Score, Task
    from .training.checkpoints import State

FREE = ("learning_rate", "clip_norm", "precision", "validate_every", "patience")
"""Settings of the training that may be others when a run goes on; float16 stays as it is."""
LENGTHS = ("steps", "epochs", "minutes")
"""Of these, the one that a run has may grow."""
TEXTS = ("data.text", "data.validation")
"""Paths that may be others when a run goes on; what they name must be what it was."""


def check_free(folder: Path, recipe: Recipe, resume: bool) -> None:
    """Refuse to train into a folder that holds something else.

    Raises:
        InputError: if the folder holds a run and `resume` is not set, a run of another recipe but
            for what may change, one that has ended without leaving checkpoints to go on from, or
            anything that is no run.
    """
    if (folder / "config.json").is_file():
        if not resume:
            raise InputError(
                f"{folder} already holds a run; go on with it by --resume, or choose another --out."
            )
        changed = changes(folder, recipe)
        if "model.family" in changed:
            before, now = changed["model.family"]
            raise InputError(
                f"the run in {folder} has a model of the family {before}, and this recipe one of "
                f"{now}; give the recipe or the --model-of that it was begun with, or choose "
                "another --out."
            )
        for name, (before, now) in changed.items():
            if not _may_change(name, before, now):
                raise InputError(
                    f"the run in {folder} has {_option(name)} {before}, not {now}; resume it as it "
                    "was begun, or choose another --out."
                )
        counts = isinstance(recipe.model, NGramConfig)  # and so has no checkpoints
        has_checkpoints = counts or any(folder.glob("checkpoints/step-*"))
        if has_ended(folder) and not has_all(folder, recipe) and not has_checkpoints:
            raise InputError(
                f"the training in {folder} has ended, and without its checkpoints it cannot go "
                f"on; begin a new run with --init {quoted([folder])}."
            )
    elif folder.exists() and not (folder.is_dir() and _is_free(folder, resume)):
        raise InputError(
            f"{folder} exists and is no run folder; choose another --out, or empty it."
        )


def changes(folder: Path, recipe: Recipe) -> dict[str, tuple[Any, Any]]:
    """Return what a recipe has else than the run in a folder.

    Returns:
        Before and now by name, such as {"train.steps": (20, 40)}.
    """
    there, here = (_flat(each.to_json()) for each in (read_recipe(folder), recipe))
    return {
        name: (there.get(name), value)
        for name, value in here.items()
        if value != there.get(name) and name != "description"
    }


def has_all(folder: Path, recipe: Recipe) -> bool:
    """Tell whether a run has learnt all that a recipe asks for, wherever its text is by now."""
    return has_ended(folder) and all(
        name in (*TEXTS, "init") and before is not None and not Path(before).exists()
        for name, (before, _) in changes(folder, recipe).items()
    )


def check_unchanged(folder: Path, recipe: Recipe) -> None:
    """Refuse a run that has learnt by another recipe, such as an earlier state of this one.

    Raises:
        InputError: saying what differs.
    """
    if recipe.init is not None:
        recipe = replace(recipe, model=architecture(recipe.init, recipe.model))
    for name, (before, now) in changes(folder, recipe).items():
        raise InputError(
            f"the run in {folder} has {_option(name)} {before}, and the recipe now {now}; remove "
            "the folder to train it anew."
        )


def _may_change(name: str, before: Any, now: Any) -> bool:
    """Tell whether a run can go on with another setting of that name."""
    if None not in (before, now):
        if name in TEXTS:
            return True  # `begin` compares what is in them
        if name == "init":  # it has moved; there is no other way to name what it was
            return not Path(before).exists()
    part, _, field = name.partition(".")
    if part != "train":
        return False
    if field in LENGTHS:
        return None not in (before, now) and now > before
    # In float16 the optimizer is another one, which scales the loss.
    return field in FREE and not (field == "precision" and "float16" in (before, now))


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def has_ended(folder: Path) -> bool:
    """Tell whether a training has written its report."""
    return (folder / "report.json").is_file()


def has_outlived_its_init(folder: Path, recipe: Recipe) -> bool:
    """Tell whether the pretrained run is gone, but the run in the folder can go on without.

    It has weights of its own then. What of them learns must not depend on the pretrained run, as it
    does in a model without a head under freezing and LoRA, which let tokens learn that are new.
    """
    has_head = isinstance(recipe.task, HeadConfig)
    return (
        recipe.init is not None
        and not Path(recipe.init).exists()
        and (has_head or not (recipe.train.frozen or recipe.train.lora_rank))
        and (folder / "config.json").is_file()
        and (has_ended(folder) or any(folder.glob("checkpoints/step-*")))
    )


def go_on(folder: Path, recipe: Recipe, step: int) -> None:
    """Write down, and print, what changes in a run from a step on; nothing if nothing does.

    A run that had ended has not ended then: its report goes, and its model, of which the best
    checkpoint has a copy.

    Args:
        folder: the run folder, `alone` with this process.
        recipe: the recipe, which `check_free` has seen.
        step: where the run stands.
    """
    changed = changes(folder, recipe)
    if not changed:
        return
    for name in ("report.json", *MODELS):
        (folder / name).unlink(missing_ok=True)
    config = read_json(folder / "config.json")
    earlier = config.get("changes", [])
    config |= {"recipe": recipe.to_json(), "changes": [*earlier, {"step": step, **changed}]}
    write_json(folder / "config.json", config)
    told = [f"{_option(name)} {now} instead of {before}" for name, (before, now) in changed.items()]
    print(f"From step {step:,} on: {', '.join(told)}.")


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
        gpus_there = there["environment"].get("gpus")
        if gpus_there and not gpus():
            print(f"The run was begun on the GPU {gpus_there[0]}, and here is none.")
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
        "gpus": gpus(),
    }


def gpus() -> list[str]:
    """Return the names of the GPUs that Keras computes on, the first that it uses first."""
    import keras

    if keras.backend.backend() == "jax":
        import jax

        return [device.device_kind for device in jax.devices() if device.platform == "gpu"]
    import tensorflow as tf

    found = tf.config.get_visible_devices("GPU")
    details = map(tf.config.experimental.get_device_details, found)
    return [each.get("device_name", "of an unknown name") for each in details]


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn {"a": {"b": 1}} into {"a.b": 1}; sequences become lists, as in JSON."""
    flat = {}
    for name, value in content.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = list(value) if isinstance(value, tuple) else value
    return flat
