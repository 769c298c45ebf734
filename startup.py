"""What must happen before TensorFlow is first imported: a quiet start, and memory that is kept.

TensorFlow writes lines such as `port.cc:153] oneDNN custom operations are on` straight to file
descriptor 2 while it loads, before any of its own log settings apply. Those lines are kept away,
and only those: whatever else is written meanwhile is passed on.

A training step on the CPU allocates and frees the same megabytes again and again. As it comes, the
C library of Linux gives large blocks back to the system each time and gets them anew, page by page,
which took up to a quarter of a step's time. It is told to keep them.
"""

import contextlib
import ctypes
import importlib.abc
import importlib.util
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from types import ModuleType

_CHATTER = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog\(\)"
    rb"|[IW]\d{4} [\d:.]+ +\d+ \w+\.cc:\d+\]"
    rb"|To enable the following instructions:"
)


@contextlib.contextmanager
def _without_chatter() -> Iterator[None]:
    """Hold back what is written to file descriptor 2, then pass on all but the start-up lines."""
    try:
        original = os.dup(2)
    except OSError:  # no standard error at all, as under pythonw
        yield
        return
    _flush()
    try:
        held_back = tempfile.TemporaryFile()  # noqa: SIM115, closed by the block below
    except OSError:  # nowhere to write
        os.close(original)
        yield
        return
    with held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        finally:
            _flush()
            os.dup2(original, 2)
            held_back.seek(0)
            kept = [line for line in held_back if not _CHATTER.match(line)]
            os.write(original, b"".join(kept))
            os.close(original)


def _has_avx() -> bool:
    """Tell whether the processor has what TensorFlow is compiled for, as far as can be known."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            flags = next((line.split() for line in file if line.startswith("flags")), None)
    except OSError:  # no Linux
        return True
    return flags is None or "avx" in flags  # other kinds of processors list other things


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()


# Parameters of mallopt, from glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3


def _keep_freed_memory() -> None:
    """Let the C library keep up to 1 GiB of freed memory, unless the user has set otherwise."""
    if sys.platform != "linux" or any(
        name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ
    ):
        return
    # Other C libraries than glibc have no mallopt.
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        if not mallopt(_M_MMAP_THRESHOLD, 1 << 30):
            mallopt(_M_MMAP_THRESHOLD, 1 << 25)  # the most of older ones
        mallopt(_M_TRIM_THRESHOLD, 1 << 30)
        mallopt(_M_TOP_PAD, 1 << 26)


class _QuietImport(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Runs the import of TensorFlow that it intercepts inside `_without_chatter`."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)  # once is enough, and find_spec below must not come back here
        spec = importlib.util.find_spec(fullname)
        if spec is not None:
            self._loader, spec.loader = spec.loader, self
        return spec

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__.loader = module.__loader__ = self._loader
        _keep_freed_memory()
        # TensorFlow ends the process of a processor that is too old, and says so on its way.
        with _without_chatter() if _has_avx() else contextlib.nullcontext():
            self._loader.exec_module(module)
        logging.getLogger("tensorflow").setLevel(logging.ERROR)


def prepare_tensorflow() -> None:
    """Make the first `import tensorflow`, whoever does it, quiet, and its memory last."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "tensorflow" not in sys.modules:
        sys.meta_path.insert(0, _QuietImport())
