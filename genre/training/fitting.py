"""Fits a network to the training tracks, and its calibration: from new weights, or on top of the pretrained trunk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from genre.network import inference
from genre.network.hardware import Hardware
from genre.network.musicnn.network import Musicnn
from genre.spectrograms.params import Clips
from genre.spectrograms.store import SpectrogramStore
from genre.training import batches, calibration, loop, pretrained
from genre.training.checkpoint import TrainingState
from genre.training.distributed import ALONE, Group
from genre.training.params import Augment, Train

OnEpoch = Callable[[dict[str, float]], None]


@dataclass(frozen=True)
class Material:
    """What a training is made from.

    Attributes:
        store: The spectrograms.
        table: The tracks: columns `track, genre, subset`.
        genres: The names of the genres, in alphabetical order.
        checkpoint_path: Where the state is written after each epoch; beside it the features of the pretrained trunk.
        key: What the training is made from, see `genre.training.run_key`.
        group: The processes that train together.
    """

    store: SpectrogramStore
    table: pd.DataFrame
    genres: Sequence[str]
    clips: Clips
    augment: Augment
    train: Train
    hardware: Hardware
    checkpoint_path: Path | None = None
    key: str = ""
    group: Group = ALONE

    @property
    def features_path(self) -> Path | None:
        """Where the features of the pretrained trunk are kept until the training has ended."""
        path = self.checkpoint_path
        return path and path.with_name(f"{path.stem}-features{path.suffix}")

    @property
    def clips_per_epoch(self) -> int:
        """The number of clips in an epoch."""
        return int((self.table["subset"] == "train").sum()) * self.clips.clips_per_track

    def has_steps(self, network: nn.Module) -> bool:
        """Returns whether the network is trained step by step; a head on a fixed trunk is fitted at once."""
        return not isinstance(network, Musicnn) or self.train.trunk_rate > 0


def fit(
    network: nn.Module, given: Material, on_epoch: OnEpoch, on_steps: loop.OnSteps = lambda *_: None
) -> tuple[TrainingState, dict[str, float]]:
    """Trains `network` in place.

    With `model.network: musicnn` a head is fitted to the features of the pretrained trunk; where `train.trunk_rate` is
    above 0, the trunk is then trained on with it.

    Args:
        network: Its weights are replaced by those to keep.
        given: What the training is made from.
        on_epoch: Called with each row of the history.
        on_steps: Called about once a second in each epoch, see `genre.training.loop.OnSteps`.

    Returns:
        The history with the weights to keep, and the calibration; the first process of a group alone gets the latter.

    Raises:
        ValueError: The numbers are no longer finite, memory ran out, weights are missing, or there are too few tracks.
    """
    if not isinstance(network, Musicnn):
        return _fit_by_steps(network, given, on_epoch, on_steps)
    if given.has_steps(network) and "valid" not in set(given.table["subset"]):
        raise ValueError(
            "train.trunk_rate above 0 must have a validation subset, which chooses the epoch and gives temperature and "
            "threshold; set split.valid to 0.2, or trunk_rate to 0"
        )
    tracks = (given.table["subset"] == "train").sum()
    print(f"{tracks} tracks; a head on the features of musicnn, on {given.hardware.device}")
    fitted = pretrained.fit(
        network, given.store, given.table, given.genres, given.clips,
        hardware=given.hardware, seed=given.train.seed, checkpoint_path=given.features_path,
    )  # fmt: skip
    if given.has_steps(network):
        with torch.no_grad():  # to the scale at which the cross entropy of the logits means probabilities
            for parameter in network.head.parameters():
                parameter.div_(fitted.calibration["temperature"])
        return _fit_by_steps(network, given, on_epoch, on_steps)
    on_epoch(fitted.state.history[0])
    return fitted.state, fitted.calibration


def _fit_by_steps(
    network: nn.Module, given: Material, on_epoch: OnEpoch, on_steps: loop.OnSteps
) -> tuple[TrainingState, dict[str, float]]:
    """Trains a network by the training loop; validation clips choose the epoch and give the calibration."""
    group, device = given.group, given.hardware
    valid = batches.validation_clips(given.store, given.table, given.genres, given.clips)
    learners = batches.training_clips(
        given.store, given.table, given.genres, given.clips, given.augment, given.train, hardware=device, group=group
    )
    if group.writes:
        processes = f", {group.size} processes" if group.size > 1 else ""
        print(f"{len(learners.tracks)} tracks, {len(learners)} clips an epoch, on {device.device}, "
              f"{device.precision}{processes}")  # fmt: skip
    state = loop.fit(
        network, learners, valid, given.train,
        hardware=device, checkpoint_path=given.checkpoint_path, key=given.key, on_epoch=on_epoch, on_steps=on_steps,
    )  # fmt: skip
    network.load_state_dict(state.best)
    return state, _calibrate(network, valid, given.clips.clips_per_track, device) if group.writes else {}


def _calibrate(
    network: nn.Module, valid: tuple[Tensor, Tensor] | None, clips_per_track: int, hardware: Hardware
) -> dict[str, float]:
    """Fits temperature and threshold to the validation clips; without any, probabilities stay as they are."""
    if valid is None:
        return calibration.NOT_FITTED
    logits = inference.compute_logits(network, valid[0], hardware=hardware).numpy()
    of_tracks = logits.reshape(-1, clips_per_track, logits.shape[1])
    return calibration.fit(of_tracks, valid[1][::clips_per_track].numpy())
