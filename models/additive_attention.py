"""The decoder of Bahdanau et al. (2015): a recurrent layer that looks at the source at each step.

    score_tj = v^T tanh(h_{t-1} W + k_j)             k_j: the key of position j of the source
    a_t = softmax(score_t),   c_t = sum over j of a_tj m_j         m_j: its value
    h_t = cell(x_t W_x + c_t W_c + b, h_{t-1} U)                   forward, t = 1 ... T

    dc_t = what the output passes on + (dL/dz_t) W_c^T             backward, t = T ... 1
    da_tj = dc_t . m_j,   dscore_tj = a_tj (da_tj - sum over i of a_ti da_ti)
    dh_{t-1} = as in `recurrence` + (sum over j of dscore_tj v (1 - tanh^2)) W^T

As in `recurrence`, only what depends on the step before is inside the loops, and the way back is
written out. It computes each tanh again rather than keep T S D of them for each text, as automatic
differentiation does, which takes twice the time because XLA cannot compile it.

Shapes: B batch, S source positions, T positions, D width, G gates side by side.
"""

import keras
import numpy as np
from keras import ops

from .recurrence import Cell, State, over_time, scan

Tensor = keras.KerasTensor
Seen = tuple[Tensor, Tensor, Tensor]
"""What is looked at: keys (B, S, D), values (B, S, D) and where there are tokens, (B, S) bool."""


