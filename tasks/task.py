"""What a task is to the commands: from text to batches, loss, score, and what a person asks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import keras
import tensorflow as tf

from ..data.records import Records
from ..data.text import Text
from ..data.tokenizers import Tokenizer
from ..errors import InputError
from ..metrics.report import Report
from ..models import families
from ..models.configs import ModelConfig
from ..models.families import Model
from ..models.sampling import Sampling
from ..training.config import TrainConfig
from .configs import TaskConfig


@dataclass(frozen=True)
class Writing:
    """How a model is to write what it is asked for.

    Args:
        max_new_tokens: how many tokens to add to each prompt.
        sampling: how tokens are chosen; None: as suits the task.
        stop: a text that ends what is written; it is not part of the result.
        watch: called with the texts so far, whenever they have grown.
    """

    max_new_tokens: int = 300
    sampling: Sampling | None = None
    stop: str | None = None
    watch: Callable[[list[str]], None] = lambda texts: None


AS_USUAL = Writing()


Content = Text | Records
"""A split of a dataset: running text, or examples with fields."""


class Examples(Protocol):
    """A split of a dataset, encoded for a model."""

    text_sha256: str
    """What it was made from."""
    num_tokens: int
    """How many tokens there are to predict."""


class Score(Protocol):
    """How well a model does a task."""

    loss: float
    """What training tries to lower."""
    kept_for: float | None
    """The score that decides which model is kept, the highest being best; None if the loss does,
    the lowest being best."""
    bits_per_byte: float | None
    """Bits that each byte of the text would take, compressed with the model; None where that has no
    meaning."""

    def columns(self) -> dict[str, Any]:
        """Return the scores as the columns of the table that compares runs."""

    def in_words(self) -> str:
        """Return the scores in a line."""

    def to_json(self) -> dict[str, Any]:
        """Return the scores and what they were counted from."""


class FinalScore(Score, Protocol):
    """A score on a whole split, as `evaluate.py` shows it."""

    report: Report
    """All scores with their intervals."""


@dataclass(frozen=True)
class Task:
    """A task, as one recipe sets it to one model; each file of this folder has one.

    Args:
        config: the task's own settings.
        model: the model's hyperparameters.
        train: how it is trained.
        tokenizer: text to ids and back.
        labels: what a training split says of the answers: the classes or tags, in the order of the
            model's outputs; of numbers their mean and deviation; of questions whether some have no
            answer; of dialogues how many turns there are before an answer, at most. Empty for all
            else.
    """

    config: TaskConfig
    model: ModelConfig
    train: TrainConfig
    tokenizer: Tokenizer
    labels: tuple[str, ...] = ()

    names_outputs: ClassVar[bool] = False
    """Whether the labels name the outputs of a head, which then means nothing for other labels."""

    # === Data ===

    @classmethod
    def labels_of(cls, content: Content) -> tuple[str, ...]:
        """Return the labels of a training split; they do not depend on its order."""
        return ()

    def encode(self, content: Content) -> Examples:
        """Return a split as the model will see it, from the cache if it is there.

        Raises:
            InputError: if the split is not what the task needs.
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

    # === Training ===

    def build(self) -> Model:
        """Return a new model that can do the task."""
        return families.build(self.model, self.train.policy)

    def learner(self, model: Model) -> keras.Model:
        """Return what `fit` is called on: the model, or one around it."""
        return model

    def prefers_xla(self, model: Model) -> bool:
        """Whether XLA makes training and scoring faster."""
        return model.prefers_xla

    def objectives(self, examples: Examples) -> dict[str, Any]:
        """Return the losses and metrics that `compile` takes.

        Args:
            examples: the validation split.
        """
        raise NotImplementedError

    # === Scores ===

    def score_in_training(self, model: Model, examples: Examples, limit: int) -> Score:
        """Score a model on about `limit` tokens, as often as training asks for it."""
        return self.score(model, examples, limit)

    def score(
        self,
        model: Model,
        examples: Examples,
        limit: int | None = None,
        stride: int | None = None,
    ) -> FinalScore:
        """Score a model on a split, as `evaluate.py` shows it.

        Args:
            model: the model.
            examples: the split.
            limit: about how many tokens to look at; None for all.
            stride: for a text read through a sliding window, the tokens that it slides by.
        """
        raise NotImplementedError

    # === What a person asks of it ===

    example: ClassVar[str] = "some text to go on from"
    """What a person might give it."""
    asks: ClassVar[tuple[str, ...]] = ()
    """What a person must give it, such as ("question", "passage"), with a tab between them; nothing
    where the model can begin by itself."""
    goes_on: ClassVar[bool] = False
    """Whether what it answers is part of what it is asked next, as in a conversation."""

    @property
    def default_sampling(self) -> Sampling | None:
        """How tokens are chosen unless a person says otherwise; None where none are written."""
        return None

    @property
    def start(self) -> str | None:
        """What to begin with when nothing is given; None where something must be."""
        return None

    def write(self, model: Model, prompts: Sequence[str], how: Writing = AS_USUAL) -> list[str]:
        """Return what the model makes of each prompt, to be read by a person.

        Args:
            model: the model.
            prompts: texts of any lengths; where the task asks for several things, with tabs between
                them.
            how: how it is to write.

        Raises:
            InputError: if a prompt is empty or has parts that the tokenizer does not know.
        """
        return [str(prediction) for prediction in self.predict(model, prompts)]

    def predict(self, model: Model, prompts: Sequence[str]) -> list[Any]:
        """Return what the model says of each prompt, as data.

        Raises:
            InputError: if the task has no other answer than text, or as `write` does.
        """
        raise InputError("this run answers in text alone; ask for it with `generate`.")

    def num_cut(self, prompts: Sequence[str]) -> int:
        """Return how many prompts are answered by their beginnings, being too long to be read."""
        return 0

    def generate_json(
        self, model: Model, prompts: Sequence[str], how: Writing = AS_USUAL
    ) -> list[dict[str, Any]]:
        """Return what the model makes of each prompt as what `json.dumps` accepts: see `write`."""
        return [{"text": text} for text in self.write(model, prompts, how)]

    def sample(self, model: Model, held_out: Content) -> str:
        """Return something to look at: what the model makes of nothing, or of held-out text."""
        raise NotImplementedError
