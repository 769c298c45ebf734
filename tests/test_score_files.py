"""Scoring files that other programs wrote, as from the command line."""

import gzip
import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kerazoo import score_files
from kerazoo.errors import InputError

ROOT = Path(__file__).parents[1]


def without_some_words(texts, share, seed=0):
    chance = random.Random(seed)
    return [" ".join(word for word in text.split() if chance.random() > share) for text in texts]


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write lines to a file of the current folder, and return its name."""
    monkeypatch.chdir(tmp_path)

    def write(name, lines):
        text = lines if isinstance(lines, str) else "".join(f"{line}\n" for line in lines)
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
        return name

    return write


@pytest.fixture
def run(write, capsys):
    """Run the command; return what it prints and its JSON."""

    def run(line, *more):
        arguments = [*f"--task {line}".split(), *more]
        score_files.main([*arguments, "--json", "scores.json"])
        return capsys.readouterr().out, json.loads(Path("scores.json").read_text(encoding="utf-8"))

    return run


@pytest.fixture
def spanish(write, mirror):
    """200 Spanish sentences and two systems' translations: ref.txt, a.txt, b.txt."""
    with gzip.open(mirror / "anki-spa-eng" / "spa.txt.gz", "rt", encoding="utf-8") as file:
        references = [line.split("\t")[1] for line in file.read().split("\n")[60_000:60_200]]
    write("ref.txt", references)
    write("a.txt", without_some_words(references, 0.05))
    write("b.txt", without_some_words(references, 0.2))


def test_translations_are_scored_as_by_sacrebleu(spanish, run):
    from sacrebleu.metrics import BLEU

    out, content = run("translation --predictions a.txt --references ref.txt --language es")
    predictions, references = (
        Path(name).read_text(encoding="utf-8").split("\n")[:-1] for name in ("a.txt", "ref.txt")
    )
    expected = BLEU().corpus_score(predictions, [references]).score
    score = content["scores"]["BLEU"]
    assert score["value"] == pytest.approx(expected, abs=1e-6)
    low, high = score["interval"]
    assert f"BLEU    {expected:.2f}  {low:.2f} to {high:.2f}" in out
    assert score["signature"] in out
    assert list(content["scores"]) == ["BLEU", "chrF", "chrF++", "TER"]
    assert content["examples"] == 200


def test_several_references_are_given_in_one_go_or_one_by_one(spanish, run):
    start = "translation --predictions a.txt --metrics bleu "
    one = run(start + "--references ref.txt b.txt")
    other = run(start + "--references ref.txt --references b.txt")
    assert one == other
    assert one[1]["references"] == ["ref.txt", "b.txt"]
    assert "nrefs:var" in one[0]  # b.txt has nothing left of some short sentences


def test_a_blank_line_in_one_of_several_files_is_no_reference(write, run):
    from sacrebleu.metrics import BLEU, CHRF, TER

    predictions = ["a b c d", "e f g h", "the cat sat on the mat"]
    first = ["a b c x", "e f g", "the cat sat on a mat"]
    second = ["", "e f g h", " "]
    for name, lines in (("a.txt", predictions), ("ref.txt", first), ("other.txt", second)):
        write(name, lines)
    files = "--predictions a.txt --references ref.txt other.txt"
    _, content = run(f"translation {files}")
    values = {name: score["value"] for name, score in content["scores"].items()}
    # 1, 0 and 1 edits, of 4, (3 + 4) / 2 and 6 words.
    assert values["TER"] == pytest.approx(100 * 2 / (4 + 3.5 + 6))
    references = [first, [text.strip() or None for text in second]]
    theirs = {"BLEU": BLEU(), "chrF": CHRF(), "chrF++": CHRF(word_order=2), "TER": TER()}
    for name, metric in theirs.items():
        expected = metric.corpus_score(predictions, references).score
        assert values[name] == pytest.approx(expected, abs=1e-6)
    _, content = run(f"summarization {files}")
    assert content["scores"]["ROUGE-1 recall"]["value"] == pytest.approx((3 / 4 + 1 + 5 / 6) / 3)


