"""Train a recipe: text -> ids -> batches -> model -> loss, and a run folder that holds the result.

python train.py                                    lists the recipes
python train.py gpt-shakespeare
python train.py gpt-shakespeare --train.steps 500 --data.text my.txt --model.num-layers 8
python train.py gpt-shakespeare --resume           goes on after an interruption
"""

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from kerazoo import recipes, run_folder, runs, train_options
from kerazoo.data import datasets, tokenizers
from kerazoo.errors import InputError, command
from kerazoo.files import write_text
from kerazoo.models.configs import NGramConfig
from kerazoo.recipe import Recipe, completed
from kerazoo.training.config import TrainConfig

if TYPE_CHECKING:
    from kerazoo.models.families import Model
    from kerazoo.tasks.task import Examples, Task
    from kerazoo.training.checkpoints import State


def train(
    recipe: Recipe, folder: str | Path, name: str = "custom", resume: bool = False
) -> runs.Run:
    """Train a recipe and return the run.

    Args:
        recipe: model, data and training.
        folder: where the run goes: a new or empty folder, or with `resume` that of the run.
        name: what the recipe is called in the model card.
        resume: go on from the last checkpoint, to where an uninterrupted run would have come; some
            settings may be others than before, see `run_folder.FREE`, and its text may have moved.

    Raises:
        InputError: if the recipe asks for what cannot be done, or the folder is taken.
        TrainingStopped: if the loss becomes NaN.
    """
    folder = Path(folder)
    begins_from = recipe.init
    if resume and run_folder.has_outlived_its_init(folder, recipe):
        begins_from = None
    if recipe.init is not None:
        recipe = replace(recipe, model=runs.architecture(begins_from or folder, recipe.model))
    run_folder.check_free(folder, recipe, resume)
    if run_folder.has_all(folder, recipe):
        print(f"The training in {folder} has already ended.")
        return runs.load(folder)
    # TensorFlow starts here, so that `--help` and most mistakes need not wait for it.
    import keras

    from kerazoo.tasks import registry
    from kerazoo.training import finetuning
    from kerazoo.training.initialisation import initialise

    settings = recipe.train
    keras.utils.set_random_seed(settings.seed)

    # Text to ids; the tokenizer learns from the training text alone.
    corpus = datasets.load(recipe.data, recipe.task.reads)
    if corpus.train is None:
        scoring = command("evaluate", "RUN", "--name", corpus.name)
        raise InputError(
            f"'{corpus.name}' is for testing only and has nothing to learn from; train on another "
            f"dataset, and score the run with `{scoring}`."
        )
    pretrained = runs.load(begins_from) if begins_from is not None else None
    if resume and (folder / "config.json").is_file():
        tokenizer = tokenizers.Tokenizer.load(folder / "tokenizer.json")
    elif pretrained is not None:
        tokenizer = pretrained.tokenizer.with_special_tokens(recipe.task.special_tokens)
    else:
        tokenizer = tokenizers.train(
            recipe.data.tokenizer, corpus.train, recipe.data.vocab_size, recipe.task.special_tokens
        )
    config = completed(recipe.model, tokenizer)
    splits = corpus.content
    labels = registry.TASKS[type(recipe.task)].labels_of(splits["train"])
    task = registry.make(recipe.task, config, settings, tokenizer, labels)
    examples = {split: task.encode(content) for split, content in splits.items()}

    # Ids to a model that predicts them.
    model = task.build()
    new_tokens = False
    if pretrained is not None:
        same_labels = not task.names_outputs or pretrained.labels == labels
        initialise(model, pretrained.model, str(recipe.init), same_labels)
        new_tokens = tokenizer.vocab_size > pretrained.tokenizer.vocab_size
        pretrained = None  # its model would take as much memory as the new one
    finetuning.prepare(model, settings, new_tokens)
    experiment = Experiment(folder, name, recipe, corpus, tokenizer, task, examples, model, resume)
    learn = _count if isinstance(recipe.model, NGramConfig) else _fit
    state, num_tokens = learn(experiment)
    if settings.lora_rank:
        model = finetuning.merged(model)

    # The result: how good it is, and what it writes.
    score = task.score_in_training(model, experiment.held_out, settings.report_tokens)
    run = runs.Run(folder, recipe, tokenizer, model, labels)
    run_folder.finish(run, name, corpus, score, state, num_tokens)
    return run


