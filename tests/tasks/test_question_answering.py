"""Question answering: the places of answers, windows of long passages, and the best span."""

import itertools

import numpy as np
import pytest

from kerazoo.data import tokenizers
from kerazoo.data.datasets import DataConfig, load
from kerazoo.data.encoded import in_memory
from kerazoo.data.text import Text
from kerazoo.data.tokenizers import BERT_TOKENS
from kerazoo.errors import InputError
from kerazoo.models.configs import BERTConfig, GPTConfig
from kerazoo.tasks.configs import QuestionAnsweringConfig
from kerazoo.tasks.question_answering import NO_PLACE, QuestionAnswering
from kerazoo.training.config import TrainConfig

SOMETIMES = ("an answer", "no answer")


def task_of(tokenizer, context_length=64, labels=SOMETIMES, family=BERTConfig, **settings):
    size = {"num_layers": 1, "width": 8, "num_heads": 2}
    model = family(vocab_size=tokenizer.vocab_size, context_length=context_length, **size)
    config, train = QuestionAnsweringConfig(**settings), TrainConfig(steps=1, batch_size=2)
    return QuestionAnswering(config, model, train, tokenizer, labels)


def sure_of(examples):
    """What a model says that is sure of the right places."""
    outputs = []
    for n in range(examples.num_examples):
        logits = np.zeros((2, len(examples.columns["starts"][n]) + 5), np.float32)
        first, last = examples.columns["place"][n]
        logits[0, first], logits[1, last] = 9, 9
        outputs.append(logits)
    return outputs


def encoded(task, records):
    return in_memory(
        [made for n, record in enumerate(records) for made in task.examples(n, record)]
    )


@pytest.fixture(scope="module")
def char(small_text):
    return tokenizers.train("char", Text.of(small_text), 0, BERT_TOKENS)


def record_of(answer, context="the cat sees a dog. the old king hears my friend.", question="the"):
    answers = [{"text": answer, "start": context.index(answer)}] if answer else []
    return {
        "id": f"{question}{answer}",
        "question": question,
        "context": context,
        "answers": answers,
    }


# === Real passages ===


@pytest.mark.parametrize("kind", ["wordpiece", "bpe"])
@pytest.mark.parametrize("name", ["xquad-en", "xquad-zh"])
def test_every_answer_survives_tokens_and_windows(mirror, name, kind):
    corpus = load(DataConfig(name=name, tokenizer=kind, vocab_size=4000), "questions")
    tokenizer = tokenizers.train(kind, corpus.train, 4000, BERT_TOKENS)
    records = corpus.content["validation"].head(100)  # of which the tokenizer has seen no word
    task = task_of(tokenizer, context_length=384, stride=128, answer_tokens=100)
    examples = encoded(task, records)
    answers = task.answers(examples, sure_of(examples))
    same = 0
    for record, (start, stop, _) in zip(records, answers, strict=True):
        (right, *_) = record["answers"]
        end = right["start"] + len(right["text"])
        # Tokens may begin before the answer or end after it, but have all of it.
        assert start <= right["start"]
        assert end <= stop
        same += record["context"][start:stop] == right["text"]
    assert same / len(records) > (0.95 if kind == "wordpiece" else 0.6)
    report = task.report(records, answers, name[-2:])
    assert report.scores["F1"].value > 90


# === Windows ===


def test_windows_have_the_whole_passage_and_point_to_the_answer_or_to_nothing(char):
    task, record = task_of(char, context_length=24, stride=5), record_of("old king")
    context, tokens = record["context"], []
    with_answer = 0
    for example in task.examples(3, record):
        starts, stops, ids = (example[name] for name in ("starts", "stops", "token_ids"))
        assert len(starts) == len(stops) == len(ids) <= 24
        assert char.text_of(ids[0]) == "[CLS]"
        assert char.text_of(ids[4]) == char.text_of(ids[-1]) == "[SEP]"
        (inside,) = np.nonzero(starts != NO_PLACE)
        assert inside.tolist() == list(range(5, len(ids) - 1))
        tokens += [(t - 5 + stops[5] - 1, context[stops[t] - 1]) for t in inside]
        first, last = example["place"]
        if first:
            with_answer += 1
            assert context[starts[first] : stops[last]] == "old king"
        else:
            assert last == 0
            assert "old king" not in context[stops[5] - 1 : stops[inside[-1]]]
    assert with_answer > 1
    assert {position for position, _ in tokens} == set(range(len(context)))