def test_two_systems_stand_side_by_side(spanish, run):
    out, content = run(
        "translation --predictions a.txt --baseline b.txt --references ref.txt --metrics bleu"
    )
    score = content["scores"]["BLEU"]
    difference = score["value"] - score["baseline"]["value"]
    assert score["difference"]["value"] == pytest.approx(difference)
    assert f"{difference:+.2f}" in out
    assert score["difference"]["p_value"] < 0.01
    assert "p: approximate randomization" in out


def test_chinese_summaries_are_scored_by_character(write, run):
    write("ref.txt", ["我爱北京。\\n天安门"])
    write("a.txt", ["天安门\\n我爱北京"])
    out, content = run("summarization --predictions a.txt --references ref.txt --language zh")
    assert content["scores"]["ROUGE-Lsum"]["value"] == 1
    assert content["scores"]["ROUGE-L"]["value"] < 1
    assert content["scores"]["ROUGE-L"]["interval"] is None
    assert "tok:characters" in out


def test_labels_are_scored_with_each_class_and_the_confusion_matrix(write, run, mirror):
    lines = (mirror / "sms-spam" / "sms.tsv").read_text(encoding="utf-8").split("\n")
    right = [line.split("\t")[0] for line in lines if line][:1000]
    chance = random.Random(0)
    write("ref.txt", right)
    write("a.txt", [label if chance.random() > 0.1 else "spam" for label in right])
    out, content = run("classification --predictions a.txt --references ref.txt")
    matrix = content["confusion"]["matrix"]
    assert content["confusion"]["labels"] == ["ham", "spam"]
    accuracy = (matrix[0][0] + matrix[1][1]) / 1000
    assert content["scores"]["accuracy"]["value"] == pytest.approx(accuracy)
    assert content["classes"]["spam"]["recall"]["value"] == 1
    assert f"accuracy            {accuracy:.4f}" in out
    assert f"ham                {matrix[0][0]}" in out


def test_two_classifiers_are_compared_class_by_class(write, run):
    write("ref.txt", ["ham", "spam", "spam"] * 20)
    write("a.txt", ["ham", "spam", "ham"] * 20)
    write("b.txt", ["ham"] * 60)
    line = "classification --predictions a.txt --references ref.txt --baseline b.txt"
    out, content = run(line + " --metrics f1-spam")
    (name,) = content["scores"]
    assert name == "F1 spam"
    assert content["scores"][name]["difference"]["value"] == pytest.approx(2 / 3)
    assert content["scores"][name] == content["classes"]["spam"]["F1"]
    assert out.count("+0.6667") == 2  # among the scores, and among the classes


def test_confidences_behind_the_labels_give_the_calibration_error(write, run):
    write("ref.txt", ["a", "a", "b"])
    write("a.txt", ["a\t0.9", "b\t0.6", "b\t0.9"])
    _, content = run("classification --predictions a.txt --references ref.txt")
    expected = (2 * 0.1 + 0.6) / 3
    assert content["scores"]["calibration error"]["value"] == pytest.approx(expected)
    write("sure.txt", ["a\t1", "a\t1", "b\t1"])
    _, again = run("classification --predictions a.txt --references sure.txt")
    assert again["scores"] == content["scores"]


def test_labels_that_the_references_lack_can_be_named(write, run):
    write("ref.txt", ["a", "b"])
    write("a.txt", ["a", "c"])
    line = "classification --predictions a.txt --references ref.txt"
    with pytest.raises(InputError, match="a.txt line 2 has the label 'c', and the labels are a, b"):
        run(line)
    _, content = run(line, "--labels", "a", "b", "c")
    assert content["scores"]["accuracy"]["value"] == 0.5


def test_numbers_are_scored(write, run):
    write("ref.txt", [1, 2, 3, 4])
    write("a.txt", [1.5, 2.5, 3.5, 4.5])
    out, content = run("regression --predictions a.txt --references ref.txt --metrics mae pearson")
    assert content["scores"]["MAE"]["value"] == 0.5
    assert content["scores"]["Pearson"]["value"] == pytest.approx(1)
    assert "MSE" not in out


