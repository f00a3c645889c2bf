"""What a stage or command prints when it fails: one line, without a traceback, that says what to change."""

import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turns an error that the user can mend into one line on standard error and an exit status.

    The status is 2 after a mistake (`ValueError`, `OSError`), too little memory or a missing package, 130 after SIGINT
    and 143 after SIGTERM, as shells have it. It is 141, without a line, if the reader of standard output is gone (such
    as `head`).
    Temporary files are removed in all cases. Other exceptions are bugs of this project and keep their traceback.
    """
    before = signal.signal(signal.SIGTERM, _end)
    try:
        yield
        _flush()
    except BrokenPipeError:  # such as `| head`
        _discard_output()
        raise SystemExit(141) from None
    except (ValueError, OSError) as error:
        fail(_told(error))
    except ModuleNotFoundError as error:  # the light installation has not all that the pipeline needs
        if error.name is None or error.name.split(".")[0] in ("genre", "stages"):
            raise
        package = error.name.split(".")[0]
        fail(f"this needs the package {package}, which is not installed here; `pip install '.[pipeline]'` has it")
    except MemoryError as error:
        fail(f"out of memory: {error}; close other programs, or take fewer tracks or smaller values in params.yaml")
    except KeyboardInterrupt:
        fail("interrupted; run again to go on", 130)
    finally:
        signal.signal(signal.SIGTERM, before)


def _flush() -> None:
    """Writes the buffered output now: if that failed at the end of Python, there would be two lines and status 120."""
    try:
        if sys.stdout is not None:  # None if the process was started without
            sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        _discard_output()
        raise OSError(error.errno, error.strerror, "standard output") from error


def _discard_output() -> None:
    """Sends the rest of the buffered output to the null device, so that writing it cannot fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end(number: int, frame: FrameType | None) -> None:
    del frame
    fail("told to end (SIGTERM); run again to go on", 128 + number)


def _told(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{error.filename or 'the disk'} must have room left, got: {error.strerror}; make room, then run again"
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"  # without the error's number
    return str(error) or type(error).__name__


def fail(message: str, status: int = 2) -> None:
    """Prints `message` as one line on standard error and ends the process with `status`."""
    print("error:", one_line(message), file=sys.stderr)
    raise SystemExit(status)


def one_line(text: str) -> str:
    """Returns `text` in one printable line."""
    return printable(" ".join(text.split()))


def printable(text: str) -> str:
    """Returns `text` with escapes for what is not printable, so that it cannot control a terminal."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
