import string

import numpy as np
import pytest

from kerazoo.data import tokenizers
from kerazoo.data.batches import TokenFile, tokenize
from kerazoo.data.masking import Masking
from kerazoo.data.text import Text
from kerazoo.data.tokenizers import BERT_TOKENS
from kerazoo.errors import InputError

LENGTH = 32
LETTERS = string.ascii_letters + string.digits


@pytest.fixture(scope="module")
def ordered(tmp_path_factory):
    """A text in which each token follows from the one before: abc...789 again and again."""
    path = tmp_path_factory.mktemp("ordered") / "text.txt"
    path.write_text(LETTERS * 60)
    text = Text.of(path)
    tokenizer = tokenizers.train("char", text, 0, BERT_TOKENS)
    return tokenizer, tokenize(text, tokenizer)


def masking(tokenizer, **fields):
    settings = {
        "length": LENGTH,
        "mask_share": 0.15,
        "whole_words": False,
        "sentences": "next",
        "seed": 0,
    }
    return Masking(tokenizer=tokenizer, **{**settings, **fields})


def examples(making, tokens, batches=10, batch_size=40, first_batch=0):
    """Return inputs, targets and weights of some batches, put together."""
    dataset = making.training_examples(tokens, batch_size, first_batch).take(batches)
    parts = [tuple({k: v.numpy() for k, v in part.items()} for part in batch) for batch in dataset]
    return tuple(
        {name: np.concatenate([part[name] for part in column]) for name in column[0]}
        for column in zip(*parts, strict=True)
    )


def restored(inputs, targets, weights):
    """Return the token ids (B, T) with what was hidden put back."""
    token_ids = inputs["token_ids"].copy()
    rows, columns = np.nonzero(weights["mask_logits"])
    token_ids[rows, inputs["mask_positions"][rows, columns]] = targets["mask_logits"][rows, columns]
    return token_ids


def stretches(tokenizer, token_ids):
    """Return the two stretches of each example, between [CLS] and the two [SEP]."""
    separator = tokenizer.special_id("[SEP]")
    for row in token_ids:
        assert row[0] == tokenizer.special_id("[CLS]")
        (middle, end) = np.flatnonzero(row == separator)
        assert end == LENGTH - 1
        yield row[1:middle], row[middle + 1 : end]


def follows(tokenizer, first, second):
    """Tell whether one token comes after another in the ordered text."""
    letters = tokenizer.decode([first, second])
    return letters in LETTERS * 2


def test_of_the_tokens_to_predict_four_fifths_are_masked_and_a_tenth_random(ordered):
    tokenizer, tokens = ordered
    inputs, targets, weights = examples(masking(tokenizer), tokens)
    shown = np.take_along_axis(inputs["token_ids"], inputs["mask_positions"], axis=1)
    assert weights["mask_logits"].mean() == 1
    assert shown.shape == (400, 5)  # 15 % of 32
    assert (shown == tokenizer.special_id("[MASK]")).mean() == pytest.approx(0.8, abs=0.03)
    assert (shown == targets["mask_logits"]).mean() == pytest.approx(0.1, abs=0.03)
    random = (shown != targets["mask_logits"]) & (shown != tokenizer.special_id("[MASK]"))
    assert random.mean() == pytest.approx(0.1, abs=0.03)
    assert len(set(shown[random])) > 40
    assert not set(shown[random]) & set(tokenizer.special_ids.values())


def test_special_tokens_are_never_predicted_and_all_else_alike(ordered):
    tokenizer, tokens = ordered
    inputs, targets, _ = examples(masking(tokenizer), tokens)
    assert not set(targets["mask_logits"].ravel()) & set(tokenizer.special_ids.values())
    counts = np.bincount(inputs["mask_positions"].ravel(), minlength=LENGTH)
    assert counts[0] == counts[-1] == 0
    assert counts[1:-1].min() > 0.5 * counts[1:-1].mean()


def test_what_was_hidden_is_the_target(ordered):
    tokenizer, tokens = ordered
    making = masking(tokenizer, sentences="none")
    for row in restored(*examples(making, tokens)):
        assert tokenizer.decode(row[1:-1]) in LETTERS * 3


