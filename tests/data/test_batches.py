import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kerazoo.data import batches, tokenizers
from kerazoo.data.text import Text
from kerazoo.errors import InputError


@pytest.fixture
def counting(tmp_path):
    """Return a function that makes a token file whose tokens are their own positions."""

    def make(num_tokens):
        path = tmp_path / f"{num_tokens}.bin"
        np.arange(num_tokens, dtype=np.uint16).tofile(path)
        return batches.TokenFile(path, "", "uint16", num_tokens, num_tokens, 0, 0, False)

    return make


def take(dataset, number):
    return [tuple(part.numpy() for part in batch) for batch in dataset.take(number)]


def test_a_text_becomes_the_ids_of_its_tokenizer(small_text):
    text = Text.of(small_text)
    tokenizer = tokenizers.train("char", text, 0)
    tokens = batches.tokenize(text, tokenizer)
    expected = tokenizer.encode(text.read())
    assert tokens.num_tokens == len(expected)
    assert tokens.num_bytes == text.num_bytes
    assert tokens.dtype == "uint8"
    assert tokens.read([0], len(expected))[0].tolist() == expected.tolist()


def test_tokens_are_made_once(small_text, monkeypatch):
    text = Text.of(small_text)
    tokenizer = tokenizers.train("byte", text, 0)
    first = batches.tokenize(text, tokenizer)
    monkeypatch.setattr(tokenizer, "encode_pieces", lambda pieces: pytest.fail("made again"))
    assert batches.tokenize(text, tokenizer) == first


def test_unknown_text_is_counted_in_tokens_and_bytes(tmp_path):
    (tmp_path / "train.txt").write_text("abc")
    (tmp_path / "other.txt").write_text("abzüz中")
    tokenizer = tokenizers.train("char", Text.of(tmp_path / "train.txt"), 0)
    tokens = batches.tokenize(Text.of(tmp_path / "other.txt"), tokenizer)
    assert (tokens.num_tokens, tokens.num_unknown, tokens.unknown_bytes) == (6, 4, 1 + 2 + 1 + 3)


def test_reading_past_the_end_gives_zeros(counting):
    assert counting(5).read([3, 9], 4).tolist() == [[3, 4, 0, 0], [0, 0, 0, 0]]


def test_the_targets_are_the_inputs_one_token_on(counting):
    for token_ids, next_token_ids in take(batches.training_windows(counting(100), 8, 4, 0), 20):
        assert token_ids.shape == (4, 8)
        assert token_ids.dtype == np.int32
        assert (next_token_ids == token_ids + 1).all()
        assert (np.diff(token_ids) == 1).all()


@pytest.mark.parametrize("num_tokens", [9, 16, 17, 100, 1000])
def test_an_epoch_shows_each_window_once(counting, num_tokens):
    windows = batches.training_windows(counting(num_tokens), length=8, batch_size=1, seed=3)
    number = max(1, (num_tokens - 1) // 8 - 1)
    for epoch in np.split(np.array([x for x, _ in take(windows, 3 * number)])[:, 0, 0], 3):
        starts = np.sort(epoch)
        assert len(set(starts)) == number
        assert (np.diff(starts) == 8).all()
        assert starts[0] >= 0
        assert starts[-1] + 8 < num_tokens


def test_the_next_epoch_cuts_and_orders_otherwise(counting):
    windows = batches.training_windows(counting(1000), length=8, batch_size=1, seed=3)
    starts = np.array([x[0, 0] for x, _ in take(windows, 2 * 123)]).reshape(2, -1)
    assert (starts[0] != starts[1]).mean() > 0.9
    assert starts[0].min() != starts[1].min()


def test_the_seed_decides_the_batches(counting):
    def first(seed):
        return take(batches.training_windows(counting(1000), 8, 4, seed), 1)[0][0].tolist()

    assert first(1) == first(1)
    assert first(1) != first(2)


def test_batches_can_begin_anywhere(counting):
    whole = take(batches.training_windows(counting(100), 8, 4, 0), 20)
    rest = take(batches.training_windows(counting(100), 8, 4, 0, first_batch=13), 7)
    for expected, found in zip(whole[13:], rest, strict=True):
        assert (expected[0] == found[0]).all()


def test_a_text_shorter_than_a_window_is_refused(counting):
    with pytest.raises(InputError, match="8 tokens and one window needs 9"):
        batches.training_windows(counting(8), 8, 1, 0)


@settings(max_examples=30, deadline=None)
@given(num_tokens=st.integers(2, 60), length=st.integers(1, 12), data=st.data())
def test_scoring_counts_every_token_but_the_first_once(num_tokens, length, data, tmp_path_factory):
    stride = data.draw(st.integers(1, length))
    path = tmp_path_factory.mktemp("tokens") / "tokens.bin"
    np.arange(num_tokens, dtype=np.uint8).tofile(path)
    tokens = batches.TokenFile(path, "", "uint8", num_tokens, num_tokens, 0, 0, False)
    counted = []
    for token_ids, next_token_ids, weights in batches.scoring_windows(tokens, length, stride, 3):
        assert token_ids.shape == next_token_ids.shape == weights.shape == (3, length)
        for row, targets, row_weights in zip(token_ids, next_token_ids, weights, strict=True):
            scored = targets.numpy()[row_weights.numpy() == 1]
            counted += scored.tolist()
            if len(scored) and row[0] > 0:  # but for the first window, there is context
                assert scored[0] - row[0] > length - stride
    assert counted == list(range(1, num_tokens))


def test_nothing_to_score_is_refused(counting):
    with pytest.raises(InputError, match="fewer than two tokens"):
        batches.scoring_windows(counting(1), 8, 4, 1)
