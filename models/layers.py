"""What layers share: which positions are tokens, normalisation and feed-forward networks.

    FFN(x) = activation(x W_1 + b_1) W_2 + b_2              (Vaswani et al. 2017, equation 2)

Shapes: B batch, T positions, D model width, F feed-forward width.
"""

import keras
from keras import ops

Tensor = keras.KerasTensor

ACTIVATIONS = {
    "gelu": lambda x: ops.gelu(x, approximate=False),
    "gelu_tanh": lambda x: ops.gelu(x, approximate=True),
    "relu": ops.relu,
    "relu_squared": lambda x: ops.square(ops.relu(x)),
}


def make_norm(
    kind: str, use_bias: bool, dtype: keras.DTypePolicy, name: str, epsilon: float | None = None
) -> keras.Layer:
    """Return layer normalisation or RMSNorm over the last axis.

    Args:
        kind: "layer" or "rms".
        use_bias: whether layer normalisation has a bias.
        dtype: the dtype policy.
        name: the layer's name.
        epsilon: added before the root; None: 1e-5 for layer normalisation, 1e-6 for RMSNorm.
    """
    options = {"dtype": dtype, "name": name}
    if kind == "rms":
        return keras.layers.RMSNormalization(epsilon=epsilon or 1e-6, **options)
    return keras.layers.LayerNormalization(epsilon=epsilon or 1e-5, center=use_bias, **options)


def own(initializer: keras.Initializer | str) -> keras.Initializer:
    """Return the initializer with random numbers of its own; one object always draws the same."""
    return keras.initializers.get(initializer).clone()


def with_a_token(padding_mask: Tensor) -> Tensor:
    """Return which positions are tokens, (B, T) bool: of a text without any, the first.

    Such a text has no mean, cuDNN refuses it, and attention to it would be to all of its padding,
    of which there is more in one batch than in another.
    """
    first = ops.arange(ops.shape(padding_mask)[1]) == 0
    return ops.logical_or(ops.cast(padding_mask, "bool"), first)


class FeedForward(keras.Layer):
    """Two linear layers with a non-linearity between them, at each position alone.

        FFN(x) = activation(x W_1 + b_1) W_2 + b_2        (Vaswani et al. 2017, equation 2)

    Args:
        width: width inside, F.
        activation: a key of `ACTIVATIONS`.
        use_bias: whether the linear layers have biases.
        initializer: for the first kernel.
        output_initializer: for the second.
    """

    def __init__(
        self,
        width: int,
        activation: str = "gelu_tanh",
        use_bias: bool = True,
        initializer: keras.Initializer | str = "glorot_uniform",
        output_initializer: keras.Initializer | str = "glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.activation = ACTIVATIONS[activation]
        self.use_bias, self.output_initializer = use_bias, output_initializer
        self.inner = keras.layers.Dense(
            width,
            use_bias=use_bias,
            kernel_initializer=own(initializer),
            dtype=self.dtype_policy,
            name="inner",
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the output layer, as wide as the input."""
        self.output_dense = keras.layers.Dense(
            input_shape[-1],
            use_bias=self.use_bias,
            kernel_initializer=own(self.output_initializer),
            dtype=self.dtype_policy,
            name="output",
        )
        self.inner.build(input_shape)
        self.output_dense.build((*input_shape[:-1], self.inner.units))

    def call(self, x: Tensor) -> Tensor:
        """Map (B, T, D) to (B, T, D)."""
        return self.output_dense(self.activation(self.inner(x)))  # (B, T, F) inside


class GatedFeedForward(keras.Layer):
    """A feed-forward network in which one linear layer opens and shuts another (SwiGLU).

        FFN(x) = (swish(x W) * x V) W_2,   swish(x) = x sigmoid(x)    (Shazeer 2020, equation 6)

    Args:
        width: width inside, F.
        initializer: for the kernels of gate and inner layer, W and V.
        output_initializer: for the kernel of the output layer, W_2.
    """

    def __init__(
        self,
        width: int,
        initializer: keras.Initializer | str = "glorot_uniform",
        output_initializer: keras.Initializer | str = "glorot_uniform",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.output_initializer = output_initializer
        self.gate, self.inner = (
            keras.layers.Dense(
                width,
                use_bias=False,
                kernel_initializer=own(initializer),
                dtype=self.dtype_policy,
                name=name,
            )
            for name in ("gate", "inner")
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Make the output layer, as wide as the input."""
        self.output_dense = keras.layers.Dense(
            input_shape[-1],
            use_bias=False,
            kernel_initializer=own(self.output_initializer),
            dtype=self.dtype_policy,
            name="output",
        )
        self.gate.build(input_shape)
        self.inner.build(input_shape)
        self.output_dense.build((*input_shape[:-1], self.inner.units))

    def call(self, x: Tensor) -> Tensor:
        """Map (B, T, D) to (B, T, D)."""
        return self.output_dense(ops.silu(self.gate(x)) * self.inner(x))  # (B, T, F) inside
