"""Write text with a trained run: prompt -> ids -> next token, again and again -> text.

python generate.py runs/gpt-shakespeare
python generate.py runs/gpt-shakespeare "ROMEO:" --sampler top-p --p 0.9 --samples 3 --seed 1
python generate.py runs/gpt-shakespeare "ROMEO:" "JULIET:" --max-tokens 100
python generate.py runs/bert-shakespeare "To be or not to [MASK]"
echo "To be" | python generate.py runs/gpt-shakespeare -
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import tyro

from kerazoo import runs
from kerazoo.cli import parse
from kerazoo.data import datasets
from kerazoo.errors import InputError
from kerazoo.metrics.novelty import by_novelty
from kerazoo.models.configs import SamplerKind, Sampling


@dataclass(frozen=True)
class Options(Sampling):
    """What `python generate.py` takes."""

    sampler: SamplerKind | None = None
    """How the next token is chosen, see the options below; without it, at random, or the likeliest
    where there is a right answer."""
    run: tyro.conf.Positional[Path] = tyro.MISSING
    """The run folder, such as runs/gpt-shakespeare."""
    prompts: tyro.conf.Positional[tuple[str, ...]] = ()
    """Texts to continue, to fill in or to turn into others, as the run has learnt; `-` reads one
    from standard input; without any, a language model begins with a new line."""
    max_tokens: int = 300
    """Tokens to add to each prompt."""
    samples: int = 1
    """How often to write from each prompt."""
    stop: str | None = None
    """Text that ends a continuation, such as "\\n\\n"."""


def main(arguments: Sequence[str]) -> None:
    """Run `python generate.py` with these arguments."""
    options = parse(Options, arguments, "generate.py", "Write text with a trained run.")
    for name in ("max_tokens", "samples"):
        if getattr(options, name) < 1:
            raise InputError(
                f"--{name.replace('_', '-')} is {getattr(options, name)}; it must be at least 1."
            )
    run = runs.load(options.run)
    settings = {field.name: getattr(options, field.name) for field in fields(Sampling)}
    settings["sampler"] = options.sampler or run.task.default_sampler
    sampling = Sampling(**settings)
    prompts = [sys.stdin.read() if prompt == "-" else prompt for prompt in options.prompts]
    rows = [prompt for prompt in prompts or [None] for _ in range(options.samples)]
    stop = options.stop and options.stop.encode().decode("unicode_escape")

    screen = _Screen() if len(rows) == 1 else None
    watch = {"watch": screen.show} if screen else {}
    texts = run.generate_all(rows, options.max_tokens, sampling=sampling, stop=stop, **watch)
    if screen:
        screen.end(texts)
    else:
        print("\n\n---\n\n".join(text.strip("\n") for text in texts))

    dataset = datasets.DATASETS.get(run.recipe.data.name)
    if run.recipe.data.text is None and dataset is not None and dataset.one_a_line:
        _print_novelty(texts, datasets.load(run.recipe.data))


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


def _print_novelty(texts: list[str], corpus: datasets.Corpus) -> None:
    """Sort what was written into what the model has seen and what it has not."""
    # The first line goes on from the prompt and the last may be cut short.
    lines = [line for text in texts for line in text.split("\n")[1:-1] if line]
    groups = by_novelty(lines, corpus.train.read(), (corpus.test or corpus.validation).read())
    for what, found in groups.items():
        print(f"\n{what} ({len(found)} of {len(lines)}): {', '.join(found)}")


if __name__ == "__main__":
    from kerazoo.cli import run as run_command

    run_command(main)
