"""What is known about GTZAN: its genres, and the tables in data/gtzan.

A track is named `<genre>/<stem>` here as everywhere: `blues/blues.00012`.
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from genre import files

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
TABLES = Path(__file__).resolve().parents[1] / "data" / "gtzan"


def not_gtzan(source: str, tracks: pd.DataFrame, folder: Path = TABLES) -> str | None:
    """Gives the reason why a corpus cannot be GTZAN or a part of it, or None: the tables are about its recordings.

    The synthetic corpus has the names of GTZAN's tracks, other corpora have other names (columns `track` and `genre`).
    """
    if source == "synthetic":
        return "data.source is synthetic"
    strangers = sorted(set(tracks["track"]) - set(artists(folder)["track"]))
    return f"which has no track {strangers[0]!r}" if strangers else None


def filtered_split(folder: Path = TABLES) -> pd.DataFrame:
    """Gives the fault-filtered split (Kereliuk, Sturm and Larsen 2015): columns `track` and `subset`.

    443 train, 197 valid, 290 test; `jazz/jazz.00054`, which cannot be decoded, is among the first.
    """
    return table(folder, "filtered_split.csv", ("track", "subset"))


def artists(folder: Path = TABLES) -> pd.DataFrame:
    """Gives columns `track`, `artist`, `title` of all 1000 tracks (Sturm 2012); empty text where not known.

    Spelling is the source's: two artists are spelled in two ways, see data/gtzan/README.md.
    """
    return table(folder, "artists.csv", ("track", "artist", "title"))


def repetitions(folder: Path = TABLES) -> list[tuple[str, ...]]:
    """Gives the groups of tracks that are the same excerpt, each sorted (second-hand, see data/gtzan/README.md)."""
    grouped = table(folder, "repetitions.csv", ("track", "group"))
    return [tuple(sorted(tracks)) for _, tracks in grouped.groupby("group")["track"]]


def table(folder: Path, name: str, columns: Sequence[str]) -> pd.DataFrame:
    """Gives the named columns of one of the tables."""
    return files.read_csv(folder / name, columns)[list(columns)]
