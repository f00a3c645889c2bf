"""Reads recordings of any format, block by block, and finds out what a file holds and what is missing."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from genre.audio.ffmpeg import FFmpegReader
from genre.audio.plain import PlainReader, open_plain
from genre.audio.windows import Window

SILENCE = 1e-4  # -80 dB of full scale: about three steps of a 16-bit sample
MAX_CHANNELS = 64
MOST_SECONDS = 3 * 3600  # a longer one would not fit in the memory of a usual computer
MOST_LEVEL = 1e12  # times full scale: the power of more would leave the range of float32
BLOCK_LENGTH = 1 << 16  # samples of each channel: fits the processor's cache, and bounds the memory
PAIRWISE = 8  # with so many channels or more, numpy adds them in another order
# A loss is reported above `TOLD_SECONDS` or `TOLD_SHARE`, whichever is less, but not below `PADDING_SECONDS`: so much
# an encoder adds at both ends, and a decoder removes again.
TOLD_SECONDS, TOLD_SHARE, PADDING_SECONDS = 0.5, 0.02, 0.1

Waveform = npt.NDArray[np.float32]  # (time,)
Block = npt.NDArray[np.float32]  # (time, channel)


@dataclass(frozen=True)
class Recording:
    """The properties of a recording, known after all of it was decoded.

    Attributes:
        seconds: Its length as decoded.
        sample_rate: In Hz; where it changes inside the file, that of the beginning.
        channels: How many; likewise.
        peak: Of the mean of all channels, from which the spectrogram is computed; full scale is 1.
        missing: A text that says what could not be decoded; empty if nothing, or too little to report.
        lost_seconds: How much that is, estimated from packets and headers.
        format: Of the file, such as `wav`, `mp3`, `mov` (m4a, mp4) or `ogg`.
        codec: Of the sound, such as `pcm_s16`, `mp3`, `aac` or `vorbis`.
        bit_rate: In bits a second, of the sound alone.
        artist: From the tags, or empty.
        album: From the tags, or empty.
    """

    seconds: float
    sample_rate: int
    channels: int
    peak: float
    missing: str = ""
    lost_seconds: float = 0.0
    format: str = ""
    codec: str = ""
    bit_rate: int = 0
    artist: str = ""
    album: str = ""


class Reader:
    """An open recording; its `blocks` can be read once.

    Attributes:
        sample_rate: In Hz.
        channels: How many.
    """

    def __init__(self, source: PlainReader | FFmpegReader) -> None:
        self._source = source
        self.sample_rate, self.channels = source.sample_rate, source.channels
        self._samples = 0
        if self.sample_rate == 0:
            raise ValueError("holds no samples")
        if self.channels > MAX_CHANNELS or not 1000 <= self.sample_rate <= 768_000:
            raise ValueError(f"cannot be music: {self.channels} channels at {self.sample_rate} Hz")

    def blocks(self) -> Iterator[Block]:
        """Yields all samples of the file in blocks `(time, channel)`, whose lengths differ; full scale is 1.

        Raises:
            ValueError: The recording is longer than `MOST_SECONDS`; a sample is NaN, infinite or above `MOST_LEVEL`.
        """
        for block in self._source.blocks(BLOCK_LENGTH):
            level = max(block.max(initial=0), -block.min(initial=0))  # NaN if one is
            if not np.isfinite(level):
                raise ValueError("holds NaN or infinite samples")
            if level > MOST_LEVEL:
                raise ValueError(f"holds samples beyond {MOST_LEVEL:g} times full scale")
            self._samples += len(block)
            if self._samples > MOST_SECONDS * self.sample_rate:
                raise ValueError(f"is longer than {MOST_SECONDS // 3600} hours; cut it into parts")
            yield block

    def recording(self, peak: float) -> Recording:
        """Returns the properties of the recording; call it after the last block."""
        source, seconds = self._source, self._samples / self.sample_rate
        lost, whole, why = self._lost(seconds)
        tags = source.tags
        told = lost > max(PADDING_SECONDS, min(TOLD_SECONDS, TOLD_SHARE * whole))
        return Recording(
            seconds,
            self.sample_rate,
            self.channels,
            peak,
            missing=f"{lost:.1f} of {whole:.1f} s are missing: {why}" if told else "",
            lost_seconds=lost if told else 0.0,
            format=source.format,
            codec=source.codec,
            bit_rate=source.bit_rate,
            artist=_one_line(tags.get("artist", "")),
            album=_one_line(tags.get("album", "")),
        )

    def _lost(self, seconds: float) -> tuple[float, float, str]:
        if isinstance(self._source, FFmpegReader):
            return self._source.lost()
        stated = max(seconds, self._source.stated_seconds)
        return stated - seconds, stated, "the file ends before what its header states"


def _one_line(text: str) -> str:
    """Returns the text of a tag on one line, without control characters, which a damaged tag may hold."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(printable.split())


@contextmanager
def opened(path: Path) -> Iterator[Reader]:
    """Opens a recording of any format: plain samples through libsndfile, all else through FFmpeg.

    The format is found from the content and not from the suffix.

    Raises:
        ValueError: It cannot be decoded.
        OSError: The file cannot be read; also raised at the end of the `with` block, so that a disk error is not taken
            for the end of the recording.
    """
    with Window(path) as window:
        source: PlainReader | FFmpegReader | None = None
        try:
            source = open_plain(window) or FFmpegReader(window)
            yield Reader(source)
        except soundfile.LibsndfileError as error:
            raise ValueError(f"cannot be decoded: {error.error_string}") from error
        finally:
            if isinstance(source, FFmpegReader):
                source.close()
            window.check()


def mono(block: Block) -> Waveform:
    """Returns the mean of all channels: `(time, channel)` -> `(time,)`."""
    channels = block.shape[1]
    if channels >= PAIRWISE:
        mean: Waveform = block.mean(axis=1, dtype=np.float32)
        return mean
    total: Waveform = block[:, 0].copy()  # the same sum as `mean`'s, bit for bit, and faster
    for channel in range(1, channels):
        total += block[:, channel]
    return total if channels == 1 else total / np.float32(channels)


def inspect(path: Path) -> Recording:
    """Decodes a whole file block by block, and returns its properties and what is missing.

    Raises:
        ValueError: It cannot be decoded, holds no samples, too many, or some that are no numbers or beyond any scale.
        OSError: The file cannot be read.
    """
    peak, empty = 0.0, True
    with opened(path) as reader:
        for block in reader.blocks():
            empty = False
            peak = max(peak, float(np.abs(mono(block)).max()))
        if empty:
            raise ValueError("holds no samples")
        return reader.recording(peak)
