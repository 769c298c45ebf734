from contextlib import suppress

import pytest
from filelock import FileLock, Timeout

from kerazoo.tests.every_task.small_tasks import TASKS, recipe_of, write_examples
from kerazoo.train import train


@pytest.fixture(scope="session")
def shared(tmp_path_factory, worker_id):
    """A folder that all workers of a test run have in common."""
    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "every_task"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def data(shared, small_text):
    """A folder with a small file of each kind of examples."""
    folder = shared / "data"
    with FileLock(shared / "data.lock"):
        if not folder.exists():
            folder.mkdir()
            write_examples(folder, small_text)
    return folder


@pytest.fixture(scope="session")
def finished(shared, data, doing_without_xla):
    """A run of each task, trained by whichever worker comes first."""
    runs = {task: shared / "runs" / task for task in TASKS}
    locks = {task: FileLock(shared / f"{task}.lock") for task in TASKS}
    for task, folder in runs.items():
        with suppress(Timeout), locks[task].acquire(blocking=False), doing_without_xla():
            if not folder.exists():
                train(recipe_of(task, data), folder, "a-test")
    for lock in locks.values():
        with lock:
            pass  # Another worker is done with it.
    return runs
