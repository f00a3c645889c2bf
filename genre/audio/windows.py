"""A file on disk, or a part of it, for the decoding libraries to read; it keeps disk errors that they would lose."""

import io
import os
from pathlib import Path
from typing import Any

FAR = 1 << 62  # beyond any file: where a damaged header may send a reader


class Window(io.RawIOBase):
    """The bytes `start` to `end` of a file, to be read as if they were a file of their own.

    The libraries call `seek` and `readinto` from C code, where an exception is printed or ignored. So none is raised
    there: a place outside of the file holds no bytes, and a disk error is kept in `failures`. For a library the file
    ends at such an error; the code that opened the window must call `check` before it takes this for the real end.

    Attributes:
        name: Has the file's suffix, which a library may take as a hint.
        failures: The disk errors, also those in parts of this window.
    """

    def __init__(
        self, path: Path, start: int = 0, end: int | None = None, failures: list[OSError] | None = None
    ) -> None:
        super().__init__()
        self.path = path
        self.name = f"recording{path.suffix.lower()}"
        self.failures: list[OSError] = [] if failures is None else failures
        self._file = io.FileIO(path)
        size = os.fstat(self._file.fileno()).st_size
        self._start, self._end = start, size if end is None else min(end, size)
        self._position = 0

    @property
    def size(self) -> int:
        """How many bytes it holds."""
        return max(0, self._end - self._start)

    def check(self) -> None:
        """Raises the disk error, if there was one."""
        if self.failures:
            raise self.failures[0]

    def part(self, start: int, end: int | None = None) -> "Window":
        """Opens the bytes `start` to `end` of this window once more, as a window of their own."""
        last = self._end if end is None else self._start + end
        return Window(self.path, self._start + start, last, self.failures)

    def at(self, start: int, length: int) -> bytes:
        """Reads `length` bytes from `start` (fewer at the end); the position stays."""
        before, self._position = self._position, max(0, start)
        data = self.read(length) or b""
        self._position = before
        return data

    def readable(self) -> bool:
        """Says that it can be read."""
        return True

    def seekable(self) -> bool:
        """Says that it can be read at any place."""
        return True

    def tell(self) -> int:
        """Returns the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Moves the position; stays where a damaged header asks for a place before the start."""
        place = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}.get(whence, 0)
        if 0 <= place <= FAR:
            self._position = place
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        """Reads into `buffer`; a disk error ends the file and is kept in `failures`."""
        view = memoryview(buffer).cast("B")
        length = min(len(view), self.size - self._position)
        if length <= 0 or self.failures:
            return 0
        try:
            self._file.seek(self._start + self._position)
            count = self._file.readinto(view[:length]) or 0
        except OSError as error:
            self.failures.append(error)
            return 0
        self._position += count
        return count

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
        super().close()
