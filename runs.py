"""A run folder: all that a training made, enough to use, compare and continue it anywhere.

config.json       the recipe, the versions, the fingerprint of the data
tokenizer.json    text to ids and back
labels.json       what there is to choose from, where it is no token
model.keras       the trained model; model.npz for one that counts
history.csv       one row for each validation
report.json       scores, size, time
samples.txt       what the model writes
README.md         the model card
tensorboard/      the same history for TensorBoard
checkpoints/      the last and the best state, to go on from
"""

import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import recipes
from .data.datasets import Corpus
from .data.tokenizers import Tokenizer
from .errors import InputError, did_you_mean
from .files import whole_file, write_text
from .models.configs import ModelConfig
from .recipe import Recipe, family

if TYPE_CHECKING:
    from .models.families import Model
    from .tasks.task import Examples, Score, Task

_MODELS = ("model.keras", "model.npz")
FORMAT = 3
"""Counts changes to the folder that an older kerazoo could not read."""


@dataclass
class Run:
    """A trained model with its tokenizer, as `kerazoo.load` returns it.

    Args:
        folder: where it is kept.
        recipe: how it was made.
        tokenizer: text to ids and back.
        model: the model.
        labels: what the model chooses from, where that is not its tokens.
    """

    folder: Path
    recipe: Recipe
    tokenizer: Tokenizer
    model: "Model"
    labels: tuple[str, ...] = ()

    @cached_property
    def report(self) -> dict[str, Any]:
        """What `report.json` says: parameters, steps, seconds, scores."""
        return read_json(self.folder / "report.json")

    @cached_property
    def task(self) -> "Task":
        """What the model has learnt to do: how it is scored and what can be asked of it."""
        from .tasks import registry

        recipe = self.recipe
        return registry.make(
            recipe.task, self.model.config, recipe.train, self.tokenizer, self.labels
        )

    def generate(self, prompt: str | None = None, max_new_tokens: int = 300, **options: Any) -> str:
        r"""Return what the model makes of a text.

        A language model continues it, BERT fills in its [MASK]s, an encoder-decoder turns it into
        what it stands for; a model with a head says what it has learnt to say, see `predict`.

        Args:
            prompt: the text; a language model can do without, and begins with a line end.
            max_new_tokens: how many tokens to write.
            options: as for `Writing`: `sampling`, `stop`, `watch`.

        Raises:
            InputError: if the text is needed and not given, or has parts that the tokenizer does
                not know.

        Example:
            >>> run = kerazoo.load("runs/gpt-shakespeare")  # doctest: +SKIP
            >>> print(run.generate("ROMEO:\n", 200, sampling=Sampling(seed=1)))  # doctest: +SKIP
        """
        return self.generate_all([prompt], max_new_tokens, **options)[0]

    def generate_all(
        self, prompts: Sequence[str | None], max_new_tokens: int = 300, **options: Any
    ) -> list[str]:
        """Return what the model makes of several texts at once, of any lengths; see `generate`."""
        from .tasks.task import Writing

        texts = self._given(prompts)
        return self.task.write(self.model, texts, Writing(max_new_tokens, **options))

    def to_json(
        self, prompts: Sequence[str | None], max_new_tokens: int = 300, **options: Any
    ) -> list[dict[str, Any]]:
        """Return what the model makes of several texts as what `json.dumps` accepts.

        That is a text, or all that `predict` says. See `generate`.
        """
        from .tasks.task import Writing

        texts = self._given(prompts)
        return self.task.to_json(self.model, texts, Writing(max_new_tokens, **options))

    def _given(self, prompts: Sequence[str | None]) -> list[str]:
        """Return the prompts, what a text begins with in the place of those that are missing."""
        texts = [self.task.start if prompt is None else prompt for prompt in prompts]
        if None in texts:
            asked = " and ".join(map(_with_article, self.task.asks))
            raise InputError(
                f"{self.folder} needs {asked} to work on; give it, as in `{_command(self)}`."
            )
        return texts

    def predict(self, texts: Sequence[str]) -> list[Any]:
        """Return what the model says of each text, as data.

        Classes with their probabilities, a number, tagged words, or an answer: see `Classified`,
        `Tagged` and `Answer` in the files of `tasks`.

        Args:
            texts: such as "What is the capital of France?"; for a run that asks for several things,
                with a tab between them, question first.

        Raises:
            InputError: if a text is empty, or the run answers in text alone.

        Example:
            >>> run = kerazoo.load("runs/bert-trec")  # doctest: +SKIP
            >>> run.predict(["What is the capital of France?"])[0].label  # doctest: +SKIP
            'location'
        """
        return self.task.predict(self.model, texts)

    def fill_mask(self, text: str, k: int = 5) -> list["Filling"]:  # noqa: F821
        """Return what BERT would put in the place of each [MASK], likeliest first.

        Args:
            text: such as "To be or not to [MASK]".
            k: how many tokens for each.

        Raises:
            InputError: if the model is none that fills masks, or the text has none.

        Example:
            >>> run = kerazoo.load("runs/bert-shakespeare")  # doctest: +SKIP
            >>> run.fill_mask("To be or not to [MASK]")[0].tokens  # doctest: +SKIP
            ('be', 'see', 'do', 'speak', 'have')
        """
        if not hasattr(self.task, "fill"):
            raise InputError(f"{self.folder} fills no masks; a run of bert-shakespeare does.")
        return self.task.fill(self.model, text, k)

    def summary(self) -> str:
        """Return the result in two lines."""
        report = self.report
        return (
            f"{report['steps']:,} steps in {report['seconds']:.0f} s, "
            f"{report['tokens_per_second']:,} tokens/s; best at step {report['best_step']:,}.\n"
            f"Validation: {report['in_words']}."
        )

    def sample(self) -> str:
        """Return what is in `samples.txt`."""
        return (self.folder / "samples.txt").read_text(encoding="utf-8")


