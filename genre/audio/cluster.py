"""Runs a function on files on the machines of a Dask cluster, which share a file system.

A Dask worker hands each file to a separate process, as `processes` does on one machine: if a decoder crashes, that
process ends and not the worker. Otherwise Dask would count the crash against the worker's other files as well.
"""

import hashlib
import multiprocessing
from collections.abc import Callable
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from genre.audio.processes import Failure, Item, Processes, Result

if TYPE_CHECKING:
    from distributed import Future

SECONDS = 30  # to wait for the scheduler's answer, and for a worker
LIBRARIES = ("av", "numpy", "scipy", "soundfile")  # whose versions may change a byte


class Cluster:
    """A Dask cluster.

    Attributes:
        count: How many files its workers take at a time; workers that come later are not counted.

    Raises:
        ValueError: There is no scheduler at the address, or it has no worker.
    """

    def __init__(self, address: str) -> None:
        try:
            from distributed import Client
        except ModuleNotFoundError as error:
            raise ValueError(
                f"GENRE_DASK ({address}) needs the package distributed: install requirements.txt, or unset it"
            ) from error
        try:
            self._client = Client(address, timeout=SECONDS)  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:
            raise ValueError(
                f"GENRE_DASK must be the address of a Dask scheduler that answers, such as tcp://host:8786, got "
                f"{address!r} ({error}); start it with `dask scheduler`, or unset GENRE_DASK"
            ) from error
        self._address = address
        self.count = self._count_threads()

    def submit(self, function: Callable[[Item], Result], item: Item, patience: float) -> Callable[[], Result | Failure]:
        """Starts `function(item)` on a worker; returns a function that waits for its result (`parallel.map_files`)."""
        future = self._client.submit(_on_worker, function, item, patience, code_digest(), pure=False)
        return partial(self._outcome, future)

    def close(self) -> None:
        """Disconnects from the cluster, which drops unfinished work."""
        self._client.close()  # type: ignore[no-untyped-call]

    def _count_threads(self) -> int:
        try:
            self._client.wait_for_workers(1, timeout=SECONDS)
        except TimeoutError as error:
            raise ValueError(
                f"the Dask scheduler at {self._address} must have a worker, got none within {SECONDS} s; start some "
                f"with `DASK_DISTRIBUTED__WORKER__DAEMON=False dask worker {self._address}`, then run again"
            ) from error
        return sum(self._client.nthreads().values())  # type: ignore[no-untyped-call]

    def _outcome(self, future: "Future[Result | Failure]") -> Result | Failure:
        """Waits for a result as long as there are workers; Dask gives the files of a worker that died to others."""
        from distributed import CancelledError, KilledWorker

        while True:
            try:
                return future.result(timeout=SECONDS)
            except TimeoutError:
                if future.status == "error":  # the function's own
                    raise
                self._count_threads()
            except KilledWorker:
                return Failure("each Dask worker that took it died; if memory is short, start fewer on a machine")
            except CancelledError as error:
                raise ValueError(f"the Dask scheduler at {self._address} is gone; start it, then run again") from error


@cache
def code_digest() -> str:
    """Returns a digest of this package's code and of the versions of the libraries that may change a byte."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256(repr([version(name) for name in LIBRARIES]).encode())
    for path in sorted(root.rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def _on_worker(function: Callable[[Item], Result], item: Item, patience: float, digest: str) -> Result | Failure:
    """Computes one result, on a worker.

    Raises:
        ValueError: The worker has other code or libraries, or may not start processes.
    """
    from distributed import get_worker

    address = get_worker().address
    if code_digest() != digest:
        raise ValueError(
            f"the Dask worker {address} must run the same code and library versions as this stage: bring its files "
            "up to date, and start it again"
        )
    if multiprocessing.current_process().daemon:
        raise ValueError(
            f"the Dask worker {address} must be able to start processes, in which decoders may crash: start it with "
            "DASK_DISTRIBUTED__WORKER__DAEMON=False or with --no-nanny"
        )
    try:
        return _processes(get_worker().state.nthreads).submit(function, item, patience)()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{error} (on the Dask worker {address}: it must see the same files under the same names)"
        ) from error


@cache
def _processes(count: int) -> Processes:
    """Returns the processes of a worker, which are started once."""
    return Processes(count)
