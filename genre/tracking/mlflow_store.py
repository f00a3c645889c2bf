"""The runs of this project in one MLflow store: found by their content, made, filled and ended."""

import hashlib
import json
import logging
import os
import re
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import unquote

from filelock import FileLock

from genre.pipeline.settings import repository
from genre.tracking.tags import FILES, PROCESS, is_abandoned

EXPERIMENT = "music-genre"
COLUMNS = ("test/track_accuracy", "valid/track_accuracy", "versus_linear/test_track_accuracy", "best_epoch")
# How MLflow shows the experiment: its description, the training view, the metric that counts, the columns of its list.
EXPERIMENT_TAGS = {
    "mlflow.note.content": "One run for each model that the pipeline in dvc.yaml has trained. `test/track_accuracy` is "
    "the share of test tracks classified correctly, `versus_linear/test_track_accuracy` that of a simpler system.",
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.experiment.primaryMetric.name": COLUMNS[0],
    "mlflow.experiment.primaryMetric.greaterIsBetter": "true",
    "mlflow.sharedViewState.genre": json.dumps({"selectedColumns": [f"metrics.`{name}`" for name in COLUMNS]}),
}
# Set before mlflow is imported, and only where the user has not: a dead server is noticed soon.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
SQLITE = "sqlite:///"
ESCAPES = {ord(char): f"%{ord(char):X}" for char in "%?#"}
# Where MLflow's database keeps absolute places of files.
PLACES = (
    ("experiments", "artifact_location"), ("runs", "artifact_uri"), ("logged_models", "artifact_location"),
    ("model_versions", "source"), ("model_versions", "storage_location"),
)  # fmt: skip
SPLIT = "split.csv"  # of the data the file that decides which tracks are tested
BATCH = 500  # metrics in one request; MLflow takes up to 1000

Row = Mapping[str, float]


def database() -> Path | None:
    """Returns the file of the SQLite database, or None where `MLFLOW_TRACKING_URI` names a server.

    Without an address it is at the root of the real repository. A relative path means relative to that root, also in a
    temporary experiment.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}mlflow.db"
    return repository() / unquote(uri.removeprefix(SQLITE).partition("?")[0]) if uri.startswith(SQLITE) else None


def address() -> str:
    """Returns the address of the MLflow store, with escapes for what in a path has a meaning in an address."""
    path = database()
    if path is None:
        return os.environ["MLFLOW_TRACKING_URI"]
    escaped = str(path).translate(ESCAPES)
    # With the usual beginning MLflow would also make a folder that is named as the escaped path.
    return f"{SQLITE if escaped == str(path) else 'sqlite+pysqlite:///'}{escaped}"


def enabled() -> bool:
    """Returns False if the user has set `GENRE_TRACKING` to `off`."""
    return os.environ.get("GENRE_TRACKING", "on").lower() not in ("off", "0", "false", "no")


def import_mlflow() -> None:
    """Imports mlflow, which takes seconds, with the settings of this project."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    import mlflow.tracking.client

    del mlflow
    logging.getLogger("mlflow").setLevel(logging.WARNING)


