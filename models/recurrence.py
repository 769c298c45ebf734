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

import keras
from keras import ops

Tensor = keras.KerasTensor
State = tuple[Tensor, ...]
"""What goes from step to step, each (B, D): (h, c) for the LSTM, (h,) for the others."""


@dataclass(frozen=True)
class Cell:
    """A cell as a pair of functions.

    Args:
        num_kept: how much the way back needs of a step, in widths of the state.
        forward: takes x W + b and h U, both (B, G D), and the state; returns the new state and what
            the way back needs, (B, num_kept D).
        backward: takes what `forward` kept, the state before the step, the state after it, and the
            gradient of the latter; returns the gradients of x W + b and of h U, both (B, G D), and
            of the state before, without what comes through h U.
    """

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
    "simple": Cell(1, _simple_forward, _simple_backward),
    "lstm": Cell(4, _lstm_forward, _lstm_backward),
    "gru": Cell(4, _gru_forward, _gru_backward),
}

# === The loop ===


def recur(
    cell: Cell,
    x: Tensor,
    state: State,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor,
) -> tuple[Tensor, State]:
    """Run a cell over a sequence.

    Args:
        cell: one of `CELLS`.
        x: (B, T, D_in).
        state: the state before the first position.
        kernel: W, (D_in, G D).
        recurrent_kernel: U, (D, G D).
        bias: b, (G D,), or for the GRU (2, G D), one added to x W and one to h U.

    Returns:
        h at every position, (B, T, D), and the state after the last.
    """

    @ops.custom_gradient
    def run(
        x: Tensor, kernel: Tensor, recurrent_kernel: Tensor, bias: Tensor, *state: Tensor
    ) -> tuple:
        input_bias, state_bias = (bias[0], bias[1]) if len(bias.shape) == 2 else (bias, 0.0)
        xs = ops.transpose(x, (1, 0, 2))  # (T, B, D_in), time first for the loop

        batch_size, width = ops.shape(state[0])

        # What is stacked over time must also be carried, for TensorFlow's sake; nothing reads it.
        def step(carried: tuple, xw: Tensor) -> tuple[tuple, tuple]:
            state, _ = carried
            carried = cell.forward(xw, state[0] @ recurrent_kernel + state_bias, state)
            return carried, carried

        nothing = ops.zeros((batch_size, cell.num_kept * width), x.dtype)
        (last, _), (states, kept) = ops.scan(step, (state, nothing), xs @ kernel + input_bias)

        def gradient(*args: Tensor, upstream: tuple | None = None) -> tuple:
            d_hs, *d_last = upstream if upstream is not None else args
            # The state before each position.
            before = tuple(
                ops.concatenate([first[None], after[:-1]], axis=0)
                for first, after in zip(state, states, strict=True)
            )

            def step_back(carried: tuple, inputs: tuple) -> tuple[tuple, tuple]:
                (d_h, *d_others), _, _ = carried
                kept, before, after, d_output = inputs
                d_xw, d_hu, (d_h, *d_others) = cell.backward(
                    kept, before, after, (d_h + d_output, *d_others)
                )
                d_h = d_h + d_hu @ ops.transpose(recurrent_kernel)
                carried = ((d_h, *d_others), d_xw, d_hu)
                return carried, carried

            inputs = (kept, before, states, ops.transpose(d_hs, (1, 0, 2)))
            nothing = ops.zeros((batch_size, kernel.shape[-1]), x.dtype)
            (d_first, _, _), (_, d_xws, d_hus) = ops.scan(
                step_back, (tuple(d_last), nothing, nothing), inputs, reverse=True
            )

            def over_time(a: Tensor, b: Tensor) -> Tensor:  # sum over t of a_t^T b_t
                flat_a, flat_b = (ops.reshape(m, (-1, m.shape[-1])) for m in (a, b))  # (T B, ...)
                return ops.transpose(flat_a) @ flat_b

            d_bias = ops.sum(d_xws, axis=(0, 1))
            if len(bias.shape) == 2:
                d_bias = ops.stack([d_bias, ops.sum(d_hus, axis=(0, 1))])
            return (
                ops.transpose(d_xws @ ops.transpose(kernel), (1, 0, 2)),
                over_time(xs, d_xws),
                over_time(before[0], d_hus),
                d_bias,
                *d_first,
            )

        return (ops.transpose(states[0], (1, 0, 2)), *last), gradient

    outputs, *last = run(x, kernel, recurrent_kernel, bias, *state)
    return outputs, tuple(last)
