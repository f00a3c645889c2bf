"""The device a network computes on, in which number format, and how its results are made repeatable."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

SHARE_OF_FREE_MEMORY = 0.5  # of a GPU, that spectrograms may take; the rest is for the network and its activations


@dataclass(frozen=True)
class Hardware:
    """What the network computes on.

    Attributes:
        device: `cpu`, `cuda` or `mps`.
        precision: `float32` or `bfloat16`.
        threads: CPU threads; results on a CPU repeat bit for bit at the same number.
    """

    device: str
    precision: str
    threads: int

    def place(self, network: nn.Module) -> None:
        """Moves a network to the device, in the memory layout in which its convolutions are fastest."""
        network.to(self.device)
        if self.device != "mps":  # where torch 2.11 computes wrong gradients of batch norm for it: its issue 175189
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def has_room_for(self, size: int) -> bool:
        """Returns whether `size` bytes of spectrograms fit in the memory of the GPU; on a CPU there is none to fill."""
        return size <= SHARE_OF_FREE_MEMORY * self._free_memory()

    def _free_memory(self) -> int:
        if self.device == "cuda":
            return torch.cuda.mem_get_info()[0]
        if self.device == "mps":
            return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()
        return 0

    def autocast(self) -> torch.autocast:
        """Returns the context in which the network computes with this precision."""
        return torch.autocast(self.device, torch.bfloat16, enabled=self.precision == "bfloat16")


def choose_hardware(device: str, precision: str) -> Hardware:
    """Chooses the hardware; `auto` takes a GPU if there is one, and bfloat16 where the hardware is faster in it.

    Raises:
        ValueError: The device asked for is not there, or too old for this torch.
    """
    present: dict[str, Callable[[], bool]] = {
        "cuda": _has_usable_gpu, "mps": torch.backends.mps.is_available, "cpu": lambda: True,
    }  # fmt: skip
    if device == "auto":
        device = next(name for name, is_there in present.items() if is_there())
    elif not present[device]():
        raise ValueError(
            f"train.device {device} is not on this machine, or too old for this torch; set it to auto or cpu"
        )
    if precision == "auto":
        precision = "bfloat16" if _is_faster_in_bfloat16(device) else "float32"
    return Hardware(device, precision, torch.get_num_threads())


def _has_usable_gpu() -> bool:
    """Returns whether there is a GPU for which this build of torch has code."""
    if not torch.cuda.is_available():
        return False
    # Such as sm_80 or sm_90a; a build for AMD's GPUs names none, and there is no capability to compare with.
    known = [int(found[1]) for name in torch.cuda.get_arch_list() if (found := re.match(r"sm_(\d+)", name))]
    major, minor = torch.cuda.get_device_capability()
    return not known or 10 * major + minor >= min(known)


def _is_faster_in_bfloat16(device: str) -> bool:
    if device == "cuda":
        return torch.cuda.get_device_capability() >= (8, 0)
    # Without tiles, AVX-512 alone computes in bfloat16 a quarter slower than in float32, see docs/benchmarks.md.
    has_tiles = getattr(torch.cpu, "_is_amx_tile_supported", bool)  # not public, so it may be gone
    return device == "cpu" and bool(has_tiles())


def seed_everything(seed: int) -> None:
    """Makes the same seed give the same bits on the same machine."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # Only a warning, should torch find an operation without a deterministic algorithm; the networks have none.
    # `torch.use_deterministic_algorithms` does the same, and imports torch's compiler for it, which takes seconds.
    torch.set_deterministic_debug_mode("warn")
    # This code reads no memory that it has not written; filling new memory would cost 2 % of the time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.manual_seed(seed)


def explained(error: Exception, *parameters: str) -> Exception:
    """Returns an error that says which parameters to lower if memory ran out; any other error as it is."""
    text = str(error).lower()
    said = any(words in text for words in ("allocate memory", "out of memory", "alloc_failed"))
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or said:
        return ValueError(f"out of memory; lower {', '.join(parameters)} or model.base_channels")
    return error
