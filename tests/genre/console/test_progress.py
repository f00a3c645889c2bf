"""Bars and lines on a terminal, and what there is instead of them in a log file."""

import os
import pty
import subprocess
import sys
import termios

from genre.console.progress import TrainingBar, activity, progress
from tests.architecture import ROOT

ROW = {"epoch": 1, "train_loss": 1.5, "valid_accuracy": 0.25, "learning_rate": 0.1}


def on_a_terminal(*words: str) -> str:
    """Returns what a Python program prints on a terminal of 100 columns."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 100))
    with subprocess.Popen([sys.executable, *words], cwd=ROOT, stdout=theirs, stderr=theirs):
        os.close(theirs)
        parts = list(iter(lambda: read(ours), b""))
    os.close(ours)
    return b"".join(parts).decode()


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the program has ended
        return b""


def test_an_activity_goes_on_each_second_on_a_terminal():
    program = "import time\nfrom genre.console.progress import activity\nwith activity('working'): time.sleep(2.5)"
    shown = on_a_terminal("-c", program)
    assert all(f"working ... 00:0{second}" in shown for second in (0, 1, 2))


def test_an_activity_is_one_line_in_a_log_unless_it_shall_not_be_logged(capsys):
    with activity("working"), activity("resting", logged=False):
        pass
    assert capsys.readouterr().out == "working ...\n"


def test_a_stage_says_that_it_starts_before_it_imports_libraries_and_only_on_a_terminal():
    assert on_a_terminal("-m", "stages.split", "--help").lstrip("\r").startswith("stages.split: starting ... 00:0")
    words = [sys.executable, "-m", "stages.split", "--help"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert (done.stderr, done.stdout[:6]) == ("", "usage:")


def test_in_a_log_a_training_is_one_line_for_each_epoch(capsys):
    with progress("training", 20, "clip") as bar:
        shown = TrainingBar(bar, 2, 10)
        for epoch in (1, 2):
            shown.on_steps(epoch, 0, {})
            shown.on_steps(epoch, 5, {"loss": 2.0})
            shown.on_epoch(ROW | {"epoch": epoch})
    printed = capsys.readouterr()
    lines = [f"epoch {epoch}/2: train_loss 1.500, valid_accuracy 0.250" for epoch in (1, 2)]
    assert (printed.out.splitlines(), printed.err) == (lines, "")


PROGRAM = """
from genre.console.progress import TrainingBar, progress
with progress("training", 30, "clip") as bar:
    shown = TrainingBar(bar, 3, 10)
    shown.on_epoch({"epoch": 1, "train_loss": 1.0})
    for epoch in (2, 3):
        shown.on_steps(epoch, 0, {})
        shown.on_steps(epoch, 5, {"loss": 2.0, "accuracy": 0.5})
        shown.on_epoch({"epoch": epoch, "train_loss": 1.0})
    print(bar.initial, bar.n)
"""


def test_one_bar_shows_all_epochs_and_begins_after_those_of_a_checkpoint():
    shown = on_a_terminal("-c", PROGRAM)
    assert "10 30" in shown
    assert "epoch 3/3: 100%" in shown
    assert "30/30" in shown
    assert "loss=2.000" in shown
