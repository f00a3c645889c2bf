"""Stage train: trains the network; a training that was killed goes on from its last epoch."""

from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from genre.audio.params import Spectrogram
from genre.console import stage
from genre.network import hardware, inference, model_file, musicnn
from genre.network.params import Model
from genre.pipeline import tables
from genre.pipeline.settings import Settings, flat, repository
from genre.spectrograms import clips, store
from genre.spectrograms.params import Clips
from genre.tracking import live
from genre.training import batches, calibration, checkpoint, loop, pretrained, run_key
from genre.training.params import Augment, Train


def main(settings: Settings, values: Path, index: Path, split_csv: Path, model_pt: Path, history_csv: Path) -> None:
    """Writes the model and the history of its training."""
    clip, spectrogram, model = settings.load(Clips), settings.load(Spectrogram), settings.load(Model)
    augment, train = settings.load(Augment), settings.load(Train)
    spectrograms, table = store.read(values, index), tables.read_csv(split_csv, tables.SPLIT)
    clips.check_lengths(spectrograms, table["track"], clip.clip_frames)
    genres = sorted(table["genre"].unique())

    hardware.seed_everything(train.seed)
    network_params = {"n_mels": spectrogram.n_mels, "clip_frames": clip.clip_frames, **model.model_dump()}
    network = model_file.make_network(network_params, len(genres))
    device = hardware.choose_hardware(train.device, train.precision)
    inputs, parameters = (values, index, split_csv), flat(clip, spectrogram, augment, model, train)
    key = run_key.run_key(inputs, parameters, {**vars(device), "torch": torch.__version__})
    path, source = repository() / ".checkpoints" / f"{key}.pt", {}
    with live.training_run(key, settings.sections, inputs) as run:
        if isinstance(network, musicnn.Musicnn):
            print(f"{(table['subset'] == 'train').sum()} tracks; a head on the features of musicnn, on {device.device}")
            fitted = pretrained.fit(
                network, spectrograms, table, genres, clip, hardware=device, seed=train.seed, checkpoint_path=path
            )
            state, calibrated = fitted.state, calibration.fit(fitted.logits, fitted.labels)
            source = {"licence": musicnn.LICENCE, "citation": musicnn.CITATION}
            run.log_epoch(state.history[0])
        else:
            valid = batches.validation_clips(spectrograms, table, genres, clip)
            learners = batches.training_clips(spectrograms, table, genres, clip, augment, train)
            print(
                f"{len(learners.tracks)} tracks, {len(learners)} clips an epoch, on {device.device}, {device.precision}"
            )
            state = loop.fit(
                network, learners, valid, train, hardware=device, checkpoint_path=path, key=key, on_epoch=run.log_epoch
            )
            network.load_state_dict(state.best)
            calibrated = _calibration(network, valid, clip.clips_per_track, device)
        tables.write_csv(_history(state), history_csv)
        model_file.save(
            model_pt, network, network_params=network_params, genres=genres, clip_params=clip.model_dump(),
            spectrogram=spectrogram.model_dump(), calibration=calibrated, credits=source,
        )  # fmt: skip
        run.finish(model_pt, best_epoch=state.best_epoch)
    checkpoint.prune(path)


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
