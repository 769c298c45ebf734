import json

import pytest

from kerazoo.data.dataset import hash_of
from kerazoo.data.datasets import DataConfig, load
from kerazoo.data.own_files import in_bio, read
from kerazoo.data.records import TURNS_REMEMBERED
from kerazoo.errors import InputError

TURNS = "hi\nhello\nbye\n\ngood morning\nhello\n"
SQUAD = {
    "version": "v2.0",
    "data": [
        {
            "title": "Ann",
            "paragraphs": [
                {
                    "context": "Ann 😀 sat.",
                    "qas": [
                        {
                            "id": "1",
                            "question": "What did she do?",
                            "answers": [{"text": "sat", "answer_start": 6}],
                        },
                        {"id": "2", "question": "Why?", "answers": [], "is_impossible": True},
                    ],
                }
            ],
        }
    ],
}


@pytest.fixture
def put(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


LABELS = [{"text": 'Good, "very"\ngood', "label": "5"}, {"text": "Bad", "label": "1"}]


@pytest.mark.parametrize(
    ("name", "content", "columns"),
    [
        ("a.csv", 'text,label\n"Good, ""very""\ngood",5\nBad,1\n', ()),
        ("a.csv", '\ufeffid,stars,review\r\n1,5,"Good, ""very""\ngood"\r\n\r\n2, 1 ,Bad\r\n', "rs"),
        ("a.jsonl", lines({"text": LABELS[0]["text"], "label": 5}, LABELS[1]), ()),
        (
            "A.JSONL",
            lines({"stars": 5, "review": LABELS[0]["text"]}) + '{"stars":1,"review":"Bad"}',
            "rs",
        ),
    ],
)
def test_labels_come_from_tables_and_objects(name, content, columns, put):
    columns = ("review", "stars") if columns else ()
    assert read(put(name, content), "labels", columns) == LABELS


def test_a_tsv_has_no_quotes(put):
    path = put("a.tsv", 'label\ttext\nx\t"hm" he said\ny\tan " inch\n')
    assert [record["text"] for record in read(path, "labels")] == ['"hm" he said', 'an " inch']


PAIRS = [{"source": "Go.", "target": "Ve."}, {"source": "Hi", "target": "Hola"}]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "Go.\tVe.\n\nHi\tHola"),
        ("a.tsv", "Go.\tVe.\nHi\tHola\n"),
        ("a.tsv", "target\tsource\nVe.\tGo.\nHola\tHi\n"),
        ("a.csv", "source,target\nGo.,Ve.\nHi,Hola\n"),
        ("a.jsonl", lines(*PAIRS)),
    ],
)
def test_pairs_come_with_and_without_names(name, content, put):
    assert read(put(name, content), "pairs") == PAIRS


def test_the_target_is_the_first_reference(put):
    path = put("a.jsonl", lines({"source": "Hi", "target": "b", "references": ["a", "b"]}))
    assert read(path, "pairs") == [{"source": "Hi", "target": "b", "references": ["b", "a"]}]


@pytest.mark.parametrize(
    ("given", "in_bio_2"),
    [
        ("I-PER I-PER O I-LOC", "B-PER I-PER O B-LOC"),
        ("I-PER B-PER I-PER I-LOC", "B-PER B-PER I-PER B-LOC"),
        ("B-PER I-PER O B-LOC", "B-PER I-PER O B-LOC"),
        ("NN VB O", "NN VB O"),
    ],
)
def test_iob1_becomes_bio_and_bio_stays(given, in_bio_2):
    assert in_bio(given.split()) == in_bio_2.split()


def test_tags_come_from_the_first_and_last_column(put):
    path = put("a.conll", "-DOCSTART- X O\n\nNew NNP I-LOC\nYork NNP I-LOC\n\nAnn\tNNP\tB-PER\n")
    expected = [
        {"tokens": ["New", "York"], "tags": ["B-LOC", "I-LOC"]},
        {"tokens": ["Ann"], "tags": ["B-PER"]},
    ]
    assert read(path, "tags") == expected
    assert read(put("a.jsonl", lines(*expected)), "tags") == expected


