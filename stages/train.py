"""Stage train: trains the network; a training that was killed goes on from its last epoch."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from genre.audio.params import Spectrogram
from genre.console import stage
from genre.console.progress import TrainingBar, activity, progress
from genre.network import hardware, inference, model_file, musicnn
from genre.network.params import Model
from genre.pipeline import tables
from genre.pipeline.settings import Settings, flat, repository
from genre.spectrograms import clips, store
from genre.spectrograms.params import Clips
from genre.tracking import live
from genre.training import batches, calibration, checkpoint, distributed, loop, pretrained, run_key
from genre.training.params import Augment, Train


def main(settings: Settings, values: Path, index: Path, split_csv: Path, model_pt: Path, history_csv: Path) -> None:
    """Writes the model and the history of its training."""
    train, model = settings.load(Train), settings.load(Model)
    device = hardware.choose_hardware(train.device, train.precision)
    work = partial(_train, settings, (values, index, split_csv), model_pt, history_csv, device)
    if model.network == "musicnn":  # its features are computed once, and its head is fitted in seconds
        work(distributed.ALONE)
    else:
        distributed.run(work, device, train.devices, train.batch_size)


def _train(
    settings: Settings, inputs: Sequence[Path], model_pt: Path, history_csv: Path, device: hardware.Hardware,
    group: distributed.Group,
) -> None:  # fmt: skip
    """Trains as one of the processes of `group`; the first of them writes all that is written."""
    clip, spectrogram, model = settings.load(Clips), settings.load(Spectrogram), settings.load(Model)
    spectrograms, table = store.read(*inputs[:2]), tables.read_csv(inputs[2], tables.SPLIT)
    clips.check_lengths(spectrograms, table["track"], clip.clip_frames)
    genres = sorted(table["genre"].unique())

    hardware.seed_everything(settings.load(Train).seed)
    network_params = {"n_mels": spectrogram.n_mels, "clip_frames": clip.clip_frames, **model.model_dump()}
    network = model_file.make_network(network_params, len(genres))
    parameters = flat(clip, spectrogram, settings.load(Augment), model, settings.load(Train))
    del parameters["train.devices"]  # a training may go on with another number of devices
    machine = {**vars(device), "torch": torch.__version__}
    checkpoint_key = run_key.run_key(inputs, parameters, machine)
    key = run_key.run_key(inputs, parameters, {**machine, "devices": group.size})  # another number is another run
    path, credits_of_weights = repository() / ".checkpoints" / f"{checkpoint_key}.pt", {}
    fit = partial(_fit, settings, network, spectrograms, table, genres, device, group, path, checkpoint_key)
    if not group.writes:
        fit(lambda _: None)
        return
    with live.training_run(key, settings.sections, inputs) as run:
        if isinstance(network, musicnn.Musicnn):
            state, calibrated = _fit_pretrained(settings, network, spectrograms, table, genres, device, path)
            credits_of_weights = {"licence": musicnn.LICENCE, "citation": musicnn.CITATION}
            run.log_epoch(state.history[0])
        else:
            state, calibrated = fit(run.log_epoch)
        tables.write_csv(_history(state), history_csv)
        model_file.save(
            model_pt, network, network_params=network_params, genres=genres, clip_params=clip.model_dump(),
            spectrogram=spectrogram.model_dump(), calibration=calibrated, credits=credits_of_weights,
        )  # fmt: skip
        run.finish(model_pt, best_epoch=state.best_epoch)
    checkpoint.prune(path)


def _fit(
    settings: Settings, network: nn.Module, spectrograms: store.SpectrogramStore, table: pd.DataFrame,
    genres: Sequence[str], device: hardware.Hardware, group: distributed.Group, path: Path, key: str,
    on_epoch: Callable[[dict[str, float]], None],
) -> tuple[checkpoint.TrainingState, dict[str, float]]:  # fmt: skip
    """Trains the network from new weights; returns the history and the calibration."""
    clip, train = settings.load(Clips), settings.load(Train)
    valid = batches.validation_clips(spectrograms, table, genres, clip)
    learners = batches.training_clips(
        spectrograms, table, genres, clip, settings.load(Augment), train, hardware=device, group=group
    )
    if group.writes:
        processes = f", {group.size} processes" if group.size > 1 else ""
        print(
            f"{len(learners.tracks)} tracks, {len(learners)} clips an epoch, on {device.device}, {device.precision}"
            f"{processes}"
        )
    fit = partial(loop.fit, network, learners, valid, train, hardware=device, checkpoint_path=path, key=key)
    if not group.writes:
        state = fit()
        network.load_state_dict(state.best)
        return state, {}
    with progress("training", train.epochs * len(learners), "clip") as bar:
        shown = TrainingBar(bar, train.epochs, len(learners))

        def both(row: dict[str, float]) -> None:
            shown.on_epoch(row)
            on_epoch(row)

        state = fit(on_epoch=both, on_steps=shown.on_steps)
    network.load_state_dict(state.best)
    with activity("calibrating the probabilities on the validation clips"):
        return state, _calibration(network, valid, clip.clips_per_track, device)


def _fit_pretrained(
    settings: Settings, network: musicnn.Musicnn, spectrograms: store.SpectrogramStore, table: pd.DataFrame,
    genres: Sequence[str], device: hardware.Hardware, path: Path,
) -> tuple[checkpoint.TrainingState, dict[str, float]]:  # fmt: skip
    """Fits a head to the features of musicnn; returns the history and the calibration."""
    print(f"{(table['subset'] == 'train').sum()} tracks; a head on the features of musicnn, on {device.device}")
    seed = settings.load(Train).seed
    fitted = pretrained.fit(
        network, spectrograms, table, genres, settings.load(Clips), hardware=device, seed=seed, checkpoint_path=path
    )
    return fitted.state, calibration.fit(fitted.logits, fitted.labels)


def _calibration(
    network: nn.Module, valid: tuple[Tensor, Tensor] | None, clips_per_track: int, device: hardware.Hardware
) -> dict[str, float]:
    """Fits temperature and threshold to the validation clips; without any, probabilities stay as they are."""
    if valid is None:
        return calibration.NOT_FITTED
    logits = inference.compute_logits(network, valid[0], hardware=device).numpy()
    of_tracks = logits.reshape(-1, clips_per_track, logits.shape[1])
    return calibration.fit(of_tracks, valid[1][::clips_per_track].numpy())


def _history(state: checkpoint.TrainingState) -> pd.DataFrame:
    """Returns the history of the epochs with the column `kept`, which is 1 for the epoch whose weights are kept."""
    history = pd.DataFrame(state.history)
    history["kept"] = (history["epoch"] == state.best_epoch).astype(int)
    return history[[column for column in tables.HISTORY if column in history]]


if __name__ == "__main__":
    stage.run(main)
