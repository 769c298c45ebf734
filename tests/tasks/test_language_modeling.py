import keras
import numpy as np
import pytest

from kerazoo.data import batches, tokenizers
from kerazoo.data.text import Text
from kerazoo.errors import InputError
from kerazoo.models import families
from kerazoo.models.configs import GPTConfig, RNNConfig
from kerazoo.tasks import language_modeling
from kerazoo.tasks.language_modeling import BitsPerByte, score
from kerazoo.tasks.losses import CrossEntropy, cross_entropy


def random_case(seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 7, (3, 5)), rng.normal(size=(3, 5, 7)).astype("float32")


def test_cross_entropy_is_minus_the_log_of_the_softmax():
    token_ids, logits = random_case()
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    expected = -np.log(np.take_along_axis(probabilities, token_ids[..., None], axis=-1)[..., 0])
    np.testing.assert_allclose(cross_entropy(token_ids, logits), expected, rtol=1e-5)


def test_label_smoothing_equals_that_of_keras():
    token_ids, logits = random_case()
    expected = keras.ops.categorical_crossentropy(
        0.9 * np.eye(7)[token_ids] + 0.1 / 7, logits, from_logits=True
    )
    np.testing.assert_allclose(cross_entropy(token_ids, logits, 0.1), expected, rtol=1e-5)


def test_the_loss_is_a_mean_over_tokens_that_count():
    token_ids, logits = random_case()
    weights = np.zeros((3, 5), "float32")
    weights[0, :2] = weights[2, 4] = 1
    expected = np.asarray(cross_entropy(token_ids, logits))[weights == 1].mean()
    assert float(CrossEntropy()(token_ids, logits, weights)) == pytest.approx(expected, rel=1e-5)


def test_bits_per_byte_of_a_stream_equal_those_of_the_whole():
    metric = BitsPerByte(tokens_per_byte=0.25)
    losses = []
    for seed in range(3):
        token_ids, logits = random_case(seed)
        metric.update_state(token_ids, logits)
        losses.append(np.asarray(cross_entropy(token_ids, logits)))
    assert float(metric.result()) == pytest.approx(np.mean(losses) / np.log(2) * 0.25, rel=1e-5)


def test_loss_and_metric_are_rebuilt_from_their_configuration():
    for thing in (CrossEntropy(0.1), BitsPerByte(0.25)):
        again = type(thing).from_config(thing.get_config())
        assert again.get_config() == thing.get_config()


@pytest.mark.parametrize(
    ("text", "stop", "decided"),
    [
        ("so be it", None, "so be it"),
        ("so be it", "t", "so be it"),
        ("so be it", "it is", "so be "),
        ("so be it", " be good", "so be it"),
        ("aab", "abc", "a"),
        ("nana", "nanas", ""),
        ("北\ufffd", "北京", ""),  # of which the first bytes of the second are there
        ("so\ufffd", "it is", "so\ufffd"),
    ],
)
def test_what_may_become_the_stop_text_is_held_back(text, stop, decided):
    assert language_modeling._decided(text, stop) == decided


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    path = tmp_path_factory.mktemp("scored") / "text.txt"
    path.write_text("abcab cabba ccbaa bacca\nab ba ac ca bb aa cc")
    text = Text.of(path)
    tokenizer = tokenizers.train("char", text, 0)
    keras.utils.set_random_seed(0)
    model = families.build(
        GPTConfig(
            vocab_size=tokenizer.vocab_size,
            context_length=8,
            num_layers=1,
            num_heads=2,
            width=8,
            positions="rotary",
        )
    )
    for weight in model.trainable_weights:
        weight.assign_add(0.3 * keras.random.normal(weight.shape, seed=1))
    return model, tokenizer, text


@pytest.mark.parametrize("stride", [1, 3, 4, 8])
def test_a_sliding_window_equals_token_by_token_by_hand(scored, stride):
    model, tokenizer, text = scored
    token_ids = tokenizer.encode(text.read())
    nats, correct = np.log(tokenizer.vocab_size), 0
    for t in range(1, len(token_ids)):
        # The window that predicts t is the first one, or the first that reaches it.
        start = max(0, -(-(t - 8) // stride) * stride)
        logits = np.asarray(model(token_ids[None, start:t]))[0, -1]
        nats -= logits[token_ids[t]] - np.log(np.exp(logits).sum())
        correct += np.argmax(logits) == token_ids[t]

    for batch_size in (1, 5):
        result = score(model, batches.tokenize(text, tokenizer), 8, stride, batch_size)
        assert result.nats == pytest.approx(nats, rel=1e-5)
        assert result.correct == correct
        assert result.num_tokens == result.num_bytes == len(token_ids)


@pytest.mark.parametrize("stride", [-1, 0, 9])
def test_a_stride_that_would_leave_tokens_out_is_refused(scored, stride):
    model, tokenizer, text = scored
    with pytest.raises(InputError, match=f"the stride is {stride}; windows of 8 tokens need one"):
        score(model, batches.tokenize(text, tokenizer), 8, stride)


def test_more_context_does_not_change_which_tokens_count(scored):
    model, tokenizer, text = scored
    tokens = batches.tokenize(text, tokenizer)
    assert score(model, tokens, 8, 1).num_tokens == score(model, tokens, 8, 8).num_tokens


def test_a_scorer_sees_weights_that_changed(scored):
    model, tokenizer, text = scored
    tokens = batches.tokenize(text, tokenizer)
    before, weights = score(model, tokens).nats, model.get_weights()
    model.set_weights([0 * weight for weight in weights])
    uniform = score(model, tokens).nats
    model.set_weights(weights)
    assert uniform == pytest.approx(tokens.num_tokens * np.log(tokenizer.vocab_size), rel=1e-5)
    assert score(model, tokens).nats == before


@pytest.mark.parametrize("stretch", [1, 7, 1000])
def test_a_model_with_a_state_reads_the_text_as_one_stream(scored, stretch, monkeypatch):
    monkeypatch.setattr(language_modeling, "STREAM_STRETCH", stretch)
    _, tokenizer, text = scored
    keras.utils.set_random_seed(0)
    model = families.build(
        RNNConfig(vocab_size=tokenizer.vocab_size, context_length=4, width=8, num_layers=2)
    )
    for weight in model.trainable_weights:
        weight.assign_add(0.5 * keras.random.normal(weight.shape, seed=1))
    token_ids, tokens = tokenizer.encode(text.read())[None], batches.tokenize(text, tokenizer)
    result = score(model, tokens)
    whole = float(np.sum(model.token_log_probs(token_ids)))
    assert result.nats == pytest.approx(-whole, rel=1e-5)
    best = np.argmax(model(token_ids[:, :-1]), axis=-1)
    assert result.correct == (best == token_ids[:, 1:]).sum()
    # With a stride, it knows nothing from before a window, as in training on separate windows.
    assert score(model, tokens, stride=4).nats != pytest.approx(result.nats, rel=1e-3)
