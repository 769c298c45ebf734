"""Precision, recall and F1 of entities in tagged sentences, by seqeval.

A tag says where a token stands in an entity of a type: B-person begins one, I-person is inside,
E-person ends it, S-person is one alone, O is none. An entity counts as found if its type and both
its ends are right.

Predicted tags need not fit together: an I-person may follow an O. seqeval has two ways to read
them. As it comes, it reads them like the CoNLL shared tasks' conlleval, which takes that I-person
for the beginning of an entity, and which published scores are mostly computed with; strict, it
takes it for none. The signature says which.

Letters: N sentences, C types, R draws.
"""

import re
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any, Literal

import numpy as np
from seqeval.metrics import accuracy_score, sequence_labeling, v1
from seqeval.scheme import IOB1, IOB2, IOBES, Entities

from ..errors import InputError
from .examples import check_pairs
from .precision_recall import ClassScores, Counts, class_scores
from .score import Score, drawn_sums

Scheme = Literal["IOB2", "IOB1", "IOBES"]
SCHEMES = {"IOB2": IOB2, "IOB1": IOB1, "IOBES": IOBES}
"""IOB2 (BIO): every entity begins with B. IOB1: only one that touches another of its type does.
IOBES (BIOES): B begins, E ends, S stands alone."""
_PREFIXES = {"IOB2": "BI", "IOB1": "BI", "IOBES": "BIES"}

Sentences = Sequence[Sequence[str]]
_Entity = tuple[str, int, int]


def score(
    predictions: Sentences,
    references: Sentences,
    scheme: Scheme = "IOB2",
    strict: bool = False,
) -> dict[str, Score]:
    """Score the tags of sentences.

    >>> gold = [["B-person", "I-person", "O", "B-place"]]
    >>> predicted = [["O", "I-person", "O", "B-place"]]
    >>> scores = score(predicted, gold)
    >>> {name: score.value for name, score in scores.items()}
    {'precision': 0.5, 'recall': 0.5, 'F1': 0.5, 'F1 macro': 0.5, 'token accuracy': 0.75}
    >>> score(predicted, gold, strict=True)["precision"].value
    1.0

    Args:
        predictions: the tags that the system gave to the tokens of each sentence.
        references: the right ones.
        scheme: how the tags are to be read; see `SCHEMES`.
        strict: whether tags that the scheme does not allow where they stand are no entity.

    Returns:
        Precision, recall and F1 of all entities, the mean of the types' F1, and the share of tokens
        with the right tag.

    Raises:
        InputError: if predictions and references do not go together, or a tag is none of the
            scheme.
    """
    predictions, references = _checked(predictions, references, scheme)
    types, statistics = _statistics(predictions, references, scheme, strict)
    tokens = np.array(
        [
            (sum(a == b for a, b in zip(predicted, gold, strict=True)), len(gold))
            for predicted, gold in zip(predictions, references, strict=True)
        ]
    )
    drawn = drawn_sums(np.hstack([statistics, tokens]))
    counts = Counts.from_sums(drawn[:, :-2])
    together = counts.total()
    precision, recall, f1, _ = _seqeval(predictions, references, scheme, strict, "micro")
    macro = _seqeval(predictions, references, scheme, strict, "macro")[2] if types else 0.0
    with np.errstate(invalid="ignore"):  # of draws of empty sentences alone
        token_accuracy = drawn[:, -2] / drawn[:, -1]
    values = {
        "precision": (precision, together.precision[:, 0]),
        "recall": (recall, together.recall[:, 0]),
        "F1": (f1, together.f1[:, 0]),
        "F1 macro": (macro, counts.macro(counts.f1)),
        "token accuracy": (accuracy_score(references, predictions), token_accuracy),
    }
    signature = _signature(scheme, strict)
    return {
        name: Score(float(value), of_draws, len(references), signature)
        for name, (value, of_draws) in values.items()
    }


