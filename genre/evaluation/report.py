"""The files of metrics that stand beside metrics/metrics.json, and the sentence that a stage prints."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from genre.evaluation import metrics, predictions
from genre.pipeline import files, tables


def write_confusion(of_clips: pd.DataFrame, folder: Path) -> None:
    """Writes the actual and predicted genres of the held-out clips and tracks, for DVC's plots.

    DVC draws all rows of a file, so the files hold the rows of one subset alone.
    """
    with files.replacing_folder(folder) as new:
        for level, rows in (("clips", of_clips), ("tracks", predictions.by_track(of_clips))):
            held_out = rows[rows["subset"] == tables.held_out(rows["subset"])]
            tables.write_csv(held_out[["track", "actual", "predicted"]], new / f"{level}.csv")


def write_baselines(simpler: Mapping[str, pd.DataFrame], folder: Path) -> None:
    """Writes the track predictions of the simpler systems: `folder/SYSTEM.csv`, from system -> clip predictions."""
    with files.replacing_folder(folder) as new:
        for system, rows in simpler.items():
            tables.write_csv(predictions.by_track(rows), new / f"{system}.csv")


def per_genre(of_clips: pd.DataFrame, subsets: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Computes precision, recall, F1 and support of each genre over tracks: subset -> genre -> score -> value.

    Args:
        of_clips: Clip predictions; the probabilities of a track are merged from its clips.
        subsets: Those that are scored.
    """
    tracks = predictions.by_track(of_clips)
    return {subset: metrics.per_genre(tracks[tracks["subset"] == subset]).to_dict("index") for subset in subsets}


def against_baselines(of_clips: pd.DataFrame, simpler: Mapping[str, pd.DataFrame], network: str) -> list[str]:
    """Says in lines whether the network is better than the best simpler system on the held-out tracks, and what to do.

    Args:
        of_clips: The network's clip predictions.
        simpler: system -> its clip predictions.
        network: `model.network`.
    """
    subset = tables.held_out(of_clips["subset"])
    correct = {name: _correct(rows, subset) for name, rows in {"network": of_clips, **simpler}.items()}
    best = max(simpler, key=lambda name: correct[name].mean())
    ours, theirs = correct["network"], correct[best]
    p = metrics.mcnemar(int((ours & ~theirs).sum()), int((theirs & ~ours).sum()))
    figures = f"{ours.mean():.1%} of the {subset} tracks, the best simpler system ({best}) {theirs.mean():.1%}"
    if ours.mean() > theirs.mean() and p < metrics.ALPHA:
        return [f"The network is better: {figures}; exact McNemar p = {p:.2g}."]
    lines = [f"The network is not shown to be better: {figures}; exact McNemar p = {p:.2g}."]
    if network != "musicnn":
        lines.append("With few tracks a pretrained network does better: `genre recipe pretrained`, then `dvc repro`.")
    return lines


def _correct(rows: pd.DataFrame, subset: str) -> "pd.Series[bool]":
    tracks = predictions.by_track(rows[rows["subset"] == subset]).set_index("track").sort_index()
    return tracks["actual"] == tracks["predicted"]


def sentence(subset: str, score: Mapping[str, float]) -> str:
    """Says in one line which share of a subset's tracks and clips is classified correctly."""
    low, high = score["track_accuracy_low"], score["track_accuracy_high"]
    return (
        f"{subset}: {score['track_accuracy']:.1%} of the tracks correct (95 % interval {low:.1%} to {high:.1%}), "
        f"{score['clip_accuracy']:.1%} of the clips"
    )
