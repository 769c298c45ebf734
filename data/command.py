"""`kerazoo data list | show NAME | fetch NAME`."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..errors import InputError, did_you_mean
from . import datasets
from .records import Record
from .sources import place

_USAGE = """usage: kerazoo data list             list the datasets
       kerazoo data show NAME        tell what a dataset is, where it comes from, how it is split
       kerazoo data fetch NAME ...   download and prepare datasets, to work without a network"""
_ACTIONS = ("list", "show", "fetch")


def main(arguments: Sequence[str]) -> None:
    """Run `kerazoo data` with these arguments."""
    if not arguments or not {"-h", "--help"}.isdisjoint(arguments):
        print(_USAGE)
        return
    action, *names = arguments
    if action not in _ACTIONS:
        raise InputError(
            f"there is no `kerazoo data {action}`; there are list, show and fetch"
            f"{did_you_mean(action, _ACTIONS)}"
        )
    if action == "list":
        if names:
            raise InputError(
                f"`kerazoo data list` takes no name; `kerazoo data show {names[0]}` does."
            )
        _list()
        return
    if not names:
        raise InputError(f"`kerazoo data {action}` needs a name; `kerazoo data list` lists them.")
    for name in names:
        (_show if action == "show" else _fetch)(datasets.find(name))


def _list() -> None:
    table = Table(box=box.SIMPLE_HEAD)
    for column in ("name", "kind", "", "size", "licence", "what it is", "here"):
        table.add_column(column, no_wrap=column in ("name", "kind", "", "size"))
    for dataset in datasets.DATASETS.values():
        table.add_row(
            dataset.name,
            dataset.kind,
            dataset.language,
            dataset.size,
            dataset.licence,
            dataset.title,
            "yes" if _is_here(dataset) else "no",
        )
    Console().print(table)


def _show(dataset: datasets.Dataset) -> None:
    table = Table(show_header=False, title=dataset.name, title_justify="left")
    for name in ("title", "kind", "task", "language", "size", "licence", "citation", "split"):
        table.add_row(name, getattr(dataset, name))
    table.add_row("cleaning", ", ".join(dataset.cleaning) or "none")
    for source in dataset.sources:
        table.add_row("source", source.origin)
        table.add_row("sha256", source.sha256 or "not published")
        table.add_row("kept at", str(place(source, dataset.files_in)))
    console = Console()
    if not _is_here(dataset):
        console.print(table)
        return
    corpus = _corpus(dataset)
    for split, records in corpus.records.items():
        table.add_row(f"{split} examples", f"{len(records):,}")
    console.print(table)
    console.print("It begins:\n", highlight=False)
    if corpus.records:
        first, *_ = corpus.records.values()
        for record in first.head(2):
            _show_record(console, record)
    else:
        console.print(next(corpus.train.pieces())[:400], markup=False, highlight=False)


def _show_record(console: Console, record: Record) -> None:
    table = Table(show_header=False, box=box.SIMPLE)
    for name, value in record.items():
        lines = value if isinstance(value, list) else [value]
        table.add_row(name, Text("\n".join(map(str, lines))))
    console.print(table, highlight=False)


def _fetch(dataset: datasets.Dataset) -> None:
    corpus = _corpus(dataset)
    sizes = [f"{split} {len(records):,} examples" for split, records in corpus.records.items()]
    sizes = sizes or [f"{split} {text.num_bytes:,} bytes" for split, text in corpus.splits.items()]
    print(f"{dataset.name}: {', '.join(sizes)}")


def _corpus(dataset: datasets.Dataset) -> datasets.Corpus:
    return datasets.load(datasets.DataConfig(name=dataset.name), dataset.kind)


def _is_here(dataset: datasets.Dataset) -> bool:
    return all(place(source, dataset.files_in).is_file() for source in dataset.sources)
