"""Writes predictions as JSON, as a table and as playlists."""

import csv
import json
import os
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from genre.corpus import cells
from genre.pipeline import files

if TYPE_CHECKING:
    from genre.prediction.batch import Answer
    from genre.prediction.predictor import Prediction

MARK = "#PLAYLIST-OF:genre predict"  # the second line of our playlists; only files with it are overwritten
UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f\x7f]')  # characters that one of the usual file systems refuses in a name


def as_json(path: Path, predicted: "Prediction") -> str:
    """Returns one line: the file, its most probable genre, all probabilities, and those of each window."""
    return json.dumps({
        "file": str(path),
        "genre": predicted.genre,
        "unsure": predicted.unsure,
        "probabilities": predicted.by_genre(),
        "clips": [
            {"start_seconds": round(float(start), 2), **predicted.by_genre(clip)}
            for clip, start in enumerate(predicted.starts)
        ],
    })  # fmt: skip


def check_output(path: Path, suffix: str, option: str) -> None:
    """Checks, before any work, that a file can be written there.

    Args:
        path: The file.
        suffix: The suffix that its name must have; a file with another one may be a recording, named by mistake.
        option: The option of the command line, for messages.

    Raises:
        ValueError: The name has another suffix, or names something that is not a file.
        OSError: Its folder is missing or cannot be written to.
    """
    check_suffix(path, suffix, option)
    if path.exists() and not path.is_file():
        raise ValueError(f"{option} must name a file, {path} is none")
    _check_folder(path.resolve().parent)


def check_suffix(path: Path, suffix: str, option: str) -> None:
    """Checks the suffix of a file that is to be written; see `check_output`."""
    if path.suffix.lower() != suffix:
        raise ValueError(f"{option} must name a file that ends in {suffix}, got {path}")


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder; make it, then run again")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{folder} cannot be written to; name another place")


def write_table(answers: Sequence["Answer"], genres: Sequence[str], path: Path) -> None:
    """Writes a row for each recording: file, genre (or `unsure`, or nothing if it failed), and all probabilities."""
    rows = ([_cell(answer.path), *_said(answer.prediction, genres)] for answer in answers)
    with (
        files.replacing(path.resolve()) as temporary,
        # A name that is not valid text is written with escapes: programs refuse a table that is not UTF-8.
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        csv.writer(file, lineterminator="\n").writerows([["file", "genre", *genres], *rows])


def _cell(path: Path) -> str:
    """Returns the path, harmless in a spreadsheet program. A carriage return, which would end the row, is escaped."""
    return cells.harmless_path(str(path).replace("\r", "\\r"))


def _said(predicted: "Prediction | None", genres: Sequence[str]) -> list[str | float]:
    if predicted is None:
        return [""] * (1 + len(genres))
    return ["unsure" if predicted.unsure else predicted.genre, *predicted.by_genre().values()]


def playlist_names(genres: Sequence[str]) -> dict[str, str]:
    """Returns genre -> name of its playlist, safe on every usual file system; names differ by more than case."""
    names: dict[str, str] = {}
    for genre in genres:
        safe = UNSAFE.sub("_", genre).strip(" .").encode()[:100].decode(errors="ignore") or "genre"
        used = {name.lower() for name in names.values()}
        numbers = (f"{safe}{suffix}.m3u8" for suffix in ("", *(f" {number}" for number in range(2, 2 + len(genres)))))
        names[genre] = next(name for name in numbers if name.lower() not in used)
    return names


def check_playlists(folder: Path, genres: Sequence[str]) -> None:
    """Checks, before any work, that playlists can be written into a folder; makes it if it is missing.

    Raises:
        ValueError: It is no folder, or holds a playlist of that name that was not written here.
        OSError: It cannot be written to.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"--m3u must name a folder, {folder} is none")
    folder.mkdir(parents=True, exist_ok=True)
    _check_folder(folder.resolve())
    for name in playlist_names(genres).values():
        if (folder / name).exists() and not _is_ours(folder / name):
            raise ValueError(f"{folder / name} was not written by `genre predict`; rename it, or name another folder")


def _is_ours(playlist: Path) -> bool:
    with playlist.open("rb") as file:
        return MARK.encode() in file.read(200)


def write_playlists(answers: Sequence["Answer"], genres: Sequence[str], folder: Path) -> list[str]:
    """Writes a playlist `GENRE.m3u8` for each genre that has recordings; unsure ones are in none.

    Paths are relative to the playlist, so that it still works after music and playlists were moved together. A
    playlist of an earlier run is overwritten, or removed if its genre has no recordings now. Playlists of genres that
    the model does not have stay.

    Returns:
        Files that no playlist can hold, because there is a line break in their names.
    """
    entries, left_out = defaultdict(list), []
    for answer in answers:
        if answer.prediction and not answer.prediction.unsure:
            if "\n" in str(answer.path) or "\r" in str(answer.path):
                left_out.append(str(answer.path))
            else:
                entries[answer.prediction.genre].append(_entry(answer.path, folder))
    for genre, name in playlist_names(genres).items():
        if entries[genre]:
            lines = ["#EXTM3U", MARK, *entries[genre]]
            with files.replacing(folder / name) as temporary:
                temporary.write_bytes(b"".join(os.fsencode(f"{line}\n") for line in lines))
        else:
            (folder / name).unlink(missing_ok=True)
    return left_out


def _entry(path: Path, folder: Path) -> str:
    """Returns a recording's path relative to the folder of the playlist; a line that begins with # is a comment."""
    absolute = Path(os.path.realpath(path.parent), path.name)
    entry = os.path.relpath(absolute, os.path.realpath(folder))
    return f"./{entry}" if entry.startswith("#") else entry