@dataclass(frozen=True)
class Experiment:
    """A recipe with all that it needs to begin."""

    folder: Path
    name: str
    recipe: Recipe
    corpus: datasets.Corpus
    tokenizer: tokenizers.Tokenizer
    task: "Task"
    examples: dict[str, "Examples"]
    model: "Model"
    resume: bool

    @property
    def learnt(self) -> "Examples":
        """The training split."""
        return self.examples["train"]

    @property
    def held_out(self) -> "Examples":
        """The validation split."""
        return self.examples["validation"]

    def begin(self) -> None:
        """Make the run folder, and say what happens next."""
        import keras

        run_folder.begin(self.folder, self.name, self.recipe, self.task, self.examples, self.resume)
        size = self.model.count_params()
        learning = sum(math.prod(v.shape) for v in getattr(self.model, "trainable_variables", ()))
        part = f", {learning:,} of them learning" if 0 < learning < size else ""
        parameters = f", {size:,} parameters{part}," if size else ""
        gpus = run_folder.gpus() if isinstance(self.model, keras.Model) else []
        where = f"on the GPU {gpus[0]}" if gpus else "on the CPU"
        print(
            f"Training {self.name}{parameters} on {self.corpus.name}, "
            f"{self.learnt.num_tokens:,} tokens, in {self.folder}, {where}"
        )


def _fit(experiment: Experiment) -> tuple["State", int]:
    """Train by gradients; return where it stands at the end, and how many tokens it has seen."""
    import keras

    from kerazoo.training import callbacks, checkpoints, finetuning, optimizers

    task, folder, model = experiment.task, experiment.folder, experiment.model
    settings, length = task.train, task.model.context_length

    # Loss, optimizer.
    learner = task.learner(model)
    steps_per_epoch = task.steps_per_epoch(experiment.learnt)
    total_steps = _total_steps(settings, steps_per_epoch)
    steps_left = total_steps and total_steps - checkpoints.read_state(folder).step
    optimizer = optimizers.make_optimizer(
        settings,
        optimizers.make_schedule(settings, total_steps, steps_per_epoch)
        if total_steps
        else settings.learning_rate,
        model.trainable_variables,
        finetuning.learning_rate_shares(model, settings),
    )
    learner.compile(
        optimizer,
        **task.objectives(experiment.held_out),
        jit_compile=_by_xla(settings, task, model),
        steps_per_execution=_batches_per_call(settings, steps_left, length, model.count_params()),
    )

    # Where an interrupted run stood; for a new one, the beginning.
    # Build the optimizer that `compile` made; for float16 it is wrapped, to scale the loss.
    # Otherwise `fit` would trace twice.
    learner.optimizer.build(model.trainable_variables)
    state = checkpoints.restore(folder, learner)

    # Ids to batches.
    training = task.batches(experiment.learnt, state.step)

    # Training.
    tokens_per_step = experiment.learnt.num_tokens / steps_per_epoch
    clock = callbacks.TrainingClock(
        settings, total_steps, tokens_per_step, state.step, state.seconds
    )
    is_over = clock.share >= 1 or state.is_over(settings.patience)
    if is_over and run_folder.has_ended(folder):
        raise InputError(
            f"the training in {folder} has ended, and there is nothing left to do with what is "
            "given; give a longer --train.steps, --train.epochs or --train.minutes, or another "
            "--train.patience if that ended it."
        )
    experiment.begin()
    with run_folder.alone(folder):
        if checkpoints.read_state(folder) != state:
            raise InputError(
                f"another process has trained the run in {folder} in the meantime; give the same "
                "command again."
            )
        run_folder.go_on(folder, experiment.recipe, state.step)
        kept = checkpoints.Checkpoints(folder, clock, state)
        if not is_over:
            learner.fit(
                training,
                epochs=sys.maxsize,  # `clock` says when to stop
                initial_epoch=state.round,
                steps_per_epoch=settings.validate_every * settings.accumulate,
                callbacks=[
                    *([callbacks.Averages(state.step > 0)] if settings.ema_momentum else []),
                    clock,
                    callbacks.Validation(
                        lambda: task.score_in_training(
                            model, experiment.held_out, settings.validation_tokens
                        )
                    ),
                    callbacks.StopAtNaN(settings, clock),
                    checkpoints.History(folder, state),
                    keras.callbacks.TensorBoard(folder / "tensorboard", write_graph=False),
                    kept,
                    callbacks.ProgressBar(),
                    checkpoints.Patience(settings.patience, kept),
                ],
                verbose=1 if sys.stdout.isatty() or "ipykernel" in sys.modules else 2,
                shuffle=False,
            )
    checkpoints.load_best(folder, learner)
    state = checkpoints.read_state(folder)
    return state, round(state.step * tokens_per_step)


