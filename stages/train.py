"""Stage train: trains the network; a training that was killed goes on from its last epoch."""

from pathlib import Path

import pandas as pd
import torch

from genre.audio.params import Spectrogram
from genre.console import stage
from genre.network import hardware, model_file, unet
from genre.network.params import Model
from genre.pipeline import tables
from genre.pipeline.settings import Settings, flat, repository
from genre.spectrograms import clips, store
from genre.spectrograms.params import Clips
from genre.tracking import live
from genre.training import batches, checkpoint, loop, run_key
from genre.training.params import Augment, Train


def main(settings: Settings, values: Path, index: Path, split_csv: Path, model_pt: Path, history_csv: Path) -> None:
    """Writes the model and the history of its training."""
    clip, spectrogram, model = settings.load(Clips), settings.load(Spectrogram), settings.load(Model)
    augment, train = settings.load(Augment), settings.load(Train)
    spectrograms, table = store.read(values, index), tables.read_csv(split_csv, tables.SPLIT)
    clips.check_lengths(spectrograms, table["track"], clip.clip_frames)
    genres = sorted(table["genre"].unique())

    hardware.seed_everything(train.seed)
    dimensions = {"n_mels": spectrogram.n_mels, "clip_frames": clip.clip_frames, **model.model_dump()}
    network = unet.GenreNet(genres=len(genres), **dimensions)
    device = hardware.choose_hardware(train.device, train.precision)
    learners = batches.training_clips(spectrograms, table, genres, clip, augment, train)
    valid = batches.validation_clips(spectrograms, table, genres, clip)
    inputs, parameters = (values, index, split_csv), flat(clip, spectrogram, augment, model, train)
    key = run_key.run_key(inputs, parameters, {**vars(device), "torch": torch.__version__})
    path = repository() / ".checkpoints" / f"{key}.pt"
    print(f"{len(learners.tracks)} tracks, {len(learners)} clips an epoch, on {device.device} in {device.precision}")
    with live.training_run(key, settings.sections, inputs) as run:
        state = loop.fit(
            network, learners, valid, train, hardware=device, checkpoint_path=path, key=key, on_epoch=run.log_epoch
        )
        network.load_state_dict(state.best)
        tables.write_csv(_history(state), history_csv)
        model_file.save(
            model_pt, network, network_params=dimensions, genres=genres, clip_params=clip.model_dump(),
            spectrogram=spectrogram.model_dump(),
        )  # fmt: skip
        run.finish(model_pt, best_epoch=state.best_epoch)
    checkpoint.prune(path)


def _history(state: checkpoint.TrainingState) -> pd.DataFrame:
    """Returns the history of the epochs with the column `kept`, which is 1 for the epoch whose weights are kept."""
    history = pd.DataFrame(state.history)
    history["kept"] = (history["epoch"] == state.best_epoch).astype(int)
    return history[[column for column in tables.HISTORY if column in history]]


if __name__ == "__main__":
    stage.run(main)
