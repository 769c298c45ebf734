import json
import os
import threading
import time

import pytest

from kerazoo.errors import InputError
from kerazoo.files import (
    ABANDONED_SECONDS,
    expanded,
    is_scratch,
    whole_file,
    whole_folder,
    write_json,
    write_text,
)


def test_a_home_folder_is_filled_in_or_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert expanded("~/x") == tmp_path / "x"
    with pytest.raises(InputError, match="the home folder in ~nobody-here/x is not known; give th"):
        expanded("~nobody-here/x")


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


def test_a_name_that_is_no_utf_8_comes_back_from_json(tmp_path):
    name = os.fsdecode(b"caf\xe9.txt") if os.name != "nt" else "caf\udce9.txt"
    write_json(tmp_path / "a.json", {"file": name, "中": "\\"})
    assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == {
        "file": name,
        "中": "\\",
    }


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


def test_what_killed_processes_left_goes_after_a_day(tmp_path):
    scratch, other, mine = f".{17:016x}-a.txt", f".{17:016x}-other.txt", ".backup-a.txt"
    old = {name: tmp_path / name for name in (scratch, other, mine, ".a-x1")}
    for name in (scratch, other, mine):
        old[name].write_text("half")
    old[".a-x1"].mkdir()
    recent = tmp_path / f".{18:016x}-a.txt"
    recent.write_text("being written")
    for path in old.values():
        os.utime(path, (0, time.time() - ABANDONED_SECONDS - 60))
    write_text(tmp_path / "a.txt", "whole")
    with whole_folder(tmp_path / "a") as scratch:
        (scratch / "x").write_text("whole")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"a", "a.txt", recent.name, other, mine}
