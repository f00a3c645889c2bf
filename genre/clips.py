"""The clips that the network learns from: which cut of which track, when, and how augmented."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genre.augment import augment
from genre.spectrograms import Spectrograms, clip_starts


@dataclass(frozen=True)
class TrainingClips:
    """Gives the batches of each epoch; an epoch depends on the seed and its number alone, not on the ones before.

    Attributes:
        tracks: The training tracks; each gives `clips_per_track` clips an epoch.
        labels: The number of each track's genre.
        crops: `fixed` takes the clips of evaluation, `random` a new cut for each.
        augmentation: The keyword arguments of `augment`.
    """

    spectrograms: Spectrograms
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
    """Gives a seed for one epoch, unrelated to those of its neighbours: training can go on from any epoch."""
    return int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> np.uint64(1))
