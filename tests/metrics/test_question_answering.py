import json
import math

import numpy as np
import pytest

from kerazoo.errors import InputError
from kerazoo.metrics import question_answering
from kerazoo.metrics.question_answering import (
    best_threshold,
    normalize,
    rules_for,
    score,
    segment,
    without_punctuation,
)


def answers_of(path):
    """Return the first right answer to each question of a file in SQuAD's format."""
    return {
        question["id"]: [answer["text"] for answer in question["answers"]]
        for article in json.loads(path.read_text(encoding="utf-8"))["data"]
        for paragraph in article["paragraphs"]
        for question in paragraph["qas"]
    }


def values(*arguments):
    return {name: each.value for name, each in score(*arguments).items()}


@pytest.mark.parametrize(
    ("answer", "normal"),
    [
        ("The Cat", "cat"),
        ("a  an\tthe", ""),
        ("Theatre, and anthem", "theatre and anthem"),
        ("U.S.A.", "usa"),
        ("well-known", "wellknown"),
        ("d'Artagnan's “x”", "dartagnans “x”"),
        ("Ünïcode ŠŽ", "ünïcode šž"),
    ],
)
def test_answers_are_compared_without_case_punctuation_and_articles(answer, normal):
    assert normalize(answer) == normal


@pytest.mark.parametrize(
    ("prediction", "answers", "exact", "f1"),
    [
        ("the Broncos", ["Denver Broncos"], 0, 2 / 3),
        ("Denver Broncos!", ["denver broncos", "x"], 1, 1),
        ("b b c", ["b c c"], 0, 2 / 3),  # a word counts as often as both have it
        ("x", ["y", "x y z"], 0, 1 / 2),  # the best reference
        ("", ["x"], 0, 0),
        ("the", ["a"], 1, 0),  # SQuAD 1.1: exact, and no word in common
    ],
)
def test_squad_1_by_hand(prediction, answers, exact, f1):
    result = values({"q": prediction}, {"q": answers})
    assert result == pytest.approx({"exact match": 100 * exact, "F1": 100 * f1})


def test_squad_2_by_hand():
    references = {"a": ["cat"], "b": ["the old cat"], "c": [], "d": []}
    predictions = {"a": "cat", "b": "cat", "c": "", "d": "cat"}
    assert values(predictions, references, "SQuAD 2.0") == pytest.approx(
        {
            "exact match": 50,
            "F1": 100 * (1 + 2 / 3 + 1 + 0) / 4,
            "exact match, answered": 50,
            "F1, answered": 100 * (1 + 2 / 3) / 2,
            "exact match, unanswered": 50,
            "F1, unanswered": 50,
        }
    )


def test_squad_2_without_unanswered_questions():
    result = values({"a": "the"}, {"a": ["a", "x"]}, "SQuAD 2.0")
    # "a" is no answer once articles are gone; "x" remains.
    assert result["F1"] == 0
    assert math.isnan(result["F1, unanswered"])
    # Where nothing remains, the empty answer is right, and the question has an answer all the same.
    result = values({"a": "", "b": "x"}, {"a": ["the"], "b": []}, "SQuAD 2.0")
    assert (result["F1, answered"], result["F1, unanswered"]) == (100, 0)


@pytest.mark.parametrize(
    ("prediction", "answers", "exact", "f1"),
    [
        ("北京。", ["北京"], 1, 1),
        ("北京市", ["北京"], 0, 2 * 2 / 5),
        # The longest run in common is 京市, though 北, 京, 市 are a common subsequence.
        ("北区京市", ["北京市"], 0, 2 * 2 / (4 + 3)),
        ("Keras 3 版", ["keras 3"], 0, 2 * 2 / (3 + 2)),
        ("上海", ["北京", "上海市"], 0, 2 * 2 / 5),
        ("", ["北京"], 0, 0),
        ("《》", ["。"], 1, 0),
    ],
)
def test_cmrc_by_hand(prediction, answers, exact, f1):
    result = values({"q": prediction}, {"q": answers}, "CMRC 2018")
    assert result == pytest.approx({"exact match": 100 * exact, "F1": 100 * f1})


@pytest.mark.parametrize(
    ("prediction", "answers", "exact", "f1"),
    [
        ("東京都", ["東京都千代田区"], 0, 2 * 3 / 10),
        ("「東京」", ["東京"], 1, 1),
        ("Keras 3 です", ["keras 3"], 0, 2 * 2 / (4 + 2)),
    ],
)
def test_answers_without_spaces_are_compared_by_character(prediction, answers, exact, f1):
    assert rules_for("jpn", is_answered=True) == "SQuAD 1.1, characters"
    assert rules_for("zh", is_answered=False) == "SQuAD 2.0, characters"
    for version in ("1.1", "2.0"):
        result = values({"q": prediction}, {"q": answers}, f"SQuAD {version}, characters")
        found = (result["exact match"], result["F1"])
        assert found == pytest.approx((100 * exact, 100 * f1))
    nothing = values({"q": ""}, {"q": []}, "SQuAD 2.0, characters")
    assert (nothing["exact match"], nothing["F1"]) == (100, 100)


