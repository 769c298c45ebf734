"""Which model belongs to which configuration; importing this makes all of them loadable."""

from .bert import BERT
from .bidirectional import RNNEncoder
from .configs import (
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
from .gpt import GPT
from .hmm import HMM
from .language_model import LanguageModel
from .llama import Llama
from .ngram import NGram
from .rnn import RNN
from .rnn_seq2seq import RNNSeq2Seq
from .transformer import Transformer

Model = LanguageModel | NGram | BERT | RNNEncoder
"""Any model."""

FAMILIES: dict[type[ModelConfig], type[Model]] = {
    NGramConfig: NGram,
    HMMConfig: HMM,
    RNNConfig: RNN,
    GPTConfig: GPT,
    LlamaConfig: Llama,
    RNNEncoderConfig: RNNEncoder,
    BERTConfig: BERT,
    TransformerConfig: Transformer,
    RNNSeq2SeqConfig: RNNSeq2Seq,
}


def build(config: ModelConfig, dtype: str = "float32") -> Model:
    """Return a new model, with random weights or nothing counted.

    Args:
        config: the hyperparameters, with `vocab_size` set.
        dtype: a Keras dtype policy: "float32", "mixed_bfloat16", "mixed_float16"; it makes no
            difference to a model that counts.
    """
    family = FAMILIES[type(config)]
    if family is NGram:
        return NGram(config)
    return family(config, dtype=dtype)
