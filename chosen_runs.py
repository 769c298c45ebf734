"""Which runs a command line means: folders, patterns such as runs/*, and what is passed over."""

from collections.abc import Sequence
from pathlib import Path

from . import runs
from .data import datasets
from .errors import InputError


def chosen(patterns: Sequence[Path], need_data: bool) -> list[runs.Run]:
    """Return the runs in some folders.

    A pattern such as runs/* finds charts, too, and folders with runs of their own, which are left
    out. Of several runs, those are passed over that are still being trained, cannot be loaded, or
    whose own data are needed and gone; it is printed which, and why.

    Args:
        patterns: folders, or patterns, which a shell of Windows leaves as they are.
        need_data: whether the data are needed that a run has learnt from.

    Raises:
        InputError: if there is no run, or a single one is not as it should be.
    """
    paths = [path for pattern in patterns for path in _matching(pattern)]
    folders = [path for path in paths if not (path.is_file() or _has_runs(path))]
    if not folders:
        raise InputError("no run folder is given; give some, such as runs/*.")
    found = _loaded(folders)
    return _with_data(found) if need_data else found


def _matching(path: Path) -> list[Path]:
    if "*" not in path.name or path.exists():
        return [path]
    return sorted(path.parent.glob(path.name))


def _has_runs(folder: Path) -> bool:
    """Whether it is not a run, but has some in it."""
    return not (folder / "config.json").is_file() and any(folder.glob("*/config.json"))


def _loaded(folders: Sequence[Path]) -> list[runs.Run]:
    found = []
    for folder in folders:
        begun, ended = (folder.joinpath(name).is_file() for name in ("config.json", "report.json"))
        try:
            if begun and not ended:
                raise runs.unfinished(folder)
            found.append(runs.load(folder))
        except InputError as error:
            if len(folders) == 1 or not folder.is_dir():
                raise
            print(f"{folder} is passed over: {error}")
    if not found:
        raise InputError("none of the folders has a run that can be scored; finish one, or train.")
    return found


def _with_data(found: Sequence[runs.Run]) -> list[runs.Run]:
    complete = []
    for run in found:
        try:
            datasets.load(run.recipe.data, run.recipe.task.reads)
            complete.append(run)
        except InputError as error:
            if len(found) == 1:
                raise InputError(f"the data of {run.folder} are missing: {error}") from None
            print(f"{run.folder} is passed over, as its data are missing: {error}")
    if not complete:
        raise InputError("none of the runs has its data; give others with --text or --name.")
    return complete
