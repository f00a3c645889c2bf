"""What a folder of recordings holds: a folder per genre, and in it what can be used and what cannot."""

import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from genre.audio import reading
from genre.pipeline.tables import RESERVED_GENRES

# A spreadsheet runs a cell that begins with one of these as a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
SUFFIXES = frozenset(
    f".{name}"
    for name in ("wav", "au", "snd", "flac", "ogg", "oga", "opus", "mp3", "aif", "aiff", "aifc", "caf", "w64", "rf64")
)  # what libsndfile reads by itself


@dataclass(frozen=True)
class ScannedFile:
    """One file: usable if `reason` is None, and then its length and rate are known.

    Attributes:
        file: Relative to the corpus's root, with `/`; its first part is the genre.
    """

    file: str
    reason: str | None
    seconds: float = 0.0
    sample_rate: int = 0

    @property
    def genre(self) -> str:
        """The folder of the genre."""
        return self.file.split("/")[0]


def genre_root(folder: Path) -> Path:
    """Finds the folder that holds the genres' folders: `folder`, or one further down if all else holds no audio.

    So `genres/` in GTZAN's archive is stepped over, and `Data/genres_original/` in its copy on Kaggle.

    Raises:
        ValueError: There are no folders with recordings in them.
    """
    holders = [child for child in sorted(folder.iterdir()) if child.is_dir() and next(_recordings(child), None)]
    if not holders:
        raise ValueError(f"{folder} must hold a folder per genre with recordings in it, found none")
    if len(holders) == 1 and any(child.is_dir() and next(_recordings(child), None) for child in holders[0].iterdir()):
        return genre_root(holders[0])
    return folder


def _recordings(folder: Path) -> Iterator[Path]:
    return (path for path in _entries(folder) if path.suffix.lower() in SUFFIXES and not path.name.startswith("."))


def _entries(folder: Path) -> Iterator[Path]:
    """Yields all below `folder` but folders; a link to a folder counts as one entry, and is not followed.

    Raises:
        OSError: A folder cannot be read, which must not look as if it were empty.
    """

    def stop(error: OSError) -> None:
        raise error

    for parent, folders, names in os.walk(folder, onerror=stop):
        links = [name for name in folders if Path(parent, name).is_symlink()]
        yield from (Path(parent, name) for name in [*names, *links])


def scan(folder: Path, *, min_seconds: float) -> list[ScannedFile]:
    """Decodes every file below `folder` once and says of each what it is, sorted by name.

    Raises:
        OSError: A file or folder cannot be read for a reason that may pass: to leave it out would change the corpus.
    """
    paths = sorted(_entries(folder))
    with ThreadPoolExecutor(os.cpu_count()) as threads:  # libsndfile decodes outside of Python's lock
        findings = threads.map(lambda path: _finding(path, folder, min_seconds), paths)
        return list(tqdm(findings, "decoding", len(paths), unit="file", disable=None))


def _finding(path: Path, folder: Path, min_seconds: float) -> ScannedFile:
    file = path.relative_to(folder).as_posix()
    try:
        file.encode()
    except UnicodeEncodeError:
        return ScannedFile(repr(file), "its name is not UTF-8; rename it")
    if "\r" in file:
        return ScannedFile(repr(file), "a carriage return in its name, which tables cannot hold; rename it")
    reason = _unfit(path, file)
    if reason is None:
        try:
            recording = reading.inspect(path)
            reason = _unusable(recording, min_seconds)
        except PermissionError:
            reason = "cannot be read: permission denied"
        except ValueError as error:
            reason = str(error)
    if reason is not None:
        return ScannedFile(file, reason)
    return ScannedFile(file, None, recording.seconds, recording.sample_rate)


def _unfit(path: Path, file: str) -> str | None:
    """Gives the reason why a file is not even tried, told from its name, or None."""
    if any(part.startswith(".") for part in Path(file).parts):
        return "an AppleDouble file, not a recording" if path.name.startswith("._") else "a hidden file"
    odd = _not_a_file(path)
    if odd:
        return odd
    if "/" not in file:
        return "not in the folder of a genre"
    if path.suffix.lower() not in SUFFIXES:
        return f"not an audio file that is read here ({path.suffix or 'no suffix'}); convert it to flac or wav"
    return genre_problem(file.split("/", maxsplit=1)[0])


def _not_a_file(path: Path) -> str | None:
    if path.is_dir():
        return "a link to a folder, which is not followed; put the folder itself there"
    if path.is_file():
        return None
    return "a broken link" if path.is_symlink() else "not a file"  # a pipe would be waited for without end


def _unusable(recording: reading.Recording, min_seconds: float) -> str | None:
    if recording.seconds < min_seconds:
        return f"too short: {recording.seconds:.2f} s, data.min_seconds is {min_seconds:g}"
    return "silent" if recording.peak < reading.SILENCE else None


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
        if file.reason is None:
            target = folder / file.file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(root / file.file, target)
