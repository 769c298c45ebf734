"""The recipes of models that learn to write: on Shakespeare, on names, on the Penn Treebank."""

from dataclasses import replace

from .data.datasets import DataConfig
from .models.configs import (
    BERTConfig,
    GPTConfig,
    HMMConfig,
    LlamaConfig,
    NGramConfig,
    RNNConfig,
    RNNSeq2SeqConfig,
    TransformerConfig,
)
from .recipe import Recipe
from .tasks.configs import (
    ContinuationConfig,
    MaskedLanguageModelingConfig,
)
from .training.config import TrainConfig

_PTB = DataConfig(name="ptb", tokenizer="whitespace", vocab_size=10_001)
"""The words of the Penn Treebank, 10,000 with <unk> and the line end, and one for all others."""


def _zaremba(
    size: str,
    *,
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
        data=_PTB,
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


_ADAM_ON_SHAKESPEARE = TrainConfig(
    minutes=2, batch_size=32, optimizer="adam", learning_rate=2e-3, final_learning_rate=0.0
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
_NANOGPT = TrainConfig(
    steps=2000,
    batch_size=12,
    learning_rate=1e-3,
    final_learning_rate=0.1,
    warmup=0.05,
    beta_2=0.99,
    weight_decay=0.1,
    clip_norm=1.0,
    seed=1337,
)

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
        train=replace(_ADAM_ON_SHAKESPEARE, learning_rate=0.05),
    ),
    "rnn-shakespeare": Recipe(
        description="The plain recurrent network: Shakespeare in two CPU minutes.",
        model=RNNConfig(cell="simple", width=256),
        data=DataConfig(),
        train=_ADAM_ON_SHAKESPEARE,
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
        train=_NANOGPT,
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
        train=replace(_NANOGPT, steps=5000, batch_size=64, warmup=0.02),
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
        train=replace(_ADAM_ON_SHAKESPEARE, learning_rate=0.006),
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
        train=replace(_ADAM_ON_SHAKESPEARE, learning_rate=4e-3),
        task=ContinuationConfig(),
    ),
    "bert-shakespeare": Recipe(
        description="A BERT that fills in hidden words of Shakespeare, in five CPU minutes.",
        model=BERTConfig(
            context_length=32, num_layers=3, num_heads=3, width=96, dropout=0.0, norm_first=True
        ),
        data=DataConfig(tokenizer="wordpiece", vocab_size=2048),
        train=replace(_MUON_ON_SHAKESPEARE, minutes=5, batch_size=48),
        task=MaskedLanguageModelingConfig(mask_share=0.3),
    ),
    "ngram-ptb": Recipe(
        description="Counts of up to five words: sentences of the Penn Treebank in a minute.",
        model=NGramConfig(order=5, smoothing="modified-kneser-ney", boundary=r" \n"),
        data=_PTB,
        train=TrainConfig(epochs=1),
    ),
    "lstm-ptb-small": _zaremba(
        "small",
        width=200,
        context_length=20,
        dropout=0.0,
        initial_scale=0.1,
        clip_norm=5,
        epochs=13,
        constant_epochs=4,
        decay=0.5,
    ),
    "lstm-ptb-medium": _zaremba(
        "medium",
        width=650,
        context_length=35,
        dropout=0.5,
        initial_scale=0.05,
        clip_norm=5,
        epochs=39,
        constant_epochs=6,
        decay=1 / 1.2,
    ),
    "lstm-ptb-large": _zaremba(
        "large",
        width=1500,
        context_length=35,
        dropout=0.65,
        initial_scale=0.04,
        clip_norm=10,
        epochs=55,
        constant_epochs=14,
        decay=1 / 1.15,
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
