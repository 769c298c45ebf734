"""How well a system answers in dialogues: accuracy, variety, BLEU.

A response is right if it is the reference word by word; a dialogue is right if all its responses
are (Bordes et al. 2017). distinct-1 and distinct-2 tell dull systems from lively ones (Li et al.
2016), BLEU gives credit for answers that are nearly right. Responses of one dialogue are alike, so
draws are of dialogues, not of responses.
"""

from collections.abc import Hashable, Sequence

import numpy as np

from ..errors import InputError
from .examples import References, check_pairs, reference_lists
from .generation import distinct
from .score import Score, drawn_sums, mean_score
from .translation import score as score_translation
from .translation import tokenize


def score(
    predictions: Sequence[str],
    references: References,
    dialogues: Sequence[Hashable],
    language: str = "en",
) -> dict[str, Score]:
    """Score responses.

    >>> said = ["hello", "where to ?", "which price ?", "goodbye"]
    >>> right = ["hello", "where to ?", "which day ?", "goodbye"]
    >>> scores = score(said, right, dialogues=[1, 1, 2, 2])
    >>> scores["response accuracy"].value, scores["dialogue accuracy"].value
    (0.75, 0.5)

    Args:
        predictions: what the system answered, one text for each turn.
        references: for each turn the right answer, or several.
        dialogues: for each turn which dialogue it belongs to.
        language: the code of the language; what a token is depends on it.

    Returns:
        The scores by name: shares from 0 to 1, and BLEU from 0 to 100.

    Raises:
        InputError: if predictions, references and dialogues do not go together.
    """
    references = reference_lists(references)
    check_pairs(predictions, references)
    if len(dialogues) != len(predictions):
        raise InputError(
            f"there are {len(predictions)} predictions, and dialogues for {len(dialogues)}; say of "
            "each which dialogue it belongs to."
        )
    number: dict[Hashable, int] = {}
    groups = [number.setdefault(dialogue, len(number)) for dialogue in dialogues]
    right = np.array(
        [
            prediction.split() in [reference.split() for reference in several]
            for prediction, several in zip(predictions, references, strict=True)
        ],
        np.float64,
    )
    hits, turns = np.bincount(groups, right), np.bincount(groups)
    sums = drawn_sums(np.stack([hits, turns], axis=1))
    tokens = [tokenize(prediction, language) for prediction in predictions]
    return {
        "response accuracy": Score(
            float(right.mean()), sums[:, 0] / sums[:, 1], len(number), "the same words"
        ),
        "dialogue accuracy": mean_score(hits == turns, "all responses the same words"),
        "distinct-1": distinct(tokens, 1, groups),
        "distinct-2": distinct(tokens, 2, groups),
        **score_translation(predictions, references, language, ("BLEU",), groups),
    }
