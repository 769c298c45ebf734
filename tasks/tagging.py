"""Tagging: which tag each word of a sentence has, such as whether it is part of a name.

    P(tag of word t | sentence) = softmax(W h_t + b)    h_t: the state of one of the word's tokens

A word may be several tokens; the first speaks for it (Devlin et al. 2019, section 5.3), or, in a
model that reads from left to right, the last, as the first has not seen the others. A sentence that
is too long for the model is read in windows, and each word is tagged in the window that shows most
on both sides of it.

Shapes: B batch, T positions, K tags.
"""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from seqeval.metrics.sequence_labeling import get_entities

from ..data.encoded import EncodedRecords, Example, padded
from ..data.records import Record, Records
from ..data.windows import context, windows
from ..data.words import WORD
from ..metrics import tagging
from ..metrics.report import Report
from ..models.families import Model
from ..models.heads import TokenHead
from .supervised import SAMPLES, Batch, HeadTask, checked
from .task import AS_USUAL, Writing

OUTSIDE = "O"
NO_WORD = -1


@dataclass(frozen=True)
class Tagged:
    """A sentence with a tag for each word.

    Args:
        tokens: the words.
        tags: their tags.
        text: the sentence, cleaned as the examples were.
        places: where in it each word begins and ends.
    """

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    text: str
    places: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, tokens: Sequence[str], tags: Sequence[str]) -> "Tagged":
        """Return a sentence that is given as words, with a space between them."""
        stops = itertools.accumulate(len(token) + 1 for token in tokens)
        places = tuple(
            (stop - 1 - len(token), stop - 1) for token, stop in zip(tokens, stops, strict=True)
        )
        return cls(tuple(tokens), tuple(tags), " ".join(tokens), places)

    @property
    def entities(self) -> list[tuple[str, str]]:
        """The names in it, each with its type.

        >>> Tagged.of(("Ada", "Lovelace", "wrote"), ("B-person", "I-person", "O")).entities
        [('Ada Lovelace', 'person')]
        """
        return [(self.text[start:stop], kind) for kind, start, stop in self.spans]

    @property
    def spans(self) -> list[tuple[str, int, int]]:
        """The type of each name, and where in the text it begins and ends, in characters."""
        found = get_entities(list(self.tags))
        return [(kind, self.places[start][0], self.places[stop][1]) for kind, start, stop in found]

    def __str__(self) -> str:
        """Return the sentence with its names in brackets: [Ada Lovelace: person] wrote."""
        words = list(self.tokens)
        for kind, start, stop in get_entities(list(self.tags)):
            words[start], words[stop] = f"[{words[start]}", f"{words[stop]}: {kind}]"
            if start == stop:
                words[start] = f"[{self.tokens[start]}: {kind}]"
        return " ".join(words)


