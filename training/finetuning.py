"""Fine-tuning: what of a pretrained model learns on, and how fast.

    freezing        the lowest parts stay as they are
    layer decay     part n of N has the learning rate  rate * decay^(N - n)
                    (Howard & Ruder 2018, section 3.2; Clark et al. 2020, appendix A.2)
    LoRA            x W  becomes  x (W + A B), and only A (D, r) and B (r, D) learn
                    (Hu et al. 2022, section 4.1; the layers are Keras's own)

A part is the embeddings, a block, a recurrent layer; what is above the last block, the head among
it, is the last part.
"""

import keras
from keras import ops

from ..errors import InputError
from .config import TrainConfig


def backbone(model: keras.Model) -> keras.Model:
    """Return what a model with a head has below it; a model without one is its own backbone."""
    return getattr(model, "backbone", model)


def parts(model: keras.Model) -> list[list[keras.Variable]]:
    """Return the weights of a model's parts, from the bottom; each weight is in one of them.

    The embeddings come first, then block after block, for an encoder-decoder those of the encoder
    first. The last part is all the rest: the last normalisation, an output matrix that is not the
    token embedding, the head. It is left out if there is nothing in it.
    """
    result, seen = [], set()
    for layers in backbone(model).parts():
        below = [weight for layer in layers for weight in layer.weights]
        part = [weight for weight in below if weight.name != "reverse_embeddings"]
        seen.update(map(id, part))
        result.append(part)
    rest = [weight for weight in model.weights if id(weight) not in seen]
    return [*result, rest] if rest else result


def prepare(model: keras.Model, config: TrainConfig, new_tokens: bool = False) -> None:
    """Freeze what `config` wants frozen, or let it learn by LoRA; before an optimizer is made.

    Args:
        model: a model of the zoo, with or without a head.
        config: `frozen`, `layer_decay` and `lora_rank` are used.
        new_tokens: whether the model has tokens that the pretrained one had not. If so, a model
            that writes also trains its embeddings and its output matrix; otherwise it could never
            write the new tokens.

    Raises:
        InputError: if the model has not the parts for it.
    """
    options = {
        "--train.frozen": config.frozen,
        "--train.layer-decay": config.layer_decay != 1 and config.layer_decay,
        "--train.lora-rank": config.lora_rank,
    }
    wanted = next((f"{name} {value}" for name, value in options.items() if value), None)
    if wanted is None:
        return
    if not isinstance(model, keras.Model) or not backbone(model).parts():
        raise InputError(
            f"{wanted} needs a model with layers, which {type(backbone(model)).__name__} is not; "
            "leave it out."
        )
    if config.frozen:
        _freeze(model, config.frozen)
    if config.lora_rank:
        _enable_lora(model, config.lora_rank)
    if new_tokens and backbone(model) is model:
        for weight in model.token_embedding.weights:
            weight.trainable = True


def _freeze(model: keras.Model, number: int) -> None:
    if number == -1:
        if backbone(model) is model:
            raise InputError(
                "--train.frozen -1 lets only the head learn, and this model has none; give the "
                "number of parts that are to stay as they are."
            )
        frozen = [backbone(model).weights]
    else:
        frozen, learning = parts(model)[:number], parts(model)[number:]
        if not learning:
            raise InputError(
                f"--train.frozen is {number} and the model has {len(frozen)} parts, of which one "
                f"must learn; give at most {len(frozen) - 1}."
            )
    for weight in (weight for part in frozen for weight in part):
        weight.trainable = False


def _enable_lora(model: keras.Model, rank: int) -> None:
    kinds = (keras.layers.Dense, keras.layers.EinsumDense)
    layers = [layer for layer in _sublayers(backbone(model)) if isinstance(layer, kinds)]
    layers = [layer for layer in layers if layer.trainable_weights]  # not those without a use
    if not layers:
        raise InputError(
            f"--train.lora-rank {rank} needs linear layers, of which "
            f"{type(backbone(model)).__name__} has none; use --train.frozen or --train.layer-decay."
        )
    for weight in backbone(model).weights:
        weight.trainable = False
    for layer in layers:
        layer.enable_lora(rank)


def learning_rate_shares(model: keras.Model, config: TrainConfig) -> list[float]:
    """Return what the learning rate of each trainable variable is multiplied by.

    Args:
        model: a model for which `prepare` has been called.
        config: `layer_decay` is used.

    Returns:
        As many numbers as the model has trainable variables, in their order.
    """
    if config.layer_decay == 1:
        return [1.0] * len(model.trainable_variables)
    shares = {}
    for height, part in enumerate(reversed(parts(model))):
        shares.update({id(weight): config.layer_decay**height for weight in part})
    return [shares[id(variable)] for variable in model.trainable_variables]


# === LoRA's weights ===


def lora_weights(model: keras.Model) -> list[keras.Variable]:
    """Return the weights of the layers that learn by LoRA: W, the bias if any, A, B of each.

    Where Keras saves such a layer it saves W + A B, from which no training can go on.
    """
    return [weight for layer in _lora_layers(model) for weight in layer.weights]


def merged(model: keras.Model) -> keras.Model:
    """Return a new model without LoRA and with the same outputs: W + A B in the place of W."""
    changes = {}
    for layer in _lora_layers(model):
        a, b = map(ops.convert_to_numpy, (layer.lora_kernel_a, layer.lora_kernel_b))
        (kernel,) = (weight for weight in layer.weights if weight.name == "kernel")
        changes[id(kernel)] = layer.lora_alpha / layer.lora_rank * (a @ b)
    copy = type(model).from_config(model.get_config())
    copy.set_weights(
        [
            ops.convert_to_numpy(weight) + changes.get(id(weight), 0)
            for weight in model.weights
            if weight.name not in ("lora_kernel_a", "lora_kernel_b")
        ]
    )
    return copy


def _lora_layers(model: keras.Model) -> list[keras.Layer]:
    return [layer for layer in _sublayers(model) if getattr(layer, "lora_enabled", False)]


def _sublayers(model: keras.Model) -> list[keras.Layer]:
    """Return all layers of a model, however deep."""
    return model._flatten_layers(include_self=False)
