"""MLflow: one run for one model, found by content, so that whoever trains, evaluates or restores meets the same run.

A run carries two names of content as tags: `genre.inputs`, what the training was made from (see `fingerprint`), known
when it starts; and `genre.model`, the MD5 of models/model.pt, known when it ends, and in dvc.lock too. What has been
recorded is tagged as `genre.part.NAME`, so that recording it again adds nothing.

A tracking server that fails or is slow costs at most `PATIENCE` seconds a stage and never a result.
"""

import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
from filelock import FileLock

from genre import fingerprint, workspace
from genre.background import Background

EXPERIMENT = "music-genre"
PATIENCE = {"local": 120.0, "server": 15.0}  # seconds; making a local database takes about ten
ADVICE = "the results are on disk, and `genre sync` brings them to MLflow later"
# Set before mlflow is imported, and only where the user has not: a dead server is noticed soon.
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}

Row = Mapping[str, float]


def address() -> str:
    """Gives `MLFLOW_TRACKING_URI`, or the database at the root of the real repository."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{workspace.repository()}/mlflow.db"


class Store:
    """The runs of this project in one MLflow store; connects when it is made, and makes the store if it is new."""

    def __init__(self) -> None:
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient  # noqa: PLC0415  takes two seconds, which training need not wait for

        local = address().startswith("sqlite:")
        # Two processes that make the same new database get in each other's way.
        with FileLock(workspace.repository() / "mlflow.db.lock") if local else nullcontext():
            self.client = MlflowClient(address())
            found = self.client.get_experiment_by_name(EXPERIMENT)
            place = (workspace.repository() / "mlartifacts").as_uri() if local else None
            self.experiment = found.experiment_id if found else self.client.create_experiment(EXPERIMENT, place)

    def find(self, tag: str, value: str, *, besides: str = "") -> Any:
        """Gives the newest run with `genre.{tag}` = `value`, other than the run `besides`, or None."""
        runs = self.client.search_runs([self.experiment], f"tags.`genre.{tag}` = '{value}'")
        return next((run for run in runs if run.info.run_id != besides), None)

    def create(self, tags: Mapping[str, str]) -> Any:
        """Makes a run, named as DVC's experiment is, if there is one."""
        name = tags.get("dvc.exp.name") or f"workspace-{next(iter(tags.values()))[:8]}"
        return self.client.create_run(self.experiment, tags=dict(tags), run_name=name)

    def log_parameters(self, run_id: str, parameters: Mapping[str, Any]) -> None:
        """Logs parameters `section.key`."""
        from mlflow.entities import Param  # noqa: PLC0415

        self.client.log_batch(run_id, params=[Param(key, str(value)) for key, value in parameters.items()])

    def log_history(self, run_id: str, rows: Sequence[Row]) -> None:
        """Logs the epochs that the run does not have yet; the step is the epoch."""
        from mlflow.entities import Metric  # noqa: PLC0415

        known = {metric.step for metric in self.client.get_metric_history(run_id, "train/loss")}
        metrics = [
            Metric(_grouped(name), value, _now(), int(row["epoch"]))
            for row in rows
            for name, value in row.items()
            if name != "epoch" and int(row["epoch"]) not in known
        ]
        for start in range(0, len(metrics), 500):
            self.client.log_batch(run_id, metrics=metrics[start : start + 500])

    def log_files(self, run_id: str, paths: Sequence[Path], folder: str) -> None:
        """Uploads files; a JSON file of metrics becomes metrics of the run too."""
        from mlflow.entities import Metric  # noqa: PLC0415

        for path in paths:
            self.client.log_artifact(run_id, str(path), folder)
        logged = {
            name: value for path in paths if path.name in MEASURES for name, value in MEASURES[path.name](_json(path))
        }
        if logged:
            self.client.log_batch(run_id, metrics=[Metric(name, value, _now(), 0) for name, value in logged.items()])

    def end_abandoned(self) -> None:
        """Marks runs of this machine as failed whose process is gone: a killed training cannot do it itself."""
        host = socket.gethostname()
        for run in self.client.search_runs(
            [self.experiment], f"attributes.status = 'RUNNING' and tags.`genre.host` = '{host}'"
        ):
            if not psutil.pid_exists(int(run.data.tags["genre.process"])):
                self.client.set_terminated(run.info.run_id, "FAILED")

    def record(self, run: Any, part: str, paths: Sequence[Path], folder: str) -> None:
        """Logs files to a run unless these very files are there; tags the run with their digest."""
        digest = "-".join(fingerprint.of_file(path)[:8] for path in paths)[:4000]
        if run.data.tags.get(f"genre.part.{part}") != digest:
            self.log_files(run.info.run_id, paths, folder)
            self.client.set_tag(run.info.run_id, f"genre.part.{part}", digest)


