"""Changes the genre in the tags of files so that no file is ever damaged, and every change can be taken back.

A change is written to a journal first. Then the tags are written into a copy beside the file; the copy's sound is
compared with that of the file, packet by packet, and the copy takes the file's place in one step. So whenever the
process is killed, the file is the old one or the new one, whole.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from genre.pipeline import files
from genre.prediction import packets, tags


@dataclass(frozen=True)
class Change:
    """A change of one file.

    Attributes:
        file: Its absolute path, with links followed.
        old: The genres that its tags named.
        new: Those that they name now.
    """

    file: str
    old: list[str]
    new: list[str]


LINE_START = b'{"file": '  # of every line of a journal


class Journal:
    """The changes, a JSON object a line, each on the disk before its file is changed.

    Raises:
        ValueError: There is something else at the path, such as a recording; it stays as it is.
        OSError: The file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        _check_journal(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: IO[bytes] = path.open("ab+")
        if self._file.tell():
            self._file.seek(-1, os.SEEK_END)
            if self._file.read(1) != b"\n":  # a process was killed while it wrote the last line
                self._file.write(b"\n")

    def add(self, change: Change) -> None:
        """Writes a change and waits until it is on the disk."""
        with files.naming_full_disk(self.path):
            self._file.write(json.dumps(asdict(change)).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file; without a change, removes it."""
        with suppress(OSError):  # each change was flushed by `add`, which raised what could not be written
            self._file.close()
        if self.path.stat().st_size == 0:
            self.path.unlink()


def _check_journal(path: Path) -> None:
    """Checks that changes can be appended: there is no file yet, or one that begins as a journal does."""
    if not path.exists():
        return
    head = b""
    if path.is_file():
        with path.open("rb") as file:
            head = file.read(len(LINE_START))
    if not path.is_file() or not LINE_START.startswith(head):  # a kill may have cut the first line
        raise ValueError(f"--journal must name a new file or a journal of `genre tag`, {path} is none; name another")


def read_journal(path: Path) -> list[Change]:
    """Reads the changes of a journal; lines that a killed process left incomplete are skipped.

    Raises:
        ValueError: It is missing, or no journal.
        OSError: It cannot be read.
    """
    if not path.exists():
        raise ValueError(f"{path} is missing; `genre tag --write` names the journal that it writes")
    changes = [change for line in path.read_bytes().splitlines() if (change := _parsed(line))]
    if not changes:
        raise ValueError(f"{path} must be a journal of `genre tag --write`, found no change in it")
    return changes


def _parsed(line: bytes) -> Change | None:
    try:
        change = Change(**json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None
    if not (isinstance(change.old, list) and isinstance(change.new, list)):
        return None
    return change if all(isinstance(text, str) for text in (change.file, *change.old, *change.new)) else None


def change(path: Path, genres: Sequence[str], journal: Journal) -> None:
    """Writes genres into the tags of a file, after the change was written to the journal.

    Raises:
        ValueError: The tags cannot be written, or the sound would have changed; the file is as it was.
        OSError: The disk is full, or the file cannot be read or written; the file is as it was.
    """
    path = path.resolve(strict=True)
    _check_writable(path)
    journal.add(Change(str(path), tags.read(path), list(genres)))
    _replace(path, genres)


def undo(change: Change) -> tuple[str, str]:
    """Restores the genres of a file.

    Returns:
        What was done: "restored"; "unchanged", because the file has the old genres already; or "left", because it has
        other ones. Then the reason, which is empty unless the file was left.

    Raises:
        ValueError: As `change`.
        OSError: As `change`.
    """
    path = Path(change.file)
    if not path.is_file():
        raise ValueError("no such file; it was moved, renamed or removed")
    path = path.resolve(strict=True)  # the file may have been moved, and a link left in its place
    remove_leftover(path)
    now = tags.read(path)
    if now == change.old:
        return "unchanged", ""
    if now != change.new:
        return "left", f"changed since, to {', '.join(now) or 'no genre'}; left as it is"
    _check_writable(path)
    _replace(path, change.old)
    return "restored", ""


def leftover(path: Path) -> Path:
    """Returns the path of the copy that a killed process may have left beside a file; its name is short and hidden."""
    name = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    return path.with_name(f".genre-tag-{name}.unfinished{path.suffix[:20]}")


def remove_leftover(path: Path) -> None:
    """Removes the copy that a killed process left beside a file."""
    with suppress(OSError):
        leftover(path.resolve()).unlink(missing_ok=True)


def _check_writable(path: Path) -> None:
    if not os.access(path, os.W_OK):
        raise PermissionError("is read-only; allow writing, then run again")
    if not os.access(path.parent, os.W_OK):
        raise PermissionError("its folder is read-only; allow writing into it, then run again")


def _replace(path: Path, genres: Sequence[str]) -> None:
    before, copy = path.stat(), leftover(path)
    with files.naming_full_disk(path):
        try:
            shutil.copyfile(path, copy)
            tags.write(copy, genres)
            if tags.read(copy) != list(genres) or packets.digest(copy) != packets.digest(path):
                raise ValueError("tags or sound would have been damaged; left as it is")
            _as_before(copy, path, before)
            now = path.stat()
            if (now.st_mtime_ns, now.st_size) != (before.st_mtime_ns, before.st_size):
                raise ValueError("was changed by another program meanwhile; left as it is")
            copy.replace(path)
        except BaseException:
            with suppress(OSError):  # the first error is the one to report
                copy.unlink(missing_ok=True)
            raise


def _as_before(copy: Path, path: Path, before: os.stat_result) -> None:
    """Gives the copy the owner, group, mode and extended attributes of the file; waits until it is on the disk.

    The modification time is new, so that players and backups notice the new tags.
    """
    try:
        os.chown(copy, before.st_uid, before.st_gid)
    except PermissionError:  # only a superuser may change the owner; who is in the group may set it
        with suppress(PermissionError):
            os.chown(copy, -1, before.st_gid)
    shutil.copystat(path, copy)
    os.utime(copy)
    with copy.open("rb") as file:
        os.fsync(file.fileno())
