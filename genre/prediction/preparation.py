"""From a file to the spectrogram that a network takes.

Processes that decode do not import torch, which takes half a gigabyte of memory, and the process that runs the network
does not import decoders.
"""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from genre.audio.params import Spectrogram

if TYPE_CHECKING:
    from genre.audio.reading import Waveform


class StoredMel:
    """A spectrogram `(frame, n_mels)` in a .npy file; frames are read when they are used, and not kept in memory."""

    def __init__(self, npy: Path) -> None:
        self._npy = npy
        self._frames = len(np.load(npy, mmap_mode="r"))

    def __len__(self) -> int:
        return self._frames

    def __getitem__(self, frames: slice) -> npt.NDArray[np.float16]:
        # Mapped again each time: the pages of a permanent mapping would count as memory of this process.
        return np.array(np.load(self._npy, mmap_mode="r")[frames])


def log_mel(path: Path, sizes: Spectrogram) -> npt.NDArray[np.float16]:
    """Decodes a recording and computes its log-mel spectrogram `(frame, n_mels)`, block by block.

    Raises:
        ValueError: It cannot be decoded, or is silent.
        OSError: It cannot be read.
    """
    from genre.audio import decoding, mel, reading

    peak = 0.0

    def blocks() -> "Iterator[Waveform]":
        nonlocal peak
        for block in decoding.decode_blocks(path, sizes.sample_rate):
            peak = max(peak, float(block.max()), -float(block.min()))
            yield block

    mel_specgram = mel.log_mel_of_blocks(blocks(), **sizes.model_dump())
    if peak < reading.SILENCE:
        raise ValueError("silent; there is nothing to classify")
    return mel_specgram


def prepare(sizes: Spectrogram, numbered: tuple[Path, Path]) -> Path:
    """Writes the spectrogram of a recording to a file, which takes less memory than sending it to another process.

    Args:
        sizes: Of the spectrogram.
        numbered: The recording, and the .npy file to write.

    Returns:
        The .npy file.

    Raises:
        ValueError: The recording has no spectrogram; the message says why.
        OSError: The temporary file cannot be written.
    """
    path, npy = numbered
    try:
        mel_specgram = log_mel(path, sizes)
    except PermissionError as error:
        raise ValueError("cannot be read: permission denied") from error
    except OSError as error:
        raise ValueError(str(error)) from error
    try:
        np.save(npy, mel_specgram)
    except OSError as error:  # numpy's own, of an incomplete write, has no number
        npy.unlink(missing_ok=True)
        number = error.errno or errno.ENOSPC
        raise OSError(number, os.strerror(number), f"the temporary folder {npy.parent}") from error
    return npy
