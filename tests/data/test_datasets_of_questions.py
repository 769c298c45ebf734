import json

import pytest

from kerazoo.data import datasets
from kerazoo.data.datasets import DataConfig, load


@pytest.mark.parametrize("name", ["xquad-en", "xquad-zh"])
def test_xquad_is_split_by_article_and_answers_are_where_they_say(mirror, name):
    corpus = load(DataConfig(name=name), "questions")
    found = {split: list(records) for split, records in corpus.records.items()}
    assert [len(records) for records in found.values()] == [1_002, 97, 91]
    contexts = [{record["context"] for record in records} for records in found.values()]
    assert len(set().union(*contexts)) == sum(map(len, contexts)) == 240
    for records in found.values():
        for record in records:
            for answer in record["answers"]:
                start = answer["start"]
                assert record["context"][start:].startswith(answer["text"])


def test_both_languages_have_the_same_questions_in_each_split(mirror):
    en, zh = (load(DataConfig(name=f"xquad-{language}"), "questions") for language in ("en", "zh"))
    for split in datasets.SPLITS:
        ids = [[record["id"] for record in one.records[split]] for one in (en, zh)]
        assert ids[0] == ids[1]


def squad(titles, **fields):
    question = {"question": "Who?", "answers": [{"text": "Ann", "answer_start": 3}], **fields}
    context = "So Ann sat. Ann!"
    return {
        "data": [
            {
                "title": title,
                "paragraphs": [{"context": context, "qas": [{"id": title, **question}]}],
            }
            for title in titles
        ]
    }


def write(path, content):
    path.write_text(json.dumps(content))
    return path


def test_squad_holds_out_articles_of_the_training_set(tmp_path):
    train = write(tmp_path / "train.json", squad(map(str, range(40))))
    dev = write(tmp_path / "dev.json", squad(["dev"]))
    splits = datasets.find("squad-1.1").prepare(train, dev)
    assert {split: len(records) for split, records in splits.items()} == {
        "train": 38,
        "validation": 2,
        "test": 1,
    }
    assert splits["test"][0]["id"] == "dev"


@pytest.mark.parametrize(("said", "is_at"), [(3, 3), (5, 3), (11, 12), (13, 12), (None, None)])
def test_an_answer_in_the_wrong_place_is_put_right(said, is_at, tmp_path):
    answers = [{"text": "Ann", "answer_start": 3}, {"text": "Ann", "answer_start": said}]
    if said is None:
        answers.insert(0, {"text": "Bob", "answer_start": 0})
        del answers[2]
    dev = write(tmp_path / "dev.json", squad(["a"], answers=answers))
    (question,) = datasets.find("cmrc2018").prepare(dev, dev)["test"]
    assert [answer["start"] for answer in question["answers"]] == [3, is_at]


def test_an_answer_that_is_nowhere_is_scored_and_not_learnt(tmp_path):
    content = squad(map(str, range(40)), answers=[{"text": "Bob", "answer_start": 0}])
    path = write(tmp_path / "squad.json", content)
    splits = datasets.find("squad-1.1").prepare(path, path)
    assert splits["train"] == splits["validation"] == []
    assert len(splits["test"]) == 40
    assert splits["test"][0]["answers"] == [{"text": "Bob", "start": None}]


def test_a_question_without_an_answer_has_none(tmp_path):
    wrong = squad(["a"], is_impossible=True, answers=[])
    dev = write(tmp_path / "dev.json", wrong)
    (question,) = datasets.find("squad-2.0").prepare(dev, dev)["test"]
    assert question["answers"] == []
