"""Decodes one file of a corpus and returns its properties. Processes that decode import this module and little else."""

from dataclasses import dataclass
from pathlib import Path

from genre.audio import reading
from genre.audio.reading import Recording


@dataclass(frozen=True)
class Inspected:
    """The result of decoding a file: if `reason` is empty, it is usable and has a recording."""

    reason: str = ""
    recording: Recording | None = None


def inspect(folder: Path, min_seconds: float, file: str) -> Inspected:
    """Decodes a file to its end.

    Args:
        folder: The corpus.
        min_seconds: A shorter recording cannot be used.
        file: Relative to the corpus.

    Raises:
        OSError: The file cannot be read for a reason that may be temporary.
    """
    try:
        recording = reading.inspect(folder / file)
    except PermissionError:
        return Inspected("cannot be read: permission denied")
    except ValueError as error:
        return Inspected(str(error))
    if recording.seconds < min_seconds:
        return Inspected(f"too short: {recording.seconds:.2f} s, data.min_seconds is {min_seconds:g}", recording)
    return Inspected("silent" if recording.peak < reading.SILENCE else "", recording)
