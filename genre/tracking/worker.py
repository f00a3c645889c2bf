"""Work that must never hold up or break what it reports on: done by a thread, in order, with a bounded wait."""

import queue
import sys
import threading
from collections.abc import Callable
from typing import Self

Job = Callable[[], None]


class Background:
    """Does jobs one after the other in a thread; the first that fails ends it, with one warning.

    Attributes:
        patience: Seconds that the end of a `with` block waits for what is left to do.
        advice: The end of the warning: what the user does now.
        drops: Whether jobs are dropped: after a failure, or from the beginning.
    """

    def __init__(self, *, patience: float, advice: str, drops: bool = False) -> None:
        self.patience, self.advice, self.drops = patience, advice, drops
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
        self._thread.join(self.patience)
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
