"""Writing with runs and comparing them, as from the command line."""

import csv
import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

import kerazoo
from kerazoo import baselines, evaluate, generate, runs
from kerazoo.data import datasets
from kerazoo.data.datasets import DataConfig
from kerazoo.errors import InputError
from kerazoo.metrics import generation
from kerazoo.models.configs import GPTConfig, RNNConfig
from kerazoo.models.sampling import Sampling
from kerazoo.recipe import Recipe
from kerazoo.tasks.configs import ClassificationConfig
from kerazoo.train import train
from kerazoo.training.config import TrainConfig

pytestmark = pytest.mark.usefixtures("without_xla")


@pytest.fixture(scope="module")
def folders(small_text, tmp_path_factory):
    """Two small runs on the same text, with tokens of different size."""
    parent = tmp_path_factory.mktemp("runs")
    training = TrainConfig(
        steps=150, validate_every=50, batch_size=8, xla="off", learning_rate=0.01
    )
    recipes = {
        "gpt-char": Recipe(
            "A test.",
            GPTConfig(context_length=32, num_layers=1, num_heads=2, width=32),
            DataConfig(text=small_text),
            training,
        ),
        "lstm-bpe": Recipe(
            "A test.",
            RNNConfig(context_length=32, width=32),
            DataConfig(text=small_text, tokenizer="bpe", vocab_size=280),
            training,
        ),
    }
    for name, recipe in recipes.items():
        train(recipe, parent / name, name)
    return parent


def write(capsys, *arguments):
    generate.main([str(argument) for argument in arguments])
    return capsys.readouterr().out


def test_a_prompt_is_continued_on_the_screen(folders, capsys):
    out = write(capsys, folders / "gpt-char", "the old", "--max-tokens", 40, "--seed", 1)
    assert out.startswith("the old")
    assert len(out) == len("the old") + 40 + 1


@pytest.mark.usefixtures("with_xla")
def test_what_is_learnt_is_written(folders, capsys):
    out = write(capsys, folders / "gpt-char", "the cat sees ", "--sampler", "greedy")
    assert (
        set(out.split())
        <= {
            *("the", "cat", "a", "dog", "my", "friend", "old", "king", "sees", "hears", "likes"),
            *("cat.", "dog.", "friend.", "king."),
        }
        or "the" in out
    )


def test_no_prompt_begins_with_a_new_line(folders, capsys):
    assert write(capsys, folders / "gpt-char", "--max-tokens", 5).startswith("\n")


def test_samples_of_one_prompt_differ(folders, capsys):
    out = write(capsys, folders / "gpt-char", "a dog", "--samples", 3, "--seed", 1)
    samples = out.strip("\n").split("\n\n---\n\n")
    assert len(samples) == len(set(samples)) == 3
    assert all(sample.startswith("a dog") for sample in samples)


def test_prompts_of_any_length_go_together(folders, capsys):
    out = write(capsys, folders / "gpt-char", "a", "my friend hears", "--sampler", "greedy")
    alone = write(capsys, folders / "gpt-char", "a", "--sampler", "greedy")
    assert out.split("\n\n---\n\n")[0].strip() == alone.strip()


def test_stop_text_ends_a_continuation_and_is_left_out(folders, capsys):
    out = write(
        capsys, folders / "gpt-char", "the cat", "--stop", "\\n", "--max-tokens", 200, "--seed", 1
    )
    assert out.count("\n") == 1


def test_the_beginning_of_the_stop_text_is_not_shown(folders, capsys):
    run, how = kerazoo.load(folders / "gpt-char"), {"sampling": Sampling(seed=3)}
    seen = []
    text = run.generate("the", 100, **how, watch=lambda texts: seen.append(texts[0]))
    border = len(seen[0])  # of two stretches
    begin = next(n for n in range(border - 2, 3, -1) if text.find(text[n : border + 2], 3) == n)
    stop = text[begin : border + 2]
    seen.clear()
    written = run.generate("the", 100, **how, stop=stop, watch=lambda t: seen.append(t[0]))
    assert seen[-1] == written == text[:begin]
    assert all(written.startswith(part) for part in seen)
    shown = write(capsys, run.folder, "the", "--max-tokens", 100, "--seed", 3, "--stop", stop)
    assert shown == f"{written}\n"

    never = f"{text[-2:]}#"  # which begins where the text ends, and does not come
    seen.clear()
    assert run.generate("the", 100, **how, stop=never, watch=lambda t: seen.append(t[0])) == text
    assert seen[-2:] == [text[:-2], text]
    shown = write(capsys, run.folder, "the", "--max-tokens", 100, "--seed", 3, "--stop", never)
    assert shown == f"{text}\n"


