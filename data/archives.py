"""What is in archives, read without trusting them: by name, up to a size, all in memory."""

import gzip
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from ..errors import InputError

UNPACKED_LIMIT = 1 << 28
"""The most bytes that a file may have, unpacked."""
# What the standard library raises of archives that are none, cut short, encrypted, or packed in a
# way that it does not know.
_DAMAGED = (
    *(KeyError, OSError, EOFError, RuntimeError, NotImplementedError),
    *(zlib.error, zipfile.BadZipFile, tarfile.TarError),
)


def packed(path: Path, limit: int = UNPACKED_LIMIT) -> bytes:
    """Return the content of a file, unpacked if it is packed by gzip.

    Raises:
        InputError: if it is damaged, or larger than `limit` bytes when unpacked.
    """
    if path.suffix != ".gz":
        return path.read_bytes()
    try:
        with gzip.open(path) as file:
            content = file.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} is not a gzip file ({error}); delete it.") from None
    if len(content) > limit:
        raise InputError(f"{path} unpacks to more than {limit} bytes; delete it.")
    return content


def members(wheel: Path, pattern: str, limit: int = UNPACKED_LIMIT) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of each file in a wheel whose name matches, sorted by name.

    Args:
        wheel: the wheel, read as a zip file; nothing is written to disk.
        pattern: a regular expression that the whole name must match.
        limit: the most bytes that the matching files may have together, unpacked.

    Raises:
        InputError: if the file is no zip file, or the matching files are larger than `limit`.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            found = [info for info in archive.infolist() if re.fullmatch(pattern, info.filename)]
            if sum(info.file_size for info in found) > limit:
                raise InputError(f"{wheel} unpacks to more than {limit} bytes; delete it.")
            for info in sorted(found, key=lambda info: info.filename):
                yield info.filename, archive.read(info)
    except zipfile.BadZipFile as error:
        raise InputError(f"{wheel} is not a zip file ({error}); delete it.") from None


def member(archive: Path, name: str, limit: int) -> bytes:
    """Return the content of one file of an archive (.zip, .tar.gz, .tgz).

    Raises:
        InputError: if it is not there, is damaged, or has more than `limit` bytes.
    """
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as files, files.open(name) as file:
                content = file.read(limit + 1)
        else:
            with tarfile.open(archive) as files:
                file = files.extractfile(name)
                content = file.read(limit + 1) if file else b""
    except _DAMAGED as error:
        raise InputError(f"{archive} has no {name} that can be read ({error}); delete it") from None
    if len(content) > limit:
        raise InputError(f"{name} in {archive} has more than {limit} bytes; delete it")
    return content
