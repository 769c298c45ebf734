"""Masked language modelling: say which tokens of a text have been hidden (Devlin et al. 2019).

    loss = -mean over the hidden tokens of log P(x_t | what is shown)
           - mean over the examples of log P(whether the second stretch follows the first)

Nothing here can be compared with the loss of a language model, which has not seen what comes after
a token. That goes for the pseudo-perplexity, too (Salazar et al. 2020, equation 3), which hides
each token of a text in turn:

    exp(-1/T sum_t log P(x_t | x_1 ... x_{t-1}, x_{t+1} ... x_T))

Shapes: B batch, T positions, M positions to predict, V vocabulary.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from ..data import batches
from ..data.batches import TokenFile
from ..data.masking import Masking
from ..data.text import Text
from ..errors import InputError
from ..metrics.masked import MaskedScore
from ..models.bert import BERT
from ..models.compiled import compiled
from .losses import CrossEntropy, judged
from .task import AS_USUAL, Task, Writing

SCORING_BATCH = 32
"""The same for all models, as what is hidden depends on it."""
SCORING_SEED = 0
"""Held-out text is always masked in the same way, whatever the seed of the training."""
PSEUDO_TOKENS = 2_000
"""The most tokens that are hidden one by one, each of which takes a pass through the model."""
SAMPLES = 5
MASK = "[MASK]"


@dataclass(frozen=True)
class Filling:
    """What a model would put in the place of one [MASK], likeliest first."""

    tokens: tuple[str, ...]
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class MaskedLanguageModeling(Task):
    """Masked language modelling, as `train.py`, `evaluate.py` and `generate.py` use it."""

    # === Data ===

    def encode(self, text: Text) -> TokenFile:
        """Return the text as tokens."""
        tokens = batches.tokenize(text, self.tokenizer)
        self.masking(SCORING_SEED).check(tokens)
        return tokens

    def masking(self, seed: int) -> Masking:
        """Return how examples are made."""
        return Masking(
            tokenizer=self.tokenizer,
            length=self.model.context_length,
            mask_share=self.config.mask_share,
            whole_words=self.config.whole_words,
            sentences=self.config.sentences,
            seed=seed,
        )

    def steps_per_epoch(self, examples: TokenFile) -> float:
        """Return how many steps make one pass over the text."""
        tokens_in_example = self.masking(SCORING_SEED).num_text_tokens
        return examples.num_tokens / (self.train.batch_size * tokens_in_example)

    def batches(self, examples: TokenFile, first_step: int) -> tf.data.Dataset:
        """Return examples from random places."""
        accumulate = self.train.accumulate
        return self.masking(self.train.seed).training_examples(
            examples, self.train.batch_size // accumulate, first_step * accumulate
        )

    # === Training ===

    def objectives(self, examples: TokenFile) -> dict[str, Any]:
        """Return a loss and an accuracy for each of the two questions."""
        losses = {
            "mask_logits": CrossEntropy(self.train.label_smoothing, name="mask_loss"),
            "sentence_logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        }
        metrics = {"mask_logits": _accuracy()}
        if self.config.sentences != "none":
            metrics["sentence_logits"] = _accuracy()
        return {"loss": losses, "weighted_metrics": metrics}

    # === Scores ===

    def score_in_training(self, model: BERT, examples: TokenFile, limit: int) -> MaskedScore:
        """Score without the pseudo-perplexity, which takes long."""
        at_least_one = self.masking(SCORING_SEED).num_text_tokens
        examples = batches.head(examples, max(limit, at_least_one))
        masking = self.masking(SCORING_SEED)
        count = _compiled_counts(model)
        counted = [count(*batch) for batch in masking.scoring_examples(examples, SCORING_BATCH)]
        return MaskedScore(np.concatenate(list(map(ops.convert_to_numpy, counted))))

    def score(
        self,
        model: BERT,
        examples: TokenFile,
        limit: int | None = None,
        stride: int | None = None,
    ) -> MaskedScore:
        """Score hidden tokens, the question about sentences, and the pseudo-perplexity."""
        score = self.score_in_training(model, examples, limit or examples.num_tokens)
        return score.with_pseudo_log_probs(self.pseudo_log_probs(model, examples, PSEUDO_TOKENS))

    def pseudo_log_probs(self, model: BERT, examples: TokenFile, limit: int) -> np.ndarray:
        """Return log P(token | all others around it) of the first tokens, natural logarithm.

        Args:
            model: the model.
            examples: the text, which is cut into windows side by side.
            limit: about how many tokens to hide, one by one.

        Returns:
            (windows, tokens of a window).
        """
        length = min(self.model.context_length - 2, examples.num_tokens)
        num_windows = max(1, min(limit, examples.num_tokens) // length)
        windows = examples.read(range(0, num_windows * length, length), length)
        token_ids = np.stack([self._framed(window) for window in windows])  # (windows, T)
        log_probs = _compiled_log_probs(model, self.tokenizer.special_id(MASK))(token_ids)
        return ops.convert_to_numpy(log_probs)[:, 1:-1]

    # === What a person asks of it ===

    example = f"To be or not to {MASK}"
    asks = (f"text with {MASK}",)

    def fill_masks(self, model: BERT, text: str, k: int = 5) -> list[Filling]:
        """Return what the model would put in the place of each [MASK] of a text.

        Args:
            model: the model.
            text: such as "To be or not to [MASK]".
            k: how many tokens to return for each.

        Raises:
            InputError: if there is no [MASK], the text is too long, or has unknown parts.
        """
        token_ids = self.tokenizer.encode_marked(text)
        mask_id, most = self.tokenizer.special_id(MASK), self.model.context_length - 2
        if mask_id not in token_ids:
            raise InputError(
                f"{text!r} has no {MASK} in it; put one where the model is to fill in a word."
            )
        if len(token_ids) > most:
            raise InputError(
                f"the text has {len(token_ids)} tokens and the model can look at {most}; give a "
                "shorter one."
            )
        k = min(k, self.tokenizer.vocab_size)
        ids, probabilities = model.fill(self._framed(token_ids)[None], mask_id, k)
        return [
            Filling(tuple(map(self.tokenizer.text_of, of_mask)), tuple(shares))
            for of_mask, shares in zip(ids.tolist(), probabilities.tolist(), strict=True)
        ]

    def write(self, model: BERT, prompts: Sequence[str], how: Writing = AS_USUAL) -> list[str]:
        """Return each text with its masks filled, and below it what else might stand there."""
        return [_filled(prompt, self.fill_masks(model, prompt)) for prompt in prompts]

    def generate_json(
        self, model: BERT, prompts: Sequence[str], how: Writing = AS_USUAL
    ) -> list[dict[str, Any]]:
        """Return what might stand in each [MASK] of each text as what `json.dumps` accepts."""
        return [{"masks": list(map(asdict, self.fill_masks(model, prompt)))} for prompt in prompts]

    def sample(self, model: BERT, held_out: Text) -> str:
        """Return lines of held-out text in which a word has been hidden, and what fills it."""
        lines, most = [], self.model.context_length - 2
        for line in next(held_out.pieces()).splitlines():
            words = line.split()[:most]  # of a text without line ends, too
            while len(self.tokenizer.encode(" ".join(words))) > most:
                words.pop()
            if len(words) < 3:
                continue
            hidden = len(words) // 2
            text = " ".join([*words[:hidden], MASK, *words[hidden + 1 :]])
            try:
                lines.append(f"{' '.join(words)}\n{_filled(text, self.fill_masks(model, text))}")
            except InputError:  # it has a word that no training text has
                continue
            if len(lines) == SAMPLES:
                break
        return "\n\n".join(lines)

    def _framed(self, token_ids: np.ndarray) -> np.ndarray:
        """Return [CLS] text [SEP]."""
        ends = (self.tokenizer.special_id(name) for name in ("[CLS]", "[SEP]"))
        first, last = (np.array([token_id], np.int32) for token_id in ends)
        return np.concatenate([first, token_ids.astype(np.int32), last])


def _accuracy() -> keras.metrics.Metric:
    return keras.metrics.SparseCategoricalAccuracy(name="accuracy")


def _filled(text: str, fillings: Sequence[Filling]) -> str:
    """Return the text with the likeliest words, and a line for each [MASK] with the others."""
    parts, lines = text.split(MASK), []
    result = parts[0]
    for filling, part in zip(fillings, parts[1:], strict=True):
        best = filling.tokens[0]
        joined = best.strip(" ") if result.endswith(" ") or not result else best
        result += joined + part
        pairs = zip(filling.tokens, filling.probabilities, strict=True)
        lines.append(
            f"  {MASK}  " + ", ".join(f"{token.strip(' ')} {share:.0%}" for token, share in pairs)
        )
    return "\n".join([result, *lines])


@functools.lru_cache(maxsize=8)
def _compiled_log_probs(model: BERT, mask_id: int) -> Callable:
    """Return the compiled function from texts (B, T) to log P of each token, (B, T)."""

    def log_probs(token_ids: tf.Tensor) -> tf.Tensor:
        return model.masked_log_probs(token_ids, mask_id)

    return compiled(log_probs, model, model.prefers_xla)


@functools.lru_cache(maxsize=8)
def _compiled_counts(model: BERT) -> Callable:
    """Return the compiled function from a batch to what `MaskedScore` counts in each example."""

    def of_batch(inputs: dict, targets: dict, weights: dict) -> tf.Tensor:
        logits, counted = model(inputs), []
        for name in ("mask_logits", "sentence_logits"):
            judgements = judged(targets[name], logits[name])
            for values in (judgements[0], judgements[1], ops.ones_like(judgements[0])):
                counts = ops.reshape(weights[name] * values, (values.shape[0], -1))
                counted += [ops.sum(counts, axis=1)]
        return ops.stack(counted, axis=1)  # (B, 6)

    return compiled(of_batch, model, model.prefers_xla)
