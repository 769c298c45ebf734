"""Execute notebooks from top to bottom and keep their outputs.

    python notebooks/execute.py                       all of them, in place
    python notebooks/execute.py notebooks/00*.ipynb   some

A notebook runs in a scratch folder, so that what it trains does not stay in the checkout. One that
fails is left as it was, and the exit code is 1.
"""

import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

HERE = Path(__file__).parent
_SECONDS_PER_CELL = 1200


def execute(path: Path, replacements: dict[str, str] | None = None) -> nbformat.NotebookNode:
    """Return the notebook with the outputs of a fresh run.

    Args:
        path: the notebook, which is not changed.
        replacements: whole lines of code to replace, such as {"MINUTES = 1.0": "MINUTES = 0.1"};
            each must occur.

    Raises:
        ValueError: if a line to replace does not occur.
        CellExecutionError: if a cell raises.
    """
    notebook = nbformat.read(path, as_version=4)
    for old, new in (replacements or {}).items():
        cells = [cell for cell in notebook.cells if old in cell.source.splitlines()]
        if not cells:
            raise ValueError(f"{path} has no line `{old}`.")
        for cell in cells:
            cell.source = cell.source.replace(old, new)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(
            notebook,
            timeout=_SECONDS_PER_CELL,
            kernel_name="python3",
            resources={"metadata": {"path": folder}},
            coalesce_streams=True,
        ).execute()
    _without_machine(notebook)
    return notebook


def _without_machine(notebook: nbformat.NotebookNode) -> None:
    """Drop what differs from run to run and machine to machine and says nothing."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }


def main() -> None:
    """Execute the notebooks given as arguments, or all."""
    for path in [Path(name) for name in sys.argv[1:]] or sorted(HERE.glob("*.ipynb")):
        print(f"{path} ...", flush=True)
        try:
            notebook = execute(path)
        except CellExecutionError as error:
            sys.exit(f"{path}: {error}")
        nbformat.write(notebook, path)


if __name__ == "__main__":
    main()