def test_what_is_new_stands_apart_from_the_prompt(folders, capsys):
    options = ("--samples", 8, "--seed", 1, "--max-tokens", 6, "--stop", "\\n", "--json")
    lines = write(capsys, folders / "gpt-char", "a d", *options).splitlines()
    answers = [json.loads(line) for line in lines]
    assert {answer["stopped"] for answer in answers} == {True, False}
    for answer in answers:
        assert answer["text"] == "a d" + answer["continuation"]
        assert "\n" not in answer["continuation"]
        assert answer["stopped"] == (len(answer["continuation"]) < 6)


def test_what_was_written_as_json_can_be_scored(folders, tmp_path, capsys):
    options = ("--samples", 3, "--seed", 1, "--max-tokens", 60, "--json")
    written = tmp_path / "written.jsonl"
    written.write_text(write(capsys, folders / "gpt-char", "a dog", *options), encoding="utf-8")
    texts = [json.loads(line)["text"] for line in written.read_text(encoding="utf-8").splitlines()]
    assert any("\n" in text for text in texts)
    scores = tmp_path / "scores.json"
    options = ("--task", "generation", "--predictions", written, "--json", scores)
    evaluate.main(["files", *map(str, options)])
    content = json.loads(scores.read_text(encoding="utf-8"))
    expected = generation.score([text.removeprefix("a dog") for text in texts])
    for name, score in expected.items():
        assert content["scores"][name]["value"] == pytest.approx(score.value)


def test_a_prompt_comes_from_a_pipe(folders, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("my friend"))
    assert write(capsys, folders / "gpt-char", "-", "--max-tokens", 3).startswith("my friend")


def test_characters_that_the_tokenizer_does_not_know_are_named(folders):
    with pytest.raises(InputError, match="'Z', 'ü'.*--data.tokenizer bpe"):
        generate.main([str(folders / "gpt-char"), "Zür"])


def test_a_byte_level_tokenizer_knows_everything(folders, capsys):
    out = write(capsys, folders / "lstm-bpe", "Zürich 中文", "--max-tokens", 3)
    assert out.startswith("Zürich 中文")


@pytest.mark.parametrize("sampler", ["greedy", "top-k", "top-p", "beam", "contrastive"])
def test_every_sampler_writes(folders, capsys, sampler):
    out = write(capsys, folders / "lstm-bpe", "the", "--sampler", sampler, "--max-tokens", 4)
    assert len(out) > len("the\n")


@pytest.mark.usefixtures("with_xla")
def test_streamed_text_is_the_text_at_once(folders):
    run = kerazoo.load(folders / "lstm-bpe")
    seen = []
    text = run.generate(
        "the", 100, sampling=Sampling(seed=3), watch=lambda texts: seen.append(texts[0])
    )
    assert len(seen) == 4
    assert seen[-1] == text
    assert all(text.startswith(part.rstrip("\ufffd")) for part in seen)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "PATH"),
        (["no-such-run"], "no run folder no-such-run"),
        (["{run}", "x", "--temperature", "0"], "--temperature is 0.0; it must be above 0"),
        (["{run}", "x", "--sampler", "topk"], "'topk'.*--sampler.*'top-k'"),
        (
            ["{run}", "x", "--sampler", "beam", "--length-penalty", "0"],
            "--length-penalty 0.0 compares texts that have ended",
        ),
        (["{run}", "x", "--num-beams", "3"], "--num-beams is for --sampler beam.*temperature"),
        (["{run}", "x", "--sampler", "top-k", "--p", "0.5"], "--p is for --sampler top-p.*top-k"),
        (["{run}", "x", "--max-tokens", "0"], "--max-tokens is 0; it must be at least 1"),
        (["{run}", ""], "empty prompt"),
    ],
)
def test_wrong_arguments_are_refused(folders, arguments, message):
    run = str(folders / "gpt-char")
    with pytest.raises(InputError, match=f"(?s){message}"):
        generate.main([argument.format(run=run) for argument in arguments])


