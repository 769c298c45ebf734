import functools
import gc
import os
import random
import sys
from contextlib import contextmanager
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


@pytest.fixture(scope="module", autouse=True)
def _forget_what_was_compiled():
    """Free the models of a module, which the caches of compiled functions would keep."""
    yield
    for name, module in list(sys.modules.items()):
        for value in vars(module).values() if name.startswith("kerazoo.") else ():
            if isinstance(value, functools._lru_cache_wrapper):
                value.cache_clear()
    if "keras" in sys.modules:
        sys.modules["keras"].utils.clear_session()  # collects the garbage, too
    gc.freeze()  # What is left stays; looking through it again and again takes seconds.


@pytest.fixture
def mirror(monkeypatch):
    """Point KERAZOO_MIRROR at the shared copies of datasets that need a network."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"needs the datasets in {SHARED_DATA}, which is absent")
    monkeypatch.setenv("KERAZOO_MIRROR", str(SHARED_DATA))
    return SHARED_DATA


@contextmanager
def _doing_without_xla():
    """Keep XLA away from every family; give what each would prefer."""
    from kerazoo.models import families

    preferred = {family: family.prefers_xla for family in families.FAMILIES.values()}
    with pytest.MonkeyPatch.context() as patch:
        for family in preferred:
            patch.setattr(family, "prefers_xla", False)
        yield preferred


@pytest.fixture(scope="session")
def doing_without_xla():
    """Return a context in which XLA spares its time: see `without_xla`."""
    return _doing_without_xla


@pytest.fixture(scope="module")
def without_xla():
    """Spare a module the seconds, and the memory, that XLA takes for each function and shape.

    That XLA makes no difference to a model is among the promises that every model is tested for.
    """
    with _doing_without_xla() as preferred:
        yield preferred


@pytest.fixture
def with_xla(without_xla, monkeypatch):
    """Let models prefer XLA in a test of a module that does without it."""
    from kerazoo.models import decoding

    for family, prefers_xla in without_xla.items():
        monkeypatch.setattr(family, "prefers_xla", prefers_xla)
    decoding._generator.cache_clear()  # of generators that do without it
    yield
    decoding._generator.cache_clear()


@pytest.fixture(scope="module")
def without_samples():
    """Spare the trainings of a module the second in which a language model writes its sample."""
    from kerazoo.tasks.language_modeling import LanguageModeling

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LanguageModeling, "sample", lambda *_: "A sample.")
        yield


@pytest.fixture
def stop_at(monkeypatch):
    """Return a function after which trainings stop when the checkpoint of a step is there."""
    from kerazoo.training import checkpoints

    save = checkpoints.Checkpoints.on_epoch_end

    def stop_at(step):
        def save_and_stop(self, *args):
            save(self, *args)
            if self.state.step == step:
                raise KeyboardInterrupt

        monkeypatch.setattr(checkpoints.Checkpoints, "on_epoch_end", save_and_stop)

    return stop_at


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