def test_the_first_segment_is_the_question_and_an_answer_lies_in_the_passage_or_at_cls(char):
    task = task_of(char)
    examples = encoded(task, [record_of("dog"), record_of("", context="a dog.")])
    inputs, places, weights = task.fill(examples, np.array([1, 0, -1]), 64)
    length = examples.columns["token_ids"].lengths
    for row, n in ((0, 1), (1, 0)):
        positions = np.arange(64)
        expected = (positions >= 5) & (positions < length[n])  # [CLS] the [SEP] passage [SEP]
        np.testing.assert_array_equal(inputs["segment_ids"][row], expected)
        passage = expected & (positions < length[n] - 1)
        np.testing.assert_array_equal(inputs["may_be_answer"][row], passage | (positions == 0))
    assert places[0].tolist() == [0, 0]
    assert weights.tolist() == [[1, 1], [1, 1], [0, 0]]
    assert inputs["may_be_answer"][2].tolist() == [True] + [False] * 63
    assert not inputs["padding_mask"][2].any()


@pytest.mark.parametrize(("answer_tokens", "context_length"), [(10, 40), (10, 20), (30, 20)])
def test_an_answer_anywhere_is_whole_in_a_window_of_a_short_context(
    char, answer_tokens, context_length
):
    task = task_of(char, context_length, stride=128, answer_tokens=answer_tokens)
    context = record_of("")["context"]
    for start in range(len(context) - 9):
        record = record_of("") | {"answers": [{"text": context[start:][:10], "start": start}]}
        examples = encoded(task, [record])
        ((first, stop, score),) = task.answers(examples, sure_of(examples))
        assert context[first:stop] == context[start : start + 10].strip()
        assert score > 0


def test_a_question_that_leaves_no_room_is_refused_and_a_long_one_is_cut(char):
    record = record_of("dog", question="the old king " * 9)
    with pytest.raises(InputError, match="leaves none for the passage"):
        list(task_of(char, context_length=27).examples(0, record))
    example, *_ = task_of(char, context_length=40, question_tokens=10).examples(0, record)
    assert char.decode(example["token_ids"][1:11]) == "the old ki"


# === Answers ===


@pytest.mark.parametrize("answer_tokens", [1, 4, 100])
@pytest.mark.parametrize("seed", range(3))
def test_the_best_span_is_the_best_of_all_that_are_allowed(char, seed, answer_tokens):
    task = task_of(char, context_length=30, stride=7, answer_tokens=answer_tokens)
    examples = encoded(task, [record_of("dog"), record_of("")])
    chance, spans, nothing, outputs = np.random.default_rng(seed), {}, {}, []
    for n in range(examples.num_examples):
        starts, stops, record = (
            examples.columns[name][n] for name in ("starts", "stops", "record")
        )
        logits = chance.normal(size=(2, len(starts) + 3))
        logits[:, [1, 2, 4, len(starts)]] = 9  # the question, [SEP] and padding
        outputs.append(logits)
        key, none = int(record[0]), logits[:, 0].sum()
        nothing[key] = min(nothing.get(key, none), none)
        places = range(5, len(starts) - 1)
        for first, last in itertools.product(places, places):
            if 0 <= last - first < answer_tokens:
                score = logits[0, first] + logits[1, last]
                spans.setdefault(key, []).append((score, starts[first], stops[last]))
    for key, (start, stop, score) in enumerate(task.answers(examples, outputs)):
        best = max(spans[key])
        assert (start, stop) == best[1:]
        assert score == pytest.approx(best[0] - nothing[key])


