"""The bytes of one address into one file, over HTTP: tried again, and resumed, until they are there or hope is gone."""

import email.utils
import errno
import http.client
import re
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import requests
import urllib3
from tqdm import tqdm

CHUNK = 1 << 20
# Where a server does not tell the size, a body without end stops here instead of filling the disk. GTZAN has 1.2 GB.
MOST_BYTES = 1 << 34


class PermanentError(Exception):
    """This address will not do; another one may."""


class TransientError(Exception):
    """This try failed, the next one may not; at the earliest in `wait` seconds, if the server says so."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


@dataclass(frozen=True)
class RetryPolicy:
    """How long to wait for what, in seconds unless said otherwise.

    `tries` counts failures in a row, without `CHUNK` bytes of progress between them. The pause after them starts at
    `backoff` and doubles up to `longest`; a server that asks for a longer one is given up. Over each `stall`, at
    least `min_speed` bytes a second must come. `lock` is for another process that fetches the same file.
    """

    connect: float = 10
    read: float = 60
    tries: int = 5
    backoff: float = 1
    longest: float = 120
    stall: float = 60
    min_speed: float = 5000
    lock: float = 7200


PATIENT = RetryPolicy()


def complete(url: str, part: Path, *, size: int | None, resume: bool, waits: RetryPolicy) -> bool:
    """Adds to `part` what it lacks of the file at `url`; says whether it is put together from several pieces.

    Args:
        url: An http:// or https:// address.
        part: The unfinished file, which may exist already; it stays when this raises, to be resumed by the next call.
        size: Bytes of the whole file, None if unknown.
        resume: False: a try that failed leaves nothing, and the next one starts from nothing.
        waits: How patient to be.

    Raises:
        Refusal: The address does not have the file, or `waits.tries` tries in a row failed.
        OSError: `part` cannot be written.
    """
    best = _size(part)
    pieced = best > 0
    failures = 0
    while size is None or _size(part) != size:
        try:
            _one_try(url, part, size, waits)
            break
        except TransientError as error:
            now = _size(part)
            failures = 1 if now >= best + CHUNK else failures + 1
            best, pieced = max(best, now), pieced or now > 0
            if not resume:
                part.unlink(missing_ok=True)
            _pause(error, failures, waits)
    return pieced


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _pause(error: TransientError, failures: int, waits: RetryPolicy) -> None:
    if failures >= waits.tries:
        raise PermanentError(f"{error} ({failures} {'try' if failures == 1 else 'tries'})") from error
    if error.wait is not None and error.wait > waits.longest:
        raise PermanentError(f"{error}, and asks to wait {error.wait:.0f} s") from error
    time.sleep(min(waits.longest, max(error.wait or 0, waits.backoff * 2 ** (failures - 1))))


def _one_try(url: str, part: Path, size: int | None, waits: RetryPolicy) -> None:
    offset = _size(part)
    with _request(url, offset, waits) as response:
        if response.status_code == 416 and offset:
            if response.headers.get("Content-Range") == f"bytes */{offset}":
                return  # it had been whole before
            part.unlink()
            raise TransientError("the file is shorter than what had been fetched of it")
        _check_status(response)
        start = offset if response.status_code == 206 else 0  # with 200, the server ignored the range
        total = _total(response, start, part)
        if None not in (size, total) and size != total:
            raise PermanentError(f"size must be {size} bytes, got {total}")
        _save(response, part, start=start, total=total or size, waits=waits)


def _request(url: str, offset: int, waits: RetryPolicy) -> requests.Response:
    # Without `identity`, a server may compress on the way, and byte ranges would count other bytes.
    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={offset}-"} if offset else {})}
    try:
        return requests.get(url, headers=headers, stream=True, timeout=(waits.connect, waits.read))
    except requests.TooManyRedirects as error:
        raise PermanentError("redirects without end") from error
    except requests.exceptions.SSLError as error:
        raise PermanentError(f"no secure connection: {_root(error)}") from error
    except requests.ConnectTimeout as error:
        raise TransientError(f"no connection within {waits.connect:g} s") from error
    except requests.Timeout as error:
        raise TransientError(f"no answer within {waits.read:g} s") from error
    except requests.ConnectionError as error:
        raise TransientError(f"no connection: {_root(error)}") from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, ValueError) as error:  # such as a bad redirect
        raise PermanentError(f"cannot be asked: {_root(error)}") from error


def _root(error: BaseException) -> str:
    """The innermost reason of nested network errors, as one short text."""
    while isinstance(error.__context__, OSError | urllib3.exceptions.HTTPError | http.client.HTTPException):
        error = error.__context__
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _check_status(response: requests.Response) -> None:
    status = f"HTTP {response.status_code} {response.reason}".strip()
    if response.status_code in (408, 429) or response.status_code >= 500:
        raise TransientError(status, _retry_after(response.headers.get("Retry-After", "")))
    if response.status_code not in (200, 206):
        raise PermanentError(status)
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml"):
        raise PermanentError(f"answers with a web page ({kind}) instead of the file")


def _retry_after(text: str) -> float | None:
    """Seconds from now, of a Retry-After header: a number or a date; None if it is neither."""
    if re.fullmatch(r"[0-9]{1,9}", text.strip()):
        return float(text)
    try:
        date = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def _total(response: requests.Response, start: int, part: Path) -> int | None:
    """Size of the whole file as the server tells it, None if it does not; a piece that does not fit is refused."""
    if response.status_code == 200:
        length = response.headers.get("Content-Length", "")
        return int(length) if re.fullmatch(r"[0-9]{1,18}", length) else None
    span = re.fullmatch(r"bytes (\d{1,18})-\d+/(\d{1,18}|\*)", response.headers.get("Content-Range", ""))
    if not span or int(span[1]) != start:
        part.unlink(missing_ok=True)
        raise TransientError("answers with another piece of the file than asked for")
    return None if span[2] == "*" else int(span[2])


def _save(response: requests.Response, part: Path, *, start: int, total: int | None, waits: RetryPolicy) -> None:
    """Writes the body to `part` from byte `start` on; what comes before it stays."""
    _check_room(part, (total or 0) - start)
    most = MOST_BYTES if total is None else total
    # disable=None: no bar where standard error is not a terminal
    bar = tqdm(desc=part.stem, initial=start, total=total, unit="B", unit_scale=True, disable=None)
    with part.open("ab" if start else "wb") as file, bar:
        done, since, then = start, 0, time.monotonic()
        while chunk := _read(response, waits):
            done += len(chunk)
            if done > most:
                break
            file.write(chunk)
            bar.update(len(chunk))
            since += len(chunk)
            elapsed = time.monotonic() - then
            if elapsed >= waits.stall:
                if since < waits.min_speed * elapsed:
                    raise TransientError(f"sends fewer than {waits.min_speed:g} bytes a second")
                since, then = 0, time.monotonic()
    if done > most:
        part.unlink()
        raise PermanentError(f"size must be {most} bytes at most, got more")
    if total is not None and done < total:
        raise TransientError(f"broke off after {done} of {total} bytes")


def _check_room(part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise OSError(errno.ENOSPC, f"{needed} more bytes are needed, {free} are free")


def _read(response: requests.Response, waits: RetryPolicy) -> bytes:
    # `raw`, because requests would undo a Content-Encoding, which some servers state for what is simply a .gz file;
    # and what one system call gives, because a full chunk would be waited for however slowly it drips.
    try:
        data: bytes = response.raw.read1(CHUNK, decode_content=False)
    except urllib3.exceptions.ReadTimeoutError as error:
        raise TransientError(f"nothing more came within {waits.read:g} s") from error
    except (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError) as error:
        raise TransientError(f"broke off: {_root(error)}") from error
    return data
