"""Stage train: trains the network; a training that was killed goes on from its last epoch."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from genre.audio.params import Spectrogram
from genre.console import stage
from genre.console.progress import TrainingBar, progress
from genre.network import hardware, model_file
from genre.network.musicnn import weights
from genre.network.musicnn.network import Musicnn
from genre.network.params import Model
from genre.pipeline import tables
from genre.pipeline.settings import Settings, flat, repository
from genre.spectrograms import clips, store
from genre.spectrograms.params import Clips
from genre.tracking import live
from genre.training import checkpoint, distributed, fitting, run_key
from genre.training.params import Augment, Train


def main(settings: Settings, values: Path, index: Path, split_csv: Path, model_pt: Path, history_csv: Path) -> None:
    """Writes the model and the history of its training."""
    train, model = settings.load(Train), settings.load(Model)
    device = hardware.choose_hardware(train.device, train.precision)
    work = partial(_train, settings, (values, index, split_csv), model_pt, history_csv, device)
    if model.network == "musicnn":  # its features are computed once, and its head is fitted in seconds
        if distributed.is_first_process():
            work(distributed.ALONE)
    else:
        distributed.run(work, device, train.devices, train.batch_size)


def _train(
    settings: Settings, inputs: Sequence[Path], model_pt: Path, history_csv: Path, device: hardware.Hardware,
    group: distributed.Group,
) -> None:  # fmt: skip
    """Trains as one of the processes of `group`; the first of them writes all that is written."""
    clip, spectrogram, model = settings.load(Clips), settings.load(Spectrogram), settings.load(Model)
    augment, train = settings.load(Augment), settings.load(Train)
    spectrograms, table = store.read(*inputs[:2]), tables.read_csv(inputs[2], tables.SPLIT)
    clips.check(spectrograms, table["track"], n_mels=spectrogram.n_mels, clip_frames=clip.clip_frames)
    genres = sorted(table["genre"].unique())

    hardware.seed_everything(train.seed)
    network_params = {"n_mels": spectrogram.n_mels, "clip_frames": clip.clip_frames, **model.model_dump()}
    network = model_file.make_network(network_params, len(genres))
    parameters = flat(clip, spectrogram, augment, model, train)
    del parameters["train.devices"]  # a training may go on with another number of devices
    machine = {**vars(device), "torch": torch.__version__}
    if device.device != "cpu":
        del machine["threads"]  # which a launcher may change, and which do not matter on a GPU
    checkpoint_key = run_key.run_key(inputs, parameters, machine)
    path = repository() / ".checkpoints" / f"{checkpoint_key}.pt"
    given = fitting.Material(
        spectrograms, table, genres, clip, augment, train, device, path, checkpoint_key, group
    )  # fmt: skip
    if not group.writes:
        fitting.fit(network, given, lambda _: None)
        return
    key = run_key.run_key(inputs, parameters, {**machine, "devices": group.size})  # another number is another run
    with live.training_run(key, settings.flat(), inputs) as run:
        state, calibrated = _fit(network, given, run.log_epoch)
        tables.write_csv(_history(state), history_csv)
        is_pretrained = isinstance(network, Musicnn)
        model_file.save(
            model_pt, network, network_params=network_params, genres=genres, clip_params=clip.model_dump(),
            spectrogram=spectrogram.model_dump(), calibration=calibrated,
            credits={"licence": weights.LICENCE, "citation": weights.CITATION} if is_pretrained else {},
        )  # fmt: skip
        run.finish(model_pt, best_epoch=state.best_epoch)
    checkpoint.prune(path, given.features_path)


def _fit(
    network: nn.Module, given: fitting.Material, log_epoch: fitting.OnEpoch
) -> tuple[checkpoint.TrainingState, dict[str, float]]:
    """Fits the network with one bar over the clips of all epochs; a head on a fixed trunk has no epochs."""
    if not given.has_steps(network):
        return fitting.fit(network, given, log_epoch)
    with progress("training", given.train.epochs * given.clips_per_epoch, "clip") as bar:
        shown = TrainingBar(bar, given.train.epochs, given.clips_per_epoch)

        def on_epoch(row: dict[str, float]) -> None:
            shown.on_epoch(row)
            log_epoch(row)

        return fitting.fit(network, given, on_epoch, shown.on_steps)


def _history(state: checkpoint.TrainingState) -> pd.DataFrame:
    """Returns the history of the epochs with the column `kept`, which is 1 for the epoch whose weights are kept."""
    history = pd.DataFrame(state.history)
    history["kept"] = (history["epoch"] == state.best_epoch).astype(int)
    return history[[column for column in tables.HISTORY if column in history]]


if __name__ == "__main__":
    stage.run(main)