def per_type(
    predictions: Sentences,
    references: Sentences,
    scheme: Scheme = "IOB2",
    strict: bool = False,
) -> dict[str, ClassScores]:
    """Return precision, recall and F1 of each type of entity.

    >>> place = per_type([["O", "B-place", "B-place"]], [["O", "B-place", "O"]])["place"]
    >>> place.precision.value, place.recall.value, place.support
    (0.5, 1.0, 1)

    Args:
        predictions: the tags that the system gave to the tokens of each sentence.
        references: the right ones.
        scheme: how the tags are to be read; see `SCHEMES`.
        strict: whether tags that the scheme does not allow where they stand are no entity.

    Raises:
        InputError: if predictions and references do not go together, or a tag is none of the
            scheme.
    """
    predictions, references = _checked(predictions, references, scheme)
    types, statistics = _statistics(predictions, references, scheme, strict)
    counts = Counts.from_sums(drawn_sums(statistics))
    values = _seqeval(predictions, references, scheme, strict, None)
    return class_scores(types, values, counts, len(references), _signature(scheme, strict))


def check_tag(tag: str, scheme: Scheme) -> None:
    """Refuse what is no tag of a scheme.

    >>> check_tag("E-person", "IOB2")
    Traceback (most recent call last):
    kerazoo.errors.InputError: 'E-person' is no tag of IOB2, which has O, B-TYPE, I-TYPE.

    Raises:
        InputError: if the tag is not O and does not begin with a letter of the scheme.
    """
    if scheme not in SCHEMES:
        raise InputError(f"there is no scheme '{scheme}'; there are {', '.join(SCHEMES)}.")
    if not re.fullmatch(f"O|[{_PREFIXES[scheme]}](-.+)?", tag):
        allowed = ", ".join(["O", *(f"{prefix}-TYPE" for prefix in _PREFIXES[scheme])])
        raise InputError(f"'{tag}' is no tag of {scheme}, which has {allowed}.")


def _checked(
    predictions: Sentences, references: Sentences, scheme: Scheme
) -> tuple[list[list[str]], list[list[str]]]:
    check_pairs(predictions, references)
    for number, (predicted, gold) in enumerate(zip(predictions, references, strict=True), start=1):
        if len(predicted) != len(gold):
            raise InputError(
                f"sentence {number} has {len(gold)} tokens and {len(predicted)} predicted tags; "
                "give one for each token."
            )
    for tag in {
        tag for sentences in (predictions, references) for tags in sentences for tag in tags
    }:
        check_tag(tag, scheme)
    if not any(map(len, references)):
        raise InputError("there are no tokens in any sentence; give at least one.")
    return [list(tags) for tags in predictions], [list(tags) for tags in references]


def _statistics(
    predictions: list[list[str]], references: list[list[str]], scheme: Scheme, strict: bool
) -> tuple[list[str], np.ndarray]:
    """Return the types, and hits, predicted and gold of each sentence by type, (N, 3 C)."""
    entities = _strict_entities(scheme) if strict else _entities
    predicted, gold = ([entities(tags) for tags in each] for each in (predictions, references))
    types = sorted({kind for found in predicted + gold for kind, _, _ in found})
    number = {kind: k for k, kind in enumerate(types)}
    statistics = np.zeros((len(gold), 3, len(types)))
    for row, mine, theirs in zip(statistics, predicted, gold, strict=True):
        for counts, found in zip(row, (mine & theirs, mine, theirs), strict=True):
            for kind, _, _ in found:
                counts[number[kind]] += 1
    return types, statistics.reshape(len(gold), -1)


def _entities(tags: list[str]) -> set[_Entity]:
    return set(sequence_labeling.get_entities(tags))


def _strict_entities(scheme: Scheme) -> Callable[[list[str]], set[_Entity]]:
    def entities(tags: list[str]) -> set[_Entity]:
        (found,) = Entities([tags], SCHEMES[scheme]).entities
        return {(entity.tag, entity.start, entity.end) for entity in found}

    return entities


def _seqeval(
    predictions: list[list[str]],
    references: list[list[str]],
    scheme: Scheme,
    strict: bool,
    average: str | None,
) -> tuple[Any, Any, Any, Any]:
    """Return seqeval's precision, recall, F1 and support."""
    if strict:
        return v1.precision_recall_fscore_support(
            references, predictions, average=average, scheme=SCHEMES[scheme], zero_division=0
        )
    return sequence_labeling.precision_recall_fscore_support(
        references, predictions, average=average, zero_division=0
    )


def _signature(scheme: Scheme, strict: bool) -> str:
    mode = "strict" if strict else "default, as conlleval"
    return f"seqeval|scheme:{scheme}|mode:{mode}|version:{metadata.version('seqeval')}"