def recur_attending(
    cell: Cell,
    x: Tensor,
    state: State,
    seen: Seen,
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor,
    query_kernel: Tensor,
    score_kernel: Tensor,
) -> tuple[Tensor, Tensor, Tensor, State]:
    """Run a cell over a sequence, with a look at the source before each step.

    Args:
        cell: one of `recurrence.CELLS`.
        x: (B, T, D_in).
        state: the state before the first position.
        seen: the source.
        kernel: W_x and below it W_c, (D_in + D, G D).
        recurrent_kernel: U, (D, G D).
        bias: b, (G D,), or for the GRU (2, G D), one added to x W and one to h U.
        query_kernel: W, (D, D).
        score_kernel: v, (D, 1).

    Returns:
        h at every position, (B, T, D); the contexts c, (B, T, D); the weights a, (B, T, S), through
        which no gradient flows; and the state after the last position.
    """
    keys, values, is_token = seen

    @ops.custom_gradient
    def run(
        x: Tensor,
        keys: Tensor,
        values: Tensor,
        is_token: Tensor,
        kernel: Tensor,
        recurrent_kernel: Tensor,
        bias: Tensor,
        query_kernel: Tensor,
        score_kernel: Tensor,
        *state: Tensor,
    ) -> tuple:
        input_bias, state_bias = (bias[0], bias[1]) if len(bias.shape) == 2 else (bias, 0.0)
        token_kernel, context_kernel = kernel[: x.shape[-1]], kernel[x.shape[-1] :]
        v = score_kernel[:, 0]  # (D,)
        xs = ops.transpose(x, (1, 0, 2))  # (T, B, D_in), time first for the loop

        # What is stacked over time must also be carried, for TensorFlow's sake; nothing reads it.
        def step(carried: tuple, xw: Tensor) -> tuple[tuple, tuple]:
            state, *_ = carried
            query = state[0] @ query_kernel  # (B, D)
            scores = (ops.tanh(query[:, None] + keys) @ score_kernel)[..., 0]  # (B, S)
            scores = ops.where(is_token > 0, ops.cast(scores, "float32"), np.finfo("float32").min)
            weights = ops.cast(ops.softmax(scores, axis=-1), x.dtype)  # (B, S)
            context = (weights[:, None] @ values)[:, 0]  # (B, D)
            state, kept = cell.forward(
                xw + context @ context_kernel, state[0] @ recurrent_kernel + state_bias, state
            )
            carried = (state, kept, context, weights)
            return carried, carried

        nothing = ops.zeros_like(state[0])  # (B, D)
        unread = (ops.tile(nothing, (1, cell.num_kept)), nothing, ops.zeros_like(is_token))
        (last, *_), (states, kept, contexts, weights) = scan(
            step, (state, *unread), xs @ token_kernel + input_bias
        )

        def gradient(*args: Tensor, upstream: tuple | None = None) -> tuple:
            # JAX gives them in one argument, as the outputs were.
            given = keras.tree.flatten(args if upstream is None else upstream)
            d_hs, d_contexts, _, *d_last = given
            # The state before each position.
            before = tuple(
                ops.concatenate([first[None], after[:-1]], axis=0)
                for first, after in zip(state, states, strict=True)
            )
            queries = before[0] @ query_kernel  # (T, B, D)

            def step_back(carried: tuple, inputs: tuple) -> tuple[tuple, tuple]:
                (d_h, *d_others), *_ = carried
                kept, before, after, weights, query, d_output, d_context = inputs
                d_xw, d_hu, (d_h, *d_others) = cell.backward(
                    kept, before, after, (d_h + d_output, *d_others)
                )
                d_context = d_context + d_xw @ ops.transpose(context_kernel)  # (B, D)
                d_weights = (values @ d_context[..., None])[..., 0]  # (B, S)
                d_scores = weights * d_weights
                d_scores = d_scores - weights * ops.sum(d_scores, axis=-1, keepdims=True)
                tanh = ops.tanh(query[:, None] + keys)  # (B, S, D)
                d_query = v * (d_scores[:, None] @ (1 - tanh * tanh))[:, 0]  # (B, D)
                d_h = d_h + d_hu @ ops.transpose(recurrent_kernel)
                d_h = d_h + d_query @ ops.transpose(query_kernel)
                carried = ((d_h, *d_others), d_xw, d_hu, d_context, d_scores, d_query)
                return carried, carried

            inputs = (kept, before, states, weights, queries)
            inputs = (*inputs, *(ops.transpose(d, (1, 0, 2)) for d in (d_hs, d_contexts)))
            gates = ops.tile(nothing, (1, kernel.shape[-1] // nothing.shape[-1]))  # (B, G D)
            unread = (gates, gates, nothing, ops.zeros_like(is_token), nothing)
            (d_first, *_), (_, d_xws, d_hus, d_contexts, d_scores, d_queries) = scan(
                step_back, (tuple(d_last), *unread), inputs, reverse=True
            )

            def at_a_key(carried: tuple, inputs: tuple) -> tuple[tuple, tuple]:
                key, d_scores = inputs  # (B, D), (T, B)
                tanh = ops.tanh(queries + key)  # (T, B, D)
                d_scores = d_scores[..., None]
                of_key = v * ops.sum(d_scores * (1 - tanh * tanh), axis=0)  # (B, D)
                of_v = ops.sum(d_scores * tanh, axis=0)  # (B, D)
                return (of_key, of_v), (of_key, of_v)

            by_position = ops.transpose(keys, (1, 0, 2)), ops.transpose(d_scores, (2, 0, 1))
            _, (d_keys, d_v) = scan(at_a_key, (nothing, nothing), by_position)  # (S, B, D)

            d_bias = ops.sum(d_xws, axis=(0, 1))
            if len(bias.shape) == 2:
                d_bias = ops.stack([d_bias, ops.sum(d_hus, axis=(0, 1))])
            return (
                ops.transpose(d_xws @ ops.transpose(token_kernel), (1, 0, 2)),
                ops.transpose(d_keys, (1, 0, 2)),
                ops.einsum("tbs,tbd->bsd", weights, d_contexts),
                ops.zeros_like(is_token),
                ops.concatenate([over_time(xs, d_xws), over_time(contexts, d_xws)], axis=0),
                over_time(before[0], d_hus),
                d_bias,
                over_time(before[0], d_queries),
                ops.sum(d_v, axis=(0, 1))[:, None],
                *d_first,
            )

        outputs = (ops.transpose(m, (1, 0, 2)) for m in (states[0], contexts, weights))
        return (*outputs, *last), gradient

    hs, contexts, weights, *last = run(
        x,
        keys,
        values,
        ops.cast(is_token, x.dtype),
        kernel,
        recurrent_kernel,
        bias,
        query_kernel,
        score_kernel,
        *state,
    )
    return hs, contexts, weights, tuple(last)
