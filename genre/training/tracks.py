"""The spectrograms of the training tracks, on the GPU if they fit there, and how a batch of clips is cut from them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genre.network.hardware import Hardware
from genre.spectrograms.store import SpectrogramStore


@dataclass(frozen=True)
class TrainingTracks:
    """The training tracks, in one array along the frames.

    Attributes:
        values: `(frame, n_mels)` in 0..1, float16: a tensor on the device, or the memory-mapped array of the store.
        starts: `(track,)`, the first frame of each track in `values`. It, `frames` and `labels` are on the CPU, so that
            the same seed draws the same clips, wherever `values` is.
        frames: `(track,)`, the length of each track.
        labels: `(track,)`, the number of each track's genre.
        device: Where the network computes.
    """

    values: Tensor | npt.NDArray[np.float16]
    starts: Tensor
    frames: Tensor
    labels: Tensor
    device: str

    def __len__(self) -> int:
        """The number of tracks."""
        return len(self.labels)

    def cut(self, places: Tensor, clip_frames: int) -> Tensor:
        """Cuts a batch of clips: `(batch, mel, frame)`, float32, on the device.

        Args:
            places: `(batch,)`, the first frame of each clip in `values`; on the CPU.
            clip_frames: Length of a clip.
        """
        rows = (places[:, None] + torch.arange(clip_frames)).flatten()
        if isinstance(self.values, Tensor):
            clips = self.values.index_select(0, self.to_device(rows))
        else:
            clips = self.to_device(torch.from_numpy(np.asarray(self.values[rows.numpy()])))
        clips = clips.view(len(places), clip_frames, -1).transpose(1, 2)
        return clips.to(torch.float32, memory_format=torch.contiguous_format)

    def to_device(self, values: Tensor) -> Tensor:
        """Copies to the device while the device goes on computing; the host goes on too."""
        # Only from pinned memory: on other devices a copy that is not waited for may read memory that was freed.
        pinned = self.device == "cuda" and not values.is_cuda
        values = values.contiguous()
        return (values.pin_memory() if pinned else values).to(self.device, non_blocking=pinned)


def place_tracks(
    store: SpectrogramStore, tracks: Sequence[str], labels: Sequence[int], hardware: Hardware
) -> TrainingTracks:
    """Copies the tracks to the GPU if half of its free memory holds them, else leaves them in the memory-mapped store.

    Clips of tracks that stay in the store are cut on the CPU, batch by batch, while the GPU computes.
    """
    index = [store.index[track] for track in tracks]
    starts, frames = torch.tensor([start for start, _ in index]), torch.tensor([length for _, length in index])
    of_tracks = torch.tensor(labels)
    n_mels = store.values.shape[1]
    if not hardware.has_room_for(2 * n_mels * int(frames.sum())):
        return TrainingTracks(store.values, starts, frames, of_tracks, hardware.device)
    values = torch.empty(int(frames.sum()), n_mels, dtype=torch.float16, device=hardware.device)
    for part, track in zip(torch.split(values, frames.tolist()), tracks, strict=True):
        part.copy_(torch.from_numpy(store.whole(track).T.copy()))
    return TrainingTracks(values, frames.cumsum(0) - frames, frames, of_tracks, hardware.device)
