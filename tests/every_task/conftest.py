import pytest

from kerazoo.tests.every_task.small_tasks import TASKS, recipe_of, write_examples
from kerazoo.train import train


@pytest.fixture(scope="package")
def data(small_text, tmp_path_factory):
    """A folder with a small file of each kind of examples."""
    folder = tmp_path_factory.mktemp("data")
    write_examples(folder, small_text)
    return folder


@pytest.fixture(scope="package")
def finished(data, tmp_path_factory, doing_without_xla):
    """A run of each task."""
    parent = tmp_path_factory.mktemp("runs")
    with doing_without_xla():
        for task in TASKS:
            train(recipe_of(task, data), parent / task, "a-test")
    return {task: parent / task for task in TASKS}
