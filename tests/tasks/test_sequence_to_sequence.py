"""Pairs of texts as an encoder-decoder reads them, and as a language model does."""

import numpy as np
import pytest

from kerazoo.data import encoded, tokenizers
from kerazoo.data.records import Records, write
from kerazoo.data.text import Text
from kerazoo.errors import InputError
from kerazoo.models import families
from kerazoo.models.configs import GPTConfig, TransformerConfig
from kerazoo.tasks import registry
from kerazoo.tasks.configs import SequenceToSequenceConfig
from kerazoo.training.config import TrainConfig

pytestmark = pytest.mark.usefixtures("without_xla")
PAIRS = [("abc", "cba"), ("d", "d")]


@pytest.fixture
def tokenizer(tmp_path):
    (tmp_path / "letters.txt").write_text("abcd")
    text = Text.of(tmp_path / "letters.txt")
    return tokenizers.train("char", text, 0, SequenceToSequenceConfig.special_tokens)


def task_of(config, tokenizer):
    config = config(vocab_size=tokenizer.vocab_size, context_length=16, width=8, num_heads=2)
    return registry.make(SequenceToSequenceConfig(), config, TrainConfig(steps=1), tokenizer)


def filled(task, length):
    records = [{"source": source, "target": target} for source, target in PAIRS]
    made = [example for n, record in enumerate(records) for example in task.examples(n, record)]
    examples = encoded.in_memory(made, "target")
    assert task.lengths(examples).max() <= length
    return task.fill(examples, np.array([0, 1, -1]), length)


def test_an_encoder_decoder_reads_source_and_target_apart(tokenizer):
    inputs, right, weights = filled(task_of(TransformerConfig, tokenizer), 4)
    start, end = (tokenizer.special_id(name) for name in ("[START]", "[END]"))
    assert inputs["source_mask"].tolist() == [[1, 1, 1, 0], [1, 0, 0, 0], [0] * 4]
    assert inputs["token_ids"][:2, 0].tolist() == [start, start]
    np.testing.assert_array_equal(inputs["token_ids"][0, 1:], right[0, :-1])
    assert (right[0, 3], right[1, 1]) == (end, end)
    assert weights.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0], [0] * 4]


def test_a_language_model_reads_both_as_one_text(tokenizer):
    text, right, weights = filled(task_of(GPTConfig, tokenizer), 8)
    ids = {letter: int(tokenizer.encode(letter)[0]) for letter in "abcd"}
    start, end = (tokenizer.special_id(name) for name in ("[START]", "[END]"))
    assert text[0, :7].tolist() == [*map(ids.get, "abc"), start, *map(ids.get, "cba")]
    assert text[1, :3].tolist() == [ids["d"], start, ids["d"]]
    assert right[0, 3:7].tolist() == [*map(ids.get, "cba"), end]
    assert weights.tolist() == [[0, 0, 0, 1, 1, 1, 1, 0], [0, 1, 1, 0, 0, 0, 0, 0], [0] * 8]


def test_a_language_model_writes_for_each_source_what_it_writes_for_it_alone(tokenizer):
    task = task_of(GPTConfig, tokenizer)
    model = families.build(task.model)
    records = [{"source": source, "target": ""} for source in ("abc", "d", "dcbaabcd")]
    together = task.answer_all(model, records)
    assert together == [task.answer_all(model, [record])[0] for record in records]
    assert together == task.write(model, [record["source"] for record in records])


@pytest.mark.parametrize("config", [TransformerConfig, GPTConfig])
def test_sources_of_which_cleaning_has_left_nothing_are_answered(config, tokenizer):
    task = task_of(config, tokenizer)
    answers = task.answer_all(families.build(task.model), [{"source": ""}] * 2)
    assert len(answers) == 2
    assert answers[0] == answers[1]


def test_the_score_tells_how_many_sources_were_cut(tokenizer, tmp_path):
    task = task_of(TransformerConfig, tokenizer)
    model = families.build(task.model)

    def notes(*lengths):
        pairs = [{"source": "a" * length, "target": "b"} for length in lengths]
        write(tmp_path, "test", pairs, "pairs")
        examples = task.encode(Records(tmp_path / "test.jsonl", "pairs"))
        return task.score(model, examples).report.notes

    assert notes(1, 16) == ()
    assert notes(1, 17) == ("1 of 2 sources was cut: the model reads 16 tokens of each.",)
    assert notes(16, 17, 20) == ("2 of 3 sources were cut: the model reads 16 tokens of each.",)


def test_what_is_typed_is_cut_into_words_where_the_examples_are(tmp_path):
    (tmp_path / "words.txt").write_text("i'm here\nwho is it ?\nhello , it is me .\n")
    text = Text.of(tmp_path / "words.txt")
    special = SequenceToSequenceConfig.special_tokens
    task = task_of(TransformerConfig, tokenizers.train("whitespace", text, 30, special))
    assert task.record_of("hello, who is it?")["source"] == "hello , who is it ?"
    assert task.record_of("i'm here")["source"] == "i'm here"  # a token only at the beginning
    with pytest.raises(InputError, match="has ' you', unknown"):
        task.write(task.build(), ["hello, you"])