@pytest.fixture
def tweets(write, mirror):
    """Tweets with right and predicted tags in one file, and in two: both.txt, ref.txt, a.txt."""
    chance = random.Random(0)
    text = (mirror / "wnut17" / "emerging.test.annotated").read_text(encoding="utf-8")
    lines = [line.split("\t")[:2] for line in text.split("\n")[:3000]]
    lines = [pair if len(pair) == 2 and pair[1] else None for pair in lines]
    rows = [pair and (*pair, "O" if chance.random() < 0.2 else pair[1]) for pair in lines]
    for name, columns in (("ref.txt", [0, 1]), ("a.txt", [0, 2]), ("both.txt", [0, 1, 2])):
        write(name, ["\t".join(row[k] for k in columns) if row else "" for row in rows])


def test_tags_are_scored_from_one_file_or_two(tweets, run):
    _, one = run("tagging --predictions both.txt")
    out, two = run("tagging --predictions a.txt --references ref.txt")
    assert one["scores"] == two["scores"]
    assert one["classes"] == two["classes"]
    assert 0.5 < two["scores"]["F1"]["value"] < 0.9
    assert "scheme:IOB2|mode:default, as conlleval" in out
    _, strict = run("tagging --predictions both.txt --strict")
    assert strict["scores"]["precision"]["value"] > one["scores"]["precision"]["value"]


def test_two_taggers_are_compared_on_the_same_tokens(tweets, write, run):
    lines = Path("both.txt").read_text(encoding="utf-8")
    write("b.txt", lines)
    _, content = run("tagging --predictions both.txt --baseline b.txt")
    assert content["scores"]["F1"]["difference"] == {
        "value": 0,
        "interval": [0, 0],
        "p_value": 1,
        "test": "paired bootstrap, 1,000 draws",
    }
    write("b.txt", lines.replace("B-person\tO\n", "B-group\tO\n", 1))
    with pytest.raises(InputError, match=r"b.txt line \d+ has 'B-group' where both.txt line"):
        run("tagging --predictions both.txt --baseline b.txt")


def test_answers_are_scored_by_the_rules_of_their_language(write, run, mirror):
    for language, rules in (("en", "SQuAD 1.1"), ("zh", "CMRC 2018")):
        path = mirror / "xquad" / f"xquad.{language}.json"
        answers = {
            question["id"]: question["answers"][0]["text"]
            for article in json.loads(path.read_text(encoding="utf-8"))["data"]
            for paragraph in article["paragraphs"]
            for question in paragraph["qas"]
        }
        answers.popitem()
        write("a.json", json.dumps(answers))
        out, content = run(f"qa --predictions a.json --references {path} --language {language}")
        assert content["scores"]["F1"]["value"] == pytest.approx(100 * 1189 / 1190)
        assert rules in out
        note = "a.json has no answer to 1 of the questions, which count as wrong."
        assert note in out
        assert content["notes"] == [note]
        write("a.json", json.dumps({**answers, "x": "y"}))
        with pytest.raises(InputError, match="a.json has an answer to 'x', and .* no such"):
            run(f"qa --predictions a.json --references {path} --language {language}")


def test_questions_without_an_answer_make_it_squad_2(write, run):
    questions = [
        {"id": "a", "answers": [{"text": "cat"}], "is_impossible": False},
        {"id": "b", "answers": [], "is_impossible": True},
    ]
    data = [{"paragraphs": [{"qas": questions}]}]
    write("ref.json", json.dumps({"version": "v2.0", "data": data}))
    write("a.json", '{"a": "the cat", "b": "dog"}')
    out, content = run("qa --predictions a.json --references ref.json")
    assert content["scores"]["exact match, answered"]["value"] == 100
    assert content["scores"]["exact match, unanswered"]["value"] == 0
    assert "SQuAD 2.0" in out
    out, _ = run("qa --predictions a.json --references ref.json --language zh")
    assert "SQuAD 2.0, characters" in out
    write("a.json", '{"a": "the cat"}')
    out, content = run("qa --predictions a.json --references ref.json")
    assert content["scores"]["F1"]["value"] == 50
    assert "wrong; the official script of SQuAD 2.0 leaves them out of its means." in out


