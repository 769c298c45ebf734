"""Examples on disk, and batches that are a function of seed and step."""

import itertools
import json

import numpy as np
import pytest

from kerazoo.data import encoded
from kerazoo.data.encoded import CHUNK_BATCHES, Batches, Column, in_memory, padded
from kerazoo.data.records import Records
from kerazoo.errors import InputError


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAZOO_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def records_of(folder, *texts):
    path = folder / "records.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return Records(path, "labels")


def letters(number, record):
    """The letters of a text, its number as a float, and nothing at all."""
    yield {
        "token_ids": np.frombuffer(record["text"].encode(), np.uint8).astype(np.int32),
        "number": np.array([number], np.float32),
        "nothing": np.zeros(0, np.int32),
    }


# === On disk ===


def test_columns_are_memory_maps_of_what_was_made(home, tmp_path):
    texts = ("ab", "", "cde")
    examples = encoded.encode(records_of(tmp_path, *texts), "key", letters, "token_ids")
    assert (examples.num_examples, examples.num_tokens) == (3, 5)
    column = examples.columns["token_ids"]
    assert isinstance(column.values, np.memmap)
    assert [bytes(column[n].astype(np.uint8)) for n in range(3)] == [b"ab", b"", b"cde"]
    assert column.lengths.tolist() == [2, 0, 3]
    assert examples.columns["number"].values.tolist() == [0, 1, 2]
    assert examples.columns["number"].values.dtype == np.float32
    assert examples.columns["nothing"].lengths.tolist() == [0, 0, 0]
    in_ram = in_memory([made for n, t in enumerate(texts) for made in letters(n, {"text": t})])
    for name, column in examples.columns.items():
        np.testing.assert_array_equal(column.values, in_ram.columns[name].values)
        np.testing.assert_array_equal(column.starts, in_ram.columns[name].starts)


def test_examples_are_made_once_for_each_text_and_key(home, tmp_path):
    calls = []

    def counted(number, record):
        calls.append(number)
        return letters(number, record)

    records = records_of(tmp_path, "ab", "c")
    for key, made in (("one", 2), ("one", 2), ("other", 4), ("one", 4)):
        encoded.encode(records, key, counted, "token_ids")
        assert len(calls) == made
    encoded.encode(records_of(tmp_path, "ab", "d"), "one", counted, "token_ids")
    assert len(calls) == 6


def test_what_is_interrupted_leaves_nothing(home, tmp_path):
    def broken(number, record):
        yield from letters(number, record)
        if number == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encoded.encode(records_of(tmp_path, "ab", "c", "d"), "key", broken, "token_ids")
    assert not any((home / "tokens").iterdir())


def test_a_split_without_examples_is_refused(home, tmp_path):
    with pytest.raises(InputError, match="has no example in it"):
        encoded.encode(records_of(tmp_path, "ab"), "key", lambda n, record: [], "token_ids")
    assert not any((home / "tokens").iterdir())


def test_a_sample_has_whole_records_from_everywhere_in_the_file(home, tmp_path):
    """A file may be sorted, so that its beginning is no fair sample."""

    def two_windows(number, record):
        for window in (record["text"], record["text"].upper()):
            (example,) = letters(number, {"text": window})
            yield {**example, "record": np.array([number], np.int32)}

    records = records_of(tmp_path, *(letter * 5 for letter in "abcdefghij"))
    examples = encoded.encode(records, "key", two_windows, "token_ids")
    assert examples.sample(100) is examples
    sample = examples.sample(40)
    assert (sample.num_examples, sample.num_tokens) == (8, 40)
    assert [record["text"][0] for record in sample.records] == ["a", "c", "f", "h"]
    assert sample.records.head(2) == list(sample.records)[:2]
    assert len(sample.records) == 4
    first = [chr(sample.columns["token_ids"][n][0]) for n in range(8)]
    assert first == ["a", "A", "c", "C", "f", "F", "h", "H"]
    assert sample.columns["record"].values.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert examples.sample(1).num_examples == 2  # a record at least


# === Batches ===


def some_column(number, seed=0, longest=40):
    lengths = np.random.default_rng(seed).integers(0, longest + 1, number)
    return Column(np.arange(lengths.sum(), dtype=np.uint16) % 1000, np.cumsum([0, *lengths]))


def test_a_filled_up_table_has_the_values_of_each_example():
    column = some_column(20)
    numbers = np.array([3, -1, 19, 0, 3])
    for length in (1, 16, 64):
        table = padded(column, numbers, length, -5)
        assert table.dtype == np.int32
        for row, number in zip(table, numbers, strict=True):
            values = column[number][:length] if number >= 0 else []
            assert row.tolist() == [*values, *[-5] * (length - len(values))]


