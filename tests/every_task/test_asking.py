"""What is asked of every task: on the command line, by a person, from pipes and files."""

import functools
import io
import json
import os
import threading
from dataclasses import replace

import pytest

import kerazoo
from kerazoo import generate, runs
from kerazoo.data.records import as_cleaned
from kerazoo.errors import InputError
from kerazoo.tasks import registry
from kerazoo.tasks.configs import DialogueConfig
from kerazoo.tests.every_task.small_tasks import FILLER, PROMPTS, WRITERS, every_head, recipe_of
from kerazoo.train import train

pytestmark = pytest.mark.usefixtures("without_xla")


@pytest.fixture(scope="module", autouse=True)
def _loaded_once():
    """Load each run once, which no test changes, and spare the time of compiling it again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "load", functools.cache(runs.load))
        yield


def asked(capsys, *arguments):
    capsys.readouterr()
    generate.main([str(argument) for argument in arguments])
    return capsys.readouterr().out


class Terminal(io.StringIO):
    """What a person types."""

    def isatty(self):
        return True


def piped(monkeypatch, text, kind=io.StringIO):
    monkeypatch.setattr("sys.stdin", kind(text))


def test_a_text_goes_on_beyond_the_context_from_prompts_of_any_length(finished, capsys):
    folder = finished["continuation"]
    for prompt in ("t", "the cat sees a dog.\nmy friend hears the"):
        out = asked(capsys, folder, prompt, "--max-tokens", 50, "--seed", 1)
        assert out.startswith(prompt)
        assert len(out) == len(prompt) + 50 + 1
        assert asked(capsys, folder, prompt, "--max-tokens", 50, "--seed", 1) == out
    assert len(asked(capsys, folder, "--max-tokens", 20)) == 22


def test_a_file_is_one_prompt_of_a_language_model(finished, capsys, tmp_path):
    (tmp_path / "prompt.txt").write_text("the cat\nsees\n")
    out = asked(
        capsys, finished["continuation"], "--file", tmp_path / "prompt.txt", "--max-tokens", 5
    )
    assert out.startswith("the cat\nsees")
    assert len(out) == 12 + 5 + 1


def test_continuations_of_a_batch_are_those_of_its_rows(finished):
    run = kerazoo.load(finished["continuation"])
    greedy = {"sampling": generate.Sampling("greedy")}
    prompts = ["the", "a dog likes my friend.\n"]
    together = run.generate_all(prompts, 40, **greedy)
    assert together == [run.generate(prompt, 40, **greedy) for prompt in prompts]


def test_masks_are_filled_on_the_screen_and_as_data(finished, capsys):
    run = kerazoo.load(finished["masked"])
    first, second = run.fill_mask("the c[MASK]t s[MASK]es", k=3)
    assert len(first.tokens) == 3
    assert list(first.probabilities) == sorted(first.probabilities, reverse=True)
    assert 0 < sum(second.probabilities) <= 1
    out = asked(capsys, finished["masked"], "the c[MASK]t s[MASK]es")
    filled, *alternatives = out.splitlines()
    assert filled == f"the c{first.tokens[0]}t s{second.tokens[0]}es"
    assert len(alternatives) == 2


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("the cat", r"'the cat' has no \[MASK\] in it"),
        ("[MASK]" + "t" * 20, "21 tokens and the model can look at 14"),
        ("[MASK]ü", "'ü', unknown to this char tokenizer"),
    ],
)
def test_what_cannot_be_filled_in_is_refused(prompt, message, finished):
    with pytest.raises(InputError, match=message):
        kerazoo.load(finished["masked"]).generate(prompt)


@pytest.mark.parametrize("task", ["continuation", "classification"])
def test_only_bert_fills_masks(task, finished):
    with pytest.raises(InputError, match="fills no masks"):
        kerazoo.load(finished[task]).fill_mask("[MASK]")


@pytest.mark.parametrize(
    ("task", "wanted"),
    [
        ("masked", r"a text with \[MASK\]"),
        ("pairs", "a source"),
        ("dialogue", "a message"),
        ("questions", "a question and a passage"),
    ],
)
def test_a_run_that_is_given_nothing_says_what_it_needs(task, wanted, finished, monkeypatch):
    with pytest.raises(InputError, match=f"needs {wanted} to work on; give it, as in `kerazoo gen"):
        kerazoo.load(finished[task]).generate()
    piped(monkeypatch, "")
    with pytest.raises(InputError, match=f"needs {wanted}"):
        generate.main([str(finished[task])])


def test_a_source_is_turned_into_a_target(finished, capsys):
    out = asked(capsys, finished["pairs"], "abc", "d", "--max-tokens", 5)
    assert len(out.split("\n\n---\n\n")) == 2
    with pytest.raises(InputError, match="has 17 tokens; the model reads from 1 to 16"):
        kerazoo.load(finished["pairs"]).generate("a" * 17)


@pytest.mark.parametrize("task", PROMPTS)
def test_what_is_asked_in_any_way_is_answered_alike(
    task, finished, data, tmp_path, capsys, monkeypatch
):
    folder, prompt = finished[task], PROMPTS[task]
    answer = asked(capsys, folder, prompt).removesuffix("\n")
    line_end = "\\n" if task in WRITERS else "\t"
    line = line_end.join(part.strip() for part in answer.strip().splitlines())
    lines = f"{prompt}\n\n{prompt}"
    piped(monkeypatch, lines)
    assert asked(capsys, folder).splitlines() == [line, "", line]
    piped(monkeypatch, lines)
    assert asked(capsys, folder, "-").splitlines() == [line, "", line]
    (tmp_path / "prompts.txt").write_text(f"{lines}\n")
    assert asked(capsys, folder, "--file", tmp_path / "prompts.txt").splitlines() == [
        *(line, "", line)
    ]
    (content,) = map(json.loads, asked(capsys, folder, prompt, "--json").splitlines())
    assert content.pop("prompt") == prompt
    if task in WRITERS:
        assert content == {"text": answer}
    expected = {
        "masked": {"masks"},
        "classification": {"label", "probabilities"},
        "regression": {"number"},
        "tagging": {"tokens", "tags", "entities"},
        "questions": {"text", "start", "score"},
    }
    assert set(content) == expected.get(task, {"text"})


def test_a_long_pipe_is_answered_in_order_and_wrong_lines_are_named(finished, capsys, monkeypatch):
    words = [f"{'abcd'[n % 4]}{'ab'[n % 3 % 2]}" for n in range(150)]
    piped(monkeypatch, "\n".join(words))
    answers = asked(capsys, finished["pairs"]).splitlines()
    assert len(answers) == 150
    by_word = dict(zip(words, answers, strict=True))
    assert answers == [by_word[word] for word in words]
    piped(monkeypatch, "\n".join([*words[:70], "Z", *words[70:], "", "a" * 17]))
    with pytest.raises(InputError, match="2 of the 153 lines cannot be answered, as told above"):
        generate.main([str(finished["pairs"])])
    told = capsys.readouterr()
    assert told.out.splitlines() == [*answers[:70], "", *answers[70:], "", ""]
    first, second = told.err.splitlines()
    assert first.startswith("line 71: the text has 'Z', unknown")
    assert second.startswith(
        "line 153: the text 'aaaaaaaaaaaaaaaaa' has 17 tokens; the model reads"
    )


@pytest.mark.parametrize(
    ("task", "wrong", "reason"),
    [
        ("translation", "abZ", "the text has 'Z', unknown"),
        ("masked", "the cat", "'the cat' has no [MASK] in it"),
        ("questions", "who?", "'who?' is no question with a passage"),
    ],
)
def test_a_wrong_line_of_a_file_does_not_keep_those_after_it_from_their_answers(
    task, wrong, reason, finished, tmp_path, capsys
):
    right = PROMPTS[task]
    (tmp_path / "lines.txt").write_text(f"{right}\n{wrong}\n{right}\n")
    arguments = [str(finished[task]), "--file", str(tmp_path / "lines.txt"), "--json"]
    with pytest.raises(InputError, match="1 of the 3 lines cannot be answered"):
        generate.main(arguments)
    told = capsys.readouterr()
    first, second, third = map(json.loads, told.out.splitlines())
    assert first == third
    assert first["prompt"] == right
    assert "error" not in first
    assert second["prompt"] == wrong
    assert second["error"].startswith(reason)
    assert told.err == f"line 2: {second['error']}\n"


def test_what_comes_through_a_pipe_is_answered_before_more_comes():
    reading, writing = os.pipe()
    with open(reading, encoding="utf-8") as lines, open(writing, "w", encoding="utf-8") as other:
        assert generate._is_pipe(lines)
        assert not generate._is_pipe(["a"])
        batches = generate._as_they_come(lines)
        print("a", file=other, flush=True)
        first = []
        waiting = threading.Thread(target=lambda: first.append(next(batches)), daemon=True)
        waiting.start()
        waiting.join(timeout=10)
        assert first == [["a\n"]]
        print(*range(100), sep="\n", file=other, flush=True)
        other.close()
        rest = list(batches)
    assert [int(line) for batch in rest for line in batch] == list(range(100))
    assert max(map(len, rest)) <= generate.BATCH


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_it_is_told_once_that_texts_were_too_long(task, finished, tmp_path, capsys, monkeypatch):
    short, long = "the cat", 6 * "the cat "

    def told(*arguments):
        capsys.readouterr()
        generate.main([str(argument) for argument in (finished[task], *arguments)])
        return capsys.readouterr().err

    (tmp_path / "texts.txt").write_text("\n".join([*(100 * [short, long]), ""]))
    of_a_file = told("--file", tmp_path / "texts.txt")
    assert of_a_file == "100 of 200 texts were cut: the model reads 38 tokens of each.\n"
    for options in ([], ["--json"]):
        assert told(short, *options) == ""
        of_one = told(short, long, *options)
        assert of_one == "1 of 2 texts was cut: the model reads 38 tokens of each.\n"
    piped(monkeypatch, f"{short}\n{long}\n", Terminal)
    assert told() == "1 of 1 texts was cut: the model reads 38 tokens of each.\n"


def test_question_and_passage_may_be_two_arguments(finished, capsys):
    question, passage = PROMPTS["questions"].split("\t")
    together = asked(capsys, finished["questions"], PROMPTS["questions"])
    assert asked(capsys, finished["questions"], question, passage) == together
    with pytest.raises(InputError, match="'who.' is no question with a passage; give both"):
        generate.main([str(finished["questions"]), "who?"])


def test_a_person_is_asked_for_each_thing_by_name_until_an_empty_line(
    finished, capsys, monkeypatch
):
    question, passage = PROMPTS["questions"].split("\t")
    answer = asked(capsys, finished["questions"], PROMPTS["questions"]).strip("\n")
    piped(monkeypatch, f"{question}\n{passage}\n{question}\n{passage}\n\n", Terminal)
    out = asked(capsys, finished["questions"])
    assert out == f"question: passage: {answer}\n" * 2 + "question: "


def test_a_person_may_mistype_and_end_the_input(finished, capsys, monkeypatch):
    piped(monkeypatch, "Z\nabc\n", Terminal)
    first, second, last = asked(capsys, finished["pairs"]).splitlines()
    assert first.startswith("source: the text has 'Z', unknown")
    assert second.startswith("source: ")
    assert last == "source: "


def test_a_conversation_remembers_what_was_said(finished, capsys, monkeypatch):
    seen = []
    task = registry.TASKS[DialogueConfig]
    write = task.write

    def watched(self, model, prompts, how):
        seen.extend(prompts)
        return write(self, model, prompts, how)

    monkeypatch.setattr(task, "write", watched)
    for options in ([], ["--json"]):
        seen.clear()
        piped(monkeypatch, "hello\nwho sees a dog?\n", Terminal)
        out = asked(capsys, finished["dialogue"], *options)
        answer = seen[1].split("\t")[1]
        assert seen == ["hello", f"hello\t{answer}\twho sees a dog?"]
        assert answer in out


def test_answers_point_into_the_passage(finished):
    run = kerazoo.load(finished["questions"])
    assert run.labels == ("an answer", "no answer")
    passages = [f"{FILLER * n}Ada Byron came." for n in range(4)]
    run = replace(run, labels=())  # as if every question had an answer
    answers = run.predict([f"who?\t{passage}" for passage in passages])
    for answer, passage in zip(answers, passages, strict=True):
        assert answer.text
        assert passage[answer.start : answer.start + len(answer.text)] == answer.text


def test_a_question_may_have_no_answer_if_the_training_had_such(finished):
    run = kerazoo.load(finished["questions"])
    for answer in run.predict([f"{word}?\tAda Byron came." for word in ("who", "why")]):
        assert (answer.text == "") == (answer.start == -1) == (answer.score <= 0)
        assert str(answer) == (answer.text or "(the passage does not say)")


def test_each_word_of_a_sentence_longer_than_the_context_has_a_tag(finished):
    run = kerazoo.load(finished["tagging"])
    (tagged,) = run.predict(["the cat sees Ada Byron, " * 12])
    assert len(tagged.tokens) == len(tagged.tags) == 12 * 6
    record = {"tokens": ["cat"] * 50, "tags": ["O"] * 50}
    windows = list(run.task.examples(0, record))
    assert len(windows) > 1
    assert {word for window in windows for word in window["words"]} == set(range(-1, 50))


def test_what_is_asked_is_cleaned_as_the_examples_were(data, tmp_path):
    recipe = recipe_of("classification", data, steps=2, validate_every=2)
    recipe = replace(recipe, data=replace(recipe.data, cleaning=("lowercase", "whitespace")))
    run = train(recipe, tmp_path / "run")
    small, capital = run.predict(["the cat", "The  CAT"])
    assert small.probabilities == capital.probabilities
    assert run.generate("The  CAT") == run.generate("the cat")


def test_a_text_to_go_on_from_is_cleaned_but_keeps_its_ends():
    assert as_cleaned("TO be\n\nor ", "text", ("lowercase", "whitespace")) == "to be\n\nor "
    assert as_cleaned("The [MASK] SEES\n", "text", ("lowercase",)) == "the [MASK] sees\n"


@pytest.mark.parametrize(
    "option", ["--temperature 2", "--samples 2", "--stop x", "--sampler top-k"]
)
def test_options_of_writing_are_refused_where_nothing_is_written(option, finished):
    for task in ("classification", "masked"):
        with pytest.raises(InputError, match=f"{option.split()[0]} is for runs that write"):
            generate.main([str(finished[task]), "the c[MASK]t", *option.split()])


def test_classes_come_with_probabilities(finished):
    (said,) = kerazoo.load(finished["classification"]).predict(["the cat"])
    assert sum(said.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert said.probabilities[said.label] == max(said.probabilities.values())


def test_numbers_are_in_their_own_unit(finished):
    for number in kerazoo.load(finished["regression"]).predict(["the cat sees a dog.", "the"]):
        assert 95 < number < 110


@every_head
def test_an_answer_is_the_same_alone_and_among_others(task, finished):
    run = kerazoo.load(finished[task])
    others = {"questions": f"why?\t{FILLER * 2}"}.get(task, "my friend hears the old king.")
    (alone,) = run.task.generate_json(run.model, [PROMPTS[task]])
    among, _ = run.task.generate_json(run.model, [PROMPTS[task], others])
    assert str(alone)[:20] == str(among)[:20]
