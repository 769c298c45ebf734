"""Recurrent language models: LSTM, GRU and the plain recurrent network (Mikolov et al. 2010).

    s_t = cell(x_t, s_{t-1})                    x_t: the embedding of token t, or the layer below
    P(token after t) = softmax(h_t W)           s_t = h_t, or of an LSTM (h_t, c_t)

The states s_t of the layers are all that the model knows of the tokens before; they have no end,
unlike the context of a Transformer. (In training each window begins with states of zero, so that
nothing is learnt from further back than its length, unless the state is carried on.) The sequence
is worked through by Keras's recurrent layers on a GPU, where they run on cuDNN, and by `recurrence`
on a CPU, where that is two to three times as fast. The cells are also written out below from their
equations: `from_equations` runs those. Weights and results are the same in all three.

`CarriedState` trains such a model on windows that follow one another in the text, each from the
state in which the one before ended (Zaremba et al. 2014).

Shapes: B batch, T positions, D width, V vocabulary, N layers.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import keras
from keras import ops

from .configs import RNNConfig
from .language_model import Cache, LanguageModel, Tensor
from .recurrence import KERAS_LAYERS, has_gpu, run_layer


def _uniform(scale: float) -> keras.Initializer | None:
    """Return a new initializer, uniform between minus and plus `scale`; None for 0."""
    return keras.initializers.RandomUniform(-scale, scale) if scale else None


# === The cells, from their equations ===


class _Cell(keras.Layer):
    """A cell with weights laid out as in Keras's cells: the gates' matrices side by side.

    Args:
        units: width of the state, D.
        initial_scale: all weights begin uniformly between minus and plus this; 0: as in Keras.
    """

    gates: ClassVar[tuple[str, ...]]
    state_names: ClassVar[tuple[str, ...]] = ("h",)
    bias_rows = 1
    """How many biases a gate has."""

    def __init__(self, units: int, initial_scale: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        self.initial_scale = initial_scale
        self.units = self.output_size = units
        self.state_size = [units] * len(self.state_names)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create W (input to gates), U (state to gates) and b."""
        width = len(self.gates) * self.units
        bias_shape = (width,) if self.bias_rows == 1 else (self.bias_rows, width)
        scale = self.initial_scale
        self.kernel = self.add_weight(
            shape=(input_shape[-1], width), initializer=_uniform(scale), name="kernel"
        )
        self.recurrent_kernel = self.add_weight(
            shape=(self.units, width),
            initializer=_uniform(scale) or "orthogonal",
            name="recurrent_kernel",
        )
        self.bias = self.add_weight(
            shape=bias_shape, initializer=_uniform(scale) or self.initial_bias, name="bias"
        )

    def initial_bias(self, shape: tuple[int, ...], dtype: str | None = None) -> Tensor:
        """Return the bias to begin training with."""
        return ops.zeros(shape, dtype)

    def weights_by_gate(self) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
        """Return W, U and b as one entry for each gate."""
        number = len(self.gates)
        parts = (
            ops.split(ops.cast(weight, self.compute_dtype), number, axis=-1)
            for weight in (self.kernel, self.recurrent_kernel, self.bias)
        )
        return tuple(dict(zip(self.gates, part, strict=True)) for part in parts)

    def call(self, x: Tensor, states: list[Tensor], training: bool = False) -> tuple:
        """Take one step: x (B, D) and the states, each (B, D), to h' and the new states."""
        values = self.activations(x, states)
        return values["h"], [values[name] for name in self.state_names]

    def activations(self, x: Tensor, states: list[Tensor]) -> dict[str, Tensor]:
        """Return all that one step computes, by its name in the equations, each (B, D)."""
        raise NotImplementedError


class SimpleCell(_Cell):
    """The plain recurrent cell (Elman 1990): h' = tanh(x W + h U + b)."""

    gates = ("h",)

    def activations(self, x: Tensor, states: list[Tensor]) -> dict[str, Tensor]:
        """Take one step: x (B, D) and [h], (B, D), to h'."""
        (h,) = states
        w, u, b = self.weights_by_gate()
        return {"h": ops.tanh(x @ w["h"] + h @ u["h"] + b["h"])}


