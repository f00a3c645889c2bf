"""The tables about GTZAN in the folder data/gtzan: artists, repetitions, and a published split.

A track is named `<genre>/<stem>`, for example `blues/blues.00012`.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from genre.pipeline import tables


def not_gtzan(source: str, tracks: pd.DataFrame, folder: Path) -> str | None:
    """Returns the reason why a corpus is neither GTZAN nor a part of it, or None if it is.

    Args:
        source: `data.source`; the synthetic corpus has the names of GTZAN's tracks, but other recordings.
        tracks: Columns `track` and `genre`.
        folder: The folder data/gtzan.
    """
    if source == "synthetic":
        return "data.source is synthetic"
    strangers = sorted(set(tracks["track"]) - set(artists(folder)["track"]))
    return f"which has no track {strangers[0]!r}" if strangers else None


def filtered_split(folder: Path) -> pd.DataFrame:
    """Returns the fault-filtered split (Kereliuk, Sturm and Larsen 2015): columns `track` and `subset`.

    443 tracks are in train, 197 in valid, 290 in test. `jazz/jazz.00054`, which cannot be decoded, is in train.
    """
    return _table(folder, "filtered_split.csv", tables.SUBSET_LIST)


def artists(folder: Path) -> pd.DataFrame:
    """Returns columns `track`, `artist`, `title` of all 1000 tracks (Sturm 2012); an empty text if not known.

    The spelling is that of the source, which spells two artists in two ways: see data/gtzan/README.md.
    """
    return _table(folder, "artists.csv", ("track", "artist", "title"))


def repetitions(folder: Path) -> list[tuple[str, ...]]:
    """Returns the groups of tracks that are the same excerpt, each sorted; data/gtzan/README.md names the source."""
    grouped = _table(folder, "repetitions.csv", tables.GROUP_LIST)
    return [tuple(sorted(tracks)) for _, tracks in grouped.groupby("group")["track"]]


def _table(folder: Path, name: str, columns: Sequence[str]) -> pd.DataFrame:
    return tables.read_csv(folder / name, columns)[list(columns)]
