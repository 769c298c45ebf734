"""Predictions and references side by side, checked before anything is computed from them."""

from collections.abc import Sequence, Sized

from ..errors import InputError

References = Sequence[str] | Sequence[Sequence[str]]
"""For each example its reference, or the several that are as good."""


def check_pairs(predictions: Sequence[object], references: Sized) -> None:
    """Refuse predictions that do not go with the references one by one.

    Raises:
        InputError: if there are none, if there are more of one than of the other, or if a
            prediction is missing.
    """
    if len(predictions) != len(references):
        raise InputError(
            f"there are {len(predictions)} predictions and {len(references)} references; give one "
            "prediction for each example."
        )
    if not len(predictions):
        raise InputError("there are no examples; give at least one.")
    for number, prediction in enumerate(predictions, start=1):
        if prediction is None:
            raise InputError(
                f"prediction {number} is missing; give an empty text where a system wrote nothing."
            )


def reference_lists(references: References) -> list[list[str]]:
    """Return the references of each example as a list.

    >>> reference_lists(["hello", "bye"])
    [['hello'], ['bye']]
    >>> reference_lists([["hello", "hi"], ["bye"]])
    [['hello', 'hi'], ['bye']]

    Raises:
        InputError: if an example has no reference.
    """
    lists = [[each] if isinstance(each, str) else list(each) for each in references]
    for number, several in enumerate(lists, start=1):
        if not several:
            raise InputError(f"example {number} has no reference; give it at least one.")
    return lists