def test_generated_names_are_sorted_by_novelty(mirror, tmp_path, capsys):
    recipe = Recipe(
        "A test.",
        RNNConfig(context_length=16, width=32),
        DataConfig(name="names"),
        TrainConfig(steps=100, validate_every=100, learning_rate=0.01, batch_size=16),
    )
    train(recipe, tmp_path / "names")
    capsys.readouterr()
    out = write(capsys, tmp_path / "names", "--max-tokens", 200, "--seed", 1)
    assert sum(counted(out).values()) > 0
    out = write(capsys, tmp_path / "names", "--samples", 5, "--stop", "\\n", "--seed", 1)
    written = set(out.split("\n\nseen in")[0].split("\n\n---\n\n")) - {""}
    assert sum(counted(out).values()) == len(written) > 0


def counted(out):
    """Return how many lines were where; check that they are as many as in all."""
    found = re.findall(r"^(.+) \((\d+) of (\d+)\): ", out, re.MULTILINE)
    counts = {what: int(number) for what, number, _ in found}
    assert list(counts) == ["seen in training", "held out", "new"]
    assert {int(number) for *_, number in found} == {sum(counts.values())}
    return counts


@pytest.mark.parametrize(
    ("stop", "stopped", "last"), [(None, False, []), ("\n", True, ["zzz"]), ("a", True, [])]
)
def test_names_of_any_held_out_split_are_known_as_such(mirror, capsys, stop, stopped, last):
    data = DataConfig(name="names")
    splits = {name: text.read().split() for name, text in datasets.load(data).splits.items()}
    names = [splits[split][0] for split in ("train", "validation", "test")]
    prompt = f"{names[0]}\n{names[1][:2]}"  # the second of which the model completes
    new = f"{names[1][2:]}\n{names[2]}\n{names[2]}\nqqq\n\nzzz"
    answer = {"text": prompt + new, "continuation": new, "stopped": stopped}
    generate._print_novelty([answer], stop, data)
    out = capsys.readouterr().out
    assert counted(out) == {"seen in training": 0, "held out": 2, "new": 1 + len(last)}
    assert f": {names[1]}, {names[2]}\n" in out
    assert f": {', '.join(['qqq', *last])}\n" in out


@pytest.mark.usefixtures("with_xla")
def test_runs_are_compared_on_held_out_text_in_the_same_unit(folders, tmp_path, capsys):
    files = {name: tmp_path / f"scores.{name}" for name in ("json", "csv", "chart")}
    evaluate.main(
        [str(folders / "gpt-char"), str(folders / "lstm-bpe")]
        + [part for name, path in files.items() for part in (f"--{name}", str(path))]
    )
    table = capsys.readouterr().out
    rows = json.loads(files["json"].read_text())
    assert sorted(row["run"] for row in rows) == ["gpt-char", "lstm-bpe"]
    assert [row["bits/byte"] for row in rows] == sorted(row["bits/byte"] for row in rows)
    for row in rows:
        assert row["run"] in table
        assert f"{row['bits/byte']:.3f}" in table
        assert 0 < row["bits/byte"] < 4
        assert row["perplexity"] == pytest.approx(np.exp(row["loss"]))
        assert row["scored on"].endswith("small.txt validation")
    with open(files["csv"], newline="") as file:
        assert [row["run"] for row in csv.DictReader(file)] == [row["run"] for row in rows]
    assert files["chart"].read_bytes().startswith(b"\x89PNG")


def test_language_models_are_compared_by_a_paired_test(folders, tmp_path, capsys):
    gpt, lstm = folders / "gpt-char", folders / "lstm-bpe"
    options = ["--split", "train", "--json", str(tmp_path / "scores.json")]
    evaluate.main([str(gpt), "--baseline", str(lstm), *options])
    out = capsys.readouterr().out
    assert "gpt-char against lstm-bpe" in out
    assert "paired bootstrap" in out
    (row,) = json.loads((tmp_path / "scores.json").read_text())
    scores = row["details"]["scores"]
    for name in ("bits/byte", "loss", "perplexity", "accuracy", "calibration error"):
        assert scores[name]["interval"][0] <= scores[name]["interval"][1]
    # Their tokens are not the same, so that nothing else can be compared.
    assert [name for name in scores if "difference" in scores[name]] == ["bits/byte"]
    bits = [
        evaluate.score(runs.load(folder), split="train").score.bits_per_byte
        for folder in (gpt, lstm)
    ]
    assert scores["bits/byte"]["difference"]["value"] == pytest.approx(bits[0] - bits[1])

    weaker = tmp_path / "weaker"
    shutil.copytree(gpt, weaker)
    model = runs.load(weaker).model
    model.set_weights([0.7 * weight for weight in model.get_weights()])
    model.save(weaker / "model.keras")
    evaluate.main([str(gpt), "--baseline", str(weaker), *options])
    (row,) = json.loads((tmp_path / "scores.json").read_text())
    losses = [
        evaluate.score(runs.load(folder), split="train").score.loss for folder in (gpt, weaker)
    ]
    difference = row["details"]["scores"]["loss"]["difference"]
    assert difference["value"] == pytest.approx(losses[0] - losses[1])
    assert difference["value"] < 0
    assert "difference" in row["details"]["scores"]["perplexity"]


