"""The runs of this project in one MLflow store: found by content, made, filled and ended.

A run carries two names of content as tags: `genre.inputs`, what the training was made from (see `fingerprint`), known
when it starts; and `genre.model`, the MD5 of models/model.pt, known when it ends, and in dvc.lock too. `genre.files`
tells which files the run holds, so that recording them again adds nothing.
"""

import json
import logging
import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from time import time
from typing import Any

from filelock import FileLock

from genre.pipeline import settings
from genre.tracking.tags import is_alive, short_digest

EXPERIMENT = "music-genre"
# Set before mlflow is imported, and only where the user has not: a dead server is noticed soon.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
DATA = "genre.data."  # what begins a tag with the MD5 of an input
SPLIT = "split.csv"  # of these inputs the one that decides who tests
FILES = "genre.files"
BATCH = 500  # metrics in one request; MLflow takes up to 1000

Row = Mapping[str, float]


def address() -> str:
    """Gives `MLFLOW_TRACKING_URI`, or the database at the root of the real repository."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{settings.repository()}/mlflow.db"


def enabled() -> bool:
    """False if the user has set `GENRE_TRACKING` to `off`."""
    return os.environ.get("GENRE_TRACKING", "on").lower() not in ("off", "0", "false", "no")


def is_of_mlflow(error: Exception) -> bool:
    """Says whether MLflow raised it: a request or its database failed."""
    from mlflow.exceptions import MlflowException

    return isinstance(error, MlflowException)


class Store:
    """Connects when it is made, and makes the store if it is new."""

    def __init__(self) -> None:
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.WARNING)  # what it does besides is nobody's concern
        self.local = address().startswith("sqlite:")
        self.file_lock = FileLock(settings.repository() / "mlflow.db.lock")
        with self.lock():  # two processes that make the same new database get in each other's way
            self.client = MlflowClient(address())
            self.experiment = self._find_experiment() or self._create_experiment()

    def lock(self) -> AbstractContextManager[Any]:
        """Keeps other processes out while something is made that shall be there once."""
        return self.file_lock if self.local else nullcontext()

    def _find_experiment(self) -> str | None:
        found = self.client.get_experiment_by_name(EXPERIMENT)
        return found.experiment_id if found else None

    def _create_experiment(self) -> str:
        place = (settings.repository() / "mlartifacts").as_uri() if self.local else None
        try:
            return str(self.client.create_experiment(EXPERIMENT, place))
        except Exception:  # of a server: another process was first
            if found := self._find_experiment():
                return found
            raise

    def all_runs(self) -> Iterator[Any]:
        """Yields all runs that are not deleted, the newest first."""
        token: str | None = None
        while token != "":
            page = self.client.search_runs([self.experiment], max_results=500, page_token=token)
            yield from page
            token = page.token or ""

    def find(self, tag: str, value: str, *, besides: str = "", split: str | None = None) -> Any:
        """Gives the newest run with `genre.{tag}` = `value`, or None.

        Args:
            besides: The run that it must not be.
            split: MD5 of the split that it must be of, unless the run tells none.
        """
        runs = self.client.search_runs([self.experiment], f"tags.`genre.{tag}` = '{value}'")
        fitting = (run for run in runs if split is None or run.data.tags.get(DATA + SPLIT, split) == split)
        return next((run for run in fitting if run.info.run_id != besides), None)

    def create(self, name: str, tags: Mapping[str, str], *, study: str = "") -> Any:
        """Makes a run; the study that it is of, if any, becomes its parent."""
        return self.client.create_run(self.experiment, tags={**tags, **self.study_tags(study)}, run_name=name)

    def study_tags(self, study: str) -> dict[str, str]:
        """Gives the tags that make a run the child of its study, whose own run is made if there is none yet."""
        if not study:
            return {}
        with self.lock():
            parent = self.find("study.parent", study)
            if parent is None:
                tags = {"genre.study.parent": study, "mlflow.note.content": f"Study **{study}**: its runs are below."}
                parent = self.client.create_run(self.experiment, tags=tags, run_name=study)
                self.client.set_terminated(parent.info.run_id, "FINISHED")
        return {"genre.study": study, "mlflow.parentRunId": parent.info.run_id}

    def tag(self, run: Any, tags: Mapping[str, str]) -> None:
        """Sets the tags that the run does not have yet with these values, in one request."""
        from mlflow.entities import RunTag

        news = [RunTag(name, value) for name, value in tags.items() if run.data.tags.get(name) != value]
        if news:
            self.client.log_batch(run.info.run_id, tags=news)
            run.data.tags.update({tag.key: tag.value for tag in news})

    def log_parameters(self, run: Any, parameters: Mapping[str, Any]) -> None:
        """Logs the parameters `section.key` that the run lacks."""
        from mlflow.entities import Param

        news = [Param(key, str(value)) for key, value in parameters.items() if key not in run.data.params]
        for start in range(0, len(news), 100):
            self.client.log_batch(run.info.run_id, params=news[start : start + 100])
        run.data.params.update({param.key: param.value for param in news})

    def epochs(self, run_id: str) -> set[int]:
        """Lists the epochs that a run has."""
        return {metric.step for metric in self.client.get_metric_history(run_id, "epoch/train_loss")}

    def log_history(self, run_id: str, rows: Iterable[Row]) -> None:
        """Logs epochs, rows of the history; the step is the epoch."""
        named = (
            (name if "/" in name else f"epoch/{name}", value, int(row["epoch"]))
            for row in rows
            for name, value in row.items()
            if name not in ("epoch", "kept")
        )
        self._log(run_id, named)

    def log_metrics(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Logs figures that are not of an epoch."""
        self._log(run_id, ((name, value, 0) for name, value in metrics.items()))

    def _log(self, run_id: str, named: Iterable[tuple[str, float, int]]) -> None:
        from mlflow.entities import Metric

        now = int(time() * 1000)
        metrics = [Metric(name, float(value), now, step) for name, value, step in named]
        for start in range(0, len(metrics), BATCH):
            self.client.log_batch(run_id, metrics=metrics[start : start + BATCH])

    def log_datasets(self, run_id: str, digests: Mapping[str, str]) -> None:
        """Logs what the model was trained on: file name -> MD5."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        context = [InputTag("mlflow.data.context", "training")]
        inputs = [
            DatasetInput(Dataset(path, digest[:36], "local", json.dumps({"uri": f"data/{path}"})), context)
            for path, digest in digests.items()
        ]
        self.client.log_inputs(run_id, inputs)

    def log_files(self, run: Any, files: Mapping[str, Path], *, replace: bool = True) -> dict[str, str]:
        """Uploads the files that are not noted as held by the run: `folder/name` there -> path here; see `note_files`.

        Args:
            replace: Whether a file that the run holds with other content is replaced.

        Returns:
            The names of those that were uploaded, and their digests.
        """
        held = held_files(run)
        digests = {name: short_digest(path) for name, path in files.items() if replace or name not in held}
        news = {name: digest for name, digest in digests.items() if held.get(name) != digest}
        for name in news:
            self.client.log_artifact(run.info.run_id, str(files[name]), str(Path(name).parent))
        return news

    def note_files(self, run: Any, digests: Mapping[str, str]) -> None:
        """Notes that the run holds files, and all figures that stand in them: what `log_files` gave."""
        if digests:
            self.tag(run, {FILES: json.dumps({**held_files(run), **digests}, sort_keys=True)})

    def end_abandoned(self) -> None:
        """Marks runs of this machine as failed whose process is gone: a killed training cannot do it itself."""
        running = f"attributes.status = 'RUNNING' and tags.`genre.host` = '{socket.gethostname()}'"
        for run in self.client.search_runs([self.experiment], running):
            if not is_alive(run.data.tags.get("genre.process", "")):
                self.client.set_terminated(run.info.run_id, "FAILED")


def held_files(run: Any) -> dict[str, str]:
    """Tells which files a run holds: `folder/name` -> digest."""
    return dict(json.loads(run.data.tags.get(FILES, "{}")))
