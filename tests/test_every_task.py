"""Every task from end to end: trained, interrupted, resumed, loaded, scored, asked."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest

import kerazoo
from kerazoo import evaluate, generate
from kerazoo.data.datasets import DataConfig, load
from kerazoo.errors import InputError
from kerazoo.models.configs import (
    BERTConfig,
    GPTConfig,
    LlamaConfig,
    RNNConfig,
    RNNEncoderConfig,
    RNNSeq2SeqConfig,
    TransformerConfig,
)
from kerazoo.recipe import Recipe
from kerazoo.tasks import registry
from kerazoo.tasks.configs import (
    ClassificationConfig,
    ContinuationConfig,
    DialogueConfig,
    LanguageModelingConfig,
    MaskedLanguageModelingConfig,
    QuestionAnsweringConfig,
    RegressionConfig,
    SequenceToSequenceConfig,
    SummarizationConfig,
    TaggingConfig,
    TranslationConfig,
)
from kerazoo.train import main, train
from kerazoo.training import checkpoints
from kerazoo.training.config import TrainConfig

pytestmark = [
    pytest.mark.xdist_group("every task"),  # they share trainings
    pytest.mark.usefixtures("without_xla"),
]

TRAINING = {
    "steps": 20,
    "validate_every": 10,
    "batch_size": 8,
    "learning_rate": 0.01,
    "xla": "off",
    "validation_tokens": 500,
}
SIZE = {"context_length": 16, "width": 16, "dropout": 0.1}
LONGER = {**SIZE, "context_length": 40}
TASKS = {
    "continuation": (TransformerConfig(**SIZE, num_layers=1), ContinuationConfig(), "text.txt"),
    "masked": (BERTConfig(**SIZE, num_layers=1), MaskedLanguageModelingConfig(), "text.txt"),
    "pairs": (TransformerConfig(**SIZE, num_layers=1), SequenceToSequenceConfig(), "pairs.txt"),
    "translation": (RNNSeq2SeqConfig(**SIZE), TranslationConfig(), "pairs.txt"),
    "summarization": (
        TransformerConfig(**LONGER, num_layers=1),
        SummarizationConfig(beams=2),
        "summaries.csv",
    ),
    "dialogue": (RNNSeq2SeqConfig(**LONGER, cell="gru"), DialogueConfig(), "dialogues.txt"),
    "classification": (RNNConfig(**LONGER), ClassificationConfig(token_dropout=0.1), "labels.csv"),
    "regression": (GPTConfig(**LONGER, num_layers=1), RegressionConfig(), "numbers.csv"),
    "tagging": (RNNEncoderConfig(**LONGER), TaggingConfig(), "tags.conll"),
    "questions": (
        BERTConfig(**LONGER, num_layers=1),
        QuestionAnsweringConfig(question_tokens=8, stride=8),
        "questions.json",
    ),
}
HEADS = ("classification", "regression", "tagging", "questions")
WRITERS = ("pairs", "translation", "summarization", "dialogue")
FILLER = "a few words more than the model can read at once, "
# Something to ask of each that needs to be asked.
PROMPTS = {
    "masked": "the c[MASK]t",
    "pairs": "abc",
    "translation": "abc",
    "summarization": "the cat sees a dog",
    "dialogue": "hello\thi\twho sees a dog?",
    "classification": "the cat",
    "regression": "the cat",
    "tagging": "the cat sees Ada Byron.",
    "questions": f"who?\t{FILLER}then Ada came.",
}


def passage_and_questions(n, name):
    passage = f"{FILLER if n % 2 else ''}{name} came{'. ' + FILLER if n % 3 else '.'}"
    asked = [
        {
            "id": f"{n}-who",
            "question": "who?",
            "answers": [{"text": name, "answer_start": passage.index(name)}],
        },
        {"id": f"{n}-why", "question": "why?", "answers": [], "is_impossible": True},
    ]
    return {"context": passage, "qas": asked}


@pytest.fixture(scope="module")
def data(small_text, tmp_path_factory):
    """A folder with a small file of each kind of examples."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("data")
    sentences = small_text.read_text().splitlines()[:200]
    (folder / "text.txt").write_text(small_text.read_text())
    words = ["".join(rng.choice(list("abcd"), rng.integers(1, 6))) for _ in range(400)]
    (folder / "pairs.txt").write_text("".join(f"{word}\t{word[::-1]}\n" for word in words))

    def table(name, header, rows):
        with open(folder / name, "w", newline="") as file:
            csv.writer(file).writerows([header, *rows])

    table("labels.csv", ["text", "label"], [(text, text.split()[1]) for text in sentences])
    table("numbers.csv", ["text", "label"], [(text, 100 + text.count("a")) for text in sentences])
    table("summaries.csv", ["source", "target"], [(text, text[:7]) for text in sentences])
    turns = [f"hello\nhi\nwho {text[:-1]}?\n{text.split()[1]}\n" for text in sentences]
    (folder / "dialogues.txt").write_text("\n".join(turns))
    names = [["Ada", "Byron"], ["Alan", "Turing"]]
    lines = []
    for n, text in enumerate(sentences):
        first, last = names[n % 2]
        lines += [f"{word} O" for word in text.split()]
        lines += [f"{first} B-person", f"{last} I-person", ""]
    (folder / "words.conll").write_text("the cat\n\na dog\n\nit sees\n")
    (folder / "tags.conll").write_text("\n".join(lines))
    paragraphs = [passage_and_questions(n, " ".join(names[n % 2])) for n in range(30)]
    squad = {"version": "v2.0", "data": [{"title": "Names", "paragraphs": paragraphs}]}
    (folder / "questions.json").write_text(json.dumps(squad))
    return folder


