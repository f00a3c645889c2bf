"""A Dask cluster of processes on this machine."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def free_port() -> int:
    """Returns a port that nothing listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


class LocalCluster:
    """A scheduler, and workers that are started one by one; all end with the block."""

    def __init__(self) -> None:
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self.processes = [self._start("scheduler", "--host", self.address, "--no-dashboard")]

    def worker(self, *words: str, folder: Path = ROOT) -> subprocess.Popen[bytes]:
        """Starts a worker of one task at a time."""
        options = words or ("--no-nanny",)
        process = self._start("worker", self.address, "--nthreads", "1", "--no-dashboard", *options, folder=folder)
        self.processes.append(process)
        return process

    def end(self, process: subprocess.Popen[bytes], number: int = signal.SIGKILL) -> None:
        """Ends one process."""
        process.send_signal(number)
        process.wait()

    def _start(self, *words: str, folder: Path = ROOT) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *words], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )  # fmt: skip

    def __enter__(self) -> "LocalCluster":
        return self

    def __exit__(self, *details: object) -> None:
        for process in reversed(self.processes):
            if process.poll() is None:
                self.end(process)
