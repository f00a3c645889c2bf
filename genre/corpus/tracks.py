"""The names of tracks, and their table: one row for each usable recording."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from genre.corpus import cells
from genre.corpus.folder import ScannedFile
from genre.pipeline.tables import EXCLUDED, TRACKS


def names(recordings: Sequence[str]) -> list[str]:
    """Names tracks after their files, without the suffix: `blues/blues.00012.wav` becomes `blues/blues.00012`.

    Where several files would have one name, all of them keep their suffix.
    """
    stems = [str(Path(file).with_suffix("")) for file in recordings]
    counts = Counter([*stems, *recordings])  # `a.wav` is the stem of `a.wav.flac` and a file's name too
    return [file if counts[stem] > 1 else stem for file, stem in zip(recordings, stems, strict=True)]


def tables_of(scanned: Iterable[ScannedFile], root: Path | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Makes the table of tracks, sorted by track, and the table of excluded files.

    Args:
        scanned: The files of the corpus.
        root: The path of the user's own folder in the column `file`: absolute, or relative to the folder of the
            stage's output. None if the recordings were moved to the folder of the stage's output.

    Returns:
        The columns of data/tracks.csv, and those of data/excluded.csv.
    """
    rows = [
        (file.file, file.genre, file.recording.seconds, file.recording.sample_rate, file.artist, file.album,
         file.recording.missing)
        for file in scanned
        if not file.reason and file.recording
    ]  # fmt: skip
    usable = pd.DataFrame(rows, columns=["file", "genre", "seconds", "sample_rate", "artist", "album", "missing"])
    usable["track"] = names(list(usable["file"]))
    if root is not None:
        usable["file"] = [str(root / file) for file in usable["file"]]
    for column in ("artist", "album"):
        usable[column] = usable[column].map(cells.harmless_text)
    excluded = [(cells.harmless_path(file.file), file.reason) for file in scanned if file.reason]
    return (
        usable[list(TRACKS)].sort_values("track", ignore_index=True),
        pd.DataFrame(excluded, columns=list(EXCLUDED)),
    )


def check_enough(usable: pd.DataFrame, tracks_csv: Path, excluded_csv: Path) -> None:
    """Checks that there are at least two genres to tell apart, and that their names can be told apart.

    Raises:
        ValueError: There is one, or two have names that differ only in how Unicode writes an accented letter.
    """
    for _, alike in usable.groupby(usable["genre"].str.normalize("NFC"))["genre"]:
        first, *others = alike.unique()
        if others:
            raise ValueError(
                f"{tracks_csv} must hold genres with different names, {first!r} and {others[0]!r} look alike: Unicode "
                f"has two ways to write them, {first!a} and {others[0]!a}; put their recordings into one folder"
            )
    if usable["genre"].nunique() < 2:
        raise ValueError(
            f"{tracks_csv} must hold at least 2 genres, got only {usable['genre'].iloc[0]!r}; {excluded_csv} lists "
            "what could not be used"
        )