def test_runs_that_cannot_be_scored_so_are_passed_over(folders, tmp_path, capsys):
    damaged = tmp_path / "damaged"
    shutil.copytree(folders / "gpt-char", damaged)
    (damaged / "config.json").write_text("{}")
    folders, chart = [str(folders / name) for name in ("gpt-char", "lstm-bpe")], tmp_path / "c.png"
    evaluate.main([*folders, str(damaged), "--chart", str(chart)])
    out = capsys.readouterr().out
    assert f"{damaged} is passed over: " in out
    assert "lstm-bpe" in out
    with pytest.raises(InputError, match="has no test split"):
        evaluate.main([*folders, "--split", "test"])


def test_a_run_whose_data_are_gone_is_passed_over(folders, tmp_path, capsys):
    gone = tmp_path / "gone"
    shutil.copytree(folders / "gpt-char", gone)
    content = json.loads((gone / "config.json").read_text())
    content["recipe"]["data"]["text"] = str(tmp_path / "moved.txt")
    (gone / "config.json").write_text(json.dumps(content))
    evaluate.main([str(gone), str(folders / "lstm-bpe"), "--chart", str(tmp_path / "chart.png")])
    out = capsys.readouterr().out
    assert f"{gone} is passed over, as its data are missing: there is no file" in out
    assert "lstm-bpe" in out
    with pytest.raises(InputError, match="the data of .*gone are missing"):
        evaluate.main([str(gone)])


def test_what_a_run_is_scored_on_tells_folds_directions_and_cleaning_apart():
    def told(kind, split, **fields):
        data = DataConfig(cleaning=("lowercase",), **fields)
        return evaluate._scored_on(SimpleNamespace(name="x", kind=kind), split, data)

    assert told("labels", "test", name="mr", fold=3) == "x test, fold 3"
    assert told("labels", "test", name="mr") == "x test, fold 0"
    swapped = told("pairs", "test", name="anki-spa-eng", swap=True)
    assert swapped == "x test, swapped, lowercase"
    own = told("text", "validation", text=Path("a.txt"), validation=Path("b.txt"))
    assert own == "b.txt validation, lowercase"


def test_a_name_in_brackets_is_no_markup():
    console = Console(width=100, file=io.StringIO())
    console.print(evaluate.table([{"run": "gpt[wide]", "loss": 1.0}]))
    assert "gpt[wide]" in console.file.getvalue()


def test_all_runs_can_be_scored_on_another_text(folders, tmp_path, capsys):
    text, scores, chart = (tmp_path / name for name in ("other.txt", "scores.json", "chart.png"))
    text.write_text("the old king likes a dog.\n" * 20)
    options = {"--text": text, "--json": scores, "--chart": chart}
    evaluate.main([str(folders / "gpt-char"), *(str(part) for p in options.items() for part in p)])
    (row,) = json.loads(scores.read_text())
    assert row["scored on"] == f"{text} validation"
    assert row["bits/byte"] < 2


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    """A run on a table of one's own."""
    folder = tmp_path_factory.mktemp("reviews")
    rows = (f"it is {('bad', 'good')[n % 2]} {n},{n % 2}\n" for n in range(200))
    (folder / "reviews.csv").write_text("text,label\n" + "".join(rows))
    recipe = Recipe(
        "A test.",
        RNNConfig(context_length=32, width=16),
        DataConfig(text=folder / "reviews.csv", cleaning=("html",)),
        TrainConfig(steps=1, validate_every=1, batch_size=8, xla="off"),
        ClassificationConfig(),
    )
    train(recipe, folder / "run", "a-test")
    return folder / "run"


