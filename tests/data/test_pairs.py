import numpy as np
import pytest

from kerazoo.data import datasets, pairs, tokenizers
from kerazoo.data.text import Text
from kerazoo.data.tokenizers import PAIR_TOKENS
from kerazoo.errors import InputError

LENGTH = 8
PAIRS = [("ab", "ba"), ("cde", "edc"), ("é中", "中é"), ("a", ""), ("abcdefghij", "jihgfedcba")]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    path = tmp_path_factory.mktemp("pairs") / "pairs.txt"
    path.write_text("".join(f"{source}\t{target}\n" for source, target in PAIRS), encoding="utf-8")
    text = Text.of(path)
    tokenizer = tokenizers.train("char", text, 0, PAIR_TOKENS)
    return tokenizer, pairs.encode_pairs(text, tokenizer)


def batches(made, batch_size=2):
    tokenizer, of_pairs = made
    return pairs.PairBatches(of_pairs, tokenizer, LENGTH, batch_size)


def test_pairs_come_back_as_they_were(made):
    tokenizer, of_pairs = made
    found = [tuple(map(tokenizer.decode, pair)) for pair in of_pairs.read(np.arange(5))]
    assert found == PAIRS
    assert of_pairs.num_pairs == 5
    assert of_pairs.num_tokens == sum(len(target) + 1 for _, target in PAIRS)


def test_a_target_begins_with_start_and_ends_with_end(made):
    tokenizer, _ = made
    start, end, padding = (tokenizer.special_id(name) for name in ("[START]", "[END]", "[PAD]"))
    inputs, targets, weights = next(iter(batches(made).in_order()))
    a, b = tokenizer.encode("ab")
    assert inputs["source_ids"][0].numpy().tolist() == [a, b] + [padding] * 6
    assert inputs["source_mask"][0].numpy().tolist() == [True, True] + [False] * 6
    assert inputs["token_ids"][0, :3].numpy().tolist() == [start, b, a]
    assert targets[0, :3].numpy().tolist() == [b, a, end]
    assert weights[0].numpy().tolist() == [1, 1, 1, 0, 0, 0, 0, 0]


def test_what_is_too_long_is_cut_and_what_is_missing_counts_nothing(made):
    tokenizer, _ = made
    *_, (inputs, targets, weights) = batches(made).in_order()
    assert inputs["source_mask"].numpy().sum(axis=1).tolist() == [LENGTH, 0]
    assert weights.numpy().sum(axis=1).tolist() == [LENGTH, 0]
    assert targets[0, -1].numpy() == tokenizer.special_id("[END]")


def test_each_pair_comes_once_an_epoch_and_batches_are_a_function_of_the_seed(made):
    tokenizer, _ = made

    def sources(seed, first_batch, number):
        dataset = batches(made, batch_size=5).training(seed, first_batch).take(number)
        return [
            [tokenizer.decode(row[mask]) for row, mask in zip(*rows, strict=True)]
            for inputs, *_ in dataset
            for rows in [(inputs["source_ids"].numpy(), inputs["source_mask"].numpy())]
        ]

    epochs = sources(0, 0, 4)
    assert all(sorted(epoch) == sorted(epochs[0]) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    assert sources(0, 2, 2) == epochs[2:]
    assert sources(1, 0, 4) != epochs


@pytest.mark.parametrize("line", ["no tab", "one\ttwo\tthree"])
def test_a_line_that_is_no_pair_is_refused_by_its_number(line, tmp_path):
    path = tmp_path / "pairs.txt"
    path.write_text(f"a\tb\n{line}\n")
    with pytest.raises(InputError, match=r"line 2 of .*pairs.txt.*give a source and a target"):
        list(pairs.parse(Text.of(path)))


def test_a_text_without_a_pair_is_refused(made, tmp_path):
    path = tmp_path / "empty.txt"
    path.write_text("\n\n")
    with pytest.raises(InputError, match=r"empty.txt has no pair in it"):
        pairs.encode_pairs(Text.of(path), made[0])


@pytest.mark.parametrize(("name", "target"), [("reverse", lambda s: s[::-1]), ("copy", str)])
def test_the_strings_to_learn_are_right_and_never_in_two_splits(name, target):
    corpus = datasets.load(datasets.DataConfig(name=name))
    splits = {split: list(pairs.parse(text)) for split, text in corpus.splits.items()}
    assert {split: len(found) for split, found in splits.items()} == {
        "train": 20_000,
        "validation": 1_000,
        "test": 1_000,
    }
    sources = [source for found in splits.values() for source, _ in found]
    assert len(set(sources)) == len(sources)
    assert all(found == target(source) for pairs in splits.values() for source, found in pairs)