def recipe_of(task, data, init=None, **train_fields):
    model, config, file = TASKS[task]
    settings = TrainConfig(**{**TRAINING, **train_fields})
    return Recipe("A test.", model, DataConfig(text=data / file), settings, config, init)


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """A run of each task."""
    parent = tmp_path_factory.mktemp("runs")
    made = {}
    for task in TASKS:
        train(recipe_of(task, data), parent / task, "a-test")
        made[task] = parent / task
    return made


every_task = pytest.mark.parametrize("task", TASKS)
every_head = pytest.mark.parametrize("task", HEADS)


def validation_of(run):
    return run.task.encode(load(run.recipe.data, run.recipe.task.reads).content["validation"])


@every_task
def test_a_run_loads_and_scores_as_reported(task, finished):
    run = kerazoo.load(finished[task])
    assert Recipe.from_json(json.loads(json.dumps(run.recipe.to_json()))) == run.recipe
    score = run.task.score_in_training(run.model, validation_of(run), 10**6)
    assert score.loss == pytest.approx(run.report["validation"]["loss"], rel=1e-4)
    assert score.loss < np.log(run.tokenizer.vocab_size)
    assert score.bits_per_byte is None or task == "continuation"


@pytest.mark.parametrize(
    "task",
    [
        pytest.param(task, marks=[] if task in ("masked", "questions") else pytest.mark.slow)
        for task in TASKS
    ],
)
def test_an_interrupted_training_resumes_to_the_same_weights(
    task, finished, data, tmp_path, monkeypatch
):
    save = checkpoints.Checkpoints.on_epoch_end

    def save_and_stop(self, *args):
        save(self, *args)
        if self.state.step == 10:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints.Checkpoints, "on_epoch_end", save_and_stop)
    recipe = recipe_of(task, data)
    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "run")
    monkeypatch.undo()
    train(recipe, tmp_path / "run", resume=True)
    for one, other in zip(
        kerazoo.load(tmp_path / "run").model.get_weights(),
        kerazoo.load(finished[task]).model.get_weights(),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


@every_task
def test_the_samples_and_the_card_show_what_it_has_learnt(task, finished):
    samples = (finished[task] / "samples.txt").read_text()
    card = (finished[task] / "README.md").read_text()
    expected = {"continuation": "\n", "masked": "[MASK]", "tagging": "right: [('A"}
    assert expected.get(task, " -> ") in samples
    assert f'python generate.py {finished[task]} "' in card


def test_losses_by_name_train_in_half_precision_with_accumulation(data, tmp_path):
    halves = {"precision": "float16", "accumulate": 2, "steps": 4, "validate_every": 4}
    run = train(recipe_of("masked", data, **halves), tmp_path / "run")
    assert np.isfinite(run.report["validation"]["loss"])


# === What is learnt from ===


@pytest.mark.parametrize(
    ("task", "file", "message"),
    [
        ("classification", "tags.conll", "which is no file of labels; give a table"),
        ("regression", "labels.csv", "has the label '.*', which is no number; regression needs"),
        ("tagging", "words.conll", "'cat' is no tag of IOB2"),
        ("questions", "labels.csv", "which is no file of questions; give a .json file in SQuAD's"),
        ("translation", "text.txt", "line 1"),
        ("dialogue", "labels.csv", "which is no file of dialogues"),
    ],
)
def test_data_of_another_kind_are_refused(task, file, message, data, tmp_path):
    recipe = replace(recipe_of(task, data), data=DataConfig(text=data / file))
    with pytest.raises(InputError, match=message):
        train(recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_texts_of_one_class_are_no_classification(data, tmp_path):
    path = tmp_path / "one.csv"
    path.write_text("text,label\na,x\nb,x\nc,x\n")
    recipe = replace(recipe_of("classification", data), data=DataConfig(text=path))
    with pytest.raises(InputError, match="such as 'x', is 1; classification needs from 2 to"):
        train(recipe, tmp_path / "run")


def test_a_class_that_no_training_example_has_is_refused_by_its_example(data, tmp_path):
    path = tmp_path / "new.csv"
    path.write_text("text,label\nthe cat,cat\nthe fish,fish\n")
    recipe = recipe_of("classification", data)
    recipe = replace(recipe, data=replace(recipe.data, validation=path))
    with pytest.raises(InputError, match="example 2 has the label 'fish', which no training exam"):
        train(recipe, tmp_path / "run")


def test_a_tag_that_no_training_example_has_is_scored_as_not_found(finished, tmp_path):
    path = tmp_path / "new.conll"
    path.write_text("Paris B-place\nsees O\nAda B-person\nByron I-person\n")
    run = kerazoo.load(finished["tagging"])
    report = evaluate.score(run, DataConfig(text=path, validation=path)).report
    assert (report.classes["place"].support, report.classes["place"].recall.value) == (1, 0)


@pytest.mark.parametrize(
    ("model", "task", "message"),
    [
        (GPTConfig(), MaskedLanguageModelingConfig(), "given the model gpt; it needs one of bert"),
        (BERTConfig(), LanguageModelingConfig(), "given the model bert; it needs one of ngram"),
        (
            GPTConfig(),
            ClassificationConfig(pooling="first"),
            "--task.pooling first takes the state",
        ),
        (GPTConfig(), ContinuationConfig(), "it needs one of transformer, rnn-seq2seq"),
        (BERTConfig(), TranslationConfig(), "it needs one of rnn, gpt, llama, transformer, rnn-se"),
        (TransformerConfig(), TaggingConfig(), "it needs one of rnn, gpt, llama, rnn-encoder, be"),
    ],
)
def test_a_model_that_cannot_do_a_task_is_refused(model, task, message, small_text):
    with pytest.raises(InputError, match=message):
        Recipe("A test.", model, DataConfig(text=small_text), TrainConfig(steps=1), task)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["bert-shakespeare", "--task.mask-share", "0.9"], "--task.mask-share is 0.9; it must be"),
        (["transformer-reverse", "--data.name", "pydoc"], "has text, and the task reads pairs"),
        (["transformer-reverse", "--task.beams", "0"], "--task.beams is 0; it must be at least 1"),
    ],
)
def test_wrong_settings_of_a_task_are_refused(arguments, message, tmp_path):
    with pytest.raises(InputError, match=message):
        main([*arguments, "--out", str(tmp_path / "run")])
    assert not (tmp_path / "run").exists()


