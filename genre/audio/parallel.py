"""Maps a function over files, on the cores of this machine or on a cluster."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from genre.audio.cluster import Cluster
from genre.audio.processes import PATIENCE, Failure, Item, Processes, Result

SCHEDULER = "GENRE_DASK"  # environment variable: the address of a Dask scheduler, such as tcp://host:8786
AHEAD = 8  # files for each process that are worked on before their results are used: bounds the memory


def map_files(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    *,
    patience: float = PATIENCE,
    processes: int = 0,
    on_cluster: bool = True,
) -> Iterator[Result | Failure]:
    """Yields for each file, in order, `function(item)`, or a `Failure` where there is none.

    The function runs in processes of this machine; or, where the environment variable `GENRE_DASK` names a scheduler,
    in processes of the machines that have a Dask worker. The results are the same bytes. A failure is: the function
    raised a `ValueError`, or its process crashed, took too long, or was ended from outside twice (as the system does
    if memory is short). If a worker of a cluster ends, its files are given to others.

    Args:
        function: At the top level of a module, or a `functools.partial` of such a one; modules are imported anew in
            each process, so it should import little.
        items: What it takes, such as absolute paths: all machines must see the same files under the same names.
        patience: The most seconds that one file may take.
        processes: How many on this machine; 0 is one for each core.
        on_cluster: Whether a cluster may be used, where there is one.

    Raises:
        ValueError: The scheduler cannot be used; the message says why.
        Exception: What `function` raises, other than a `ValueError`, is raised here.
    """
    address = os.environ.get(SCHEDULER) if on_cluster else None
    pool = Cluster(address) if address else Processes(processes or os.cpu_count() or 1)
    waiting: deque[Callable[[], Result | Failure]] = deque()
    try:
        for item in items:
            if len(waiting) == AHEAD * pool.count:
                yield waiting.popleft()()
            waiting.append(pool.submit(function, item, patience))
        while waiting:
            yield waiting.popleft()()
    finally:
        pool.close()
