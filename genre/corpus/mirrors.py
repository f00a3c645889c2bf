"""Fetches a file from the first mirror that has it; the file gets its name only after it was checked."""

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
from genre.pipeline import files


@dataclass(frozen=True)
class Mirror:
    """An address of a file, and how to recognise that file.

    Attributes:
        url: An http:// or https:// address.
        sha256: Checksum of the file. None if the server packs the file again for each request, to other bytes; then
            `check` checks the contents.
        name: Name of the file in the cache folder.
        check: Raises a `ValueError` for a file with other contents.
    """

    url: str
    sha256: str | None
    name: str = field(kw_only=True)
    check: Callable[[Path], None] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not re.match("https?://[^/]", self.url):
            raise ValueError(f"a mirror must be an http:// or https:// address, got {self.url!r}")
        if self.sha256 is not None and not re.fullmatch("[0-9a-f]{64}", self.sha256):
            raise ValueError(f"a sha256 must be 64 hexadecimal digits in lower case, got {self.sha256!r}")

    @property
    def part(self) -> str:
        """Name of the unfinished file; mirrors of the same bytes share it, so one resumes where another broke off."""
        return f"{self.name}.{(self.sha256 or 'unsummed')[:12]}.part"

    @property
    def public_url(self) -> str:
        """The address without user name, password and query, for messages."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    def file_problem(self, path: Path) -> str | None:
        """Returns what is wrong with the file at `path`, None if it is the file of this mirror."""
        if self.sha256 is not None:
            with path.open("rb") as file:
                actual = hashlib.file_digest(file, "sha256").hexdigest()
            if actual != self.sha256:
                return f"sha256 must be {self.sha256}, got {actual}"
        try:
            if self.check:
                self.check(path)
        except ValueError as error:
            return str(error)
        return None


def cache_folder() -> Path:
    """Returns where fetched files are kept: the environment variable GENRE_CACHE, else the user's cache folder."""
    chosen = os.environ.get("GENRE_CACHE")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("genre", appauthor=False))


def fetch(mirrors: Sequence[Mirror], folder: Path, *, policy: RetryPolicy = PATIENT) -> Path:
    """Returns the path of the file in `folder`, fetched from the first of `mirrors` that has it whole.

    A file that is already there and passes its mirror's check is not fetched again. An unfinished file is resumed by
    the next call; a wrong one is removed. A second process waits for the first.

    Args:
        mirrors: At least one.
        folder: Where the file is kept; it is made if it is missing.
        policy: How long to wait, and how often to try again.

    Raises:
        ValueError: No mirror works (the message names each with its reason), `folder` cannot be written, or another
            process holds it for too long.
        OSError: The disk is full.
    """
    with _locked(folder, mirrors[0].name, policy.lock), files.naming_full_disk(folder):
        for mirror in mirrors:
            path = folder / mirror.name
            if path.exists() and mirror.file_problem(path) is None:
                return path
        return _fetch_from_any(mirrors, folder, policy)


@contextmanager
def _locked(folder: Path, name: str, seconds: float) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(folder / f".{name}.lock").acquire(timeout=seconds)
    except filelock.Timeout as error:
        raise ValueError(f"{folder} is in use by another download; wait until it ends, then run again") from error
    except OSError as error:
        raise ValueError(
            f"{folder} must be a folder to write in, got: {error.strerror}; name another folder in GENRE_CACHE"
        ) from error
    with lock:
        yield


def _fetch_from_any(mirrors: Sequence[Mirror], folder: Path, policy: RetryPolicy) -> Path:
    reasons = []
    for mirror in mirrors:
        try:
            return _fetch_from_one(mirror, folder, policy)
        except http.PermanentError as error:
            reasons.append(f"{mirror.public_url}: {error}")
    raise ValueError(
        f"cannot fetch {mirrors[0].name} from any mirror: {'; '.join(reasons)}; try again later, or fetch it by hand "
        "and run with -S data.source=local -S data.path=FILE"
    )


def _fetch_from_one(mirror: Mirror, folder: Path, policy: RetryPolicy) -> Path:
    part = folder / mirror.part
    if mirror.sha256 is None:  # pieces of two answers do not fit together
        part.unlink(missing_ok=True)
    resumed = part.exists()
    http.download(mirror.url, part, resume=mirror.sha256 is not None, policy=policy)
    problem = mirror.file_problem(part)
    if problem:
        part.unlink()
        if resumed:  # the old part may have been of another file: try once more, from the first byte
            return _fetch_from_one(mirror, folder, policy)
        raise http.PermanentError(problem)
    return part.replace(folder / mirror.name)
