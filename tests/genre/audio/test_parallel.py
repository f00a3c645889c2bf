import os
import platform
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from genre.audio.parallel import map_files
from genre.audio.processes import Failure


def act(word: str) -> str:
    """Does what the item says."""
    if word == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if word == "hang":
        time.sleep(1000)
    if word == "mistake":
        raise OSError("a mistake")
    if word == "unusable":
        raise ValueError("unusable")
    if word.startswith("killed"):
        marker = Path(word.split(" ", 1)[1])
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    if word == "always killed":
        os.kill(os.getpid(), signal.SIGKILL)
    return word.upper()


def test_a_crash_and_a_hang_take_one_file_each():
    found = list(map_files(act, ["a", "crash", "b", "hang", "c"], patience=5, processes=2))
    assert [found[0], found[2], found[4]] == ["A", "B", "C"]
    assert found[1] == Failure("the decoder crashed on it (SIGSEGV)")
    assert found[3] == Failure("the decoder did not come to an end within 5 s")


def test_what_is_ended_from_outside_is_tried_once_more(tmp_path):
    once, always = map_files(act, [f"killed {tmp_path / 'marker'}", "always killed"], patience=30, processes=1)
    assert once.startswith("KILLED")
    assert "ended from outside, twice" in always.reason


def test_a_value_error_takes_one_file_and_another_error_is_raised():
    assert list(map_files(act, ["unusable", "a"], processes=1)) == [Failure("unusable"), "A"]
    with pytest.raises(OSError, match="a mistake"):
        list(map_files(act, ["a", "mistake"], processes=1))


def test_the_processes_end_with_their_parent():
    code = """
from genre.audio.parallel import map_files
from tests.genre.audio.test_parallel import act
if __name__ == "__main__":
    for result in map_files(act, ["a", "hang"], processes=2):
        print(result, flush=True)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]
    )
    assert parent.stdout.readline() == "A\n"
    children = psutil.Process(parent.pid).children()
    parent.kill()
    parent.wait()
    assert not psutil.wait_procs(children, timeout=30)[1]
    parent.stdout.close()


def page_faults(item: int) -> int:
    """Makes and drops arrays as large as recordings; returns how many pages of memory the system had to hand out."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = [np.full(700_000, item, np.float32) for _ in range(4)]
    del arrays
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is of glibc")
def test_the_memory_of_a_recording_serves_the_next_one():
    first, *others = map_files(page_faults, range(5), processes=1)
    assert first > 2000
    assert max(others) < 100
