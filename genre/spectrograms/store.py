"""The store of spectrograms: whole tracks one after the other in one array, and an index of where each begins."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import pandas as pd

from genre.pipeline import files, tables


@dataclass(frozen=True)
class SpectrogramStore:
    """The spectrograms of all tracks, read from disk when they are used.

    Attributes:
        values: `(frame, n_mels)` in 0..1, memory-mapped; the tracks follow each other along the frames.
        index: track -> its first frame and its number of frames.
    """

    values: npt.NDArray[np.float16]
    index: dict[str, tuple[int, int]]

    def frames(self, track: str) -> int:
        """Returns the number of frames of a track."""
        return self.index[track][1]

    def cut(self, track: str, start: int, frames: int) -> npt.NDArray[np.float16]:
        """Returns `frames` frames of a track, from its frame `start` on: `(n_mels, frame)`.

        Raises:
            ValueError: The track does not have all of these frames.
        """
        first, length = self.index[track]
        if start < 0 or start + frames > length:
            raise ValueError(f"track {track} has {length} frames, no cut of {frames} at {start}")
        return self.values[first + start : first + start + frames].T

    def whole(self, track: str) -> npt.NDArray[np.float16]:
        """Returns all of a track: `(n_mels, frame)`."""
        return self.cut(track, 0, self.frames(track))


def read(values_path: Path, index_path: Path) -> SpectrogramStore:
    """Opens a store.

    Raises:
        ValueError: The array is not a whole .npy file of the expected kind, or the index does not fit it.
    """
    try:
        values = np.load(values_path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{values_path} must be a .npy array: {error}") from error
    if values.ndim != 2 or values.dtype != np.float16:
        raise ValueError(f"{values_path} must be a (frame, n_mels) array of float16, got {values.shape} {values.dtype}")
    index = tables.read_csv(index_path, tables.STORE_INDEX)
    if index["frames"].sum() != len(values) or not (index["start"] == index["frames"].cumsum() - index["frames"]).all():
        raise ValueError(f"{index_path} must cover the {len(values)} frames of {values_path} without a gap")
    places = zip(index["start"].tolist(), index["frames"].tolist(), strict=True)
    return SpectrogramStore(values, dict(zip(index["track"], places, strict=True)))


def write(
    items: Iterable[tuple[str, npt.NDArray[np.float16]]], n_mels: int, values_path: Path, index_path: Path
) -> None:
    """Writes tracks in the order in which they come; only one of them is in memory at a time.

    Args:
        items: Pairs of a track's name and its spectrogram `(frame, n_mels)`.
        n_mels: Number of mel bands.
        values_path: The array, a .npy file.
        index_path: The index, a table.
    """
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
        tables.write_csv(pd.DataFrame(rows, columns=list(tables.STORE_INDEX)), index_path)


def _write_header(file: IO[bytes], frames: int, n_mels: int) -> None:
    """Writes the head of a .npy file; numpy pads it so that its length does not depend on the first dimension."""
    header = {"descr": np.dtype(np.float16).str, "fortran_order": False, "shape": (frames, n_mels)}
    np.lib.format.write_array_header_1_0(file, header)
