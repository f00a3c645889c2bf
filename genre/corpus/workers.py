"""Runs a function over many items in processes that may die: a crash or a hang takes one item, not the stage."""

import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import TimeoutError as Late
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import TypeVar

from pebble import ProcessExpired, ProcessFuture, ProcessPool

PATIENCE = 600.0  # seconds for one item; three hours of sound take a busy core about one minute
FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM)

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Died:
    """What became of an item whose process gave no answer.

    Attributes:
        reason: In words that can stand in a table, such as "the decoder crashed on it (SIGSEGV)".
    """

    reason: str


def run(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    patience: float = PATIENCE,
    processes: int = 0,
    ahead: int | None = None,
) -> Iterator[Result | Died]:
    """Yields `function(item)` for each item, in order, or `Died` where its process crashed or took too long.

    An item whose process is ended from outside, as the system does where memory is short, is tried once more.

    Args:
        function: At the top level of a module; modules are imported anew in each process, so it should import little.
        items: What it takes; they are sent to the processes.
        patience: Seconds that one item may take.
        processes: How many; 0 is one for each core.
        ahead: How many items may be begun before the result of an earlier one is taken, which bounds the room that
            results take; None is all.

    Raises:
        Exception: What `function` raises is raised here.
    """
    pool = ProcessPool(processes or os.cpu_count() or 1, initializer=_begin, context=get_context("spawn"))
    waiting: deque[tuple[Item, ProcessFuture[Result]]] = deque()

    def first() -> Result | Died:
        item, future = waiting.popleft()
        result = _result(future, patience)
        if isinstance(result, _Ended):
            return _result(pool.schedule(function, [item], timeout=patience), patience)
        return result

    try:
        for item in items:
            with _without_interrupts():  # threads and processes that this starts inherit it
                waiting.append((item, pool.schedule(function, [item], timeout=patience)))
            if ahead is not None and len(waiting) > ahead:
                yield first()
        while waiting:
            yield first()
    finally:
        pool.stop()  # type: ignore[no-untyped-call]
        pool.join()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Holds back Ctrl-C: the terminal sends it to all processes, and this one alone is to act on it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Ended(Died):
    """The process was ended from outside."""


def _result(future: ProcessFuture[Result], patience: float) -> Result | Died:
    try:
        return future.result()
    except Late:
        return Died(f"the decoder did not come to an end within {patience:g} s")
    except ProcessExpired as error:
        number = -error.exitcode if error.exitcode and error.exitcode < 0 else 0
        if number in FROM_OUTSIDE:
            return _Ended("its process was ended from outside, twice; if memory is short, close other programs")
        name = signal.Signals(number).name if number in set(signal.Signals) else f"status {error.exitcode}"
        return Died(f"the decoder crashed on it ({name})")


def _begin() -> None:
    """Keeps the libraries' last words off the terminal, and lets this process end when its parent is killed."""
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    os.close(silence)

    def wait() -> None:
        if parent := parent_process():
            parent.join()
            os._exit(1)

    Thread(target=wait, daemon=True).start()
