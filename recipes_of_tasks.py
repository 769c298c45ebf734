"""The recipes of tasks: classify, rate, tag, answer, translate, sum up, converse."""

from dataclasses import replace

from .data.datasets import DataConfig
from .models.configs import (
    BERTConfig,
    RNNEncoderConfig,
    RNNSeq2SeqConfig,
    TransformerConfig,
)
from .recipe import Recipe
from .tasks.configs import (
    ClassificationConfig,
    DialogueConfig,
    MaskedLanguageModelingConfig,
    QuestionAnsweringConfig,
    RegressionConfig,
    SequenceToSequenceConfig,
    SummarizationConfig,
    TaggingConfig,
    TranslationConfig,
)
from .training.config import TrainConfig

_BERT = BERTConfig(num_layers=2, num_heads=4, width=128, dropout=0.2, norm_first=True)
_LSTM = RNNEncoderConfig(cell="lstm", width=256, dropout=0.5)
_ADAM = TrainConfig(
    steps=1000,
    batch_size=32,
    optimizer="adam",
    learning_rate=2e-3,
    final_learning_rate=0.0,
    validate_every=100,
    validation_tokens=100_000,
)

_TRANSLATE = TrainConfig(
    minutes=20,
    batch_size=128,
    optimizer="muon",
    learning_rate=0.01,
    adam_learning_rate=1.0,  # of the embeddings, most of which a batch does not touch
    final_learning_rate=0.0,
    warmup=0.02,
    weight_decay=0.01,
    beta_2=0.95,
    clip_norm=0.0,
    label_smoothing=0.1,
    validate_every=500,
)
_TRANSFORMER = TransformerConfig(
    context_length=48,
    num_layers=2,
    num_heads=4,
    width=128,
    dropout=0.0,
    norm_first=True,
    positions="rotary",
    qk_norm=True,
)


def _words(name: str) -> DataConfig:
    """Return a dataset in lower-cased words, for texts that are cut into words already."""
    return DataConfig(name=name, cleaning=("lowercase",), tokenizer="whitespace", vocab_size=10_000)


def _pieces(name: str, vocab_size: int = 8000) -> DataConfig:
    """Return a dataset in parts of lower-cased words."""
    return DataConfig(name=name, tokenizer="wordpiece", vocab_size=vocab_size)


def _pairs(name: str, vocab_size: int) -> DataConfig:
    """Return a dataset in parts of words that can be put together again, both languages' alike."""
    return DataConfig(name=name, tokenizer="bpe", vocab_size=vocab_size)


