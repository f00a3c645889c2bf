"""Reads recordings block by block with libsndfile, and tells what each of them is."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

BLOCK_SECONDS = 30  # bounds the memory that a recording of any length takes
SILENCE = 1e-4  # -80 dB of full scale: quieter than the last bit but one of 16
MAX_CHANNELS = 64
BLOCK_SAMPLES = 1 << 23  # of all channels; 30 s of what is usual have fewer
MOST_SECONDS = 3 * 3600  # a longer one would not fit in the memory of a usual computer
MOST_LEVEL = 1e12  # times full scale: the power of more would leave the range of float32

Waveform = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Recording:
    """What a recording is, known after every sample of it was decoded.

    `peak` is the one of the mean of all channels, which the spectrogram is of.
    """

    seconds: float
    sample_rate: int
    channels: int
    peak: float


def inspect(path: Path) -> Recording:
    """Decodes a whole file block by block, and tells what it is.

    Raises:
        ValueError: It cannot be decoded, holds no samples, too many, or some that are no numbers or beyond any scale.
    """
    samples, peak = 0, 0.0
    with open_recording(path) as file:
        for block in blocks(file):
            samples += len(block)
            peak = max(peak, float(np.abs(block.mean(axis=1, dtype=np.float32)).max()))
        if samples == 0:
            raise ValueError("holds no samples")
        return Recording(samples / file.samplerate, file.samplerate, file.channels, peak)


class _Stream(io.BufferedReader):
    """An open file for libsndfile, whose calls back cannot raise: Python would print a traceback, and go on.

    Attributes:
        failed: The disk's error. For libsndfile the file ends there, which would be taken for a shorter recording.
    """

    failed: OSError | None = None

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Seeks; stays where a damaged header asks for a place before the start."""
        try:
            return super().seek(offset, whence)
        except (OSError, ValueError, OverflowError):
            return self.tell()

    def readinto(self, buffer: Any, /) -> int:
        """Reads; remembers an error."""
        try:
            return super().readinto(buffer)
        except OSError as error:
            self.failed = error
            return 0


@contextmanager
def open_recording(path: Path) -> Iterator[soundfile.SoundFile]:
    """Opens a recording.

    Raises:
        ValueError: It cannot be decoded, or is no music by its channels and sampling rate.
        OSError: The disk fails, also later, while blocks are read.
    """
    # An open file, not its name: libsndfile takes some suffixes (.raw) for more than they are.
    with _Stream(io.FileIO(path)) as stream:
        try:
            with _sound_file(stream) as file:
                if file.channels > MAX_CHANNELS or not 1000 <= file.samplerate <= 768_000:
                    raise ValueError(f"cannot be music: {file.channels} channels at {file.samplerate} Hz")
                yield file
        finally:
            if stream.failed:
                raise stream.failed


def _sound_file(stream: io.BufferedReader) -> soundfile.SoundFile:
    try:
        return soundfile.SoundFile(stream)
    except (soundfile.LibsndfileError, TypeError) as error:
        raise ValueError(f"cannot be decoded: {getattr(error, 'error_string', error)}") from error


def blocks(file: soundfile.SoundFile, step: int = 1) -> Iterator[npt.NDArray[np.float32]]:
    """Yields blocks `(time, channel)` of about 30 s; the length of all but the last is a multiple of `step`."""
    length = step * max(1, min(BLOCK_SECONDS * file.samplerate, BLOCK_SAMPLES // file.channels) // step)
    left = MOST_SECONDS * file.samplerate
    while True:
        try:
            block = file.read(length, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise ValueError(f"cannot be decoded: {error.error_string}") from error
        if not np.isfinite(block).all():
            raise ValueError("holds NaN or infinite samples")
        if len(block) and max(block.max(), -block.min()) > MOST_LEVEL:
            raise ValueError(f"holds samples beyond {MOST_LEVEL:g} times full scale")
        left -= len(block)
        if left < 0:
            raise ValueError(f"is longer than {MOST_SECONDS // 3600} hours; cut it into parts")
        if len(block):
            yield block
        if len(block) < length:
            return
