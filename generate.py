r"""Ask a trained run: what a language model writes, what any other run says of a text.

python generate.py runs/gpt-shakespeare
python generate.py runs/gpt-shakespeare "ROMEO:" --sampler top-p --p 0.9 --samples 3 --seed 1
python generate.py runs/gpt-shakespeare "ROMEO:" "JULIET:" --max-tokens 100
python generate.py runs/bert-shakespeare "To be or not to [MASK]"
echo "To be" | python generate.py runs/gpt-shakespeare -

Without a text, a run that needs one asks for it, again and again: a translator for sentences, a
dialogue for what you say, a reader for a question and a passage. From a pipe or a file it takes a
text a line, with a tab between question and passage, and answers with a line for each (of runs that
write, a line end within a text is \n, written out, going in and coming out). What is wrong with a
line is told on standard error, and its answer is empty, or with --json an object with an `error`.

python generate.py runs/my-translator < sentences.txt > translations.txt
python generate.py runs/my-classifier --file reviews.txt --json > labels.jsonl
"""

import itertools
import json
import os
import queue
import stat
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import tyro

from kerazoo import runs
from kerazoo.cli import parse
from kerazoo.data import datasets
from kerazoo.data.annotated_files import read_lines
from kerazoo.errors import InputError
from kerazoo.metrics.novelty import by_novelty
from kerazoo.models.sampling import HEEDED, SamplerKind, Sampling
from kerazoo.tasks.configs import SequenceToSequenceConfig

BATCH = 64
"""Lines of a pipe or a file that are answered at a time, at most."""
SECONDS_BETWEEN_LINES = 0.05
"""How long a line of a pipe may keep those before it waiting for their answers."""


@dataclass(frozen=True)
class Options(Sampling):
    """What `python generate.py` takes."""

    sampler: SamplerKind | None = None
    """How the next token is chosen, see the options below; without it, at random, or where there is
    a right answer the likeliest, or by beam search if the run was made for it."""
    num_beams: int | None = None
    """Texts that beam search keeps; without it, as many as the run was made for, or 4."""
    run: tyro.conf.Positional[Path] = tyro.MISSING
    """The run folder, such as runs/gpt-shakespeare."""
    prompts: tyro.conf.Positional[tuple[str, ...]] = ()
    """Texts to continue, to fill in, to turn into others or to say something of, as the run has
    learnt; `-` reads from standard input. Without any, a language model begins with a new line, and
    any other run asks for one."""
    file: Path | None = None
    """A file to read from: a text a line, or, for a language model, one text without its last line
    end."""
    json: bool = False
    """Whether to print an object a line, with the text and all that the run says of it."""
    max_tokens: int = 300
    """Tokens to add to each prompt."""
    samples: int = 1
    """How often to write from each prompt."""
    stop: str | None = None
    """Text that ends a continuation, such as "\\n\\n"; \\n is a line end and \\t a tab."""


def main(arguments: Sequence[str]) -> None:
    """Run `python generate.py` with these arguments."""
    options = parse(Options, arguments, "generate", "Ask a trained run, or let it write.")
    for name in ("max_tokens", "samples"):
        if getattr(options, name) < 1:
            raise InputError(
                f"--{name.replace('_', '-')} is {getattr(options, name)}; it must be at least 1."
            )
    if options.file and options.prompts:
        raise InputError(f"both --file {options.file} and a text are given; leave one of them out.")
    speaker = _Speaker(runs.load(options.run), options)
    needs_text = bool(speaker.run.task.asks)
    reads_input = options.prompts == ("-",)
    if options.file:
        lines = read_lines(options.file)
        if needs_text:
            speaker.answer_lines(lines)
        else:
            speaker.answer(["\n".join(lines)])
    elif needs_text and not options.prompts and sys.stdin.isatty():
        speaker.converse()
    elif needs_text and (reads_input or not options.prompts):
        speaker.answer_lines(sys.stdin)
    else:
        prompts = [
            sys.stdin.read().removesuffix("\n") if prompt == "-" else prompt
            for prompt in options.prompts
        ]
        speaker.answer(speaker.joined(prompts) or [None])


