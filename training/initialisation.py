"""Beginning from a pretrained model instead of random weights (Dai & Le 2015; Devlin et al. 2019).

Everything below the head is taken over. Two things may differ between the models: the new one may
have more tokens, which stand after the others, and begin as the mean of them beside their own
random numbers; and it may have fewer learned positions, the first of those that there are.

Shapes: T positions, D width, V vocabulary.
"""

from dataclasses import asdict
from typing import Any

import keras
import numpy as np
from keras import ops

from ..errors import InputError
from .finetuning import backbone

_FREE = frozenset({"vocab_size", "context_length", "dropout", "initial_scale", "from_equations"})
"""Hyperparameters that do not say what the weights mean; the first two are looked at apart."""


def initialise(
    model: keras.Model, pretrained: keras.Model, name: str, same_labels: bool = True
) -> None:
    """Give a new model the weights of a pretrained one, with or without a head.

    The head's weights stay random, unless both models have the same kind of head for the same
    labels, with the same weights by name and shape: then that is taken over, too.

    Args:
        model: the new model; of it, only the weights change.
        pretrained: the other, without LoRA.
        name: what the other is called in error messages, such as `runs/bert-shakespeare`.
        same_labels: whether the outputs of a head mean the same.

    Raises:
        InputError: if the models differ in more than their vocabulary, their head, how long a text
            they look at and how they are trained.
    """
    new, old = backbone(model), backbone(pretrained)
    _check(new, old, name)
    for weight, source in zip(new.weights, old.weights, strict=True):
        _take_over(weight, source)
    if same_labels and type(model) is type(pretrained):
        weights, sources = _head_weights(model), _head_weights(pretrained)
        if list(map(_name_and_shape, weights)) == list(map(_name_and_shape, sources)):
            for weight, source in zip(weights, sources, strict=True):
                weight.assign(source)


def _check(new: keras.Model, old: keras.Model, name: str) -> None:
    """Refuse models whose weights do not mean the same."""
    kinds = [type(model).__name__ for model in (old, new)]
    for model, kind in zip((old, new), kinds, strict=True):
        if not isinstance(model, keras.Model):
            raise InputError(
                f"a model that counts ({kind}) has no weights to begin from or with; choose a run "
                "and a recipe of a neural model."
            )
    if kinds[0] != kinds[1]:
        raise InputError(
            f"the run {name} is of a {kinds[0]}, this recipe of a {kinds[1]}; choose a run and a "
            "recipe of the same kind of model."
        )
    theirs, ours = asdict(old.config), asdict(new.config)
    for field in (field for field in ours if field not in _FREE):
        if ours[field] != theirs[field]:
            raise _differs(name, field, theirs[field], ours[field])
    if ours["vocab_size"] < theirs["vocab_size"]:
        raise InputError(
            f"the run {name} has {theirs['vocab_size']:,} tokens, this recipe only "
            f"{ours['vocab_size']:,}; use the tokenizer of the run."
        )
    learned = getattr(new, "position_embedding", None) is not None
    if learned and ours["context_length"] > theirs["context_length"]:
        raise InputError(
            f"the run {name} has learnt {theirs['context_length']} positions, and this recipe "
            f"wants {ours['context_length']}; give --model.context-length "
            f"{theirs['context_length']} or less."
        )


def _differs(name: str, field: str, theirs: Any, ours: Any) -> InputError:
    option = f"--model.{field.replace('_', '-')}"
    wanted = f"{option} {theirs}"
    if isinstance(theirs, bool):
        wanted = option if theirs else f"--model.no-{field.replace('_', '-')}"
    return InputError(
        f"the run {name} has {option} {theirs}, this recipe {ours}; give {wanted}, or pretrain a "
        "model like this one."
    )


def _take_over(weight: keras.Variable, source: keras.Variable) -> None:
    """Take over (V, D), (D, V), (V,) or (T, D); add the mean to the rows that are new."""
    own, values = ops.convert_to_numpy(weight), ops.convert_to_numpy(source)
    for axis, (length, there) in enumerate(zip(weight.shape, source.shape, strict=True)):
        if length <= there:
            values = np.take(values, np.arange(length), axis)
        else:
            new = np.take(own, np.arange(there, length), axis) + values.mean(axis, keepdims=True)
            values = np.concatenate([values, new], axis)
    weight.assign(values)


def _head_weights(model: keras.Model) -> list[keras.Variable]:
    below = set(map(id, backbone(model).weights))
    return [weight for weight in model.weights if id(weight) not in below]


def _name_and_shape(weight: keras.Variable) -> tuple[str, tuple[int, ...]]:
    return weight.name, tuple(weight.shape)