def load(folder: str | os.PathLike) -> Run:
    """Return the trained model of a run folder with its tokenizer.

    Args:
        folder: such as `runs/gpt-shakespeare`.

    Raises:
        InputError: if there is no such folder, or it holds no complete run that this version reads.
    """
    folder = Path(folder)
    recipe = read_recipe(folder)
    tokenizer = Tokenizer.load(folder / "tokenizer.json")
    path = next((path for path in map(folder.joinpath, _MODELS) if path.is_file()), None)
    if path is None:
        raise InputError(
            f"the run {folder} has not been trained to its end; go on with `python train.py "
            f"{_recipe_name(folder)} --out {folder} --resume`."
        )
    labels = folder / "labels.json"
    return Run(
        folder,
        recipe,
        tokenizer,
        load_model(path),
        tuple(read_json(labels)["labels"]) if labels.is_file() else (),
    )


def architecture(folder: Path, model: ModelConfig) -> ModelConfig:
    """Return the hyperparameters of a model that begins from a run.

    Args:
        folder: the run.
        model: those of the recipe, which gives dropout and context length; all else is the run's.

    Raises:
        InputError: if the run is missing, or its model is of another family.
    """
    there = read_recipe(folder).model
    if type(there) is not type(model):
        raise InputError(
            f"--init {folder} is a run of {family(there)}, and the recipe's model is "
            f"{family(model)}; give a run of that, or another recipe."
        )
    own = {"context_length": model.context_length}
    if hasattr(model, "dropout"):
        own["dropout"] = model.dropout
    return replace(there, **own)


def load_model(path: Path) -> "Model":
    """Load a model of kerazoo's, in Keras's safe mode: no code from the file is run."""
    import keras

    from .models import ngram
    from .tasks import registry  # noqa: F401, registers models, losses and metrics

    if path.suffix == ".npz":
        return ngram.NGram.load(path)
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except (OSError, ValueError, TypeError, KeyError) as error:
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise InputError(f"{path} cannot be read as a model: {first_line}") from None


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


def read_recipe(folder: Path) -> Recipe:
    """Return the recipe that a run folder was made from.

    Raises:
        InputError: if the folder is missing, holds no run, or one of another version.
    """
    path = folder / "config.json"
    if not folder.is_dir():
        beside = [other.name for other in folder.parent.glob("*") if other.is_dir()]
        raise InputError(
            f"there is no run folder {folder}, which `python train.py` would make"
            f"{did_you_mean(folder.name, beside)}"
        )
    if not path.is_file():
        raise InputError(f"{folder} is no run folder: it has no config.json.")
    config = read_json(path)
    made_by = f"kerazoo {config.get('kerazoo', 'of an unknown version')}"
    if config.get("format") != FORMAT:
        raise InputError(
            f"{folder} was made by {made_by}, in a format that this version ({version()}) does not "
            "read; install that version, or train again."
        )
    try:
        return Recipe.from_json(config["recipe"])
    except (KeyError, TypeError, StopIteration) as error:
        raise InputError(
            f"{path}, made by {made_by}, does not hold a recipe as this version ({version()}) "
            f"knows them ({error})."
        ) from None


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
        for name in here:
            if here[name] != there.get(name) and name != "description":
                raise InputError(
                    f"the run in {folder} has --{name.replace('_', '-')} {there.get(name)}, not "
                    f"{here[name]}; resume it as it was begun, or choose another --out."
                )
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            f"{folder} exists and is no run folder; choose another --out, or empty it."
        )


