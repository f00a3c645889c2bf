"""The runs of this project in one MLflow store: found by their content, made, filled and ended."""

import hashlib
import json
import logging
import os
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from time import time
from typing import Any

from filelock import FileLock

from genre.pipeline.settings import repository
from genre.tracking.tags import DATA, FILES, SPLIT, is_alive

EXPERIMENT = "music-genre"
DESCRIPTION = (
    "Trainings of the pipeline in dvc.yaml, one run for each trained model. `test/track_accuracy` is the share of test "
    "tracks classified correctly; `versus_linear/test_track_accuracy` that of a logistic regression on mean spectra."
)
# Set before mlflow is imported, and only where the user has not: a dead server is noticed soon.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_UV_AUTO_DETECT": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
SQLITE = "sqlite:///"
BATCH = 500  # metrics in one request; MLflow takes up to 1000

Row = Mapping[str, float]


def address() -> str:
    """Returns `MLFLOW_TRACKING_URI`, or the database at the root of the real repository.

    A relative path of a SQLite database means relative to the real repository, also in a temporary experiment.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}mlflow.db"
    path = uri.removeprefix(SQLITE)
    return uri if path == uri else f"{SQLITE}{repository() / path}"


def enabled() -> bool:
    """Returns False if the user has set `GENRE_TRACKING` to `off`."""
    return os.environ.get("GENRE_TRACKING", "on").lower() not in ("off", "0", "false", "no")


def is_of_mlflow(error: Exception) -> bool:
    """Returns whether MLflow raised the error: a request or its database failed."""
    from mlflow.exceptions import MlflowException

    return isinstance(error, MlflowException)


class Store:
    """Connects when it is made, and makes the store if it is new.

    Raises:
        ValueError: The database would be at a place whose name an address cannot hold.
    """

    def __init__(self) -> None:
        self.local = address().startswith(SQLITE)
        if self.local and set(address()) & set("?%#"):
            raise ValueError(f"the path of the database must have no ?, % or #, got {address()}; move the repository")
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.WARNING)
        self.file_lock = FileLock(repository() / "mlflow.db.lock")
        with self.lock():  # two processes that make the same new database get in each other's way
            self.client = MlflowClient(address())
            self.experiment = self._find_experiment() or self._create_experiment()

    def lock(self) -> AbstractContextManager[Any]:
        """Returns a lock between the processes of this machine for a local database; for a server it locks nothing."""
        return self.file_lock if self.local else nullcontext()

    def _find_experiment(self) -> str | None:
        found = self.client.get_experiment_by_name(EXPERIMENT)
        if found and self.local and found.artifact_location != self._artifacts():
            self._move_artifacts(found.artifact_location)
        return found.experiment_id if found else None

    def _artifacts(self) -> str:
        return (repository() / "mlartifacts").as_uri()

    def _move_artifacts(self, old: str) -> None:
        """Replaces the place where files are kept in a database that was moved or copied with its project.

        MLflow keeps absolute places; without this, the files of new runs would go to the old project.
        """
        import sqlite3
        from contextlib import closing

        columns = {"experiments": "artifact_location", "runs": "artifact_uri", "logged_models": "artifact_location",
                   "model_versions": "source"}  # fmt: skip
        with closing(sqlite3.connect(address().removeprefix(SQLITE))) as database, database:
            for table, column in columns.items():
                statement = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"  # noqa: S608
                database.execute(statement, (old, self._artifacts()))
        print(f"MLflow: this project was moved; its files are now looked for in {self._artifacts()}", file=sys.stderr)

    def _create_experiment(self) -> str:
        place = self._artifacts() if self.local else None
        try:
            made = self.client.create_experiment(EXPERIMENT, place, tags={"mlflow.note.content": DESCRIPTION})
        except Exception:  # of a server: another process was first
            if found := self._find_experiment():
                return found
            raise
        return str(made)

    def all_runs(self) -> Iterator[Any]:
        """Yields all runs that are not deleted, the newest first."""
        token: str | None = None
        while token != "":
            page = self.client.search_runs([self.experiment], max_results=500, page_token=token)
            yield from page
            token = page.token or ""

    def find(self, tag: str, digest: str, *, besides: str = "", split: str | None = None) -> Any:
        """Returns the newest run whose tag has a value, or None.

        Args:
            tag: A tag whose values are hexadecimal digests; a user's text could break MLflow's query language.
            digest: Its value.
            besides: The run that it must not be.
            split: MD5 of the split that it must be of, unless the run does not say.
        """
        runs = self.client.search_runs([self.experiment], f"tags.`{tag}` = '{digest}'")
        fitting = (run for run in runs if split is None or run.data.tags.get(DATA + SPLIT, split) == split)
        return next((run for run in fitting if run.info.run_id != besides), None)

    def create(self, name: str, tags: Mapping[str, str], *, study: str = "") -> Any:
        """Makes a run; the study that it is of, if any, becomes its parent."""
        return self.client.create_run(self.experiment, tags={**tags, **self.study_tags(study)}, run_name=name)

    def study_tags(self, study: str) -> dict[str, str]:
        """Returns the tags that make a run the child of its study, whose own run is made if there is none yet."""
        if not study:
            return {}
        digest = hashlib.sha256(study.encode()).hexdigest()[:16]  # the name itself may break a query
        with self.lock():
            parent = self.find("genre.study.parent", digest)
            if parent is None:
                tags = {"genre.study.parent": digest, "mlflow.note.content": f"Study **{study}**: its runs are below."}
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
        """Returns the epochs that a run has."""
        return {metric.step for metric in self.client.get_metric_history(run_id, "epoch/train_loss")}

    def log_history(self, run_id: str, rows: Iterable[Row]) -> None:
        """Logs the rows of the history whose epochs the run lacks; the step is the epoch."""
        known = self.epochs(run_id)
        named = (
            (name if "/" in name else f"epoch/{name}", value, int(row["epoch"]))
            for row in rows
            if int(row["epoch"]) not in known
            for name, value in row.items()
            if name not in ("epoch", "kept")
        )
        self.log(run_id, named)

    def log(self, run_id: str, named: Iterable[tuple[str, float, int]]) -> None:
        """Logs metrics: name, value and step of each."""
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
        """Uploads the files that the run is not noted to hold: `folder/name` there -> path here; see `note_files`.

        Args:
            run: The run.
            files: What it is to hold.
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
        """Notes that the run holds files, and all metrics that are in them: what `log_files` returned."""
        if digests:
            self.tag(run, {FILES: json.dumps({**held_files(run), **digests}, sort_keys=True)})

    def end_abandoned(self) -> None:
        """Marks runs of this machine as failed whose process is gone: a killed training cannot do it itself."""
        running = self.client.search_runs([self.experiment], "attributes.status = 'RUNNING'")
        for run in running:
            of_this_machine = run.data.tags.get("genre.host") == socket.gethostname()
            if of_this_machine and not is_alive(run.data.tags.get("genre.process", "")):
                self.client.set_terminated(run.info.run_id, "FAILED")


def held_files(run: Any) -> dict[str, str]:
    """Returns which files a run holds: `folder/name` -> digest."""
    return dict(json.loads(run.data.tags.get(FILES, "{}")))


def short_digest(path: Path) -> str:
    """Returns the beginning of the SHA-1 of a file's content."""
    return hashlib.sha1(path.read_bytes(), usedforsecurity=False).hexdigest()[:10]