def test_responses_are_scored_by_dialogue(write, run):
    write("ref.txt", ["hello", "where to ?", "", "which day ?", "goodbye", ""])
    write("a.txt", ["hello", "where  to ?", "", "which price ?", "goodbye", ""])
    write("other.txt", ["hi", "where ?", "", "which price ?", "bye", ""])
    _, content = run("dialogue --predictions a.txt --references ref.txt")
    assert content["scores"]["response accuracy"]["value"] == 0.75
    assert content["scores"]["dialogue accuracy"]["value"] == 0.5
    assert content["examples"] == 2
    _, content = run("dialogue --predictions a.txt --references ref.txt other.txt")
    assert content["scores"]["dialogue accuracy"]["value"] == 1
    write("silent.txt", ["hello", "", "", "which day ?", "", ""])
    write("other.txt", ["hi", "", "", "which price ?", "", ""])
    _, content = run("dialogue --predictions silent.txt --references ref.txt other.txt")
    assert content["scores"]["response accuracy"]["value"] == 0.5  # a blank is no other answer
    # A dialogue ends where all files are blank, whichever of them is the first.
    write("some.txt", ["", "where to ?", "", "which day ?", "", ""])
    _, content = run("dialogue --predictions a.txt --references some.txt ref.txt")
    assert content["scores"]["response accuracy"]["value"] == 0.75
    assert content["examples"] == 2


@pytest.mark.parametrize(
    ("task", "name", "right", "wrong"),
    [
        ("regression", "MAE", "1\n2\n3\n", "2\n4\n6\n"),
        ("summarization", "ROUGE-1", "a b\nc d\ne f\n", "a x\nc\ne f g\n"),
        ("dialogue", "response accuracy", "a\n\nb\n\nc\n", "a\n\nx\n\ny\n"),
        ("generation", "distinct-1", "a b\nc d\ne f\n", "a a\na b\na a\n"),
        ("qa", "F1", '{"x": "a", "y": "b"}', '{"x": "a", "y": "c d"}'),
    ],
)
def test_any_task_has_a_baseline(write, run, task, name, right, wrong):
    write("a", right)
    write("b", wrong)
    questions = [{"id": key, "answers": [{"text": text}]} for key, text in ("xa", "yb")]
    write("squad", json.dumps({"data": [{"paragraphs": [{"qas": questions}]}]}))
    references = {"generation": "", "qa": "--references squad"}.get(task, "--references a")
    out, content = run(f"{task} --predictions a --baseline b {references}")
    score = content["scores"][name]
    difference = score["value"] - score["baseline"]["value"]
    assert difference != 0
    assert score["difference"]["value"] == pytest.approx(difference)
    assert 0 < score["difference"]["p_value"] <= 1
    assert f"{difference:+.4f}"[:5] in out


@pytest.mark.parametrize("task", ["translation", "summarization", "dialogue", "generation", "qa"])
def test_a_language_without_spaces_must_be_named(write, run, task):
    write("a", ["我爱北京2024年。", "3", "好 OK"])
    if task == "qa":
        questions = [{"id": "q", "answers": [{"text": "北京"}]}]
        write("ref", json.dumps({"data": [{"paragraphs": [{"qas": questions}]}]}))
        write("a", '{"q": "北京"}')
        line = "qa --predictions a --references ref"
    else:
        line = f"{task} --predictions a" + (" --references a" if task != "generation" else "")
    with pytest.raises(InputError, match="would be scored as English; .* such as zh"):
        run(line)
    run(f"{line} --language zh")
    if task not in ("qa", "summarization"):  # ROUGE refuses Cyrillic, too
        write("a", ["Это не китайский.", "a 好"])
        run(line)


