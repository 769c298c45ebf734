"""Files and folders that appear complete or not at all, also when the process is killed."""

import glob
import json
import math
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from .errors import InputError

ABANDONED_SECONDS = 24 * 3600
_STREAM = re.compile("/dev/(stdout|stderr|fd/)|/proc/.*/fd/")


def expanded(path: str | os.PathLike, hint: str = "give the whole path") -> Path:
    """Return a path with the home folder in the place of a `~` or `~user` at its beginning.

    Args:
        path: the path.
        hint: what to do where that folder is not known.

    Raises:
        InputError: if it is not.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise InputError(f"the home folder in {path} is not known; {hint}.") from None


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a scratch path with the same ending; when the block succeeds, it becomes `path`.

    The content is on disk before the name is: a reader sees the old file or the whole new one. A
    link stays one. What is no file, such as a pipe or a terminal, is written to as it is.
    """
    if path.exists() and (not path.is_file() or _STREAM.match(path.as_posix())):
        yield path
        return
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{secrets.token_hex(8)}-{path.name}")
    abandoned = path.parent.glob(f".*-{glob.escape(path.name)}")
    _sweep(file for file in abandoned if is_scratch(file.name))
    try:
        yield scratch
        with open(scratch, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


def is_scratch(name: str) -> bool:
    """Tell whether a file of that name is what `whole_file` left when its process was killed."""
    return re.fullmatch(r"\.[0-9a-f]{16}-.+", name) is not None


def _sweep(scratch: Iterable[Path]) -> None:
    """Remove what killed processes have left: files and folders that no process writes any more."""
    for path in scratch:
        with suppress(OSError):  # another process does the same
            if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file, whole or not at all.

    What UTF-8 lacks, as file names may have that are no UTF-8, is written as JSON does: \\udcff.
    """
    with whole_file(path) as scratch:
        scratch.write_text(text, encoding="utf-8", errors="backslashreplace", newline="")


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, whole or not at all; infinities and NaN, which JSON lacks, become null."""
    text = json.dumps(_finite(content), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _finite(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give a scratch folder; when the block succeeds, it becomes `path`.

    If `path` has come to exist in the meantime, by another process, that one stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent.glob(f".{glob.escape(path.name)}-*"))
    scratch = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-"))
    try:
        yield scratch
        scratch.chmod(0o755)
        for file in filter(Path.is_file, scratch.rglob("*")):
            with open(file, "rb+") as written:
                os.fsync(written.fileno())
        try:
            os.replace(scratch, path)
        except OSError:
            if not path.is_dir():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