def begin(
    folder: Path,
    name: str,
    recipe: Recipe,
    task: "Task",
    examples: Mapping[str, "Examples"],
) -> None:
    """Make the run folder with its settings, its tokenizer and its labels, or check that it fits.

    Args:
        folder: the run folder.
        name: the recipe's name.
        recipe: the recipe.
        task: has the tokenizer and the labels.
        examples: the splits.

    Raises:
        InputError: if the run there was begun with other data.
    """
    data = {split: content.text_sha256 for split, content in examples.items()}
    path = folder / "config.json"
    if path.is_file():
        if read_json(path)["data"] != data:
            raise InputError(
                f"the text of {folder} is not what it was when the run began; bring the old text "
                "back, or start a new run."
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    task.tokenizer.save(folder / "tokenizer.json")
    if task.labels:
        write_json(folder / "labels.json", {"labels": task.labels})
    config = {
        "kerazoo": version(),
        "format": FORMAT,
        "name": name,
        "recipe": recipe.to_json(),
        "data": data,
        "environment": environment(),
    }
    write_json(path, config)


def finish(
    run: Run,
    name: str,
    corpus: Corpus,
    score: "Score",
    steps: int,
    best_step: int,
    seconds: float,
    tokens: int,
) -> None:
    """Write what a training leaves: model, report, samples and model card.

    Args:
        run: the run, with the model that is to be kept.
        name: the recipe's name.
        corpus: what it was trained on.
        score: how well it predicts the validation split.
        steps: optimizer steps taken.
        best_step: the step from which the model is.
        seconds: time that the steps took.
        tokens: how many tokens it has learnt from, counted as often as it has.
    """
    report = {
        "name": name,
        "parameters": run.model.count_params(),
        "steps": steps,
        "best_step": best_step,
        "seconds": round(seconds, 1),
        "tokens_per_second": round(tokens / seconds),
        "validation": score.to_json(),
        "in_words": score.in_words(),
    }
    held_out = corpus.content["validation"]
    samples = run.task.sample(run.model, held_out)
    save_model(run.model, run.folder)
    write_text(run.folder / "samples.txt", samples + "\n")
    write_text(run.folder / "README.md", _card(run, name, corpus, report, samples))
    write_json(run.folder / "report.json", report)


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


def environment() -> dict[str, Any]:
    """Return what a number depends on besides the code: versions and machine."""
    packages = ("tensorflow", "keras", "keras-nlp", "tokenizers", "numpy")
    return {
        "python": platform.python_version(),
        **{package: metadata.version(package) for package in packages},
        "platform": platform.platform(),
        "cores": os.cpu_count(),
    }


def version() -> str:
    """Return this version of kerazoo."""
    from . import __version__

    return __version__


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file of a run.

    Raises:
        InputError: if it is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"there is no {path}; the run folder is not complete.") from None
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}); train the run again.") from None


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _recipe_name(folder: Path) -> str:
    return read_json(folder / "config.json").get("name", recipes.DEFAULT)


def _flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn {"a": {"b": 1}} into {"a.b": 1}; sequences become lists, as in JSON."""
    flat = {}
    for name, value in content.items():
        if isinstance(value, Mapping):
            flat.update(_flat(value, f"{prefix}{name}."))
        else:
            flat[prefix + name] = list(value) if isinstance(value, tuple) else value
    return flat


def _command(run: Run) -> str:
    """Return a command that asks something of the run."""
    parts = " ".join(f'"{part}"' for part in run.task.example.split("\t"))
    return f"python generate.py {run.folder} {parts}"


def _with_article(name: str) -> str:
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"


def _card(run: Run, name: str, corpus: Corpus, report: dict[str, Any], samples: str) -> str:
    shown = "\n".join(f"    {line}" for line in samples.strip("\n").splitlines())
    return f"""# {run.folder.name}

{run.recipe.description}

| | |
|---|---|
| recipe | `{name}`, kerazoo {version()} |
| model | {type(run.model).__name__}, {report["parameters"]:,} parameters |
| data | {corpus.name}; licence: {corpus.licence} |
| tokenizer | {run.tokenizer.kind}, {run.tokenizer.vocab_size:,} tokens |
| training | {report["steps"]:,} steps in {report["seconds"]:.0f} s |
| validation | {report["in_words"]} |

`config.json` has every setting and the versions; `history.csv` the course of the training.

## Use

    {_command(run)}

## A sample

{shown}

## Limits

{_LIMITS_OF_TEXT if run.recipe.task.reads == "text" else _LIMITS_OF_EXAMPLES}
"""


_LIMITS_OF_TEXT = """\
The model has learnt from one text, and knows no other kind. What it writes is invented, may repeat
its training text word for word, and carries over that text's views."""
_LIMITS_OF_EXAMPLES = """\
The model has learnt from one set of examples, and knows no other kind. What it says may be wrong,
the more so of a text that is unlike them, and carries over the views of those who wrote them."""
