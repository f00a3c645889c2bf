"""The members of tar and zip files one by one: Python's readers, where they trust or read too much, reined in."""

import bz2
import gzip
import io
import lzma
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, cast

CHUNK = 1 << 20
# Bytes of a tar between two members. Python's reader holds them in memory; real headers have a few kilobytes.
MOST_HEADER_BYTES = 1 << 17


class NotAnArchiveError(ValueError):
    """The file is neither tar nor zip."""


@dataclass(frozen=True)
class Member:
    """One entry of an archive, as it stands there: nothing is checked but its kind.

    `oddity` says what it is if neither file nor folder, or why it cannot be read. `data` can be read until the next
    member is asked for.
    """

    name: str
    is_folder: bool
    oddity: str | None
    data: IO[bytes]


def members(file: IO[bytes], count: Callable[[], None]) -> Iterator[Member]:
    """Gives the members of the archive in `file`; the content decides which format it is.

    Args:
        file: A buffered binary file at its start.
        count: Called once for each member as soon as it is known to exist; may raise to end the listing.

    Raises:
        NotAnArchiveError: The file is neither tar nor zip.
        Exception: Much else that `tarfile`, `zipfile` and the decompressors raise for damaged archives.
    """
    listing = _zip_members if _start(file).startswith((b"PK\3\4", b"PK\5\6")) else _tar_members
    return listing(file, count)


def _start(file: IO[bytes]) -> bytes:
    return bytes(cast(Any, file).peek(6)[:6])


class _Header(tarfile.TarInfo):
    """A header that must be sound: `tarfile` takes a broken one after the first for the archive's end."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> "_Header":
        """Gives the next header, or raises `ReadError`; at a true end of the archive what `tarfile` raises there."""
        try:
            return super().fromtarfile(tar)
        except tarfile.HeaderError as error:
            if type(error).__name__ == "EOFHeaderError":  # has no public name
                raise
            raise tarfile.ReadError(str(error)) from error


class _Stream:
    """The unpacked tar as `tarfile` reads it; stops headers that would fill the memory."""

    def __init__(self, data: IO[bytes]) -> None:
        self._data = data
        self.headers: int | None = 0  # bytes since the last member, None inside of one

    def read(self, size: int) -> bytes:
        data = self._data.read(size)
        if self.headers is not None:
            self.headers += len(data)
            if self.headers > MOST_HEADER_BYTES:
                raise tarfile.ReadError(f"a header has more than {MOST_HEADER_BYTES} bytes")
        return data


def _decompressed(file: IO[bytes]) -> IO[bytes]:
    # These check the checksum at the end, which `tarfile`'s own reading of streams does not.
    start = _start(file)
    if start.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.open(file, "rb"))
    if start.startswith(b"BZh"):
        return cast(IO[bytes], bz2.open(file, "rb"))
    if start.startswith(b"\xfd7zXZ\0"):
        return cast(IO[bytes], lzma.open(file, "rb"))
    return file


def _tar_members(file: IO[bytes], count: Callable[[], None]) -> Iterator[Member]:
    stream = _Stream(_decompressed(file))
    with _open_tar(stream) as tar:
        for member in tar:
            count()
            stream.headers = None
            data = tar.extractfile(member) if member.isreg() else None
            yield Member(member.name, member.isdir(), _tar_oddity(member), data or io.BytesIO())
            stream.headers = 0
    while stream.read(CHUNK):  # to the checksum at the end
        pass


def _open_tar(stream: _Stream) -> tarfile.TarFile:
    try:
        return tarfile.open(
            fileobj=cast(IO[bytes], stream), mode="r|", tarinfo=_Header, encoding="utf-8", errors="surrogateescape"
        )
    except tarfile.ReadError as error:
        raise NotAnArchiveError(f"is not a tar or zip archive ({error})") from error


def _tar_oddity(member: tarfile.TarInfo) -> str | None:
    if member.isreg() or member.isdir():
        return None
    if member.issym() or member.islnk():
        return f"is a {'symbolic' if member.issym() else 'hard'} link to {member.linkname[:200]!r}"
    return "is a device or pipe" if member.isdev() else f"is of the unknown type {member.type!r}"


class _Listing(list[zipfile.ZipInfo]):
    def __init__(self, count: Callable[[], None]) -> None:
        super().__init__()
        self._count = count

    def append(self, member: zipfile.ZipInfo) -> None:
        """Adds a member, once it is counted."""
        self._count()
        super().append(member)


class _Zip(zipfile.ZipFile):
    """A zip whose members are counted while their list is read: `zipfile` would first read a million of them."""

    def __init__(self, file: IO[bytes], count: Callable[[], None]) -> None:
        self._listing = _Listing(count)
        super().__init__(file)

    @property
    def filelist(self) -> list[zipfile.ZipInfo]:
        """The members so far."""
        return self._listing

    @filelist.setter
    def filelist(self, members: list[zipfile.ZipInfo]) -> None:
        """Keeps the counting list, where `ZipFile` sets an empty one of its own."""


def _zip_members(file: IO[bytes], count: Callable[[], None]) -> Iterator[Member]:
    with _Zip(file, count) as archive:
        for member in archive.infolist():
            oddity = _zip_oddity(member)
            with io.BytesIO() if oddity else archive.open(member) as data:
                # `orig_filename`, because `filename` ends at a zero byte
                yield Member(member.orig_filename, member.is_dir(), oddity, data)


def _zip_oddity(member: zipfile.ZipInfo) -> str | None:
    if member.flag_bits & 1:
        return "is encrypted"
    kind = stat.S_IFMT(member.external_attr >> 16)  # of Unix; 0 elsewhere
    if kind in (0, stat.S_IFREG, stat.S_IFDIR):
        return None
    return "is a symbolic link" if kind == stat.S_IFLNK else "is a device or pipe"
