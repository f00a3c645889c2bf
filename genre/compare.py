"""Whether two runs differ by more than chance: paired by track, from their tables of predictions."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from genre.evaluation import metrics, predictions
from genre.history import dvc_lock, revisions
from genre.pipeline import tables

PREDICTIONS = "metrics/predictions.csv"
LOCK = "dvc.lock"
NAMES = ("track", "subset", "actual", "predicted")  # columns of text, also where it looks like a number
ROUNDING = 0.01  # the tables of this project have 6 digits, others may have fewer
DRAWS = 10_000


@dataclass(frozen=True)
class Comparison:
    """What two runs, A and B, predict for the same tracks of one subset.

    Attributes:
        names: The two runs, as the user named them.
        tracks: A row a track: `track, actual, predicted_a, predicted_b`.
        correct: How many tracks A and B classify correctly.
        discordant: How many tracks only A, and only B, classifies correctly.
        p: p-value of the exact McNemar test: how often chance gives a difference at least as large.
        interval: 95 % interval of the accuracy of B less that of A.
    """

    names: tuple[str, str]
    subset: str
    tracks: pd.DataFrame
    correct: tuple[int, int]
    discordant: tuple[int, int]
    p: float
    interval: tuple[float, float]

    @property
    def difference(self) -> float:
        """The accuracy of B less that of A, -1..1."""
        return (self.correct[1] - self.correct[0]) / len(self.tracks)

    @property
    def differing(self) -> pd.DataFrame:
        """The tracks for which A and B predict different genres, and which of them is `correct`: A, B or neither."""
        rows = self.tracks[self.tracks["predicted_a"] != self.tracks["predicted_b"]]
        who = np.select([rows["predicted_a"] == rows["actual"], rows["predicted_b"] == rows["actual"]], ["A", "B"], "")
        return rows.assign(correct=np.where(who == "", "neither", who)).reset_index(drop=True)


def bootstrap_difference(only_a: int, only_b: int, tracks: int, *, seed: int = 0) -> tuple[float, float]:
    """Returns the 95 % percentile interval of accuracy B less accuracy A, over 10 000 draws of tracks (Efron 1979).

    The draws are paired: a track is drawn with the predictions of both runs. Only three kinds of tracks count: those
    that A alone classifies correctly, those that B alone does, and the others. So drawing `tracks` tracks with
    replacement is one draw of a multinomial distribution. If both runs classify the same tracks correctly, both ends
    of the interval are 0.
    """
    shares = np.array([only_a, only_b, tracks - only_a - only_b]) / tracks
    draws = np.random.default_rng(seed).multinomial(tracks, shares, DRAWS)
    low, high = np.percentile((draws[:, 1] - draws[:, 0]) / tracks, [2.5, 97.5])
    return float(low), float(high)


def compare(a: pd.DataFrame, b: pd.DataFrame, *, names: tuple[str, str], subset: str | None = None) -> Comparison:
    """Compares two prediction tables (a row a clip, or a row a track) by track; clips are merged as in evaluation.

    Args:
        a: Columns `track, subset, actual`, and a probability for each genre.
        b: The same of the other run; its genres and clips may be others.
        names: What to call the two in messages.
        subset: Which tracks; None takes the test subset, or valid if neither table has one.

    Raises:
        ValueError: The two are not about the same tracks with the same actual genres.
    """
    if subset is None:
        subset = tables.held_out(pd.concat([a["subset"], b["subset"]]))
    first, second = (_predicted(table, name, subset) for table, name in zip((a, b), names, strict=True))
    _check_same(first, second, names, subset)
    tracks = pd.DataFrame({"track": first.index, "actual": first["actual"].to_numpy()})
    tracks["predicted_a"], tracks["predicted_b"] = first["predicted"].to_numpy(), second["predicted"].to_numpy()
    right_a, right_b = (tracks[column] == tracks["actual"] for column in ("predicted_a", "predicted_b"))
    discordant = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    return Comparison(
        names, subset, tracks, (int(right_a.sum()), int(right_b.sum())), discordant,
        metrics.mcnemar(*discordant), bootstrap_difference(*discordant, len(tracks)),
    )  # fmt: skip


def _predicted(table: pd.DataFrame, name: str, subset: str) -> pd.DataFrame:
    """Returns `actual` and `predicted` of the subset's tracks, indexed by track, sorted."""
    chosen = table[table["subset"] == subset]
    if chosen.empty:
        has = ", ".join(part for part in tables.SUBSETS if (table["subset"] == part).any()) or "none"
        raise ValueError(f"{name} has no tracks in the subset {subset}, only in {has}; choose another with --subset")
    tracks = predictions.by_track(chosen.drop(columns="clip", errors="ignore"))
    twice = tracks["track"][tracks["track"].duplicated()]
    if len(twice):
        raise ValueError(f"{name}: each track must have one actual genre, {twice.iloc[0]!r} has two")
    return tracks.set_index("track").sort_index()


