"""The runs of this project in one MLflow store: found by content, made, filled and ended.

A run carries two names of content as tags: `genre.inputs`, what the training was made from (see `fingerprint`), known
when it starts; and `genre.model`, the MD5 of models/model.pt, known when it ends, and in dvc.lock too. `genre.files`
tells which files the run holds, so that recording them again adds nothing.
"""

import getpass
import hashlib
import os
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil


def process_tags() -> dict[str, str]:
    """Says which process a run is of: its number, and when it began, since numbers come again."""
    process = psutil.Process()
    return {"genre.host": socket.gethostname(), "genre.process": f"{process.pid}@{process.create_time():.0f}"}


def is_alive(process: str) -> bool:
    number, _, began = process.partition("@")
    with suppress(ValueError, psutil.Error):
        return abs(psutil.Process(int(number)).create_time() - float(began)) < 2
    return False


def study(named: str | None = None) -> tuple[str, str]:
    """Gives a study and a run's name in it, from `STUDY` or `STUDY/RUN`; None means what `GENRE_STUDY` says."""
    name, _, run = (os.environ.get("GENRE_STUDY", "") if named is None else named).partition("/")
    return name, run


def name_of(digest: str) -> str:
    """Gives a run's name: of DVC's experiment, else of the run in its study, else one of the given content."""
    return os.environ.get("DVC_EXP_NAME") or study()[1] or f"workspace-{digest[:8]}"


def experiment_tags() -> dict[str, str]:
    """Says which of DVC's experiments this is, if any, on which commit, and by whom."""
    names = {"dvc.exp.name": "DVC_EXP_NAME", "dvc.exp.baseline": "DVC_EXP_BASELINE_REV"}
    tags = {tag: os.environ[name] for tag, name in names.items() if os.environ.get(name)}
    commit = tags.get("dvc.exp.baseline") or _head()
    tags |= {"mlflow.source.git.commit": commit} if commit else {}
    with suppress(OSError, KeyError):  # a container's user may have no name
        tags["mlflow.user"] = getpass.getuser()
    return tags | {"mlflow.source.type": "PROJECT", "mlflow.source.name": "dvc.yaml"}


def _head() -> str:
    command = ["git", "rev-parse", "HEAD"]
    with suppress(OSError):
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return ""


def short_digest(path: Path) -> str:
    """Gives the beginning of the SHA-1 of a file's content."""
    return hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()[:10]
