"""Stage evaluate: what the model and the simpler systems say of every clip, and how often they are right."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from genre import baselines, command, files, metrics, model, recording, spectrograms, splits, training
from genre.params import Settings, Train

TABLES = ("predictions.csv", "tracks.csv")
SUMMARIES = ("metrics.json", "per_genre.json", "baselines.json")


def main(
    settings: Settings, values: Path, index: Path, split_csv: Path, leaks_csv: Path, model_pt: Path, folder: Path
) -> None:
    """Writes the tables of predictions and the metrics into `folder`."""
    train = settings.load(Train)
    network, content = model.load(model_pt)
    store, table = spectrograms.read(values, index), files.read_csv(split_csv, ["track", "genre", "subset"])
    clips = store.clips_of(list(table["track"]), **content["cutting"])
    training.make_repeatable(train.seed)
    hardware = training.hardware(train.device, train.precision)
    hardware.place(network)
    probabilities = training.predict(network, torch.from_numpy(clips), hardware=hardware).numpy()

    predictions, leaks = _table(table, content["genres"], probabilities), files.read_csv(leaks_csv, ["track_a"])
    scores = _write(folder, predictions, _baselines(table, content["genres"], clips), leaks=len(leaks))
    for subset, score in scores.items():
        print(_sentence(subset, score))
    recording.record(model_pt, {"metrics": [folder / name for name in (*SUMMARIES, *TABLES)]}, register=True)


def _write(
    folder: Path, predictions: pd.DataFrame, simpler: dict[str, pd.DataFrame], *, leaks: int
) -> dict[str, dict[str, float]]:
    """Writes all tables and metrics of the network and of simpler systems; gives the network's: subset -> scores."""
    tracks = metrics.by_track(predictions)
    subsets = [subset for subset in splits.SUBSETS if (tracks["subset"] == subset).any()]
    per_genre = {subset: metrics.per_genre(tracks[tracks["subset"] == subset]).to_dict("index") for subset in subsets}
    files.write_csv(predictions, folder / "predictions.csv")
    files.write_csv(tracks, folder / "tracks.csv")
    with files.replacing_folder(folder / "confusion") as tables:
        for level, rows in (("clips", predictions), ("tracks", tracks)):
            held_out = rows[rows["subset"] == splits.held_out(subsets)]  # DVC's plots draw all rows of a file
            files.write_csv(held_out[["track", "actual", "predicted"]], tables / f"{level}.csv")
    files.write_json(per_genre, folder / "per_genre.json")
    with files.replacing_folder(folder / "baselines") as tables:
        for system, rows in simpler.items():
            files.write_csv(metrics.by_track(rows), tables / f"{system}.csv")
    files.write_json({name: _scores(rows, subsets[1:]) for name, rows in simpler.items()}, folder / "baselines.json")
    scores = _scores(predictions, subsets)
    files.write_json(scores | {"leaks": leaks}, folder / "metrics.json")
    return scores


def _table(table: pd.DataFrame, genres: list[str], probabilities: npt.NDArray[np.float64]) -> pd.DataFrame:
    """Makes the prediction table, a row a clip, from probabilities `(clip, genre)` in the order of `table`."""
    clips_per_track = len(probabilities) // len(table)
    rows = table.loc[table.index.repeat(clips_per_track), ["track", "subset", "genre"]].reset_index(drop=True)
    rows = rows.rename(columns={"genre": "actual"})
    rows.insert(1, "clip", np.tile(np.arange(clips_per_track), len(table)))
    rows["predicted"] = [genres[place] for place in probabilities.argmax(axis=1)]
    return pd.concat([rows, pd.DataFrame(probabilities, columns=genres)], axis=1)


def _baselines(table: pd.DataFrame, genres: list[str], clips: npt.NDArray[np.float16]) -> dict[str, pd.DataFrame]:
    """Gives the prediction tables of the simpler systems, fitted on the training clips: system -> a row a clip."""
    subset_of_clip = table["subset"].repeat(len(clips) // len(table)).to_numpy()
    genre_of_clip = table["genre"].repeat(len(clips) // len(table)).to_numpy()
    learn = subset_of_clip == "train"
    return {
        system: _table(table, genres, baselines.probabilities(system, clips[learn], genre_of_clip[learn], clips))
        for system in baselines.SYSTEMS
    }


def _scores(predictions: pd.DataFrame, subsets: list[str]) -> dict[str, dict[str, float]]:
    return {subset: metrics.summary(predictions[predictions["subset"] == subset]) for subset in subsets}


def _sentence(subset: str, score: dict[str, float]) -> str:
    low, high = score["track_accuracy_low"], score["track_accuracy_high"]
    return (
        f"{subset}: {score['track_accuracy']:.1%} of the tracks right (95 % interval {low:.1%} to {high:.1%}), "
        f"{score['clip_accuracy']:.1%} of the clips"
    )


if __name__ == "__main__":
    command.run(main)
