"""The tables that stages pass on: their columns, and how a table is read and written.

A table is a CSV file in UTF-8. Names of tracks, genres and files stay text, also where they look like numbers.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from genre.pipeline import files

SUBSETS = ("train", "valid", "test")

TRACKS = ("track", "genre", "file", "seconds", "sample_rate", "artist", "album", "missing")  # data/tracks.csv
EXCLUDED = ("file", "reason")  # data/excluded.csv
STORE_INDEX = ("track", "start", "frames")  # data/spectrograms.csv
REPETITIONS = ("track_a", "track_b", "offset_seconds", "score")  # data/repetitions.csv
LEAKS = (*REPETITIONS, "subset_a", "subset_b")  # metrics/leaks.csv
SPLIT = ("track", "genre", "subset")  # data/split.csv
LEFT_OUT = ("track", "reason")  # data/left_out.csv
SUBSET_LIST = ("track", "subset")  # the user's table for split.protocol file
GROUP_LIST = ("track", "group")  # the user's table for split.group_by column
# metrics/history.csv; without a validation subset the columns of valid are missing
HISTORY = ("epoch", "train_loss", "valid_loss", "train_accuracy", "valid_accuracy", "learning_rate", "kept")
CLIP_PREDICTIONS = ("track", "clip", "subset", "actual", "predicted")  # metrics/predictions.csv, then a column a genre
TRACK_PREDICTIONS = ("track", "subset", "actual", "predicted")  # metrics/tracks.csv, then a column a genre

TEXT = (
    "artist",
    "album",
    "missing",
    "group",
    "track",
    "track_a",
    "track_b",
    "genre",
    "file",
    "subset",
    "reason",
    "actual",
    "predicted",
)
# A genre gives its name to a column, which must not be taken for another one, in whichever table.
RESERVED_GENRES = frozenset(
    (*TRACKS, *EXCLUDED, *STORE_INDEX, *LEAKS, *SPLIT, *GROUP_LIST, *HISTORY, *CLIP_PREDICTIONS)
)


def read_csv(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    """Reads a table; names such as `NA` or `007` stay text, only columns that hold numbers become numbers.

    Raises:
        ValueError: The file is not a CSV table, or lacks one of `columns`.
    """
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(TEXT, str), keep_default_na=False, na_values={"seconds": [""]})
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} must be a CSV table in UTF-8: {error}") from error
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes the surplus fields for the index
        raise ValueError(
            f"{path} must have as many fields in each row as in its first line; its other lines have more, for example "
            "a comma at the end"
        )
    missing = [column for column in columns if column not in table.columns]
    if missing:
        raise ValueError(f"{path} must have the columns {', '.join(columns)}; it lacks {', '.join(missing)}")
    return table


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Writes a table without its index; floats with 6 significant digits, so that the text is stable."""
    with files.replacing(path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g", lineterminator="\n")


def read_tracks(path: Path) -> pd.DataFrame:
    """Reads the table of tracks.

    Raises:
        ValueError: A column is missing, a track is listed twice, or no track is listed.
    """
    frame = read_csv(path, TRACKS)
    if frame.empty:
        raise ValueError(f"{path} must hold at least one track, got none; data/excluded.csv tells why")
    twice = frame["track"][frame["track"].duplicated()]
    if len(twice):
        raise ValueError(f"{path} must name each track once, got {twice.iloc[0]!r} twice")
    return frame


def held_out(subsets: Iterable[str]) -> str:
    """Returns the subset that results are reported on: test, else valid, else train.

    Args:
        subsets: The subsets that there are, in any order and repeated or not. If it is empty, the result is valid.
    """
    present = set(subsets)
    return next((subset for subset in reversed(SUBSETS) if subset in present), "valid")
