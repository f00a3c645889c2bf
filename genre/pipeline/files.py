"""Whole files or none: every output is written under a temporary name and renamed when it is complete."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


@contextmanager
def replacing(path: Path, *, shared: bool = False) -> Iterator[Path]:
    """Yields a temporary path beside `path`, renamed to it at the end, removed if the block raises.

    The temporary name keeps the suffix, and depends on `path` alone: what a killed run left is overwritten
    by the next one. Where several processes may write the same file at once (`shared`), each has its own.

    Raises:
        OSError: It cannot be written; where the disk is full, `filename` is `path`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    owner = f".{os.getpid()}" if shared else ""
    temporary = path.with_name(f".{path.stem}{owner}.unfinished{path.suffix}")
    with naming_full_disk(path):
        try:
            yield temporary
            temporary.replace(path)
        except BaseException:
            with suppress(OSError):  # the first error counts
                temporary.unlink(missing_ok=True)
            raise


@contextmanager
def naming_full_disk(path: Path) -> Iterator[None]:
    """Turns the error of a full disk, whatever a library makes of it, into an `OSError` whose `filename` is `path`.

    torch, for one, raises a `RuntimeError`.
    """
    try:
        yield
    except BaseException as error:
        full: BaseException | None = error
        while full is not None and getattr(full, "errno", None) not in (errno.ENOSPC, errno.EDQUOT):
            full = full.__context__
        if isinstance(full, OSError):
            raise OSError(full.errno, full.strerror, str(path)) from error
        raise


def write_json(value: Mapping[str, Any], path: Path) -> None:
    """Writes `value` with numbers rounded to 6 decimals; a NaN is an error, the file never holds one."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(_rounded(value), indent=2, allow_nan=False) + "\n", encoding="utf-8")


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    return round(value, 6) if isinstance(value, float) else value


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yields the path of a folder to be made, renamed to `path` at the end, removed with all in it if the block raises.

    What is at `path` already goes only when the new folder is complete.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.unfinished")
    shutil.rmtree(temporary, ignore_errors=True)
    with naming_full_disk(path):
        try:
            yield temporary
            if path.exists():
                shutil.rmtree(path)
            temporary.replace(path)
        except BaseException:
            shutil.rmtree(temporary, ignore_errors=True)
            raise


def md5(path: Path) -> str:
    """Returns the MD5 of a file's bytes, the checksum that DVC records in dvc.lock."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