def _check_same(first: pd.DataFrame, second: pd.DataFrame, names: tuple[str, str], subset: str) -> None:
    apart = first.index.symmetric_difference(second.index)
    if len(apart):
        has, lacks = names if apart[0] in first.index else names[::-1]
        raise ValueError(
            f"only runs with the same {subset} tracks can be compared, {len(apart)} are in one run alone: the first, "
            f"{apart[0]!r}, is in {has} and not in {lacks}; run both with the same data and the same section split"
        )
    other = first.index[(first["actual"] != second["actual"]).to_numpy()]
    if len(other):
        raise ValueError(
            f"only runs with the same actual genres can be compared, {len(other)} tracks differ: the first, "
            f"{other[0]!r}, is {first['actual'][other[0]]} in {names[0]} and {second['actual'][other[0]]} in {names[1]}"
        )


def read(name: str) -> pd.DataFrame:
    """Reads the predictions of a run: a CSV file, `workspace`, or any revision or experiment that DVC knows.

    Raises:
        ValueError: There is nothing of that name, or it has no table of predictions.
    """
    path = Path(PREDICTIONS if name == "workspace" else name)
    where = str(path) if path.is_file() else f"{PREDICTIONS} of {name}"
    if name == "workspace" and not path.is_file():
        raise ValueError(f"{path} is missing; run in the repository's root, or `dvc repro` first, which makes it")
    content = path.read_bytes() if path.is_file() else _of_revision(name, PREDICTIONS)
    try:
        table = pd.read_csv(io.BytesIO(content), keep_default_na=False, dtype=dict.fromkeys(NAMES, str))
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{where} must be a CSV table in UTF-8: {error}") from error
    missing = [column for column in NAMES if column not in table.columns]
    if missing:
        raise ValueError(f"{where} must have a column {missing[0]}; is it a table of predictions?")
    _check_probabilities(table, where)
    return table


def _check_probabilities(table: pd.DataFrame, where: str) -> None:
    """Checks that all other columns are genres: one that is none, such as the index of pandas, changes all results."""
    genres = predictions.genres_of(table)
    wrong = [genre for genre in genres if not pd.api.types.is_numeric_dtype(table[genre])]
    if wrong or not genres:
        raise ValueError(f"{where} must hold a probability for each genre, column {wrong[:1]} has none")
    advice = "remove columns that are no genre; pandas adds one unless it writes with index=False"
    for genre in genres:
        outside = table[genre][~table[genre].between(0, 1)]
        if len(outside):
            raise ValueError(
                f"{where} must hold probabilities in 0..1, column {genre!r} has {outside.iloc[0]}; {advice}"
            )
    sums = table[genres].sum(axis=1)
    apart = sums[abs(sums - 1) > ROUNDING]
    if len(apart):
        raise ValueError(
            f"{where}: the probabilities of a row must sum to 1, those of row {apart.index[0] + 1}, track "
            f"{table['track'][apart.index[0]]!r}, sum to {apart.iloc[0]:.3g}; {advice}"
        )


