"""Which task belongs to which settings; importing this makes losses and metrics loadable."""

from ..data.tokenizers import Tokenizer
from ..models.configs import ModelConfig
from ..training.config import TrainConfig
from .classification import Classification
from .configs import (
    ClassificationConfig,
    ContinuationConfig,
    DialogueConfig,
    LanguageModelingConfig,
    MaskedLanguageModelingConfig,
    QuestionAnsweringConfig,
    RegressionConfig,
    SequenceToSequenceConfig,
    SummarizationConfig,
    TaggingConfig,
    TaskConfig,
    TranslationConfig,
)
from .continuation import Continuation
from .dialogue import Dialogue
from .language_modeling import LanguageModeling
from .masked_language_modeling import MaskedLanguageModeling
from .question_answering import QuestionAnswering
from .regression import Regression
from .sequence_to_sequence import SequenceToSequence
from .summarization import Summarization
from .tagging import Tagging
from .task import Task
from .translation import Translation

TASKS: dict[type[TaskConfig], type[Task]] = {
    LanguageModelingConfig: LanguageModeling,
    ContinuationConfig: Continuation,
    MaskedLanguageModelingConfig: MaskedLanguageModeling,
    SequenceToSequenceConfig: SequenceToSequence,
    TranslationConfig: Translation,
    SummarizationConfig: Summarization,
    DialogueConfig: Dialogue,
    ClassificationConfig: Classification,
    RegressionConfig: Regression,
    TaggingConfig: Tagging,
    QuestionAnsweringConfig: QuestionAnswering,
}


def make(
    config: TaskConfig,
    model: ModelConfig,
    train: TrainConfig,
    tokenizer: Tokenizer,
    labels: tuple[str, ...] = (),
) -> Task:
    """Return the task of these settings; see `Task`."""
    return TASKS[type(config)](config, model, train, tokenizer, labels)
