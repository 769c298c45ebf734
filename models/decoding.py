"""Generation: one function over the contract of a language model, whatever the model.

    prompt -> prefill, one pass -> (logits -> choose a token -> next)* -> text

The prompt is taken in in one pass; then tokens are drawn in a compiled loop, a few dozen at a time,
so that they can be shown as they come. How the next token is chosen is the business of a sampler of
keras-nlp. An encoder-decoder reads its source first; what it makes of it is in the cache.

Shapes: B batch, S source positions, K tokens in a stretch of the loop, V vocabulary.
"""

import functools
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import keras
import numpy as np
from keras import ops

from ..errors import InputError
from .compiled import compiled
from .encoder_decoder import EncoderDecoder
from .language_model import Cache, LanguageModel, Tensor
from .sampling import Sampling

STRETCH = 32
"""Tokens that the loop draws between two looks from outside, K."""

Source = tuple[np.ndarray, np.ndarray]
"""Ids (B, S) int32 and where there are tokens, (B, S) bool: what an encoder-decoder reads first."""


def make_sampler(sampling: Sampling, vocab_size: int) -> "keras_nlp.samplers.Sampler":  # noqa: F821
    """Return the sampler of keras-nlp that `sampling` describes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="IProgress not found")  # in a notebook
        from keras_nlp import samplers  # takes a second to import

    seed, temperature = sampling.seed, sampling.temperature
    if sampling.sampler == "greedy":
        return samplers.GreedySampler()
    if sampling.sampler == "top-k":
        return samplers.TopKSampler(min(sampling.k, vocab_size), seed, temperature=temperature)
    if sampling.sampler == "top-p":
        return samplers.TopPSampler(sampling.p, seed=seed, temperature=temperature)
    if sampling.sampler == "beam":
        return samplers.BeamSampler(min(sampling.num_beams, vocab_size), return_all_beams=True)
    if sampling.sampler == "contrastive":
        return samplers.ContrastiveSampler(min(sampling.candidates, vocab_size), sampling.alpha)
    return samplers.RandomSampler(seed, temperature=temperature)


def generate(
    model: LanguageModel,
    prompts: Sequence[np.ndarray],
    max_new_tokens: int,
    sampling: Sampling = Sampling(),  # noqa: B008, a frozen dataclass
    stop: Callable[[list[np.ndarray]], bool] = lambda rows: False,
    source: Source | None = None,
    end_id: int | None = None,
) -> list[np.ndarray]:
    """Continue each prompt by `max_new_tokens` tokens.

    Args:
        model: a language model.
        prompts: token ids, each (length,) with a length of its own, at least 1.
        max_new_tokens: how many tokens to add to each prompt.
        sampling: how to choose them.
        stop: called after each stretch with the rows so far, prompts included; generation ends
            when it returns True. Beam and contrastive search call it once, at the end.
        source: what an encoder-decoder reads, a row for each prompt, padded on the right.
        end_id: the token that ends a row; with it, beam search compares texts that have ended with
            longer ones, see `Sampling.length_penalty`.

    Returns:
        For each prompt its ids and the new ones, (length + max_new_tokens,), fewer if `stop` said
        so or `end_id` came, which is then the last. Except with random choices, a prompt in a batch
        is continued as it would be alone.

    Raises:
        InputError: if a prompt is empty, or a source missing or not wanted.
    """
    if not prompts or min(map(len, prompts)) < 1:
        raise InputError("an empty prompt cannot be continued; give at least one token.")
    if isinstance(model, EncoderDecoder):
        source = _padded(source, len(prompts), model.max_length)
    elif source is not None:
        raise InputError("a source was given to a model that reads none; put it into the prompt.")
    generator = _generator(model, replace(sampling, seed=None), end_id)
    generator.reseed(sampling.seed)
    if sampling.sampler in ("beam", "contrastive"):
        if model.max_length == 1:
            raise InputError(
                f"{sampling.sampler} search compares texts of several tokens, and this model sees "
                "one at a time; choose another sampler."
            )
        rows = generator.search_all(prompts, max_new_tokens, source)
        stop(rows)
        return rows
    rows = list(prompts)
    for rows in generator.draw_all(prompts, max_new_tokens, source):
        if stop(rows):
            break
    return rows


def _padded(source: Source | None, num_rows: int, limit: int | None) -> Source:
    """Check a source, and pad it to one of a few lengths, each of which is compiled once."""
    if source is None or len(source[0]) != num_rows:
        number = "none" if source is None else len(source[0])
        raise InputError(
            f"an encoder-decoder continues each of {num_rows} prompts from a source of its own, "
            f"but there are {number}; give as many."
        )
    source_ids, source_mask = source
    room = -source_ids.shape[1] % STRETCH
    if limit:
        room = max(0, min(room, limit - source_ids.shape[1]))
    source_ids = np.pad(np.asarray(source_ids, np.int32), ((0, 0), (0, room)))
    return source_ids, np.pad(np.asarray(source_mask, bool), ((0, 0), (0, room)))


@functools.lru_cache(maxsize=8)
def _generator(model: LanguageModel, sampling: Sampling, end_id: int | None) -> "_Generator":
    """Return the generator of this model and way of sampling, compiled by earlier calls."""
    return _Generator(model, sampling, end_id)


class _Generator:
    """The compiled parts of generation, and the loops around them."""

    def __init__(self, model: LanguageModel, sampling: Sampling, end_id: int | None):
        self.model, self.sampling, self.end_id = model, sampling, end_id
        self.keras_model = model if isinstance(model, keras.Model) else None  # has variables
        self.sampler = make_sampler(sampling, model.config.vocab_size)
        width = sampling.num_beams if sampling.sampler == "beam" else sampling.candidates
        self.width = min(width, model.config.vocab_size)  # texts that a search compares
        state = self.sampler.variables
        self._read = compiled(
            lambda source: model.begin(*source, model.max_length or 0), model, model.prefers_xla
        )
        self._take_in = compiled(
            lambda token_ids, cache: model.extend(token_ids, cache, 0)[1], model, model.prefers_xla
        )
        self._draw = compiled(self._draw_stretch, model, model.prefers_xla, state)
        self._search = compiled(self._search_to_the_end, model, model.prefers_xla, state)

    def reseed(self, seed: int | None) -> None:
        """Begin the random numbers anew."""
        for variable in self.sampler.variables:
            variable.assign(keras.random.SeedGenerator(seed).state)

    # === Drawing token by token ===

    def draw_all(
        self, prompts: Sequence[np.ndarray], new: int, source: Source | None
    ) -> Iterator[list[np.ndarray]]:
        """Yield the rows as they grow, a stretch of tokens at a time."""
        totals = [len(prompt) + new for prompt in prompts]
        tokens = np.zeros((len(prompts), max(totals)), np.int32)
        known = np.zeros_like(tokens, dtype=bool)
        for row, prompt in enumerate(prompts):
            tokens[row, : len(prompt)] = prompt
            known[row, : len(prompt)] = True

        limit = self.model.max_length
        filled = min(map(len, prompts))  # every row has a token at the positions before this
        start, cache = self._begin(tokens, filled, source)
        while filled < tokens.shape[1]:
            if limit and filled - start > limit:
                start, cache = self._begin(tokens, filled, source)
            count = min(STRETCH, tokens.shape[1] - filled)
            if limit:
                count = min(count, limit + 1 - (filled - start))
            window = np.zeros((len(tokens), STRETCH + 1), np.int32)
            is_known = np.zeros_like(window, dtype=bool)
            window[:, : count + 1] = tokens[:, filled - 1 : filled + count]
            is_known[:, : count + 1] = known[:, filled - 1 : filled + count]
            position = np.int32(filled - 1 - start)
            window, cache = self._draw(window, is_known, cache, position, np.int32(count))
            tokens[:, filled : filled + count] = np.asarray(window)[:, 1 : count + 1]
            filled += count
            rows = [tokens[row, : min(filled, total)] for row, total in enumerate(totals)]
            rows, have_ended = self._up_to_the_end(rows, prompts)
            yield rows
            if have_ended:
                break

    def _up_to_the_end(
        self, rows: Sequence[np.ndarray], prompts: Sequence[np.ndarray]
    ) -> tuple[list[np.ndarray], bool]:
        """Cut rows after the first new token that ends one; say whether all have such a token."""
        cut, have_ended = [], []
        for row, prompt in zip(rows, prompts, strict=True):
            ends = np.flatnonzero(row[len(prompt) :] == self.end_id)  # no token equals None
            have_ended.append(len(ends) > 0)
            cut.append(row[: len(prompt) + ends[0] + 1] if len(ends) else row)
        return cut, all(have_ended)

    def _begin(self, tokens: np.ndarray, filled: int, source: Source | None) -> tuple[int, Cache]:
        """Take in all but the last of the tokens so far; return where they start, and the cache.

        If a model with a limit cannot hold all, it takes in at least the last half of what it can.
        Where that starts depends on `filled` alone, so that a row in a batch goes on as it would
        alone.
        """
        limit, start = self.model.max_length, 0
        if limit and filled > limit:
            half = max(1, limit // 2)
            start = -(-(filled - limit) // half) * half
        if source is None:
            cache = self.model.initial_cache(len(tokens), limit or 0)
        else:
            cache = self._read(source)
        prefix = tokens[:, start : filled - 1]
        if limit:
            # Positions after the prefix are overwritten one by one, so it may be filled up to one
            # of a few lengths, each of which is compiled once.
            length = min(limit, -(-prefix.shape[1] // STRETCH) * STRETCH)
            padded = np.pad(prefix, ((0, 0), (0, length - prefix.shape[1])))
            return start, self._take_in(padded, cache) if length else cache
        # A state cannot be overwritten: stretches and then single tokens, two lengths in all.
        whole = prefix.shape[1] // STRETCH * STRETCH
        for position in range(0, whole, STRETCH):
            cache = self._take_in(prefix[:, position : position + STRETCH], cache)
        for position in range(whole, prefix.shape[1]):
            cache = self._take_in(prefix[:, position : position + 1], cache)
        return start, cache

    def _draw_stretch(
        self, window: Tensor, known: Tensor, cache: Cache, position: Tensor, count: Tensor
    ) -> tuple[Tensor, Cache]:
        """Fill `count` places of a window (B, K + 1), whose first token is at `position`."""

        def step(window: Tensor, cache: Cache, index: Tensor) -> tuple:
            token_ids = ops.take(window, index - 1, axis=1)  # (B,)
            logits, cache = self.model.next(token_ids, cache, position + index - 1)  # (B, V)
            drawn = self.sampler.get_next_token(self.sampler.compute_probabilities(logits))
            given = ops.take(window, index, axis=1)
            drawn = ops.where(ops.take(known, index, axis=1), given, ops.cast(drawn, "int32"))
            return ops.slice_update(window, (0, index), drawn[:, None]), cache, index + 1

        window, cache, _ = self.sampler.run_loop(
            cond=lambda window, cache, index: index <= count,
            body=step,
            loop_vars=(window, cache, ops.convert_to_tensor(1, "int32")),
            model=self.keras_model,
        )
        return window, cache

    # === Searching for the best continuation ===

    def search_all(
        self, prompts: Sequence[np.ndarray], new: int, source: Source | None
    ) -> list[np.ndarray]:
        """Return the rows with the best continuations."""
        # Scores of texts of different lengths do not compare, so each length goes by itself.
        rows = list(prompts)
        for length in sorted(set(map(len, prompts))):
            group = [n for n, prompt in enumerate(prompts) if len(prompt) == length]
            tokens = np.stack([prompts[n] for n in group])
            of_group = None if source is None else tuple(part[group] for part in source)
            found, have_ended = tokens, False
            while tokens.shape[1] < length + new and not have_ended:
                tokens = self._search_further(tokens, length + new, of_group)
                found, have_ended = self._up_to_the_end(tokens, [prompts[n] for n in group])
            for n, row in zip(group, found, strict=True):
                rows[n] = row
        return rows

    def _search_further(self, tokens: np.ndarray, total: int, source: Source | None) -> np.ndarray:
        """Continue (B, T) tokens to `total`, or as far as the model's limit allows at once."""
        limit, start = self.model.max_length, 0
        # Beam search does not read the last token; contrastive search reads all that it might add.
        most = limit and limit + (self.sampling.sampler == "beam")
        if limit and total > most:
            start = max(0, tokens.shape[1] - max(1, limit // 2))
            total = min(total, start + most)
        prompt = tokens[:, start:]
        room = np.full((len(tokens), total - tokens.shape[1]), -1, np.int32)  # -1 is no token
        found = self._search(prompt, room, source)
        return np.concatenate([tokens[:, :start], np.asarray(found)], axis=1)

    def _search_to_the_end(self, prompt: Tensor, room: Tensor, source: Source | None) -> Tensor:
        """Fill the room (B, R) after the prompt (B, T); return both, (B, T + R)."""
        length = prompt.shape[1]
        tokens = ops.concatenate([prompt, room], axis=1)
        go_on, cache = self._begin_search(prompt.shape[0], tokens.shape[1], source)
        hidden = []
        if length > 1:
            states, cache = go_on(prompt[:, :-1], cache, 0)
            hidden.append(states)
        last, _ = go_on(prompt[:, -1:], cache, length - 1)
        hidden += [last, ops.zeros((*room.shape, last.shape[-1]), last.dtype)]

        def step(tokens: Tensor, cache: Cache, index: Tensor) -> tuple[Tensor, Tensor, Cache]:
            token_ids = ops.take(tokens, index - 1, axis=1)[:, None]
            states, cache = go_on(token_ids, cache, index - 1)
            logits = self.model.logits(states)[:, 0]  # (B, V)
            if self.end_id is not None:
                # After the end comes the end, for certain, so that a text's score stays what it is.
                is_end = np.arange(logits.shape[-1]) == self.end_id
                has_ended = ops.logical_and(token_ids == self.end_id, index > length)  # (B, 1)
                certain = np.where(is_end, 0, np.finfo("float32").min).astype("float32")
                logits = ops.where(has_ended, certain, logits)
            return logits, states[:, 0], cache

        found = self.sampler(
            step,
            tokens,
            cache=cache,
            index=length,
            mask=ops.broadcast_to(ops.arange(tokens.shape[1]) < length, tokens.shape),
            stop_token_ids=None if self.end_id is None else (self.end_id,),
            hidden_states=ops.concatenate(hidden, axis=1),
            model=self.keras_model,
        )
        if self.sampling.sampler != "beam":
            return found
        return _best(*found, length, self.end_id, self.sampling.length_penalty)

    def _begin_search(
        self, batch_size: int, length: int, source: Source | None
    ) -> tuple[Callable[[Tensor, Cache, int | Tensor], tuple[Tensor, Cache]], Cache]:
        """Return how hidden states go on from a cache, and the cache to begin with.

        The texts that a search compares are often exchanged for one another, and their caches with
        them. What a model makes of a source is the same for all of its texts and stays out of that.
        """
        if source is None:
            return self.model.hidden_states, self.model.initial_cache(batch_size, length)
        memory, cache = self.model.begin(*source, length)
        memories = {
            batch_size * number: keras.tree.map_structure(
                lambda x, number=number: ops.repeat(x, number, axis=0), memory
            )
            for number in (1, self.width)
        }

        def go_on(token_ids: Tensor, cache: Cache, index: int | Tensor) -> tuple[Tensor, Cache]:
            cache = (memories[token_ids.shape[0]], cache)
            states, (_, cache) = self.model.hidden_states(token_ids, cache, index)
            return states, cache

        return go_on, cache


def _best(
    tokens: Tensor, log_probs: Tensor, start: int, end_id: int | None, length_penalty: float
) -> Tensor:
    """Return the best of the texts that beam search has found, (B, T).

    Args:
        tokens: the texts (B, W, T).
        log_probs: of what was added to each, (B, W) float32.
        start: where that begins.
        end_id: ends a text; None: all are equally long.
        length_penalty: as in `Sampling`; the end counts as one of the tokens.
    """
    if end_id is not None:
        is_end = ops.cast(tokens[..., start:] == end_id, "int32")
        ends_before = ops.cumsum(is_end, axis=-1) - is_end
        lengths = ops.sum(ops.cast(ends_before == 0, "float32"), axis=-1)  # (B, W)
        log_probs = log_probs / lengths**length_penalty
    best = ops.argmax(log_probs, axis=-1)[:, None, None]  # (B, 1, 1)
    return ops.take_along_axis(tokens, best, axis=1)[:, 0]


def side_by_side(rows: Sequence[np.ndarray], length: int = 0) -> Source:
    """Return rows of ids as the source that `generate` takes, padded on the right.

    Args:
        rows: ids, each (length,) with a length of its own.
        length: positions to pad to at least, S; 0: as many as the longest row has.
    """
    shape = (len(rows), max(1, length, *map(len, rows)))  # a model reads at least one position
    source_ids, source_mask = np.zeros(shape, np.int32), np.zeros(shape, bool)
    for n, row in enumerate(rows):
        source_ids[n, : len(row)] = row
        source_mask[n, : len(row)] = True
    return source_ids, source_mask
