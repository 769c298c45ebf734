"""Recurrent layers on a CPU: the loop over time, and back through it by hand.

    h_t = cell(x_t W + b, h_{t-1} U)                                 forward, t = 1 ... T
    dL/dz_t = (dL/dh_t) (dh_t/dz_t)                                  backward, t = T ... 1
    dL/dh_{t-1} = dL/dz_t U^T + what the cell passes on directly

Backpropagation through time (Werbos 1990; Hochreiter & Schmidhuber 1997 for the LSTM). Only what
truly depends on the step before is inside the loop: the product with U. The products with W, and
the gradients of all weights, are one large product each, over all positions at once. Automatic
differentiation of the plain loop gives the same numbers in about three times the time.

The gates have the order of Keras's layers, whose weights these functions take.

Shapes: B batch, T positions, D width, G gates side by side (4 for the LSTM, 3 for the GRU, 1 for
the plain cell).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
from keras import ops

Tensor = keras.KerasTensor
State = tuple[Tensor, ...]
"""What goes from step to step, each (B, D): (h, c) for the LSTM, (h,) for the others."""


@dataclass(frozen=True)
class Cell:
    """A cell as a pair of functions.

    Args:
        num_states: how many tensors a state has.
        num_kept: how much the way back needs of a step, in widths of the state.
        forward: takes x W + b and h U, both (B, G D), and the state; returns the new state and what
            the way back needs, (B, num_kept D).
        backward: takes what `forward` kept, the state before the step, the state after it, and the
            gradient of the latter; returns the gradients of x W + b and of h U, both (B, G D), and
            of the state before, without what comes through h U.
    """

    num_states: int
    num_kept: int
    forward: Callable[[Tensor, Tensor, State], tuple[State, Tensor]]
    backward: Callable[[Tensor, State, State, State], tuple[Tensor, Tensor, State]]


# === Plain recurrent cell: h' = tanh(z) ===


def _simple_forward(xw: Tensor, hu: Tensor, state: State) -> tuple[State, Tensor]:
    h = ops.tanh(xw + hu)
    return (h,), h


def _simple_backward(kept: Tensor, before: State, after: State, d_after: State) -> tuple:
    dz = d_after[0] * (1 - kept * kept)
    return dz, dz, (ops.zeros_like(dz),)


# === LSTM: c' = f c + i g,  h' = o tanh(c') ===


def _lstm_forward(xw: Tensor, hu: Tensor, state: State) -> tuple[State, Tensor]:
    _, c = state
    i, f, g, o = ops.split(xw + hu, 4, axis=-1)
    i, f, g, o = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(g), ops.sigmoid(o)
    c = f * c + i * g
    return (o * ops.tanh(c), c), ops.concatenate([i, f, g, o], axis=-1)


def _lstm_backward(kept: Tensor, before: State, after: State, d_after: State) -> tuple:
    i, f, g, o = ops.split(kept, 4, axis=-1)
    (_, c_before), (_, c), (dh, dc) = before, after, d_after
    tanh_c = ops.tanh(c)
    dc = dc + dh * o * (1 - tanh_c * tanh_c)
    dz = ops.concatenate(
        [
            dc * g * i * (1 - i),
            dc * c_before * f * (1 - f),
            dc * i * (1 - g * g),
            dh * tanh_c * o * (1 - o),
        ],
        axis=-1,
    )
    return dz, dz, (ops.zeros_like(dh), dc * f)


# === GRU: h' = z h + (1 - z) g,  g = tanh(x W_g + r (h U_g)) ===


def _gru_forward(xw: Tensor, hu: Tensor, state: State) -> tuple[State, Tensor]:
    (h,) = state
    (xz, xr, xg), (hz, hr, hg) = ops.split(xw, 3, axis=-1), ops.split(hu, 3, axis=-1)
    z, r = ops.sigmoid(xz + hz), ops.sigmoid(xr + hr)
    g = ops.tanh(xg + r * hg)
    return (z * h + (1 - z) * g,), ops.concatenate([z, r, g, hg], axis=-1)


def _gru_backward(kept: Tensor, before: State, after: State, d_after: State) -> tuple:
    z, r, g, hg = ops.split(kept, 4, axis=-1)
    (h,), (dh,) = before, d_after
    dz = dh * (h - g) * z * (1 - z)
    dg = dh * (1 - z) * (1 - g * g)
    dr = dg * hg * r * (1 - r)
    d_xw = ops.concatenate([dz, dr, dg], axis=-1)
    d_hu = ops.concatenate([dz, dr, dg * r], axis=-1)
    return d_xw, d_hu, (dh * z,)


CELLS = {
    "simple": Cell(1, 1, _simple_forward, _simple_backward),
    "lstm": Cell(2, 4, _lstm_forward, _lstm_backward),
    "gru": Cell(1, 4, _gru_forward, _gru_backward),
}

KERAS_LAYERS = {
    "simple": keras.layers.SimpleRNN,
    "lstm": keras.layers.LSTM,
    "gru": keras.layers.GRU,
}

# === A layer ===


def has_gpu() -> bool:
    """Tell whether there is one, on which Keras's layers run by cuDNN."""
    if keras.backend.backend() not in ("tensorflow", "jax"):
        return False
    return any(device.startswith("gpu") for device in keras.distribution.list_devices())


