import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from genre.console import messages

ROOT = Path(__file__).parents[3]
STAGE = """
import pathlib, sys, time
from genre.console.stage import run

def main(settings, out: pathlib.Path) -> None:
    {body}

run(main)
"""


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """Starts a stage with the given body in a process of its own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    def start(body: str, *words: str) -> subprocess.Popen:
        params = ["--params", str(ROOT / "params.yaml")]
        command_line = [sys.executable, "-c", STAGE.format(body=body), "out", *params, *words]
        # A shell lets jobs in the background ignore SIGINT, and so would the stage that tests start from there.
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "preexec_fn": heed_interrupts}
        return subprocess.Popen(command_line, cwd=tmp_path, text=True, **pipes)

    return start


def heed_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def until(condition) -> None:
    while not condition():
        time.sleep(0.02)


WAITING = """
    from genre.pipeline import files
    with files.replacing(out) as temporary:
        temporary.touch()
        time.sleep(60)
"""


@pytest.mark.parametrize(
    ("number", "status", "text"),
    [
        (signal.SIGTERM, 143, "error: told to end (SIGTERM); run again to go on\n"),
        (signal.SIGINT, 130, "error: interrupted; run again to go on\n"),
    ],
)
def test_a_stage_told_to_end_clears_up_and_says_so_in_one_line(stage, tmp_path, number, status, text):
    process = stage(WAITING)
    until((tmp_path / ".out.unfinished").exists)
    process.send_signal(number)
    assert process.communicate()[1] == text
    assert process.returncode == status
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock"] == []


def test_a_second_process_does_not_write_the_same_files(stage, tmp_path):
    first = stage(WAITING)
    until((tmp_path / ".out.unfinished").exists)
    second = stage("out.touch()")
    assert "is running already on these files, in another process; wait for its end" in second.communicate()[1]
    assert second.returncode == 2
    first.kill()
    first.communicate()
    third = stage("out.touch()")  # the lock of a killed process is gone with it
    assert third.communicate() == ("", "")
    assert (tmp_path / "out").exists()


def test_nobody_reading_on_is_no_error(stage):
    process = stage("print('x' * 100_000); print('y')")
    process.stdout.close()
    process.stdout = None
    assert process.communicate()[1] == ""
    assert process.returncode == 141


@pytest.mark.parametrize(("place", "status", "text"), [
    ("pipe", 141, ""),
    ("/dev/full", 2, "error: standard output must have room left, got: No space left on device; make room, then run again\n"),
])  # fmt: skip
def test_a_short_output_that_cannot_be_written_ends_likewise(place, status, text):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONUNBUFFERED"}
    code = "from genre.console import messages\nwith messages.one_line_errors(): print('a line')"
    read, write = os.pipe()
    os.close(read)
    output = write if place == "pipe" else os.open(place, os.O_WRONLY)
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, stdout=output,
                          stderr=subprocess.PIPE, text=True, check=False)  # fmt: skip
    os.close(output)
    assert (done.returncode, done.stderr) == (status, text)


def test_a_mistake_in_another_stage_s_section_is_told_before_any_work(stage, tmp_path):
    process = stage("out.touch()", "--set", "train.epochs=0")
    assert process.communicate()[1] == "error: train.epochs must be in 1..10000, got 0\n"
    assert process.returncode == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (MemoryError("9 GB"), "error: out of memory: 9 GB; close other programs"),
        (OSError(28, "No space left on device", "a.csv"), "error: a.csv must have room left, got: No space left on"),
        (FileNotFoundError(2, "No such file or directory", b"a.csv"), "error: a.csv: No such file or directory"),
        (ValueError("two\nlines \x1b[2J"), r"error: two lines \x1b[2J"),
        (ValueError(), "error: ValueError"),
    ],
)
def test_each_error_is_one_printable_line(capsys, error, text):
    with pytest.raises(SystemExit) as end, messages.one_line_errors():
        raise error
    assert end.value.code == 2
    printed = capsys.readouterr().err
    assert printed.startswith(text)
    assert printed.count("\n") == 1


def test_a_bug_keeps_its_traceback():
    with pytest.raises(KeyError), messages.one_line_errors():
        raise KeyError("a bug")


def test_the_handler_of_signals_is_given_back():
    before = signal.getsignal(signal.SIGTERM)
    with messages.one_line_errors():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
