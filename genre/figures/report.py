"""The page of results: the figures of metrics.json, and every held-out track with a player."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from genre.evaluation.predictions import genres_of
from genre.figures.pictures import picture
from genre.figures.results import SYSTEM_NAMES, read_scores
from genre.figures.web_page import ListedTrack, Number, PageContent, address
from genre.pipeline import tables
from genre.spectrograms.clips import clip_starts
from genre.spectrograms.store import SpectrogramStore

PICTURES = 400  # in a page at most, some 5 kB each


def of_results(
    metrics: Path, store: SpectrogramStore, recordings: Mapping[str, Path], model: Mapping[str, Any], page: Path
) -> PageContent:
    """Gathers the content of the page: the held-out tracks (valid and test), or those of train if there are no others.

    Args:
        metrics: The folder `metrics`.
        store: The spectrograms.
        recordings: track -> its recording; a path that is not absolute is linked relative to the page.
        model: The parts of the model file: `clip_params`, `spectrogram` and `calibration`.
        page: Where the page will be.
    """
    clips = tables.read_csv(metrics / "predictions.csv", tables.CLIP_PREDICTIONS)
    tracks = tables.read_csv(metrics / "tracks.csv", tables.TRACK_PREDICTIONS)
    scores = read_scores(metrics)
    subset = tables.held_out(tracks["subset"])
    subsets = [name for name in ("test", "valid") if name in set(tracks["subset"])] or [subset]
    tracks = tracks[tracks["subset"].isin(subsets)]
    listed = list(_tracks(tracks, clips, store, recordings, model, page))
    own, count = scores["network"][subset], int((tracks["subset"] == subset).sum())
    return PageContent(
        title=f"Music genres: {own['track_accuracy']:.1%} of {count} {subset} tracks correct",
        lead="What the trained model predicts for tracks that it was not trained on, to look at and to listen to."
        if subset != "train" else "What the trained model predicts for the tracks that it was trained on.",
        genres=genres_of(tracks), tracks=listed, subsets=subsets,
        clip_seconds=model["clip_params"]["clip_frames"] * _frame_seconds(model),
        headline=list(_headline(own, subset, count, scores["network"].get("leaks"))),
        columns=[f"{name}, {level}" for name in subsets for level in ("by track", "by clip")],
        systems={SYSTEM_NAMES[name]: _cells(score, subsets) for name, score in scores.items()},
        notes=list(_notes(listed, model["calibration"]["unsure_below"])),
    )  # fmt: skip


def _tracks(
    tracks: pd.DataFrame, clips: pd.DataFrame, store: SpectrogramStore, recordings: Mapping[str, Path],
    model: Mapping[str, Any], page: Path,
) -> Iterator[ListedTrack]:  # fmt: skip
    """Yields the tracks; if there are many, only the surest mistakes, and then the least sure, get a picture."""
    genres, frame_seconds = genres_of(tracks), _frame_seconds(model)
    unsure = tracks[genres].max(axis=1) < model["calibration"]["unsure_below"]
    shown = tracks["track"] if len(tracks) <= PICTURES else most_telling(tracks, unsure).head(PICTURES)
    with_picture, of_track = set(shown), dict(list(clips.groupby("track")))
    for row, is_unsure in zip(tracks.to_dict("records"), unsure, strict=True):
        name, frames = row["track"], store.frames(row["track"])
        starts = clip_starts(frames, **model["clip_params"])
        yield ListedTrack(
            name=name, audio=address(recordings[name], page), seconds=frames * frame_seconds,
            probabilities=np.array([row[genre] for genre in genres]), clips=of_track[name][genres].to_numpy(),
            starts=[start * frame_seconds for start in starts], predicted=row["predicted"], actual=row["actual"],
            subset=row["subset"], unsure=is_unsure,
            picture=picture(store.whole(name)) if name in with_picture else None,
        )  # fmt: skip


def most_telling(tracks: pd.DataFrame, unsure: "pd.Series[bool]") -> "pd.Series[str]":
    """Returns the names of wrong tracks, the surest mistake first, then of other unsure ones, the least sure first.

    Args:
        tracks: Columns `track, actual, predicted`, and a column of probabilities for each genre.
        unsure: Of each row, whether the model is unsure of it.
    """
    confidence, wrong = tracks[genres_of(tracks)].max(axis=1), tracks["actual"] != tracks["predicted"]
    need = np.where(wrong, 1 + confidence, 1 - confidence)
    telling = tracks.assign(need=need)[wrong | unsure]
    return telling.sort_values(["need", "track"], ascending=[False, True])["track"]


def _headline(own: Mapping[str, float], subset: str, count: int, leaks: int | None) -> Iterator[Number]:
    yield Number(
        f"{own['track_accuracy']:.1%}",
        f"of {count} {subset} tracks correct",
        f"95 % interval {own['track_accuracy_low']:.1%} to {own['track_accuracy_high']:.1%}",
    )
    yield Number(f"{own['clip_accuracy']:.1%}", f"of the {subset} clips correct", "each clip on its own")
    yield Number(
        f"{own['track_macro_f1']:.1%}",
        "macro F1 by track: each genre counts the same",
        f"95 % interval {own['track_macro_f1_low']:.1%} to {own['track_macro_f1_high']:.1%}",
    )
    yield Number(
        f"{own['track_calibration_error']:.1%}",
        "expected calibration error",
        "how far confidence and accuracy are apart",
    )
    if leaks is not None:
        yield Number(str(leaks), "recordings in two subsets", "as far as the leak test finds them")


def _cells(scores: Mapping[str, Any], subsets: Sequence[str]) -> list[tuple[str, tuple[float, float, float] | None]]:
    cells: list[tuple[str, tuple[float, float, float] | None]] = []
    for subset in subsets:
        score = scores.get(subset)
        if score is None:
            cells += [("", None), ("", None)]
            continue
        share, low, high = (score[f"track_accuracy{end}"] for end in ("", "_low", "_high"))
        cells += [
            (f"{share:.1%} ({low:.1%} to {high:.1%})", (share, low, high)),
            (f"{score['clip_accuracy']:.1%}", None),
        ]
    return cells


def _notes(tracks: Sequence[ListedTrack], unsure_below: float) -> Iterator[str]:
    if 0 < unsure_below <= 1:
        yield f"Unsure: the probability of the predicted genre is below {unsure_below:.1%}, the model's threshold."
    elif unsure_below > 1:
        yield "Unsure: training found no threshold above which the model is right often enough, so all tracks are."
    pictures = sum(track.picture is not None for track in tracks)
    if pictures < len(tracks):
        yield f"To keep this page small, only {pictures} wrong or unsure tracks have a spectrogram."


def _frame_seconds(model: Mapping[str, Any]) -> float:
    return float(model["spectrogram"]["hop_length"] / model["spectrogram"]["sample_rate"])
