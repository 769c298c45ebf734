import re

import pytest

from kerazoo.data.datasets import DataConfig, load
from kerazoo.errors import InputError


def corpus_of(name):
    return load(DataConfig(name=name), "dialogues")


@pytest.mark.parametrize(
    ("task", "dialogues", "replies"),
    [
        (1, [1_000, 1_000, 1_000], [6_024, 6_015, 5_936]),
        (4, [1_000, 1_000, 1_000], [3_507, 3_529, 3_498]),
        (6, [1_618, 500, 1_117], [14_404, 4_159, 11_237]),
    ],
)
def test_babi_has_its_dialogues_and_a_record_for_each_reply(mirror, task, dialogues, replies):
    corpus = corpus_of(f"dialog-babi-{task}")
    found = [list(records) for records in corpus.records.values()]
    assert [len({record["dialogue"] for record in split}) for split in found] == dialogues
    assert [len(split) for split in found] == replies
    assert all(all(record["history"]) and record["response"] for split in found for record in split)


def test_a_history_has_both_sides_and_the_facts_in_their_order(mirror):
    first, second, *_ = corpus_of("dialog-babi-1").records["train"]
    assert first["response"] == "hello what can i help you with today"
    assert second == {
        "dialogue": "1",
        "history": ["hi", first["response"], "can you book a table"],
        "response": "i'm on it",
    }
    with_facts = corpus_of("dialog-babi-4").records["train"].head(1)[0]
    assert len(with_facts["history"]) == 8
    assert with_facts["history"][1] == "resto_rome_moderate_spanish_1stars R_cuisine spanish"


def test_the_plain_text_of_babi_is_what_was_said(mirror):
    text = load(DataConfig(name="dialog-babi-4")).train.read()
    assert text.splitlines()[:2] == ["hi", "hello what can i help you with today"]
    assert "R_cuisine" not in text


def test_the_test_of_oov_is_another(mirror):
    seen, unseen = corpus_of("dialog-babi-1"), corpus_of("dialog-babi-1-oov")
    assert list(seen.records["train"]) == list(unseen.records["train"])
    assert len(unseen.records["test"]) == 6_020
    assert "bombay" not in unseen.test.read()


@pytest.mark.network
def test_chitchat_is_split_by_conversation_and_without_addresses_and_senders():
    try:
        corpus = corpus_of("chitchat")
    except InputError as error:
        pytest.skip(f"needs the wheel chitchat-dataset: {error}")
    seen = [{record["dialogue"] for record in records} for records in corpus.records.values()]
    assert len(set().union(*seen)) == sum(map(len, seen)) == 4_017
    for text in corpus.splits.values():
        assert not re.search(r"\w@\w+\.\w|[0-9a-f]{8}-[0-9a-f]{4}-4", text.read())
        assert not re.search(r"(?<![\w.])@[A-Za-z]\w\w", text.read())
    said = "".join(text.read() for text in corpus.splits.values())
    assert "insta <handle>" in said
    assert "8 9 10 11 12 13 14 15" in said
    first, second = corpus.records["train"].head(2)
    assert second["history"] == [*first["history"], first["response"]]
    assert max(len(record["history"]) for record in corpus.records["test"]) == 10
