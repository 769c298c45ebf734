"""The scores of runs of every task, in one table and side by side."""

import csv
import json
from dataclasses import replace

import pytest

import kerazoo
from kerazoo import baselines, evaluate
from kerazoo.data.datasets import DataConfig
from kerazoo.errors import InputError
from kerazoo.models.sampling import Sampling
from kerazoo.tasks.translation import Translation
from kerazoo.tests.every_task.small_tasks import TASKS, recipe_of
from kerazoo.train import train

pytestmark = pytest.mark.usefixtures("without_xla")


def test_the_table_sets_apart_what_cannot_be_compared(finished, tmp_path, capsys):
    folders = [str(finished[task]) for task in TASKS]
    files = ["--json", f"{tmp_path}/scores.json", "--csv", f"{tmp_path}/scores.csv"]
    evaluate.main([*folders, *files, "--chart", f"{tmp_path}/chart.png"])
    out = capsys.readouterr().out
    assert "do not compare with the loss and perplexity" in " ".join(out.split())
    rows = {row["run"]: row for row in json.loads((tmp_path / "scores.json").read_text())}
    assert set(rows) == set(TASKS)
    assert 0 < rows["continuation"]["bits/byte"] < 4
    assert rows["masked"]["pseudo-perplexity"] > 1
    assert 0 <= rows["pairs"]["exact match"] <= 100
    assert "bits/byte" not in rows["masked"]
    for task, name in {
        "translation": "BLEU",
        "summarization": "ROUGE-L",
        "dialogue": "response accuracy",
        "classification": "accuracy",
        "regression": "MSE",
        "tagging": "F1",
        "questions": "exact match",
    }.items():
        score = rows[task]["details"]["scores"][name]
        assert score["value"] == rows[task][name]
        assert score["interval"][0] <= score["value"] <= score["interval"][1]
    assert "confusion" in rows["classification"]["details"]
    assert "95 %: bootstrap" not in out  # not without --report
    with open(tmp_path / "scores.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(TASKS)


def test_runs_without_a_use_for_an_option_are_passed_over(finished, tmp_path, capsys):
    capsys.readouterr()
    folders = [str(finished["pairs"]), str(finished["tagging"])]
    evaluate.main([*folders, "--beams", "2", "--json", f"{tmp_path}/scores.json"])
    assert "tagging is passed over: --beams 2 is for runs that turn" in capsys.readouterr().out
    (row,) = json.loads((tmp_path / "scores.json").read_text())
    assert row["run"] == "pairs"


def test_all_that_there_is_to_say_of_a_run_is_shown(finished, tmp_path, capsys):
    capsys.readouterr()
    evaluate.main([str(finished["classification"])])
    out = capsys.readouterr().out
    for part in ("F1 macro", "right \\ predicted", "scikit-learn", "95 %: bootstrap", "friend"):
        assert part in out
    assert "Chart" not in out
    assert not (finished["classification"].parent / "quality.png").exists()
    with pytest.raises(InputError, match="would show bits per byte against time, and no run has"):
        evaluate.main([str(finished["classification"]), "--chart", f"{tmp_path}/chart.png"])


def test_a_run_is_compared_with_another_on_the_same_examples(finished, data, tmp_path, capsys):
    other = tmp_path / "shorter"
    train(recipe_of("classification", data, steps=1, validate_every=1), other, "a-test")
    capsys.readouterr()
    folders = [str(finished["classification"]), str(other)]
    evaluate.main([*folders, "--baseline", str(other), "--json", f"{tmp_path}/scores.json"])
    out = capsys.readouterr().out
    assert "classification against shorter, " in out
    assert "difference" in out
    assert "paired bootstrap" in out
    rows = json.loads((tmp_path / "scores.json").read_text())
    assert rows[0]["accuracy"] >= rows[1]["accuracy"]  # the best first
    by_run = {row["run"]: row for row in rows}
    accuracy = by_run["classification"]["details"]["scores"]["accuracy"]
    expected = by_run["classification"]["accuracy"] - by_run["shorter"]["accuracy"]
    assert accuracy["difference"]["value"] == pytest.approx(expected)
    assert "baseline" not in by_run["shorter"]


@pytest.mark.parametrize(
    ("run", "baseline", "message"),
    [
        ("classification", "regression", "is a run of regression, and .* of classification; comp"),
        ("masked", "continuation", "is a run of continuation, and .* of masked-language-modeling"),
    ],
)
def test_a_run_of_another_task_is_no_baseline(run, baseline, message, finished):
    with pytest.raises(InputError, match=message):
        evaluate.main([str(finished[run]), "--baseline", str(finished[baseline])])


def test_of_several_runs_those_that_the_baseline_does_not_suit_are_passed_over(finished, capsys):
    capsys.readouterr()
    baseline = str(finished["classification"])
    evaluate.main([baseline, str(finished["regression"]), "--baseline", baseline])
    out = " ".join(capsys.readouterr().out.split())
    assert "regression is passed over: --baseline" in out
    assert "classification" in out.partition("regression is passed over")[2]  # the table


def test_a_baseline_that_has_learnt_from_the_test_examples_is_refused(data, tmp_path):
    def run_of(fold):
        recipe = replace(recipe_of("classification", data), data=DataConfig(name="mr", fold=fold))
        return kerazoo.runs.Run(tmp_path / str(fold), recipe, None, None)

    run = run_of(None)
    with pytest.raises(InputError, match="its fold is 1, not 0; compare runs of one fold"):
        baselines.data_for(run_of(1), run, run.recipe.data, False)
    # Without a fold it is the first.
    assert baselines.data_for(run_of(0), run, run.recipe.data, False) == run.recipe.data


def test_a_baseline_reads_what_it_has_learnt_to_read(data, tmp_path):
    def run_of(task, *cleaning):
        recipe = recipe_of(task, data)
        recipe = replace(recipe, data=replace(recipe.data, cleaning=cleaning))
        return kerazoo.runs.Run(tmp_path / "-".join([task, *cleaning]), recipe, None, None)

    def cleaning_of(task):
        run = run_of(task)
        baseline = run_of(task, "lowercase")
        return baselines.data_for(baseline, run, run.recipe.data, False).cleaning

    assert cleaning_of("classification") == ("lowercase",)
    with pytest.raises(InputError, match="cleaned or swapped in another way"):  # by other answers
        cleaning_of("translation")


def test_a_baseline_is_scored_once_on_the_same_data(finished):
    run, baseline = (kerazoo.load(finished["classification"]) for _ in range(2))
    evaluation, known = evaluate.score(run), {}
    run.folder = run.folder / "another"
    options = evaluate.Options(())
    first, second = (evaluate._against(evaluation, baseline, options, known) for _ in range(2))
    assert first is second
    assert evaluate._against(evaluation, run, options, known) is None


def test_a_stride_is_for_texts(finished):
    with pytest.raises(InputError, match="--stride 4 is for language models"):
        evaluate.score(kerazoo.load(finished["tagging"]), stride=4)
    with pytest.raises(InputError, match="--stride 4 is for language models"):
        evaluate.score(kerazoo.load(finished["masked"]), stride=4)


def test_a_text_of_ones_own_is_scored_by_the_rules_of_its_language(finished, tmp_path):
    run = kerazoo.load(finished["translation"])
    for own, expected in (
        (DataConfig(name="anki-cmn-eng"), "zh"),
        (DataConfig(name="anki-cmn-eng", swap=True), "en"),
        (DataConfig(text=tmp_path, language="es"), "es"),
        (DataConfig(text=tmp_path), ""),
    ):
        run.recipe = replace(run.recipe, data=own)
        found = evaluate._data(run, evaluate.Options((), text=tmp_path / "mine.txt"))
        assert found.language == expected
    (tmp_path / "mine.txt").write_text("abc\tcba\nab\tba\n")
    own = DataConfig(text=tmp_path / "mine.txt", validation=tmp_path / "mine.txt", language="zh")
    report = evaluate.score(run, own).report
    assert "tok:zh" in report.scores["BLEU"].signature
    with pytest.raises(InputError, match="the language is 'klingon'"):
        evaluate.score(run, replace(own, language="klingon"))


def test_a_text_without_spaces_needs_its_language(finished, tmp_path, capsys):
    (tmp_path / "mine.tsv").write_text(
        "source\ttarget\nabc\t我有书。\nab\t你好。\n", encoding="utf-8"
    )
    arguments = [str(finished["translation"]), "--text", str(tmp_path / "mine.tsv")]
    with pytest.raises(InputError, match="its language with --language, such as zh"):
        evaluate.main(arguments)
    capsys.readouterr()
    evaluate.main([*arguments, "--language", "zh"])
    assert "tok:zh" in capsys.readouterr().out
    labels = ["--text", str(tmp_path / "mine.tsv"), "--language", "zh"]
    with pytest.raises(InputError, match="--language zh is for runs that answer in words"):
        evaluate.main([str(finished["classification"]), *labels])
    with pytest.raises(InputError, match="--language zh is that of --text, and none is given"):
        evaluate.main([str(finished["translation"]), "--language", "zh"])


def test_other_data_are_read_as_the_run_reads_its_own(tmp_path, data):
    run = kerazoo.runs.Run(tmp_path, recipe_of("classification", data), None, None)
    own = DataConfig(text=data / "labels.csv", columns=("review", "stars"), cleaning=("lowercase",))
    run.recipe = replace(run.recipe, data=own)
    found = evaluate._data(run, evaluate.Options((tmp_path,), text=data / "numbers.csv"))
    assert (found.columns, found.cleaning) == (own.columns, own.cleaning)
    folded = DataConfig(name="mr", fold=3)
    run.recipe = replace(run.recipe, data=folded)
    assert evaluate._data(run, evaluate.Options((tmp_path,), name="mr")).fold == 3
    assert evaluate._data(run, evaluate.Options((tmp_path,), name="trec")).fold is None
    pairs = replace(recipe_of("translation", data), data=DataConfig(name="copy", swap=True))
    run.recipe = pairs
    assert evaluate._data(run, evaluate.Options((tmp_path,), name="reverse")).swap
    assert evaluate._data(run, evaluate.Options((tmp_path,))) is None


def test_a_run_that_writes_is_scored_with_any_number_of_beams(finished, monkeypatch):
    used = []
    score = Translation.score

    def watched(task, *arguments, **options):
        used.append(task.default_sampling)
        return score(task, *arguments, **options)

    monkeypatch.setattr(Translation, "score", watched)
    run = kerazoo.load(finished["translation"])
    usual, two = (evaluate.score(run, beams=beams) for beams in (None, 2))
    assert used == [Sampling("greedy"), Sampling("beam", num_beams=2)]
    assert two.scored_on == f"{usual.scored_on}, 2 beams"
    with pytest.raises(InputError, match="--beams is 0; it must be at least 1"):
        evaluate.score(run, beams=0)
    with pytest.raises(InputError, match="--beams 2 is for runs that turn one text into another"):
        evaluate.score(kerazoo.load(finished["tagging"]), beams=2)
