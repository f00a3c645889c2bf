"""Plain samples without compression (WAV, AIFF, AU), through libsndfile, which reads them fastest."""

import struct
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import soundfile
from mutagen import MutagenError
from mutagen.aiff import AIFF
from mutagen.wave import WAVE

from genre.audio.windows import Window

CODECS = {
    "PCM_S8": "pcm_s8", "PCM_U8": "pcm_u8", "PCM_16": "pcm_s16", "PCM_24": "pcm_s24", "PCM_32": "pcm_s32",
    "FLOAT": "pcm_f32", "DOUBLE": "pcm_f64",
}  # fmt: skip
WIDTHS = {"PCM_S8": 1, "PCM_U8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}  # bytes
FORMATS = {"WAV": "wav", "WAVEX": "wav", "AIFF": "aiff", "AU": "au"}
MARKS = (b"RIFF", b"RIFX", b"FORM", b".snd", b"dns.")
ID3_FORMATS: dict[bytes, Any] = {b"WAVE": WAVE, b"AIFF": AIFF, b"AIFC": AIFF}
# What mutagen raises for damaged files; beside its own errors, Ogg pages without packets cause an IndexError.
DAMAGED_TAGS = (MutagenError, LookupError, struct.error)
# A file may hold so many bytes beside its samples: those of a short header, or as many as samples of this length have,
# which is shorter than every loss that is reported.
HEADER_BYTES, BESIDE_SECONDS = 512, 0.1


class PlainReader:
    """The samples of a file whose header and size agree.

    Attributes:
        sample_rate: In Hz.
        channels: How many.
        format: Of the file, such as `wav`.
        codec: Of the samples, such as `pcm_s16`.
        stated_seconds: How long the file would be if it held all that its header states.
    """

    def __init__(self, window: Window) -> None:
        self._file = soundfile.SoundFile(window)
        self.sample_rate, self.channels = self._file.samplerate, self._file.channels
        self.format = FORMATS.get(self._file.format, "")
        self.codec = CODECS.get(self._file.subtype, "")
        self._frame_bytes = self.channels * WIDTHS.get(self._file.subtype, 0)
        self.stated_seconds = (self._file.frames + self._cut_frames(window)) / self.sample_rate
        self._window = window

    @property
    def tags(self) -> dict[str, str]:
        """`artist` and `album`, where the file names them: in its own list, else in an ID3 tag."""
        listed = {name: value for name in ("artist", "album") if (value := getattr(self._file, name, ""))}
        return {**_id3_tags(self._window), **listed}

    @property
    def bit_rate(self) -> int:
        """In bits a second."""
        return int(8 * self._frame_bytes * self.sample_rate)

    def agrees_with(self, window: Window) -> bool:
        """Returns whether the file is plain, and holds samples but for a small rest.

        If there is more, the header may state too little, or there are long tags. The file is then left to
        `FFmpegReader`, which accounts for every byte.
        """
        rest = window.size - self._file.frames * self._frame_bytes
        most = max(HEADER_BYTES, BESIDE_SECONDS * self.sample_rate * self._frame_bytes)
        return bool(self.format and self.codec) and rest <= most

    def blocks(self, length: int) -> Iterator[npt.NDArray[np.float32]]:
        """Yields `(time, channel)`, `length` samples each, the last one fewer."""
        while True:
            block = self._file.read(length, dtype="float32", always_2d=True)
            if len(block):
                yield block
            if len(block) < length:
                return

    def _cut_frames(self, window: Window) -> int:
        """Returns how many samples the header states beyond the end of the file, which libsndfile does not report."""
        stated = stated_size(window.at(0, 12))
        return max(0, stated - window.size) // self._frame_bytes if self._frame_bytes else 0


def _id3_tags(window: Window) -> dict[str, str]:
    """Returns `artist` and `album` of an ID3 tag inside WAV or AIFF, which libsndfile does not read."""
    form = ID3_FORMATS.get(window.at(8, 4))
    if form is None:
        return {}
    with window.part(0) as file:
        try:
            tags = form(fileobj=file).tags or {}
        except (*DAMAGED_TAGS, ValueError):
            return {}
    frames = {name: tags.get(frame) for name, frame in (("artist", "TPE1"), ("album", "TALB"))}
    return {name: frame.text[0] for name, frame in frames.items() if frame and frame.text}


def stated_size(head: bytes) -> int:
    """Returns the file's size in bytes as its header states it, or 0 if the writer did not know it."""
    order: Literal["little", "big"] = "little" if head[:4] in (b"RIFF", b"dns.") else "big"
    if head[:4] in (b".snd", b"dns."):
        offset, size = (int.from_bytes(head[at : at + 4], order) for at in (4, 8))
    else:
        offset, size = 8, int.from_bytes(head[4:8], order)
    return 0 if size >= 0x7FFF_FF00 else offset + size


def open_plain(window: Window) -> PlainReader | None:
    """Opens a file of plain samples; returns None if it is not one, or if its header and its size do not agree."""
    if not window.at(0, 4).startswith(MARKS):
        return None
    try:
        reader = PlainReader(window)
    except (soundfile.LibsndfileError, TypeError):
        return None
    return reader if reader.agrees_with(window) else None
