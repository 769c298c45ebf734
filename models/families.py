"""Which model belongs to which configuration; importing this makes all of them loadable."""

from .configs import GPTConfig, LlamaConfig, ModelConfig, RNNConfig
from .gpt import GPT
from .language_model import LanguageModel
from .llama import Llama
from .rnn import RNN

FAMILIES: dict[type[ModelConfig], type[LanguageModel]] = {
    GPTConfig: GPT,
    LlamaConfig: Llama,
    RNNConfig: RNN,
}


def build(config: ModelConfig, dtype: str = "float32") -> LanguageModel:
    """Return a new model with random weights.

    Args:
        config: the hyperparameters, with `vocab_size` set.
        dtype: a Keras dtype policy: "float32", "mixed_bfloat16", "mixed_float16".
    """
    return FAMILIES[type(config)](config, dtype=dtype)
