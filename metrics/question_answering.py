"""Exact match and F1 of short answers: SQuAD 1.1 and 2.0, and CMRC 2018 for Chinese.

SQuAD (Rajpurkar et al. 2016) compares answers in small letters, without punctuation and without a,
an and the. Exact match asks whether nothing else differs; F1 is that of the words which both have.
Of several references the best counts. SQuAD 2.0 (Rajpurkar et al. 2018) has questions that the text
does not answer: the right answer is then the empty one.

CMRC 2018 (Cui et al. 2019) has no words: its units are the Chinese characters, and the words of
what is written in other letters. Its F1 is that of the longest run of units that both have in
common. (Its script cuts what is not Chinese into sentences before words, which needs a download;
here a full stop within stays with its word.)

Answers in other languages without spaces, and in Chinese where there may be none, are compared as
SQuAD does, by character instead of word, as Lewis et al. (2020, MLQA) do Chinese.

They are written here from their definitions; the tests compare SQuAD 1.1 with torchmetrics. A
missing answer counts as wrong, as in the scripts of SQuAD 1.1 and CMRC 2018; that of SQuAD 2.0
leaves such questions out of its means.
"""

import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Literal

import numpy as np

from ..errors import InputError, did_you_mean
from .languages import UNSPACED, base_language, characters
from .score import Score, mean_scores

Rules = Literal[
    "SQuAD 1.1", "SQuAD 2.0", "CMRC 2018", "SQuAD 1.1, characters", "SQuAD 2.0, characters"
]

Rule = Callable[[str, str], tuple[bool, float]]
"""Tells of an answer and a right one whether they are the same, and their F1."""

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)
# The official script also lists the two characters …… as one, which no character equals.
_CMRC_PUNCTUATION = frozenset("-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")
_CHINESE = re.compile("[\u4e00-\u9fa5]")


def score(
    predictions: Mapping[str, str],
    references: Mapping[str, Sequence[str]],
    rules: Rules = "SQuAD 1.1",
) -> dict[str, Score]:
    """Score answers.

    >>> scores = score({"q1": "The cat sat"}, {"q1": ["a cat", "cats"]})
    >>> {name: round(score.value, 1) for name, score in scores.items()}
    {'exact match': 0.0, 'F1': 66.7}

    Args:
        predictions: the answer to each question, by the question's id; empty for "not answered by
            the text".
        references: the right answers to each question; none where the text has no answer.
        rules: how answers are compared.

    Returns:
        The scores from 0 to 100; for SQuAD 2.0, also of the questions with an answer and without.
        A question without a prediction has 0, as the signature says.

    Raises:
        InputError: if there are no questions, a prediction is of none of them, or a question of
            SQuAD 1.1 or CMRC 2018 has no answer.
    """
    if rules not in _RULES:
        raise InputError(f"there are no rules '{rules}'; there are {', '.join(_RULES)}.")
    if not references:
        raise InputError("there are no questions; give at least one.")
    for key in predictions:
        if key not in references:
            hint = did_you_mean(key, references)
            raise InputError(f"there is an answer to '{key}', and no such question{hint}")
    exact, f1 = [], []
    for key, answers in references.items():
        if rules.startswith("SQuAD 2.0"):
            answers = [answer for answer in answers if normalize(answer)] or [""]
        if not answers:
            raise InputError(
                f"the question '{key}' has no right answer; only SQuAD 2.0 has such questions."
            )
        prediction = predictions.get(key)
        pair = (0.0, 0.0) if prediction is None else _best(prediction, answers, _RULES[rules])
        exact.append(pair[0])
        f1.append(pair[1])
    columns = {"exact match": exact, "F1": f1}
    if rules.startswith("SQuAD 2.0"):
        answered = list(map(bool, references.values()))
        for kind, wanted in (("answered", True), ("unanswered", False)):
            for name in ("exact match", "F1"):
                columns[f"{name}, {kind}"] = [
                    value if has == wanted else float("nan")
                    for value, has in zip(columns[name], answered, strict=True)
                ]
    return mean_scores(columns, f"{rules}|missing:wrong", scale=100)


def rules_for(language: str, is_answered: bool) -> Rules:
    """Return the rules that answers are scored by.

    >>> rules_for("zh-CN", is_answered=True), rules_for("en", is_answered=False)
    ('CMRC 2018', 'SQuAD 2.0')
    >>> rules_for("ja", is_answered=True)
    'SQuAD 1.1, characters'

    Args:
        language: the code of the language of the answers.
        is_answered: whether every question has an answer.
    """
    language = base_language(language)
    if language == "zh" and is_answered:
        return "CMRC 2018"
    unit = ", characters" if language in UNSPACED else ""
    return f"SQuAD 1.1{unit}" if is_answered else f"SQuAD 2.0{unit}"