def test_a_passage_without_an_answer_is_answered_by_nothing(char):
    task = task_of(char)
    records = [record_of("dog"), record_of("", question="a"), record_of("cat")]
    answers = task.answers(encoded(task, records), sure_of(encoded(task, records)))
    assert [score > 0 for *_, score in answers] == [True, False, True]
    scores = task.report(records, answers, "en").scores
    assert scores["exact match"].value == scores["F1"].value == 100
    unsure = [(start, stop, -1.0) for start, stop, _ in answers]
    report = task.report(records, unsure, "en")
    assert report.scores["exact match"].value == pytest.approx(100 / 3)
    # It is said what another threshold would make of it.
    assert report.scores["F1, best threshold"].value == pytest.approx(200 / 3)
    assert "likelier than none by -inf" in report.notes[0]


@pytest.mark.parametrize(
    ("labels", "expected"), [(SOMETIMES, ["dog", "", ""]), ((), ["dog", "sees", "cat"])]
)
def test_what_is_scored_is_what_a_person_is_told_whatever_the_data(
    char, labels, expected, monkeypatch
):
    task = task_of(char, labels=labels)
    records = [record_of("dog"), record_of("", question="a"), record_of("cat")]
    answers = [(15, 18, 1.0), (8, 12, -1.0), (4, 7, -1.0)]
    monkeypatch.setattr(QuestionAnswering, "say", lambda *_: answers)
    told = [answer.text for answer in task._say(None, records)]
    assert told == expected
    right = [text == word for text, word in zip(told, ("dog", "", "cat"), strict=True)]
    some = task.report(records, answers, "en")
    assert some.scores["exact match"].value == pytest.approx(100 * np.mean(right))
    assert {"F1, unanswered", "F1, best threshold"} <= set(some.scores)
    assert ("not by 0;" if labels else "not always;") in some.notes[0]
    answered = task.report(records[::2], answers[::2], "en")
    assert answered.scores["exact match"].value == pytest.approx(100 * np.mean(right[::2]))
    assert set(answered.scores) == {"exact match", "F1"}
    assert not answered.notes


@pytest.mark.parametrize("passage", ["\u200b", "\u200b\u200d "])
def test_a_passage_without_tokens_is_refused(small_text, passage):
    tokenizer = tokenizers.train("wordpiece", Text.of(small_text), 200, BERT_TOKENS)
    task = task_of(tokenizer)
    with pytest.raises(InputError, match="the passage '.u200b.*' has nothing in it that"):
        task.predict(task.build(), [f"the cat\t{passage}"])


def test_an_empty_passage_has_no_answer(char):
    task = task_of(char)
    records = [record_of("", context=""), record_of("dog")]
    answers = task.answers(encoded(task, records), sure_of(encoded(task, records)))
    assert answers[0] == (0, 0, -np.inf)
    assert task.report(records, answers, "en").scores["exact match"].value == 100


# === Models that read from left to right ===


def test_a_causal_model_says_at_the_last_token_that_there_is_no_answer(char):
    task = task_of(char, family=GPTConfig)
    records = [record_of("dog"), record_of(""), record_of("", context="")]
    examples = encoded(task, records)
    inputs, places, _ = task.fill(examples, np.array([0, 1, 2, -1]), 64)
    last = examples.columns["token_ids"].lengths - 1
    assert places[1:3].tolist() == [[n, n] for n in last[1:]]
    for row, end in enumerate(last):  # [CLS] the [SEP] passage [SEP]
        assert np.flatnonzero(inputs["may_be_answer"][row]).tolist() == list(range(5, end + 1))
    answers = task.answers(examples, sure_of(examples))
    assert [score for *_, score in answers] == [18, -18, -np.inf]
    assert task.report(records, answers, "en").scores["exact match"].value == 100


def test_what_a_causal_model_says_of_no_answer_depends_on_the_passage(char):
    task = task_of(char, family=GPTConfig)
    model, said = task.build(), []
    for context in ("a dog.", "a cat."):
        examples = encoded(task, [record_of("", context=context)])
        ((output,), _) = task._outputs(model, examples)
        said.append(output[:, examples.columns["place"][0][0]])
    assert np.abs(said[0] - said[1]).max() > 1e-3


def test_examples_depend_on_the_longest_answer_and_on_the_direction(char):
    tasks = [task_of(char), task_of(char, answer_tokens=9), task_of(char, family=GPTConfig)]
    assert len({task.depends_on() for task in tasks}) == 3
