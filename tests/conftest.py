import os
import random
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHARED_DATA = ROOT.parent / "shared" / "data"


class _RootIsNoPackage:
    """Keeps pytest from importing the root under the name of the folder that it lies in.

    It is the package `kerazoo` whatever the folder is called; `kerazoo-main` is no name at all.
    """

    def pytest_collect_directory(self, path, parent):
        return pytest.Dir.from_parent(parent, path=path) if path == ROOT else None


def pytest_configure(config):
    config.pluginmanager.register(_RootIsNoPackage())
    # TensorFlow reads its settings when it is first imported; kerazoo makes that quiet.
    import kerazoo  # noqa: F401


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory):
    """Keep the tests' downloads and tokens away from the user's, and the user's settings away."""
    os.environ["KERAZOO_HOME"] = str(tmp_path_factory.mktemp("home"))
    os.environ.pop("KERAZOO_MIRROR", None)


@pytest.fixture
def mirror(monkeypatch):
    """Point KERAZOO_MIRROR at the shared copies of datasets that need a network."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"needs the datasets in {SHARED_DATA}, which is absent")
    monkeypatch.setenv("KERAZOO_MIRROR", str(SHARED_DATA))
    return SHARED_DATA


@pytest.fixture(scope="session")
def small_text(tmp_path_factory):
    """A text of 20 kB that has something to learn: sentences of a toy grammar."""
    chance = random.Random(0)
    subjects, verbs = ["the cat", "a dog", "my friend", "the old king"], ["sees", "hears", "likes"]
    lines = [
        f"{chance.choice(subjects)} {chance.choice(verbs)} {chance.choice(subjects)}.\n"
        for _ in range(700)
    ]
    path = tmp_path_factory.mktemp("text") / "small.txt"
    path.write_text("".join(lines))
    return path
