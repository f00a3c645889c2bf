"""Decodes every format that `plain` does not read, by FFmpeg (PyAV), and counts what cannot be decoded."""

import re
from collections.abc import Iterator
from itertools import chain

import av
import av.logging
import numpy as np
import numpy.typing as npt
from av.audio.stream import AudioStream
from av.error import FFmpegError

from genre.audio import parts
from genre.audio.account import Account, stated_seconds
from genre.audio.windows import Window

av.logging.set_level(None)  # no message of FFmpeg on the terminal

Block = npt.NDArray[np.float32]  # (time, channel)

# FFmpeg opens a file with the first of these formats that recognises it. Other formats could open further files or
# addresses that a file names (playlists, hls, concat), turn pictures and texts into sound, or take any bytes for
# samples.
FORMATS = (
    "3gp", "aa", "aac", "aax", "ac3", "ac4", "acm", "adx", "aea", "aiff", "amr", "amrnb", "amrwb", "apc", "ape",
    "asf", "asf_o", "ast", "au", "avi", "avr", "bonk", "caf", "dsf", "dss", "dts", "dtshd", "dv", "eac3", "epaf",
    "flac", "flv", "f4v", "gsm", "hca", "iamf", "iff", "ircam", "kux", "laf", "latm", "lc3", "loas", "matroska",
    "mlp", "mmf", "mov", "mp3", "mpc", "mpc8", "mpeg", "mpegts", "mxf", "nistsphere", "nsv", "nut", "ogg", "oma",
    "osq", "paf", "pvf", "qcp", "qoa", "rka", "rm", "rso", "sds", "shn", "sox", "swf", "tak", "truehd", "tta", "voc",
    "vqf", "w64", "wav", "wavarc", "webm", "wsd", "wtv", "wv", "wve", "xwma",
)  # fmt: skip
OPTIONS = {"format_whitelist": ",".join(FORMATS), "protocol_whitelist": "none"}
# The format to try by suffix if FFmpeg does not recognise the start of a file, as after much junk.
FORCED = {".mp3": "mp3", ".mp2": "mp3", ".aac": "aac", ".adts": "aac", ".ac3": "ac3", ".flac": "flac"}
BUFFER = 1 << 16  # bytes that are read at once
FAILURES = 100  # errors one after the other at which a file is given up
MOST_PLANES = 8  # PyAV 18 reads beyond the memory of a frame that has so many planes, or more
SKIP_MANUAL = 1 << 29  # FFmpeg's AV_CODEC_FLAG2_SKIP_MANUAL: the decoder leaves out no samples by itself
SCALES = {"u1": (128.0, 128.0), "i2": (0.0, 32768.0), "i4": (0.0, 2147483648.0)}  # dtype -> silence, full scale


class FFmpegPart:
    """The best sound track of one part of a file, nearly always the whole of it.

    Raises:
        ValueError: FFmpeg does not recognise the format, or finds no sound in the file.
    """

    def __init__(self, window: Window, form: str | None = None) -> None:
        self.window = window
        self._container = av.open(
            window, "r", format=form, options=OPTIONS, metadata_errors="replace", buffer_size=BUFFER
        )
        stream = self._container.streams.best("audio")
        if not isinstance(stream, AudioStream) or stream.codec_context is None:
            raise ValueError("holds no sound that FFmpeg has a decoder for")
        self._stream, self._context = stream, stream.codec_context
        self._context.thread_count = 1  # each core decodes another file
        self.format = self._container.format.name.split(",")[0]
        # Without the order of bytes, which says nothing about the sound: `pcm_s16` instead of `pcm_s16le`.
        self.codec = re.sub(r"^(pcm_[suf]\d+)[lb]e", r"\1", self._context.codec.canonical_name)
        if self.codec == "flac":
            self._context.options = {"err_detect": "crccheck+explode"}  # a damaged frame would be noise
        if self.codec == "alac" and self.format == "caf":
            self._context.flags2 |= SKIP_MANUAL  # its last packet is short already, FFmpeg 8 would cut it once more
        self.tags = _tags({**self._container.metadata, **stream.metadata})
        stated = stated_seconds(window, self._container, stream)
        self.account = Account(window, self.format, float(stream.time_base or 0), stated)

    def frames(self) -> Iterator[av.AudioFrame]:
        """Yields the frames that can be decoded, and adds packets and frames to the account."""
        for packet in self._packets():
            try:
                frames = self._context.decode(packet)
            except (FFmpegError, EOFError):
                if packet:
                    self.account.add_refused(packet)
                continue
            if packet:
                self.account.add_packet(packet, frames)
            else:
                self.account.add_frames(frames)
            yield from frames

    def close(self) -> None:
        """Closes the part."""
        self._container.close()
        self.window.close()

    def _packets(self) -> "Iterator[av.Packet[AudioStream] | None]":
        """Yields the track's packets, also after errors in the file's structure, and None at the end."""
        failures, total = 0, 0
        while failures < FAILURES and total < 100 * FAILURES:
            try:
                for packet in self._container.demux(self._stream):
                    if packet.size:
                        failures = 0
                        yield packet
                break
            except FFmpegError:
                failures, total = failures + 1, total + 1
        yield None