def test_floats_stay_floats_and_an_empty_column_is_all_filling():
    numbers = np.array([0, -1])
    floats = padded(Column(np.array([0.5, 2], np.float32), np.array([0, 1, 2])), numbers, 2, -1)
    assert floats.dtype == np.float32
    assert floats.tolist() == [[0.5, -1], [-1, -1]]
    nothing = Column(np.zeros(0, np.int32), np.zeros(3, np.int64))
    assert padded(nothing, numbers, 2, 7).tolist() == [[7, 7], [7, 7]]


def batches_of(column, batch_size, most=64):
    def fill(numbers, length):
        return numbers.astype(np.int64), padded(column, numbers, length, 0)

    return Batches(column.lengths, most, batch_size, fill)


def first(batches, number, seed=1, first_batch=0):
    return [n for n, _ in batches.training(seed, first_batch).take(number).as_numpy_iterator()]


@pytest.mark.parametrize("examples", [1, 7, 500, 130 * 4])
def test_a_batch_is_a_function_of_seed_and_step(examples):
    batches = batches_of(some_column(examples), 4)
    number = 2 * CHUNK_BATCHES + 5
    expected = first(batches, number)
    for step in (1, CHUNK_BATCHES - 1, CHUNK_BATCHES, CHUNK_BATCHES + 1, 2 * CHUNK_BATCHES + 3):
        np.testing.assert_array_equal(
            first(batches, 2, first_batch=step), expected[step : step + 2]
        )
    if examples > 1:
        assert (np.array(first(batches, number, seed=2)) != np.array(expected)).any()


@pytest.mark.parametrize(("examples", "batch_size"), [(1, 4), (7, 4), (512, 4), (300, 4), (999, 2)])
def test_each_example_comes_once_an_epoch(examples, batch_size):
    batches = batches_of(some_column(examples), batch_size)
    of_chunk = min(CHUNK_BATCHES, max(1, examples // batch_size))
    chunk = of_chunk * batch_size
    chunks = -(-3 * examples // chunk)
    numbers = itertools.islice(batches._shuffled(1, 0), chunks * of_chunk)
    counts = np.bincount(np.concatenate(list(numbers)), minlength=examples)
    whole, rest = divmod(chunks * chunk, examples)
    assert set(counts) <= {whole, whole + 1}
    assert (counts == whole + 1).sum() == rest


def test_epochs_and_chunks_differ():
    numbers = first(batches_of(some_column(256), 4), 2 * CHUNK_BATCHES)  # an epoch is a chunk
    one, two = np.split(np.array(numbers), 2)
    assert (np.sort(one, axis=None) == np.sort(two, axis=None)).all()
    assert (one != two).any()
    assert {frozenset(batch) for batch in one.tolist()} != {frozenset(b) for b in two.tolist()}


def test_few_examples_are_not_sorted_next_to_their_copies():
    batches = Batches(np.arange(100), most=100, batch_size=32, fill=lambda numbers, length: numbers)
    for batch in itertools.islice(batches._shuffled(0, 0), 60):
        assert len(set(batch.tolist())) > 16  # of two epochs at the most


def test_batches_of_about_one_length_have_little_padding():
    column = some_column(4096, longest=60)

    def share_of_padding(numbers):
        sizes = [padded_to(column.lengths[batch].max()) * len(batch) for batch in numbers]
        return 1 - sum(column.lengths[batch].sum() for batch in numbers) / sum(sizes)

    def padded_to(longest):
        return next(length for length in encoded._LENGTHS if length >= longest)

    batches = batches_of(column, 32)
    numbers = list(itertools.islice(batches._shuffled(0, 0), 2 * CHUNK_BATCHES))
    at_random = np.random.default_rng(0).permutation(4096).reshape(-1, 32)
    assert share_of_padding(numbers) < 0.2
    assert share_of_padding(at_random) > 0.45
    widths = {table.shape[1] for _, table in batches.training(0).take(64).as_numpy_iterator()}
    assert widths <= {8, 12, 16, 24, 32, 48, 64}
    for _, table in batches.training(0).take(64).as_numpy_iterator():
        assert table.shape[0] == 32


def test_a_batch_is_no_longer_than_the_model_can_read():
    batches = batches_of(some_column(50), 4, most=20)
    widths = [table.shape[1] for _, table in batches.training(0).take(20).as_numpy_iterator()]
    assert max(widths) == 20


@pytest.mark.parametrize("examples", [1, 7, 8, 50])
def test_in_order_each_example_comes_once_with_its_number(examples):
    column = some_column(examples)
    seen = []
    for numbers, (told, table) in batches_of(column, 4).in_order():
        assert len(numbers) == 4
        np.testing.assert_array_equal(numbers, told)
        for number, row in zip(numbers, table, strict=True):
            values = column[number] if number >= 0 else []
            assert row.tolist() == [*values, *[0] * (len(row) - len(values))]
        seen += [number for number in numbers.tolist() if number >= 0]
    assert sorted(seen) == list(range(examples))
    assert np.all(np.diff(column.lengths[seen]) <= 0)
