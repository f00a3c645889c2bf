"""The clips that the network is trained on: which part of which track, in which order, and how augmented."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from genre.network.hardware import Hardware
from genre.spectrograms.clips import clip_starts, clips_of
from genre.spectrograms.store import SpectrogramStore
from genre.training.augment import augment
from genre.training.distributed import ALONE, Group
from genre.training.mixup import draw_shares, mix, partners
from genre.training.tracks import TrainingTracks, place_tracks

if TYPE_CHECKING:
    from genre.spectrograms.params import Clips
    from genre.training.params import Augment, Train


class Batch(NamedTuple):
    """What one process computes of a training step.

    Attributes:
        clips: `(batch, mel, frame)`, augmented, on the device.
        labels: `(batch,)`. A process for which the epoch's last batch has no clip gets one clip and no label.
        shares: `(batch,)`, the share of each clip in the mixed one; None without mixup.
        others: `(batch,)`, the labels of the clips mixed in; None without mixup.
        size: The number of clips of all processes.
    """

    clips: Tensor
    labels: Tensor
    shares: Tensor | None
    others: Tensor | None
    size: int


@dataclass(frozen=True)
class TrainingClips:
    """The batches of each epoch; an epoch depends only on the seed and its number, not on the epochs before.

    Attributes:
        tracks: The training tracks; each has `clips_per_track` clips in an epoch.
        crops: `fixed` takes the clips of evaluation, `random` draws a new place in the track for each clip.
        augmentation: The keyword arguments of `augment`.
        mixup: Parameter of the Beta distribution; 0 mixes no clips.
        group: The processes that share each batch.
    """

    tracks: TrainingTracks
    clips_per_track: int
    clip_frames: int
    clip_spacing: str
    crops: str
    augmentation: Mapping[str, Any]
    mixup: float
    seed: int
    group: Group = ALONE

    def __len__(self) -> int:
        """The number of clips in an epoch."""
        return len(self.tracks) * self.clips_per_track

    def steps(self, batch_size: int) -> int:
        """The number of batches in an epoch; a last batch of a single clip is left out, batch norm needs two."""
        whole, rest = divmod(len(self), batch_size)
        return max(1, whole + (rest > 1))

    def batches(self, epoch: int, batch_size: int) -> Iterator[Batch]:
        """Yields this process's part of each batch, `steps(batch_size)` times.

        All processes draw the same places and the same order, and each takes its part of them; each draws its own
        augmentation. Nothing is read back from the device.
        """
        places, labels, shares = self._epoch(epoch)
        device, rank = self.tracks.device, self.group.rank
        generator = torch.Generator(device).manual_seed(epoch_seed(self.seed, epoch, 1, rank))
        for start in range(0, self.steps(batch_size) * batch_size, batch_size):
            batch = slice(start, min(start + batch_size, len(self)))
            mine, own = self.group.part(places[batch]), self.group.part(labels[batch])
            clips = self.tracks.cut(mine if len(mine) else places[batch][:1], self.clip_frames)
            clips = augment(clips, generator=generator, **self.augmentation)
            made = Batch(clips, self.tracks.to_device(own), None, None, batch.stop - batch.start)
            yield made if shares is None or not len(own) else _mixed(made, self.group.part(shares[batch]))

    def _epoch(self, epoch: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Draws the clips of an epoch in their order.

        Returns:
            `(clip,)` each: on the CPU the place in `tracks.values` and the label, on the device the share for mixup.
        """
        seed, tracks = epoch_seed(self.seed, epoch), self.tracks
        generator = torch.Generator().manual_seed(seed)
        order = torch.randperm(len(self), generator=generator)
        places = (tracks.starts[:, None] + self._starts(generator)).flatten()
        labels = tracks.labels.repeat_interleave(self.clips_per_track, output_size=len(self))
        shares = tracks.to_device(draw_shares(self.mixup, len(self), seed)) if self.mixup else None
        return places[order], labels[order], shares

    def _starts(self, generator: torch.Generator) -> Tensor:
        """Returns the first frame of each clip in its track: `(track, clip)`."""
        frames, count = self.tracks.frames, self.clips_per_track
        if self.crops == "random":
            # The rest of the division makes early frames more probable by less than one in ten thousand.
            drawn = torch.randint(2**31 - 1, (len(frames), count), generator=generator)
            return drawn % (frames[:, None] - self.clip_frames + 1)
        starts = [clip_starts(length, count, self.clip_frames, self.clip_spacing) for length in frames.tolist()]
        return torch.tensor(starts)


def _mixed(batch: Batch, shares: Tensor) -> Batch:
    return batch._replace(clips=mix(batch.clips, shares), shares=shares, others=partners(batch.labels))


def epoch_seed(seed: int, epoch: int, *stream: int) -> int:
    """Returns the seed of one epoch, unrelated to those of others, so that training can go on from any epoch.

    Args:
        seed: The seed of the training.
        epoch: The number of the epoch.
        stream: At most two numbers, the first not 0, that tell apart what draws random numbers, such as a process.
    """
    return int(np.random.SeedSequence([seed, epoch, *stream]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def training_clips(
    store: SpectrogramStore,
    table: pd.DataFrame,
    genres: Sequence[str],
    clips: "Clips",
    augmentation: "Augment",
    train: "Train",
    *,
    hardware: Hardware,
    group: Group = ALONE,
) -> TrainingClips:
    """Returns the clips of the tracks that `table` (columns `track, genre, subset`) assigns to train."""
    rows = table[table["subset"] == "train"]
    labels = [genres.index(genre) for genre in rows["genre"]]
    return TrainingClips(
        place_tracks(store, list(rows["track"]), labels, hardware),
        clips.clips_per_track, train.input_frames(clips.clip_frames), clips.clip_spacing,
        train.crops, augmentation.model_dump(), train.mixup, train.seed, group,
    )  # fmt: skip


def validation_clips(
    store: SpectrogramStore, table: pd.DataFrame, genres: Sequence[str], clips: "Clips"
) -> tuple[Tensor, Tensor] | None:
    """Returns the clips `(clip, mel, frame)` of the subset valid and their labels `(clip,)`; None if it is empty."""
    rows = table[table["subset"] == "valid"]
    if rows.empty:
        return None
    values = clips_of(store, list(rows["track"]), **clips.model_dump())
    labels = torch.tensor([genres.index(genre) for genre in rows["genre"]])
    return torch.from_numpy(values), labels.repeat_interleave(clips.clips_per_track)
