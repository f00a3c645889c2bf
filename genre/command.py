"""The command line that all stages share: paths, `--params`, `--set`, and a mistake told in one line."""

import argparse
import errno
import hashlib
import inspect
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import filelock

from genre.params import Settings


def run(stage: Callable[..., None]) -> None:
    """Calls `stage(settings, *paths)` with the paths of the command line; on a mistake exits with 2.

    The stage's parameters name the positional arguments, so that `--help` tells them.
    All sections of the params file are checked before the stage works, also those that are not its own.
    """
    arguments = vars(_parser(stage).parse_args())
    with one_line_errors():
        settings = Settings.read(arguments.pop("params"), arguments.pop("set"))
        settings.check()
        with _alone([stage.__module__, *map(str, arguments.values())]):
            stage(settings, **arguments)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Ends the process with one line on standard error where the user has something to mend, without a traceback.

    Status 2 after a mistake (`ValueError`, `OSError`) or too little memory, 130 and 143 after SIGINT and SIGTERM, as
    a shell has it; either way, what is half done is cleared away. Status 141, without a line, if nobody reads on.
    """
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
    except BrokenPipeError:  # such as `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to flush goes nowhere
        raise SystemExit(141) from None
    except (ValueError, OSError) as error:
        fail(_told(error))
    except MemoryError as error:
        fail(f"out of memory: {error}; close other programs, or take fewer tracks or smaller values in params.yaml")
    except KeyboardInterrupt:
        fail("interrupted; run again to go on", 130)
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(number: int, frame: FrameType | None) -> None:
    del frame
    fail("told to end (SIGTERM); run again to go on", 128 + number)


def _told(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{error.filename or 'the disk'} must have room left, got: {error.strerror}; make room, then run again"
    return str(error) or type(error).__name__


def fail(message: str, status: int = 2) -> None:
    """Prints `message` as one line on standard error and ends the process with `status`."""
    print("error:", one_line(message), file=sys.stderr)  # noqa: T201
    raise SystemExit(status)


def one_line(text: str) -> str:
    """Gives `text` in one printable line."""
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """Gives `text` so that it cannot act on a terminal: what is not printable stands as an escape."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


@contextmanager
def _alone(words: Sequence[str]) -> Iterator[None]:
    """Keeps a second process from writing the same outputs: a killed `dvc repro` may leave its stage running.

    The lock ends with the process, however that ends.
    """
    key = hashlib.sha256("\0".join([str(Path.cwd()), *words]).encode(errors="surrogateescape")).hexdigest()[:16]
    lock = filelock.FileLock(
        Path(tempfile.gettempdir()) / f"genre-{getattr(os, 'getuid', int)()}-{key}.lock", timeout=0
    )
    try:
        with lock:
            yield
    except filelock.Timeout:
        raise ValueError(
            f"{words[0]} is running already on these files, in another process; wait for its end, then run again"
        ) from None


def _parser(stage: Callable[..., None]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=stage.__globals__["__doc__"])
    for name in list(inspect.signature(stage).parameters)[1:]:
        parser.add_argument(name, type=Path)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE",
                        help="overrides one parameter; may be repeated")  # fmt: skip
    return parser