class Store:
    """Connects when it is made, and makes the store if it is new."""

    def __init__(self) -> None:
        import_mlflow()
        from mlflow import MlflowClient

        self.file_lock = FileLock(repository() / "mlflow.db.lock")
        with self.lock():  # two processes that make the same new database get in each other's way
            self.client = MlflowClient(address())
            self.experiment = self._connect()

    def lock(self) -> AbstractContextManager[Any]:
        """Returns a lock between the processes of this machine for a local database; for a server it locks nothing."""
        return self.file_lock if database() else nullcontext()

    def _connect(self) -> str:
        place = (repository() / "mlartifacts").as_uri() if database() else None
        found = self.client.get_experiment_by_name(EXPERIMENT)
        if found is None:
            try:
                return str(self.client.create_experiment(EXPERIMENT, place, tags=EXPERIMENT_TAGS))
            except Exception:  # of a server: another process was first
                found = self.client.get_experiment_by_name(EXPERIMENT)
                if found is None:
                    raise
        for name in EXPERIMENT_TAGS.keys() - found.tags.keys():
            self.client.set_experiment_tag(found.experiment_id, name, EXPERIMENT_TAGS[name])
        if place and found.artifact_location != place:
            _repair(found.artifact_location, place)
        return str(found.experiment_id)

    def all_runs(self, query: str = "") -> Iterator[Any]:
        """Yields the runs of the experiment that are not deleted, the newest first.

        Args:
            query: MLflow's filter. It is not escaped, so the caller must not put a text of the user into it.
        """
        token: str | None = None
        while token != "":
            page = self.client.search_runs([self.experiment], query, max_results=500, page_token=token)
            yield from page
            token = page.token or ""

    def find(self, tag: str, digest: str, *, besides: str = "", split: str | None = None) -> Any:
        """Returns the newest run whose tag is a digest, or None.

        Args:
            tag: The tag.
            digest: Its value; one that is no digest is on no run.
            besides: The run that it must not be.
            split: MD5 of the split that it must be of, unless the run does not say.
        """
        if not digest.isalnum():
            return None
        runs = self.all_runs(f"tags.`{tag}` = '{digest}'")
        fitting = (run for run in runs if split is None or data_of(run).get(SPLIT, split) == split)
        return next((run for run in fitting if run.info.run_id != besides), None)

    def create(self, name: str, tags: Mapping[str, str], *, study: str = "") -> Any:
        """Makes a run; the study that it is of, if any, becomes its parent."""
        child = {"genre.study": study, "mlflow.parentRunId": self._parent(study)} if study else {}
        return self.client.create_run(self.experiment, tags={**tags, **child}, run_name=name)

    def _parent(self, study: str) -> str:
        """Returns the run of a study, which is made if there is none yet."""
        digest = hashlib.sha256(study.encode()).hexdigest()[:16]  # the name itself may break a query
        with self.lock():
            parent = self.find("genre.study.parent", digest)
            if parent is None:
                tags = {"genre.study.parent": digest, "mlflow.note.content": f"Study **{study}**: its runs are below."}
                parent = self.client.create_run(self.experiment, tags=tags, run_name=study)
                self.client.set_terminated(parent.info.run_id, "FINISHED")
        return str(parent.info.run_id)

    def tag(self, run: Any, tags: Mapping[str, str]) -> None:
        """Sets the tags that the run does not have yet with these values, in one request."""
        from mlflow.entities import RunTag

        news = [RunTag(name, value) for name, value in tags.items() if run.data.tags.get(name) != value]
        if news:
            self.client.log_batch(run.info.run_id, tags=news)
            run.data.tags.update({tag.key: tag.value for tag in news})

    def log_parameters(self, run: Any, parameters: Mapping[str, Any]) -> None:
        """Logs the parameters `section.key` that the run lacks, as YAML has them: `null`, `true`, `0.003`."""
        from mlflow.entities import Param

        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in parameters.items()}
        news = [Param(key, text) for key, text in texts.items() if key not in run.data.params]
        self.client.log_batch(run.info.run_id, params=news)
        run.data.params.update({param.key: param.value for param in news})

    def log_history(self, run_id: str, rows: Iterable[Row]) -> None:
        """Logs the rows of the history whose epochs the run lacks; the step is the epoch."""
        known = {metric.step for metric in self.client.get_metric_history(run_id, "epoch/train_loss")}
        named = (
            (name if "/" in name else f"epoch/{name}", value, int(row["epoch"]))
            for row in rows
            if int(row["epoch"]) not in known
            for name, value in row.items()
            if name not in ("epoch", "kept")
        )
        self.log(run_id, named)

    def log(self, run_id: str, named: Iterable[tuple[str, float, int]]) -> None:
        """Logs metrics: name, value and step of each; characters that MLflow refuses in a name become `_`."""
        from mlflow.entities import Metric

        now = int(time() * 1000)
        metrics = [Metric(re.sub(r"[^\w/.:\- ]", "_", name), float(value), now, step) for name, value, step in named]
        for start in range(0, len(metrics), BATCH):
            self.client.log_batch(run_id, metrics=metrics[start : start + BATCH])

    def log_datasets(self, run: Any, data: Mapping[str, str]) -> None:
        """Logs the data of a training that the run lacks: file name -> MD5; each is named after the corpus too."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        corpus, context = run.data.params.get("data.source", "data"), [InputTag("mlflow.data.context", "training")]
        inputs = [
            DatasetInput(Dataset(f"{corpus}/{name}", md5[:36], "local", json.dumps({"uri": f"data/{name}"})), context)
            for name, md5 in data.items()
            if name not in data_of(run)
        ]
        if inputs:
            self.client.log_inputs(run.info.run_id, inputs)

    def end_abandoned(self) -> None:
        """Marks runs of this machine as failed whose process is gone: a killed training cannot do it itself."""
        for run in self.all_runs("attributes.status = 'RUNNING'"):
            if is_abandoned(run.data.tags.get(PROCESS, "")):
                self.client.set_terminated(run.info.run_id, "FAILED")


def _repair(old: str, new: str) -> None:
    """Replaces the place of the files in the database of a project that was moved, renamed or copied.

    MLflow keeps absolute places; without this, the files of new runs would go to the project's old folder. A database
    outside of the project, or a place that the user has chosen, stays as it is.
    """
    path = database()
    if path is None or not path.is_relative_to(repository()) or not old.endswith("/mlartifacts"):
        return
    with closing(sqlite3.connect(path)) as connection, connection:
        for table, column in PLACES:
            command = (  # only names of this module are put into it
                f"UPDATE {table} SET {column} = ?2 || substr({column}, length(?1) + 1) "  # noqa: S608
                f"WHERE {column} = ?1 OR substr({column}, 1, length(?1) + 1) = ?1 || '/'"
            )
            connection.execute(command, (old, new))
    print(f"MLflow: this project was moved or copied; its files are now in {new}", file=sys.stderr)


def data_of(run: Any) -> dict[str, str]:
    """Returns what identifies the data that a run was trained on, its MLflow data sets: file name -> MD5."""
    datasets = (item.dataset for item in run.inputs.dataset_inputs)
    return {dataset.name.rpartition("/")[2]: dataset.digest for dataset in datasets}


def held_files(run: Any) -> dict[str, str]:
    """Returns which files a run holds: `folder/name` -> digest."""
    return dict(json.loads(run.data.tags.get(FILES, "{}")))
