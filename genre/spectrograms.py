"""The packed store of spectrograms: whole tracks one after the other in one array, and an index of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from genre import files


@dataclass(frozen=True)
class Spectrograms:
    """Reads whole tracks or cuts of them.

    Attributes:
        values: `(frame, n_mels)` in 0..1, memory-mapped; the tracks follow each other along the frames.
        index: track -> its first frame and its number of frames.
    """

    values: npt.NDArray[np.float16]
    index: dict[str, tuple[int, int]]

    def frames(self, track: str) -> int:
        """Gives the number of frames of a track."""
        return self.index[track][1]

    def cut(self, track: str, start: int, frames: int) -> npt.NDArray[np.float16]:
        """Cuts `frames` frames out of a track, from frame `start` of it: `(n_mels, frame)`."""
        first, length = self.index[track]
        if start < 0 or start + frames > length:
            raise ValueError(f"track {track} has {length} frames, no cut of {frames} at {start}")
        return self.values[first + start : first + start + frames].T

    def whole(self, track: str) -> npt.NDArray[np.float16]:
        """Gives all of a track: `(n_mels, frame)`."""
        return self.cut(track, 0, self.frames(track))

    def clips(
        self, track: str, *, clips_per_track: int, clip_frames: int, clip_spacing: str
    ) -> npt.NDArray[np.float16]:
        """Cuts a track into its clips: `(clip, n_mels, clip_frames)`."""
        starts = clip_starts(self.frames(track), clips_per_track, clip_frames, clip_spacing)
        return np.stack([self.cut(track, start, clip_frames) for start in starts])

    def clips_of(
        self, tracks: Sequence[str], *, clips_per_track: int, clip_frames: int, clip_spacing: str
    ) -> npt.NDArray[np.float16]:
        """Cuts tracks into their clips, those of one after those of the other: `(clip, n_mels, clip_frames)`."""
        shape = (len(tracks), clips_per_track, self.values.shape[1], clip_frames)
        clips = np.empty(shape, np.float16)  # a list of all beside it would take their memory twice
        for place, track in zip(clips, tracks, strict=True):
            place[:] = self.clips(
                track, clips_per_track=clips_per_track, clip_frames=clip_frames, clip_spacing=clip_spacing
            )
        return clips.reshape(-1, *shape[2:])

    def check(self, tracks: Iterable[str], clip_frames: int) -> None:
        """Checks that every track is there and at least a clip long.

        Raises:
            ValueError: A track is unknown or too short; the message says what to change.
        """
        for track in tracks:
            if track not in self.index:
                raise ValueError(f"track {track!r} has no spectrogram; run `dvc repro spectrogram`")
            if self.frames(track) < clip_frames:
                raise ValueError(
                    f"every track must have at least split.clip_frames ({clip_frames}) frames, {track!r} has "
                    f"{self.frames(track)}; raise data.min_seconds, so that it is excluded, or lower clip_frames"
                )


def clip_starts(frames: int, clips_per_track: int, clip_frames: int, clip_spacing: str) -> list[int]:
    """Gives the first frame of each clip of a track of `frames` frames.

    `even` spreads the clips over the whole track, from its first frame to its last; they overlap if the track is
    short. `contiguous` cuts one after the other from the start, as the reference system does, and falls back to
    `even` where the track is too short for that.
    """
    if clip_spacing == "contiguous" and frames >= clips_per_track * clip_frames:
        return [number * clip_frames for number in range(clips_per_track)]
    if clips_per_track == 1:
        return [(frames - clip_frames) // 2]
    return [number * (frames - clip_frames) // (clips_per_track - 1) for number in range(clips_per_track)]


def read(values_path: Path, index_path: Path) -> Spectrograms:
    """Opens a store; the array stays on disk until it is used.

    Raises:
        ValueError: The array is not a whole .npy file of the expected kind, or the index does not fit it.
    """
    try:
        values = np.load(values_path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{values_path} must be a .npy array: {error}") from error
    if values.ndim != 2 or values.dtype != np.float16:
        raise ValueError(f"{values_path} must be a (frame, n_mels) array of float16, got {values.shape} {values.dtype}")
    index = files.read_csv(index_path, ["track", "start", "frames"])
    if index["frames"].sum() != len(values) or not (index["start"] == index["frames"].cumsum() - index["frames"]).all():
        raise ValueError(f"{index_path} must cover the {len(values)} frames of {values_path} without a gap")
    return Spectrograms(
        values,
        dict(zip(index["track"], zip(index["start"].tolist(), index["frames"].tolist(), strict=True), strict=True)),
    )


def write(
    items: Iterable[tuple[str, npt.NDArray[np.float16]]], n_mels: int, values_path: Path, index_path: Path
) -> None:
    """Packs `(track, (frame, n_mels))` items as they come; one track at a time is in memory."""
    rows, frames = [], 0
    with files.replacing(values_path) as temporary:
        with temporary.open("wb") as file:
            _write_header(file, frames, n_mels)
            for track, mel_specgram in items:
                file.write(np.ascontiguousarray(mel_specgram, np.float16).tobytes())
                rows.append((track, frames, len(mel_specgram)))
                frames += len(mel_specgram)
            file.seek(0)
            _write_header(file, frames, n_mels)
        files.write_csv(pd.DataFrame(rows, columns=["track", "start", "frames"]), index_path)


def _write_header(file: Any, frames: int, n_mels: int) -> None:
    """Writes the head of a .npy file; numpy pads it so that its length does not depend on the first dimension."""
    header = {"descr": np.dtype(np.float16).str, "fortran_order": False, "shape": (frames, n_mels)}
    np.lib.format.write_array_header_1_0(file, header)
