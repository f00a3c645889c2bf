"""Unpacking archives from strangers: tar (.gz, .bz2, .xz) and zip, whole or not at all, never out of the folder."""

import errno
import lzma
import re
import shutil
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from genre.corpus import archive_formats

CHUNK = 1 << 20
NEXT_STEP = "unpack it by hand if you trust it, and name the folder in data.path"
# What tarfile, zipfile and the decompressors raise for damaged archives, between them.
DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError,
    NotImplementedError, RuntimeError, ValueError, OverflowError, LookupError, MemoryError,
)  # fmt: skip


class ArchiveError(ValueError):
    """The archive is damaged or not to be trusted; one line that names the member."""


@dataclass(frozen=True)
class Limits:
    """What an archive may unpack to: bytes, members, and how many times its own size."""

    max_bytes: int
    max_members: int
    max_ratio: float


def unpack(archive: Path, folder: Path, *, max_bytes: int, max_members: int, max_ratio: float) -> None:
    """Unpacks `archive` into `folder`, which must not exist or be empty.

    It unpacks beside `folder` and renames at the end: on an error nothing is left, in any place. Files get the usual
    modes of new files, no times and no owners. What decides the format is the content, not the archive's name.

    Args:
        archive: tar, tar.gz, tar.bz2, tar.xz or zip.
        folder: Where the members go.
        max_bytes: Most bytes of all members together, counted while unpacking, whatever the headers claim.
        max_members: Most files and folders; a longer list is not read to its end.
        max_ratio: Most unpacked bytes per byte of the archive.

    Raises:
        ArchiveError: The archive is none, damaged, encrypted or over a limit, or one of its members is a link, a
            device, named twice, or named so that it could leave the folder.
        ValueError: `folder` has something in it.
    """
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise ValueError(f"{folder} must be missing or an empty folder to unpack into; remove it, then run again")
    temporary = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(temporary, ignore_errors=True)  # of a killed run
    temporary.mkdir(parents=True)
    try:
        with _room_errors(folder):
            _write(temporary, members(archive, Limits(max_bytes, max_members, max_ratio)))
        temporary.replace(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _write(folder: Path, content: Iterator[tuple[str, "Reader | None"]]) -> None:
    for name, reader in content:
        path = folder / name
        if reader is None:
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            while chunk := reader.read(CHUNK):
                file.write(chunk)


@contextmanager
def _room_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ValueError(f"{folder} must have room for what is unpacked, got: {error.strerror}; make room") from error


def members(archive: Path, limits: Limits) -> Iterator[tuple[str, "Reader | None"]]:
    """Gives `(name, reader)` of each member in the archive's order, checked as `unpack` says; a folder has no reader.

    A reader ends when the next member is asked for. Names have `/` between their parts and no `.` part.
    """
    if not archive.is_file():
        raise ArchiveError(
            f"{archive} must be a tar or zip archive, got {'a folder' if archive.is_dir() else 'nothing'}"
        )
    tally = _Tally(archive, limits)
    seen: dict[str, tuple[str, bool]] = {}
    with _one_kind_of_error(archive), archive.open("rb") as file:
        for member in archive_formats.members(file, tally.add_member):
            name = _checked_name(archive, member, seen)
            reader = None if member.is_folder else Reader(archive, member.data, tally)
            if name:
                yield name, reader
            while reader and reader.read(CHUNK):  # to the checksum, if nobody read so far
                pass


class Reader:
    """The bytes of one member, counted."""

    def __init__(self, archive: Path, data: IO[bytes], tally: "_Tally") -> None:
        self._archive, self._data, self._tally = archive, data, tally

    def read(self, size: int) -> bytes:
        """Gives up to `size` more bytes, none at the end.

        Raises:
            ArchiveError: The archive is damaged, or over a limit.
        """
        with _one_kind_of_error(self._archive):
            data = self._data.read(size)
        self._tally.add_bytes(len(data))
        return data


class _Tally:
    """Counts what comes out of an archive, and stops it at the limits."""

    def __init__(self, archive: Path, limits: Limits) -> None:
        self._archive, self._limits = archive, limits
        self._size = archive.stat().st_size
        self._bytes = self._members = 0

    def add_member(self) -> None:
        self._members += 1
        if self._members > self._limits.max_members:
            self._stop(f"have {self._limits.max_members} members at most")

    def add_bytes(self, count: int) -> None:
        self._bytes += count
        if self._bytes > self._limits.max_bytes:
            self._stop(f"unpack to {self._limits.max_bytes} bytes at most")
        if self._bytes > self._limits.max_ratio * self._size:
            self._stop(f"unpack to {self._limits.max_ratio:g} times its {self._size} bytes at most")

    def _stop(self, rule: str) -> None:
        raise ArchiveError(f"{self._archive} must {rule}, got more; {NEXT_STEP}")


def _checked_name(archive: Path, member: archive_formats.Member, seen: dict[str, tuple[str, bool]]) -> str:
    """Gives the member's name without `.` parts and repeated slashes; empty for the archive's own root."""
    parts = [part for part in member.name.split("/") if part not in ("", ".")]
    fault = _name_fault(member.name) or member.oddity
    if not fault and not parts and not member.is_folder:
        fault = "has no name"
    for end in range(1, len(parts) + 1):
        fault = fault or _clash("/".join(parts[:end]), member.is_folder or end < len(parts), seen)
    if fault:
        # Cut where it is long, and as `repr` shows it, so that it cannot act on a terminal.
        raise ArchiveError(f"{archive} is refused: member {member.name[:200]!r} {fault}; {NEXT_STEP}")
    return "/".join(parts)


def _name_fault(name: str) -> str | None:
    if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in name):
        return "has control characters, or bytes that are not UTF-8, in its name"
    if "\\" in name:
        return "has a backslash in its name"
    if name.startswith("/") or re.match("[A-Za-z]:", name):
        return "has an absolute path"
    if ".." in name.split("/"):
        return "has .. in its path"
    if len(name) > 1000 or max(len(part.encode()) for part in name.split("/")) > 255:
        return "has too long a name"
    return None


def _clash(name: str, is_folder: bool, seen: dict[str, tuple[str, bool]]) -> str | None:
    """Remembers `name`; says which earlier one it is the same as, on a file system that folds case or Unicode.

    `seen` maps folded names to `(name, is_folder)`. The same folder may come again, a file never.
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
    earlier = seen.get(folded)
    seen.setdefault(folded, (name, is_folder))
    if earlier is None or (is_folder and earlier == (name, True)):
        return None
    return f"has the name of an earlier member, {earlier[0]!r}"


@contextmanager
def _one_kind_of_error(archive: Path) -> Iterator[None]:
    """Turns what the libraries raise on damaged archives into `ArchiveError`."""
    try:
        yield
    except ArchiveError:
        raise
    except archive_formats.NotAnArchiveError as error:
        raise ArchiveError(f"{archive} {error}; {NEXT_STEP}") from error
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise  # of the disk; those about the content have no number, or are seeks to before the file's start
        raise ArchiveError(f"{archive} is cut off or damaged: {error}; fetch it again") from error
