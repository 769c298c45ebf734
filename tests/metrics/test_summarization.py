import json

import numpy as np
import pytest
from rouge_score import rouge_scorer

from kerazoo.errors import InputError
from kerazoo.metrics import summarization


@pytest.fixture
def dialogsum(mirror):
    """100 summaries of dialogues, each with two more as references."""
    lines = (mirror / "dialogsum" / "dialogsum.test.jsonl").read_text(encoding="utf-8").split("\n")
    examples = [json.loads(line) for line in lines[:100]]
    return (
        [example["summary1"] for example in examples],
        [[example["summary2"], example["summary3"]] for example in examples],
    )


def check(scores, predictions, references, stemmer=False):
    """Hold scores to what rouge-score says."""
    kinds = list(summarization.ROUGE.values())
    scorer = rouge_scorer.RougeScorer(kinds, use_stemmer=stemmer)
    several = [[each] if isinstance(each, str) else each for each in references]
    results = [scorer.score_multi(*pair) for pair in zip(several, predictions, strict=True)]
    for name, kind in summarization.ROUGE.items():
        for suffix in ("", " precision", " recall"):
            number = suffix.strip() or "fmeasure"
            expected = np.mean([getattr(result[kind], number) for result in results])
            assert scores[name + suffix].value == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("stemmer", [False, True])
def test_scores_are_those_of_rouge_score(dialogsum, stemmer):
    predictions, references = dialogsum
    scores = summarization.score(predictions, references, stemmer=stemmer)
    check(scores, predictions, references, stemmer)
    assert f"|stemmer:{'yes' if stemmer else 'no'}|" in scores["ROUGE-1"].signature


def test_chinese_is_compared_by_character_and_says_so(chinese):
    predictions, references = chinese
    score = summarization.score(predictions, references, "zh")["ROUGE-1"]
    # Two characters of three are there, and none that should not be: R = 2/3, P = 1, F1 = 0.8.
    assert 0.7 < score.value < 0.85
    assert "tok:characters" in score.signature
    plain = rouge_scorer.RougeScorer(["rouge1"]).score(references[0], references[0])
    assert plain["rouge1"].fmeasure == 0  # rouge-score by itself sees nothing there


def test_a_hand_computed_value_in_chinese():
    scores = summarization.score(["我爱北京"], ["我很爱北京。"], "zh")
    assert scores["ROUGE-1 precision"].value == 1
    assert scores["ROUGE-1 recall"].value == pytest.approx(4 / 5)
    assert scores["ROUGE-2"].value == pytest.approx(2 * 2 / (3 + 4))  # 爱北, 北京
    assert scores["ROUGE-L"].value == pytest.approx(8 / 9)


def test_accents_are_letters_outside_english():
    prediction, reference = ["mañana"], ["manana"]
    assert summarization.score(prediction, reference, "es")["ROUGE-1"].value == 0
    assert summarization.score(["МИР, труд"], ["мир труд"], "ru")["ROUGE-2"].value == 1
    assert summarization.UnicodeTokenizer().tokenize("हिन्दी भाषा") == ["हिन्दी", "भाषा"]


@pytest.mark.parametrize(
    ("language", "prediction", "reference", "expected"),
    [
        ("zh", "我爱北京", "我很爱北京。", 8 / 9),
        ("ru", "Кошка спит.", "кошка не спит", 4 / 5),
    ],
)
def test_what_is_not_in_latin_letters_needs_its_language(language, prediction, reference, expected):
    predictions, references = ["ok", prediction], ["ok", reference]
    scores = summarization.score(predictions, references, language)
    assert scores["ROUGE-L"].value == pytest.approx((1 + expected) / 2)
    with pytest.raises(
        InputError, match=f"'{reference}', like 1 of 2, has none of .* --data.language"
    ):
        summarization.score(predictions, references)
    assert summarization.score(["ok"] * 3, ["ok", "ok", reference])["ROUGE-L"].value > 0.6
    # What has no letters at all is no mistake, nor is one of several references.
    references = [["👍"], [reference, "ok"]]
    assert summarization.score(["ok", "ok"], references)["ROUGE-L"].value == 0.5


def test_new_lines_are_the_ends_of_sentences_for_lsum():
    scores = summarization.score(["b b.\na a."], ["a a.\nb b."])
    assert scores["ROUGE-L"].value == pytest.approx(0.5)
    assert scores["ROUGE-Lsum"].value == pytest.approx(1.0)


def test_sentences_end_at_their_marks_if_they_are_to_be_split(dialogsum):
    pair = ["b b. a a."], ["a a. b b."]
    assert summarization.score(*pair)["ROUGE-Lsum"].value == pytest.approx(0.5)
    scores = summarization.score(*pair, split=True)
    assert scores["ROUGE-L"].value == pytest.approx(0.5)
    assert scores["ROUGE-Lsum"].value == pytest.approx(1.0)
    assert "|sentences:after .!? and space, after 。！？, lines|" in scores["ROUGE-Lsum"].signature
    chinese = summarization.score(["天安门！？我爱北京。"], ["我爱北京。天安门"], "zh", split=True)
    assert chinese["ROUGE-Lsum"].value == 1

    predictions, references = dialogsum
    split, whole = (summarization.score(predictions, references, split=each) for each in (1, 0))
    for name in split:
        assert (split[name].value == whole[name].value) == ("Lsum" not in name)


def test_the_better_reference_counts():
    scores = summarization.score(["the cat"], [["a dog", "the cat"]])
    assert scores["ROUGE-2"].value == 1


@pytest.mark.parametrize(
    ("predictions", "references"),
    [
        (["", "the cat"], ["the cat", "the cat"]),
        (["the cat", "."], ["", "..."]),
        ([""], [""]),
        (["\n", "a\n\nb"], ["a\nb", "\n"]),
        (["the cat", ""], [["", "the cat"], ["", "a dog"]]),
    ],
)
def test_what_is_empty_scores_as_in_rouge_score(predictions, references):
    check(summarization.score(predictions, references), predictions, references)


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(InputError, match="2 predictions and 1 references"):
        summarization.score(["a", "b"], ["a"])
