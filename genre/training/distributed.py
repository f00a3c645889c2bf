"""Several processes that train one network together, a device each: how they start, what they exchange, how they end.

By DistributedDataParallel: each process computes the gradients of its part of every batch, and all take the same step
with the mean. On GPUs batch norm sees the whole batch (SyncBatchNorm); on CPUs, where torch has no such layer, it sees
the part of its process, and the statistics that evaluation uses are averaged after each epoch.
"""

import atexit
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Literal

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from genre.network.hardware import Hardware
from genre.training.params import check_batch

PATIENCE = 10  # seconds in which a process that is told to end can tidy up, before it is killed
# How long a process waits for the others: the first one reads all inputs before it computes with them.
MEETING_TIME = timedelta(hours=1)
LOST = re.compile(r"closed by peer|reset by peer|NCCL|Timed out|Broken pipe", re.IGNORECASE)


@dataclass(frozen=True)
class Group:
    """The processes of a training, and the place of this one among them.

    Attributes:
        rank: The number of this process, from 0.
        size: How many there are.
        local_rank: The number of this process on its machine, which is that of its GPU.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def writes(self) -> bool:
        """Whether this is the process that writes files, messages and to MLflow."""
        return self.rank == 0

    def part(self, items: Tensor) -> Tensor:
        """Returns this process's part of what all of them share: every `size`-th item."""
        return items[self.rank :: self.size]

    def parallel(self, network: nn.Module, hardware: Hardware) -> nn.Module:
        """Returns the network to compute with in training, whose gradients are the mean over all processes."""
        if self.size == 1:
            return network
        on_gpu = hardware.device == "cuda"
        if on_gpu:
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        ids = [torch.cuda.current_device()] if on_gpu else None
        return DistributedDataParallel(network, device_ids=ids, broadcast_buffers=False, gradient_as_bucket_view=True)

    def total(self, values: Tensor) -> Tensor:
        """Sums `values` over all processes, in place."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def average_buffers(self, network: nn.Module) -> None:
        """Replaces the statistics of batch norms by their mean over all processes."""
        for buffer in network.buffers() if self.size > 1 else ():
            if buffer.is_floating_point():
                dist.all_reduce(buffer)
                buffer /= self.size

    def check_same(self, epoch: int) -> None:
        """Checks that all processes go on after the same epoch.

        Raises:
            ValueError: They do not.
        """
        if self.size > 1:
            epochs = [0] * self.size
            dist.all_gather_object(epochs, epoch)
            if len(set(epochs)) > 1:
                raise ValueError(
                    "train.devices: all processes must see the same folder .checkpoints, they go on after epochs "
                    f"{epochs}; put the repository on a disk that all machines share"
                )


ALONE = Group()


class LostProcessError(ValueError):
    """Another process of the training has ended, so this one cannot go on."""


def count_devices(wanted: int | Literal["auto"], device: str, batch_size: int) -> int:
    """Returns how many processes to start on this machine; `auto` is one on a CPU, and else one for each GPU.

    `auto` takes fewer GPUs where a process would get fewer than two clips of a batch.

    Raises:
        ValueError: There are not so many GPUs, or a process would get fewer than two clips of a batch.
    """
    present = torch.cuda.device_count() if device == "cuda" else 1
    count = max(1, min(present, batch_size // 2)) if wanted == "auto" else wanted
    if count > present and device != "cpu":
        raise ValueError(f"train.devices must be at most {present}, the GPUs of this machine, got {count}")
    check_batch(batch_size, count)
    return count


def launched(environment: Mapping[str, str]) -> Group | None:
    """Returns the place of this process among those that a launcher started, torchrun or Slurm's `srun`; else None.

    A batch script of Slurm is no step of `srun`: what it calls directly is one process.
    """
    for size, rank, local_rank in (
        ("WORLD_SIZE", "RANK", "LOCAL_RANK"),
        ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_LOCALID"),
    ):
        if int(environment.get(size, "1")) > 1:
            return Group(int(environment[rank]), int(environment[size]), int(environment[local_rank]))
    return None


def is_first_process() -> bool:
    """Returns whether this process is the first of those that a launcher started; without a launcher it is."""
    group = launched(os.environ)
    return group is None or group.writes


def slurm_address(environment: Mapping[str, str]) -> str:
    """Returns where the processes of a step of `srun` meet: the first node of its list, and a port of the job's own."""
    nodes = environment["SLURM_STEP_NODELIST"]  # such as gpu[03-05,07],other
    first = re.sub(r"\[(\d+)[^\]]*\]", r"\1", nodes).split(",", maxsplit=1)[0]
    return f"tcp://{first}:{20_000 + int(environment['SLURM_JOB_ID']) % 10_000}"


def run(work: Callable[[Group], None], hardware: Hardware, devices: int | Literal["auto"], batch_size: int) -> None:
    """Calls `work` in each process of the training; it must be picklable.

    The processes are those of the launcher that started this one; else as many new ones as there shall be devices; and
    for one device this process.

    Raises:
        ValueError: A process was killed, or raised it, and all others are ended; or see `count_devices`.
    """
    group = launched(os.environ)
    if group is not None:
        check_batch(batch_size, group.size)
        address = "env://" if "RANK" in os.environ else slurm_address(os.environ)
        with _joined(group, hardware, address):
            work(group)
    elif (size := count_devices(devices, hardware.device, batch_size)) > 1:
        _spawn(work, hardware, size)
    else:
        work(ALONE)


