"""What `make zoo` and `make results` write into the README."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kerazoo.metrics import translation

ROOT = Path(__file__).parents[1]


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of the README, which the programs of `bench` then take for it."""
    monkeypatch.syspath_prepend(str(ROOT / "bench"))
    import readme

    path = tmp_path / "README.md"
    shutil.copy(ROOT / "README.md", path)
    monkeypatch.setattr(readme, "README", path)
    return path


def changed(before, after):
    """Return the lines that differ."""
    pairs = zip(before.splitlines(), after.splitlines(), strict=True)
    return [pair for pair in pairs if pair[0] != pair[1]]


def test_the_tables_of_the_zoo_leave_the_rest_of_the_readme_alone(copy):
    import readme
    import zoo

    before = copy.read_text(encoding="utf-8")
    tables = readme.read(zoo.BEGIN, zoo.END).strip()
    readme.write(zoo.BEGIN, zoo.END, tables.replace("gpt-", "gbt-"))
    ((_, new),) = changed(before, copy.read_text(encoding="utf-8"))
    assert new.startswith("| `gbt-shakespeare` |")


def test_a_row_of_results_takes_the_place_of_that_of_the_same_command(copy):
    import results

    before, row = copy.read_text(encoding="utf-8"), results.ROWS[1]
    line = f"| `trec` | 500 | `{row.command}` | new |"
    results.write(row, line)
    ((old, new),) = changed(before, copy.read_text(encoding="utf-8"))
    assert old.split("`")[3] == row.command
    assert new == line


def test_a_mean_of_trainings_is_compared_by_all_of_them(copy):
    import results

    right = [f"{number} apples and {number + 1} pears on a table" for number in range(20)]
    nearly = [text.replace("apples", "plums") for text in right]
    half = [*right[:10], *(text.replace("and", "but") for text in right[10:])]
    one, other, baseline = (
        translation.score(system, right, metrics=["BLEU"])["BLEU"]
        for system in (half, nearly, [text.replace("table", "chair") for text in right])
    )
    differences = [
        results._mean(scores).against(results._mean([baseline]))
        for scores in ([one, other], [other, one])
    ]
    assert differences[0].value == pytest.approx(differences[1].value)
    assert differences[0].p_value == differences[1].p_value


@pytest.mark.slow
def test_a_short_zoo_trains_every_family_and_leaves_the_readme_alone(tmp_path):
    before = (ROOT / "README.md").read_bytes()
    command = [sys.executable, str(ROOT / "bench" / "zoo.py"), "--minutes", "0.05"]
    outcome = subprocess.run(
        [*command, "--out", str(tmp_path)], capture_output=True, text=True, check=True
    )
    names = [line.split("`")[1] for line in outcome.stdout.splitlines() if line.startswith("| `")]
    assert len(names) == 10
    assert names[-1] == "bert-shakespeare"
    assert (ROOT / "README.md").read_bytes() == before
