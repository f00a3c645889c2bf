"""A training in MLflow while it goes on: its parameters at the start, each epoch, and the model's digest at the end.

Everything is done in the background. A tracking server that fails or is slow costs at most `PATIENCE` seconds a stage
and never a result; what it missed is added later by `genre.tracking.results`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from genre.pipeline.files import md5
from genre.tracking.mlflow_store import SPLIT, Row, Store, enabled
from genre.tracking.results import in_background, key_note
from genre.tracking.tags import KEY, MODEL, PROCESS, experiment_tags, name_of, process_tag, study_of
from genre.tracking.worker import Background


class TrainingRun:
    """The run of a training that is going on; a training with the same key goes on in the same run."""

    def __init__(self, background: Background, key: str, parameters: Mapping[str, Any], inputs: Sequence[Path]):
        self.background, self.key = background, key
        psutil.cpu_percent()  # the next call measures from here on
        background.submit(lambda: self._start(parameters, {path.name: md5(path) for path in inputs}))

    def _start(self, parameters: Mapping[str, Any], data: Mapping[str, str]) -> None:
        self.store, self.split = Store(), data.get(SPLIT)
        self.store.end_abandoned()
        tags, name = {KEY: self.key, PROCESS: process_tag(), **experiment_tags()}, name_of(self.key)
        with self.store.lock():
            self.run = self.store.find(KEY, self.key) or self.store.create(name, tags, study=study_of(name))
        self.store.log_parameters(self.run, parameters)
        self.store.log_datasets(self.run, data)
        if MODEL not in self.run.data.tags:
            self.store.tag(self.run, tags)  # of the process that goes on with it
            self.store.client.update_run(self.run.info.run_id, status="RUNNING")

    def log_epoch(self, row: Row) -> None:
        """Logs one row of the history, unless the run has this epoch already."""
        measured = {**row, **_load()}
        self.background.submit(lambda: self.store.log_history(self.run.info.run_id, [measured]))

    def finish(self, model_pt: Path, *, best_epoch: int) -> None:
        """Ends the run with the digest of the model; if another run has this model already, this one is removed."""
        digest = md5(model_pt)
        if enabled():
            with suppress(OSError):  # a disk that takes no note costs nothing else
                key_note(digest).parent.mkdir(parents=True, exist_ok=True)
                key_note(digest).write_text(self.key, encoding="utf-8")
        self.background.submit(lambda: self._finish(digest, best_epoch))

    def _finish(self, digest: str, best_epoch: int) -> None:
        run_id, known = self.run.info.run_id, self.run.data.tags.get(MODEL)
        duplicate = self.store.find(MODEL, digest, besides=run_id, split=self.split)
        if known is None and duplicate is not None:
            self.store.client.delete_run(run_id)
            self.store.tag(duplicate, {KEY: self.key})
        elif known is None:
            self.store.log(run_id, [("best_epoch", best_epoch, 0)])
            self.store.tag(self.run, {MODEL: digest})
            self.store.client.set_terminated(run_id, "FINISHED")
        key_note(digest).unlink(missing_ok=True)

    def fail(self, status: str) -> None:
        """Ends the run as `FAILED` or `KILLED`, unless it holds a trained model already."""
        self.background.submit(lambda: self._fail(status))

    def _fail(self, status: str) -> None:
        if MODEL not in self.run.data.tags:
            self.store.client.set_terminated(self.run.info.run_id, status)


@contextmanager
def training_run(key: str, parameters: Mapping[str, Any], inputs: Sequence[Path]) -> Iterator[TrainingRun]:
    """Opens the run of a training; a training that breaks off ends its run.

    Args:
        key: What the training is made from, see `genre.training.run_key`.
        parameters: All of params.yaml: `section.key` -> value.
        inputs: The files that the training reads.
    """
    with in_background() as background:
        run = TrainingRun(background, key, parameters, inputs)
        try:
            yield run
        except BaseException as error:
            run.fail("FAILED" if isinstance(error, Exception) else "KILLED")  # the latter if interrupted or told to end
            raise


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
