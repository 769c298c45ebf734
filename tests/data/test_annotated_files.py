import json
from pathlib import Path

import pytest

from kerazoo.data import annotated_files as files
from kerazoo.errors import InputError


@pytest.fixture
def write(tmp_path):
    def write(content, name="file.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("a\nb\n", ["a", "b"]),
        ("a\nb", ["a", "b"]),
        ("a\n\n", ["a", ""]),
        ("", []),
        ("a\r\nb\r\n", ["a", "b"]),
        ("\ufeffa\n", ["a"]),
        ("a\u2028b\x0cc\x85\n中文 🙂\n", ["a\u2028b\x0cc\x85", "中文 🙂"]),
    ],
)
def test_lines_end_with_line_feeds_alone(write, content, lines):
    assert files.read_lines(write(content)) == lines


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"good\nna\xefve\n", "line 2 is not UTF-8 text .* at its byte 3"),
        ("中文\n".encode("gb18030"), "line 1 is not UTF-8"),
        ("text\n".encode("utf-16"), "line 1 is not UTF-8"),
        (b"a\nb\0\n", "line 2 has a zero byte"),
    ],
)
def test_a_wrong_encoding_is_told_with_its_line(write, content, message):
    with pytest.raises(InputError, match=f"file.txt {message}"):
        files.read_lines(write(content))


def test_a_file_that_is_not_there_is_told(write, tmp_path):
    write("", "references.txt")
    for wrong, hint in (("refrences.txt", "; did you mean 'references.txt'?"), ("none", ".")):
        with pytest.raises(InputError) as told:
            files.read_lines(tmp_path / wrong)
        message = f"{tmp_path / wrong} is no file; give the path of a text file in UTF-8{hint}"
        assert str(told.value) == message
    with pytest.raises(InputError, match="is no file"):
        files.read_lines(tmp_path / "no folder" / "none.txt")
    with pytest.raises(InputError, match="is a folder"):
        files.read_lines(tmp_path)


def test_labels_may_have_confidences(write):
    assert files.read_labels(write("ham\nspam\n")) == (["ham", "spam"], [])
    assert files.read_labels(write("ham\t0.5\nspam\t1\n")) == (["ham", "spam"], [0.5, 1.0])
    assert files.read_labels(write("not spam \n ham\n")) == (["not spam", "ham"], [])
    assert files.read_labels(write("ham \t1\nspam\t1\n"))[0] == ["ham", "spam"]


@pytest.mark.parametrize("second", ["spam", "spam\t1.5", "spam\tx", "spam\t0.5\t0.5", "spam\tnan"])
def test_a_line_without_a_confidence_among_others_is_refused(write, second):
    with pytest.raises(InputError, match="line 2 has no confidence from 0 to 1"):
        files.read_labels(write(f"ham\t0.5\n{second}\n"))


def test_numbers_are_read_and_others_refused(write):
    assert files.read_numbers(write("1\n-2.5e3\n 0 \n")) == [1, -2500, 0]
    for wrong in ("x", "", "nan", "inf", "1 2"):
        with pytest.raises(InputError, match=f"line 2 is '{wrong}'; give one number"):
            files.read_numbers(write(f"1\n{wrong}\n"))


def test_sentences_are_read_with_their_lines(write):
    path = write("\n# O\nA B-x\n \t \n\na b\tO\tO\n")
    first, second = files.read_sentences(path)
    assert [row.columns for row in first] == [("#", "O"), ("A", "B-x")]
    assert [row.line for row in first] == [2, 3]
    assert second == [files.Row(6, ("a b", "O", "O"))]


def test_the_beginnings_of_documents_are_no_sentences(write):
    path = write("-DOCSTART- -X- O O\n\nA B-x\n-DOCSTART- O\n\n-DOCSTART-\tO\nb O\n")
    assert files.read_sentences(path) == [
        [files.Row(3, ("A", "B-x")), files.Row(4, ("-DOCSTART-", "O"))],
        [files.Row(7, ("b", "O"))],
    ]


def test_real_sentences_are_read(mirror):
    sentences = files.read_sentences(mirror / "wnut17" / "emerging.test.annotated")
    assert len(sentences) == 1287
    assert {len(row.columns) for sentence in sentences for row in sentence} == {2}


def test_real_questions_are_read(mirror):
    questions = files.read_questions(mirror / "xquad" / "xquad.zh.json")
    assert len(questions.answers) == 1190
    assert not questions.is_version_2


def squad(version="1.1", **question):
    question = {"id": "q", "question": "?", "answers": [{"text": "x"}], **question}
    return json.dumps({"version": version, "data": [{"paragraphs": [{"qas": [question]}]}]})


