"""The settings of every task, as data.

They stand apart from the tasks so that the command line can list and check them without waiting for
TensorFlow.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..data.records import Kind
from ..data.tokenizers import BERT_TOKENS, PAIR_TOKENS
from ..errors import InputError


@dataclass(frozen=True)
class LanguageModelingConfig:
    """Predict each token of a text from those before it."""

    special_tokens: ClassVar[tuple[str, ...]] = ()
    """Tokens that the tokenizer must have and that stand for no text."""
    reads: ClassVar[Kind] = "text"
    """What an example is: a stretch of running text, or a record with fields."""


@dataclass(frozen=True)
class ContinuationConfig:
    """Predict each token of a stretch of text from those before it, for an encoder-decoder.

    The encoder reads what comes before the stretch, the decoder the stretch itself.
    """

    special_tokens: ClassVar[tuple[str, ...]] = ()
    reads: ClassVar[Kind] = "text"


@dataclass(frozen=True)
class MaskedLanguageModelingConfig:
    """Predict tokens of a text that have been hidden, and whether two stretches belong together.

    The pre-training of BERT (Devlin et al. 2019, section 3.1).
    """

    special_tokens: ClassVar[tuple[str, ...]] = BERT_TOKENS
    reads: ClassVar[Kind] = "text"
    mask_share: float = 0.15
    """Share of the tokens to predict, above 0 and at most 0.5. Of those, 80 % are replaced by
    [MASK], 10 % by a random token, and 10 % left as they are."""
    whole_words: bool = False
    """Whether all tokens of a word are hidden together."""
    sentences: Literal["next", "order", "none"] = "next"
    """What is asked about the two stretches of text: whether the second comes next or from
    somewhere else (Devlin et al. 2019), whether they are in order or swapped (ALBERT: Lan et al.
    2020), or nothing."""

    def __post_init__(self):
        if not 0 < self.mask_share <= 0.5:
            raise InputError(
                f"--task.mask-share is {self.mask_share}; it must be above 0 and at most 0.5."
            )


@dataclass(frozen=True)
class SequenceToSequenceConfig:
    """Turn one text into another: pairs of source and target."""

    special_tokens: ClassVar[tuple[str, ...]] = PAIR_TOKENS
    reads: ClassVar[Kind] = "pairs"
    beams: int = 1
    """Texts that beam search keeps when held-out texts are written; 1: the likeliest token, always.
    """

    def __post_init__(self):
        _at_least_one(self, "beams")


@dataclass(frozen=True)
class TranslationConfig(SequenceToSequenceConfig):
    """Translate from one language into another."""


@dataclass(frozen=True)
class SummarizationConfig(SequenceToSequenceConfig):
    """Say in short what a longer text says."""


@dataclass(frozen=True)
class DialogueConfig(SequenceToSequenceConfig):
    """Answer the last turn of a conversation, knowing those before it."""

    reads: ClassVar[Kind] = "dialogues"


@dataclass(frozen=True)
class HeadConfig:
    """What all tasks have in common that put a head on a model."""

    special_tokens: ClassVar[tuple[str, ...]] = BERT_TOKENS
    dropout: float = 0.1
    """Share of the features dropped before the head in training, from 0 to below 1."""
    token_dropout: float = 0.0
    """Share of the tokens replaced by [MASK] in training (word dropout: Iyyer et al. 2015), from 0
    to below 1."""

    def __post_init__(self):
        for name in ("dropout", "token_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(
                    f"{_option(name)} is {getattr(self, name)}; it must be from 0 to below 1."
                )


@dataclass(frozen=True)
class _TextHeadConfig(HeadConfig):
    reads: ClassVar[Kind] = "labels"
    pooling: Literal["first", "last", "mean", "max"] = "mean"
    """How the states of the tokens become one of the text: the first token's, as a BERT is trained
    for; the last one's; their mean; or the largest value of each feature."""


@dataclass(frozen=True)
class ClassificationConfig(_TextHeadConfig):
    """Say which class a text belongs to."""

    class_weights: Literal["none", "balanced"] = "none"
    """Whether examples of rare classes weigh more in training, so that all classes together weigh
    the same (as scikit-learn's "balanced")."""


@dataclass(frozen=True)
class RegressionConfig(_TextHeadConfig):
    """Say how much of something a text has: a number; its loss is the squared error."""


@dataclass(frozen=True)
class TaggingConfig(HeadConfig):
    """Tag each word of a sentence, such as the names in it."""

    reads: ClassVar[Kind] = "tags"


@dataclass(frozen=True)
class QuestionAnsweringConfig(HeadConfig):
    """Point to the answer to a question in a text (SQuAD: Rajpurkar et al. 2016)."""

    reads: ClassVar[Kind] = "questions"
    stride: int = 32
    """Tokens from one window of a long text to the next; fewer where an answer of the most tokens
    could otherwise be in none of them as a whole."""
    question_tokens: int = 24
    """The most tokens of a question; a longer one loses its end."""
    answer_tokens: int = 24
    """The most tokens of an answer that is predicted."""

    def __post_init__(self):
        super().__post_init__()
        _at_least_one(self, "stride", "question_tokens", "answer_tokens")


TaskConfig = (
    LanguageModelingConfig
    | ContinuationConfig
    | MaskedLanguageModelingConfig
    | SequenceToSequenceConfig
    | TranslationConfig
    | SummarizationConfig
    | DialogueConfig
    | ClassificationConfig
    | RegressionConfig
    | TaggingConfig
    | QuestionAnsweringConfig
)


def _option(name: str) -> str:
    return f"--task.{name.replace('_', '-')}"


def _at_least_one(config: TaskConfig, *names: str) -> None:
    for name in names:
        if getattr(config, name) < 1:
            raise InputError(f"{_option(name)} is {getattr(config, name)}; it must be at least 1.")
