"""Calls of a model in the way that is quick on whichever backend Keras runs."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import keras

if TYPE_CHECKING:
    from .ngram import NGram


def first_ids(context_length: int) -> "keras.KerasTensor":
    """Return token ids (1, T) int32 for the call that creates a model's weights, T at most 2.

    On TensorFlow a small call is two to four times as quick as tracing one. JAX would compile each
    of its operations by itself, so there the ids are symbolic. The lengths that `model.summary()`
    shows are those of this call.
    """
    shape = (1, min(2, context_length))
    if keras.backend.backend() == "tensorflow":
        return keras.ops.zeros(shape, "int32")
    return keras.KerasTensor(shape, "int32")


def compiled(
    function: Callable,
    model: "keras.Model | NGram",
    xla: bool,
    state: Sequence[keras.Variable] = (),
) -> Callable:
    """Return `function`, which calls `model`, as a compiled function.

    A model that is no `keras.Model` computes in numpy, which nothing can compile: the function is
    then run as it stands.

    Args:
        function: from tensors to tensors. It is traced once for each combination of shapes.
        model: the model whose weights it reads; later changes to them are seen.
        xla: whether XLA compiles it (JAX always does).
        state: the variables that it changes, such as the state of a random generator.
    """
    if not isinstance(model, keras.Model):
        return _not_compiled(function)
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=xla, autograph=False)
    if keras.backend.backend() == "jax":
        return _compiled_by_jax(function, [*state, *model.variables], list(state))
    return function


def _not_compiled(function: Callable) -> Callable:
    """JAX compiles loops even outside compiled functions, unless told not to."""
    if keras.backend.backend() != "jax":
        return function

    def with_plain_loops(*args: object) -> object:
        import jax

        with jax.disable_jit():
            return function(*args)

    return with_plain_loops


def _compiled_by_jax(
    function: Callable, variables: list[keras.Variable], state: list[keras.Variable]
) -> Callable:
    """JAX compiles functions without side effects: variables go in and come out as values."""
    import jax

    @jax.jit
    def stateless(values: list, *args: object) -> tuple:
        with keras.StatelessScope(zip(variables, values, strict=True)) as scope:
            result = function(*args)
            changed = [scope.get_current_value(variable) for variable in state]
        return result, changed

    def stateful(*args: object) -> object:
        args = keras.tree.map_structure(  # they may be TensorFlow's, as batches are
            lambda arg: None if arg is None else keras.ops.convert_to_tensor(arg), args
        )
        result, changed = stateless([variable.value for variable in variables], *args)
        for variable, value in zip(state, changed, strict=True):
            if value is not None:
                variable.assign(value)
        return result

    return stateful
