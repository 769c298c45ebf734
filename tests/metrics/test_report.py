import io
import json

import numpy as np
import pytest
from rich.console import Console

from kerazoo.errors import InputError
from kerazoo.metrics import classification, report, translation
from kerazoo.metrics.report import Report
from kerazoo.metrics.score import mean_score


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