class TrainingRun:
    """The run of a training that is going on; everything is done in the background."""

    def __init__(self, background: Background, inputs: str, parameters: Mapping[str, Any], tags: Mapping[str, str]):
        self.background, self.inputs, self.parameters = background, inputs, parameters
        self.tags = {"genre.inputs": inputs, **tags, **process_tags(), **experiment_tags()}
        self.rows: list[Row] = []
        self.store: Store
        self.run: Any = None
        self.known = False
        background.submit(self._start)

    def _start(self) -> None:
        self.store = Store()
        self.store.end_abandoned()
        self.run = self.store.find("inputs", self.inputs)
        self.known = self.run is not None and "genre.model" in self.run.data.tags
        if self.known:
            return
        if self.run is None:
            self._create()
        for name, value in self.tags.items():  # of the process that goes on with it
            self.store.client.set_tag(self.run.info.run_id, name, value)
        self.store.client.update_run(self.run.info.run_id, status="RUNNING")

    def _create(self) -> None:
        self.run = self.store.create(self.tags)
        self.store.log_parameters(self.run.info.run_id, self.parameters)

    def log_epoch(self, row: Row) -> None:
        """Logs one row of the history; a run that has this training already is left as it is."""
        self.rows.append(row)
        self.background.submit(partial(self._log, [row]))

    def _log(self, rows: Sequence[Row]) -> None:
        if not self.known:
            self.store.log_history(self.run.info.run_id, rows)

    def finish(self, model_pt: Path, *, best_epoch: int) -> None:
        """Ends the run with the model's name of content; a run that has this very model already takes its place."""
        digest = fingerprint.of_file(model_pt)
        self.background.submit(partial(self._finish, digest, best_epoch))

    def _finish(self, digest: str, best_epoch: int) -> None:
        if self.known and self.run.data.tags["genre.model"] != digest:  # same inputs, other bits: a GPU may do that
            self.known = False
            self._create()
            self._log(self.rows)
        run_id = self.run.info.run_id
        twin = self.store.find("model", digest, besides=run_id)
        if twin is not None and not self.known:
            self.store.client.delete_run(run_id)
        elif not self.known:
            self.store.client.set_tag(run_id, "genre.model", digest)
            self.store.client.set_tag(run_id, "genre.best_epoch", str(best_epoch))
            self.store.client.set_terminated(run_id, "FINISHED")

    def fail(self, status: str) -> None:
        """Ends the run as `FAILED` or `KILLED`."""
        self.background.submit(
            lambda: None if self.known else self.store.client.set_terminated(self.run.info.run_id, status)
        )


@contextmanager
def training_run(inputs: str, parameters: Mapping[str, Any], tags: Mapping[str, str]) -> Iterator[TrainingRun]:
    """Opens the run of a training made from `inputs`, a fingerprint; a training that breaks off ends its run."""
    background = _background()
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


def record(model_pt: Path, parts: Mapping[str, Sequence[Path]]) -> None:
    """Adds files to the run of a model: part -> files; `evaluate` and `plots` complete the run with it."""
    digest = fingerprint.of_file(model_pt)

    def job() -> None:
        store = Store()
        run = store.find("model", digest) or store.create({"genre.model": digest, **experiment_tags()})
        for part, paths in parts.items():
            store.record(run, part, paths, part)
        store.client.set_terminated(run.info.run_id, "FINISHED")

    background = _background()
    background.submit(job)
    background.close()


def process_tags() -> dict[str, str]:
    """Says which process a run is of."""
    return {"genre.host": socket.gethostname(), "genre.process": str(os.getpid())}


def experiment_tags() -> dict[str, str]:
    """Says which of DVC's experiments this is; empty outside of `dvc exp run`."""
    names = {"dvc.exp.name": "DVC_EXP_NAME", "dvc.exp.baseline": "DVC_EXP_BASELINE_REV"}
    return {tag: os.environ[name] for tag, name in names.items() if os.environ.get(name)}


def _background() -> Background:
    kind = "server" if address().startswith("http") else "local"
    return Background(patience=PATIENCE[kind], advice=f"MLflow at {address()} does not take part; {ADVICE}")


def _grouped(name: str) -> str:
    """`valid_loss` -> `valid/loss`: MLflow draws what shares a first part in one section."""
    return name.replace("_", "/", 1) if name.startswith(("train_", "valid_")) else name


def _scores(content: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for subset, scores in content.items():
        if isinstance(scores, Mapping):
            yield from ((f"{subset}/{name}", value) for name, value in scores.items())
        else:
            yield subset, scores


def _baseline_scores(content: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for system, subsets in content.items():
        for subset, scores in subsets.items():
            yield from (
                (f"baseline_{system}/{subset}_{name}", scores[name]) for name in ("clip_accuracy", "track_accuracy")
            )


# How the metrics of a file are named in MLflow.
MEASURES: dict[str, Callable[[Mapping[str, Any]], Iterator[tuple[str, float]]]] = {
    "metrics.json": _scores,
    "baselines.json": _baseline_scores,
}


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _now() -> int:
    return int(pd.Timestamp.now("UTC").timestamp() * 1000)