def test_the_second_stretch_comes_next_in_half_of_the_examples_and_from_elsewhere_else(ordered):
    tokenizer, tokens = ordered
    inputs, targets, weights = examples(masking(tokenizer), tokens)
    token_ids = restored(inputs, targets, weights)
    is_other = targets["sentence_logits"]
    assert is_other.mean() == pytest.approx(0.5, abs=0.1)
    pairs = list(stretches(tokenizer, token_ids))
    next_to = np.array([follows(tokenizer, a[-1], b[0]) for a, b in pairs])
    assert next_to[is_other == 0].all()
    assert next_to[is_other == 1].mean() < 0.1
    for (first, _), segments in zip(pairs, inputs["segment_ids"], strict=True):
        assert segments.tolist() == [0] * (len(first) + 2) + [1] * (LENGTH - len(first) - 2)
    assert len({len(first) for first, _ in pairs}) > 5


def test_swapped_stretches_are_in_order_in_half_of_the_examples(ordered):
    tokenizer, tokens = ordered
    inputs, targets, weights = examples(masking(tokenizer, sentences="order"), tokens)
    swapped = targets["sentence_logits"]
    assert swapped.mean() == pytest.approx(0.5, abs=0.1)
    pairs = list(stretches(tokenizer, restored(inputs, targets, weights)))
    for (first, second), is_swapped in zip(pairs, swapped, strict=True):
        before, after = (second, first) if is_swapped else (first, second)
        assert follows(tokenizer, before[-1], after[0])
        assert tokenizer.decode([*before, *after]) in LETTERS * 3


def test_without_a_question_about_sentences_there_is_one_segment(ordered):
    tokenizer, tokens = ordered
    inputs, _, weights = examples(masking(tokenizer, sentences="none"), tokens, batches=1)
    assert not weights["sentence_logits"].any()
    assert not inputs["segment_ids"].any()


def test_whole_words_are_hidden_together(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("unbelievable understanding reconsidered disagreement " * 200)
    text = Text.of(path)
    tokenizer = tokenizers.train("bpe", text, 275, BERT_TOKENS)
    tokens = tokenize(text, tokenizer)
    goes_on, may_go_on = tokenizer.word_joints()
    making = masking(tokenizer, whole_words=True, sentences="none", mask_share=0.4)
    inputs, targets, weights = examples(making, tokens)
    assert 0.5 < weights["mask_logits"].mean() < 1  # the last word often does not fit
    token_ids = restored(inputs, targets, weights)
    several = 0
    for row, positions, counts in zip(
        token_ids, inputs["mask_positions"], weights["mask_logits"], strict=True
    ):
        joins = goes_on[row] & may_go_on[np.roll(row, 1)]
        word = np.cumsum(~joins)
        hidden = set(positions[counts == 1])
        for position in hidden:
            of_word = set(np.flatnonzero(word == word[position]))
            assert of_word <= hidden
            several += len(of_word) > 1
    assert several > 100


def test_batches_are_a_function_of_seed_and_number(ordered):
    tokenizer, tokens = ordered
    first = examples(masking(tokenizer), tokens, batches=6)
    again = examples(masking(tokenizer), tokens, batches=3, first_batch=3)
    for whole, part in zip(first, again, strict=True):
        for name in whole:
            np.testing.assert_array_equal(whole[name][120:], part[name])
    other = examples(masking(tokenizer, seed=1), tokens, batches=6)
    assert (other[0]["token_ids"] != first[0]["token_ids"]).any()


def test_held_out_text_is_cut_side_by_side_and_masked_alike_each_time(ordered):
    tokenizer, tokens = ordered
    making = masking(tokenizer, sentences="none")
    runs = [list(making.scoring_examples(tokens, 16)) for _ in range(2)]
    whole = np.concatenate(
        [restored(*({k: v.numpy() for k, v in part.items()} for part in b)) for b in runs[0]]
    )
    text = tokenizer.decode(whole[:, 1:-1].ravel())
    assert (LETTERS * 60).startswith(text)
    assert len(text) > 0.85 * tokens.num_tokens
    for first, second in zip(*runs, strict=True):
        np.testing.assert_array_equal(first[0]["token_ids"], second[0]["token_ids"])


def test_a_text_shorter_than_an_example_is_refused(ordered):
    tokenizer, tokens = ordered
    short = TokenFile(tokens.path, "", tokens.dtype, 20, 20, 0, 0, False)
    with pytest.raises(InputError, match="20 tokens, an example needs 29"):
        masking(tokenizer).training_examples(short, 4)
    with pytest.raises(InputError, match="--model.context-length is 4.*at least 5"):
        masking(tokenizer, length=4).training_examples(tokens, 4)
