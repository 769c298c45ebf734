"""Which task belongs to which settings; importing this makes losses and metrics loadable."""

from ..data.tokenizers import Tokenizer
from ..models.configs import ModelConfig
from ..training.config import TrainConfig
from .configs import (
    ContinuationConfig,
    LanguageModelingConfig,
    MaskedLanguageModelingConfig,
    SequenceToSequenceConfig,
    TaskConfig,
)
from .continuation import Continuation
from .language_modeling import LanguageModeling
from .masked_language_modeling import MaskedLanguageModeling
from .sequence_to_sequence import SequenceToSequence
from .task import Task

TASKS: dict[type[TaskConfig], type[Task]] = {
    LanguageModelingConfig: LanguageModeling,
    ContinuationConfig: Continuation,
    MaskedLanguageModelingConfig: MaskedLanguageModeling,
    SequenceToSequenceConfig: SequenceToSequence,
}


def make(config: TaskConfig, model: ModelConfig, train: TrainConfig, tokenizer: Tokenizer) -> Task:
    """Return the task of these settings."""
    return TASKS[type(config)](config, model, train, tokenizer)
