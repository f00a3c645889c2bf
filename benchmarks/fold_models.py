"""Trains a model for each fold of a corpus, so that every track can be predicted by a model that has not heard it.

    python -m benchmarks.fold_models FOLDER MODELS [--folds 4] [--seed 0] [--group-by artist] [-S train.epochs=1]

FOLDER is a repository in which `dvc repro spectrogram` has run; its params.yaml says what is trained. Groups, such as
all tracks of an artist, are kept in one fold. MODELS is a folder that gets the model files `0.pt`, `1.pt` and so on,
and the table `folds.csv`: `track, fold`, where fold k is predicted by `k.pt`. All other tracks are trained on, none is
kept for validation; so a network keeps its last epoch, and only `pretrained` has a threshold. Models that are there are
not trained again: a command that was stopped goes on.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import nn
from tqdm import tqdm

from genre import suspects
from genre.audio.params import Spectrogram
from genre.network import hardware, model_file
from genre.network.params import Model
from genre.pipeline import tables
from genre.pipeline.settings import Settings
from genre.spectrograms.params import Clips
from genre.training import fitting
from genre.training.params import Augment, Train

FOLDS = ("track", "fold")


def main() -> None:
    """Trains."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("models", type=Path)
    parser.add_argument("--folds", type=int, default=4, help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the folds (default: %(default)s)")
    parser.add_argument("--group-by", default="artist", help="instead of split.group_by (default: %(default)s)")
    parser.add_argument(
        "-S", dest="overrides", action="append", default=[], help="a parameter, as `dvc exp run` has it"
    )
    arguments = parser.parse_args()
    overrides = ["split.protocol=kfold", f"split.group_by={arguments.group_by}", "train.keep=last"]
    settings = Settings.read(arguments.folder / "params.yaml", overrides + arguments.overrides)
    corpus = suspects.read(settings, arguments.folder / "data")
    fold = suspects.assign_folds(corpus, folds=arguments.folds, seed=arguments.seed)
    arguments.models.mkdir(parents=True, exist_ok=True)
    tables.write_csv(pd.DataFrame({"track": corpus.table["track"], "fold": fold}), arguments.models / "folds.csv")
    for number in range(arguments.folds):
        path = arguments.models / f"{number}.pt"
        if path.exists():
            print(f"{path} is there")
        else:
            train(settings, corpus, fold != number, path)


def train(settings: Settings, corpus: suspects.Corpus, learned: suspects.Mask, path: Path) -> None:
    """Trains on the tracks of the mask, and writes the model."""
    network, calibrated = fit(settings, corpus, learned)
    model_file.save(
        path, network, network_params=sizes(settings), genres=corpus.genres,
        clip_params=settings.load(Clips).model_dump(), spectrogram=settings.load(Spectrogram).model_dump(),
        calibration=calibrated, credits={},
    )  # fmt: skip


def fit(settings: Settings, corpus: suspects.Corpus, learned: suspects.Mask) -> tuple[nn.Module, dict[str, float]]:
    """Trains on the tracks of the mask, as stage `train` does without a validation subset.

    Returns:
        The network, and its calibration.
    """
    params = settings.load(Train)
    device = hardware.choose_hardware(params.device, params.precision)
    hardware.seed_everything(params.seed)
    network = model_file.make_network(sizes(settings), len(corpus.genres))
    table = corpus.table.assign(subset=np.where(learned, "train", "test"))
    given = fitting.Material(
        corpus.spectrograms, table, corpus.genres, settings.load(Clips), settings.load(Augment), params, device
    )
    with tqdm(total=params.epochs, unit="epoch", disable=None) as bar:

        def on_epoch(_: object) -> None:
            bar.update()

        _, calibrated = fitting.fit(network, given, on_epoch)
    return network, calibrated


def sizes(settings: Settings) -> dict[str, Any]:
    """Returns what the network is made from, as stage `train` does."""
    spectrogram, cut = settings.load(Spectrogram), settings.load(Clips)
    return {"n_mels": spectrogram.n_mels, "clip_frames": cut.clip_frames, **settings.load(Model).model_dump()}


if __name__ == "__main__":
    main()
