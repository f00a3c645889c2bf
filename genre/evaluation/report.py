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
    """Returns subset -> genre -> precision, recall, F1 and support, by track."""
    tracks = predictions.by_track(of_clips)
    return {subset: metrics.per_genre(tracks[tracks["subset"] == subset]).to_dict("index") for subset in subsets}


def sentence(subset: str, score: Mapping[str, float]) -> str:
    """Says in one line which share of a subset's tracks and clips is classified correctly."""
    low, high = score["track_accuracy_low"], score["track_accuracy_high"]
    return (
        f"{subset}: {score['track_accuracy']:.1%} of the tracks correct (95 % interval {low:.1%} to {high:.1%}), "
        f"{score['clip_accuracy']:.1%} of the clips"
    )
