"""The figures that the stage `plots` draws, from the tables in `metrics` and from the spectrograms."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from matplotlib.figure import Figure

from genre.audio import mel_scale
from genre.audio.params import Spectrogram
from genre.evaluation import predictions
from genre.figures import results
from genre.figures import spectrograms as spectrogram_figures
from genre.pipeline import tables
from genre.spectrograms.store import SpectrogramStore
from genre.training.augment import augment
from genre.training.params import Augment

EXAMPLE_SEED = 5  # of the augmentations that are shown; with it the style of the other clip is seen


def of_results(folder: Path) -> dict[str, Figure]:
    """Draws the tables in the folder `metrics`, for the held-out subset: name of the figure -> figure."""
    history = tables.read_csv(folder / "history.csv", ("epoch", "train_loss", "kept"))
    clips = tables.read_csv(folder / "predictions.csv", tables.CLIP_PREDICTIONS)
    tracks = tables.read_csv(folder / "tracks.csv", tables.TRACK_PREDICTIONS)
    subset, counts = tables.held_out(clips["subset"]), tracks["subset"].value_counts().to_dict()
    clips, tracks = clips[clips["subset"] == subset], tracks[tracks["subset"] == subset]
    genres = predictions.genres_of(clips)
    correct = (tracks["actual"] == tracks["predicted"]).to_numpy()
    best = int(history.loc[history["kept"] == 1, "epoch"].iloc[0])
    return {
        "training_curves": results.training_curves(history, best_epoch=best),
        "genre_scores": results.genre_scores(_of_genres(folder, subset), title=f"By genre, {subset} tracks"),
        "reliability": results.reliability(
            tracks[genres].to_numpy().max(axis=1), correct, title=f"How sure, how often correct: {subset} tracks"
        ),
        "baselines": results.baseline_comparison(pd.DataFrame(_systems(folder, counts))),
        **{
            f"confusion_{level}": results.confusion_matrix(
                list(rows["actual"]), list(rows["predicted"]), genres, title=f"Confusion, {subset} {level}"
            )
            for level, rows in (("clips", clips), ("tracks", tracks))
        },
    }


def _of_genres(folder: Path, subset: str) -> pd.DataFrame:
    """Reads precision, recall, F1 and support of each genre."""
    scores = json.loads((folder / "per_genre.json").read_text(encoding="utf-8"))[subset]
    return pd.DataFrame.from_dict(scores, orient="index")


def _systems(folder: Path, counts: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """Yields the accuracy by track of the network and of the simpler systems; `counts` is subset -> tracks."""
    for system, scores in results.read_scores(folder).items():
        for subset in ("valid", "test"):
            if subset in scores:
                accuracy, low, high = (scores[subset][f"track_accuracy{end}"] for end in ("", "_low", "_high"))
                yield {
                    "system": results.SYSTEM_NAMES[system], "subset": subset, "n": counts[subset],
                    "accuracy": accuracy, "low": low, "high": high,
                }  # fmt: skip


def of_spectrograms(
    store: SpectrogramStore, table: pd.DataFrame, clip_frames: int, spectrogram: Spectrogram, augmentation: Augment
) -> dict[str, Figure]:
    """Draws the mean spectrum of each genre, and of one training track the spectrogram and each augmentation.

    Args:
        store: The spectrograms.
        table: The tracks: columns `track, genre, subset`.
        clip_frames: Length of a clip.
        spectrogram: The section `spectrogram`, for the axes.
        augmentation: The section `augment`.
    """
    frequencies = mel_scale.mel_frequencies(spectrogram.n_mels, spectrogram.f_max)
    axes: dict[str, Any] = {
        "sample_rate": spectrogram.sample_rate, "hop_length": spectrogram.hop_length, "mel_frequencies": frequencies,
    }  # fmt: skip
    train = table[table["subset"] == "train"]
    example = str(train.iloc[0]["track"])
    other = str(train.iloc[-1]["track"])  # tracks are sorted by genre, so it is of another one
    clips = np.stack([store.cut(track, 0, clip_frames) for track in (example, other)]).astype(np.float32)
    return {
        "mean_spectra": spectrogram_figures.mean_spectra(_spectra(store, train), mel_frequencies=frequencies),
        "spectrogram": spectrogram_figures.spectrogram(store.whole(example), title=example, **axes),
        "augmentations": spectrogram_figures.augmentations(_augmented(clips, augmentation), **axes),
    }


def _spectra(store: SpectrogramStore, table: pd.DataFrame) -> dict[str, npt.NDArray[np.float32]]:
    """Averages each track over time: genre -> `(track, mel)`."""
    return {
        genre: np.stack([store.whole(track).mean(axis=1, dtype=np.float32) for track in tracks])
        for genre, tracks in table.groupby("genre")["track"]
    }


def _augmented(clips: npt.NDArray[np.float32], section: Augment) -> dict[str, npt.NDArray[np.float32]]:
    """Returns the first of two clips as it is, with each augmentation in use alone, and with all of them.

    Each is applied with probability 1. `clips` is `(2, mel, frame)`; the second one is of another genre, and lends the
    first its style.
    """
    sizes = section.model_dump()
    never = {name: 0.0 for name in sizes if name.endswith("_probability")}
    used = {name: 1.0 for name in never if sizes[name] > 0}
    shown = {"original": never}
    shown |= {name.removesuffix("_probability").replace("_", " "): never | {name: 1.0} for name in used}
    if used:
        shown["all together"] = never | used

    def applied(certain: dict[str, float]) -> npt.NDArray[np.float32]:
        generator = torch.Generator().manual_seed(EXAMPLE_SEED)
        return np.asarray(augment(torch.from_numpy(clips), generator=generator, **sizes | certain)[0])

    return {name: applied(certain) for name, certain in shown.items()}