def _count(experiment: Experiment) -> tuple["State", int]:
    """Train a model that counts, in one pass; return what `_fit` does."""
    from kerazoo.training import checkpoints

    settings, learnt = experiment.recipe.train, experiment.learnt
    experiment.begin()
    with run_folder.alone(experiment.folder):
        run_folder.go_on(experiment.folder, experiment.recipe, step=0)
    start = time.perf_counter()
    experiment.model.fit(learnt.pieces())
    seconds = time.perf_counter() - start
    score = experiment.task.score_in_training(
        experiment.model, experiment.held_out, settings.validation_tokens
    )
    row = {"step": 1, "seconds": round(seconds, 3), "val_loss": score.loss}
    row["val_bits_per_byte"] = "" if score.bits_per_byte is None else score.bits_per_byte
    write_text(
        experiment.folder / "history.csv",
        "\n".join(",".join(map(str, line)) for line in (row.keys(), row.values())) + "\n",
    )
    state = checkpoints.State(1, 1, seconds, best_step=1, best_loss=score.loss)
    return state, learnt.num_tokens


def main(arguments: Sequence[str]) -> None:
    """Run `python train.py` with these arguments."""
    if not arguments or arguments[0] in ("-h", "--help"):
        _list_recipes()
        return
    name = arguments[0]
    recipe, options = train_options.parsed(arguments)
    if options.model_of:
        name = f"{name}-of-{options.model_of}"
    folder = options.out
    if folder is None:
        folder = run_folder.latest_folder(name) if options.resume else run_folder.new_folder(name)
    try:
        run = train(recipe, folder, name, options.resume)
    except KeyboardInterrupt as stop:  # or `Terminated`
        again = command("train", *arguments, "--out", folder.as_posix(), "--resume")
        raise type(stop)(f"interrupted; `{again}` goes on from the last checkpoint.") from None
    print(f"\n{run.summary()}\n\n{run.sample()}\n\nTry it: {command('generate', folder)}")


def _total_steps(settings: TrainConfig, steps_per_epoch: float) -> int | None:
    """Return the length of the training in steps, or None if the clock decides."""
    if settings.epochs is None:
        return settings.steps
    return math.ceil(settings.epochs * steps_per_epoch)


def _batches_per_call(
    settings: TrainConfig, steps_left: int | None, length: int, num_parameters: int
) -> int:
    """Return how many batches Keras takes at a time, between two looks at clock and callbacks.

    Small models spend more of a step in Python than larger ones, so they take up to ten at a time,
    as long as those need less than about half a second on two CPU cores, or on a large GPU.
    """
    from kerazoo.models import recurrence

    # About 6 floating-point operations for each parameter and token (Kaplan et al. 2020).
    work = 6 * num_parameters * length * settings.batch_size / settings.accumulate
    half_a_second = 5e13 if recurrence.has_gpu() else 5e10
    most = int(min(10, max(1, half_a_second // work)))
    rounds = (settings.validate_every, steps_left or settings.validate_every)
    batches = math.gcd(*rounds) * settings.accumulate
    return max(number for number in range(1, most + 1) if batches % number == 0)


def _by_xla(settings: TrainConfig, task: "Task", model: "Model") -> bool:
    """Return whether XLA compiles the training step; JAX would run it piece by piece without.

    Raises:
        InputError: if XLA is asked for and cannot.
    """
    import keras

    from kerazoo.models import recurrence

    if keras.backend.backend() == "jax":
        return True
    by_cudnn = (keras.layers.LSTM, keras.layers.GRU)
    for layer in model._flatten_layers():
        if settings.xla == "on" and isinstance(layer, by_cudnn) and recurrence.has_gpu():
            raise InputError(
                f"--train.xla on cannot compile the {type(layer).__name__} of this model on a GPU, "
                "where cuDNN computes it; leave it out."
            )
    return task.prefers_xla(model) if settings.xla == "auto" else settings.xla == "on"


def _list_recipes() -> None:
    table = Table(
        title=f"Recipes: {command('train')} RECIPE [--option value ...]", title_justify="left"
    )
    for column in ("recipe", "what it is"):
        table.add_column(column)
    for name, recipe in recipes.RECIPES.items():
        table.add_row(name, recipe.description)
    console = Console()
    console.print(table)
    usage = command("train", "RECIPE", "--help")
    console.print(f"`{usage}` lists the options of a recipe.", highlight=False)


if __name__ == "__main__":
    from kerazoo.cli import run as run_command

    run_command(main)