class LSTMCell(_Cell):
    """Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000).

    The cell state c is changed by adding, not by multiplying with a matrix, so that what it holds
    and the gradient through it can last.
    """

    gates = ("i", "f", "c", "o")
    state_names = ("h", "c")

    def initial_bias(self, shape: tuple[int, ...], dtype: str | None = None) -> Tensor:
        """Return 1 for the forget gate, so that the cell begins by keeping (Jozefowicz 2015)."""
        return ops.repeat(ops.convert_to_tensor([0.0, 1.0, 0.0, 0.0], dtype), self.units)

    def activations(self, x: Tensor, states: list[Tensor]) -> dict[str, Tensor]:
        """Take one step: x (B, D) and [h, c], each (B, D), to the gates, c' and h'."""
        h, c = states
        w, u, b = self.weights_by_gate()
        i = ops.sigmoid(x @ w["i"] + h @ u["i"] + b["i"])  # input gate: how much to write
        f = ops.sigmoid(x @ w["f"] + h @ u["f"] + b["f"])  # forget gate: how much to keep
        o = ops.sigmoid(x @ w["o"] + h @ u["o"] + b["o"])  # output gate: how much to show
        candidate = ops.tanh(x @ w["c"] + h @ u["c"] + b["c"])  # what to write, from -1 to 1
        c = f * c + i * candidate
        h = o * ops.tanh(c)
        return {"i": i, "f": f, "o": o, "candidate": candidate, "c": c, "h": h}


class GRUCell(_Cell):
    """Gated recurrent unit (Cho et al. 2014), with the reset gate after the matrix product."""

    gates = ("z", "r", "h")
    bias_rows = 2  # one added to x W, one to h U

    def activations(self, x: Tensor, states: list[Tensor]) -> dict[str, Tensor]:
        """Take one step: x (B, D) and [h], (B, D), to the gates and h'."""
        (h,) = states
        w, u, b = self.weights_by_gate()
        z = ops.sigmoid(x @ w["z"] + b["z"][0] + h @ u["z"] + b["z"][1])  # update gate
        r = ops.sigmoid(x @ w["r"] + b["r"][0] + h @ u["r"] + b["r"][1])  # reset gate
        candidate = ops.tanh(x @ w["h"] + b["h"][0] + r * (h @ u["h"] + b["h"][1]))
        h = z * h + (1 - z) * candidate
        return {"z": z, "r": r, "candidate": candidate, "h": h}


EQUATION_CELLS = {"lstm": LSTMCell, "gru": GRUCell, "simple": SimpleCell}

# === The model ===


@keras.saving.register_keras_serializable(package="kerazoo")
class RNN(LanguageModel):
    """A recurrent language model: ids (B, T) to logits (B, T, V).

    Args:
        config: the hyperparameters, with `vocab_size` set.

    Example:
        >>> from kerazoo.models.configs import RNNConfig
        >>> model = RNN(RNNConfig(vocab_size=65, cell="gru", width=32))
        >>> model(keras.ops.zeros((1, 8), dtype="int32")).shape
        TensorShape([1, 8, 65])
    """

    config_class = RNNConfig

    def __init__(self, config: RNNConfig, **kwargs):
        super().__init__(config, **kwargs)
        # cuDNN has no plain cell.
        self.by_keras = config.from_equations or (config.cell != "simple" and has_gpu())
        self.token_embedding = keras.layers.ReversibleEmbedding(
            config.vocab_size,
            config.width,
            tie_weights=config.tie_embeddings,
            embeddings_initializer=_uniform(config.initial_scale) or "uniform",
            dtype=self.dtype_policy,
            name="token_embedding",
        )
        if config.output_bias:
            self.output_bias = self.add_weight(
                shape=(config.vocab_size,),
                initializer=_uniform(config.initial_scale) or "zeros",
                autocast=False,
                name="output_bias",
            )
        self.dropout = keras.layers.Dropout(config.dropout, dtype=self.dtype_policy)
        self.recurrent_layers = [self._make_layer(f"layer_{n}") for n in range(config.num_layers)]
        for layer in self.recurrent_layers:
            layer.build((None, None, config.width))
        self.build()

    def _make_layer(self, name: str) -> keras.layers.RNN:
        config = self.config
        options = {
            "return_sequences": True,
            "return_state": True,
            "dtype": self.dtype_policy,
            "name": name,
        }
        if config.from_equations:
            cell = EQUATION_CELLS[config.cell](
                config.width, config.initial_scale, dtype=self.dtype_policy, name="cell"
            )
            return keras.layers.RNN(cell, **options)
        if config.initial_scale:
            for part in ("kernel", "recurrent", "bias"):
                options[f"{part}_initializer"] = _uniform(config.initial_scale)
            if config.cell == "lstm":
                options["unit_forget_bias"] = False
        return KERAS_LAYERS[config.cell](config.width, **options)

    def hidden_states(
        self,
        token_ids: Tensor,
        cache: Cache = None,
        index: int | Tensor = 0,
        training: bool = False,
    ) -> tuple[Tensor, Cache]:
        """Return the last layer's states, (B, T, D), and each layer's state after the last token.

        The position `index` makes no difference to a recurrent model.
        """
        x = self.dropout(self.token_embedding(token_ids), training=training)  # (B, T, D)
        states = []
        begin = self.initial_cache(ops.shape(token_ids)[0], 0) if cache is None else cache
        for layer, state in zip(self.recurrent_layers, begin, strict=True):
            x, state = run_layer(self.config.cell, layer, x, state, by_keras=self.by_keras)
            x = self.dropout(x, training=training)
            states.append(state)
        return x, None if cache is None else tuple(states)

    @property
    def prefers_xla(self) -> bool:
        """Whether XLA makes it faster: `recurrence`, but neither cuDNN nor Keras's loop."""
        return not self.by_keras

    def logits(self, hidden_states: Tensor) -> Tensor:
        """Map states (..., D) to logits (..., V) float32, with the bias if there is one."""
        logits = super().logits(hidden_states)
        return logits + self.output_bias if self.config.output_bias else logits

    def parts(self) -> list[list[keras.Layer]]:
        """Return the embedding, then one recurrent layer after the other."""
        return [[self.token_embedding], *([layer] for layer in self.recurrent_layers)]

    def initial_cache(self, batch_size: int, length: int) -> Cache:
        """Return zero states: for each layer (h,) or, for the LSTM, (h, c), each (B, D)."""
        zeros = ops.zeros((batch_size, self.config.width), self.compute_dtype)
        return tuple(
            (zeros,) * len(EQUATION_CELLS[self.config.cell].state_names)
            for _ in self.recurrent_layers
        )

    @property
    def max_length(self) -> None:
        """None: the state stays the same size, however long the text."""
        return None


