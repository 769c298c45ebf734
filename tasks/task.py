"""What a task is to the commands: from text to batches, loss, score, and what a person asks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import keras
import tensorflow as tf

from ..data.text import Text
from ..data.tokenizers import Tokenizer
from ..models.configs import ModelConfig, Sampling
from ..models.families import Model
from ..training.config import TrainConfig
from .configs import TaskConfig

Watch = Callable[[list[str]], None]
"""Called with the texts so far, whenever they have grown."""


class Examples(Protocol):
    """A split of a dataset, encoded for a model."""

    text_sha256: str
    """What it was made from."""
    num_tokens: int
    """How many tokens there are to predict."""


class Score(Protocol):
    """How well a model does a task."""

    loss: float
    """What training tries to lower; the model with the lowest is kept."""
    bits_per_byte: float | None
    """How long the text would be, compressed with the model; None where that has no meaning."""

    def columns(self) -> dict[str, Any]:
        """Return the scores as the columns of the table that compares runs."""

    def in_words(self) -> str:
        """Return the scores in a line."""

    def to_json(self) -> dict[str, Any]:
        """Return the scores and what they were counted from."""


@dataclass(frozen=True)
class Task:
    """A task, as one recipe sets it to one model; each file of this room has one.

    Args:
        config: the task's own settings.
        model: the model's hyperparameters.
        train: how it is trained.
        tokenizer: text to ids and back.
    """

    config: TaskConfig
    model: ModelConfig
    train: TrainConfig
    tokenizer: Tokenizer

    # === Data ===

    def encode(self, text: Text) -> Examples:
        """Return a split as the model will see it, from the cache if it is there.

        Raises:
            InputError: if the text is not what the task needs.
        """
        raise NotImplementedError

    def steps_per_epoch(self, examples: Examples) -> float:
        """Return how many steps make one pass over the examples."""
        raise NotImplementedError

    def batches(self, examples: Examples, first_step: int) -> tf.data.Dataset:
        """Return an endless dataset for `fit`, beginning with the batch of that step.

        A batch is a function of the seed and the step, so that a run which is taken up again sees
        what it would have seen.
        """
        raise NotImplementedError

    @property
    def tokens_per_step(self) -> int:
        """How many tokens one step learns from."""
        return self.train.batch_size * self.model.context_length

    # === Training ===

    def learner(self, model: Model) -> keras.Model:
        """Return what `fit` is called on: the model, or one around it."""
        return model

    def objectives(self, examples: Examples) -> dict[str, Any]:
        """Return the losses and metrics that `compile` takes.

        Args:
            examples: the validation split.
        """
        raise NotImplementedError

    # === Scores ===

    def score_in_training(self, model: Model, examples: Examples, limit: int) -> Score:
        """Score a model on the first `limit` tokens, as often as training asks for it."""
        return self.score(model, examples, limit)

    def score(
        self,
        model: Model,
        examples: Examples,
        limit: int | None = None,
        stride: int | None = None,
    ) -> Score:
        """Score a model on a split, as `evaluate.py` shows it.

        Args:
            model: the model.
            examples: the split.
            limit: the most tokens to look at; None for all.
            stride: for a text read through a sliding window, the tokens that it slides by.
        """
        raise NotImplementedError

    # === What a person asks of it ===

    example: ClassVar[str] = "some text to go on from"
    """What a person might give it."""
    needs: ClassVar[str] = "give one"
    """What a person must give it, to end a sentence."""
    default_sampler: ClassVar[str] = "temperature"
    """How tokens are chosen unless a person says otherwise."""

    @property
    def start(self) -> str | None:
        """What to begin with when nothing is given; None where something must be."""
        return None

    def write(
        self,
        model: Model,
        prompts: Sequence[str],
        max_new_tokens: int = 300,
        sampling: Sampling = Sampling(),  # noqa: B008, a frozen dataclass
        stop: str | None = None,
        watch: Watch = lambda texts: None,
    ) -> list[str]:
        """Return what the model makes of each prompt.

        Args:
            model: the model.
            prompts: texts of any lengths.
            max_new_tokens: how many tokens to add to each.
            sampling: how tokens are chosen.
            stop: a text that ends what is written; it is not part of the result.
            watch: called with the texts so far, whenever they have grown.

        Raises:
            InputError: if a prompt is empty or has parts that the tokenizer does not know.
        """
        raise NotImplementedError

    def sample(self, model: Model, held_out: Text) -> str:
        """Return something to look at: what the model makes of nothing, or of held-out text."""
        raise NotImplementedError