def test_a_score_on_data_that_have_changed_has_a_note(reviews, tmp_path, capsys):
    data = runs.load(reviews).recipe.data
    evaluate.main([str(reviews)])
    assert "is not what it was" not in capsys.readouterr().out

    changed = tmp_path / "changed.csv"
    changed.write_text(data.text.read_text() + "".join(f"it is better {n},1\n" for n in range(9)))
    config = (reviews / "config.json").read_text()
    run = copy_with(reviews, tmp_path, config__json=config.replace(str(data.text), str(changed)))
    evaluate.main([str(run)])
    assert f"{changed} is not what it was when {run} was trained" in capsys.readouterr().out
    learnt = {record["text"] for record in datasets.load(data, "labels").records["train"]}
    now = datasets.load(replace(data, text=changed), "labels").records
    assert not learnt & {record["text"] for record in now["validation"]}
    evaluate.main([str(run), "--split", "train"])
    assert "is not what it was" not in capsys.readouterr().out

    scores = tmp_path / "scores.json"
    evaluate.main([str(reviews), "--text", str(data.text), "--json", str(scores)])
    assert f"{reviews} has learnt from what it is scored on" in capsys.readouterr().out
    (note,) = json.loads(scores.read_text())[0]["details"]["notes"]
    assert note.endswith("give it a text that it has not seen.")


def test_a_baseline_whose_data_have_changed_has_a_note(reviews, tmp_path, capsys):
    config = json.loads((reviews / "config.json").read_text())
    config["data"]["train"] = "of another text"
    config["recipe"]["data"]["cleaning"] = ["lowercase"]
    baseline = copy_with(reviews, tmp_path, config__json=json.dumps(config))
    evaluate.main([str(reviews), "--baseline", str(baseline)])
    out = capsys.readouterr().out
    assert "paired bootstrap" in out
    assert out.count("is not what it was") == out.count(f"when {baseline} was trained") == 1


def test_a_table_may_have_other_columns_than_that_of_the_run(reviews, tmp_path, capsys):
    other, text = tmp_path / "other.csv", tmp_path / "other.txt"
    other.write_text("review,stars\nit is good,1\n<p>,0\n")
    text.write_text("it is good")
    arguments = [str(reviews), "--text", str(other)]
    with pytest.raises(InputError, match="columns are review, stars; .* mean with --columns"):
        evaluate.main(arguments)
    arguments += ["--columns", "review", "stars", "--json", str(tmp_path / "scores.json")]
    evaluate.main(arguments)
    (row,) = json.loads((tmp_path / "scores.json").read_text())
    assert row["details"]["examples"] == 2  # one of which is empty after cleaning
    with pytest.raises(InputError, match="^--columns goes with a .csv, .tsv or .jsonl file"):
        evaluate.main([str(reviews), "--text", str(text), "--columns", "a", "b"])
    with pytest.raises(InputError, match="--columns a b names columns of a file that --text"):
        evaluate.main([str(reviews), "--columns", "a", "b"])


def test_a_baseline_that_has_learnt_from_the_file_is_refused(reviews, tmp_path):
    run = runs.load(reviews)
    own = run.recipe.data
    beside = replace(own, validation=tmp_path / "beside.csv")
    other = replace(own, text=tmp_path / "other.csv", validation=own.text)

    def refuses(own, data):
        baseline = replace(run, recipe=replace(run.recipe, data=own))
        with pytest.raises(InputError, match=f"has learnt from what {run.folder} is scored on"):
            baselines.data_for(baseline, run, data, is_own=False)
        return True

    assert refuses(beside, own)  # from the tenth that the run holds out
    assert refuses(replace(beside, text=own.text.parent), own)
    assert baselines.has_learnt_from(own, replace(own, validation=own.text.parent), "labels")
    run = replace(run, recipe=replace(run.recipe, data=other))
    assert refuses(own, other)
    baseline = replace(run, recipe=replace(run.recipe, data=beside))
    assert baselines.data_for(baseline, run, beside, is_own=False) == beside


def test_the_tenth_of_a_text_depends_on_its_cleaning(folders):
    run = runs.load(folders / "gpt-char")
    own = replace(run.recipe.data, validation=None)
    cleaned = replace(own, cleaning=("near_duplicates",))
    assert baselines.has_learnt_from(cleaned, own, "text")
    assert not baselines.has_learnt_from(own, own, "text")
    assert not baselines.has_learnt_from(cleaned, own, "labels")


