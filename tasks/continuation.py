"""Continuation: language modelling by an encoder-decoder.

    P(x_1 ... x_T | what came before)

The encoder reads the T tokens before a stretch, the decoder predicts the stretch token by token.
Every token after the first T is predicted from at least T tokens before it, and the loss of a text
can be compared with that of any other language model.

The encoder reads backwards (Sutskever et al. 2014, section 3.3), so that the nearest token is
always the first, however much there is before it.

Shapes: B batch, T positions.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from ..data import batches
from ..data.batches import TokenFile
from ..errors import InputError
from ..metrics.language import LanguageScore
from ..models.decoding import generate, side_by_side
from ..models.encoder_decoder import EncoderDecoder
from ..models.sampling import Sampling
from .language_modeling import LanguageModeling, predictions_of_windows, to_score

SHORT_SOURCES = 0.1
"""Share of the training examples that have a shorter source, as the beginning of a text has."""


@dataclass(frozen=True)
class Continuation(LanguageModeling):
    """Continuation, as `train.py`, `evaluate.py` and `generate.py` use it."""

    def batches(self, examples: TokenFile, first_step: int) -> tf.data.Dataset:
        """Return random stretches with what comes before them."""
        length, seed = self.model.context_length, self.train.seed
        size, accumulate = self.train.batch_size // self.train.accumulate, self.train.accumulate
        first_batch = first_step * accumulate
        if examples.num_tokens < 2 * length:
            raise InputError(
                f"the training text has {examples.num_tokens} tokens, and one example needs "
                f"{2 * length}, half of them to read and half to write; give a longer text or a "
                "smaller --model.context-length."
            )
        # A window that is as long as both, and the token after it.
        windows = batches.training_windows(examples, 2 * length - 1, size, seed, first_batch)

        def split(number: tf.Tensor, window: tuple[tf.Tensor, tf.Tensor]) -> tuple:
            before, token_ids = window[0][:, :length], window[0][:, length - 1 :]
            chance = tf.random.stateless_uniform((2, size), tf.stack([seed + 1, number]))
            cut = tf.cast(chance[1] * length, tf.int32) + 1  # from 1 to T
            kept = tf.where(chance[0] < SHORT_SOURCES, cut, length)
            is_token = tf.range(length)[::-1] < kept[:, None]  # the nearest ones
            return _inputs(before, is_token, token_ids), window[1][:, length - 1 :]

        return windows.enumerate(first_batch).map(split)

    def score(
        self,
        model: EncoderDecoder,
        examples: TokenFile,
        limit: int | None = None,
        stride: int | None = None,
    ) -> LanguageScore:
        """Score every token once, from those before it in its stretch and the stretch before."""
        examples = batches.head(examples, limit or examples.num_tokens)
        windows = batches.scoring_continuations(
            examples, self.model.context_length, self.scoring_batch
        ).map(
            lambda before, is_token, token_ids, *rest: (_inputs(before, is_token, token_ids), *rest)
        )
        return to_score(model, examples, predictions_of_windows(model, windows))

    def score_in_training(
        self, model: EncoderDecoder, examples: TokenFile, limit: int
    ) -> LanguageScore:
        """Score as `score` does."""
        return self.score(model, examples, limit)

    def extend(
        self,
        model: EncoderDecoder,
        token_ids: Sequence[np.ndarray],
        max_new_tokens: int,
        sampling: Sampling,
        look: Callable[[list[np.ndarray]], bool],
    ) -> None:
        """Add tokens to each row, a stretch at a time, each from what came before it."""
        length = self.model.context_length
        rows, added, done = list(token_ids), 0, False
        while added < max_new_tokens and not done:
            source = side_by_side([row[-length:][::-1] for row in rows], length)
            new = min(length, max_new_tokens - added)
            earlier = rows

            def look_at_all(stretches: list[np.ndarray], earlier: list = earlier) -> bool:
                nonlocal rows
                pairs = zip(earlier, stretches, strict=True)
                rows = [np.concatenate([row, stretch[1:]]) for row, stretch in pairs]
                return look(rows)

            # Each stretch has random numbers of its own.
            seed = None if sampling.seed is None else (sampling.seed + added) % (1 << 32)
            generate(
                model,
                [row[-1:] for row in rows],
                new,
                replace(sampling, seed=seed),
                look_at_all,
                source=source,
            )
            added += new
            done = look(rows)


def _inputs(before: tf.Tensor, is_token: tf.Tensor, token_ids: tf.Tensor) -> dict[str, tf.Tensor]:
    """Return what the model takes, the source reversed."""
    return {
        "source_ids": before[:, ::-1],
        "source_mask": is_token[:, ::-1],
        "token_ids": token_ids,
    }
