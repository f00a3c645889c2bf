"""Stage plots: draws what the metrics say, and what the network hears and sees."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from genre import audio, command, drawing, figures, files, mel_figures, metrics, recording, spectrograms, splits
from genre.augment import augment
from genre.params import Augment, Settings, Spectrogram, Split

EXAMPLE_SEED = 0


def main(
    settings: Settings, values: Path, index: Path, split_csv: Path, model_pt: Path, results: Path, folder: Path
) -> None:
    """Draws all figures into `folder`, from the tables in `results` and from the spectrograms."""
    spectrogram, split = settings.load(Spectrogram), settings.load(Split)
    store, table = spectrograms.read(values, index), files.read_csv(split_csv, ["track", "genre", "subset"])
    axes: dict[str, Any] = {
        "sample_rate": spectrogram.sample_rate,
        "hop_length": spectrogram.hop_length,
        "mel_frequencies": audio.mel_frequencies(
            sample_rate=spectrogram.sample_rate, n_fft=spectrogram.n_fft, n_mels=spectrogram.n_mels
        ),
    }
    example = table[table["subset"] == "train"].iloc[0]
    clip = store.cut(example["track"], 0, split.clip_frames).astype(np.float32)
    with files.replacing_folder(folder) as unfinished:
        unfinished.mkdir()
        drawn = {
            **_scores(results),
            "mean_spectrograms": mel_figures.mean_spectrograms(_means(store, table, split.clip_frames), **axes),
            "spectrogram": mel_figures.spectrogram(store.whole(example["track"]), title=example["track"], **axes),
            "augmentations": mel_figures.augmentations(_augmented(clip, settings.load(Augment)), **axes),
        }
        for name, figure in drawn.items():
            drawing.save(figure, unfinished / f"{name}.png")
    print(f"{len(drawn)} figures in {folder}")
    recording.record(model_pt, {"figures": sorted(folder.glob("*.png")), "metrics": [results / "history.csv"]})


def _scores(results: Path) -> dict[str, Any]:
    """Draws what is in the tables of metrics: of the test subset, or of valid where there is none."""
    history = files.read_csv(results / "history.csv", ["epoch", "train_loss", "kept"])
    clips = files.read_csv(results / "predictions.csv", ["track", "clip", "subset", "actual", "predicted"])
    tracks = files.read_csv(results / "tracks.csv", ["track", "subset", "actual", "predicted"])
    subset = splits.held_out(clips["subset"])
    clips, tracks = clips[clips["subset"] == subset], tracks[tracks["subset"] == subset]
    genres = metrics.genres_of(clips)
    right = (tracks["actual"] == tracks["predicted"]).to_numpy()
    best = int(history.loc[history["kept"] == 1, "epoch"].iloc[0])
    drawn = {
        "training_curves": figures.training_curves(history, best_epoch=best),
        "genre_scores": figures.genre_scores(metrics.per_genre(tracks), title=f"By genre, {subset} tracks"),
        "reliability": figures.reliability(
            tracks[genres].to_numpy().max(axis=1), right, title=f"How sure, how right: {subset} tracks"
        ),
        "baselines": figures.baseline_comparison(pd.DataFrame(_systems(results))),
    }
    for level, rows in (("clips", clips), ("tracks", tracks)):
        title = f"Confusion, {subset} {level}"
        drawn[f"confusion_{level}"] = figures.confusion_matrix(
            list(rows["actual"]), list(rows["predicted"]), genres, title=title
        )
    return drawn


def _systems(results: Path) -> Iterator[dict[str, Any]]:
    """Yields the accuracy by track of the network and of the simpler systems, with its interval."""
    scores = {"network": json.loads((results / "metrics.json").read_text(encoding="utf-8"))}
    scores |= json.loads((results / "baselines.json").read_text(encoding="utf-8"))
    for system, subsets in scores.items():
        for subset in ("valid", "test"):
            if subset in subsets:
                score = subsets[subset]
                yield {
                    "system": system, "subset": subset, "level": "track", "accuracy": score["track_accuracy"],
                    "low": score["track_accuracy_low"], "high": score["track_accuracy_high"],
                }  # fmt: skip


def _means(store: spectrograms.Spectrograms, table: pd.DataFrame, frames: int) -> dict[str, npt.NDArray[np.float32]]:
    """Averages the first clip's length of all tracks of each genre: genre -> `(mel, frame)`."""
    return {
        genre: np.mean([store.cut(track, 0, frames) for track in tracks], axis=0, dtype=np.float32)
        for genre, tracks in table.groupby("genre")["track"]
    }


def _augmented(clip: npt.NDArray[np.float32], section: Augment) -> dict[str, npt.NDArray[np.float32]]:
    """Gives a clip `(mel, frame)` as it is, with each augmentation for certain, and with all of them."""
    chances = {name: 0.0 for name in asdict(section) if name.endswith("_probability")}
    shown = {"original": chances}
    shown |= {name.removesuffix("_probability").replace("_", " "): chances | {name: 1.0} for name in chances}
    shown["all together"] = dict.fromkeys(chances, 1.0)

    def applied(certain: dict[str, float]) -> npt.NDArray[np.float32]:
        generator = torch.Generator().manual_seed(EXAMPLE_SEED)
        changed = augment(torch.from_numpy(clip)[None], generator=generator, **asdict(section) | certain)
        return np.asarray(changed[0])

    return {name: applied(certain) for name, certain in shown.items()}


if __name__ == "__main__":
    command.run(main)
