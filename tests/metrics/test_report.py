import io
import json

import numpy as np
import pytest
from rich.console import Console

from kerazoo.errors import InputError
from kerazoo.metrics import classification, regression, report, translation
from kerazoo.metrics.report import Report
from kerazoo.metrics.score import Score, mean_score
from kerazoo.metrics.table import table as runs_table


def printed(table):
    text = io.StringIO()
    Console(file=text, width=140).print(table)
    return text.getvalue()


def test_a_system_has_its_scores_with_their_intervals():
    score = mean_score(np.arange(100) / 100)
    text = printed(report.table(report.compare(Report({"accuracy": score}))))
    low, high = score.interval
    assert f"accuracy  0.4950  {low:.4f} to {high:.4f}" in text
    assert "baseline" not in text


def test_two_systems_have_their_difference_and_its_p_value():
    said, other, right = ["a b c d e f"] * 30, ["a b c x e f"] * 30, ["a b c d e f"] * 30
    mine, theirs = (Report(translation.score(each, right)) for each in (said, other))
    lines = report.compare(mine, theirs, metrics=["ter", "bleu"])
    assert [line.name for line in lines] == ["TER", "BLEU"]
    text = printed(report.table(lines))
    assert f"{theirs.scores['BLEU'].value:.2f}" in text
    assert f"{100 - theirs.scores['BLEU'].value:+.2f}" in text
    remarks = "\n".join(report.remarks(lines))
    assert "BLEU: nrefs:1|" in remarks
    assert "1,000 draws of 30 examples; p: approximate randomization, 10,000 shuffles" in remarks


def test_each_test_is_told_with_the_scores_that_it_is_of():
    bleu = translation.score(["a b c d"] * 9, ["a b c d"] * 9)["BLEU"]
    both = Report({"accuracy": mean_score([0, 1, 1]), "BLEU": bleu})
    told = list(report.remarks(report.compare(both, both)))[-1]
    assert "p of accuracy: paired bootstrap" in told
    assert "p of BLEU: approximate randomization" in told


def test_a_score_that_the_baseline_lacks_stands_alone():
    score = mean_score([0, 1, 1])
    lines = report.compare(Report({"a": score, "b": score}), Report({"b": score}))
    assert lines[0].difference is None
    assert lines[1].difference.p_value == 1
    assert "a       0.6667" in printed(report.table(lines))
    assert "p: paired bootstrap" in list(report.remarks(lines))[-1]


def test_scores_that_are_no_numbers_are_dashes():
    score = mean_score([float("nan")] * 3)
    lines = report.compare(Report({"a": score}), Report({"a": score}))
    assert printed(report.table(lines)).split("\n")[3].split() == ["a"] + ["-"] * 7


def test_labels_are_shown_as_they_are():
    predictions, references = ["[/b]", "c", "c"], ["[/b]", "[/b]", "c"]
    lines = report.compare(classification.report(predictions, references), metrics=["f1-[/b]"])
    assert "F1 [/b]  0.6667" in printed(report.table(lines))
    classes = printed(report.class_table(classification.per_class(predictions, references)))
    matrix = printed(report.confusion_table(*classification.confusion(predictions, references)))
    assert "[/b]     1.0000  0.5000  0.6667  0.0000 to 1.0000   2" in classes
    assert "right \\ predicted  [/b]  c" in matrix


def test_labels_may_be_numbers():
    system = classification.report([1, 0, 0], [1, 1, 0])
    lines = report.compare(system, metrics=["f1-1"])
    shown = " ".join("".join(map(printed, report.parts(system, lines))).split())
    for part in ("F1 1 0.6667", "1 1.0000 0.5000", "right \\ predicted 0 1"):
        assert part in shown


def test_tables_of_any_width_are_shown_whole(capsys):
    rng = np.random.default_rng(0)
    right = rng.normal(0, 1e7, 60)
    mine, theirs = (Report(regression.score(right + error, right)) for error in (1e6, 3e7))
    labels = [f"a_label_with_a_long_name_{n}" for n in range(report.MOST_LABELS_SHOWN)]
    labelled = classification.report(labels, labels)
    report.show(report.parts(mine, report.compare(mine, theirs), theirs))
    report.show(report.parts(labelled, report.compare(labelled)))
    out = capsys.readouterr().out
    assert "…" not in out
    assert "MSE " in out
    assert "1000000000000  1000000000000 to 1000000000000  900000000000000" in out
    for label in labels:
        assert out.count(f"{label} ") == 3  # a class, a row and a column


def test_what_may_wrap_does_so_before_the_table_is_wider(capsys):
    words = "many words " * 30
    (width,) = {len(line) for line in report_lines(capsys, {"run": "a", "scored on": words})}
    assert width <= report.LEAST_WIDTH
    text = "".join(report_lines(capsys, {"run": "r" * 200, "scored on": words}))
    assert "r" * 200 in text
    assert text.count("many") == 30


