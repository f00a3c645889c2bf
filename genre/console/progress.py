"""Signs of life: bars and lines on a terminal that go on each second, also while a single step takes long.

Where standard error is no terminal, such as in a log file, there are no bars, and `activity` prints one line on
standard output.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Never

from tqdm import tqdm

if TYPE_CHECKING:
    Bar = tqdm[Never]

SECONDS = 1.0  # between two refreshments


@contextmanager
def activity(what: str, *, logged: bool = True) -> Iterator[None]:
    """Says what the block does, and on a terminal for how many seconds it has been at it.

    Args:
        what: What it does.
        logged: Whether one line is printed where there is no terminal.
    """
    line = tqdm(desc=what, bar_format="{desc} ... {elapsed}", disable=None)
    if line.disable and logged:
        print(what, "...", flush=True)  # on standard output: standard error has mistakes alone
    with line, _refreshed(line):
        yield


@contextmanager
def progress(what: str, total: int, unit: str) -> "Iterator[Bar]":
    """Yields a progress bar that the block moves by `update`; nothing is shown where there is no terminal."""
    bar = tqdm(total=total, desc=what, unit=unit, disable=None)
    with bar, _refreshed(bar):
        yield bar


@contextmanager
def _refreshed(bar: "Bar") -> Iterator[None]:
    """Draws the bar anew each second, so that its clock goes on; tqdm draws it only when it moves."""
    ended = threading.Event()

    def refresh() -> None:
        while not ended.wait(SECONDS):
            bar.refresh()

    thread = threading.Thread(target=refresh, daemon=True)
    if not bar.disable:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        if not bar.disable:
            thread.join()


class TrainingBar:
    """One bar over the clips of all epochs of a training; where there is no terminal, one line for each epoch.

    Args:
        bar: A bar whose total is `epochs * clips`.
        epochs: The number of epochs.
        clips: The number of clips in an epoch.
    """

    def __init__(self, bar: "Bar", epochs: int, clips: int) -> None:
        self.bar, self.epochs, self.clips = bar, epochs, clips
        self._started = False

    def on_steps(self, epoch: int, clips: int, scores: Mapping[str, float]) -> None:
        """Shows that `clips` clips of an epoch are done, with what they scored."""
        if not self._started:  # the time that is left is estimated from what this process does, not from a checkpoint
            self.bar.initial = self.bar.n
            self._started = True
        self.bar.set_description(f"epoch {epoch}/{self.epochs}", refresh=False)
        if scores:
            self.bar.set_postfix({name: f"{score:.3f}" for name, score in scores.items()}, refresh=False)
        self.bar.update((epoch - 1) * self.clips + clips - self.bar.n)

    def on_epoch(self, row: Mapping[str, float]) -> None:
        """Shows a finished epoch, a row of the history; it may be one of a checkpoint."""
        epoch = int(row["epoch"])
        if self._started:
            self.bar.update(epoch * self.clips - self.bar.n)
        else:
            self.bar.n = epoch * self.clips
        if self.bar.disable:
            scores = (f"{name} {row[name]:.3f}" for name in row if name.endswith(("_loss", "_accuracy")))
            print(f"epoch {epoch}/{self.epochs}: {', '.join(scores)}", flush=True)
