"""Tagging: the tokens that speak for words, windows of long sentences, and what the tags say."""

import numpy as np
import pytest

from kerazoo.data import tokenizers
from kerazoo.data.encoded import in_memory
from kerazoo.data.records import Records, write
from kerazoo.data.text import Text
from kerazoo.data.tokenizers import BERT_TOKENS
from kerazoo.data.words import WORD, apart
from kerazoo.models.configs import RNNConfig, RNNEncoderConfig
from kerazoo.tasks.configs import TaggingConfig
from kerazoo.tasks.tagging import NO_WORD, Tagged, Tagging
from kerazoo.training.config import TrainConfig

SENTENCES = [
    ["Ada", "Lovelace", "wrote", "a", "programme", "."],
    ["小明", "在", "北京", "👩‍👩‍👧", "看", "cafe\u0301s", "don't"],
    ["x", "\u200b", "y", "ünïcödé", "@user", "https://t.co/x", "\u00a0z"],
    ["👍🏽"],
    [],
]
KINDS = ("byte", "char", "word", "whitespace", "bpe", "wordpiece", "unigram")


@pytest.fixture(scope="module")
def made(small_text, tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "words.txt"
    words = "\n".join(" ".join(sentence) for sentence in SENTENCES)
    path.write_text(small_text.read_text() + 5 * f"{words}\n")
    return {kind: tokenizers.train(kind, Text.of(path), 400, BERT_TOKENS) for kind in KINDS}


def task_of(tokenizer, context_length=64, labels=("B-x", "I-x", "O"), family=RNNEncoderConfig):
    model = family(tokenizer.vocab_size, context_length, width=8)
    return Tagging(TaggingConfig(), model, TrainConfig(steps=1, batch_size=2), tokenizer, labels)


def record_of(words, tag="O"):
    return {"tokens": list(words), "tags": [tag] * len(words)}


@pytest.mark.parametrize(("family", "place"), [(RNNEncoderConfig, 0), (RNNConfig, -1)])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("words", SENTENCES, ids=len)
def test_a_word_is_spoken_for_by_its_first_token_or_left_to_right_by_its_last(
    made, kind, words, family, place
):
    tokenizer = made[kind]
    text = " ".join(words)
    token_ids, places = tokenizer.encode_with_places(text)
    np.testing.assert_array_equal(token_ids, tokenizer.encode(text))
    expected, start = np.full(len(token_ids), NO_WORD), 0
    for n, word in enumerate(words):
        stop = start + len(word)
        touching = (places[:, 0] < np.minimum(places[:, 1], stop)) & (places[:, 1] > start)
        if touching.any():
            expected[np.flatnonzero(touching)[place]] = n
        start = stop + 1
    found_ids, found = task_of(tokenizer, family=family)._spoken_for(words)
    np.testing.assert_array_equal(found_ids, token_ids)
    assert found.tolist() == expected.tolist()
    missing = {word for n, word in enumerate(words) if n not in found}
    assert missing <= {"\u200b"}  # of which some tokenizers make nothing


def test_a_causal_model_tags_a_word_that_it_has_read_to_its_end(made):
    task = task_of(made["char"], family=RNNConfig)
    model, said = task.build(), []
    for word in ("cat", "car"):
        (example,) = task.examples(0, record_of([word]))
        (output,), _ = task._outputs(model, in_memory([example]))
        said.append(output[np.flatnonzero(example["words"] == 0)])
    assert np.abs(said[0] - said[1]).max() > 1e-3


def test_models_of_both_directions_have_examples_of_their_own(made, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAZOO_HOME", str(tmp_path / "home"))
    write(tmp_path, "train", [record_of(["cat", "dog"])], "tags")
    records = Records(tmp_path / "train.jsonl", "tags")
    for family, expected in ((RNNEncoderConfig, [1, 5]), (RNNConfig, [3, 7])):
        words = task_of(made["char"], family=family).encode(records).columns["words"][0]
        assert np.flatnonzero(words != NO_WORD).tolist() == expected  # [CLS] c a t   d o g [SEP]


@pytest.mark.parametrize("kind", ["char", "bpe", "wordpiece"])
@pytest.mark.parametrize("context_length", [3, 4, 7])
def test_windows_have_every_word(made, kind, context_length):
    task, words = task_of(made[kind], context_length), SENTENCES[0]
    examples = list(task.examples(5, record_of(words)))
    assert len(examples) > 1
    for example in examples:
        assert len(example["token_ids"]) <= context_length
        assert {len(example[name]) for name in ("token_ids", "words", "tags")} == {
            len(example["token_ids"])
        }
        assert example["record"] == [5]
        assert example["num_words"] == [len(words)]
        np.testing.assert_array_equal(
            example["tags"], np.where(example["words"] == NO_WORD, NO_WORD, 2)
        )
    found = {word for example in examples for word in example["words"].tolist()}
    assert found == {NO_WORD, *range(len(words))}


def test_a_tag_comes_from_the_window_that_has_most_around_the_word(made):
    task = task_of(made["char"], context_length=12)
    records = [record_of(SENTENCES[0]), record_of([]), record_of(SENTENCES[3])]
    examples = in_memory([e for n, r in enumerate(records) for e in task.examples(n, r)])
    outputs, best = [], {}
    for n in range(examples.num_examples):
        words = examples.columns["words"][n]
        logits = np.zeros((len(words) + 3, 3))  # longer than the window, as in a batch
        outputs.append(logits)
        for t, word in enumerate(words):
            key = (int(examples.columns["record"][n][0]), int(word))
            around = min(t, len(words) - 1 - t)
            if word != NO_WORD and around > best.get(key, (-1,))[0]:
                best[key] = (around, n, t)
            logits[t, 2] = 1  # O, unless it is the best place to ask
    for _, n, t in best.values():
        outputs[n][t] = [2, 0, 0]
    answers = task.answers(examples, outputs)
    assert answers == [["B-x"] * 6, [], ["B-x"]]


def test_a_word_without_tokens_is_outside_and_an_unknown_tag_is_not_learnt(made):
    task = task_of(made["wordpiece"])
    words = ["x", "\u0000", "y"]
    record = {"tokens": words, "tags": ["B-x", "B-x", "B-new"]}
    (example,) = task.examples(0, record)
    assert sorted(example["words"].tolist()) == [-1, -1, 0, 2]
    assert sorted(example["tags"].tolist()) == [-1, -1, -1, 0]
    outputs = [np.tile([1.0, 0, 0], (4, 1))]
    assert task.answers(in_memory([example]), outputs) == [["B-x", "O", "B-x"]]


def test_padding_and_inner_tokens_weigh_nothing(made):
    task = task_of(made["char"])
    examples = in_memory([e for r in map(record_of, SENTENCES[:2]) for e in task.examples(0, r)])
    inputs, tags, weights = task.fill(examples, np.array([0, 1, -1]), 64)
    assert weights.sum(axis=1).tolist() == [6, 7, 0]
    assert (tags[weights > 0] == 2).all()
    assert tags.min() >= 0
    assert inputs["padding_mask"].sum(axis=1).tolist() == [
        *examples.columns["token_ids"].lengths,
        0,
    ]


def test_words_are_about_those_of_the_datasets_and_names_are_as_they_stand():
    text = "@ada met Jean-Luc O'Neil of AT&T in the U.S., at 3.5%: Ada's idea."
    words = tuple(match.group() for match in WORD.finditer(text))
    assert " ".join(words) == (
        "@ada met Jean-Luc O 'Neil of AT&T in the U.S. , at 3.5 % : Ada 's idea ."
    )
    places = tuple(match.span() for match in WORD.finditer(text))
    tags = ["O"] * len(words)
    tags[2:5] = ["B-person", "I-person", "I-person"]
    tagged = Tagged(words, tuple(tags), text, places)
    assert tagged.entities == [("Jean-Luc O'Neil", "person")]
    assert Tagged.of(("Ada", "B."), ("B-x", "I-x")).spans == [("x", 0, 6)]


def test_each_character_of_chinese_and_japanese_is_a_word(made):
    text = "我住在北京的A座，ソニーは2024年に東京へ。김치를 먹어요"
    expected = "我 住 在 北 京 的 A 座 ， ソ ニ ー は 2024 年 に 東 京 へ 。 김치를 먹어요"
    words = expected.split()
    assert WORD.findall(text) == words
    assert apart(text, is_known=lambda word: False).split() == words
    task = task_of(made["char"])
    (tagged,) = task.predict(task.build(), [text])
    assert list(tagged.tokens) == words
    assert len(tagged.tags) == len(words)
    assert [text[start:stop] for start, stop in tagged.places] == words