def best_threshold(
    predictions: Mapping[str, str],
    scores: Mapping[str, float],
    references: Mapping[str, Sequence[str]],
    metric: Literal["exact match", "F1"] = "F1",
    rules: Rules = "SQuAD 2.0",
) -> float:
    """Return the score above which answers are to be given for the best result by SQuAD 2.0.

    A system knows how much likelier its answer is than none, but not how much likelier it has to
    be; Rajpurkar et al. (2018) try every score.

    >>> said, right = {"a": "cat", "b": "dog"}, {"a": ["cat"], "b": []}
    >>> best_threshold(said, {"a": 3.0, "b": 2.0}, right)
    2.0

    Args:
        predictions: the answer to each question, were it answered, by the question's id.
        scores: how sure the system is that there is one.
        references: the right answers to each question; none where the text has no answer.
        metric: what is to be highest, "exact match" or "F1".
        rules: how answers are compared.
    """
    column = ("exact match", "F1").index(metric)
    keys = sorted(references, key=lambda key: -scores[key])
    gains = []
    for key in keys:
        answers = [answer for answer in references[key] if normalize(answer)] or [""]
        given, withheld = (
            _best(said, answers, _RULES[rules])[column] for said in (predictions[key], "")
        )
        gains.append(given - withheld)
    total = np.cumsum(gains)
    # Questions of one score are answered together or not at all.
    values = np.array([scores[key] for key in keys])
    total[:-1][values[:-1] == values[1:]] = -np.inf
    number = int(np.argmax(total)) + 1 if total.max() > 0 else 0  # that are answered
    return scores[keys[number]] if number < len(keys) else -np.inf


def normalize(answer: str) -> str:
    """Return an answer as SQuAD compares it.

    >>> normalize("The  Cat's (an animal)")
    'cats animal'
    """
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_ASCII_PUNCTUATION)).split())


def segment(answer: str) -> list[str]:
    """Return the units of an answer as CMRC 2018 compares them, without punctuation.

    >>> segment("2018年，在Changsha city。")
    ['2018', '年', '在', 'changsha', 'city']
    """
    from nltk import word_tokenize

    units, other = [], ""
    for character in without_punctuation(answer):
        if _CHINESE.match(character):
            # preserve_line leaves out cutting into sentences, which needs a download.
            units += word_tokenize(other, preserve_line=True)
            units.append(character)
            other = ""
        else:
            other += character
    return units + word_tokenize(other, preserve_line=True)


def without_punctuation(answer: str) -> str:
    """Return an answer in small letters and without what CMRC 2018 takes for punctuation."""
    return "".join(c for c in answer.lower().strip() if c not in _CMRC_PUNCTUATION)


def _best(
    prediction: str,
    answers: Sequence[str],
    rule: Rule,
) -> tuple[float, float]:
    exact, f1 = zip(*(rule(prediction, answer) for answer in answers), strict=True)
    return float(max(exact)), float(max(f1))


def _squad(prediction: str, answer: str) -> tuple[bool, float]:
    mine, theirs = normalize(prediction), normalize(answer)
    shared = (Counter(mine.split()) & Counter(theirs.split())).total()
    return mine == theirs, _f1(shared, len(mine.split()), len(theirs.split()))


def _by_character(prediction: str, answer: str) -> tuple[bool, float]:
    mine, theirs = characters(prediction), characters(answer)
    return mine == theirs, _f1((Counter(mine) & Counter(theirs)).total(), len(mine), len(theirs))


def _in_2(rule: Rule) -> Rule:
    """Return the rule of SQuAD 2.0: two empty answers agree, which have no word in common."""

    def compare(prediction: str, answer: str) -> tuple[bool, float]:
        exact, f1 = rule(prediction, answer)
        return exact, 1.0 if exact else f1

    return compare


def _cmrc(prediction: str, answer: str) -> tuple[bool, float]:
    mine, theirs = segment(prediction), segment(answer)
    longest = SequenceMatcher(None, mine, theirs, autojunk=False).find_longest_match().size
    exact = without_punctuation(prediction) == without_punctuation(answer)
    return exact, _f1(longest, len(mine), len(theirs))


def _f1(shared: int, predicted: int, gold: int) -> float:
    return 2 * shared / (predicted + gold) if shared else 0.0


_RULES: dict[str, Rule] = {
    "SQuAD 1.1": _squad,
    "SQuAD 2.0": _in_2(_squad),
    "CMRC 2018": _cmrc,
    "SQuAD 1.1, characters": _by_character,
    "SQuAD 2.0, characters": _in_2(_by_character),
}