# === Training on windows that follow one another ===


@keras.saving.register_keras_serializable(package="kerazoo")
class CarriedState(keras.Model):
    """A recurrent model in training, which goes on from where the window before ended.

        cache before window k = cache after window k - 1, as a number

    so the states reach back as far as the text does, the gradients to the beginning of the window
    (truncated backpropagation through time: Williams & Peng 1990; Zaremba et al. 2014, section 4).
    The states are variables, so that they are saved with the weights.

    Args:
        model: the model to train; its `max_length` is None.
        batch_size: streams of text that are read side by side, B.
    """

    def __init__(self, model: LanguageModel, batch_size: int, **kwargs):
        super().__init__(**kwargs)
        self.model, self.batch_size = model, batch_size
        self.states = [
            self.add_weight(
                shape=tensor.shape,
                initializer="zeros",
                dtype=tensor.dtype,
                trainable=False,
                autocast=False,
                name=f"state_{n}",
            )
            for n, tensor in enumerate(keras.tree.flatten(model.initial_cache(batch_size, 0)))
        ]
        self.built = True

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor:
        """Map windows to logits (B, T, V), and in training remember the states after them.

        Args:
            inputs: `token_ids` (B, T) int32, and `goes_on` (B,) bool: whether a row goes on where
                the one before it ended, or begins anew.
            training: whether dropout is on and the states are kept.
        """
        initial = self.model.initial_cache(self.batch_size, 0)
        goes_on = ops.cast(inputs["goes_on"], "bool")

        def state_before(carried: Tensor, initial: Tensor) -> Tensor:  # (B, ...)
            mask = ops.reshape(goes_on, (-1,) + (1,) * (len(initial.shape) - 1))
            return ops.where(mask, ops.stop_gradient(carried), initial)

        before = keras.tree.pack_sequence_as(
            initial, list(map(state_before, self.states, keras.tree.flatten(initial)))
        )
        hidden_states, after = self.model.hidden_states(
            inputs["token_ids"], before, training=training
        )
        if training:
            for variable, state in zip(self.states, keras.tree.flatten(after), strict=True):
                variable.assign(state)
        return self.model.logits(hidden_states)

    def get_config(self) -> dict[str, Any]:
        """Return what rebuilds it: the model and the batch size."""
        model = keras.saving.serialize_keras_object(self.model)
        return {**super().get_config(), "model": model, "batch_size": self.batch_size}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> "CarriedState":
        """Rebuild it from what `get_config` returned."""
        return cls(**{**config, "model": keras.saving.deserialize_keras_object(config["model"])})
