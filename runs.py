"""A run folder: all that a training made, enough to use, compare and continue it anywhere.

config.json       the recipe, the versions, the fingerprint of the data
tokenizer.json    text to ids and back
labels.json       what the training said of the answers, such as the classes
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
import sys
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import __version__
from .data.tokenizers import Tokenizer
from .errors import InputError, command, did_you_mean, quoted
from .models.configs import ModelConfig
from .recipe import Recipe, name_of

if TYPE_CHECKING:
    from .data.datasets import Corpus
    from .models.families import Model
    from .tasks.task import Task

MODELS = ("model.keras", "model.npz")
FORMAT = 3
"""The version of the folder's layout; a folder of any other is refused."""


@dataclass
class Run:
    """A trained model with its tokenizer, as `kerazoo.load` returns it.

    Args:
        folder: where it is kept.
        recipe: how it was made.
        tokenizer: text to ids and back.
        model: the model.
        labels: what the training said of the answers, such as the classes: see `Task`.
    """

    folder: Path
    recipe: Recipe
    tokenizer: Tokenizer
    model: "Model"
    labels: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """A command that asks something of the run."""
        parts = " ".join(f'"{part}"' for part in self.task.example.split("\t"))
        return f"{command('generate', self.folder)} {parts}"

    @property
    def model_name(self) -> str:
        """The name of the model's class; with a head, of what the head stands on."""
        return type(getattr(self.model, "backbone", self.model)).__name__

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

    def generate_json(
        self, prompts: Sequence[str | None], max_new_tokens: int = 300, **options: Any
    ) -> list[dict[str, Any]]:
        """Return what the model makes of several texts as what `json.dumps` accepts.

        That is a text, with what is new in it apart if it goes on from a prompt, or all that
        `predict` says. See `generate`.
        """
        from .tasks.task import Writing

        texts = self._given(prompts)
        return self.task.generate_json(self.model, texts, Writing(max_new_tokens, **options))

    def has_learnt(self, corpus: "Corpus") -> bool:
        """Tell whether the training split of a corpus is what this run has learnt from."""
        learnt = read_json(self.folder / "config.json")["data"]["train"]
        return corpus.content["train"].sha256() == learnt

    def num_cut(self, prompts: Sequence[str | None]) -> int:
        """Return how many texts are answered by their beginnings, being too long to be read."""
        return self.task.num_cut(self._given(prompts))

    def _given(self, prompts: Sequence[str | None]) -> list[str]:
        """Return the prompts, what a text begins with in the place of those that are missing."""
        texts = [self.task.start if prompt is None else prompt for prompt in _not_one_text(prompts)]
        if None in texts:
            asked = " and ".join(map(_with_article, self.task.asks))
            raise InputError(
                f"{self.folder} needs {asked} to work on; give it, as in `{self.command}`."
            )
        return self._as_cleaned(texts)

    def _as_cleaned(self, texts: Sequence[str]) -> list[str]:
        """Return the texts cleaned as the examples were that the model has learnt from."""
        from .data import datasets, records

        steps, kind = datasets.cleaning_steps(self.recipe.data), self.recipe.task.reads
        return [records.as_cleaned(text, kind, steps) for text in _not_one_text(texts)]

    def predict(self, texts: Sequence[str]) -> list[Any]:
        """Return what the model says of each text, as data.

        Classes with their probabilities, a number, tagged words, or an answer: see `Classified`,
        `Tagged` and `Answer` in the files of `tasks`.

        Args:
            texts: such as "What is the capital of France?"; for a run that asks for several
                things, with a tab between them, question first.

        Raises:
            InputError: if a text is empty, or the run answers in text alone.

        Example:
            >>> run = kerazoo.load("runs/bert-trec")  # doctest: +SKIP
            >>> run.predict(["What is the capital of France?"])[0].label  # doctest: +SKIP
            'location'
        """
        return self.task.predict(self.model, self._as_cleaned(texts))

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
        if not hasattr(self.task, "fill_masks"):
            raise InputError(f"{self.folder} fills no masks; a run of bert-shakespeare does.")
        return self.task.fill_masks(self.model, *self._as_cleaned([text]), k)

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


def _not_one_text(texts: Sequence[str | None]) -> Sequence[str | None]:
    if isinstance(texts, str):  # whose parts, letters, are texts, too
        raise InputError(f"a list of texts is needed, not one: give [{texts[:20]!r}].")
    return texts


