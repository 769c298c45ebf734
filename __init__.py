"""kerazoo: language models from n-grams to GPT under one contract, on Keras 3.

    >>> import kerazoo
    >>> run = kerazoo.load("runs/gpt-shakespeare")  # doctest: +SKIP
    >>> print(run.generate("ROMEO:"))  # doctest: +SKIP

TensorFlow starts when it is first needed, not here.
"""

import importlib
from typing import TYPE_CHECKING, Any

from .startup import prepare_tensorflow

if TYPE_CHECKING:
    from .runs import Run, load, load_model

__version__ = "0.1.0"
__all__ = ["Run", "__version__", "load", "load_model"]

prepare_tensorflow()


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module(".runs", __name__), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