_WRITING = ("max_tokens", "samples", "stop")


class _Speaker:
    """A run, and how it is asked."""

    def __init__(self, run: runs.Run, options: Options):
        self.run, self.options = run, options
        usual, as_suits = Sampling(), run.task.default_sampling
        given = {field.name: getattr(options, field.name) for field in fields(Sampling)}
        given = {
            name: value
            for name, value in given.items()
            if value is not None
            and (name in ("sampler", "num_beams") or value != getattr(usual, name))
        }
        if as_suits is None:
            self._check_answers(given)
            as_suits = usual
        self.writes = run.task.default_sampling is not None
        sampling = replace(as_suits, **given)
        self._check_heeded(given, sampling.sampler)
        if "length_penalty" in given and not isinstance(run.recipe.task, SequenceToSequenceConfig):
            raise InputError(
                f"--length-penalty {options.length_penalty} compares texts that have ended, and "
                f"{run.folder} writes on to --max-tokens; leave it out."
            )
        stop = options.stop and options.stop.replace("\\n", "\n").replace("\\t", "\t")
        self.how = {"sampling": sampling, "stop": stop}
        self.num_wrong = self.num_cut = 0

    def _check_answers(self, given: Mapping[str, Any]) -> None:
        """Refuse what is for writing, where a run answers in another way."""
        own = {field.name: field.default for field in fields(Options)}
        names = [*given, *(n for n in _WRITING if getattr(self.options, n) != own[n])]
        if names:
            options = " and ".join(f"--{name.replace('_', '-')}" for name in names)
            raise InputError(
                f"{options} is for runs that write, and {self.run.folder} says what is there; "
                "leave it out."
            )

    @staticmethod
    def _check_heeded(given: Iterable[str], sampler: SamplerKind) -> None:
        """Refuse what is for another way of choosing the next token."""
        for name in given:
            able = [kind for kind, heeded in HEEDED.items() if name in heeded]
            if able and sampler not in able:
                raise InputError(
                    f"--{name.replace('_', '-')} is for --sampler {' or '.join(able)}, and this is "
                    f"{sampler}; leave it out, or give that sampler."
                )

    def joined(self, prompts: Sequence[str]) -> list[str]:
        """Return the prompts; those that are the parts of a single one, joined with tabs."""
        asks = self.run.task.asks
        are_parts = len(prompts) == len(asks) > 1 and not any("\t" in text for text in prompts)
        return ["\t".join(prompts)] if are_parts else list(prompts)

    def answer(self, prompts: Sequence[str | None]) -> None:
        """Answer some prompts on the screen, a single one as it grows."""
        if self.options.json:
            print("\n".join(self._lines_for(prompts)))
            self._tell_cut(self.run.num_cut(prompts), len(prompts))
            return
        rows = [prompt for prompt in prompts for _ in range(self.options.samples)]
        screen = _Screen() if len(rows) == 1 else None
        watch = {"watch": screen.show} if screen else {}
        if self.writes:
            answers = self._objects(rows, **watch)
            texts = [answer["text"] for answer in answers]
        else:
            texts = self.run.generate_all(rows)
        if screen:
            screen.end(texts)
        else:
            print("\n\n---\n\n".join(text.strip("\n") for text in texts))
        self._tell_cut(self.run.num_cut(prompts), len(prompts))
        data = self.run.recipe.data
        dataset = datasets.DATASETS.get(data.name)
        is_list = data.text is None and dataset is not None and dataset.one_a_line
        if is_list and not self.run.task.asks:
            _print_novelty(answers, self.how["stop"], data)

    def answer_lines(self, lines: Iterable[str]) -> None:
        """Answer each line by a line, some lines at a time; an empty one by an empty one.

        Raises:
            InputError: at the end, if some lines were wrong.
        """
        number = asked = 0
        batches = _as_they_come(lines) if _is_pipe(lines) else _batched(lines)
        for batch in batches:
            batch = [line.rstrip("\n") for line in batch]
            if self.writes:
                batch = [line.replace("\\n", "\n") for line in batch]
            self._answer_batch(batch, number + 1)
            number += len(batch)
            asked += sum(1 for line in batch if line.strip())
        if not number:
            self.run.generate(None)  # tells what is missing
        self._tell_cut(self.num_cut, asked)
        if self.num_wrong:
            raise InputError(
                f"{self.num_wrong:,} of the {number:,} lines cannot be answered, as told above; "
                "correct what is wrong and try again."
            )

    def _tell_cut(self, cut: int, number: int) -> None:
        """Tell on standard error how many of the texts were cut, if any were."""
        if cut:
            print(self.run.task.note_on_cuts(cut, number), file=sys.stderr)

    def _answer_batch(self, lines: Sequence[str], first: int) -> None:
        """Answer some lines, of which the first has that number."""
        numbered = [(n, line) for n, line in enumerate(lines, start=first) if line.strip()]
        answers = iter(self._answers(numbered))
        self.num_cut += self.run.num_cut([line for _, line in numbered])
        for line in lines:
            for _ in range(self.options.samples):
                print(next(answers) if line.strip() else "")
        sys.stdout.flush()

    def _answers(self, numbered: Sequence[tuple[int, str]], rows: int = 0) -> list[str]:
        """Return the answers to lines with these numbers; tell what is wrong with a line.

        Args:
            numbered: the lines.
            rows: as many are asked at a time, the first line more than once if need be, as each
                number of rows is compiled for itself; 0: one for each line.
        """
        rows = rows or len(numbered)
        lines = [line for _, line in numbered]
        try:
            answers = self._lines_for([*lines, *lines[:1] * (rows - len(lines))])
            return answers[: len(lines) * self.options.samples]
        except InputError as error:
            if len(numbered) > 1:  # look in both halves for what is wrong
                half = len(numbered) // 2
                parts = (numbered[:half], numbered[half:])
                return [answer for part in parts for answer in self._answers(part, rows)]
            ((number, line),) = numbered
            print(f"line {number}: {error}", file=sys.stderr)
            self.num_wrong += 1
            answer = self._as_json(line, {"error": str(error)}) if self.options.json else ""
            return [answer] * self.options.samples

    def _lines_for(self, prompts: Sequence[str | None]) -> list[str]:
        """Return a line for each answer: what the run says, in words or as JSON."""
        rows = [prompt for prompt in prompts for _ in range(self.options.samples)]
        if not rows:
            return []
        number = len(rows)
        if self.writes:  # each number of rows is compiled for itself, so there are few
            rows += rows[-1:] * ((1 << (number - 1).bit_length()) - number)
        if self.options.json:
            return list(map(self._as_json, rows, self._objects(rows)))[:number]
        texts = self.run.generate_all(rows, self.options.max_tokens, **self.how)[:number]
        line_end = "\\n" if self.writes else "\t"
        return [line_end.join(map(str.strip, text.strip().splitlines())) for text in texts]

    def _objects(self, rows: Sequence[str | None], **watch: Any) -> list[dict[str, Any]]:
        return self.run.generate_json(rows, self.options.max_tokens, **self.how, **watch)

    @staticmethod
    def _as_json(prompt: str | None, answer: dict[str, Any]) -> str:
        return json.dumps({"prompt": prompt, **answer}, ensure_ascii=False)

    def converse(self) -> None:
        """Ask for what the run needs and answer, until an empty line or the end of the input."""
        turns: list[str] = []
        while parts := self._asked():
            rows = ["\t".join([*turns, *parts])] * self.options.samples
            try:
                if self.options.json:
                    objects = self._objects(rows)
                    shown = list(map(self._as_json, rows, objects))
                    answer = objects[0].get("text", "")
                else:
                    shown = self.run.generate_all(rows, self.options.max_tokens, **self.how)
                    answer = shown[0]
            except InputError as error:
                print(error)  # and ask again
                continue
            print("\n".join(shown))
            self._tell_cut(self.run.num_cut(rows[:1]), 1)
            if self.run.task.goes_on:
                turns += [*parts, " ".join(answer.split())]

    def _asked(self) -> list[str]:
        """Return what a person says to each question; nothing at an empty line or the end."""
        parts = []
        for name in self.run.task.asks:
            try:
                part = " ".join(input(f"{name}: ").split("\t"))
            except EOFError:
                print()
                return []
            if not part.strip():
                return []
            parts.append(part)
        return parts


