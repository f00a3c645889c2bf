"""Stage train: learns to tell the genres apart, and goes on where a killed training stopped."""

from dataclasses import asdict
from pathlib import Path

import pandas as pd
import torch

from genre import command, files, fingerprint, model, spectrograms, tracking, training, workspace
from genre.clips import TrainingClips
from genre.params import Augment, Data, Model, Settings, Spectrogram, Split, Train, flat
from genre.runs import DATA

OF_CLIPS_AND_HARDWARE = ("crops", "crop_frames", "device", "precision")


def main(settings: Settings, values: Path, index: Path, split_csv: Path, model_pt: Path, history_csv: Path) -> None:
    """Writes the model and the history of its training; the checkpoint lies in the real repository's root."""
    data, split, spectrogram = settings.load(Data), settings.load(Split), settings.load(Spectrogram)
    augment, shape, train = settings.load(Augment), settings.load(Model), settings.load(Train)
    store, table = spectrograms.read(values, index), files.read_csv(split_csv, ["track", "genre", "subset"])
    store.check(table["track"], split.clip_frames)
    genres = sorted(table["genre"].unique())
    cutting = {name: getattr(split, name) for name in ("clips_per_track", "clip_frames", "clip_spacing")}

    training.make_repeatable(train.seed)
    sizes = {"n_mels": spectrogram.n_mels, "clip_frames": split.clip_frames, **asdict(shape)}
    network = model.GenreNet(genres=len(genres), **sizes)
    hardware = training.hardware(train.device, train.precision)
    parameters = flat(split, spectrogram, augment, shape, train)
    machine = asdict(hardware) | {"torch": torch.__version__}
    identity = fingerprint.of([values, index, split_csv], parameters, machine)
    checkpoint = workspace.repository() / ".checkpoints" / f"{identity}.pt"
    learners = table[table["subset"] == "train"]
    clips = TrainingClips(
        store, list(learners["track"]), [genres.index(genre) for genre in learners["genre"]],
        **cutting | {"clip_frames": train.frames(split.clip_frames)},
        crops=train.crops, augmentation=asdict(augment), seed=train.seed,
    )  # fmt: skip
    choices = {name: value for name, value in asdict(train).items() if name not in OF_CLIPS_AND_HARDWARE}
    print(f"{len(learners)} tracks, {len(clips)} clips an epoch, on {hardware.device} in {hardware.precision}")
    digests = {DATA + path.name: fingerprint.of_file(path) for path in (values, index, split_csv)}
    with tracking.training_run(identity, flat(data) | parameters, digests) as run:
        progress = training.fit(
            network, clips, _validation(store, table, genres, cutting), hardware=hardware,
            checkpoint=checkpoint, identity=identity, on_epoch=run.log_epoch, **choices,
        )  # fmt: skip
        network.load_state_dict(progress.best)
        history = pd.DataFrame(progress.history)[training.history_columns(progress.history)]
        history["kept"] = (history["epoch"] == progress.best_epoch).astype(int)
        files.write_csv(history, history_csv)
        model.save(model_pt, network, sizes=sizes, genres=genres, cutting=cutting, spectrogram=asdict(spectrogram))
        run.finish(model_pt, best_epoch=progress.best_epoch)
    training.forget(checkpoint)


def _validation(
    store: spectrograms.Spectrograms, table: pd.DataFrame, genres: list[str], cutting: dict[str, int | str]
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Gives the clips of the subset valid and their labels, or None if it is empty."""
    valid = table[table["subset"] == "valid"]
    if valid.empty:
        return None
    clips = store.clips_of(list(valid["track"]), **cutting)  # type: ignore[arg-type]
    labels = torch.tensor([genres.index(genre) for genre in valid["genre"]])
    return torch.from_numpy(clips), labels.repeat_interleave(len(clips) // len(valid))


if __name__ == "__main__":
    command.run(main)
