"""The track table: one row a usable recording, and beside it the list of what is not usable and why."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from genre import files

COLUMNS = ("track", "genre", "file", "seconds", "sample_rate")
# A spreadsheet runs a cell that begins with one of these as a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
# The columns that stand beside the genres in metrics/predictions.csv and metrics/tracks.csv.
RESERVED_GENRES = ("track", "clip", "subset", "actual", "predicted")


def names(recordings: Sequence[str]) -> list[str]:
    """Names tracks by their files `<genre>/<stem>.<suffix>`: `<genre>/<stem>`, and the suffix where two are alike.

    GTZAN's `blues/blues.00012.wav` becomes `blues/blues.00012`.
    """
    stems = [str(Path(file).with_suffix("")) for file in recordings]
    counts = Counter([*stems, *recordings])  # `a.wav` is the stem of `a.wav.flac` and a file's name too
    return [file if counts[stem] > 1 else stem for file, stem in zip(recordings, stems, strict=True)]


def check_genre(genre: str) -> str | None:
    """Gives the reason why a folder cannot name a genre, or None if it can."""
    if genre in RESERVED_GENRES:
        return f"{genre!r} is a column of the tables, and cannot name a genre; rename the folder"
    if genre.startswith(FORMULA_STARTS):
        return f"{genre!r} begins with {genre[0]!r}, which a spreadsheet takes for a formula; rename the folder"
    return None


def table(rows: Iterable[tuple[str, str, float, int]]) -> pd.DataFrame:
    """Makes the track table, sorted by track, from rows `(file, genre, seconds, sample_rate)`."""
    frame = pd.DataFrame(rows, columns=["file", "genre", "seconds", "sample_rate"])
    frame["track"] = names(list(frame["file"]))
    return frame[list(COLUMNS)].sort_values("track", ignore_index=True)


def read(path: Path) -> pd.DataFrame:
    """Reads a track table.

    Raises:
        ValueError: A column is missing, a track stands twice, or there is none.
    """
    frame = files.read_csv(path, COLUMNS)
    if frame.empty:
        raise ValueError(f"{path} must hold at least one track, got none; data/excluded.csv tells why")
    twice = frame["track"][frame["track"].duplicated()]
    if len(twice):
        raise ValueError(f"{path} must name each track once, got {twice.iloc[0]!r} twice")
    return frame


def harmless(cell: str) -> str:
    """Gives the name of a file so that no spreadsheet takes it for a formula."""
    return f"./{cell}" if cell.startswith(FORMULA_STARTS) else cell
