"""A training in MLflow while it goes on: one run for one model, so that training the same again adds nothing.

Everything is done in the background. A tracking server that fails or is slow costs at most `PATIENCE` seconds a stage
and never a result; what it missed is added later, by `recording`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from genre.pipeline import files
from genre.tracking import journal
from genre.tracking.mlflow_store import DATA, SPLIT, Row, Store, address, enabled
from genre.tracking.tags import experiment_tags, name_of, process_tags, study
from genre.tracking.worker import Background

PATIENCE = {"local": 120.0, "server": 15.0}  # seconds; making a local database takes about ten
ADVICE = "the results are on disk, and `genre sync` brings them to MLflow later"


class TrainingRun:
    """The run of a training that is going on."""

    def __init__(self, background: Background, inputs: str, parameters: Mapping[str, Any], tags: Mapping[str, str]):
        self.background, self.inputs, self.parameters = background, inputs, parameters
        self.tags = {"genre.inputs": inputs, **tags, **process_tags(), **experiment_tags()}
        self.rows: list[Row] = []
        self.epochs: set[int] = set()
        self.store: Store
        self.run: Any = None
        self.known = False
        psutil.cpu_percent()  # from here on it counts
        background.submit(self._start)

    def _start(self) -> None:
        self.store = Store()
        self.store.end_abandoned()
        with self.store.lock():
            self.run = self.store.find("inputs", self.inputs)
            if self.run is None:
                self._create()
                return
        self.known = "genre.model" in self.run.data.tags
        if self.known:
            return
        self.epochs = self.store.epochs(self.run.info.run_id)
        self.store.client.update_run(self.run.info.run_id, status="RUNNING")
        self.store.tag(self.run, self.tags)  # of the process that goes on with it

    def _create(self) -> None:
        self.run = self.store.create(name_of(self.inputs), self.tags, study=study()[0])
        self.store.log_parameters(self.run, self.parameters)
        digests = {name.removeprefix(DATA): value for name, value in self.tags.items() if name.startswith(DATA)}
        self.store.log_datasets(self.run.info.run_id, digests)

    def log_epoch(self, row: Row) -> None:
        """Logs one row of the history; a run that has this training already is left as it is."""
        self.rows.append({**row, **_load()})
        self.background.submit(self._log)

    def _log(self) -> None:
        rows = [row for row in list(self.rows) if int(row["epoch"]) not in self.epochs]
        if not self.known and rows:
            self.store.log_history(self.run.info.run_id, rows)
            self.epochs |= {int(row["epoch"]) for row in rows}

    def finish(self, model_pt: Path, *, best_epoch: int) -> None:
        """Ends the run with the model's name of content; a run that has this very model already takes its place."""
        digest = files.md5(model_pt)
        journal.note(digest, self.inputs)
        self.background.submit(partial(self._finish, digest, best_epoch))

    def _finish(self, digest: str, best_epoch: int) -> None:
        if self.known and self.run.data.tags["genre.model"] != digest:  # same inputs, other bits: a GPU may do that
            self.known, self.epochs = False, set()
            self._create()
            self._log()
        twin = self.store.find("model", digest, besides=self.run.info.run_id, split=self.tags.get(DATA + SPLIT))
        if twin is not None and not self.known:
            self.store.client.delete_run(self.run.info.run_id)
            self.store.tag(twin, {"genre.inputs": self.inputs})
        elif not self.known:
            self.store.tag(self.run, {"genre.model": digest, "genre.best_epoch": str(best_epoch)})
            self.store.client.set_terminated(self.run.info.run_id, "FINISHED")
        journal.forget(digest)

    def fail(self, status: str) -> None:
        """Ends the run as `FAILED` or `KILLED`."""
        self.background.submit(
            lambda: None if self.known else self.store.client.set_terminated(self.run.info.run_id, status)
        )


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
    tags = {DATA + path.name: files.md5(path) for path in inputs}
    with _tracked(key, parameters, tags) as run:
        yield run


@contextmanager
def _tracked(inputs: str, parameters: Mapping[str, Any], tags: Mapping[str, str]) -> Iterator[TrainingRun]:
    background = in_background()
    run = TrainingRun(background, inputs, parameters, tags)
    try:
        yield run
    except Exception:
        run.fail("FAILED")
        raise
    except BaseException:  # interrupted, or told to end
        run.fail("KILLED")
        raise
    finally:
        background.close()


def in_background() -> Background:
    """Gives the thread that talks to MLflow."""
    kind = "server" if address().startswith("http") else "local"
    return Background(patience=PATIENCE[kind], advice=f"MLflow at {address()} does not take part; {ADVICE}")


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
