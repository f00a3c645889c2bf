"""A training in MLflow while it goes on: its parameters at the start, each epoch, and the model's digest at the end.

Everything is done in the background. A tracking server that fails or is slow costs at most `PATIENCE` seconds a stage
and never a result; what it missed is added later by `genre.tracking.results`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from genre.pipeline.files import md5
from genre.pipeline.settings import repository
from genre.tracking.mlflow_store import Row, Store, address, enabled
from genre.tracking.tags import DATA, KEY, MODEL, SPLIT, experiment_tags, name_of, process_tags, study_of
from genre.tracking.worker import Background

PATIENCE = {"local": 120.0, "server": 15.0}  # seconds; making a local database takes about ten
ADVICE = "the results are on disk, and `genre sync` brings them to MLflow later"


class TrainingRun:
    """The run of a training that is going on; a training with the same key goes on in the same run."""

    def __init__(self, background: Background, key: str, parameters: Mapping[str, Any], data: Mapping[str, str]):
        self.background, self.key, self.parameters, self.data = background, key, parameters, data
        psutil.cpu_percent()  # the next call measures from here on
        background.submit(self._start)

    def _start(self) -> None:
        self.store = Store()
        self.store.end_abandoned()
        tags = {KEY: self.key, **{DATA + name: digest for name, digest in self.data.items()},
                **process_tags(), **experiment_tags()}  # fmt: skip
        name = name_of(self.key)
        with self.store.lock():
            found = self.store.find(KEY, self.key)
            self.run = found or self.store.create(name, tags, study=study_of(name))
        self.store.tag(self.run, tags)
        self.store.log_parameters(self.run, self.parameters)
        if not self.run.inputs.dataset_inputs:
            self.store.log_datasets(self.run.info.run_id, self.data)
        if MODEL not in self.run.data.tags:
            self.store.client.update_run(self.run.info.run_id, status="RUNNING")

    def log_epoch(self, row: Row) -> None:
        """Logs one row of the history, unless the run has this epoch already."""
        measured = {**row, **_load()}
        self.background.submit(lambda: self.store.log_history(self.run.info.run_id, [measured]))

    def finish(self, model_pt: Path, *, best_epoch: int) -> None:
        """Ends the run with the digest of the model; if another run has this model already, this one is removed."""
        digest = md5(model_pt)
        note_key(digest, self.key)
        self.background.submit(partial(self._finish, digest, best_epoch))

    def _finish(self, digest: str, best_epoch: int) -> None:
        run_id = self.run.info.run_id
        duplicate = self.store.find(MODEL, digest, besides=run_id, split=self.data.get(SPLIT))
        if duplicate is not None and MODEL not in self.run.data.tags:
            self.store.client.delete_run(run_id)
            self.store.tag(duplicate, {KEY: self.key})
        else:
            self.store.tag(self.run, {MODEL: digest, "genre.best_epoch": str(best_epoch)})
            self.store.client.set_terminated(run_id, "FINISHED")
        forget_key(digest)

    def fail(self, status: str) -> None:
        """Ends the run as `FAILED` or `KILLED`."""
        self.background.submit(lambda: self.store.client.set_terminated(self.run.info.run_id, status))


class Untracked:
    """Stands in for a run where the user wants none."""

    def log_epoch(self, row: Row) -> None:
        """Does nothing."""

    def finish(self, model_pt: Path, *, best_epoch: int) -> None:
        """Does nothing."""


@contextmanager
def training_run(
    key: str, sections: Mapping[str, Mapping[str, Any]], inputs: Sequence[Path]
) -> Iterator[TrainingRun | Untracked]:
    """Opens the run of a training; a training that breaks off ends its run.

    Args:
        key: What the training is made from, see `genre.training.run_key`.
        sections: All of params.yaml: section -> key -> value.
        inputs: The files that the training reads.
    """
    if not enabled():
        yield Untracked()
        return
    parameters = {f"{name}.{key}": value for name, section in sections.items() for key, value in section.items()}
    background = in_background()
    run = TrainingRun(background, key, parameters, {path.name: md5(path) for path in inputs})
    try:
        yield run
    except BaseException as error:
        run.fail("FAILED" if isinstance(error, Exception) else "KILLED")  # the latter if interrupted or told to end
        raise
    finally:
        background.close()


def in_background() -> Background:
    """Returns a thread for the work with MLflow."""
    kind = "server" if address().startswith("http") else "local"
    return Background(patience=PATIENCE[kind], advice=f"MLflow at {address()} does not take part; {ADVICE}")


# If MLflow is away when a training ends, its run does not get the model's digest. The key is then noted on disk, so
# that the run, half logged, is found by it later.


def _note(model: str) -> Path:
    return repository() / ".checkpoints" / f"{model}.run_key"


def note_key(model: str, key: str) -> None:
    """Notes that the model with this MD5 is of the training with this key."""
    with suppress(OSError):  # a disk that takes no note costs nothing else
        _note(model).parent.mkdir(parents=True, exist_ok=True)
        _note(model).write_text(key, encoding="utf-8")


def noted_key(model: str) -> str | None:
    """Returns what was noted, or None."""
    with suppress(OSError, UnicodeDecodeError):
        return _note(model).read_text(encoding="utf-8").strip()
    return None


def forget_key(model: str) -> None:
    """Removes the note."""
    with suppress(OSError):
        _note(model).unlink()


def _load() -> dict[str, float]:
    """Measures the machine over the epoch that ends; MLflow shows what begins with `system/` in a tab of its own."""
    import torch

    memory = psutil.virtual_memory()
    load = {
        "system/cpu_utilization_percentage": psutil.cpu_percent(),
        "system/system_memory_usage_percentage": memory.percent,
        "system/process_memory_usage_megabytes": psutil.Process().memory_info().rss / 1e6,
    }
    if torch.cuda.is_available():
        load["system/gpu_0_memory_usage_megabytes"] = torch.cuda.max_memory_reserved() / 1e6
    return load
