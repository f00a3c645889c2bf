"""Work that must never hold up or break what it reports on: done by a thread, in order, with a bounded wait."""

import queue
import sys
import threading
from collections.abc import Callable
from typing import Self

from genre.console.progress import activity

SILENCE = 1.0  # seconds that are waited without a word

Job = Callable[[], None]


class Background:
    """Does jobs one after the other in a thread; the first that fails ends it, with one warning.

    Attributes:
        what: What the jobs work with, for the line that says that it is waited for.
        patience: Seconds that the end of a `with` block waits for what is left to do.
        advice: The end of the warning: what the user does now.
        drops: Whether jobs are dropped: after a failure, or from the beginning.
    """

    def __init__(self, *, patience: float, advice: str, what: str = "the background", drops: bool = False) -> None:
        self.what, self.patience, self.advice, self.drops = what, patience, advice, drops
        self._jobs: queue.Queue[Job | None] = queue.Queue()
        # A daemon: a server that hangs does not keep the process from ending.
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Takes a job without waiting."""
        self._jobs.put(job)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._jobs.put(None)
        self._thread.join(min(self.patience, SILENCE))
        if self._thread.is_alive() and not self.drops and self.patience > SILENCE:
            with activity(f"waiting for {self.what}"):
                self._thread.join(self.patience - SILENCE)
        if self._thread.is_alive() and not self.drops:
            self._warn(f"not done after {self.patience:g} s")

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                if not self.drops:
                    job()
            except Exception as error:  # a tracking server must never cost a result, whatever it raises
                self._warn(f"{type(error).__name__}: {error}")

    def _warn(self, reason: str) -> None:
        self.drops = True
        print("warning:", " ".join(reason.split())[:300] + ";", self.advice, file=sys.stderr)
