"""A recipe: one experiment as data. Which model, on which data, for which task, trained how.

A recipe is a tree of frozen dataclasses. The command line is made from it: each field is an option
that overrides it, `--model.num-layers 8`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from .data.datasets import DataConfig
from .data.tokenizers import Tokenizer
from .errors import InputError
from .files import expanded
from .models.configs import (
    DECODERS,
    ENCODER_DECODERS,
    MOST_UNROLLED,
    BERTConfig,
    GPTConfig,
    HMMConfig,
    LlamaConfig,
    ModelConfig,
    NGramConfig,
    RNNConfig,
    RNNEncoderConfig,
    RNNSeq2SeqConfig,
    TransformerConfig,
)
from .tasks.configs import (
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
from .training.config import TrainConfig

_MODEL_CONFIGS = {
    "ngram": NGramConfig,
    "hmm": HMMConfig,
    "rnn": RNNConfig,
    "gpt": GPTConfig,
    "llama": LlamaConfig,
    "rnn-encoder": RNNEncoderConfig,
    "bert": BERTConfig,
    "transformer": TransformerConfig,
    "rnn-seq2seq": RNNSeq2SeqConfig,
}
_TASK_CONFIGS = {
    "language-modeling": LanguageModelingConfig,
    "continuation": ContinuationConfig,
    "masked-language-modeling": MaskedLanguageModelingConfig,
    "sequence-to-sequence": SequenceToSequenceConfig,
    "translation": TranslationConfig,
    "summarization": SummarizationConfig,
    "dialogue": DialogueConfig,
    "classification": ClassificationConfig,
    "regression": RegressionConfig,
    "tagging": TaggingConfig,
    "question-answering": QuestionAnsweringConfig,
}
_NAMES = {config: name for name, config in (_MODEL_CONFIGS | _TASK_CONFIGS).items()}
_LANGUAGE_MODELS = (NGramConfig, HMMConfig, *DECODERS)
_WRITERS = (*ENCODER_DECODERS, *DECODERS)
"""Models that can write a text given another."""
_READERS = (BERTConfig, RNNEncoderConfig, *DECODERS)
"""Models that a head can stand on."""
_ABLE: dict[type[TaskConfig], tuple[type[ModelConfig], ...]] = {
    LanguageModelingConfig: _LANGUAGE_MODELS,
    ContinuationConfig: ENCODER_DECODERS,
    MaskedLanguageModelingConfig: (BERTConfig,),
    SequenceToSequenceConfig: _WRITERS,
    TranslationConfig: _WRITERS,
    SummarizationConfig: _WRITERS,
    DialogueConfig: _WRITERS,
    ClassificationConfig: _READERS,
    RegressionConfig: _READERS,
    TaggingConfig: _READERS,
    QuestionAnsweringConfig: _READERS,
}
"""Which models can do which task."""


@dataclass(frozen=True)
class Recipe:
    """One experiment."""

    description: str
    """What it is, in a line."""
    model: ModelConfig
    """The model's hyperparameters."""
    data: DataConfig
    """What it is trained on."""
    train: TrainConfig
    """How it is trained."""
    task: TaskConfig = field(default_factory=LanguageModelingConfig)
    """What it learns to do."""
    init: Path | None = None
    """The run that it begins from; None for random weights."""

    def __post_init__(self):
        check_able(self.model, self.task)
        self._check_pooling()
        self._check_segments()
        self._check_length()
        self._check_counts()
        self._check_hidden_markov()
        self._check_finetuning()
        self._check_label_smoothing()
        self._check_carried_state()

    # === What does not go together ===

    def _check_pooling(self) -> None:
        """Refuse to read a text off its first token where that has not seen the others."""
        if getattr(self.task, "pooling", "") == "first" and isinstance(self.model, DECODERS):
            raise InputError(
                "--task.pooling first takes the state of the first token, which in this model has "
                "not seen the tokens after it; give last, mean or max."
            )

    def _check_segments(self) -> None:
        """Refuse a model that cannot tell the two texts apart that the task gives it."""
        reads_two = isinstance(self.task, QuestionAnsweringConfig) or (
            getattr(self.task, "sentences", "none") != "none"
        )
        if reads_two and getattr(self.model, "num_segments", 2) < 2:
            raise InputError(
                f"--model.num-segments is {self.model.num_segments}, and the task tells two texts "
                "apart; give at least 2."
            )

    def _check_length(self) -> None:
        """Refuse a model that has no room for the task's texts beside the special tokens."""
        if isinstance(self.task, (ClassificationConfig, RegressionConfig, TaggingConfig)):
            least, why = 3, "[CLS], a token and [SEP]"
        elif _ABLE[type(self.task)] is not _WRITERS:
            return
        elif isinstance(self.model, ENCODER_DECODERS):
            least, why = 2, "a token and [END]"
        else:
            least, why = 4, "a source, [START], a token and [END]"
        if self.model.context_length < least:
            raise InputError(
                f"--model.context-length is {self.model.context_length}, and the task "
                f"{name_of(self.task)} needs room for {why}; give at least {least}."
            )

    def _check_counts(self) -> None:
        """Refuse settings of which a model that counts knows nothing."""
        if not isinstance(self.model, NGramConfig):
            return
        heeded = ("epochs", "validation_tokens", "report_tokens")
        idle = [
            f"--train.{entry.name.replace('_', '-')}"
            for entry in fields(TrainConfig)
            if entry.name not in heeded and getattr(self.train, entry.name) != entry.default
        ]
        if self.train.epochs not in (None, 1):
            idle.append("--train.epochs")
        if idle:
            raise InputError(
                "a model that counts reads its text once and has no steps to learn in; leave out "
                f"{', '.join(idle)}."
            )
        if self.init is not None:
            raise InputError(
                f"--init {self.init} is for models that go on learning, and a model that counts "
                "begins anew; leave it out."
            )

    def _check_hidden_markov(self) -> None:
        """Refuse a precision and a compilation that a hidden Markov model cannot have."""
        if not isinstance(self.model, HMMConfig):
            return
        if self.train.precision != "float32":
            raise InputError(
                f"--train.precision {self.train.precision} is for models with products of matrices "
                "to speed up; a hidden Markov model computes in float32, so leave it out."
            )
        if self.train.xla == "on" and self.model.context_length > MOST_UNROLLED:
            raise InputError(
                "--train.xla on cannot train a hidden Markov model on more than "
                f"{MOST_UNROLLED} tokens at a time, and --model.context-length is "
                f"{self.model.context_length}; leave --train.xla out, or give at most "
                f"{MOST_UNROLLED}."
            )

    def _check_finetuning(self) -> None:
        """Refuse to spare pretrained parts where there are none, or in two ways at once."""
        if self.train.frozen == -1 and self.train.layer_decay != 1:
            raise InputError(
                f"--train.layer-decay {self.train.layer_decay} slows the parts below the head "
                "down, and --train.frozen -1 lets none of them learn; leave one of them out."
            )
        for_pretrained = {
            "--train.frozen": self.train.frozen,
            "--train.layer-decay": self.train.layer_decay != 1 and self.train.layer_decay,
            "--train.lora-rank": self.train.lora_rank,
        }
        for option, value in for_pretrained.items():
            if value and self.init is None:
                raise InputError(
                    f"{option} {value} is for a pretrained model, and nothing is pretrained "
                    "without --init; give --init a run to begin from, or leave it out."
                )

    def _check_label_smoothing(self) -> None:
        """Refuse to spread targets over classes or tokens where there are none."""
        without_distribution = (RegressionConfig, QuestionAnsweringConfig)
        if self.train.label_smoothing and isinstance(self.task, without_distribution):
            raise InputError(
                f"--train.label-smoothing {self.train.label_smoothing} spreads a target over "
                f"classes or tokens, and {name_of(self.task)} predicts neither; leave it out."
            )

    def _check_carried_state(self) -> None:
        """Refuse to carry a state that is not there, or from one example to another."""
        if self.train.carry_state and not isinstance(self.model, RNNConfig):
            raise InputError(
                "--train.carry-state needs a recurrent model; this one remembers nothing from one "
                "window to the next."
            )
        if self.train.carry_state and not isinstance(self.task, LanguageModelingConfig):
            raise InputError(
                "--train.carry-state is for a text that goes on from window to window, and "
                f"{name_of(self.task)} has examples that stand alone; leave it out."
            )

    # === As JSON ===

    def to_json(self) -> dict[str, Any]:
        """Return the recipe as what `json.dumps` accepts."""
        content = asdict(self)
        content["model"] = {"family": name_of(self.model), **content["model"]}
        content["task"] = {"name": name_of(self.task), **content["task"]}
        content["init"] = None if self.init is None else _absolute(self.init)
        for name in ("text", "validation"):
            if content["data"][name] is not None:
                content["data"][name] = _absolute(content["data"][name])
        return content

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Recipe":
        """Return the recipe that `to_json` described.

        Raises:
            KeyError, TypeError: if a field is missing or unknown.
        """
        model, data, task = (dict(content[part]) for part in ("model", "data", "task"))
        for name in ("text", "validation"):
            if data[name] is not None:
                data[name] = Path(data[name])
        data |= {name: tuple(data.get(name, ())) for name in ("cleaning", "columns")}
        return cls(
            description=content["description"],
            model=_MODEL_CONFIGS[model.pop("family")](**model),
            data=DataConfig(**data),
            train=TrainConfig(**content["train"]),
            task=_TASK_CONFIGS[task.pop("name")](**task),
            init=content["init"] and Path(content["init"]),
        )


