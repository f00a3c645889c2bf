"""Which training made a model, noted on disk until MLflow knows it: a run half logged is found by it again."""

from contextlib import suppress
from pathlib import Path

from genre.pipeline import settings


def _place(model: str) -> Path:
    return settings.repository() / ".checkpoints" / f"{model}.inputs"


def note(model: str, inputs: str) -> None:
    """Notes that the model with this MD5 was made from these inputs; a disk that takes no note costs nothing else."""
    with suppress(OSError):
        _place(model).parent.mkdir(parents=True, exist_ok=True)
        _place(model).write_text(inputs, encoding="utf-8")


def inputs_of(model: str) -> str | None:
    """Gives what was noted, or None."""
    with suppress(OSError, UnicodeDecodeError):
        return _place(model).read_text(encoding="utf-8").strip()
    return None


def forget(model: str) -> None:
    """Removes the note."""
    with suppress(OSError):
        _place(model).unlink()
