"""Which recordings a user means by the files and folders named on the command line."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from genre.corpus import kinds

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


@dataclass
class Found:
    """What was found.

    Attributes:
        recordings: In the order of the arguments, those of a folder sorted by name; each file once.
        problems: What cannot be used although it was named or looks like a recording, a line each.
        notes: What else was left out and might be missed, a line each.
        folders: How many of the arguments are folders.
    """

    recordings: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    folders: int = 0


def find(names: Sequence[str]) -> Found:
    """Finds the recordings that are named, and all below the folders that are named.

    Below a folder a file is a recording by its suffix, else by its content. Hidden files and folders, folders made by
    the system, and links to folders are not visited. What cannot be used is listed; no error is raised for it.
    """
    found = Found()
    known: set[str] = set()
    for name in names:
        for path in _recordings_of(name, found):
            place = os.path.realpath(path)
            if place not in known:
                known.add(place)
                found.recordings.append(path)
    return found


def _recordings_of(name: str, found: Found) -> list[Path]:
    path = Path(name)
    if not name:
        found.problems.append(
            "'': the name is empty, perhaps because a variable of the shell is not set; `.` names this folder"
        )
    elif name == "-":
        found.problems.append("-: standard input is not read; save the recording to a file, and name that")
    elif ADDRESS.match(name):
        found.problems.append(f"{name}: an internet address is not read; download the recording, and name the file")
    elif problem := _problem(path):
        found.problems.append(f"{name}: {problem}")
    elif os.path.isdir(path):  # noqa: PTH112 - unlike `Path.is_dir`, raises nothing
        found.folders += 1
        return _below(path, found)
    else:
        return [path]
    return []


def _problem(path: Path) -> str | None:
    """Returns the reason why a path is neither a file nor a folder, or None if it is one."""
    try:
        path.stat()
    except FileNotFoundError:
        return "a broken link" if path.is_symlink() else "no such file or folder"
    except OSError as error:  # a loop of links, a name too long, a folder without permission
        return f"cannot be read: {error.strerror}"
    return None if path.is_file() or path.is_dir() else "not a file"  # a pipe would be waited for without end


def _below(folder: Path, found: Found) -> list[Path]:
    """Returns the recordings below a folder, sorted."""
    before, others, recordings = len(found.problems), 0, []
    for path in _files(folder, found):
        try:
            is_audio = kinds.is_recording(path)
        except OSError as error:
            found.problems.append(f"{path}: cannot be read: {error.strerror}")
            continue
        problem = _problem(path) if is_audio else None
        if problem:
            found.problems.append(f"{path}: {problem}")
        elif is_audio:
            recordings.append(path)
        else:
            others += 1
    if not recordings and len(found.problems) == before:
        beside = "it is empty" if others == 0 else f"only {others} other file{'s' * (others > 1)}"
        found.problems.append(f"{folder}: holds no recordings, {beside}")
    return sorted(recordings)


def _files(folder: Path, found: Found) -> Iterator[Path]:
    """Yields the files below a folder that are not hidden."""

    def note(error: OSError) -> None:
        found.problems.append(f"{error.filename}: cannot be read: {error.strerror}")

    for parent, folders, names in os.walk(folder, onerror=note):
        visited = []
        for name in folders:
            if name.startswith(".") or name in kinds.SYSTEM_FOLDERS:
                continue
            if Path(parent, name).is_symlink():
                found.notes.append(f"{Path(parent, name)}: a link to a folder is not followed; name the folder itself")
            else:
                visited.append(name)
        folders[:] = visited
        yield from (Path(parent, name) for name in names if not name.startswith("."))