def recordings(name: str) -> dict[str, str]:
    """Returns the MD5s of the recordings of a run, see `dvc_lock.recordings`; none if unknown, as of a CSV file."""
    if name != "workspace" and Path(name).is_file():
        return {}
    try:
        content = Path(LOCK).read_bytes() if name == "workspace" else _of_revision(name, LOCK)
        return dvc_lock.recordings(content.decode(errors="replace"))
    except (OSError, ValueError):
        return {}


def note(names: tuple[str, str]) -> str | None:
    """Says that the tracks of two runs have the same names and may be other recordings, or returns None.

    The corpora synthetic and gtzan, and synthetic ones of two seeds, name their tracks alike.
    """
    first, second = map(recordings, names)
    differing = sorted(path for path in {*first, *second} if first.get(path) != second.get(path))
    if not first or not second or not differing:
        return None
    return (
        f"note: {names[0]} and {names[1]} were made from other recordings ({', '.join(differing)} differ); tracks with "
        "the same name may be different recordings, and then the comparison means nothing"
    )


def _of_revision(name: str, file: str) -> bytes:
    """Reads a file of the one commit that a name stands for."""
    try:
        found = revisions.resolve([name])
        if len(found) != 1:
            raise ValueError(f"it names {len(found)} commits")
        return found[0].read(file)
    except ValueError as error:
        raise ValueError(
            f"{name!r} must be a git revision or a DVC experiment that has {file}, a CSV file, or `workspace`: {error}"
        ) from error


def as_json(found: Comparison) -> str:
    """Returns all figures as one JSON object; shares in 0..1."""
    runs: Mapping[str, Any] = {
        letter: {"name": name, "correct": correct, "accuracy": correct / len(found.tracks), "low": low, "high": high}
        for letter, name, correct, (low, high) in zip("ab", found.names, found.correct, _intervals(found), strict=True)
    }
    values = {
        "subset": found.subset, "tracks": len(found.tracks), **runs,
        "only_a": found.discordant[0], "only_b": found.discordant[1], "difference": found.difference,
        "difference_low": found.interval[0], "difference_high": found.interval[1], "mcnemar_p": found.p,
        "chance": found.p >= metrics.ALPHA, "differing": found.differing.to_dict("records"),
        "sentence": sentence(found),
    }  # fmt: skip
    return json.dumps(values, indent=2)


def as_text(found: Comparison) -> str:
    """Returns both accuracies, the tracks on which the two differ, and the sentence, as lines."""
    lines = [f"{len(found.tracks)} tracks of the subset {found.subset}"]
    for letter, name, correct, (low, high) in zip("AB", found.names, found.correct, _intervals(found), strict=True):
        share = correct / len(found.tracks)
        lines.append(f"{letter} = {name}: {correct} correct, {share:.1%} (95 % interval {low:.1%} to {high:.1%})")
    rows = found.differing.rename(columns={"predicted_a": "A predicts", "predicted_b": "B predicts"})
    if len(rows):
        lines += [f"They differ on {len(rows)} tracks:", rows.to_string(index=False)]
    return "\n".join([*lines, sentence(found)])


def sentence(found: Comparison) -> str:
    """Says in one sentence which run is better, by how much, and whether chance alone gives such a difference."""
    points, (low, high) = 100 * found.difference, (100 * end for end in found.interval)
    if not any(found.discordant):
        return (
            f"A and B have the same {found.correct[0]} of {len(found.tracks)} tracks correct: nothing tells them apart."
        )
    outcome = (
        f"B is {'better' if points > 0 else 'worse'} by {abs(points):.1f} points" if points else "A and B are equal"
    )
    chance = (
        "chance alone gives a difference this size." if found.p >= metrics.ALPHA
        else "chance alone seldom gives a difference this size."
    )  # fmt: skip
    narrow = ", too narrow for so few differing tracks" if found.p >= metrics.ALPHA and (low > 0 or high < 0) else ""
    return (
        f"{outcome} (B - A: 95 % interval {low:.1f} to {high:.1f}{narrow}), exact McNemar p = {found.p:.2g}: {chance}"
    )


def _intervals(found: Comparison) -> list[tuple[float, float]]:
    return [metrics.wilson(correct, len(found.tracks)) for correct in found.correct]
