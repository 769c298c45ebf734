import pytest

from kerazoo.data import records
from kerazoo.data.records import Records, plain_text
from kerazoo.errors import InputError

EXAMPLES = {
    "labels": {"text": "Good\nfood", "label": "positive"},
    "pairs": {"source": "Go.", "target": "Ve."},
    "tags": {"tokens": ["New", "York"], "tags": ["B-LOC", "I-LOC"]},
    "questions": {
        "id": "1",
        "question": "Who?",
        "context": "Ann sat.",
        "answers": [{"text": "Ann", "start": 0}],
    },
    "dialogues": {"dialogue": "1", "history": ["a fact", "hi"], "response": "hello"},
}


def test_each_kind_has_its_plain_text():
    assert {kind: list(plain_text(record, kind)) for kind, record in EXAMPLES.items()} == {
        "labels": ["Good food"],
        "pairs": ["Go.", "Ve."],
        "tags": ["New York"],
        "questions": ["Who?", "Ann sat."],
        "dialogues": ["hi", "hello"],
    }


@pytest.mark.parametrize("kind", EXAMPLES)
def test_records_come_back_as_they_were_written(kind, tmp_path):
    written = [EXAMPLES[kind]] * 3
    records.write(tmp_path, "train", written, kind)
    found = Records(tmp_path / "train.jsonl", kind)
    assert list(found) == written
    assert (len(found), found.head(2)) == (3, written[:2])
    assert len(found.sha256()) == 64


def test_what_unicode_takes_for_a_line_end_stays_in_a_record(tmp_path):
    record = {"text": "one\u2028two\x85three\r\nfour", "label": "x"}
    records.write(tmp_path, "train", [record, record], "labels")
    found = Records(tmp_path / "train.jsonl", "labels")
    assert (list(found), len(found)) == ([record, record], 2)


def test_a_context_of_several_questions_is_once_in_the_plain_text(tmp_path):
    questions = [EXAMPLES["questions"] | {"question": question} for question in ("Who?", "Why?")]
    records.write(tmp_path, "train", questions, "questions")
    assert (tmp_path / "train.txt").read_text() == "Who?\nAnn sat.\nWhy?\n"


def test_the_plain_text_of_a_dialogue_is_the_dialogue(tmp_path):
    turns = ["hi", "hello", "bye", "see you"]
    replies = [
        {"dialogue": "1", "history": turns[:end], "response": turns[end]} for end in (1, 2, 3)
    ]
    records.write(tmp_path, "train", replies, "dialogues")
    assert (tmp_path / "train.txt").read_text().splitlines() == turns


def test_cleaning_runs_on_the_texts_of_a_record_and_not_on_its_label():
    raw = [{"text": "<b>OK</b>\n<i>YES</i>", "label": "<B>"}, {"text": "<p>", "label": "x"}]
    cleaned = list(records.cleaned(raw, "labels", ("html", "lowercase")))
    assert cleaned == [{"text": "ok\nyes", "label": "<B>"}]
    reply = {"dialogue": "A", "history": ["A", "B"], "response": "C"}
    assert list(records.cleaned([reply], "dialogues", ("lowercase",))) == [
        {"dialogue": "A", "history": ["a", "b"], "response": "c"}
    ]


def test_an_answer_goes_with_the_turn_that_it_answers():
    replies = [{"history": ["Where to?", "<br>"], "response": "Sorry?"}]
    assert list(records.cleaned(replies, "dialogues", ("html",))) == []


@pytest.mark.parametrize(
    ("kind", "record", "cleaned"),
    [
        ("labels", {"text": "<p>", "label": "x"}, {"text": "", "label": "x"}),
        (
            "pairs",
            {"source": "<p>a", "target": "<p>", "references": ["<p>", "b"]},
            {"source": "a", "target": "", "references": ["b"]},
        ),
        (
            "dialogues",
            {"history": ["<p>", "a", "<p>"], "response": "b"},
            {"history": ["a", ""], "response": "b"},
        ),
    ],
)
def test_what_is_held_out_stays_where_cleaning_leaves_nothing_of_it(kind, record, cleaned):
    assert list(records.cleaned([record], kind, ("html",), held_out=True)) == [cleaned]


@pytest.mark.parametrize(
    ("kind", "step", "message"),
    [
        ("tags", "nfc", "tags cannot be cleaned .*tokens must stay"),
        ("questions", "nfc", "questions cannot be cleaned .*the places of answers must stay"),
        ("labels", "near_duplicates", "near_duplicates is for plain text, not for labels"),
    ],
)
def test_cleaning_that_would_break_records_is_refused(kind, step, message):
    with pytest.raises(InputError, match=message):
        records.check_steps((step,), kind)


def test_swapped_pairs_have_all_their_references():
    pairs = [{"source": "a", "target": "b", "references": ["b", "c"]}]
    pairs.append({"source": "d", "target": "c", "references": ["c"]})
    assert list(records.swapped(pairs, held_out=True)) == [
        {"source": "b", "target": "a", "references": ["a"]},
        {"source": "c", "target": "a", "references": ["a", "d"]},
    ]
    assert list(records.swapped(pairs)) == [
        {"source": "b", "target": "a"},
        {"source": "c", "target": "d"},
    ]
    assert list(records.swapped([{"source": "a", "target": "b"}])) == [
        {"source": "b", "target": "a"}
    ]
