"""The tags and names of a run: which process, DVC experiment, commit and study it is of."""

import getpass
import os
import socket
import subprocess
from contextlib import suppress

import psutil

KEY = "genre.run_key"  # what the training was made from, known when it starts
MODEL = "genre.model"  # MD5 of models/model.pt, known when it ends, and in dvc.lock too
FILES = "genre.files"  # which files the run holds: name -> digest, as JSON
PROCESS = "genre.process"  # which process trains it


def process_tag() -> str:
    """Returns which process a run is of: machine, number, and when it began, since numbers are used again."""
    process = psutil.Process()
    return f"{socket.gethostname()} {process.pid} {process.create_time():.0f}"


def is_abandoned(process: str) -> bool:
    """Returns whether the process of a tag `genre.process` was one of this machine and is gone."""
    host, _, numbers = process.partition(" ")
    if host != socket.gethostname():
        return False
    with suppress(ValueError, psutil.Error):
        number, began = numbers.split()
        return abs(psutil.Process(int(number)).create_time() - float(began)) >= 2
    return True


def study_of(experiment: str) -> str:
    """Returns the study that an experiment is of, or nothing: `genre study` names them STUDY--RECIPE-PROTOCOL-SEED."""
    return experiment.partition("--")[0] if "--" in experiment else os.environ.get("GENRE_STUDY", "")


def name_of(digest: str) -> str:
    """Returns a run's name: of the DVC experiment, else one that is made from the given digest."""
    return os.environ.get("DVC_EXP_NAME") or f"workspace-{digest[:8]}"


def experiment_tags() -> dict[str, str]:
    """Returns which DVC experiment this is, if any, on which commit, and by whom."""
    names = {"dvc.exp.name": "DVC_EXP_NAME", "dvc.exp.baseline": "DVC_EXP_BASELINE_REV"}
    tags = {tag: os.environ[name] for tag, name in names.items() if os.environ.get(name)}
    commit = tags.get("dvc.exp.baseline") or _head()
    tags |= {"mlflow.source.git.commit": commit} if commit else {}
    with suppress(OSError, KeyError):  # a container's user may have no name
        tags["mlflow.user"] = getpass.getuser()
    return tags | {"mlflow.source.type": "PROJECT", "mlflow.source.name": "dvc.yaml"}


def _head() -> str:
    with suppress(OSError):
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
        return done.stdout.strip()
    return ""