def _batched(lines: Iterable[str]) -> Iterator[list[str]]:
    lines = iter(lines)
    while batch := list(itertools.islice(lines, BATCH)):
        yield batch


def _is_pipe(lines: Iterable[str]) -> bool:
    """Tell whether lines come as another program writes them, which may wait for the answers."""
    try:
        return stat.S_ISFIFO(os.fstat(lines.fileno()).st_mode)
    except (AttributeError, OSError):  # a list, or no real file
        return False


def _as_they_come(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield the lines that are there, and wait for more when they have been answered."""
    waiting: queue.Queue[str | Exception | None] = queue.Queue(BATCH)

    def read() -> None:
        try:
            for line in lines:
                waiting.put(line)
            waiting.put(None)
        except Exception as error:  # such as of what is no text; to be raised where it is told
            waiting.put(error)

    threading.Thread(target=read, daemon=True).start()
    item: str | Exception | None = ""
    while isinstance(item, str):
        batch, item = [], waiting.get()
        with suppress(queue.Empty):
            while isinstance(item, str):
                batch.append(item)
                if len(batch) == BATCH:
                    break
                item = waiting.get(timeout=SECONDS_BETWEEN_LINES)
        if batch:
            yield batch
    if item is not None:
        raise item


class _Screen:
    """Shows a text as it grows."""

    def __init__(self):
        self._shown = 0

    def show(self, texts: list[str]) -> None:
        text = texts[0].rstrip("\ufffd")  # the first bytes of a character still to come
        print(text[self._shown :], end="", flush=True)
        self._shown = max(self._shown, len(text))

    def end(self, texts: list[str]) -> None:
        print(texts[0][self._shown :])


def _print_novelty(
    answers: Sequence[dict[str, Any]], stop: str | None, data: datasets.DataConfig
) -> None:
    """Sort the lines that were written into those that the model has seen and those it has not."""
    try:
        corpus = datasets.load(data)
    except InputError as error:  # a run can be where its data are not
        print(f"\nWhich of them are new cannot be told: {error}")
        return
    lines = [line for answer in answers for line in _whole_lines(answer, stop) if line]
    held_out = [text.read() for name, text in corpus.splits.items() if name != "train"]
    groups = by_novelty(lines, corpus.train.read(), "\n".join(held_out))
    number = sum(map(len, groups.values()))
    for what, found in groups.items():
        print(f"\n{what} ({len(found)} of {number}): {', '.join(found)}")


def _whole_lines(answer: dict[str, Any], stop: str | None) -> list[str]:
    """Return the lines to whose end a model has written, with what the prompt has of the first."""
    text = answer["text"]
    prompt = text.removesuffix(answer["continuation"])
    lines = text[prompt.rfind("\n") + 1 :].split("\n")
    is_cut = not (answer["stopped"] and stop.startswith("\n"))
    return lines[:-1] if is_cut else lines


if __name__ == "__main__":
    from kerazoo.cli import run as run_command

    run_command(main)