def run_layer(
    name: str,
    layer: keras.layers.RNN,
    x: Tensor,
    state: State,
    mask: Tensor | None = None,
    by_keras: bool = False,
) -> tuple[Tensor, State]:
    """Run a recurrent layer of Keras, by itself or by `recur`, in the direction that it has.

    Args:
        name: its cell, one of `CELLS`.
        layer: one that returns sequences and states.
        x: (B, T, D_in).
        state: the state before the first position that it reads.
        mask: as for `recur`; the output at padding means nothing.
        by_keras: whether Keras runs it, as it should where there is cuDNN.

    Returns:
        h at every position, (B, T, D), and the state after the last that it reads.
    """
    if by_keras:
        x, *state = layer(x, initial_state=list(state), mask=mask)
        return ops.flip(x, axis=1) if layer.go_backwards else x, tuple(state)
    weights = (layer.cell.kernel, layer.cell.recurrent_kernel, layer.cell.bias)
    weights = (ops.cast(weight, layer.compute_dtype) for weight in weights)
    return recur(CELLS[name], x, state, *weights, mask=mask, reverse=layer.go_backwards)


# === The loop ===


def recur(
    cell: Cell,
    x: Tensor,
    state: State,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor,
    mask: Tensor | None = None,
    reverse: bool = False,
) -> tuple[Tensor, State]:
    """Run a cell over a sequence.

    Args:
        cell: one of `CELLS`.
        x: (B, T, D_in).
        state: the state before the first position.
        kernel: W, (D_in, G D).
        recurrent_kernel: U, (D, G D).
        bias: b, (G D,), or for the GRU (2, G D), one added to x W and one to h U.
        mask: (B, T) bool, False where the state is to stay as it is; None: nowhere.
        reverse: whether to run from the last position to the first.

    Returns:
        h at every position, (B, T, D), and the state after the last.
    """

    @ops.custom_gradient
    def run(
        x: Tensor, kernel: Tensor, recurrent_kernel: Tensor, bias: Tensor, *rest: Tensor
    ) -> tuple:
        state, moves = rest[: cell.num_states], rest[cell.num_states :]  # moves: (T, B, 1), if any
        input_bias, state_bias = (bias[0], bias[1]) if len(bias.shape) == 2 else (bias, 0.0)
        xs = ops.transpose(x, (1, 0, 2))  # (T, B, D_in), time first for the loop

        batch_size, width = ops.shape(state[0])

        # What is stacked over time must also be carried, for TensorFlow's sake; nothing reads it.
        def step(carried: tuple, inputs: tuple) -> tuple[tuple, tuple]:
            before, _ = carried
            xw, *moves = inputs
            after, kept = cell.forward(xw, before[0] @ recurrent_kernel + state_bias, before)
            for m in moves:
                after = tuple(m * a + (1 - m) * b for a, b in zip(after, before, strict=True))
            return (after, kept), (after, kept)

        nothing = ops.zeros((batch_size, cell.num_kept * width), x.dtype)
        inputs = (xs @ kernel + input_bias, *moves)
        (last, _), (states, kept) = scan(step, (state, nothing), inputs, reverse)

        def gradient(*args: Tensor, upstream: tuple | None = None) -> tuple:
            # Each backend of Keras hands the gradients over in another wrapping.
            d_hs, *d_last = keras.tree.flatten(args if upstream is None else upstream)
            # The state before each position.
            before = tuple(
                ops.concatenate(
                    [after[1:], first[None]] if reverse else [first[None], after[:-1]], axis=0
                )
                for first, after in zip(state, states, strict=True)
            )

            def step_back(carried: tuple, inputs: tuple) -> tuple[tuple, tuple]:
                (d_h, *d_others), _, _ = carried
                kept, before, after, d_output, *moves = inputs
                d_after = d_moved = (d_h + d_output, *d_others)
                for m in moves:
                    d_moved = tuple(m * d for d in d_after)
                d_xw, d_hu, (d_h, *d_others) = cell.backward(kept, before, after, d_moved)
                d_before = (d_h + d_hu @ ops.transpose(recurrent_kernel), *d_others)
                for m in moves:
                    d_before = tuple(
                        d + (1 - m) * d_stayed
                        for d, d_stayed in zip(d_before, d_after, strict=True)
                    )
                return (d_before, d_xw, d_hu), (d_before, d_xw, d_hu)

            inputs = (kept, before, states, ops.transpose(d_hs, (1, 0, 2)), *moves)
            nothing = ops.zeros((batch_size, kernel.shape[-1]), x.dtype)
            (d_first, _, _), (_, d_xws, d_hus) = scan(
                step_back, (tuple(d_last), nothing, nothing), inputs, not reverse
            )

            d_bias = ops.sum(d_xws, axis=(0, 1))
            if len(bias.shape) == 2:
                d_bias = ops.stack([d_bias, ops.sum(d_hus, axis=(0, 1))])
            return (
                ops.transpose(d_xws @ ops.transpose(kernel), (1, 0, 2)),
                over_time(xs, d_xws),
                over_time(before[0], d_hus),
                d_bias,
                *d_first,
                *(ops.zeros_like(m) for m in moves),
            )

        return (ops.transpose(states[0], (1, 0, 2)), *last), gradient

    moves = () if mask is None else (ops.cast(ops.transpose(mask)[..., None], x.dtype),)
    outputs, *last = run(x, kernel, recurrent_kernel, bias, *state, *moves)
    return outputs, tuple(last)


def scan(step: Callable, state: Any, inputs: Any, reverse: bool = False) -> tuple[Any, Any]:
    """Run a step over the first axis of all inputs; see `ops.scan`.

    Where the length is not known when the loop is traced, Keras's scan can run over one tensor on
    TensorFlow, but not over several. It then runs over their positions.
    """
    flat = keras.tree.flatten(inputs)
    if flat[0].shape[0] is not None or len(flat) == 1:
        return ops.scan(step, state, inputs, reverse=reverse)

    def step_at(state: Any, position: Tensor) -> tuple[Any, Any]:
        return step(state, keras.tree.map_structure(lambda x: x[position], inputs))

    return ops.scan(step_at, state, ops.arange(ops.shape(flat[0])[0]), reverse=reverse)


def over_time(a: Tensor, b: Tensor) -> Tensor:
    """Return the sum over t of a_t^T b_t: (T, B, D_a) and (T, B, D_b) to (D_a, D_b)."""
    flat_a, flat_b = (ops.reshape(m, (-1, m.shape[-1])) for m in (a, b))  # (T B, ...)
    return ops.transpose(flat_a) @ flat_b