def report_lines(capsys, row):
    report.show([runs_table([row])])
    return capsys.readouterr().out.rstrip("\n").split("\n")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1.5e-7, "0.0000001500"),
        (0.25, "0.2500"),
        (1234.5, "1234.5000"),
        (1234567.25, "1234567.2"),
        (1e12, "1000000000000"),
        (float("inf"), "inf"),
    ],
)
def test_large_numbers_have_fewer_decimals_and_small_ones_more(value, shown):
    assert report.shown(Score(value, np.zeros(3), num_examples=1)) == shown


def test_json_holds_what_the_tables_do():
    predictions, references = ["a", "b", "b"], ["a", "a", "b"]
    system = classification.report(predictions, references)
    lines = report.compare(system, system, metrics=["accuracy"])
    content = json.loads(json.dumps(report.to_json(lines, system, system)))
    assert content["examples"] == 3
    assert content["scores"].keys() == {"accuracy"}
    assert content["scores"]["accuracy"]["difference"]["p_value"] == 1
    assert content["classes"]["a"]["recall"]["value"] == 0.5
    assert content["classes"]["a"]["F1"]["difference"]["p_value"] == 1
    assert content["classes"]["a"]["support"] == 2
    assert "difference" not in report.to_json(lines, system)["classes"]["a"]["F1"]
    assert content["confusion"] == {"labels": ["a", "b"], "matrix": [[1, 1], [0, 1]]}
    assert "paired bootstrap" in content["scores"]["accuracy"]["difference"]["test"]
    assert "notes" not in content
    noted = Report(system.scores, notes=("One answer is missing.",))
    assert report.to_json(lines, system, noted)["notes"] == ["baseline: One answer is missing."]


@pytest.fixture
def two_systems():
    """Two systems on the same 60 examples; the second never says "b", and once "c"."""
    references = ["a", "b", "b"] * 20
    return (
        classification.report(["a", "b", "a"] * 20, references),
        classification.report([*["a"] * 59, "c"], references),
    )


def test_classes_have_the_difference_of_their_f1(two_systems):
    mine, theirs = two_systems
    difference = mine.classes["b"].f1.against(theirs.classes["b"].f1)
    low, high = difference.interval
    text = printed(report.class_table(mine.classes, theirs.classes))
    # F1 = 2 * 20 / (20 + 40), and 0.
    assert "baseline F1  difference" in text
    told = f"0.0000     +0.6667  {low:+.4f} to {high:+.4f}  {difference.p_value:.4f}  40"
    assert told in text
    lacking = printed(report.class_table(theirs.classes, mine.classes)).split("\n")
    assert next(line for line in lacking if " c " in line).split()[-5:] == ["-"] * 4 + ["0"]


def test_a_score_of_a_class_can_be_asked_for(two_systems):
    lines = report.compare(*two_systems, metrics=["f1-b", "recall-b", "f1-macro"])
    assert [line.name for line in lines] == ["F1 b", "recall b", "F1 macro"]
    assert lines[0].score is two_systems[0].classes["b"].f1
    assert lines[0].difference.value == pytest.approx(2 / 3)
    assert not any(line.name == "F1 b" for line in report.compare(*two_systems))
    with pytest.raises(InputError, match="of each label f1-LABEL, .*did you mean 'recall-b'"):
        report.compare(two_systems[0], metrics=["recal-b"])


def test_labels_that_differ_in_capitals_alone_are_asked_for_as_they_are():
    both = classification.report(["Spam", "spam"], ["Spam", "Spam"])
    (upper,), (lower,) = (report.compare(both, metrics=[f"f1-{s}pam"]) for s in "Ss")
    assert (upper.name, lower.name) == ("F1 Spam", "F1 spam")


def test_a_confusion_matrix_too_large_to_show_is_told():
    labels = [chr(ord("a") + n) for n in range(report.MOST_LABELS_SHOWN + 1)]
    for some in (labels, labels[1:]):
        result = classification.report(some, some)
        shown = list(report.parts(result, report.compare(result)))
        is_told = any("is not shown, as it has 13 labels" in str(part) for part in shown)
        assert is_told == (some is labels)


def test_an_unknown_score_is_refused_with_the_nearest_name():
    scores = {"F1 macro": mean_score([1, 0]), "exact match, answered": mean_score([1, 0])}
    with pytest.raises(InputError, match="'f1macro'; .*did you mean 'f1-macro'"):
        report.compare(Report(scores), metrics=["f1macro"])
    (line,) = report.compare(Report(scores), metrics=["Exact-Match-Answered"])
    assert line.name == "exact match, answered"