def test_a_run_is_scored_on_a_split_by_name(folders):
    run = kerazoo.load(folders / "gpt-char")
    losses = {
        split: evaluate.evaluate(run, split=split)["loss"] for split in ("train", "validation")
    }
    assert losses["train"] != losses["validation"]
    with pytest.raises(InputError, match="no test split; it has train, validation"):
        evaluate.evaluate(run, split="test")


def test_charts_beside_the_runs_are_passed_over(folders, capsys):
    evaluate.main([str(folders / "gpt-char")])
    assert (folders / "quality.png").is_file()
    evaluate.main([str(path) for path in sorted(folders.iterdir())])
    assert "gpt-char" in capsys.readouterr().out


def test_a_chart_that_nobody_asked_for_is_no_obstacle(folders, tmp_path, capsys):
    copy = copy_with(folders / "gpt-char", tmp_path)
    (tmp_path / "quality.png").mkdir()  # so that no file can be there
    evaluate.main([str(copy)])
    assert f"There is no chart: Is a directory: {tmp_path}" in capsys.readouterr().out
    with pytest.raises(IsADirectoryError):
        evaluate.main([str(copy), "--chart", str(tmp_path / "quality.png")])


def test_a_pattern_that_no_shell_has_replaced_is_one(folders, capsys):
    evaluate.main([str(folders / "*-char")])
    assert "gpt-char" in capsys.readouterr().out


def test_folders_of_runs_beside_the_runs_are_passed_over(folders, capsys):
    evaluate.main([str(folders / "gpt-char"), str(folders)])
    assert "gpt-char" in capsys.readouterr().out
    with pytest.raises(InputError, match="no run folder is given"):
        evaluate.main([str(folders)])


def test_runs_that_are_still_being_trained_are_passed_over(folders, tmp_path, capsys):
    unfinished = copy_with(folders / "gpt-char", tmp_path, report__json=None, model__keras=None)
    evaluate.main([str(folders / "gpt-char"), str(unfinished)])
    out = capsys.readouterr().out
    assert f"{unfinished} is passed over: " in out
    with pytest.raises(InputError, match="has not been trained to its end; go on"):
        evaluate.main([str(unfinished)])


def test_runs_of_one_name_are_told_apart(folders, tmp_path):
    other = tmp_path / "gpt-char"
    shutil.copytree(folders / "gpt-char", other)
    evaluate.main([str(folders / "gpt-char"), str(other), "--json", str(tmp_path / "scores.json")])
    names = {row["run"] for row in json.loads((tmp_path / "scores.json").read_text())}
    assert names == {str(folders / "gpt-char"), str(other)}


def test_a_single_text_is_no_list_of_texts(folders):
    with pytest.raises(InputError, match=r"a list of texts is needed, not one: give \['ROMEO'\]"):
        kerazoo.load(folders / "gpt-char").generate_all("ROMEO")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no run folder is given"),
        (["no-such-run"], "no run folder no-such-run"),
        (["no-such-run", "--text", "a.txt", "--name", "pydoc"], "both --text a.txt and --name"),
    ],
)
def test_runs_that_are_not_there_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        evaluate.main(arguments)


def copy_with(folder, tmp_path, **changes):
    """Copy a run, and change or delete (None) some of its files."""
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    for name, content in changes.items():
        path = copy / name.replace("__", ".")
        path.unlink() if content is None else path.write_text(content)
    return copy


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config__json": None}, "is no run folder"),
        ({"config__json": "{"}, "config.json is damaged"),
        ({"config__json": '{"format": 99, "kerazoo": "9.1"}'}, "made by kerazoo 9.1, in a format"),
        ({"config__json": '{"format": 3, "recipe": {}}'}, "does not hold a recipe"),
        ({"model__keras": "no zip"}, "model.keras cannot be read as a model"),
        ({"tokenizer__json": None}, "there is no .*tokenizer.json"),
        ({"tokenizer__json": "{}"}, "tokenizer.json cannot be read"),
    ],
)
def test_a_run_that_is_not_whole_is_refused(folders, tmp_path, changes, message):
    with pytest.raises(InputError, match=f"(?s){message}"):
        kerazoo.load(copy_with(folders / "gpt-char", tmp_path, **changes))
