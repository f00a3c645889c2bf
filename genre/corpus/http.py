"""Downloads one file over HTTP: tries again after errors, and resumes where a connection broke off."""

import errno
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import requests
import urllib3
from requests.adapters import HTTPAdapter
from tqdm import tqdm

CHUNK = 1 << 20
# The download of a body of unknown size ends here, so that it cannot fill the disk. GTZAN has 1.2 GB.
MOST_BYTES = 1 << 34


class PermanentError(Exception):
    """This address does not have the file; another one may."""


class TransientError(Exception):
    """The connection broke off; the next request may get the rest."""


@dataclass(frozen=True)
class RetryPolicy:
    """How long to wait, and how often to try again.

    Attributes:
        connect: The most seconds until a connection is made.
        read: The most seconds until the next bytes arrive.
        tries: The most failures in a row, without `CHUNK` bytes of progress between them.
        backoff: Seconds of the first wait between tries; each wait is twice the one before.
        longest: The most seconds to wait, also if the server asks for more in Retry-After.
        lock: The most seconds to wait for another process that downloads the same file.
    """

    connect: float = 10
    read: float = 60
    tries: int = 5
    backoff: float = 1
    longest: int = 120
    lock: float = 7200

    def session(self) -> requests.Session:
        """Returns a session that tries requests again after failed connections and the statuses 408, 429 and 5xx."""
        retry = urllib3.Retry(
            total=self.tries - 1,
            status_forcelist=(408, 429, *range(500, 600)),
            backoff_factor=self.backoff,
            backoff_max=self.longest,
            retry_after_max=self.longest,
            raise_on_status=False,
        )
        session = requests.Session()
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        return session


PATIENT = RetryPolicy()


def download(url: str, part: Path, *, resume: bool, policy: RetryPolicy) -> None:
    """Downloads to `part` the bytes of the file at `url` that it does not hold yet.

    Args:
        url: An http:// or https:// address.
        part: The unfinished file, which may exist already; it stays if this raises, to be resumed by the next call.
        resume: If false, a connection that broke off leaves nothing, and the next one starts at the first byte.
        policy: How long to wait, and how often to try again.

    Raises:
        PermanentError: The address does not have the file, or `policy.tries` tries in a row failed.
        OSError: `part` cannot be written, or the disk has too little room.
    """
    most, failures = _size(part), 0
    with policy.session() as session:
        while True:
            try:
                return _append_rest(session, url, part, policy)
            except TransientError as error:
                failures = 1 if _size(part) >= most + CHUNK else failures + 1
                most = max(most, _size(part))
                if not resume:
                    part.unlink(missing_ok=True)
                if failures >= policy.tries:
                    raise PermanentError(f"{error} (tried {failures} times)") from error
            time.sleep(min(policy.longest, policy.backoff * 2 ** (failures - 1)))


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _append_rest(session: requests.Session, url: str, part: Path, policy: RetryPolicy) -> None:
    offset = _size(part)
    # Without `identity`, a server may compress on the way, and byte ranges would count other bytes.
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={offset}-"} if offset else {})}
    try:
        response = session.get(url, headers=headers, stream=True, timeout=(policy.connect, policy.read))
    except requests.RequestException as error:
        raise PermanentError(f"no answer: {_root(error)}") from error
    with response:
        if response.status_code == 416 and offset:
            return  # the part ends where the file does: it is complete, or its checksum will be wrong
        _check_answer(response)
        _save(response, part, start=offset if response.status_code == 206 else 0)  # 200: it ignored the range


def _root(error: BaseException) -> str:
    """Returns the innermost reason of nested network errors."""
    while isinstance(error.__context__, OSError | urllib3.exceptions.HTTPError):
        error = error.__context__
    return getattr(error, "strerror", None) or str(error)


def _check_answer(response: requests.Response) -> None:
    if response.status_code not in (200, 206):
        raise PermanentError(f"HTTP {response.status_code} {response.reason}")
    if response.headers.get("Content-Type", "").startswith("text/html"):
        raise PermanentError("answers with a web page instead of the file")


def _save(response: requests.Response, part: Path, *, start: int) -> None:
    """Writes the body to `part` from byte `start` on, and keeps what comes before it."""
    rest = response.raw.length_remaining  # None if the server does not say
    _check_room(part.parent, rest or 0)
    total = None if rest is None else start + rest
    # disable=None: no bar where standard error is not a terminal
    bar = tqdm(desc=part.stem, initial=start, total=total, unit="B", unit_scale=True, disable=None)
    with part.open("ab" if start else "wb") as file, bar:
        while chunk := _read(response):
            file.write(chunk)
            bar.update(len(chunk))
            if file.tell() > MOST_BYTES:
                part.unlink()
                raise PermanentError(f"size must be {MOST_BYTES} bytes at most, got more")


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(errno.ENOSPC, f"{needed} more bytes are needed, {free} are free", str(folder))


def _read(response: requests.Response) -> bytes:
    # `raw`, because requests would undo a Content-Encoding, which some servers state for a file that is simply a .gz;
    # `read1`, because `read` loses the bytes of a chunk that arrived before the connection broke off.
    try:
        data: bytes = response.raw.read1(CHUNK, decode_content=False)
    except urllib3.exceptions.HTTPError as error:
        raise TransientError(f"broke off: {_root(error)}") from error
    return data