@pytest.mark.parametrize("option", ["--stemmer", "--strict", "--scheme IOB1", "--language zh"])
def test_options_of_other_tasks_are_refused(option, write):
    write("a.txt", ["1"])
    line = f"regression --predictions a.txt --references a.txt {option}"
    with pytest.raises(InputError, match=f"{option.split()[0]} is for --task .* is regression"):
        score_files.main(["--task", *line.split()])


def test_an_empty_response_is_a_wrong_one(write, run):
    write("ref.txt", ["hello", "where to ?"])
    write("a.txt", ["hello", ""])
    _, content = run("dialogue --predictions a.txt --references ref.txt")
    assert content["scores"]["response accuracy"]["value"] == 0.5


def test_made_up_texts_are_scored_without_references(write, run):
    write("a.txt", ["so it is so it is so it is", "so it\\ngoes"])
    write("learnt.txt", ["so it", "goes on"])
    _, content = run("generation --predictions a.txt")
    assert list(content["scores"]) == ["repetition", "distinct-1", "distinct-2", "self-BLEU"]
    out, content = run("generation --predictions a.txt --training learnt.txt")
    assert content["scores"]["longest copy"]["value"] == (len("so it") + len("so it\ngoes")) / 2
    assert "characters" in out


def test_texts_of_several_lines_are_scored_as_they_were_written(write, run):
    texts = ["so it is so it is so it is", "so it\ngoes\n"]
    write("a.txt", [text.replace("\n", "\\n") for text in texts])
    objects = [{"prompt": "SO", "text": f"so{text}", "continuation": text} for text in texts]
    write("a.jsonl", map(json.dumps, objects))
    write("learnt.txt", ["so it", "goes on"])
    _, lines = run("generation --predictions a.txt --training learnt.txt")
    _, objects = run("generation --predictions a.jsonl --training learnt.txt")
    assert objects["scores"] == lines["scores"]


