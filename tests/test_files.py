import os
import threading

import pytest

from kerazoo.files import is_scratch, whole_file, write_text


def test_a_file_is_whole_or_what_it_was(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    names = []
    with pytest.raises(KeyboardInterrupt), whole_file(path) as scratch:  # noqa: PT012
        scratch.write_text("ne")
        names += os.listdir(tmp_path)
        raise KeyboardInterrupt
    assert sorted(map(is_scratch, names)) == [False, True]
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_a_link_stays_one(tmp_path):
    (tmp_path / "there").mkdir()
    link = tmp_path / "latest.txt"
    link.symlink_to(tmp_path / "there" / "run-3.txt")
    write_text(link, "new")
    assert link.is_symlink()
    assert (tmp_path / "there" / "run-3.txt").read_text() == "new"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_pipe_is_written_to_and_not_replaced(tmp_path):
    path, read = tmp_path / "pipe", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: read.append(path.read_text()), daemon=True)
    reader.start()
    write_text(path, "text")
    reader.join(timeout=10)
    assert read == ["text"]
    assert path.is_fifo()
