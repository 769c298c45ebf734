"""Every notebook runs from top to bottom, in a kernel of its own."""

import importlib.util
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
# Lines of a notebook that are changed so that it is quick: a lab has minutes, a test seconds.
SHORTER = {
    "00_the_zoo_in_ten_minutes": {
        "MINUTES = 1.0": "MINUTES = 0.02",
        "from kerazoo.train import train": "from kerazoo.train import train\n"
        "from kerazoo.models import families\n"
        "for family in families.FAMILIES.values():\n    family.prefers_xla = False",
        "    recipe = recipes.find(name)": "    recipe = recipes.find(name)\n"
        "    recipe = replace(recipe, model=replace(recipe.model, num_layers=1, width=48))",
    }
}

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.mark.network
@every_notebook
def test_a_notebook_runs_from_top_to_bottom(path):
    specification = importlib.util.spec_from_file_location(
        "execute", ROOT / "notebooks" / "execute.py"
    )
    execute = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(execute)
    execute.execute(path, SHORTER[path.stem])


@every_notebook
def test_a_notebook_is_committed_with_the_outputs_of_one_run_in_order(path):
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)