RECIPES: dict[str, Recipe] = {
    # === A text, what it is ===
    "lstm-trec": Recipe(
        description="An LSTM in both directions says what a question asks for.",
        model=_LSTM,
        data=_words("trec"),
        train=_ADAM,
        task=ClassificationConfig(pooling="max", dropout=0.5, token_dropout=0.1),
    ),
    "bert-trec": Recipe(
        description="A BERT says what a question asks for.",
        model=_BERT,
        data=_words("trec"),
        train=replace(_ADAM, learning_rate=1e-3),
        task=ClassificationConfig(pooling="mean", dropout=0.5, token_dropout=0.2),
    ),
    "lstm-mr": Recipe(
        description="An LSTM in both directions says whether a film was liked.",
        model=_LSTM,
        data=_words("mr"),
        train=_ADAM,
        task=ClassificationConfig(pooling="max", dropout=0.5, token_dropout=0.2),
    ),
    "bert-sms": Recipe(
        description="A BERT tells spam from messages that were meant.",
        model=_BERT,
        data=_pieces("sms-spam", 4000),
        train=replace(_ADAM, learning_rate=1e-3),
        task=ClassificationConfig(pooling="mean", token_dropout=0.1, class_weights="balanced"),
    ),
    "bert-sst": Recipe(
        description="A BERT says how much a film was liked, from 0 to 4.",
        model=_BERT,
        data=_words("sst-fine"),
        train=replace(_ADAM, learning_rate=1e-3),
        task=RegressionConfig(pooling="mean", dropout=0.5, token_dropout=0.2),
    ),
    # === Words and passages, what is in them ===
    "bert-wnut": Recipe(
        description="A BERT finds the names in messages, many of which it has never seen.",
        model=_BERT,
        data=_pairs("wnut17", 6000),
        train=_ADAM,
        task=TaggingConfig(dropout=0.3, token_dropout=0.2),
    ),
    "tagger-conll": Recipe(
        description="One block finds the names in the news of CoNLL 2003, as Keras's example does.",
        model=BERTConfig(
            context_length=128, num_layers=1, num_heads=4, width=32, feed_forward_width=64
        ),
        data=DataConfig(name="conll-2003", tokenizer="whitespace", vocab_size=20_000),
        train=replace(_ADAM, steps=None, epochs=10, learning_rate=1e-3),
        task=TaggingConfig(),
    ),
    "bert-squad": Recipe(
        description="A BERT points to the answers in SQuAD 1.1.",
        model=BERTConfig(context_length=192, num_layers=4, num_heads=4, width=128),
        data=_pieces("squad-1.1", 16_000),
        train=replace(_ADAM, steps=None, epochs=3, learning_rate=5e-4, validate_every=500),
        task=QuestionAnsweringConfig(stride=96),
    ),
    # === One text into another ===
    "transformer-spa": Recipe(
        description="A Transformer translates sentences from English into Spanish.",
        model=replace(_TRANSFORMER, width=192, feed_forward_width=384, tie_embeddings=False),
        data=_pairs("anki-spa-eng", 6000),
        train=_TRANSLATE,
        task=TranslationConfig(),
    ),
    "lstm-spa": Recipe(
        description="An LSTM with attention translates sentences from English into Spanish.",
        model=RNNSeq2SeqConfig(context_length=48, width=256),
        data=_pairs("anki-spa-eng", 6000),
        train=_TRANSLATE,
        task=TranslationConfig(),
    ),
    "transformer-cmn": Recipe(
        description="A Transformer translates sentences from English into Chinese.",
        model=replace(_TRANSFORMER, dropout=0.2, zero_init_residual=True),
        data=_pairs("anki-cmn-eng", 6000),
        train=replace(_TRANSLATE, minutes=5),
        task=TranslationConfig(),
    ),
    "transformer-multi30k": Recipe(
        description="A Transformer translates captions from English into German (Wu et al. 2021).",
        model=TransformerConfig(
            context_length=96,
            num_layers=4,
            num_heads=4,
            width=128,
            feed_forward_width=256,
            dropout=0.3,
        ),
        data=_pairs("multi30k-tokenised", 10_000),
        train=replace(
            _ADAM,
            steps=None,
            epochs=60,
            batch_size=128,
            learning_rate=5e-3,
            schedule="inverse-root",
            beta_2=0.98,
            label_smoothing=0.1,
            validate_every=500,
        ),
        task=TranslationConfig(beams=5),
    ),
    "transformer-dialogsum": Recipe(
        description="A Transformer sums up conversations.",
        model=TransformerConfig(context_length=256, num_layers=2, num_heads=4, width=192),
        data=_pairs("dialogsum", 8000),
        train=replace(_TRANSLATE, minutes=None, epochs=20, batch_size=32),
        task=SummarizationConfig(beams=4),
    ),
    "transformer-babi": Recipe(
        description="A Transformer books restaurants (bAbI dialog, task 1).",
        model=TransformerConfig(
            context_length=256, num_layers=2, num_heads=4, width=128, norm_first=True
        ),
        data=DataConfig(name="dialog-babi-1", tokenizer="whitespace", vocab_size=4000),
        train=replace(
            _ADAM,
            steps=None,
            minutes=3,
            optimizer="muon",
            learning_rate=5e-3,
            adam_learning_rate=1.0,
            clip_norm=0.0,
            validate_every=250,
            validation_tokens=10_000,
        ),
        task=DialogueConfig(),
    ),
    "seq2seq-chitchat": Recipe(
        description="An LSTM with attention makes conversation.",
        model=RNNSeq2SeqConfig(context_length=64, width=256, dropout=0.1),
        data=_pairs("chitchat", 8000),
        train=replace(_TRANSLATE, label_smoothing=0.0),
        task=DialogueConfig(),
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
    # === Pre-training, for --init ===
    "bert-chitchat": Recipe(
        description="A BERT fills in hidden words of conversations: pre-training, ten CPU minutes.",
        # Half the positions: their neighbourhoods are the first thing that it has to learn.
        model=replace(_BERT, context_length=32, dropout=0.0),
        data=_pieces("chitchat"),
        train=replace(
            _TRANSLATE, minutes=10, batch_size=48, label_smoothing=0.0, validate_every=2000
        ),
        task=MaskedLanguageModelingConfig(mask_share=0.3, sentences="none"),
    ),
}
