"""Examples for masked language modelling, cut and masked in the graph (Devlin et al. 2019, 3.1).

    [CLS] first stretch [SEP] second stretch [SEP]

Some tokens are chosen for prediction; of those 80 % are replaced by [MASK], 10 % by a random token
and 10 % left as they are, so that the model cannot know which of the tokens it sees are right. The
second stretch follows the first in the text, or it does not, and the model is asked which.

Everything is a function of the seed and the number of the batch.

Shapes: B batch, T positions, M positions to predict.
"""

from dataclasses import dataclass
from typing import Literal

import tensorflow as tf

from ..errors import InputError
from .batches import TokenFile, prefetched, read_windows, scattered_starts
from .tokenizers import Tokenizer

REPLACED, RANDOM = 0.8, 0.1
"""Shares of the tokens to predict that are replaced by [MASK], and by a random token."""


@dataclass(frozen=True)
class Masking:
    """How examples are made.

    Args:
        tokenizer: a tokenizer that was trained with `BERT_TOKENS`.
        length: positions of an example, T.
        mask_share: share of the positions to predict.
        whole_words: whether all tokens of a word are hidden together.
        sentences: what is asked about the two stretches; with "none" there is one stretch only.
        seed: decides everything that is left to chance.
    """

    tokenizer: Tokenizer
    length: int
    mask_share: float
    whole_words: bool
    sentences: Literal["next", "order", "none"]
    seed: int

    @property
    def num_special(self) -> int:
        """How many of the positions hold [CLS] and [SEP]."""
        return 2 if self.sentences == "none" else 3

    @property
    def num_predictions(self) -> int:
        """The most positions to predict in an example, M."""
        return max(1, round(self.mask_share * self.length))

    @property
    def num_text_tokens(self) -> int:
        """Positions that hold text."""
        return self.length - self.num_special

    # === Datasets ===

    def training_examples(
        self, tokens: TokenFile, batch_size: int, first_batch: int = 0
    ) -> tf.data.Dataset:
        """Return an endless dataset of examples from random places.

        Args:
            tokens: the training split.
            batch_size: examples in a batch, B.
            first_batch: where to begin; the batches before it are skipped at no cost.

        Returns:
            A dataset of `(inputs, targets, weights)`, as `masked` returns them.

        Raises:
            InputError: if the text is shorter than one example.
        """
        self.check(tokens)
        starts = scattered_starts(
            tokens.num_tokens, self.num_text_tokens, batch_size, self.seed, first_batch
        )
        examples = starts.enumerate(first_batch).map(
            lambda number, starts: self.masked(tokens, starts, number)
        )
        return prefetched(examples)

    def scoring_examples(self, tokens: TokenFile, batch_size: int) -> tf.data.Dataset:
        """Return the examples of a text side by side, masked in the same way each time.

        What is too short for an example at the end is left out, and so is what does not fill a
        batch, unless there would be none.
        """
        self.check(tokens)
        number = tokens.num_tokens // self.num_text_tokens
        batch_size = min(batch_size, number)
        starts = tf.data.Dataset.range(0, number * self.num_text_tokens, self.num_text_tokens)
        starts = starts.batch(batch_size, drop_remainder=True).enumerate()
        return prefetched(starts.map(lambda number, starts: self.masked(tokens, starts, number)))

    def check(self, tokens: TokenFile) -> None:
        """Refuse a text that is shorter than one example, and an example that has no room for text.

        Raises:
            InputError: saying which it is.
        """
        if tokens.num_tokens < self.num_text_tokens:
            raise InputError(
                f"the text (or its validation split) has {tokens.num_tokens} tokens, an example "
                f"needs {self.num_text_tokens}; give a longer text or a smaller "
                "--model.context-length."
            )
        if self.num_text_tokens < 2:
            raise InputError(
                f"--model.context-length is {self.length}, of which [CLS] and [SEP] take "
                f"{self.num_special}; give at least {self.num_special + 2}."
            )

    # === One batch ===

    def masked(self, tokens: TokenFile, starts: tf.Tensor, number: tf.Tensor) -> tuple:
        """Make a batch.

        Args:
            tokens: the text.
            starts: (B,) int64, where the examples begin.
            number: which batch it is.

        Returns:
            inputs: `token_ids` and `segment_ids`, (B, T) int32, and `mask_positions`, (B, M) int32.
            targets: `mask_logits`, the tokens that stood there, (B, M) int32; `sentence_logits`,
                (B,) int32: 0 if the second stretch follows the first, else 1.
            weights: for each target 1 where it counts, float32; with "none" no sentence does.
        """
        batch_size = starts.shape[0]
        chance = _Chance(tf.stack([tf.constant(self.seed, tf.int64), tf.cast(number, tf.int64)]))
        text = read_windows(tokens, starts, self.num_text_tokens)  # (B, L)
        if self.sentences == "none":
            first_length = tf.fill((batch_size, 1), self.num_text_tokens)
            is_other = tf.zeros((batch_size,), tf.bool)
        else:
            text, first_length, is_other = self._pair(tokens, text, chance)
        token_ids, segment_ids = self._assembled(text, first_length)  # (B, T)
        shown, positions, weights = self._hidden(token_ids, chance)

        inputs = {"token_ids": shown, "segment_ids": segment_ids, "mask_positions": positions}
        targets = {
            "mask_logits": tf.gather(token_ids, positions, batch_dims=1),  # (B, M)
            "sentence_logits": tf.cast(is_other, tf.int32),  # (B,)
        }
        is_asked = float(self.sentences != "none")
        counted = {"mask_logits": weights, "sentence_logits": tf.fill((batch_size,), is_asked)}
        return inputs, targets, counted

    def _pair(self, tokens: TokenFile, text: tf.Tensor, chance: "_Chance") -> tuple:
        """Return two stretches (B, L), the first's length (B, 1), and if they do not belong."""
        batch_size, length = text.shape
        least = max(1, length // 4)
        first_length = chance.integers((batch_size, 1), least, length - least + 1)
        is_other = chance.uniform((batch_size,)) < 0.5
        if self.sentences == "next":
            most = tokens.num_tokens - length + 1
            elsewhere = chance.integers((batch_size,), 0, most, tf.int64)
            other = read_windows(tokens, elsewhere, length)  # (B, L)
            in_second = tf.range(length) >= first_length  # (B, L)
            text = tf.where(is_other[:, None] & in_second, other, text)
            return text, first_length, is_other
        # Swapped, the second stretch comes first.
        swapped = tf.gather(text, (tf.range(length) + first_length) % length, batch_dims=1)
        text = tf.where(is_other[:, None], swapped, text)
        return text, tf.where(is_other[:, None], length - first_length, first_length), is_other

    def _assembled(self, text: tf.Tensor, first_length: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Put [CLS] and [SEP] around the stretches: (B, L) to token and segment ids (B, T)."""
        positions = tf.range(self.length)[None, :]  # (1, T)
        in_second = positions > first_length + 1  # (B, T)
        source = positions - 1 - tf.cast(in_second, tf.int32)
        source = tf.clip_by_value(source, 0, self.num_text_tokens - 1)
        token_ids = tf.gather(text, source, batch_dims=1)  # (B, T)
        ends = (positions == first_length + 1) | (positions == self.length - 1)
        token_ids = tf.where(ends, self.tokenizer.special_id("[SEP]"), token_ids)
        token_ids = tf.where(positions == 0, self.tokenizer.special_id("[CLS]"), token_ids)
        return token_ids, tf.cast(in_second, tf.int32)

    def _hidden(self, token_ids: tf.Tensor, chance: "_Chance") -> tuple[tf.Tensor, ...]:
        """Choose what to predict and hide it.

        Returns:
            What the model sees (B, T), the positions to predict (B, M), and which of those count
            (B, M) float32.
        """
        batch_size, length = token_ids.shape
        num_plain = self.tokenizer.vocab_size - len(self.tokenizer.special_ids)
        is_special = token_ids >= num_plain  # (B, T), special tokens have the last ids
        order = chance.uniform((batch_size, length))
        if self.whole_words:
            goes_on, may_go_on = map(tf.constant, self.tokenizer.word_joints())
            before = tf.roll(token_ids, 1, axis=1)
            joins = tf.gather(goes_on, token_ids) & tf.gather(may_go_on, before)  # (B, T)
            word = tf.cumsum(tf.cast(~joins, tf.int32), axis=1) - 1  # (B, T), which word it is in
            order = tf.gather(order, word, batch_dims=1)  # one chance for all tokens of a word
        order = tf.where(is_special, -1.0, order)
        chosen, positions = tf.math.top_k(order, self.num_predictions)  # (B, M)
        counts = chosen >= 0
        if self.whole_words:  # the last word may have been cut
            size = tf.reduce_sum(tf.cast(order[:, None, :] == chosen[:, :, None], tf.int32), axis=2)
            there = tf.reduce_sum(tf.cast(chosen[:, None] == chosen[:, :, None], tf.int32), axis=2)
            counts &= size == there

        fate = chance.uniform(positions.shape)  # (B, M)
        masked = tf.fill(positions.shape, self.tokenizer.special_id("[MASK]"))
        random = chance.integers(positions.shape, 0, num_plain)
        there = tf.gather(token_ids, positions, batch_dims=1)  # (B, M)
        shown = tf.where(fate < REPLACED, masked, tf.where(fate < REPLACED + RANDOM, random, there))
        shown = tf.where(counts, shown, there)
        rows = tf.repeat(tf.range(batch_size)[:, None], self.num_predictions, axis=1)
        places = tf.stack([rows, positions], axis=2)  # (B, M, 2)
        shown = tf.tensor_scatter_nd_update(token_ids, places, shown)
        return shown, tf.cast(positions, tf.int32), tf.cast(counts, tf.float32)


class _Chance:
    """Random numbers that are a function of the seed, one draw after the other."""

    def __init__(self, seed: tf.Tensor):
        self._seed, self._draws = seed, 0

    def uniform(self, shape: tuple[int, ...]) -> tf.Tensor:
        """Return floats from 0 to below 1."""
        return tf.random.stateless_uniform(shape, self._next())

    def integers(
        self, shape: tuple[int, ...], least: int, below: int, dtype: tf.DType = tf.int32
    ) -> tf.Tensor:
        """Return integers from `least` to below `below`."""
        return tf.random.stateless_uniform(shape, self._next(), least, below, dtype)

    def _next(self) -> tf.Tensor:
        self._draws += 1
        return tf.random.experimental.stateless_fold_in(self._seed, self._draws)
