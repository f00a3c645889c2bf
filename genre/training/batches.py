"""The clips that the network is trained on: which part of which track, in which order, and how augmented."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from genre.spectrograms.clips import clip_starts, clips_of
from genre.spectrograms.params import Clips
from genre.spectrograms.store import SpectrogramStore
from genre.training.augment import augment
from genre.training.params import Augment, Train


@dataclass(frozen=True)
class TrainingClips:
    """The batches of each epoch; an epoch depends only on the seed and its number, not on the epochs before.

    Attributes:
        tracks: The training tracks; each has `clips_per_track` clips in an epoch.
        labels: The number of each track's genre.
        crops: `fixed` takes the clips of evaluation, `random` draws a new place in the track for each clip.
        augmentation: The keyword arguments of `augment`.
    """

    spectrograms: SpectrogramStore
    tracks: Sequence[str]
    labels: Sequence[int]
    clips_per_track: int
    clip_frames: int
    clip_spacing: str
    crops: str
    augmentation: Mapping[str, Any]
    seed: int

    def __len__(self) -> int:
        """The number of clips in an epoch."""
        return len(self.tracks) * self.clips_per_track

    def steps(self, batch_size: int) -> int:
        """The number of batches in an epoch; a last batch of a single clip is left out, batch norm needs two."""
        whole, rest = divmod(len(self), batch_size)
        return max(1, whole + (rest > 1))

    def batches(self, epoch: int, batch_size: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yields `(batch, mel, frame)` in 0..1 and `(batch,)` labels, `steps(batch_size)` times."""
        generator = torch.Generator().manual_seed(epoch_seed(self.seed, epoch))
        cuts = self._cuts(generator)
        order = torch.randperm(len(cuts), generator=generator).tolist()
        for start in range(0, self.steps(batch_size) * batch_size, batch_size):
            chosen = [cuts[place] for place in order[start : start + batch_size]]
            arrays = [self.spectrograms.cut(self.tracks[track], first, self.clip_frames) for track, first in chosen]
            clips = torch.from_numpy(np.stack(arrays).astype(np.float32))
            labels = torch.tensor([self.labels[track] for track, _ in chosen])
            yield augment(clips, generator=generator, **self.augmentation), labels

    def _cuts(self, generator: torch.Generator) -> list[tuple[int, int]]:
        """Lists the number of the track and the first frame of each clip."""
        cuts = []
        for number, track in enumerate(self.tracks):
            frames = self.spectrograms.frames(track)
            starts = clip_starts(frames, self.clips_per_track, self.clip_frames, self.clip_spacing)
            if self.crops == "random":
                last = frames - self.clip_frames
                starts = torch.randint(0, last + 1, (self.clips_per_track,), generator=generator).tolist()
            cuts += [(number, start) for start in starts]
        return cuts


def epoch_seed(seed: int, epoch: int) -> int:
    """Returns the seed of one epoch, unrelated to those of others, so that training can go on from any epoch."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def training_clips(
    store: SpectrogramStore,
    table: pd.DataFrame,
    genres: Sequence[str],
    clips: Clips,
    augmentation: Augment,
    train: Train,
) -> TrainingClips:
    """Returns the clips of the tracks that `table` (columns `track, genre, subset`) assigns to train."""
    rows = table[table["subset"] == "train"]
    return TrainingClips(
        store, list(rows["track"]), [genres.index(genre) for genre in rows["genre"]],
        clips.clips_per_track, train.input_frames(clips.clip_frames), clips.clip_spacing,
        train.crops, augmentation.model_dump(), train.seed,
    )  # fmt: skip


def validation_clips(
    store: SpectrogramStore, table: pd.DataFrame, genres: Sequence[str], clips: Clips
) -> tuple[Tensor, Tensor] | None:
    """Returns the clips `(clip, mel, frame)` of the subset valid and their labels `(clip,)`; None if it is empty."""
    rows = table[table["subset"] == "valid"]
    if rows.empty:
        return None
    values = clips_of(store, list(rows["track"]), **clips.model_dump())
    labels = torch.tensor([genres.index(genre) for genre in rows["genre"]])
    return torch.from_numpy(values), labels.repeat_interleave(clips.clips_per_track)
