"""The parts of the README that a program writes, each between two comments."""

from pathlib import Path

from kerazoo.files import write_text

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def read(begin: str, end: str) -> str:
    """Return what stands between the two comments."""
    return _parts(begin, end)[1]


def write(begin: str, end: str, text: str) -> None:
    """Put a text between the two comments, in the place of what stands there."""
    before, _, after = _parts(begin, end)
    write_text(README, f"{before}{begin}\n\n{text}\n\n{end}{after}")


def _parts(begin: str, end: str) -> tuple[str, str, str]:
    before, rest = README.read_text(encoding="utf-8").split(begin)
    text, after = rest.split(end)
    return before, text, after
