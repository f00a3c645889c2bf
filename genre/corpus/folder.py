"""Scans a folder of recordings with a folder per genre: which files can be used, and why the others cannot."""

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from tqdm import tqdm

from genre.audio import parallel
from genre.audio.processes import Failure
from genre.audio.reading import Recording
from genre.corpus import inspection, kinds
from genre.corpus.cells import FORMULA_STARTS
from genre.pipeline.tables import RESERVED_GENRES

OUTSIDE = "not in the folder of a genre"


@dataclass(frozen=True)
class ScannedFile:
    """One file: usable if `reason` is empty, and then it has a recording.

    Attributes:
        file: Relative to the corpus's root, with `/`; its first part is the genre.
        reason: Why it cannot be used.
        is_recording: Whether it is a recording, even a damaged one; a cover or a playlist is not.
        recording: Its properties.
    """

    file: str
    reason: str = ""
    is_recording: bool = True
    recording: Recording | None = None

    @property
    def genre(self) -> str:
        """The folder of the genre."""
        return self.file.split("/")[0]

    @property
    def artist(self) -> str:
        """The artist in the file's tags, or of its folders GENRE/ARTIST/ALBUM, or an empty text."""
        folders = self.file.split("/")[1:-1]
        return (self.recording.artist if self.recording else "") or (folders[0] if len(folders) > 1 else "")

    @property
    def album(self) -> str:
        """The album in the file's tags, or the folder that it is in below the genre's folder, or an empty text."""
        folders = self.file.split("/")[1:-1]
        return (self.recording.album if self.recording else "") or (folders[-1] if folders else "")


def genre_root(folder: Path, name: str) -> Path:
    """Returns the folder that holds the genres' folders: `folder`, or a folder below it.

    If only one folder holds recordings, and it has nothing but folders with recordings in it, they are taken for the
    genres. This finds `genres/` in GTZAN's archive, and `Data/genres_original/` in its copy on Kaggle. A folder with
    recordings of its own is a genre, and its folders are albums.

    Args:
        folder: The unpacked archive, or the user's folder.
        name: What to call it in messages.

    Raises:
        ValueError: There are no folders with recordings in them.
    """
    holders = [child for child in sorted(folder.iterdir()) if _holds_recordings(child)]
    if not holders:
        loose = sum(path.parent == folder for path in _recordings(folder))
        raise ValueError(
            f"{name} must hold a folder for each genre with recordings in it, found none, and {loose} recordings that "
            "are in no folder; put the recordings of each genre into a folder with its name"
        )
    if len(holders) == 1:
        below = [path for path in holders[0].iterdir() if not path.name.startswith(".")]
        if any(map(_holds_recordings, below)) and not any(
            path.is_file() and kinds.is_recording(path) for path in below
        ):
            return genre_root(holders[0], name)
    return folder


def _holds_recordings(folder: Path) -> bool:
    return folder.is_dir() and _never_a_genre(folder.name) is None and next(_recordings(folder), None) is not None


def _recordings(folder: Path) -> Iterator[Path]:
    return (path for path in _entries(folder) if not path.name.startswith(".") and kinds.is_recording(path))


def _entries(folder: Path) -> Iterator[Path]:
    """Yields all files below `folder`; a link to a folder counts as a file, and is not followed.

    Raises:
        OSError: A folder cannot be read, which must not look as if it were empty.
    """

    def stop(error: OSError) -> None:
        raise error

    for parent, folders, names in os.walk(folder, onerror=stop):
        links = [name for name in folders if Path(parent, name).is_symlink()]
        yield from (Path(parent, name) for name in [*names, *links])


def scan(folder: Path, *, min_seconds: float) -> list[ScannedFile]:
    """Decodes every recording below `folder` once and returns what each file is, sorted by name.

    Decoding runs in separate processes: if a decoder crashes or hangs, the file is excluded with that reason.

    Raises:
        OSError: A file or folder cannot be read for a reason that may be temporary; without it the corpus would be
            another one.
    """
    named = [_by_name(path, folder) for path in sorted(_entries(folder))]
    waiting = [file.file for file in named if not file.reason]
    answers = (
        parallel.map_files(partial(inspection.inspect, folder.absolute(), min_seconds), waiting)
        if waiting
        else iter(())
    )
    done = tqdm((file for file in named if not file.reason), "decoding", len(waiting), unit="file", disable=None)
    decoded = {}
    for file, answer in zip(done, answers, strict=True):
        recording = None if isinstance(answer, Failure) else answer.recording
        decoded[file.file] = replace(file, reason=answer.reason, recording=recording)
    return [decoded.get(file.file, file) for file in named]


def _by_name(path: Path, folder: Path) -> ScannedFile:
    """Returns what can be found from the name and the beginning of a file, without decoding it."""
    file = path.relative_to(folder).as_posix()
    problem = _unprintable(file)
    if problem:
        return ScannedFile(repr(file), problem)
    if any(part.startswith(".") for part in Path(file).parts):
        kind = "an AppleDouble file, not a recording" if path.name.startswith("._") else "a hidden file"
        return ScannedFile(file, kind, is_recording=False)
    odd = _not_a_file(path)
    if odd:
        return ScannedFile(file, odd, is_recording=path.is_symlink())
    if not kinds.is_recording(path):
        return ScannedFile(file, f"not an audio file ({path.suffix or 'no suffix'})", is_recording=False)
    genre, slash, _ = file.partition("/")
    return ScannedFile(file, (_never_a_genre(genre) or genre_problem(genre) or "") if slash else OUTSIDE)


def _unprintable(file: str) -> str | None:
    """Returns the reason why a table cannot hold the name of a file, or None if it can."""
    try:
        file.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8; rename it"
    return "a carriage return in its name, which tables cannot hold; rename it" if "\r" in file else None


def _not_a_file(path: Path) -> str | None:
    if path.is_dir():
        return "a link to a folder, which is not followed; put the folder itself there"
    if path.is_file():
        return None
    return "a broken link" if path.is_symlink() else "not a file"  # a pipe would be waited for without end


def _never_a_genre(name: str) -> str | None:
    is_system = name in kinds.SYSTEM_FOLDERS or name.startswith(".")
    return f"in the folder {name!r}, which is no genre but made by the system" if is_system else None


def genre_problem(genre: str) -> str | None:
    """Returns the reason why a folder cannot name a genre, or None if it can."""
    if genre in RESERVED_GENRES:
        return f"{genre!r} is a column of the tables, and cannot name a genre; rename the folder"
    if genre.startswith(FORMULA_STARTS):
        return f"{genre!r} begins with {genre[0]!r}, which a spreadsheet takes for a formula; rename the folder"
    return None


def move_usable(scanned: Iterable[ScannedFile], root: Path, folder: Path) -> None:
    """Moves the usable recordings from `root` into `folder`, with the same relative paths."""
    for file in scanned:
        if not file.reason:
            target = folder / file.file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(root / file.file, target)
