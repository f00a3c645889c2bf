"""One file, fetched safely: from the first mirror that has it, and checked before it gets its name."""

import errno
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import filelock
import platformdirs

from genre.corpus import http
from genre.corpus.http import PATIENT, RetryPolicy


class FetchError(ValueError):
    """The file could not be had; one line that says why and what to do."""


@dataclass(frozen=True)
class Mirror:
    """An address of a file, and how to know that what comes from there is that file.

    `size` is in bytes, None if unknown. `sha256` is None only where the server packs the file anew at each request,
    never to the same bytes; then `check` looks inside and raises a `ValueError` for what is wrong.
    """

    url: str
    sha256: str | None
    size: int | None = None
    name: str = field(kw_only=True)
    check: Callable[[Path], None] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not _is_address(self.url):
            raise ValueError(f"a mirror must be an http:// or https:// address, got {self.url!r}")
        if self.sha256 is None and self.check is None:
            raise ValueError(f"a mirror without a sha256 must have a check of its contents, {self.url} has none")
        if self.sha256 is not None and not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise ValueError(f"a sha256 must be 64 hexadecimal digits in lower case, got {self.sha256!r}")
        if Path(self.name).name != self.name or self.name in ("", ".."):
            raise ValueError(f"the name of a mirror's file must be without folders, got {self.name!r}")

    @property
    def part(self) -> str:
        """Name of the unfinished file; mirrors of the same bytes share it, so one goes on where another broke off."""
        return f"{self.name}.{(self.sha256 or 'unsummed')[:12]}.part"

    @property
    def shown(self) -> str:
        """The address without user name, password and query, fit for messages."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _is_address(url: str) -> bool:
    try:
        return urlsplit(url).scheme in ("http", "https") and bool(urlsplit(url).hostname)
    except ValueError:
        return False


def cache_folder() -> Path:
    """Where fetched files are kept: the environment variable GENRE_CACHE, else the user's cache folder."""
    chosen = os.environ.get("GENRE_CACHE")
    if chosen:
        return Path(os.path.expanduser(chosen))  # noqa: PTH111
    return Path(platformdirs.user_cache_dir("genre", appauthor=False))


def fetch(mirrors: Sequence[Mirror], folder: Path, *, waits: RetryPolicy = PATIENT) -> Path:
    """Gives the path of the file in `folder`, fetched from the first of `mirrors` that has it whole.

    A file that is already there and passes its mirror's check is not fetched again. What is unfinished stays under
    `Mirror.part` and is resumed by the next call; what is wrong is removed. A second process waits for the first.

    Raises:
        FetchError: No mirror works (names each with its reason), or `folder` cannot be written or is full.
    """
    if not mirrors:
        raise ValueError("fetch must have at least one mirror, got none")
    with _one_line_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(folder / f".{mirrors[0].name}.lock", timeout=waits.lock):
            for mirror in mirrors:
                if (folder / mirror.name).exists() and _fault(folder / mirror.name, mirror) is None:
                    return folder / mirror.name
            return _from_any(mirrors, folder, waits)


def _from_any(mirrors: Sequence[Mirror], folder: Path, waits: RetryPolicy) -> Path:
    reasons = []
    for mirror in mirrors:
        try:
            return _from_one(mirror, folder, waits)
        except http.PermanentError as refusal:
            reasons.append(f"{mirror.shown}: {refusal}")
    raise FetchError(
        f"cannot fetch {mirrors[0].name} from any mirror: {'; '.join(reasons)}; try again later, or fetch it by hand "
        "and run with -S data.source=local -S data.path=FILE"
    )


def _from_one(mirror: Mirror, folder: Path, waits: RetryPolicy) -> Path:
    part = folder / mirror.part
    resume = mirror.sha256 is not None
    if not resume:
        part.unlink(missing_ok=True)
    pieced = http.complete(mirror.url, part, size=mirror.size, resume=resume, waits=waits)
    fault = _fault(part, mirror)
    if fault and pieced:  # of different files, or damaged before: once more, in one piece
        part.unlink()
        http.complete(mirror.url, part, size=mirror.size, resume=False, waits=waits)
        fault = _fault(part, mirror)
    if fault:
        part.unlink()
        raise http.PermanentError(fault)
    return part.replace(folder / mirror.name)


def _fault(path: Path, mirror: Mirror) -> str | None:
    """What is wrong with the file at `path`, None if it is the one that `mirror` stands for."""
    size = path.stat().st_size
    if mirror.size is not None and size != mirror.size:
        return f"size must be {mirror.size} bytes, got {size}"
    if mirror.sha256 is not None:
        with path.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
        if actual != mirror.sha256:
            return f"sha256 must be {mirror.sha256}, got {actual}"
    try:
        if mirror.check:
            mirror.check(path)
    except ValueError as error:
        return str(error)
    return None


@contextmanager
def _one_line_errors(folder: Path) -> Iterator[None]:
    """Turns the disk's errors into one line with a next step; those of the network never get here."""
    try:
        yield
    except filelock.Timeout as error:
        raise FetchError(f"{folder} is in use by another download; wait for its end, then run again") from error
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            rule, step = "must have room left", "make room, or name another folder in GENRE_CACHE"
        else:
            rule, step = "must be a folder to write in", "name another folder in GENRE_CACHE"
        raise FetchError(f"{folder} {rule}, got: {reason}; {step}") from error
