"""Every named experiment, as data: which model, on which text, trained how.

A recipe is a tree of frozen dataclasses. The command line is made from it: each field is an option
that overrides it, `--model.num-layers 8`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from .data.datasets import DataConfig
from .errors import InputError, did_you_mean
from .models.configs import (
    BERTConfig,
    GPTConfig,
    HMMConfig,
    LlamaConfig,
    ModelConfig,
    NGramConfig,
    RNNConfig,
    RNNSeq2SeqConfig,
    TransformerConfig,
)
from .tasks.configs import (
    ContinuationConfig,
    LanguageModelingConfig,
    MaskedLanguageModelingConfig,
    SequenceToSequenceConfig,
    TaskConfig,
)
from .training.config import TrainConfig

_MODEL_CONFIGS = {
    "ngram": NGramConfig,
    "hmm": HMMConfig,
    "rnn": RNNConfig,
    "gpt": GPTConfig,
    "llama": LlamaConfig,
    "bert": BERTConfig,
    "transformer": TransformerConfig,
    "rnn-seq2seq": RNNSeq2SeqConfig,
}
_TASK_CONFIGS = {
    "language-modeling": LanguageModelingConfig,
    "continuation": ContinuationConfig,
    "masked-language-modeling": MaskedLanguageModelingConfig,
    "sequence-to-sequence": SequenceToSequenceConfig,
}
_LANGUAGE_MODELS = (NGramConfig, HMMConfig, RNNConfig, GPTConfig, LlamaConfig)
_ENCODER_DECODERS = (TransformerConfig, RNNSeq2SeqConfig)
_ABLE: dict[type[TaskConfig], tuple[type[ModelConfig], ...]] = {
    LanguageModelingConfig: _LANGUAGE_MODELS,
    ContinuationConfig: _ENCODER_DECODERS,
    MaskedLanguageModelingConfig: (BERTConfig,),
    SequenceToSequenceConfig: _ENCODER_DECODERS,
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

    def __post_init__(self):
        able = _ABLE[type(self.task)]
        if not isinstance(self.model, able):
            names = [name for name, kind in _MODEL_CONFIGS.items() if kind in able]
            raise InputError(
                f"the task {_name(self.task, _TASK_CONFIGS)} is given the model "
                f"{_name(self.model, _MODEL_CONFIGS)}; it needs one of {', '.join(names)}."
            )
        if self.train.carry_state and not isinstance(self.model, RNNConfig):
            raise InputError(
                "--train.carry-state needs a recurrent model; this one remembers nothing from one "
                "window to the next."
            )


def _zaremba(
    size: str,
    width: int,
    context_length: int,
    dropout: float,
    initial_scale: float,
    clip_norm: float,
    **train: float,
) -> Recipe:
    """Return a setting of Zaremba et al. (2014, section 4.1) for the Penn Treebank.

    They add up the losses of a window's T tokens and start at learning rate 1; here the loss is
    their mean, so the same step has T times that rate and clips the gradient at a T-th of theirs.
    """
    return Recipe(
        description=f"The {size} LSTM of Zaremba et al. (2014) on the words of the Penn Treebank.",
        model=RNNConfig(
            cell="lstm",
            context_length=context_length,
            num_layers=2,
            width=width,
            dropout=dropout,
            output_bias=True,
            initial_scale=initial_scale,
        ),
        data=DataConfig(name="ptb", tokenizer="whitespace", vocab_size=10_001),
        train=TrainConfig(
            batch_size=20,
            optimizer="sgd",
            momentum=0.0,
            learning_rate=1.0 * context_length,
            clip_norm=clip_norm / context_length,
            schedule="step",
            carry_state=True,
            validate_every=929_588 // 20 // context_length,  # once a pass
            validation_tokens=100_000,
            **train,
        ),
    )


_MUON_ON_SHAKESPEARE = TrainConfig(
    minutes=2,
    batch_size=24,
    optimizer="muon",
    learning_rate=0.01,
    final_learning_rate=0.0,
    warmup=0.02,
    weight_decay=0.01,
    beta_2=0.95,
    clip_norm=0.0,
    validate_every=200,
)

DEFAULT = "gpt-shakespeare"

RECIPES: dict[str, Recipe] = {
    "ngram-shakespeare": Recipe(
        description="Counts of up to seven characters: Shakespeare in ten seconds.",
        model=NGramConfig(order=7),
        data=DataConfig(),
        train=TrainConfig(epochs=1),
    ),
    "hmm-shakespeare": Recipe(
        description="A hidden Markov model of characters: Shakespeare in two CPU minutes.",
        model=HMMConfig(num_states=128),
        data=DataConfig(),
        train=TrainConfig(
            minutes=2,
            batch_size=32,
            optimizer="adam",
            learning_rate=0.05,
            final_learning_rate=0.0,
        ),
    ),
    "rnn-shakespeare": Recipe(
        description="The plain recurrent network: Shakespeare in two CPU minutes.",
        model=RNNConfig(cell="simple", width=256),
        data=DataConfig(),
        train=TrainConfig(
            minutes=2,
            batch_size=32,
            optimizer="adam",
            learning_rate=2e-3,
            final_learning_rate=0.0,
        ),
    ),
    "gpt-shakespeare": Recipe(
        description="A small GPT with today's parts: Shakespeare in one CPU minute.",
        model=GPTConfig(
            context_length=64,
            num_layers=4,
            num_heads=3,
            width=96,
            feed_forward_width=288,
            use_bias=False,
            norm="rms",
            positions="rotary",
            qk_norm=True,
            tie_embeddings=False,
        ),
        data=DataConfig(),
        train=replace(_MUON_ON_SHAKESPEARE, minutes=1),
    ),
    "gpt-nano": Recipe(
        description="nanoGPT's CPU setting: 4 layers of width 128, 2,000 steps.",
        model=GPTConfig(context_length=64, num_layers=4, num_heads=4, width=128, use_bias=False),
        data=DataConfig(name="tinyshakespeare"),
        train=TrainConfig(
            steps=2000,
            batch_size=12,
            learning_rate=1e-3,
            final_learning_rate=0.1,
            warmup=0.05,
            beta_2=0.99,
            weight_decay=0.1,
            clip_norm=1.0,
            seed=1337,
        ),
    ),
    "gpt-baby": Recipe(
        description="nanoGPT's GPU setting: 6 layers of width 384, 5,000 steps.",
        model=GPTConfig(
            context_length=256,
            num_layers=6,
            num_heads=6,
            width=384,
            dropout=0.2,
            use_bias=False,
        ),
        data=DataConfig(name="tinyshakespeare"),
        train=TrainConfig(
            steps=5000,
            batch_size=64,
            learning_rate=1e-3,
            final_learning_rate=0.1,
            warmup=0.02,
            beta_2=0.99,
            weight_decay=0.1,
            clip_norm=1.0,
            seed=1337,
        ),
    ),
    "llama-shakespeare": Recipe(
        description="A small Llama: Shakespeare in two CPU minutes.",
        model=LlamaConfig(context_length=64, num_layers=4, num_heads=4, num_kv_heads=2, width=96),
        data=DataConfig(),
        train=replace(_MUON_ON_SHAKESPEARE, learning_rate=0.012),
    ),
    "lstm-shakespeare": Recipe(
        description="An LSTM language model: Shakespeare in two CPU minutes.",
        model=RNNConfig(cell="lstm", width=256),
        data=DataConfig(),
        train=TrainConfig(
            minutes=2,
            batch_size=32,
            optimizer="muon",
            learning_rate=0.02,
            final_learning_rate=0.0,
            weight_decay=0.01,
        ),
    ),
    "gru-shakespeare": Recipe(
        description="A GRU language model: Shakespeare in two CPU minutes.",
        model=RNNConfig(cell="gru", width=256),
        data=DataConfig(),
        train=TrainConfig(
            minutes=2,
            batch_size=32,
            optimizer="adam",
            learning_rate=0.006,
            final_learning_rate=0.0,
        ),
    ),
    "transformer-shakespeare": Recipe(
        description="An encoder-decoder that writes on: Shakespeare in two CPU minutes.",
        model=TransformerConfig(
            context_length=64, num_layers=2, num_heads=4, width=96, dropout=0.0, norm_first=True
        ),
        data=DataConfig(),
        train=_MUON_ON_SHAKESPEARE,
        task=ContinuationConfig(),
    ),
    "seq2seq-shakespeare": Recipe(
        description="A recurrent encoder-decoder with attention: Shakespeare in two CPU minutes.",
        model=RNNSeq2SeqConfig(context_length=64, width=256),
        data=DataConfig(),
        train=TrainConfig(
            minutes=2,
            batch_size=32,
            optimizer="adam",
            learning_rate=4e-3,
            final_learning_rate=0.0,
        ),
        task=ContinuationConfig(),
    ),
    "bert-shakespeare": Recipe(
        description="A BERT that fills in hidden words of Shakespeare, in five CPU minutes.",
        model=BERTConfig(
            context_length=64, num_layers=3, num_heads=3, width=96, dropout=0.0, norm_first=True
        ),
        data=DataConfig(tokenizer="wordpiece", vocab_size=2048),
        train=replace(_MUON_ON_SHAKESPEARE, minutes=5),
        task=MaskedLanguageModelingConfig(mask_share=0.3),
    ),
    "transformer-reverse": Recipe(
        description="The Transformer of Vaswani et al. (2017), small, writes strings backwards.",
        model=TransformerConfig(
            context_length=16, num_layers=1, num_heads=4, width=64, dropout=0.0
        ),
        data=DataConfig(name="reverse"),
        train=TrainConfig(
            minutes=0.75,
            batch_size=64,
            optimizer="adam",
            learning_rate=4e-3,
            final_learning_rate=0.0,
            beta_2=0.98,
            label_smoothing=0.1,
        ),
        task=SequenceToSequenceConfig(),
    ),
    "seq2seq-reverse": Recipe(
        description="An LSTM with the attention of Luong et al. (2015) writes strings backwards.",
        model=RNNSeq2SeqConfig(context_length=16, width=128),
        data=DataConfig(name="reverse"),
        train=TrainConfig(
            minutes=0.75,
            batch_size=64,
            optimizer="adam",
            learning_rate=4e-3,
            final_learning_rate=0.0,
        ),
        task=SequenceToSequenceConfig(),
    ),
    "lstm-ptb-small": _zaremba(
        "small", 200, 20, 0.0, 0.1, 5, decay=0.5, constant_epochs=4, epochs=13
    ),
    "lstm-ptb-medium": _zaremba(
        "medium", 650, 35, 0.5, 0.05, 5, decay=1 / 1.2, constant_epochs=6, epochs=39
    ),
    "lstm-ptb-large": _zaremba(
        "large", 1500, 35, 0.65, 0.04, 10, decay=1 / 1.15, constant_epochs=14, epochs=55
    ),
    "gpt-names": Recipe(
        description="A small GPT that makes up first names, in one CPU minute.",
        model=GPTConfig(
            context_length=32,
            num_layers=4,
            num_heads=4,
            width=64,
            use_bias=False,
            norm="rms",
            positions="rotary",
            qk_norm=True,
        ),
        data=DataConfig(name="names"),
        train=TrainConfig(
            minutes=1,
            batch_size=32,
            learning_rate=3e-3,
            final_learning_rate=0.0,
            validate_every=200,
        ),
    ),
    "lstm-names": Recipe(
        description="An LSTM that makes up first names, in one CPU minute.",
        model=RNNConfig(cell="lstm", width=128, context_length=32),
        data=DataConfig(name="names"),
        train=TrainConfig(
            minutes=1,
            batch_size=32,
            learning_rate=5e-3,
            optimizer="adam",
            final_learning_rate=0.0,
            validate_every=200,
        ),
    ),
}


def find(name: str) -> Recipe:
    """Return the recipe of that name.

    Raises:
        InputError: if there is none.
    """
    if name not in RECIPES:
        raise InputError(
            f"there is no recipe '{name}'; the recipes are {', '.join(RECIPES)}"
            f"{did_you_mean(name, RECIPES)}"
        )
    return RECIPES[name]


# === Recipes as JSON ===


def to_json(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe as what `json.dumps` accepts."""
    content = asdict(recipe)
    content["model"] = {"family": _name(recipe.model, _MODEL_CONFIGS), **content["model"]}
    content["task"] = {"name": _name(recipe.task, _TASK_CONFIGS), **content["task"]}
    for name in ("text", "validation"):
        if content["data"][name] is not None:
            content["data"][name] = str(Path(content["data"][name]).resolve())
    return content


def from_json(content: Mapping[str, Any]) -> Recipe:
    """Return the recipe that `to_json` described.

    Raises:
        KeyError, TypeError: if a field is missing or unknown.
    """
    model, data, task = (dict(content[part]) for part in ("model", "data", "task"))
    for name in ("text", "validation"):
        if data[name] is not None:
            data[name] = Path(data[name])
    data |= {name: tuple(data.get(name, ())) for name in ("cleaning", "columns")}
    return Recipe(
        description=content["description"],
        model=_MODEL_CONFIGS[model.pop("family")](**model),
        data=DataConfig(**data),
        train=TrainConfig(**content["train"]),
        task=_TASK_CONFIGS[task.pop("name")](**task),
    )


def _name(config: ModelConfig | TaskConfig, names: Mapping[str, type]) -> str:
    return next(name for name, kind in names.items() if kind is type(config))
