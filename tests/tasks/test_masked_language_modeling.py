import numpy as np
import pytest

from kerazoo.data import tokenizers
from kerazoo.data.batches import tokenize
from kerazoo.data.text import Text
from kerazoo.data.tokenizers import BERT_TOKENS
from kerazoo.errors import InputError
from kerazoo.models import families
from kerazoo.models.configs import BERTConfig
from kerazoo.tasks import masked_language_modeling
from kerazoo.tasks.configs import MaskedLanguageModelingConfig
from kerazoo.tasks.masked_language_modeling import MaskedLanguageModeling
from kerazoo.training.config import TrainConfig

LENGTH = 16


@pytest.fixture(scope="module")
def made(small_text):
    text = Text.of(small_text)
    tokenizer = tokenizers.train("char", text, 0, BERT_TOKENS)
    config = BERTConfig(
        vocab_size=tokenizer.vocab_size, context_length=LENGTH, num_layers=1, width=16, dropout=0.0
    )
    task = MaskedLanguageModeling(
        MaskedLanguageModelingConfig(), config, TrainConfig(steps=1, batch_size=4), tokenizer
    )
    model = families.build(config)
    for weight in model.trainable_weights:  # far from the even logits of the beginning
        weight.assign_add(0.3 * np.random.default_rng(len(weight.path)).normal(size=weight.shape))
    return task, tokenize(text, tokenizer), model


def test_the_score_is_counted_over_what_was_hidden(made):
    task, tokens, model = made
    nats, right, hidden, sentences_right, sentences = 0.0, 0, 0, 0, 0
    for inputs, targets, weights in task.masking(0).scoring_examples(tokens, 32):
        logits = {name: np.asarray(value) for name, value in model(inputs).items()}
        hidden_ids = targets["mask_logits"].numpy()
        for row, column in np.argwhere(weights["mask_logits"].numpy()):
            scores, target = logits["mask_logits"][row, column], hidden_ids[row, column]
            nats += np.log(np.exp(scores).sum()) - scores[target]
            right += scores.argmax() == target
            hidden += 1
        answers = logits["sentence_logits"].argmax(axis=1)
        sentences_right += (answers == targets["sentence_logits"].numpy()).sum()
        sentences += len(answers)
    score = task.score_in_training(model, tokens, tokens.num_tokens)
    assert score.loss == pytest.approx(nats / hidden, rel=1e-4)
    assert score.accuracy == pytest.approx(right / hidden)
    assert score.sentence_accuracy == pytest.approx(sentences_right / sentences)


def test_of_a_text_without_line_ends_the_beginning_is_shown(made, tmp_path):
    task, _, model = made
    path = tmp_path / "long.txt"
    path.write_text("the cat sees my friend " * 40_000)  # one by one, too many words to leave out
    assert "the cat" in task.sample(model, Text.of(path))


def test_a_text_shorter_than_an_example_is_refused_before_training(made, tmp_path):
    task, tokens, model = made
    path = tmp_path / "short.txt"
    path.write_text("the cat")
    with pytest.raises(InputError, match="7 tokens, an example needs 13"):
        task.encode(Text.of(path))
    assert len(task.score_in_training(model, tokens, limit=1).counted) == 1


def test_the_pseudo_perplexity_hides_each_token_in_turn(made, monkeypatch):
    task, tokens, model = made
    monkeypatch.setattr(masked_language_modeling, "PSEUDO_TOKENS", 3 * (LENGTH - 2))
    special = task.tokenizer.special_id
    nats = []
    for start in range(0, 3 * (LENGTH - 2), LENGTH - 2):
        text = tokens.read([start], LENGTH - 2)[0]
        framed = np.array([special("[CLS]"), *text, special("[SEP]")], "int32")
        for t in range(1, LENGTH - 1):
            hidden = framed.copy()
            hidden[t] = special("[MASK]")
            logits = np.asarray(model.mask_logits(model.hidden_states(hidden[None])))[0, t]
            nats.append(np.log(np.exp(logits).sum()) - logits[framed[t]])
    score = task.score(model, tokens)
    assert score.pseudo_log_probs.shape == (3, LENGTH - 2)
    assert score.pseudo_perplexity == pytest.approx(np.exp(np.mean(nats)), rel=1e-4)
    shown = score.report.scores
    assert shown["pseudo-perplexity"].interval[0] < score.pseudo_perplexity
    assert "of the first" in shown["pseudo-perplexity"].signature
    assert shown["masked loss"].value == score.loss
    assert shown["masked loss"].num_examples == len(score.counted)
    low, high = shown["masked accuracy"].interval
    assert low <= score.accuracy <= high
