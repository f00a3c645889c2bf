"""Estimates what is missing of a recording: compares the length that headers and packets state with the decoded one."""

from dataclasses import dataclass, field

import av
import numpy as np
from av.audio.stream import AudioStream

from genre.audio import parts
from genre.audio.windows import Window

BARE = frozenset({"mp3", "aac", "ac3", "eac3", "dts", "mlp", "truehd", "loas", "amr"})  # frames without a container
STREAMED = frozenset({"mpeg", "mpegts"})
CHUNKED = frozenset({"wav", "aiff", "au", "w64"})
CONTIGUOUS = BARE | CHUNKED | {"flac"}  # where each packet directly follows the one before
TIMED = frozenset({"ogg", "matroska", "mov", "flv", "mpegts", "nut"})  # formats that store reliable time stamps
LONGEST = 12 * 3600  # s; a file that states more is damaged
GAP = 4096  # bytes; a tag or some padding between two packets is shorter
TAGS = (b"ID3", b"TAG", b"APE", b"LYR", b"3DI", b"Xin", b"Inf")


@dataclass
class Account:
    """The length that one part of a file states, and what was decoded of it.

    Attributes:
        window: The part's bytes.
        format: As FFmpeg names it.
        time_base: Seconds that a step of the time stamps takes.
        stated: Seconds that the header states, or 0.
        decoded: Seconds that were decoded.
        padding: Seconds that the decoder left out, because the encoder had added them.
        size: Bytes of all packets.
        good: Bytes of the packets from which sound was decoded.
        failed: Bytes of the packets that the decoder refused.
        gaps: Start and end of the bytes that belong to no packet.
    """

    window: Window
    format: str
    time_base: float
    stated: float
    decoded: float = 0.0
    padding: float = 0.0
    size: int = 0
    good: int = 0
    failed: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)
    _first: int | None = None
    _last: int = 0
    _end: int | None = None

    def add_packet(self, packet: "av.Packet[AudioStream]", frames: list[av.AudioFrame]) -> None:
        """Adds a packet and the frames that were decoded from it."""
        decoded, length = self.add_frames(frames), (packet.duration or 0) * self.time_base
        if frames:
            self.good += packet.size
        if packet.is_discard:
            return
        if decoded < length:  # only then, because to read the padding of every packet takes long
            self.padding += _padding(packet, length)
        self.size += packet.size
        if packet.pts is not None:
            self._first = packet.pts if self._first is None else min(self._first, packet.pts)
            self._last = max(self._last, packet.pts + (packet.duration or 0))
        if self.format in CONTIGUOUS and packet.pos is not None:
            self._note_place(packet, packet.pos)

    def add_frames(self, frames: list[av.AudioFrame]) -> float:
        """Adds decoded frames; returns how many seconds they last."""
        seconds = sum(frame.samples / frame.sample_rate for frame in frames if frame.sample_rate)
        self.decoded += seconds
        return seconds

    def add_refused(self, packet: "av.Packet[AudioStream]") -> None:
        """Adds a packet that the decoder refused, unless it is a tag, of which FFmpeg also makes packets."""
        if not bytes(packet)[:4].startswith(TAGS):
            self.failed += packet.size

    def lost(self) -> tuple[float, str]:
        """Returns the estimated seconds of missing sound and the reason, as text; call it after the last packet."""
        span = (self._last - (self._first or 0)) * self.time_base if self.format in TIMED else 0.0
        most_by_bytes = self.stated if self._header_knows() else LONGEST
        failed = self.decoded * (1 + self.failed / max(1, self.good))
        passed_over = self.decoded * (1 + self._passed_over() / max(1, self.size))
        claims = [
            (self.decoded, ""),
            (min(failed, most_by_bytes), "some packets are damaged"),
            (span, "the time stamps have gaps"),
            (min(passed_over, most_by_bytes), "bytes between the packets are no sound"),
            (self.stated, "the file ends before what its header states"),
        ]
        claims = [(seconds, text) for seconds, text in claims if seconds < LONGEST or not text]
        most = max(seconds for seconds, _ in claims)
        # The claims are in the order of their certainty: of those that agree, the first is taken.
        why = next(text for seconds, text in claims if seconds >= 0.98 * most)
        return max(0.0, most - self.padding - self.decoded), why

    def _header_knows(self) -> bool:
        """Returns whether the header's length is more reliable than an estimate from the number of bytes.

        It is not if a second recording follows the first, nor for a WAV, whose header may state any size.
        """
        return self.format not in CHUNKED and self.stated > 0 and self.decoded <= 1.02 * self.stated

    def _note_place(self, packet: "av.Packet[AudioStream]", place: int) -> None:
        if self._end is None:
            self._end = 0 if self.format in BARE else place
            if self.format == "mp3":
                frames = parts.xing_frames(self.window, place)
                self.stated = frames * (packet.duration or 0) * self.time_base
        if place - self._end > GAP:
            self.gaps.append((self._end, place))
        self._end = place + packet.size

    def _passed_over(self) -> int:
        size = self.window.size
        tail = [(self._end, size)] if self._end is not None and size - self._end > GAP else []
        return sum(end - start for start, end in [*self.gaps, *tail] if not self._is_tag(start))

    def _is_tag(self, start: int) -> bool:
        """Returns whether the bytes between packets are known not to be sound: a tag, or a further chunk of a WAV."""
        if self.format not in CHUNKED:
            return self.window.at(start, 4).startswith(TAGS)
        name = self.window.at(start + start % 2, 4)
        return name.replace(b" ", b"").isalnum() and name not in (b"RIFF", b"FORM")


def stated_seconds(window: Window, container: "av.container.InputContainer", stream: AudioStream) -> float:
    """Returns the length that a file's header states, or 0 if it has none and FFmpeg would only estimate."""
    form = container.format.name.split(",")[0]
    if form in BARE | STREAMED:
        return 0.0
    if form == "asf" and (seconds := parts.asf_seconds(window)):
        return seconds
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration and len(container.streams) == 1 else 0.0


def _padding(packet: "av.Packet[AudioStream]", length: float) -> float:
    """Returns the seconds of a packet, at its start and end, that a decoder must leave out."""
    rate = packet.stream.codec_context.sample_rate
    if not packet.has_sidedata("skip_samples") or not rate:
        return 0.0
    before, after = np.frombuffer(bytes(packet.get_sidedata("skip_samples"))[:8], "<u4") / rate
    return float(before + min(after, length))
