"""The model card of a run (Mitchell et al. 2019): what it is, how good, and what it is not for."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from . import __version__
from .data.datasets import Corpus

if TYPE_CHECKING:
    from .runs import Run


def card(run: "Run", name: str, corpus: Corpus, report: Mapping[str, Any], samples: str) -> str:
    """Return the card as Markdown.

    Args:
        run: the run.
        name: the recipe's name.
        corpus: what it was trained on.
        report: what `report.json` says.
        samples: what `samples.txt` says.
    """
    shown = "\n".join(f"    {line}" for line in samples.strip("\n").splitlines())
    return f"""# {run.folder.name}

{run.recipe.description}

| | |
|---|---|
| recipe | `{name}`, kerazoo {__version__} |
| model | {run.model_name}, {report["parameters"]:,} parameters |
| data | {corpus.name}; licence: {corpus.licence} |
| tokenizer | {run.tokenizer.kind}, {run.tokenizer.vocab_size:,} tokens |
| training | {report["steps"]:,} steps in {report["seconds"]:.0f} s |
| validation | {report["in_words"]} |

`config.json` has every setting and the versions; `history.csv` the course of the training.

## Use

    {run.command}

`kerazoo generate` and, in kerazoo's own folder, `python generate.py` do the same.

## A sample

{shown}

## Limits

{_LIMITS_OF_TEXT if run.recipe.task.reads == "text" else _LIMITS_OF_EXAMPLES}
"""


_LIMITS_OF_TEXT = """\
The model has learnt from one text, and knows no other kind. What it writes is invented, may repeat
its training text word for word, and carries over that text's views."""
_LIMITS_OF_EXAMPLES = """\
The model has learnt from one set of examples, and knows no other kind. What it says may be wrong,
the more so of a text that is unlike them, and carries over the views of those who wrote them."""
