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


def take_contiguous(dataset, number):
    for inputs, next_token_ids in dataset.take(number):
        yield inputs["token_ids"].numpy(), inputs["goes_on"].numpy(), next_token_ids.numpy()


@pytest.mark.parametrize(("num_tokens", "batch_size"), [(97, 3), (100, 3), (33, 1), (1000, 7)])
def test_contiguous_windows_cover_each_stream_in_the_order_of_the_text(
    counting, num_tokens, batch_size
):
    tokens = counting(num_tokens)
    number = batches.batches_per_pass(tokens, 8, batch_size)
    windows = batches.contiguous_windows(tokens, 8, batch_size)
    passed = list(take_contiguous(windows, number))
    read = np.concatenate([token_ids for token_ids, _, _ in passed], axis=1)  # (B, number * 8)
    assert read.dtype == np.int32
    assert (np.diff(read) == 1).all()
    stream = (num_tokens - 1) // batch_size
    assert read[:, 0].tolist() == [stream * row for row in range(batch_size)]
    assert stream - 8 < read.shape[1] <= stream  # less than a window is left out
    assert all((after == before + 1).all() for before, _, after in passed)


def test_streams_that_have_been_read_begin_anew_and_say_so(counting):
    windows = batches.contiguous_windows(counting(100), 8, 3)
    number = batches.batches_per_pass(counting(100), 8, 3)
    passed = list(take_contiguous(windows, 2 * number + 1))
    assert [goes_on.tolist() for _, goes_on, _ in passed] == [
        [n % number > 0] * 3 for n in range(2 * number + 1)
    ]
    assert (passed[0][0] == passed[number][0]).all()


def test_contiguous_windows_can_begin_anywhere(counting):
    whole = list(take_contiguous(batches.contiguous_windows(counting(100), 8, 3), 20))
    rest = list(take_contiguous(batches.contiguous_windows(counting(100), 8, 3, 13), 7))
    for expected, found in zip(whole[13:], rest, strict=True):
        for one, other in zip(expected, found, strict=True):
            assert (one == other).all()


def test_streams_shorter_than_a_window_are_refused(counting):
    with pytest.raises(InputError, match="has 24 tokens, and 3 windows of 8 side by side need 25"):
        batches.contiguous_windows(counting(24), 8, 3)
    assert batches.batches_per_pass(counting(25), 8, 3) == 1


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


def test_reading_before_the_beginning_gives_zeros(counting):
    assert counting(5).read([-2, -9], 4).tolist() == [[0, 0, 0, 1], [0, 0, 0, 0]]


def test_a_text_of_one_token_has_nothing_to_continue(counting):
    with pytest.raises(InputError, match="fewer than two tokens"):
        batches.scoring_continuations(counting(1), 8, batch_size=3)


@pytest.mark.parametrize("num_tokens", [2, 8, 9, 10, 50])
def test_continuations_score_every_token_but_the_first_once_after_those_before_it(
    num_tokens, counting
):
    seen = []
    for rows in batches.scoring_continuations(counting(num_tokens), 8, batch_size=3):
        for before, is_token, token_ids, next_token_ids, weights in zip(*rows, strict=True):
            scored = next_token_ids.numpy()[weights.numpy() == 1].tolist()
            if not scored:
                continue
            seen += scored
            context = before.numpy()[is_token.numpy()].tolist()
            assert context == list(range(max(0, scored[0] - 8), scored[0]))
            assert token_ids.numpy()[: len(scored)].tolist() == [n - 1 for n in scored]
    assert seen == list(range(1, num_tokens))