@pytest.mark.parametrize(
    ("line", "files", "message"),
    [
        (
            "dialogue --predictions a --references b",
            {"a": "x\ny\nz\n", "b": "x\n\nz\n"},
            "a line 2 has a response where b ends a dialogue",
        ),
        (
            "generation --predictions a --baseline b",
            {"a": "x\ny\n", "b": "x\n"},
            "b has 1 lines and a 2: b has no line 2",
        ),
        ("dialogue --predictions a", {"a": "x\n"}, "--references is missing"),
        ("generation --predictions a --references a", {"a": "x\n"}, "no text is the right one"),
        ("translation --predictions a --training a", {"a": "x\n"}, "for --task generation"),
        ("generation --predictions a", {"a": ""}, "no examples"),
        ("generation --predictions a.jsonl", {"a.jsonl": "x\n"}, "a.jsonl line 1 is no object"),
        ("translation --predictions a", {"a": "x\n"}, "--references is missing"),
        (
            "translation --predictions a --references b",
            {"a": "x\n", "b": "x\ny\n"},
            "a has 1 lines and b 2: a has no line 2",
        ),
        (
            "translation --predictions a --references b c",
            {"a": "x\n", "b": "x\n", "c": "x\ny\n"},
            "c has 2 lines and b 1: b has no line 2",
        ),
        (
            "translation --predictions a --references b --baseline c",
            {"a": "x\n", "b": "x\n", "c": ""},
            "c has 0 lines and b 1",
        ),
        ("translation --predictions a --references b", {"a": "", "b": ""}, "no examples"),
        (
            "translation --predictions a --references b --metrics blue",
            {"a": "x\n", "b": "x\n"},
            "--metrics has 'blue'; .*did you mean 'bleu'",
        ),
        (
            "translation --predictions a --references refs",
            {"a": "x\n", "ref": "x\n"},
            "refs is no file; .*did you mean 'ref'",
        ),
        (
            "translation --predictions a --references b --language klingon",
            {"a": "x\n", "b": "x\n"},
            "'klingon'; give its code",
        ),
        (
            "classification --predictions a --references b c",
            {"a": "x\n", "b": "x\n", "c": "x\n"},
            "--references has 2 files; give one",
        ),
        (
            "classification --predictions a --references b --labels y",
            {"a": "x\n", "b": "x\n"},
            "b line 1 has the label 'x', and the labels are y",
        ),
        (
            "classification --predictions a --references b",
            {"a": "x\nx\n", "b": "x\n\n"},
            "b line 2 has no label; give each line one",
        ),
        (
            "translation --predictions a --references b",
            {"a": "x\ny\n", "b": "x\n \n"},
            "b line 2 has no reference; give each line one",
        ),
        ("regression --predictions a --references b", {"a": "1\nx\n", "b": "1\n2\n"}, "a line 2"),
        ("tagging --predictions a", {"a": "Hi\n"}, "a line 1 has one column"),
        ("tagging --predictions a", {"a": "Hi O\n"}, "a line 1: 'Hi' is no tag of IOB2"),
        ("tagging --predictions a", {"a": "Hi O O\nBo O X\n"}, "a line 2: 'X' is no tag"),
        ("tagging --predictions a", {"a": "Bo O E-x\n"}, "give the --scheme .* IOB1 or IOBES"),
        (
            "tagging --predictions a --references b",
            {"a": "Bo B-persn\n", "b": "Bo B-person\n"},
            "a line 1 has the label 'persn'.*did you mean 'person'",
        ),
        (
            "tagging --predictions a --references b",
            {"a": "Hi O\n\nBo O\n", "b": "Hi O\n\nJo O\n"},
            "a line 3 has 'Bo' where b line 3 has 'Jo'",
        ),
        ("tagging --predictions a", {"a": ""}, "no examples"),
        ("qa --predictions a --references b", {"a": "{}", "b": "{}"}, "not in SQuAD's format"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_one_sentence(write, line, files, message):
    for name, text in files.items():
        write(name, text)
    with pytest.raises(InputError, match=f"(?s){message}"):
        score_files.main(f"--task {line}".split())


def test_a_wrong_encoding_is_told_with_its_line(write):
    write("ref.txt", "x\ny\n")
    Path("a.txt").write_bytes(b"x\n\xff\n")
    with pytest.raises(InputError, match="a.txt line 2 is not UTF-8"):
        score_files.main(
            ["--task", "translation", "--predictions", "a.txt", "--references", "ref.txt"]
        )


def command(*arguments):
    return subprocess.run(
        [sys.executable, str(ROOT / "evaluate.py"), "files", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def test_the_command_scores_and_refuses(write):
    write("ref.txt", ["hello world"] * 3)
    write("a.txt", ["hello world"] * 2)
    line = ["--task", "translation", "--predictions", "a.txt", "--references", "ref.txt"]
    outcome = command(*line)
    assert outcome.returncode == 2
    assert outcome.stderr.startswith("kerazoo: a.txt has 2 lines and ref.txt 3")
    assert outcome.stderr.count("\n") == 1
    write("a.txt", ["hello world"] * 3)
    outcome = command(*line)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert "chrF" in outcome.stdout


def test_help_comes_at_once_and_without_tensorflow():
    begin = time.perf_counter()
    outcome = command("--help")
    assert time.perf_counter() - begin < 10  # about one; machines in tests are busy
    assert "--predictions" in outcome.stdout
    code = (
        "import sys\n"
        "from kerazoo import evaluate\n"
        "try: evaluate.main(['files', '--help'])\n"
        "except SystemExit: pass\n"
        "slow = {'tensorflow', 'keras', 'scipy', 'sklearn', 'sacrebleu', 'nltk'}\n"
        "print(sorted(slow & set(sys.modules)))"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert outcome.stdout.split("\n")[-2] == "[]"


def test_scoring_needs_no_tensorflow(write):
    write("a.txt", ["x"] * 2)
    code = (
        "import sys\n"
        "from kerazoo import evaluate\n"
        "line = 'files --predictions a.txt --references a.txt --task '\n"
        "for task in ('translation', 'summarization', 'classification'):\n"
        "    evaluate.main((line + task).split())\n"
        "print('tensorflow' in sys.modules)"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert outcome.stdout.split("\n")[-2] == "False", outcome.stderr
