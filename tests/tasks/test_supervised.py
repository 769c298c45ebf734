"""What tasks with right answers promise: weights, losses, units, hidden tokens, the cache."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from kerazoo.data import datasets, tokenizers
from kerazoo.data.datasets import DataConfig
from kerazoo.data.encoded import in_memory
from kerazoo.data.records import Records
from kerazoo.data.text import Text
from kerazoo.data.tokenizers import BERT_TOKENS, PAIR_TOKENS
from kerazoo.errors import InputError
from kerazoo.models import families
from kerazoo.models.configs import BERTConfig, GPTConfig, RNNEncoderConfig, TransformerConfig
from kerazoo.tasks.classification import Classification
from kerazoo.tasks.configs import (
    ClassificationConfig,
    DialogueConfig,
    RegressionConfig,
    SequenceToSequenceConfig,
    TaggingConfig,
)
from kerazoo.tasks.dialogue import Dialogue
from kerazoo.tasks.regression import Regression
from kerazoo.tasks.sequence_to_sequence import SequenceToSequence
from kerazoo.tasks.tagging import Tagging
from kerazoo.training.config import TrainConfig

TRAIN = TrainConfig(steps=1, batch_size=4)
LABELS = ("a", "b", "c")


@pytest.fixture(scope="module")
def char(small_text):
    return tokenizers.train("char", Text.of(small_text), 0, BERT_TOKENS)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAZOO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def records_of(folder, records, kind="labels"):
    path = folder / "records.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return Records(path, kind)


def task_of(kind, config, tokenizer, labels, context_length=32, train=TRAIN):
    model = RNNEncoderConfig(tokenizer.vocab_size, context_length, width=8)
    return kind(config, model, train, tokenizer, labels)


def classification(tokenizer, train=TRAIN, **settings):
    return task_of(Classification, ClassificationConfig(**settings), tokenizer, LABELS, train=train)


def records_with(labels):
    return [{"text": "a", "label": label} for label in labels]


def some_texts(number, labels, seed=0):
    chance = np.random.default_rng(seed)
    return [
        {"text": "the cat sees a dog"[: chance.integers(1, 18)], "label": str(label)}
        for label in chance.choice(labels, number)
    ]


def encoded(task, records):
    return in_memory(
        [made for n, record in enumerate(records) for made in task.examples(n, record)]
    )


# === The cache ===


def test_examples_are_made_anew_when_anything_that_they_depend_on_changes(
    home, tmp_path, char, small_text
):
    records = records_of(tmp_path, some_texts(20, LABELS))
    task = classification(char)
    other_tokenizer = tokenizers.train("byte", Text.of(small_text), 0, BERT_TOKENS)
    changed = [
        task,
        replace(task, labels=("c", "b", "a")),
        replace(task, tokenizer=other_tokenizer),
        replace(task, model=replace(task.model, context_length=8)),
    ]
    for number, each in enumerate(changed, start=1):
        for _ in range(2):
            each.encode(records)
            assert len(list((home / "tokens").iterdir())) == number
    same = replace(task, train=replace(TRAIN, batch_size=7), model=replace(task.model, width=16))
    same.encode(records)
    replace(task, config=ClassificationConfig(pooling="max", token_dropout=0.5)).encode(records)
    assert len(list((home / "tokens").iterdir())) == len(changed)


def test_a_decoder_and_an_encoder_decoder_have_examples_of_their_own(home, tmp_path, small_text):
    char = tokenizers.train("char", Text.of(small_text), 0, PAIR_TOKENS)
    pair = {"source": "the cat " * 4, "target": "a dog " * 5}
    records, sizes = records_of(tmp_path, [pair], "pairs"), set()
    for model in (TransformerConfig, GPTConfig):
        config = model(vocab_size=char.vocab_size, context_length=16, width=8, num_heads=2)
        task = SequenceToSequence(SequenceToSequenceConfig(), config, TRAIN, char)
        sizes.add(task.encode(records).num_tokens)
    assert sizes == {16, 8}


# === Classification ===


def test_labels_are_those_of_the_training_examples(tmp_path, char):
    records = records_of(tmp_path, some_texts(40, ["b", "c", "a"]))
    assert Classification.labels_of(records) == LABELS
    with pytest.raises(InputError, match="such as 'a', is 1; classification needs"):
        Classification.labels_of(records_of(tmp_path, some_texts(9, ["a"])))
    with pytest.raises(InputError, match="'.+' has the label 'd', which no training example"):
        encoded(classification(char), some_texts(1, ["d"]))


def test_balanced_class_weights_are_those_of_scikit_learn(char):
    task = classification(char, class_weights="balanced")
    records = some_texts(50, ["a", "b", "b", "b", "c", "c"])
    labels = [record["label"] for record in records]
    expected = compute_class_weight("balanced", classes=np.array(LABELS), y=labels)
    examples = encoded(task, records)
    np.testing.assert_allclose(task.class_weights(examples), expected, rtol=1e-6)
    _, right, weights = next(iter(task.batches(examples, 0)))
    np.testing.assert_allclose(weights, expected[right.numpy()], rtol=1e-6)
    _, _, weights = task.fill(examples, np.arange(-1, 50), 32)  # held-out ones weigh the same
    assert weights.tolist() == [0] + 50 * [1]


@pytest.mark.parametrize("labels", ["aabbbbbb", "bbbbbbbb", "aaaaaaaa"])
def test_class_weights_count_in_batches_of_one_class_too(char, labels):
    """As in the sum over a whole epoch, in which all classes weigh the same."""
    task = classification(char, class_weights="balanced")
    by_class = task.class_weights(encoded(task, 10 * records_with("abbb")))
    assert by_class[:2] == pytest.approx([4 / 3, 4 / 9])
    right = np.array([LABELS.index(label) for label in labels])
    logits = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
    loss = task.objectives(None)["loss"]
    expected = by_class[right] * task.losses(right, logits)
    assert float(loss(right, logits, by_class[right])) == pytest.approx(expected.mean(), rel=1e-5)
    halves = [
        loss(*(x[half] for x in (right, logits, by_class[right])))
        for half in np.split(np.arange(8), 2)
    ]
    assert np.mean(halves) == pytest.approx(expected.mean(), rel=1e-5)  # as by --train.accumulate 2
    unweighted = float(loss(right, logits, np.ones(8, np.float32)))
    assert unweighted == pytest.approx(task.losses(right, logits).mean(), rel=1e-5)


@pytest.mark.parametrize("class_weights", ["none", "balanced"])
def test_a_training_step_weighs_the_examples(char, class_weights):
    task = classification(char, class_weights=class_weights, dropout=0.0)
    examples = encoded(task, some_texts(23, ["a", "b", "b", "b"]))
    (inputs, right, weights), *_ = task.batches(examples, 0).take(1)
    model = task.build()
    outputs, right = model(inputs), right.numpy()
    expected = np.mean(weights.numpy() * task.losses(right, outputs))
    model.compile("sgd", **task.objectives(examples), run_eagerly=True)
    loss, _ = model.train_on_batch(inputs, right, weights)
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    assert (np.ptp(weights) > 0) == (class_weights == "balanced" and len(set(right)) > 1)
    # There are no empty examples in training, whose share in the mean would be nothing.
    assert all((batch[2].numpy() > 0).all() for batch in task.batches(examples, 0).take(20))


def test_losses_are_those_of_keras(char):
    chance = np.random.default_rng(0)
    logits, right = 5 * chance.normal(size=(6, 3)), chance.integers(0, 3, 6)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
    task = classification(char)
    np.testing.assert_allclose(task.losses(right, logits), loss(right, logits), rtol=1e-5)
    tagging = task_of(Tagging, TaggingConfig(), char, LABELS)
    logits, right = chance.normal(size=(2, 4, 3)), chance.integers(0, 3, (2, 4))
    np.testing.assert_allclose(tagging.losses(right, logits), loss(right, logits), rtol=1e-5)
    regression = task_of(Regression, RegressionConfig(), char, ("0.0", "1.0"))
    numbers, right = chance.normal(size=(4, 1)), chance.normal(size=(4, 1))
    expected = keras.losses.MeanSquaredError(reduction="none")(right, numbers)
    np.testing.assert_allclose(regression.losses(right, numbers), expected, rtol=1e-5)


def test_the_loss_of_a_score_is_that_of_training_without_dropout(tmp_path, home, char):
    for class_weights in ("none", "balanced"):
        task = classification(char, class_weights=class_weights)
        model = task.build()
        records = records_of(tmp_path, some_texts(70, ["a", "b", "b", "c"]))
        examples = task.encode(records)
        inputs, right, weights = task.fill(examples, np.arange(70), 32)
        model.compile("sgd", **task.objectives(examples), run_eagerly=True)
        expected = model.test_on_batch(inputs, right, sample_weight=weights)[0]
        assert task.score(model, examples).loss == pytest.approx(float(expected), rel=1e-5)


def test_what_is_said_of_a_text_is_the_softmax_of_the_outputs(char):
    task = classification(char)
    examples = encoded(task, some_texts(2, LABELS))
    one, other = task.answers(examples, [np.log([0.2, 0.5, 0.3]), np.array([800.0, -800.0, 0.0])])
    assert (one.label, other.label) == ("b", "a")
    assert one.probabilities == pytest.approx({"a": 0.2, "b": 0.5, "c": 0.3})
    assert list(one.probabilities) == ["b", "c", "a"]
    assert str(one) == "b 50%, c 30%, a 20%"
    assert other.probabilities == {"a": 1.0, "b": 0.0, "c": 0.0}


def test_a_classifier_that_is_right_as_often_as_it_says_is_calibrated(char):
    task = classification(char)
    records = records_with("bbba")
    for share, error in ((0.75, 0.0), (0.95, 0.2)):
        outputs = [np.log([1 - share, share, 1e-9])] * 4
        report = task.report(records, task.answers(None, outputs), "en")
        assert report.scores["accuracy"].value == pytest.approx(0.75)
        assert report.scores["calibration error"].value == pytest.approx(error, abs=1e-6)


def test_an_answer_does_not_depend_on_what_else_is_asked(char):
    task = classification(char)
    model = task.build()
    texts = ["the cat", "a", "the old king sees a dog and my friend"]
    together = task.predict(model, texts)
    for text, answer in zip(texts, together, strict=True):
        (alone,) = task.predict(model, [text])
        assert alone.probabilities == pytest.approx(answer.probabilities, abs=1e-5)
    with pytest.raises(InputError, match="an empty text"):
        task.predict(model, ["the", " "])


# === Regression ===


def test_numbers_are_learnt_in_deviations_and_said_in_their_own_unit(tmp_path, char):
    numbers = [1000.0, 1200.0, 1300.0, 1700.0]
    records = records_of(tmp_path, [{"text": "a", "label": str(number)} for number in numbers])
    labels = Regression.labels_of(records)
    assert list(map(float, labels)) == pytest.approx([np.mean(numbers), np.std(numbers)])
    task = task_of(Regression, RegressionConfig(), char, labels)
    examples = encoded(task, records)
    _, right, weights = task.fill(examples, np.array([0, 1, 2, 3, -1]), 8)
    assert right.shape == (5, 1)
    assert weights.tolist() == [1, 1, 1, 1, 0]
    assert right[:4].mean() == pytest.approx(0, abs=1e-6)
    assert right[:4].std() == pytest.approx(1, rel=1e-6)
    answers = task.answers(examples, list(right[:4]))
    assert answers == pytest.approx(numbers, rel=1e-6)
    scores = task.report(list(records), answers, "en").scores
    assert scores["MSE"].value == pytest.approx(0, abs=1e-3)
    assert scores["Pearson"].value == pytest.approx(1)


def test_numbers_that_are_all_the_same_have_a_deviation_of_one(tmp_path):
    records = records_of(tmp_path, [{"text": "a", "label": "3"}] * 3)
    assert Regression.labels_of(records) == ("3.0", "1.0")
    with pytest.raises(InputError, match="'.+' has the label 'many', which is no number"):
        Regression.labels_of(
            records_of(tmp_path, [{"text": "a", "label": label} for label in ("1", "many")])
        )


# === What is typed ===


@pytest.mark.parametrize(
    ("name", "typed", "in_data"),
    [
        ("trec", "who was galileo?", "who was galileo ?"),
        (
            "trec",
            "what's the (u.s.) capital, and why don't they know?",
            "what 's the ( u.s. ) capital , and why do n't they know ?",
        ),
        ("mr", "it's good, isn't it?", "it's good , isn't it ?"),
        ("sst-fine", "it's good, isn't it?", "it 's good , is n't it ?"),
    ],
)
def test_what_is_typed_is_cut_into_words_where_the_examples_are(name, typed, in_data, mirror):
    corpus = datasets.load(DataConfig(name=name, cleaning=("lowercase",)), "labels")
    tokenizer = tokenizers.train("whitespace", corpus.train, 10_000, BERT_TOKENS)
    kind, config = Classification, ClassificationConfig()
    if name == "sst-fine":
        kind, config = Regression, RegressionConfig()
    task = task_of(kind, config, tokenizer, kind.labels_of(corpus.records["train"]))
    assert task.asked([typed]) == [in_data]
    model = task.build()
    assert task.generate_json(model, [typed]) == task.generate_json(model, [in_data])
    texts = [record["text"] for record in corpus.records["test"]]
    said = task.asked(texts)
    assert sum(a != b for a, b in zip(texts, said, strict=True)) <= 1  # [fessenden]


def test_what_is_typed_stays_as_it_is_for_other_tokenizers(char):
    assert classification(char).asked(["it's a dog."]) == ["it's a dog."]


# === Hidden tokens ===


def hidden(task, examples, step, number=30):
    return list(task.batches(examples, step).take(number).as_numpy_iterator())


def test_token_dropout_hides_the_share_that_is_asked_for_and_no_special_token(char):
    task = classification(char, token_dropout=0.3)
    examples = encoded(task, some_texts(200, LABELS))
    shown = hidden(replace(task, config=ClassificationConfig()), examples, 0)
    mask_id, special = char.special_id("[MASK]"), list(char.special_ids.values())
    number = masked = 0
    for (inputs, *others), (whole, *expected) in zip(hidden(task, examples, 0), shown, strict=True):
        is_hidden = inputs["token_ids"] != whole["token_ids"]
        assert (inputs["token_ids"][is_hidden] == mask_id).all()
        assert not np.isin(whole["token_ids"][is_hidden], special).any()
        np.testing.assert_array_equal(inputs["padding_mask"], whole["padding_mask"])
        for one, other in zip(others, expected, strict=True):
            np.testing.assert_array_equal(one, other)
        masked += is_hidden.sum()
        number += (~np.isin(whole["token_ids"], special)).sum()
    assert masked / number == pytest.approx(0.3, abs=4 * (0.3 * 0.7 / number) ** 0.5)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_what_is_hidden_is_a_function_of_seed_and_step(char, accumulate):
    train = replace(TRAIN, batch_size=4 * accumulate, accumulate=accumulate)
    task = classification(char, token_dropout=0.3, train=train)
    examples = encoded(task, some_texts(40, LABELS))
    whole = hidden(task, examples, 0)
    resumed = hidden(task, examples, 5, 10)
    later = whole[5 * accumulate : 5 * accumulate + 10]
    for (inputs, *_), (expected, *_) in zip(resumed, later, strict=True):
        np.testing.assert_array_equal(inputs["token_ids"], expected["token_ids"])
    other = replace(task, train=replace(train, seed=1))
    assert any(
        one["token_ids"].shape != two["token_ids"].shape
        or (one["token_ids"] != two["token_ids"]).any()
        for (one, *_), (two, *_) in zip(whole, hidden(other, examples, 0), strict=True)
    )


# === Texts that are too long ===


def test_a_text_that_is_too_long_keeps_its_frame(char):
    task = task_of(Classification, ClassificationConfig(), char, LABELS, context_length=8)
    (example,) = task.examples(0, {"text": "the old king", "label": "a"})
    names = [char.text_of(token_id) for token_id in example["token_ids"]]
    assert names == ["[CLS]", *"the ol", "[SEP]"]


@pytest.mark.parametrize(
    ("kind", "config", "labels", "label"),
    [
        (Classification, ClassificationConfig(), LABELS, "a"),
        (Regression, RegressionConfig(), ("0.0", "1.0"), "1"),
    ],
)
def test_it_is_said_how_many_texts_were_too_long(home, tmp_path, char, kind, config, labels, label):
    task = task_of(kind, config, char, labels, context_length=8)
    model = task.build()

    def notes(*texts):
        texts = [{"text": text, "label": label} for text in texts]
        examples = task.encode(records_of(tmp_path, texts))
        return [note for note in task.score(model, examples).report.notes if "cut" in note]

    assert notes("the", "the ol") == []
    assert notes("the", "the old", "the old king") == [
        "2 of 3 texts were cut: the model reads 6 tokens of each."
    ]
    assert task.num_cut(["the ol", "the old"]) == 1


def test_texts_that_are_read_in_windows_are_not_cut(home, tmp_path, char):
    task = task_of(Tagging, TaggingConfig(), char, ("B-x", "O"), context_length=8)
    records = [{"tokens": ["the", "old", "king"], "tags": ["O", "O", "B-x"]}]
    examples = task.encode(records_of(tmp_path, records, "tags"))
    assert task.score(task.build(), examples).report.notes == ()
    assert task.num_cut(["the old king sees a dog"]) == 0


def test_of_a_conversation_the_newest_turns_are_kept(small_text):
    tokenizer = tokenizers.train("char", Text.of(small_text), 0, PAIR_TOKENS)
    model = TransformerConfig(vocab_size=tokenizer.vocab_size, context_length=10, width=8)
    task = Dialogue(DialogueConfig(), model, TRAIN, tokenizer)

    def source(*history):
        return [tokenizer.text_of(n) for n in task.source({"history": history, "response": ""})]

    assert source("the", "cat") == [*"the", "[END]", *"cat", "[END]"]
    assert source("the old king", "sees", "a dog") == [*"ees", "[END]", *"a dog", "[END]"]
    assert source("sees", "the old king") == [*" old king", "[END]"]
    assert source() == ["[END]"]


def test_a_conversation_has_no_more_turns_than_the_training_has_shown(tmp_path, small_text):
    tokenizer = tokenizers.train("char", Text.of(small_text), 0, PAIR_TOKENS)
    model = TransformerConfig(vocab_size=tokenizer.vocab_size, context_length=64, width=8)
    shown = [{"dialogue": "1", "history": number * ["a"], "response": "a"} for number in (1, 3, 2)]
    labels = Dialogue.labels_of(records_of(tmp_path, shown, "dialogues"))
    task = Dialogue(DialogueConfig(), model, TRAIN, tokenizer, labels)
    assert task.record_of("a")["history"] == ["a"]
    assert task.record_of("the\ta\tdog\tsees\tit")["history"] == ["dog", "sees", "it"]


def test_of_a_conversation_each_turn_is_cut_into_words_where_the_examples_are(mirror):
    corpus = datasets.load(DataConfig(name="dialog-babi-1"), "dialogues")
    tokenizer = tokenizers.train("whitespace", corpus.train, 4000, PAIR_TOKENS)
    model = TransformerConfig(vocab_size=tokenizer.vocab_size, context_length=64, width=8)
    labels = Dialogue.labels_of(corpus.records["train"])
    task = Dialogue(DialogueConfig(), model, TRAIN, tokenizer, labels)
    turns = ["hello, a table for two please!", "i'm on it", "in rome."]
    assert task.record_of("\t".join(turns))["history"] == [
        *("hello , a table for two please !", "i'm on it", "in rome .")
    ]
    for record in corpus.records["test"].head(200):  # what is said as in the data stays so
        assert task.record_of("\t".join(record["history"]))["history"] == record["history"]


# === Models ===


def test_a_bert_is_told_what_is_padding(char):
    model = BERTConfig(char.vocab_size, 32, num_layers=1, width=8, num_heads=2, dropout=0.0)
    task = Classification(ClassificationConfig(pooling="first"), model, TRAIN, char, LABELS)
    head = task.head(families.build(model))
    examples = encoded(task, some_texts(3, LABELS))
    short, long = (task.fill(examples, np.arange(3), length)[0] for length in (20, 32))
    np.testing.assert_allclose(head(short), head(long), atol=1e-5)
