"""Runs a function on files in separate processes: if a decoder crashes or hangs, one file is lost and not the run."""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as Late
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import TypeVar

from pebble import ProcessExpired, ProcessFuture, ProcessPool

PATIENCE = 600.0  # seconds for one file; three hours of sound take a busy core about one minute
# Bytes of freed memory that a process keeps. Without this setting glibc, the C library of Linux, gives the memory of
# each recording back to the system and asks for it again for the next recording, which takes a seventh of the time.
KEPT_MEMORY = 1 << 25
FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM)

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Failure:
    """Why there is no result for a file.

    Attributes:
        reason: A text for a table, such as "the decoder crashed on it (SIGSEGV)".
    """

    reason: str


class Processes:
    """Processes of this machine, each of which works on one file at a time.

    Attributes:
        count: How many there are.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        os.environ.setdefault("MALLOC_TOP_PAD_", str(KEPT_MEMORY))  # read by each process when it starts
        self._pool = ProcessPool(count, initializer=_begin, context=get_context("spawn"))

    def submit(self, function: Callable[[Item], Result], item: Item, patience: float) -> Callable[[], Result | Failure]:
        """Starts `function(item)`; returns a function that waits for its result: see `parallel.map_files`."""
        schedule = partial(self._pool.schedule, function, [item], timeout=patience)
        with _without_interrupts():  # inherited by the threads and processes that are started here
            future = schedule()
        return partial(_outcome, future, patience, schedule)

    def close(self) -> None:
        """Ends the processes."""
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()


def _outcome(
    future: ProcessFuture[Result], patience: float, again: Callable[[], ProcessFuture[Result]] | None
) -> Result | Failure:
    """Waits for a result; if the process was ended from outside and `again` is given, calls `again`."""
    try:
        return future.result()
    except Late:
        return Failure(f"the decoder did not come to an end within {patience:g} s")
    except ProcessExpired as error:
        number = -error.exitcode if error.exitcode and error.exitcode < 0 else 0
        if number in FROM_OUTSIDE:
            if again:
                return _outcome(again(), patience, None)
            return Failure("its process was ended from outside, twice; if memory is short, close other programs")
        name = signal.Signals(number).name if number in set(signal.Signals) else f"status {error.exitcode}"
        return Failure(f"the decoder crashed on it ({name})")
    except ValueError as error:
        return Failure(str(error))


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Blocks Ctrl-C: the terminal sends it to all processes, and only the main one is to act on it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin() -> None:
    """Hides what libraries print when they crash, and lets this process end when its parent is killed."""
    os.environ["OMP_NUM_THREADS"] = "1"  # for what is imported later, such as torch: each process has a core
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    os.close(silence)
    end_with_parent()


def end_with_parent() -> None:
    """Lets this process end when the one that started it is killed and cannot end it itself."""

    def wait() -> None:
        if parent := parent_process():
            parent.join()
            os._exit(1)

    Thread(target=wait, daemon=True).start()
