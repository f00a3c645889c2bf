"""The checkpoint of a training: written after each epoch, so that a training that was killed goes on from there."""

import copy
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from genre.network import model_file
from genre.pipeline import files

KEPT_CHECKPOINTS = 20  # of trainings that broke off; 50 MB each with the default network
UNUSABLE = (OSError, *model_file.UNREADABLE)


class Stateful(Protocol):
    """What can be saved and resumed from: a network, an optimiser, a schedule of the learning rate."""

    def state_dict(self) -> dict[str, Any]:
        """Returns the values that change during a training."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Restores what `state_dict` returned."""


@dataclass
class TrainingState:
    """How far the training is: all that a checkpoint must hold beside network, optimiser and scheduler.

    Attributes:
        history: One row an epoch, with the columns of metrics/history.csv.
        best: The weights of the best epoch so far.
        best_epoch: Its number, from 1.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = 0

    def add_epoch(self, row: dict[str, float], weights: dict[str, Tensor], keep: str) -> None:
        """Adds the row of an epoch, and keeps its weights if it is the best one so far.

        Args:
            row: With the columns of metrics/history.csv.
            weights: The state of the network after the epoch.
            keep: `best` keeps the epoch of the highest validation accuracy, of equals the one of the lowest loss;
                `last`, or a row without validation, keeps the last epoch.
        """
        self.history.append(row)
        best = self.history[self.best_epoch - 1]
        if self.best_epoch and keep == "best" and "valid_accuracy" in row and _merit(row) <= _merit(best):
            return
        self.best_epoch = int(row["epoch"])
        self.best = {name: value.detach().cpu().clone() for name, value in weights.items()}


def _merit(row: dict[str, float]) -> tuple[float, float]:
    return row["valid_accuracy"], -row["valid_loss"]


def save(path: Path, key: str, parts: Mapping[str, Stateful], state: TrainingState) -> None:
    """Writes a checkpoint.

    Args:
        path: The file.
        key: Tells which training it is of, see `genre.training.run_key`.
        parts: What a training changes, by name: network, optimiser, scheduler, and the average of the weights.
        state: How far the training is.
    """
    content = {name: part.state_dict() for name, part in parts.items()} | {"key": key, "state": asdict(state)}
    # Two experiments with the same parameters share a checkpoint, and write the same into it.
    with files.replacing(path, shared=True) as temporary, temporary.open("wb") as file:
        torch.save(content, file)


def resume(
    path: Path, key: str, parts: Mapping[str, Stateful], *, tell: Callable[[str], None] = tqdm.write
) -> TrainingState | None:
    """Loads a checkpoint into `parts`, and tells in a line after which epoch the training goes on.

    Returns:
        The state of the training, or None if there is no checkpoint or it cannot be used; a line then says why, and
        the parts are as they were.
    """
    if not path.exists():
        return None
    fresh = {name: copy.deepcopy(part.state_dict()) for name, part in parts.items()}
    try:
        content = model_file.read(path)
        if content["key"] != key:
            raise ValueError("it is of other data, parameters or code")
        state = TrainingState(**content["state"])
        for name, part in parts.items():
            part.load_state_dict(content[name])
    except UNUSABLE as error:
        for name, part in parts.items():
            part.load_state_dict(fresh[name])
        tell(f"checkpoint {path.name} is not used: {' '.join(str(error).split())[:200] or error!r}")
        return None
    tell(f"going on after epoch {len(state.history)}, from checkpoint {path.name}")
    return state


def prune(*finished: Path | None) -> None:
    """Removes the files of a finished training, and all but the newest of those that were never gone on with."""
    with suppress(OSError):
        for path in filter(None, finished):
            path.unlink(missing_ok=True)
            others = sorted(path.parent.glob("*.pt"), key=lambda other: other.stat().st_mtime)
            for other in others[:-KEPT_CHECKPOINTS]:
                other.unlink()