def check_able(model: ModelConfig, task: TaskConfig) -> None:
    """Refuse a model that cannot do a task.

    Raises:
        InputError: saying which can.
    """
    able = _ABLE[type(task)]
    if not isinstance(model, able):
        names = [name for name, kind in _MODEL_CONFIGS.items() if kind in able]
        raise InputError(
            f"the task {name_of(task)} is given the model {name_of(model)}; it needs one of "
            f"{', '.join(names)}."
        )


def _absolute(path: Path) -> str:
    return str(expanded(path).resolve())


def name_of(config: ModelConfig | TaskConfig) -> str:
    """Return the name of a model's family, such as "bert", or of a task, such as "tagging"."""
    return _NAMES[type(config)]


def completed(model: ModelConfig, tokenizer: Tokenizer) -> ModelConfig:
    """Return hyperparameters with what only the tokenizer knows: `vocab_size`, `boundary_id`.

    Raises:
        InputError: if another size of the vocabulary is given, or a boundary that is no token.
    """
    if model.vocab_size not in (0, tokenizer.vocab_size):
        raise InputError(
            f"--model.vocab-size is {model.vocab_size} and the tokenizer has "
            f"{tokenizer.vocab_size} tokens; leave --model.vocab-size out."
        )
    if isinstance(model, NGramConfig) and model.boundary is not None:
        boundary_id = _token_of(model.boundary, tokenizer)
        model = replace(model, boundary=None, boundary_id=boundary_id)
    return replace(model, vocab_size=tokenizer.vocab_size)


def _token_of(boundary: str, tokenizer: Tokenizer) -> int:
    """Return the id of the token that ends a sentence."""
    text = boundary.replace("\\n", "\n")
    token_ids = tokenizer.encode(text)
    if len(token_ids) == 1 and token_ids[0] != tokenizer.unknown_id:
        return int(token_ids[0])
    # In some texts, a space comes before each line end.
    texts = (tokenizer.text_of(token_id) for token_id in range(tokenizer.vocab_size))
    alike = [repr(each) for each in texts if each.strip(" ") == text.strip(" ")]
    hint = f", such as {' or '.join(alike)}" if alike else ""
    raise InputError(
        f"--model.boundary is {text!r}, which is not one token of this {tokenizer.kind} tokenizer "
        f"of {tokenizer.vocab_size}; give the text of one{hint}."
    )
