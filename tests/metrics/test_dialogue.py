import gzip

import pytest

from kerazoo.errors import InputError
from kerazoo.metrics import dialogue, translation


@pytest.fixture
def restaurant(mirror):
    """The answers of 60 dialogues, and of which dialogue each is."""
    path = mirror / "dialog-babi" / "dialog-babi-task1tst.txt.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        blocks = file.read().strip().split("\n\n")[:60]
    answers, dialogues = [], []
    for number, block in enumerate(blocks):
        for line in block.split("\n"):
            answers.append(line.split("\t")[1])
            dialogues.append(number)
    return answers, dialogues


def test_one_wrong_answer_spoils_its_dialogue_alone(restaurant):
    references, dialogues = restaurant
    predictions = ["", *references[1:]]
    scores = dialogue.score(predictions, references, dialogues)
    assert scores["response accuracy"].value == pytest.approx(1 - 1 / len(references))
    assert scores["dialogue accuracy"].value == pytest.approx(1 - 1 / 60)
    assert {score.num_examples for score in scores.values()} == {60}
    right = dialogue.score(references, references, dialogues)
    assert right["dialogue accuracy"].value == right["response accuracy"].value == 1


def test_bleu_is_that_of_all_answers(restaurant):
    references, dialogues = restaurant
    predictions = [answer.replace("price", "cost") for answer in references]
    scores = dialogue.score(predictions, references, dialogues)
    expected = translation.score(predictions, references, metrics=["BLEU"])["BLEU"]
    assert scores["BLEU"].value == pytest.approx(expected.value, abs=1e-6)
    assert scores["BLEU"].signature == expected.signature
    assert scores["BLEU"].against(scores["BLEU"]).p_value == 1


def test_a_dull_system_varies_less(restaurant):
    references, dialogues = restaurant
    dull = dialogue.score(["i'm on it"] * len(references), references, dialogues)
    lively = dialogue.score(references, references, dialogues)
    assert dull["distinct-1"].value < lively["distinct-1"].value
    assert dull["distinct-2"].against(lively["distinct-2"]).p_value < 0.01


def test_draws_are_of_dialogues():
    # Two dialogues, one all right, one all wrong: drawn twice the same in half of the draws.
    said = ["yes"] * 50 + ["no"] * 50
    scores = dialogue.score(said, ["yes"] * 100, ["x"] * 50 + ["y"] * 50)
    assert scores["response accuracy"].interval == (0, 1)


def test_one_of_several_answers_is_right_whatever_the_spaces():
    scores = dialogue.score(["so  be it "], [["no", "so be it"]], [0])
    assert scores["response accuracy"].value == 1


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(InputError, match="2 predictions, and dialogues for 1"):
        dialogue.score(["a", "b"], ["a", "b"], [0])
    with pytest.raises(InputError, match="2 predictions and 1 references"):
        dialogue.score(["a", "b"], ["a"], [0, 0])


def test_pairs_of_words_lie_within_responses():
    scores = dialogue.score(["hello you", "hello", "hello you"], ["x"] * 3, [0, 0, 1])
    assert scores["distinct-1"].value == 2 / 5
    assert scores["distinct-2"].value == 1 / 2