def load(folder: str | os.PathLike) -> Run:
    """Return the trained model of a run folder with its tokenizer.

    Of a run that has not been trained to its end it is the best model so far, and that is printed.

    Args:
        folder: such as `runs/gpt-shakespeare`.

    Raises:
        InputError: if there is no such folder, or it holds no run that this version reads, or one
            without any model yet.
    """
    folder = Path(folder)
    recipe = read_recipe(folder)
    tokenizer = Tokenizer.load(folder / "tokenizer.json")
    path = next((path for path in map(folder.joinpath, MODELS) if path.is_file()), None)
    return Run(
        folder,
        recipe,
        tokenizer,
        _best_so_far(folder, recipe) if path is None else load_model(path),
        _labels(folder / "labels.json"),
    )


def _best_so_far(folder: Path, recipe: Recipe) -> "Model":
    """Return the best model of a run that has not been trained to its end, and say so."""
    from .models.rnn import CarriedState
    from .training import checkpoints, finetuning

    state = checkpoints.read_state(folder)
    if not state.step:
        raise unfinished(folder)
    model = load_model(checkpoints.best(folder))
    if recipe.train.lora_rank:  # of which Keras saves W + A B in the precision of computing
        finetuning.prepare(model, recipe.train)
        checkpoints.load_best(folder, model)
        model = finetuning.merged(model)
    has_ended = (folder / "report.json").is_file()
    why = "lacks its model.keras" if has_ended else "has not been trained to its end"
    print(
        f"{folder} {why}; this is its best model so far, of step "
        f"{state.best_step or state.step:,}.",
        file=sys.stderr,  # apart from what the model answers
    )
    return model.model if isinstance(model, CarriedState) else model


def unfinished(folder: Path) -> InputError:
    """Return the error of a run that has to be trained to its end first."""
    return InputError(
        f"the run {folder} has not been trained to its end; go on with the command that began it, "
        f"and add --out {quoted([folder])} --resume."
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
            f"--init {folder} is a run of {name_of(there)}, and the recipe's model is "
            f"{name_of(model)}; give a run of that, or --model-of with the recipe of the run."
        )
    own = {"context_length": model.context_length, "vocab_size": 0}  # a task may add tokens
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
    except (OSError, ValueError, TypeError, KeyError, zlib.error, zipfile.BadZipFile) as error:
        first_line = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise InputError(f"{path} cannot be read as a model: {first_line}") from None


def read_recipe(folder: Path) -> Recipe:
    """Return the recipe that a run folder was made from.

    Raises:
        InputError: if the folder is missing, holds no run, or one of another version.
    """
    path = folder / "config.json"
    if not folder.is_dir():
        beside = [other.name for other in folder.parent.glob("*") if other.is_dir()]
        raise InputError(
            f"there is no run folder {folder}, which `{command('train')}` would make"
            f"{did_you_mean(folder.name, beside)}"
        )
    if not path.is_file():
        raise InputError(
            f"{folder} is no run folder: it has no config.json; give one that "
            f"`{command('train')}` made, such as runs/gpt-shakespeare."
        )
    config = read_json(path)
    if not isinstance(config, dict):
        raise InputError(f"{path} is damaged (it is no object); train the run again.")
    made_by = f"kerazoo {config.get('kerazoo', 'of an unknown version')}"
    if config.get("format") != FORMAT:
        raise InputError(
            f"{folder} was made by {made_by}, in a format that this version ({__version__}) does "
            "not read; install that version, or train again."
        )
    try:
        return Recipe.from_json(config["recipe"])
    except (KeyError, TypeError, ValueError, StopIteration) as error:
        raise InputError(
            f"{path}, made by {made_by}, does not hold a recipe as this version ({__version__}) "
            f"knows them ({error})."
        ) from None


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


def _labels(path: Path) -> tuple[str, ...]:
    """Return what the training said of the answers; nothing if it said nothing."""
    if not path.is_file():
        return ()
    content = read_json(path)
    labels = content.get("labels") if isinstance(content, dict) else None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise InputError(f"{path} is damaged (it has no labels); train the run again.")
    return tuple(labels)


def _with_article(name: str) -> str:
    return f"an {name}" if name[0] in "aeiou" else f"a {name}"