@dataclass(frozen=True)
class Tagging(HeadTask):
    """Tagging, as `train.py`, `evaluate.py` and `generate.py` use it."""

    shown = ("F1", "precision", "recall", "token accuracy")
    names_outputs = True
    example = "a sentence with names in it"
    asks = ("sentence",)

    @classmethod
    def labels_of(cls, content: Records) -> tuple[str, ...]:
        """Return the tags.

        Raises:
            InputError: if one is not in BIO, of which the scores are.
        """
        tags = {tag for record in content for tag in record["tags"]} | {OUTSIDE}
        for tag in sorted(tags):
            tagging.check_tag(tag, "IOB2")
        return tuple(sorted(tags))

    def head(self, backbone: Model) -> keras.Model:
        """Return a head with an output for each tag at each token."""
        return TokenHead(
            backbone=backbone,
            num_outputs=len(self.labels),
            dropout=self.config.dropout,
            dtype=self.train.policy,
        )

    def examples(self, number: int, record: Record) -> Iterable[Example]:
        """Return windows: tokens, the word that each speaks for, its tag, and the record."""
        for tag in set(record["tags"]):
            tagging.check_tag(tag, "IOB2")
        token_ids, words = self._spoken_for(record["tokens"])
        known = {label: k for k, label in enumerate(self.labels)}
        # A tag that no training example has can be in what is scored, but not be learnt.
        of_words = np.array([known.get(tag, NO_WORD) for tag in record["tags"]], np.int32)
        tags = np.where(words == NO_WORD, NO_WORD, of_words[words] if len(of_words) else NO_WORD)
        room = self.model.context_length - 2
        for start, stop in windows(len(token_ids), room, max(1, room // 2)):
            part = slice(start, stop)
            no_word = np.array([NO_WORD], np.int32)  # [CLS] and [SEP]
            yield {
                "token_ids": self.framed(token_ids[part]),
                "words": np.concatenate([no_word, words[part], no_word]).astype(np.int32),
                "tags": np.concatenate([no_word, tags[part], no_word]).astype(np.int32),
                "record": np.array([number], np.int32),
                "num_words": np.array([len(record["tokens"])], np.int32),
            }

    def depends_on(self) -> Any:
        """Return what else an example depends on."""
        return self.model.context_length, self.is_causal

    def _spoken_for(self, words: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the tokens of a sentence, and for each the word that it speaks for, or -1."""
        ends = np.cumsum([len(word) + 1 for word in words])  # after the space that follows
        token_ids, places = self.tokenizer.encode_with_places(" ".join(words))
        of_tokens = np.searchsorted(ends, places[:, 0], side="right")
        of_tokens[places[:, 0] == places[:, 1]] = NO_WORD  # a space, which is no part of a word
        order = np.arange(len(of_tokens))[:: -1 if self.is_causal else 1]
        found, places_in_order = np.unique(of_tokens[order], return_index=True)
        spoken_for = np.full(len(of_tokens), NO_WORD, np.int32)
        spoken_for[order[places_in_order]] = found
        return token_ids, spoken_for

    def fill(self, examples: EncodedRecords, numbers: np.ndarray, length: int) -> Batch:
        """Return tokens (B, T), tags (B, T) and which of them count (B, T)."""
        tags = padded(examples.columns["tags"], numbers, length, NO_WORD)
        weights = (tags != NO_WORD).astype(np.float32)
        return self.inputs(examples, numbers, length), np.maximum(tags, 0), weights

    def answers(
        self, examples: EncodedRecords, outputs: Sequence[np.ndarray]
    ) -> Sequence[list[str]]:
        """Return the tags of the words of each sentence."""
        columns = examples.columns
        last = int(columns["record"].values[len(outputs) - 1])
        tags: list[list[str]] = [[] for _ in range(last + 1)]
        seen: list[np.ndarray] = [np.zeros(0)] * (last + 1)
        for n, output in enumerate(outputs):
            record, number = int(columns["record"][n][0]), int(columns["num_words"][n][0])
            if not tags[record]:
                tags[record], seen[record] = [OUTSIDE] * number, np.full(number, -1)
            words = columns["words"][n]
            for word, around, logits in zip(words, context(len(words)), output, strict=False):
                if word != NO_WORD and around > seen[record][word]:
                    tags[record][word] = self.labels[int(np.argmax(logits))]
                    seen[record][word] = around
        return tags

    def report(
        self, records: Sequence[Record], answers: Sequence[list[str]], language: str
    ) -> Report:
        """Score the names that were found."""
        right = [record["tags"] for record in records]
        return Report(tagging.score(answers, right), tagging.per_type(answers, right))

    def predict(self, model: Model, prompts: Sequence[str]) -> list[Tagged]:
        """Return the sentences with their tags; punctuation is taken for words."""
        prompts = list(checked(prompts))
        found = [list(WORD.finditer(text)) for text in prompts]
        words = [tuple(match.group() for match in matches) for matches in found]
        places = [tuple(match.span() for match in matches) for matches in found]
        records = [{"tokens": list(each), "tags": [OUTSIDE] * len(each)} for each in words]
        return [
            Tagged(each, tuple(tags), text, where)
            for each, tags, text, where in zip(
                words, self.say(model, records), prompts, places, strict=True
            )
        ]

    def generate_json(
        self, model: Model, prompts: Sequence[str], how: Writing = AS_USUAL
    ) -> list[dict[str, Any]]:
        """Return words, tags and names of each sentence as what `json.dumps` accepts."""
        return [
            {
                "tokens": tagged.tokens,
                "tags": tagged.tags,
                "entities": [
                    {"text": tagged.text[start:stop], "type": kind, "start": start, "end": stop}
                    for kind, start, stop in tagged.spans
                ],
            }
            for tagged in self.predict(model, prompts)
        ]

    def sample(self, model: Model, held_out: Records) -> str:
        """Return some held-out sentences with names, what the model finds, and what was right."""
        with_names = (record for record in held_out if set(record["tags"]) != {OUTSIDE})
        records = list(itertools.islice(with_names, SAMPLES)) or list(held_out.head(SAMPLES))
        return "\n".join(
            f"{Tagged.of(record['tokens'], tags)}\n"
            f"  right: {Tagged.of(record['tokens'], record['tags']).entities}"
            for record, tags in zip(records, self.say(model, records), strict=True)
        )