def test_what_is_between_chinese_characters_is_cut_into_words():
    assert segment("他说don't，可以") == ["他", "说", "do", "n't", "可", "以"]
    assert segment("  ABC ") == ["abc"]
    assert segment("") == []
    assert without_punctuation(" A-B：「中」 ") == "ab中"


def test_other_letters_than_chinese_stand_in_words():
    assert segment("café 2018") == ["café", "2018"]


def test_a_missing_answer_counts_as_wrong():
    assert values({"a": "x"}, {"a": ["x"], "b": ["the"]})["exact match"] == 50
    # The official script of SQuAD 2.0 would have 100: it leaves the second question out.
    result = score({"a": ""}, {"a": [], "b": []}, "SQuAD 2.0")["F1"]
    assert (result.value, result.signature) == (50, "SQuAD 2.0|missing:wrong")


@pytest.mark.parametrize(
    ("file", "rules"),
    [
        ("xquad.en.json", "SQuAD 1.1"),
        ("xquad.en.json", "SQuAD 2.0"),
        ("xquad.zh.json", "CMRC 2018"),
    ],
)
def test_right_answers_have_full_marks_and_cut_ones_fewer(mirror, file, rules):
    references = answers_of(mirror / "xquad" / file)
    assert len(references) == 1190
    right = values({key: answers[0] for key, answers in references.items()}, references, rules)
    assert right["exact match"] == right["F1"] == 100
    cut = score({key: answers[0][1:] for key, answers in references.items()}, references, rules)
    assert cut["exact match"].value < cut["F1"].value < 100
    low, high = cut["F1"].interval
    assert low < cut["F1"].value < high


@pytest.mark.parity
def test_squad_1_is_that_of_torchmetrics(mirror):
    squad = pytest.importorskip(
        "torchmetrics.functional.text", reason="needs the parity extra: pip install -e .[parity]"
    ).squad
    answers = {
        key: answer for key, (answer,) in answers_of(mirror / "xquad" / "xquad.en.json").items()
    }
    # What is said is right, cut at its beginning or end, empty, or the answer to another question.
    predictions = {
        key: (answer, answer[2:], answer[5:], answer[:-4], "", previous)[k % 6]
        for k, ((key, answer), previous) in enumerate(
            zip(answers.items(), ["no", *answers.values()], strict=False)
        )
    }
    references = {key: [answer, answer.split()[-1]] for key, answer in answers.items()}
    means = {"exact match": [], "F1": []}
    for key, texts in references.items():
        theirs = squad(
            {"id": key, "prediction_text": predictions[key]},
            {"id": key, "answers": {"text": texts, "answer_start": [0, 0]}},
        )
        mine = values({key: predictions[key]}, {key: texts})
        for name, theirs_called in (("exact match", "exact_match"), ("F1", "f1")):
            expected = theirs[theirs_called].item() / 100
            assert mine[name] / 100 == pytest.approx(expected, abs=1e-6)
            means[name].append(expected)
    result = values(predictions, references)
    for name, each in means.items():
        assert result[name] / 100 == pytest.approx(np.mean(each), abs=1e-6)
    assert 100 / 6 < result["exact match"] < result["F1"] < 500 / 6


@pytest.mark.parametrize(
    ("predictions", "references", "rules", "message"),
    [
        ({}, {}, "SQuAD 1.1", "no questions"),
        ({"q2": "x"}, {"q1": ["x"]}, "SQuAD 1.1", "answer to 'q2', and no such question"),
        ({"q": "x"}, {"q": []}, "SQuAD 1.1", "'q' has no right answer; only SQuAD 2.0"),
        ({"q": "x"}, {"q": []}, "CMRC 2018", "'q' has no right answer; only SQuAD 2.0"),
        ({"q": "x"}, {"q": ["x"]}, "SQuAD", "no rules 'SQuAD'; there are SQuAD 1.1"),
    ],
)
def test_what_cannot_be_scored_is_refused(predictions, references, rules, message):
    with pytest.raises(InputError, match=message):
        question_answering.score(predictions, references, rules)


@pytest.mark.parametrize("metric", ["F1", "exact match"])
@pytest.mark.parametrize("seed", range(20))
def test_the_best_threshold_is_the_best_of_all(seed, metric):
    chance = np.random.default_rng(seed)
    keys = [str(n) for n in range(12)]
    words = ["a cat", "cat dog", "dog", ""]
    right = {key: [word] if (word := words[chance.integers(4)]) else [] for key in keys}
    said = {key: words[chance.integers(3)] for key in keys}
    scores = {key: float(chance.integers(6)) for key in keys}  # some alike

    def result(threshold):
        given = {key: text if scores[key] > threshold else "" for key, text in said.items()}
        return score(given, right, "SQuAD 2.0")[metric].value

    found = best_threshold(said, scores, right, metric)
    assert result(found) == pytest.approx(max(map(result, [-np.inf, *scores.values()])))