def test_questions_come_in_squads_format(put):
    assert read(put("a.json", json.dumps(SQUAD)), "questions") == [
        {
            "id": "1",
            "question": "What did she do?",
            "context": "Ann 😀 sat.",
            "answers": [{"text": "sat", "start": 6}],
        },
        {"id": "2", "question": "Why?", "context": "Ann 😀 sat.", "answers": []},
    ]


def test_each_turn_but_the_first_is_a_response(put):
    assert read(put("a.txt", TURNS), "dialogues") == [
        {"dialogue": "1", "history": ["hi"], "response": "hello"},
        {"dialogue": "1", "history": ["hi", "hello"], "response": "bye"},
        {"dialogue": "5", "history": ["good morning"], "response": "hello"},
    ]
    path = put("a.jsonl", lines({"history": ["hi"], "response": "hello"}))
    assert read(path, "dialogues") == [{"dialogue": "1", "history": ["hi"], "response": "hello"}]


def squad(**fields):
    content = json.loads(json.dumps(SQUAD))
    content["data"][0]["paragraphs"][0]["qas"][0].update(fields)
    return json.dumps(content)


@pytest.mark.parametrize(
    ("kind", "name", "content", "message"),
    [
        ("labels", "a.csv", "", "has no labels in it; give a table"),
        ("labels", "a.csv", "text,label\n", "has no labels in it; give a table"),
        (
            "labels",
            "a.csv",
            "txt,label\nx,y\n",
            "line 1 has no column 'text', and its columns are txt, label; .*did you mean 'txt'",
        ),
        ("labels", "a.csv", "text,label\nx,y\nz\n", "line 3 has 1 columns, and line 1 has 2"),
        ("labels", "a.csv", 'text,label\n"x\nx",y\nz,\n', "line 4 has nothing in 'label'"),
        ("labels", "a.csv", 'text,label\nx,y\n"z,y\n', "line 3 is no row of a CSV file"),
        ("labels", "a.csv", "text,label\nx, \n", "line 2 has nothing in 'label'"),
        ("labels", "a.csv", "label,text,label\ny,x,z\n", "line 1 has 2 columns 'label'; give each"),
        ("labels", "a.csv", b"text,label\nx,\xff\n", "line 2 is not UTF-8"),
        ("labels", "a.csv", b"text,label\nx,\0\n", "line 2 has a zero byte"),
        ("labels", "a.xlsx", "x", "ends with .xlsx, which is no file of labels; give a table"),
        ("labels", "a", "x", "has no ending, which is no file of labels"),
        ("labels", "a.jsonl", '{"text": "x", "label": "y"}\n{"text": "x"\n', "line 2 is not JSON"),
        ("labels", "a.jsonl", "[1]\n", "line 1 is no object"),
        ("labels", "a.jsonl", "[" * 100_000, "line 1 is not JSON"),
        (
            "labels",
            "a.jsonl",
            '\n{"text": "x", "lable": "y"}\n',
            "line 2 has no 'label', and its keys are text, lable; .*did you mean",
        ),
        ("labels", "a.jsonl", '{"text": "x", "label": null}\n', "line 1 has nothing in 'label'"),
        ("labels", "a.jsonl", '{"text": 7, "label": "y"}\n', "line 1: 'text' is no text"),
        ("labels", "a.jsonl", '{"text": "\\ud800", "label": "y"}\n', "line 1: 'text' is no text"),
        ("labels", "a.jsonl", '{"text": "\\u0000", "label": "y"}\n', "line 1: 'text' is no text"),
        (
            "pairs",
            "a.txt",
            "a\tb\nno tab\n",
            "line 2 of .*a.txt, 'no tab', is no pair; give a source and a target",
        ),
        ("pairs", "a.txt", "a\tb\n\tb\n", "line 2 has nothing in 'source'"),
        ("pairs", "a.txt", "\n\n", "has no pairs in it; give a source and a target"),
        (
            "pairs",
            "a.tsv",
            "en\tes\tid\na\tb\t1\n",
            "no column 'source', and its columns are en, es, id",
        ),
        (
            "pairs",
            "a.jsonl",
            '{"source": "a", "target": "b", "references": [1]}\n',
            "'references' is no list",
        ),
        ("tags", "a.conll", "Ann B-PER\nsat\n", "line 2 has no token with a tag"),
        (
            "tags",
            "a.jsonl",
            '{"tokens": ["a"], "tags": ["O", "O"]}\n',
            "line 1 has 1 tokens and 2 tags",
        ),
        ("tags", "a.jsonl", '{"tokens": "a", "tags": "O"}\n', "'tokens' is no list of texts"),
        ("tags", "a.conll", "-DOCSTART- O\n", "has no tags in it"),
        ("questions", "a.txt", "x", "ends with .txt, which is no file of questions; give a .json"),
        ("questions", "a.json", '{\n"data": [}', "line 2 is not JSON"),
        ("questions", "a.json", '{"questions": []}', "not in SQuAD's format"),
        ("questions", "a.json", '{"data": []}', "has no questions in it"),
        (
            "questions",
            "a.json",
            squad(answers=[{"text": "sat", "answer_start": 5}]),
            "question '1': at character 5 of the context stands ' sa', not the answer 'sat'",
        ),
        (
            "questions",
            "a.json",
            squad(answers=[{"text": "sat", "answer_start": "6"}]),
            "question '1' has an answer without a text and its answer_start",
        ),
        (
            "questions",
            "a.json",
            squad(question=None),
            "question '1' has a question or context that is no text",
        ),
        ("questions", "a.json", squad(id="2"), "question '2' is there twice"),
        (
            "dialogues",
            "a.csv",
            "x",
            "ends with .csv, which is no file of dialogues; give a turn a line",
        ),
        ("dialogues", "a.txt", "hi\n\nhello\n", "has no dialogues in it"),
        (
            "dialogues",
            "a.jsonl",
            '{"history": [], "response": "x"}\n',
            "line 1: 'history' is no list of texts",
        ),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_its_place(kind, name, content, message, put):
    path = put(name, content)
    with pytest.raises(InputError, match=message) as refusal:
        read(path, kind)
    assert str(path) in str(refusal.value)


@pytest.mark.parametrize(
    ("kind", "name", "columns", "message"),
    [
        (
            "labels",
            "a.csv",
            ("one",),
            "--data.columns is one; for labels, give the columns of text and label",
        ),
        ("questions", "a.json", ("one",), "for questions, give none"),
        ("pairs", "a.txt", ("one", "two"), "goes with a .csv, .tsv or .jsonl file"),
        ("labels", "a.csv", ("one", "two"), "no column 'one'"),
    ],
)
def test_columns_that_do_not_fit_are_refused(kind, name, columns, message, put):
    with pytest.raises(InputError, match=message):
        read(put(name, "text,label\nx,y\n"), kind, columns)


def texts_of(corpus):
    """Return the distinct texts of training and validation."""
    return [{record["text"] for record in records} for records in corpus.records.values()]


def labelled(numbers, form="text {}"):
    """Return the content of a table: a text for each number."""
    return "text,label\n" + "".join(f"{form.format(n)},{n // 200}\n" for n in numbers)


def test_a_tenth_of_your_own_records_is_for_validation_whatever_their_order(put):
    path = put("a.csv", labelled(range(400)))
    corpus = load(DataConfig(text=path), "labels")
    train, validation = texts_of(corpus)
    assert len(train) + len(validation) == 400
    assert 25 <= len(validation) <= 55
    assert {record["label"] for record in corpus.records["validation"]} == {"0", "1"}
    assert (corpus.name, corpus.kind, corpus.languages) == (str(path), "labels", ())
    put("a.csv", labelled(reversed(range(400))))
    assert texts_of(load(DataConfig(text=path), "labels")) == [train, validation]


def test_an_example_stays_where_it_is_when_others_come(put):
    path = put("a.csv", labelled(range(400)))
    train, validation = texts_of(load(DataConfig(text=path), "labels"))
    put("a.csv", labelled(range(-100, 500)))
    now_train, now_validation = texts_of(load(DataConfig(text=path), "labels"))
    assert train < now_train
    assert validation < now_validation


# Numbers whose texts have no low hash.
LATE = [n for n in range(60) if hash_of(json.dumps(f"text {n}"))[0] > 25][:40]


def test_of_a_few_examples_at_least_one_in_twenty_is_for_validation(put):
    for few in range(2, 9):
        corpus = load(DataConfig(text=put("a.csv", labelled(range(few)))), "labels")
        train, validation = texts_of(corpus)
        assert 1 <= len(validation) < len(train) + 1
    corpus = load(DataConfig(text=put("a.csv", labelled(LATE))), "labels")
    assert [len(texts) for texts in texts_of(corpus)] == [38, 2]


def test_cleaning_changes_nothing_in_what_is_held_out(put):
    path = put("a.csv", labelled(range(100), "<b>Text {}</b>"))
    (_, validation), (_, cleaned) = (
        texts_of(load(DataConfig(text=path, cleaning=cleaning), "labels"))
        for cleaning in ((), ("html", "lowercase"))
    )
    assert {text.removeprefix("<b>").removesuffix("</b>").lower() for text in validation} == cleaned


@pytest.mark.parametrize("rare", [("Rare!", "rare!"), ("<p>", "rare")])
def test_a_label_keeps_an_example_to_learn_from_after_cleaning(put, rare):
    for more in range(30):  # whichever of the two is held out
        rows = [(f"text {n}", n % 2) for n in range(more, 40)] + [(text, "r") for text in rare]
        path = put("a.csv", "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
        records = load(DataConfig(text=path, cleaning=("html", "lowercase")), "labels").records
        assert "r" in {record["label"] for record in records["train"]}


def test_a_long_group_at_the_beginning_is_for_training(put):
    turns = ["a", "b"] * 15
    path = put("a.txt", "\n".join([*turns, "", "c", "d"]))
    train, validation = load(DataConfig(text=path), "dialogues").records.values()
    assert [record["response"] for record in validation] == ["d"]
    assert len(train) == 29


def test_a_text_of_which_cleaning_leaves_nothing_is_scored_and_not_learnt_from(put):
    train, held_out = (put(name, "text,label\n<p>,x\na,y\n") for name in ("a.csv", "b.csv"))
    data = DataConfig(text=train, validation=held_out, cleaning=("html",))
    corpus = load(data, "labels")
    assert [len(records) for records in corpus.records.values()] == [1, 2]
    assert corpus.records["validation"].head(1) == [{"text": "", "label": "x"}]


def test_each_label_keeps_a_text_for_training(put):
    labels = [*(f"rare {n}" for n in range(20)), *("20" for n in range(20))]
    rows = [f"text {n},{label}\n" for n, label in enumerate(labels)]
    rows += ["text 0,20\n", "text 1,rare 0\n"]
    records = load(DataConfig(text=put("a.csv", "text,label\n" + "".join(rows))), "labels").records
    assert {record["label"] for record in records["train"]} == set(labels)
    train, validation = ({record["text"] for record in each} for each in records.values())
    assert (len(train), len(validation)) == (38, 2)
    assert not train & validation

    lone = put("b.csv", "text,label\nx,1\ny,1\nz,one\n")
    records = load(DataConfig(text=lone), "labels").records
    assert [record["label"] for record in records["validation"]] == ["1"]
    with pytest.raises(InputError, match="or one of each label, too few to keep one"):
        load(DataConfig(text=put("c.csv", "text,label\nx,1\ny,one\n")), "labels")


def test_numbers_that_differ_are_no_labels_to_keep(put):
    def held_out(label):
        rows = "".join(f"text {n},{label(n)}\n" for n in range(40))
        records = load(DataConfig(text=put("a.csv", "text,label\n" + rows)), "labels").records
        return [record["text"] for record in records["validation"]]

    alike = held_out(lambda n: "alike")
    assert len(alike) == 3
    assert held_out(lambda n: -n / 7) == alike  # all of them differ
    assert held_out(lambda n: n % 30 / 10) == alike  # some are the only one of their kind
    assert held_out(lambda n: n % 30) == alike


def test_many_classes_may_be_called_by_numbers(put):
    first = min(range(231), key=lambda n: hash_of(json.dumps(f"text {n}")))
    rows = "".join(f"text {n},{99 if n == first else n % 77}\n" for n in range(231))
    records = load(DataConfig(text=put("a.csv", "text,label\n" + rows)), "labels").records
    assert len({record["label"] for record in records["train"]}) == 78


@pytest.mark.parametrize("swap", [False, True])
def test_equal_texts_of_your_own_stay_together(put, swap):
    rows = [(f"{'Tt'[n % 2]}ext {n % 15}", str(n)) for n in range(60)]
    path = put("a.tsv", "".join("\t".join(row[:: -1 if swap else 1]) + "\n" for row in rows))
    config = DataConfig(text=path, swap=swap, cleaning=("lowercase",))
    splits = load(config, "pairs").records
    train, validation = ({record["source"] for record in splits[name]} for name in splits)
    assert len(train) + len(validation) == 15
    assert validation
    assert not train & validation


def test_a_long_dialogue_remembers_its_last_turns(put):
    records = read(put("a.txt", "".join(f"{n}\n" for n in range(30))), "dialogues")
    assert records[-1]["history"] == [str(n) for n in range(29 - TURNS_REMEMBERED, 29)]


def test_a_dialogue_is_not_cut_in_two(put):
    corpus = load(DataConfig(text=put("a.txt", TURNS + "well\nthen\n")), "dialogues")
    assert [len(records) for records in corpus.records.values()] == [3, 2]


def test_dialogues_and_paragraphs_stay_together_wherever_they_stand(put):
    turns = [{"dialogue": n % 10, "history": [f"{n}"], "response": "x"} for n in range(100)]
    content = json.loads(json.dumps(SQUAD))
    paragraphs = [
        {"context": f"Ann {n % 10}", "qas": [{"id": str(n), "question": "?", "answers": []}]}
        for n in range(100)
    ]
    content["data"][0]["paragraphs"] = paragraphs
    for kind, path, field, last in (
        ("dialogues", put("a.jsonl", lines(*turns)), "dialogue", "9"),
        ("questions", put("a.json", json.dumps(content)), "context", "Ann 9"),
    ):
        records = load(DataConfig(text=path), kind).records
        assert [record[field] for record in records["validation"]] == [last] * 10
        assert last not in {record[field] for record in records["train"]}
        assert len(records["train"]) == 90


def test_most_of_the_turns_are_learnt_from_whatever_dialogue_they_are_in(put):
    turns = lambda n: "".join(f"turn {i} of {n}\n" for i in range(n))  # noqa: E731
    for text in (turns(4) + "\n" + turns(60), turns(60) + "\n" + turns(4)):
        splits = load(DataConfig(text=put("a.txt", text)), "dialogues").records
        assert [len(splits[name]) for name in ("train", "validation")] == [59, 3]


def test_a_single_dialogue_has_to_be_parted(put):
    path = put("a.txt", "".join(f"{n}\n" for n in range(31)))
    records = load(DataConfig(text=path), "dialogues").records
    assert [record["response"] for record in records["validation"]] == ["28", "29", "30"]


def test_your_own_validation_file_leaves_the_records_whole(put):
    train, validation = put("a.tsv", "Go.\tVe.\n"), put("b.csv", "source,target\nHi,Hola\n")
    corpus = load(DataConfig(text=train, validation=validation, swap=True), "pairs")
    assert list(corpus.records["train"]) == [{"source": "Ve.", "target": "Go."}]
    assert list(corpus.records["validation"]) == [{"source": "Hola", "target": "Hi"}]


def test_your_own_records_are_cleaned_and_a_changed_file_is_read_anew(put):
    config = DataConfig(text=put("a.txt", "GO\tVE\nHI\tHOLA\n"), cleaning=("lowercase",))
    go, hi, ah = (
        {"source": source, "target": target}
        for source, target in (("go", "ve"), ("hi", "hola"), ("ah", "ay"))
    )
    found = [each for split in load(config, "pairs").records.values() for each in split]
    assert (go in found, hi in found) == (True, True)
    put("a.txt", "AH\tAY\nHI\tHOLA\n")
    found = [each for split in load(config, "pairs").records.values() for each in split]
    assert (go in found, ah in found) == (False, True)


def test_one_example_is_too_few_to_split(put):
    with pytest.raises(InputError, match="has one example, or only equal ones"):
        load(DataConfig(text=put("a.txt", "a\tb\n")), "pairs")


def test_a_file_that_is_not_there_or_a_folder_is_refused(put, tmp_path):
    put("mine.csv", "x")
    with pytest.raises(InputError, match="there is no file .*did you mean 'mine.csv'"):
        load(DataConfig(text=tmp_path / "mine.cvs"), "labels")
    with pytest.raises(InputError, match="is a folder; give a file"):
        load(DataConfig(text=tmp_path), "labels")
