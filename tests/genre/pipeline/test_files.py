import errno
import hashlib
import json
import os
import signal
import subprocess
import sys

import pytest

from genre.pipeline import files


def test_a_block_that_raises_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with files.replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_is_replaced_whole(tmp_path):
    path = tmp_path / "out"
    (path / "stale").mkdir(parents=True)
    with files.replacing_folder(path) as temporary:
        temporary.mkdir()
        (temporary / "fresh").touch()
    assert [file.name for file in path.iterdir()] == ["fresh"]


def test_a_folder_that_fails_leaves_the_old_one(tmp_path):
    path = tmp_path / "out"
    path.mkdir()

    def fail():
        with files.replacing_folder(path) as temporary:
            temporary.mkdir()
            raise OSError

    with pytest.raises(OSError, match=r"^$"):
        fail()
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_json_is_rounded_and_never_holds_nan(tmp_path):
    path = tmp_path / "m.json"
    files.write_json({"a": {"b": 1 / 3, "n": 2}}, path)
    assert json.loads(path.read_text()) == {"a": {"b": 0.333333, "n": 2}}
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json({"a": float("nan")}, path)
    assert json.loads(path.read_text()) == {"a": {"b": 0.333333, "n": 2}}


def test_a_process_killed_while_writing_leaves_the_old_file_and_the_next_one_clears_up(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    code = f"""
import os, pathlib, signal
from genre.pipeline import files
with files.replacing(pathlib.Path({str(path)!r})) as temporary:
    temporary.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    assert (tmp_path / ".a.unfinished.txt").exists()
    with files.replacing(path) as temporary:
        temporary.write_text("new")
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("a.txt", "new")]


def test_a_full_disk_is_told_with_the_file_whatever_a_library_makes_of_it(tmp_path):
    def fail():
        with files.replacing(tmp_path / "a.pt"):
            try:
                raise OSError(errno.ENOSPC, "No space left on device")
            finally:
                raise RuntimeError("unexpected pos 64 vs 0")

    with pytest.raises(OSError, match=r"No space left on device: '.*a\.pt'"):
        fail()


def test_processes_that_share_a_file_have_temporary_names_of_their_own(tmp_path):
    with files.replacing(tmp_path / "a.pt", shared=True) as temporary:
        assert str(os.getpid()) in temporary.name
        temporary.touch()
    assert [file.name for file in tmp_path.iterdir()] == ["a.pt"]


def test_md5_is_of_the_file_s_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert files.md5(tmp_path / "a") == hashlib.md5(b"abc").hexdigest()
