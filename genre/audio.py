"""Recordings in, log-mel spectrograms out: one code path for the pipeline and for `genre predict`."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
import torch
from torchaudio.functional import resample
from torchaudio.transforms import MelSpectrogram

FLOOR_DECIBELS = 80.0
BLOCK_SECONDS = 30  # bounds the memory that a recording of any length takes
BLOCK_FRAMES = 2048
SILENCE = 1e-4  # -80 dB of full scale: quieter than the last bit but one of 16
MAX_CHANNELS = 64
BLOCK_SAMPLES = 1 << 23  # of all channels; 30 s of what is usual have fewer
MOST_SECONDS = 3 * 3600  # a longer one would not fit in the memory of a usual computer
MOST_LEVEL = 1e12  # times full scale: the power of more would leave the range of float32
# Rates without a common period (22 051 and 22 050 Hz) would need as many filters as samples a second: such a ratio is
# rounded, by less than one part in a million. Every usual rate, up to 192 kHz, stays exact.
LONGEST_PERIOD = 1280

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
    with _open(path) as file:
        for block in _blocks(file):
            samples += len(block)
            peak = max(peak, float(np.abs(block.mean(axis=1, dtype=np.float32)).max()))
        if samples == 0:
            raise ValueError("holds no samples")
        return Recording(samples / file.samplerate, file.samplerate, file.channels, peak)


def decode(path: Path, sample_rate: int) -> Waveform:
    """Decodes a file to one channel (the mean of all) at `sample_rate` Hz: `(time,)`, full scale is 1.

    Reads wav, au, flac, ogg, mp3 and what else libsndfile knows, in blocks: beside the result itself the memory
    needed does not depend on the length.

    Raises:
        ValueError: As `inspect`; but none is fine.
    """
    with _open(path) as file:
        ratio = Fraction(sample_rate, file.samplerate).limit_denominator(LONGEST_PERIOD)
        blocks = (block.mean(axis=1, dtype=np.float32) for block in _blocks(file, ratio.denominator))
        resampled = list(_resampled(blocks, ratio))
    return np.concatenate(resampled) if resampled else np.zeros(0, np.float32)


def log_mel(
    waveform: Waveform, *, sample_rate: int, n_fft: int, hop_length: int, n_mels: int
) -> npt.NDArray[np.float16]:
    """Computes the log-mel power spectrogram of a whole recording: `(time,)` -> `(frame, n_mels)`.

    Values are decibels relative to the recording's own peak, floored at -80 and mapped to 0..1, in half precision
    (steps of 0.04 dB at most). Frames are centred on multiples of `hop_length`, with zeros beyond both ends:
    `1 + time // hop_length` of them. The mel scale and its area normalisation are Slaney's (Auditory Toolbox, 1998),
    librosa's default. Silence gives zeros.
    """
    transform = _mel(sample_rate, n_fft, hop_length, n_mels)
    padded = torch.nn.functional.pad(torch.from_numpy(waveform), (n_fft // 2, n_fft // 2))
    frames = 1 + len(waveform) // hop_length
    power = torch.cat(
        [
            transform(padded[start * hop_length : (min(start + BLOCK_FRAMES, frames) - 1) * hop_length + n_fft])
            for start in range(0, frames, BLOCK_FRAMES)
        ],
        dim=1,
    )
    if not power.max() > 0:
        return np.zeros((frames, n_mels), np.float16)
    decibels = 10 * torch.log10((power / power.max()).clamp(min=10 ** (-FLOOR_DECIBELS / 10)))
    return (1 + decibels / FLOOR_DECIBELS).T.contiguous().numpy().astype(np.float16)


def mel_frequencies(*, sample_rate: int, n_fft: int, n_mels: int) -> npt.NDArray[np.float32]:
    """Gives the frequency in Hz at which each mel band weighs most: `(n_mels,)`."""
    bank = _mel(sample_rate, n_fft, n_fft, n_mels).mel_scale.fb  # (n_fft // 2 + 1, n_mels)
    bins = torch.arange(bank.shape[0], dtype=torch.float32) * sample_rate / n_fft
    weights = bank.sum(0).numpy()
    centres = (bank * bins[:, None]).sum(0).numpy() / np.where(weights > 0, weights, 1)
    # A band narrower than the distance of two bins may have none: it gets a place between its neighbours.
    bands, filled = np.arange(n_mels), np.flatnonzero(weights > 0)
    whole: npt.NDArray[np.float32] = np.where(weights > 0, centres, np.interp(bands, filled, centres[filled]))
    return whole.astype(np.float32)


@cache
def _mel(sample_rate: int, n_fft: int, hop_length: int, n_mels: int) -> MelSpectrogram:
    return MelSpectrogram(
        sample_rate,
        n_fft,
        hop_length=hop_length,
        n_mels=n_mels,
        center=False,
        norm="slaney",
        mel_scale="slaney",
    )


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
def _open(path: Path) -> Iterator[soundfile.SoundFile]:
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


def _blocks(file: soundfile.SoundFile, step: int = 1) -> Iterator[npt.NDArray[np.float32]]:
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


def _resampled(blocks: Iterator[Waveform], ratio: Fraction) -> Iterator[Waveform]:
    """Resamples block by block with context on both sides, which gives what resampling the whole would give.

    Blocks but the last must be multiples of the ratio's denominator long.

    The filter of torchaudio's windowed sinc spans `6 / 0.99` periods of the lower of the two rates on each side.
    """
    old, new = ratio.denominator, ratio.numerator
    if old == new:
        yield from blocks
        return
    context = old * (2 + int(7 * max(1, old / new)) // old)
    before = np.zeros(0, np.float32)
    current = next(blocks, None)
    while current is not None:
        after = next(blocks, None)
        joined = np.concatenate([before, current, current[:0] if after is None else after[:context]])
        resampled = resample(torch.from_numpy(joined), old, new).numpy()
        first = len(before) * new // old
        last = None if after is None else first + len(current) * new // old
        yield resampled[first:last]
        before, current = current[-context:], after
