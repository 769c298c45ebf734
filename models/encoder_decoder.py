"""The contract of an encoder-decoder: a language model of one text given another, the source.

    memory = encode(source)
    P(x_1 ... x_T | source) = product over t of P(x_t | x_1 ... x_{t-1}, memory)

It is the contract of a language model (`language_model.py`) with the source in the cache: `begin`
reads the source and returns the cache with which `next`, `extend` and generation go on.

Shapes: B batch, S source positions, T positions, D width, V vocabulary.
"""

from typing import Any

from .compiled import first_ids
from .language_model import Cache, LanguageModel, Tensor

Memory = Any
"""What an encoder makes of a source: a nested structure of tensors, batch axis first."""


class EncoderDecoder(LanguageModel):
    """A neural model from a source and the text so far to next-token logits.

    A model has a `token_embedding`, says what it makes of the source (`encode`), how ids become
    hidden states given that (`decode`) and what it remembers from step to step (`own_cache`). The
    rest follows.

    Args:
        config: the hyperparameters, with `vocab_size` set.
    """

    # === What each model defines ===

    def encode(
        self, source_ids: Tensor, source_mask: Tensor | None = None, training: bool = False
    ) -> Memory:
        """Read the source.

        Args:
            source_ids: (B, S) int32.
            source_mask: (B, S) bool, True for tokens and False for padding, which stands on the
                right; None: all are tokens.
            training: whether dropout is on.
        """
        raise NotImplementedError

    def decode(
        self,
        token_ids: Tensor,
        memory: Memory,
        cache: Cache = None,
        index: int | Tensor = 0,
        training: bool = False,
    ) -> tuple[Tensor, Cache]:
        """Return the last layer's states, (B, T, D), and the cache after these tokens.

        Args:
            token_ids: (B, T) int32, the tokens at positions `index` to `index + T - 1`.
            memory: what `encode` returned.
            cache: what `own_cache` or an earlier call returned; None to begin anew and remember
                nothing.
            index: position of the first of the tokens.
            training: whether dropout is on.
        """
        raise NotImplementedError

    def own_cache(self, memory: Memory, length: int) -> Cache:
        """Return the decoder's cache before the first token, with room for `length` tokens."""
        raise NotImplementedError

    def cross_attention_weights(self, token_ids: Tensor, memory: Memory) -> Tensor:
        """Return how much each position looks at each of the source: (N, B, H, T, S).

        Args:
            token_ids: (B, T) int32.
            memory: what `encode` returned.
        """
        raise NotImplementedError

    # === What follows from it ===

    def build(self, input_shape: Any = None) -> None:
        """Create all weights, by a call."""
        if not self.built:
            self.built = True  # or the call would come back here
            ids = first_ids(self.config.context_length)
            self({"source_ids": ids, "token_ids": ids})

    def call(self, inputs: dict[str, Tensor], training: bool = False) -> Tensor:
        """Map a source and a text to logits (B, T, V): at t, for the token after t.

        Args:
            inputs: `source_ids` (B, S) int32, `token_ids` (B, T) int32, and, where there is
                padding, `source_mask` (B, S) bool.
            training: whether dropout is on.
        """
        memory = self.encode(inputs["source_ids"], inputs.get("source_mask"), training=training)
        hidden_states, _ = self.decode(inputs["token_ids"], memory, training=training)
        return self.logits(hidden_states)

    def begin(self, source_ids: Tensor, source_mask: Tensor | None, length: int) -> Cache:
        """Read the source; return the cache before the first token, with room for `length`."""
        memory = self.encode(source_ids, source_mask)
        return memory, self.own_cache(memory, length)

    def hidden_states(
        self,
        token_ids: Tensor,
        cache: Cache = None,
        index: int | Tensor = 0,
        training: bool = False,
    ) -> tuple[Tensor, Cache]:
        """Go on from a cache that `begin` or an earlier call returned; as for a language model."""
        memory, own = cache
        hidden_states, own = self.decode(token_ids, memory, own, index, training)
        return hidden_states, (memory, own)

    def token_log_probs(self, inputs: dict[str, Tensor]) -> Tensor:
        """Return log P(token_t | tokens before t, source): inputs of `call` to (B, T) float32."""
        token_ids = inputs["token_ids"]
        logits = self({**inputs, "token_ids": token_ids[:, :-1]})  # (B, T - 1, V)
        return self._log_probs_by(logits, token_ids)