@pytest.mark.parametrize(
    ("content", "answers", "is_version_2"),
    [
        (squad(), ("x",), False),
        (squad("v2.0"), ("x",), True),
        (squad(2), ("x",), True),
        (squad("2018.06"), ("x",), False),
        (squad(answers=[]), (), True),
        (squad(is_impossible=True), (), True),
        (squad(is_impossible=False), ("x",), False),
    ],
)
def test_questions_may_have_no_answer(write, content, answers, is_version_2):
    questions = files.read_questions(write(content))
    assert questions.answers == {"q": answers}
    assert questions.is_version_2 == is_version_2


def test_two_questions_with_one_id_are_refused(write):
    content = json.loads(squad())
    content["data"] *= 2
    with pytest.raises(InputError, match="file.txt has two questions with the id 'q'"):
        files.read_questions(write(json.dumps(content)))


def test_an_answer_to_no_question_is_named_with_both_files():
    path, gold_path = Path("a.json"), Path("gold.json")
    files.check_ids(path, ["who-1"], gold_path, ["who-1", "why-2"])
    message = "a.json has an answer to 'why', and gold.json no such .*did you mean 'why-2'"
    with pytest.raises(InputError, match=message):
        files.check_ids(path, ["who-1", "why"], gold_path, ["who-1", "why-2"])


def test_written_texts_are_read_without_their_prompts(write):
    objects = [
        {"prompt": "To be", "text": "To be or\nnot", "continuation": " or\nnot"},
        {"prompt": None, "text": "\nTo be", "continuation": "To be"},
        {"prompt": "hi", "text": "hi there"},  # of a dialogue
        {"text": ""},
    ]
    lines = [json.dumps(each) for each in objects]
    texts = files.read_written(write("\n\n".join(lines)))
    assert texts == [" or\nnot", "To be", "hi there", ""]
    for wrong in ("text", '{"prompt": "a", "label": "b"}', '"text"', '{"text": 1}', "[1]"):
        with pytest.raises(InputError, match="file.txt line 2 is no object with a text"):
            files.read_written(write(f"{lines[0]}\n{wrong}\n"))


@pytest.mark.parametrize(
    ("read", "content", "message"),
    [
        (files.read_questions, '{\n"data": [}', "line 2 is not JSON"),
        (files.read_questions, "{}", "is not in SQuAD's format"),
        (files.read_questions, "[]", "is not in SQuAD's format"),
        (files.read_questions, squad(answers="x"), "is not in SQuAD's format"),
        (files.read_questions, squad(answers=[{"text": None}]), "answer to 'q' that is no text"),
        (files.read_answers, '["a"]', "has no answers by id"),
        (files.read_answers, '{"q": 3}', "answer to 'q' that is no text"),
        (files.read_answers, "", "line 1 is not JSON"),
    ],
)
def test_other_json_is_refused(write, read, content, message):
    with pytest.raises(InputError, match=message):
        read(write(content))


def test_the_first_missing_line_is_named():
    a, b = Path("a.txt"), Path("b.txt")
    files.check_as_many(a, ["x"], b, ["y"])
    with pytest.raises(InputError, match="a.txt has 1 lines and b.txt 3: a.txt has no line 2"):
        files.check_as_many(a, ["x"], b, ["y"] * 3)
    with pytest.raises(InputError, match="b.txt has no line 2"):
        files.check_as_many(a, ["x"] * 3, b, ["y"])


def test_an_unknown_label_is_named_with_its_line():
    path = Path("a.txt")
    files.check_labels(path, [(1, "ham")], ["ham", "spam"])
    message = "a.txt line 7 has the label 'spma', and the labels are ham, spam; .*'spam'"
    with pytest.raises(InputError, match=message):
        files.check_labels(path, [(7, "spma")], ["ham", "spam"])
    with pytest.raises(InputError, match="the labels are none; if it is right, name all"):
        files.check_labels(path, [(1, "x")], [])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("A O\nb O\n\nd O\n", "line 4 has 'd' where .*gold.txt line 4 has 'c'"),
        ("A O\n\nc O\n", "line 1 has 1 tokens in .*file.txt and 2 in .*gold.txt"),
        ("A O\nb O\n", "gold.txt line 4 has 0 tokens in .*file.txt and 1 in .*gold.txt"),
        ("A O\nb O\n\nc O\n\nd O\n", "file.txt line 6 has 1 tokens in .*file.txt and 0 in"),
    ],
)
def test_sentences_that_differ_are_told_with_their_lines(write, content, message):
    gold_path = write("A O\nb O\n\nc O\n", "gold.txt")
    gold = files.read_sentences(gold_path)
    path = write(content)
    with pytest.raises(InputError, match=message):
        files.check_same(path, files.read_sentences(path), gold_path, gold, 0)


def test_a_file_of_tags_alone_has_no_tokens_to_compare(write):
    gold_path, path = write("A O\nb B-x\n", "gold.txt"), write("O\nO\n")
    pair = files.read_sentences(path), files.read_sentences(gold_path)
    files.check_same(path, pair[0], gold_path, pair[1], 0)