# === What is asked ===


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


def test_only_bert_fills_masks(finished):
    with pytest.raises(InputError, match="fills no masks"):
        kerazoo.load(finished["continuation"]).fill_mask("[MASK]")


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
    with pytest.raises(InputError, match=f"needs {wanted} to work on; give it, as in `python gen"):
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
    line = "\t".join(part.strip() for part in answer.splitlines())
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


def test_a_long_pipe_is_answered_in_order_and_a_wrong_line_named(finished, capsys, monkeypatch):
    words = [f"{'abcd'[n % 4]}{'ab'[n % 3 % 2]}" for n in range(150)]
    piped(monkeypatch, "\n".join(words))
    answers = asked(capsys, finished["pairs"]).splitlines()
    assert len(answers) == 150
    by_word = dict(zip(words, answers, strict=True))
    assert answers == [by_word[word] for word in words]
    piped(monkeypatch, "\n".join([*words[:70], "Z"]))
    with pytest.raises(InputError, match="line 71: the text has 'Z', unknown"):
        generate.main([str(finished["pairs"])])
    assert capsys.readouterr().out.splitlines() == answers[:70]


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
    run.labels = ()  # as if every question had an answer
    run.__dict__.pop("task", None)
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
    (alone,) = run.task.to_json(run.model, [PROMPTS[task]])
    among, _ = run.task.to_json(run.model, [PROMPTS[task], others])
    assert str(alone)[:20] == str(among)[:20]


