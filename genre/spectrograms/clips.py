"""How a track is cut into clips, the pieces of equal length that the network classifies."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:  # the store imports pandas, which who only predicts does not need
    from genre.spectrograms.store import SpectrogramStore

BLOCK_TRACKS = 256  # whose clips are in memory together; their number fills whole batches of evaluation


def clip_starts(frames: int, clips_per_track: int, clip_frames: int, clip_spacing: str) -> list[int]:
    """Returns the first frame of each clip of a track of `frames` frames.

    Args:
        frames: Length of the track, at least `clip_frames`.
        clips_per_track: Number of clips.
        clip_frames: Length of a clip.
        clip_spacing: `even` spreads the clips over the whole track, from its first frame to its last; they overlap if
            the track is short. `contiguous` cuts one after the other from the start, as the reference system does,
            and falls back to `even` where the track is too short for that.
    """
    if clip_spacing == "contiguous" and frames >= clips_per_track * clip_frames:
        return [number * clip_frames for number in range(clips_per_track)]
    if clips_per_track == 1:
        return [(frames - clip_frames) // 2]
    return [number * (frames - clip_frames) // (clips_per_track - 1) for number in range(clips_per_track)]


def clips_of(
    store: "SpectrogramStore", tracks: Sequence[str], *, clips_per_track: int, clip_frames: int, clip_spacing: str
) -> npt.NDArray[np.float16]:
    """Cuts tracks into their clips, first all clips of the first track: `(clip, n_mels, clip_frames)`.

    Each track gives `clips_per_track` clips; see `clip_starts` for where they begin, and when they overlap.

    Raises:
        ValueError: A track is shorter than a clip.
    """
    n_mels = store.values.shape[1]
    clips = np.empty((len(tracks), clips_per_track, n_mels, clip_frames), np.float16)
    for place, track in zip(clips, tracks, strict=True):
        starts = clip_starts(store.frames(track), clips_per_track, clip_frames, clip_spacing)
        for number, start in enumerate(starts):
            place[number] = store.cut(track, start, clip_frames)
    return clips.reshape(-1, n_mels, clip_frames)


def blocks_of(
    store: "SpectrogramStore", tracks: Sequence[str], **clip_params: Any
) -> Iterator[npt.NDArray[np.float16]]:
    """Yields what `clips_of` returns, in blocks of `BLOCK_TRACKS` tracks: memory does not grow with the corpus."""
    for start in range(0, len(tracks), BLOCK_TRACKS):
        yield clips_of(store, tracks[start : start + BLOCK_TRACKS], **clip_params)


def check(store: "SpectrogramStore", tracks: Iterable[str], *, n_mels: int, clip_frames: int) -> None:
    """Checks that the store has the spectrograms that clips are cut from: those of every track, long enough.

    Raises:
        ValueError: The number of mel bands is another, or a track is unknown or too short; the message says what to do.
    """
    if store.values.shape[1] != n_mels:
        raise ValueError(
            f"the spectrograms must have {n_mels} mel bands (spectrogram.n_mels), got {store.values.shape[1]}; run "
            "`dvc repro spectrogram`"
        )
    for track in tracks:
        if track not in store.index:
            raise ValueError(f"track {track!r} has no spectrogram; run `dvc repro spectrogram`")
        if store.frames(track) < clip_frames:
            raise ValueError(
                f"every track must have at least split.clip_frames ({clip_frames}) frames, {track!r} has "
                f"{store.frames(track)}; raise data.min_seconds, so that it is excluded, or lower clip_frames"
            )
