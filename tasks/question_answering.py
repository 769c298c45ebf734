"""Extractive question answering: where in a passage the answer to a question stands.

    [CLS] question [SEP] passage [SEP]
    P(begins at t) = softmax over t of w_1 h_t,   P(ends at t) = softmax over t of w_2 h_t
    loss = -1/2 (log P(right beginning) + log P(right end))

After Devlin et al. (2019, section 4.2). The answer is the span whose two logits add up to most. A
passage that is too long for the model is read in windows; in one that does not have the answer, the
right place is [CLS], and so it is for a question that the passage does not answer (SQuAD 2.0). In a
model that reads from left to right it is the last [SEP]: its [CLS] has seen nothing.

Shapes: B batch, T positions.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from ..data.encoded import EncodedRecords, Example, padded
from ..data.records import Record, Records
from ..data.windows import windows
from ..errors import InputError
from ..metrics import question_answering
from ..metrics.report import Report
from ..metrics.score import Score
from ..models.families import Model
from ..models.heads import SpanHead
from .supervised import SAMPLES, Batch, HeadTask, one_line

NO_PLACE = -1


@dataclass(frozen=True)
class Answer:
    """An answer to a question.

    Args:
        text: the words of the passage; empty where it says nothing.
        start: the character of the passage that they begin at; -1 where it says nothing.
        score: by how much its logits are above those of no answer.
    """

    text: str
    start: int
    score: float

    def __str__(self) -> str:
        return self.text or "(the passage does not say)"


@dataclass(frozen=True)
class QuestionAnswering(HeadTask):
    """Extractive question answering, as `train.py`, `evaluate.py` and `generate.py` use it."""

    shown = ("F1", "exact match")
    example = "a question\ta passage that answers it"
    asks = ("question", "passage")

    @classmethod
    def labels_of(cls, content: Records) -> tuple[str, ...]:
        """Return whether there is a choice: none where the passage always has the answer."""
        all_have_one = all(record["answers"] for record in content)
        return () if all_have_one else ("an answer", "no answer")

    def head(self, backbone: Model) -> keras.Model:
        """Return a head that points to two places."""
        return SpanHead(backbone=backbone, dropout=self.config.dropout, dtype=self.train.policy)

    # === Data ===

    def examples(self, number: int, record: Record) -> Iterable[Example]:
        """Return windows: tokens, the characters that they stand for, and the answer's place."""
        question = self.tokenizer.encode(record["question"])[: self.config.question_tokens]
        passage, places = self.tokenizer.encode_with_places(record["context"])
        first = len(question) + 2  # the passage's first position
        room = self.model.context_length - first - 1
        if room < 1:
            raise InputError(
                f"the model looks at {self.model.context_length} tokens, of which a question of "
                f"{len(question)} leaves none for the passage; give a larger "
                "--model.context-length or a smaller --task.question-tokens."
            )
        span = self._span(record, places)
        # Windows overlap, so that an answer on the border of one is whole in the next; but if there
        # is little room beside the longest answer, not by more than three quarters.
        stride = min(self.config.stride, max(room - self.config.answer_tokens, -(-room // 4)))
        for start, stop in windows(len(passage), room, stride):
            inside = span is not None and start <= span[0] and span[1] < stop
            nowhere = self._nowhere(first + stop - start + 1)
            place = [first + t - start for t in span] if inside else [nowhere, nowhere]
            of_passage = np.full((first + stop - start + 1, 2), NO_PLACE, np.int32)
            of_passage[first:-1] = places[start:stop]
            yield {
                "token_ids": self.framed(question, passage[start:stop]),
                "starts": of_passage[:, 0],
                "stops": of_passage[:, 1],
                "place": np.array(place, np.int32),
                "record": np.array([number], np.int32),
            }

    def depends_on(self) -> Any:
        """Return what else an example depends on."""
        config = self.config
        settings = (config.stride, config.question_tokens, config.answer_tokens)
        return self.model.context_length, *settings, self.is_causal

    def _span(self, record: Record, places: np.ndarray) -> tuple[int, int] | None:
        """Return the first and the last token of the passage that the first answer touches.

        None where there is no answer, or none that is in the passage as it stands.
        """
        if not record["answers"] or record["answers"][0]["start"] is None:
            return None
        answer = record["answers"][0]
        stop = answer["start"] + len(answer["text"])
        touched = np.flatnonzero((places[:, 1] > answer["start"]) & (places[:, 0] < stop))
        return (int(touched[0]), int(touched[-1])) if len(touched) else None

    def fill(self, examples: EncodedRecords, numbers: np.ndarray, length: int) -> Batch:
        """Return tokens (B, T), places (B, 2) and what counts (B, 2)."""
        inputs = self.inputs(examples, numbers, length)
        in_passage = padded(examples.columns["starts"], numbers, length, NO_PLACE) != NO_PLACE
        # The [SEP] after the passage belongs to it, as in pre-training.
        after_question = np.maximum.accumulate(in_passage, axis=1) & inputs["padding_mask"]
        inputs["segment_ids"] = after_question.astype(np.int32)
        inputs["may_be_answer"] = in_passage.copy()
        nowhere = self._nowhere(inputs["padding_mask"].sum(axis=1))
        np.put_along_axis(inputs["may_be_answer"], nowhere[:, None], True, axis=1)
        places = padded(examples.columns["place"], numbers, 2, 0)
        weights = np.repeat((numbers >= 0)[:, None], 2, axis=1).astype(np.float32)
        return inputs, places, weights

    def _nowhere(self, length: int | np.ndarray) -> int | np.ndarray:
        """Return the place of no answer in examples of some lengths: [CLS], or the last [SEP]."""
        return length - 1 if self.is_causal else 0 * length

    # === Scores ===

    @property
    def threshold(self) -> float:
        """The score above which an answer is given; any will do if every question had one."""
        return 0 if self.labels else -np.inf

    def answers(self, examples: EncodedRecords, outputs: Sequence[np.ndarray]) -> Sequence[tuple]:
        """Return of each question where its answer begins and ends, in characters, and its score.

        The score is by how much the answer's logits are above those of no answer.
        """
        columns = examples.columns
        best: dict[int, tuple] = {}
        nothing: dict[int, float] = {}
        for n, logits in enumerate(outputs):
            record = int(columns["record"][n][0])
            starts, stops = columns["starts"][n], columns["stops"][n]
            none = float(logits[:, self._nowhere(len(starts))].sum())
            nothing[record] = min(nothing.get(record, none), none)
            (positions,) = np.nonzero(starts != NO_PLACE)
            if not len(positions):  # an empty passage
                best.setdefault(record, (0, 0, -np.inf))
                continue
            scores = logits[0][positions, None] + logits[1][None, positions]  # (P, P)
            width = np.arange(len(positions))[None] - np.arange(len(positions))[:, None]
            scores[(width < 0) | (width >= self.config.answer_tokens)] = -np.inf
            first, last = np.unravel_index(np.argmax(scores), scores.shape)
            found = (
                int(starts[positions[first]]),
                int(stops[positions[last]]),
                float(scores[first, last]),
            )
            if record not in best or found[2] > best[record][2]:
                best[record] = found
        return [(a, b, score - nothing[n]) for n, (a, b, score) in sorted(best.items())]

    def report(self, records: Sequence[Record], answers: Sequence[tuple], language: str) -> Report:
        """Score the answers by the rules of the data: SQuAD 1.1 or 2.0, or CMRC for Chinese."""
        references = {
            record["id"]: [answer["text"] for answer in record["answers"]] for record in records
        }
        found, scores = {}, {}
        for record, (start, stop, score) in zip(records, answers, strict=True):
            found[record["id"]] = record["context"][start:stop]
            scores[record["id"]] = score
        is_answered = all(references.values())
        rules = question_answering.rules_for(language, is_answered)

        def above(threshold: float) -> dict[str, Score]:
            given = {key: text if scores[key] > threshold else "" for key, text in found.items()}
            return question_answering.score(given, references, rules)

        as_answered = above(self.threshold)
        if is_answered:
            return Report(as_answered)
        at_best, thresholds = {}, []
        for name in self.shown:
            best = question_answering.best_threshold(found, scores, references, name, rules)
            at_best[f"{name}, best threshold"] = above(best)[name]
            thresholds.append(f"{best:.2f} ({name})")
        note = (
            "best threshold: an answer is given where it is likelier than none by "
            f"{', '.join(thresholds)}, not {'by 0' if self.labels else 'always'}; found on these "
            "same questions, as SQuAD's own script does."
        )
        return Report(as_answered | at_best, notes=(note,))

    # === What a person asks of it ===

    def predict(self, model: Model, prompts: Sequence[str]) -> list[Answer]:
        """Return the answer to each question; a prompt is question, tab, passage.

        Raises:
            InputError: if a prompt is something else, or its passage has no tokens.
        """
        records = []
        for prompt in prompts:
            question, _, passage = prompt.partition("\t")
            if not question.strip() or not passage.strip():
                raise InputError(
                    f"'{one_line(prompt, 40)}' is no question with a passage; give both, with a "
                    "tab between them."
                )
            if not len(self.tokenizer.encode(passage)):
                raise InputError(
                    f"the passage {passage[:40]!r} has nothing in it that the run's tokenizer "
                    "reads; give one with words."
                )
            records.append({"question": question, "context": passage, "answers": []})
        return self._say(model, records)

    def _say(self, model: Model, records: Sequence[Record]) -> list[Answer]:
        """Return the answers; none where none is likelier, if the training had such questions."""
        return [
            Answer(record["context"][start:stop], start, score)
            if stop > start and score > self.threshold
            else Answer("", -1, score)
            for record, (start, stop, score) in zip(records, self.say(model, records), strict=True)
        ]

    def sample(self, model: Model, held_out: Records) -> str:
        """Return some held-out questions, the model's answers, and the right ones."""
        records = held_out.head(SAMPLES)
        lines = []
        for record, answer in zip(records, self._say(model, records), strict=True):
            right = " / ".join(dict.fromkeys(answer["text"] for answer in record["answers"]))
            said = one_line(str(answer))
            lines.append(f"{record['question']}\n  -> {said} ({right or 'no answer'} is right)")
        return "\n".join(lines)