@contextmanager
def _joined(group: Group, hardware: Hardware, address: str) -> Iterator[None]:
    """Makes this process a member of the group, on a device of its own."""
    if hardware.device == "cuda":
        torch.cuda.set_device(_gpu_of(group))
    backend = "nccl" if hardware.device == "cuda" else "gloo"
    dist.init_process_group(backend, init_method=address, rank=group.rank, world_size=group.size, timeout=MEETING_TIME)
    try:
        yield
    except BaseException as error:
        if backend == "nccl":
            # Its end waits for the other processes, and they wait for this one: so this one ends without it.
            atexit.register(_leave)
        else:
            dist.destroy_process_group()
        if isinstance(error, RuntimeError) and LOST.search(str(error)):
            raise LostProcessError(
                "train: another process has ended, whose own message says why, or the processes cannot reach each "
                f"other: {' '.join(str(error).split())[:600]}"
            ) from error
        raise
    dist.destroy_process_group()


def _gpu_of(group: Group) -> int:
    """Returns the number of this process's GPU among those that it sees; `srun` may show each process its own alone."""
    present = torch.cuda.device_count()
    if present == 1:
        return 0
    if group.local_rank >= present:
        raise ValueError(
            f"train: at most {present} processes may run on this machine, one for each GPU, "
            f"got {group.local_rank + 1}; start fewer on each"
        )
    return group.local_rank


def _leave() -> None:
    """Ends this process at once. It is registered last, so it runs first when Python ends, after the error was told."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(2)


def _spawn(work: Callable[[Group], None], hardware: Hardware, size: int) -> None:
    """Starts the processes and waits for their end; the first that fails ends all."""
    context = multiprocessing.get_context("spawn")
    processes: list[BaseProcess] = []
    receivers: list[Connection] = []
    with tempfile.TemporaryDirectory() as folder:
        address = (Path(folder) / "meeting").as_uri()
        try:
            for rank in range(size):
                receiver, sender = context.Pipe(duplex=False)
                arguments = (Group(rank, size, rank), work, hardware, address, sender)
                processes.append(context.Process(target=_process, args=arguments, daemon=True))
                processes[-1].start()
                sender.close()  # so that only the process itself holds it, and its end is the end of the pipe
                receivers.append(receiver)
            failed = _first_failure(processes)
        finally:  # also where this process itself is told to end
            _end(processes)
        if failed is not None:
            raise _reason(failed, processes, receivers)


def _first_failure(processes: Sequence[BaseProcess]) -> int | None:
    """Waits until a process has failed, or all have ended well; returns the number of the former."""
    running = list(processes)
    while running:
        wait([process.sentinel for process in running])
        for process in [process for process in running if process.exitcode is not None]:
            running.remove(process)
            if process.exitcode:
                return processes.index(process)
    return None


def _end(processes: Sequence[BaseProcess]) -> None:
    """Ends the processes that are still running."""
    for signal_to in (BaseProcess.terminate, BaseProcess.kill):
        for process in processes:
            if process.is_alive():
                signal_to(process)
        deadline = time.monotonic() + PATIENCE
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))


def _reason(failed: int, processes: Sequence[BaseProcess], receivers: Sequence[Connection]) -> Exception:
    """Returns the mistake that a process has told, or how the one that failed has ended.

    That another process was lost is returned only where none has failed by itself: then they did not reach each other.
    """
    lost: Exception | None = None
    for receiver in receivers:
        with suppress(EOFError):  # it has told none
            mistake: Exception = receiver.recv()
            if not isinstance(mistake, LostProcessError):
                return mistake
            lost = lost or mistake
    ends = [process.exitcode or 0 for process in processes]
    told_to_end = (0, -signal.SIGTERM, -signal.SIGKILL if ends[failed] != -signal.SIGKILL else 0)
    killed = [rank for rank, code in enumerate(ends) if code < 0 and code not in told_to_end]
    if lost is not None and ends[failed] > 0 and not killed:
        return lost
    rank = failed if ends[failed] < 0 or not killed else killed[0]
    how = f"was killed by {signal.Signals(-ends[rank]).name}" if ends[rank] < 0 else f"ended with status {ends[rank]}"
    return ValueError(
        f"train: process {rank + 1} of {len(ends)} {how}; run again to go on from the last epoch, "
        "also with another train.devices"
    )


def _process(group: Group, work: Callable[[Group], None], hardware: Hardware, address: str, told: Connection) -> None:
    """Runs one of the processes that `_spawn` starts, from its beginning to its end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that temporary files are removed
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # which a terminal sends to all; the first process ends this one
    tqdm.set_lock(threading.RLock())  # its own is a semaphore, of which Python warns when the process was killed
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(max(1, hardware.threads // group.size))
    try:
        with _joined(group, hardware, address):
            work(group)
    except (ValueError, OSError, MemoryError) as error:
        told.send(error)
        raise SystemExit(2) from None


def _end_with_parent() -> None:
    """Ends this process when the one that started it is gone, killed for example."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(PATIENCE)
        os._exit(128 + signal.SIGTERM)  # while the main thread waits for a GPU, it does not see the signal