class FFmpegReader:
    """All parts of a file, one after the other, at the rate and with the channels of its first frame.

    Attributes:
        sample_rate: In Hz; 0 if there is no frame at all.
        channels: How many; in a later part with another number, each channel is the mean of that part's channels.
        format: Of the file, such as `mp3`, `mov` or `ogg`.
        codec: Such as `mp3`, `aac` or `vorbis`.
        tags: `artist` and `album`, where the file names them.

    Raises:
        ValueError: The file cannot be decoded.
    """

    def __init__(self, window: Window) -> None:
        self._parts: list[FFmpegPart] = []
        self._windows = iter(_windows(window))
        first = self._open_first(window)
        self.format, self.codec, self.tags = first.format, first.codec, first.tags
        frames = first.frames()
        frame = next(frames, None)
        self._frames = chain([frame] if frame else [], frames, self._later_frames())
        self.sample_rate = frame.sample_rate if frame else 0
        self.channels = frame.layout.nb_channels if frame else 0

    @property
    def bit_rate(self) -> int:
        """In bits a second, of the sound alone; known after the last block."""
        seconds = sum(part.account.decoded for part in self._parts)
        return round(8 * sum(part.account.size for part in self._parts) / seconds) if seconds else 0

    def lost(self) -> tuple[float, float, str]:
        """Returns how many seconds are missing, of how many, and why; known after the last block."""
        losses = [part.account.lost() for part in self._parts]
        seconds = sum(loss for loss, _ in losses)
        decoded = sum(part.account.decoded for part in self._parts)
        return seconds, decoded + seconds, max(losses, default=(0.0, ""))[1]

    def blocks(self, length: int) -> Iterator[Block]:
        """Yields `(time, channel)` of about `length` samples."""
        joined: _Run | None = None
        for frame in self._frames:
            shape = (frame.format.name, frame.sample_rate, frame.layout.nb_channels)
            if joined is None or shape != joined.shape:
                if joined:
                    yield from joined.take(last=True)
                joined = _Run(shape, self.sample_rate, self.channels)
            frame.pts = None
            joined.fifo.write(frame)
            if joined.fifo.samples >= length:
                yield from joined.take()
        if joined:
            yield from joined.take(last=True)

    def close(self) -> None:
        """Closes all parts."""
        for part in self._parts:
            part.close()

    def _open_first(self, window: Window) -> FFmpegPart:
        """Opens the first part; if the file does not begin with one, after the junk, or in the format of its suffix."""
        reason: Exception | None = None
        for candidate, form in self._candidates(window):
            try:
                self._parts.append(FFmpegPart(candidate, form))
            except (FFmpegError, ValueError) as error:
                reason = reason or error
                candidate.close()
            else:
                return self._parts[0]
        raise ValueError(f"cannot be decoded: {_explained(reason)}")

    def _candidates(self, window: Window) -> Iterator[tuple[Window, str | None]]:
        """Yields what may be the first part, and its format, or None if FFmpeg is to recognise it."""
        yield from ((part, None) for part in self._windows)
        yield from ((part, None) for part in parts.behind_tag(window))
        yield from ((part, None) for part in parts.behind_junk(window))
        yield window.part(0), FORCED.get(window.path.suffix.lower())

    def _later_frames(self) -> Iterator[av.AudioFrame]:
        for window in self._windows:
            try:
                part = FFmpegPart(window)
            except (FFmpegError, ValueError):
                window.close()
                continue
            self._parts.append(part)
            yield from part.frames()


class _Run:
    """Frames of one format, rate and number of channels, as blocks of the reader's rate and channels."""

    def __init__(self, shape: tuple[str, int, int], sample_rate: int, channels: int) -> None:
        self.shape, self.fifo = shape, av.AudioFifo()
        self._channels = channels
        self._resampler: av.AudioResampler | None = None
        form = av.AudioFormat(shape[0])
        if (form.is_planar and shape[2] >= MOST_PLANES) or shape[1] != sample_rate:
            self._resampler = av.AudioResampler(form.packed, rate=sample_rate)

    def take(self, *, last: bool = False) -> Iterator[Block]:
        """Yields the frames that were collected, as blocks."""
        frame = self.fifo.read()
        if self._resampler is None:
            frames = [frame] if frame else []
        else:
            frames = self._resampler.resample(frame) if frame else []
            frames += self._resampler.resample(None) if last else []
        for each in frames:
            block = _samples(each)
            if block.shape[1] != self._channels:
                mean = block.mean(axis=1, dtype=np.float32, keepdims=True)
                block = np.broadcast_to(mean, (len(block), self._channels))
            yield block


def _samples(frame: av.AudioFrame) -> Block:
    """Returns a frame's samples, full scale is 1: `(time, channel)`."""
    values = frame.to_ndarray()
    values = values.T if frame.format.is_planar else values.reshape(-1, frame.layout.nb_channels)
    silence, scale = SCALES.get(values.dtype.str[1:], (0.0, 1.0))
    block: Block = values.astype(np.float32, copy=False)
    if silence:
        block = block - np.float32(silence)
    return block if scale == 1.0 else block / np.float32(scale)


def _windows(window: Window) -> list[Window]:
    """Cuts a chained Ogg file into its links; any other file is one part."""
    if window.at(0, 4) == parts.OGG:
        return parts.ogg_links(window)
    return [window.part(0)]


def _tags(metadata: dict[str, str]) -> dict[str, str]:
    lower = {key.lower(): value.strip() for key, value in metadata.items()}
    artist = lower.get("artist") or lower.get("album_artist") or lower.get("author")
    return {name: value for name, value in (("artist", artist), ("album", lower.get("album"))) if value}


def _explained(error: Exception | None) -> str:
    """Says why FFmpeg did not open a file, in words that a user understands."""
    if isinstance(error, ValueError) and not isinstance(error, FFmpegError):
        return str(error)
    if isinstance(error, av.error.ArgumentError):
        return "it is no sound recording"  # a format that is not in FORMATS
    text = getattr(error, "strerror", None) or str(error)
    return f"FFmpeg says: {text}"
