"""The settings of every task, as data.

They stand apart from the tasks so that the command line can list and check them without waiting for
TensorFlow.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..data.tokenizers import BERT_TOKENS, PAIR_TOKENS
from ..errors import InputError


@dataclass(frozen=True)
class LanguageModelingConfig:
    """Predict each token of a text from those before it."""

    special_tokens: ClassVar[tuple[str, ...]] = ()
    """Tokens that the tokenizer must have and that stand for no text."""
    one_a_line: ClassVar[bool] = False
    """Whether each line is an example by itself."""


@dataclass(frozen=True)
class ContinuationConfig:
    """Predict each token of a stretch of text from those before it, for an encoder-decoder.

    The encoder reads what comes before the stretch, the decoder the stretch itself.
    """

    special_tokens: ClassVar[tuple[str, ...]] = ()
    one_a_line: ClassVar[bool] = False


@dataclass(frozen=True)
class MaskedLanguageModelingConfig:
    """Predict tokens of a text that have been hidden, and whether two stretches belong together.

    The pre-training of BERT (Devlin et al. 2019, section 3.1).
    """

    special_tokens: ClassVar[tuple[str, ...]] = BERT_TOKENS
    one_a_line: ClassVar[bool] = False
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
    one_a_line: ClassVar[bool] = True


TaskConfig = (
    LanguageModelingConfig
    | ContinuationConfig
    | MaskedLanguageModelingConfig
    | SequenceToSequenceConfig
)
