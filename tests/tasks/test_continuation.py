import numpy as np
import pytest

from kerazoo.data import tokenizers
from kerazoo.data.batches import tokenize
from kerazoo.data.text import Text
from kerazoo.models import families
from kerazoo.models.configs import TransformerConfig
from kerazoo.tasks.configs import ContinuationConfig
from kerazoo.tasks.continuation import Continuation
from kerazoo.training.config import TrainConfig

LENGTH = 8


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("the cat sees a dog, and the dog sees it.")
    text = Text.of(path)
    tokenizer = tokenizers.train("char", text, 0)
    config = TransformerConfig(
        vocab_size=tokenizer.vocab_size, context_length=LENGTH, num_layers=1, width=8, dropout=0.0
    )
    train = TrainConfig(steps=1, batch_size=4)
    task = Continuation(ContinuationConfig(), config, train, tokenizer)
    return task, tokenize(text, tokenizer), families.build(config)


def test_the_score_is_that_of_each_token_after_those_before_it(made):
    task, tokens, model = made
    ids = tokens.read([0], tokens.num_tokens)[0].astype("int32")
    nats = np.log(model.config.vocab_size)  # the first, which may be any
    for t in range(1, len(ids)):
        begin = 1 + (t - 1) // LENGTH * LENGTH  # of the stretch that it is in
        source = ids[max(0, begin - LENGTH) : begin][::-1]
        inputs = {"source_ids": source[None], "token_ids": ids[None, begin - 1 : t]}
        logits = np.asarray(model(inputs))[0, -1]
        nats -= logits[ids[t]] - np.log(np.exp(logits).sum())
    score = task.score(model, tokens)
    assert score.nats == pytest.approx(nats, rel=1e-4)
    assert score.num_tokens == len(ids)


def test_the_encoder_reads_what_comes_before_backwards(made):
    task, tokens, _ = made
    text = task.tokenizer.decode(tokens.read([0], tokens.num_tokens)[0])
    short = 0
    for inputs, next_token_ids in task.batches(tokens, 0).take(20):
        parts = zip(
            inputs["source_ids"].numpy(),
            inputs["source_mask"].numpy(),
            inputs["token_ids"].numpy(),
            next_token_ids.numpy(),
            strict=True,
        )
        for source, is_token, token_ids, targets in parts:
            before = task.tokenizer.decode(source[is_token][::-1])
            assert before + task.tokenizer.decode(targets) in text
            assert token_ids.tolist() == [source[0], *targets[:-1]]
            short += len(before) < LENGTH
    assert 0 < short < 20  # a tenth of 80


def test_batches_go_on_where_they_were_interrupted(made):
    task, tokens, _ = made
    whole = [inputs["source_mask"].numpy() for inputs, _ in task.batches(tokens, 0).take(6)]
    rest = [inputs["source_mask"].numpy() for inputs, _ in task.batches(tokens, 4).take(2)]
    np.testing.assert_array_equal(whole[4:], rest)