# === Scores ===


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
        ("continuation", "continuation", "predicts a text, and the paired test is for tasks"),
    ],
)
def test_a_run_of_another_task_is_no_baseline(run, baseline, message, finished):
    with pytest.raises(InputError, match=message):
        evaluate.main([str(finished[run]), "--baseline", str(finished[baseline])])


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


# === Beginning from a pretrained model ===


@pytest.fixture(scope="module")
def pretrained(finished):
    return finished["masked"]


def classifier(data, init, model=None, **train_fields):
    recipe = recipe_of("classification", data, init, **train_fields)
    return replace(recipe, model=model or BERTConfig(**SIZE, num_layers=1))


def backbone_weights(run):
    model = getattr(run.model, "backbone", run.model)
    return {weight.path.split("/", 1)[-1]: weight.numpy() for weight in model.weights}


def test_a_head_learns_on_a_pretrained_model_that_stays_as_it_is(data, pretrained, tmp_path):
    run = train(classifier(data, pretrained, frozen=-1), tmp_path / "run")
    before, after = backbone_weights(kerazoo.load(pretrained)), backbone_weights(run)
    assert before.keys() == after.keys()
    for name, weight in after.items():
        np.testing.assert_array_equal(weight, before[name])
    assert run.tokenizer.fingerprint() == kerazoo.load(pretrained).tokenizer.fingerprint()
    again = kerazoo.load(tmp_path / "run")
    assert again.recipe.init == pretrained
    assert again.predict(["the cat"])[0].label in again.labels


def test_a_pretrained_model_learns_on_by_lora(data, pretrained, tmp_path):
    run = train(classifier(data, pretrained, lora_rank=2), tmp_path / "run")
    before, after = backbone_weights(kerazoo.load(pretrained)), backbone_weights(run)
    changed = {name for name in after if not np.array_equal(after[name], before[name])}
    assert changed
    assert all(name.endswith("kernel") for name in changed)


def test_a_size_that_is_not_that_of_the_run_gives_way(data, pretrained, tmp_path):
    model = BERTConfig(context_length=12, width=64, num_layers=3)
    run = train(classifier(data, pretrained, model, steps=1), tmp_path / "run")
    assert (run.model.config.width, run.model.config.context_length) == (16, 12)


@pytest.mark.parametrize("model", [GPTConfig(**SIZE), RNNConfig(**SIZE), LlamaConfig(**SIZE)])
def test_a_model_of_another_family_is_no_beginning(model, data, pretrained, tmp_path):
    with pytest.raises(InputError, match="is a run of bert, and the recipe's model is"):
        train(classifier(data, pretrained, model), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_language_model_gets_the_special_tokens_of_a_task(data, tmp_path):
    model = GPTConfig(**SIZE, num_layers=1)
    settings = TrainConfig(**{**TRAINING, "steps": 2, "validate_every": 2})
    language = Recipe("A test.", model, DataConfig(text=data / "text.txt"), settings)
    before = train(language, tmp_path / "gpt")
    recipe = classifier(data, tmp_path / "gpt", model, steps=2, validate_every=2)
    after = train(recipe, tmp_path / "run")
    assert set(before.tokenizer.special_ids) < set(after.tokenizer.special_ids)
    assert after.tokenizer.special_ids.keys() >= {"[CLS]", "[SEP]", "[PAD]", "[MASK]"}
    ids = before.tokenizer.encode("the cat")
    np.testing.assert_array_equal(after.tokenizer.encode("the cat"), ids)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"frozen": 2}, "--train.frozen 2 is for a pretrained model, and nothing is pretrained"),
        ({"layer_decay": 0.5}, "--train.layer-decay 0.5 is for a pretrained model"),
        ({"lora_rank": 4}, "--train.lora-rank 4 is for a pretrained model"),
    ],
)
def test_what_is_for_pretrained_models_is_refused_without_one(fields, message, data):
    with pytest.raises(InputError, match=message):
        classifier(data, None, **fields)
