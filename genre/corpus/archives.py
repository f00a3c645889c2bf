"""Unpacks tar (also .gz, .bz2, .xz) and zip archives that may be damaged or hostile: whole, or not at all."""

import bz2
import errno
import gzip
import lzma
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

from genre.pipeline import files

CHUNK = 1 << 20
# Of the members of a zip archive: a flag, and a value of `create_system`.
UTF8_NAME, MADE_ON_WINDOWS = 0x800, 0
DECOMPRESSORS: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.GzipFile,
    b"BZh": bz2.BZ2File,
    b"\xfd7zXZ\0": lzma.LZMAFile,
}
# What tarfile, zipfile and the decompressors raise for damaged archives, together.
DAMAGE = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError,
    NotImplementedError, RuntimeError, ValueError, LookupError, OverflowError,
)  # fmt: skip


def unpack(archive: Path, folder: Path, *, max_bytes: int, max_members: int, max_ratio: float) -> None:
    """Unpacks `archive` into `folder`, which appears when it is complete.

    The format is found from the archive's content, not from its name. Files get the usual modes of new files. A slash
    at the beginning of a name is removed.

    Args:
        archive: The tar or zip file.
        folder: Where the members are written; an earlier folder is replaced.
        max_bytes: The most bytes of unpacked members (of a tar, with its headers), counted while they are read.
        max_members: The most files and folders.
        max_ratio: The most unpacked bytes per byte of the archive.

    Raises:
        ValueError: The archive is damaged, encrypted or over a limit, or one of its members is a link, a device or
            sparse, has the name of an earlier one, or would lie outside `folder`.
        OSError: The disk is full or fails.
    """
    most_bytes = int(min(max_bytes, max_ratio * archive.stat().st_size))
    with files.replacing_folder(folder) as temporary, _damage_as_one_error(archive):
        temporary.mkdir()
        for number, (member, content) in enumerate(_members(archive, most_bytes), 1):
            if number > max_members:
                raise ValueError(f"more than {max_members} members (data.max_unpacked_files)")
            _write(member, content, temporary)


@contextmanager
def _damage_as_one_error(archive: Path) -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # EINVAL: a seek to before the start
            raise  # an error of the disk
        raise ValueError(
            f"{archive} must be a whole and harmless tar or zip archive, got: {str(error) or type(error).__name__}; "
            "fetch it again, or unpack it by hand if you trust it, and name the folder in data.path"
        ) from error


class _Counted:
    """A file that raises an error if more than `left` bytes are read, so that nothing fills the memory or the disk."""

    def __init__(self, file: IO[bytes], left: int) -> None:
        self._file, self.left = file, left
        self.last = b""  # what the last read returned

    def read(self, size: int) -> bytes:
        self.last = self._file.read(min(max(size, 0), self.left + 1))
        self.left -= len(self.last)
        if self.left < 0:
            raise ValueError("more bytes than data.max_unpacked_gigabytes and data.max_unpacked_ratio allow")
        return self.last

    def seek(self, place: int) -> int:
        return self._file.seek(place)

    def tell(self) -> int:
        return self._file.tell()


def _members(archive: Path, most_bytes: int) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    """Yields each member and its content (None if it is not a file); each must be read before the next one."""
    with archive.open("rb") as file:
        start = file.read(6)
    if start.startswith(b"PK"):
        return _zip_members(archive, most_bytes)
    found = [decompressor for magic, decompressor in DECOMPRESSORS.items() if start.startswith(magic)]
    return _tar_members(found[0](archive) if found else archive.open("rb"), most_bytes)


def _tar_members(file: IO[bytes], most_bytes: int) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    stream = _Counted(file, most_bytes)
    with file, tarfile.open(fileobj=cast(IO[bytes], stream), mode="r:") as archive:
        for member in archive:
            yield member, archive.extractfile(member) if member.isreg() else None
        # tarfile takes a broken or missing header for the end of the archive; the real end is a block of zeros.
        if stream.last != bytes(tarfile.BLOCKSIZE):
            raise ValueError("it is cut off, or a header is damaged")
        while stream.read(CHUNK):  # up to the checksum of the compressed file
            pass


def _zip_members(path: Path, most_bytes: int) -> Iterator[tuple[tarfile.TarInfo, IO[bytes] | None]]:
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.flag_bits & 1:
                raise ValueError(f"{entry.filename!r} is encrypted")
            member = tarfile.TarInfo(_zip_name(entry))
            kind = stat.S_IFMT(entry.external_attr >> 16)  # 0 if the archive was not made on Unix
            regular = tarfile.REGTYPE if kind in (0, stat.S_IFREG) else tarfile.SYMTYPE
            is_folder = member.name.endswith("/")
            member.type = tarfile.DIRTYPE if is_folder else regular
            with archive.open(entry) as content:
                counted = _Counted(content, most_bytes)
                yield member, None if is_folder else cast(IO[bytes], counted)
                most_bytes = counted.left


def _zip_name(entry: zipfile.ZipInfo) -> str:
    """Returns the name of a member, with `/` between folders and at the end of a folder's name.

    The format allows two encodings of names, and a flag says which one was used. The archiver of macOS writes UTF-8
    without setting the flag, and some programs on Windows write a backslash instead of `/`.
    """
    name = entry.filename
    if not entry.flag_bits & UTF8_NAME:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode()
    return name.replace("\\", "/") if entry.create_system == MADE_ON_WINDOWS else name


def _write(member: tarfile.TarInfo, content: IO[bytes] | None, folder: Path) -> None:
    if member.issparse() or not (member.isreg() or member.isdir()):
        raise ValueError(f"{member.name!r} is a link, a device or sparse")
    path = folder / tarfile.data_filter(member, str(folder)).name  # raises for a name that leaves the folder
    try:
        (path.parent if content else path).mkdir(parents=True, exist_ok=True)
        if content:
            with path.open("xb") as file:
                shutil.copyfileobj(content, file, CHUNK)
    except (FileExistsError, NotADirectoryError) as error:
        raise ValueError(f"{member.name!r} has the name of an earlier member") from error
