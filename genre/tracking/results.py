"""Brings the results of a trained model to its MLflow run: one way for `evaluate`, `plots` and `genre sync`."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from genre.history import dvc_lock
from genre.history.dvc_lock import Trained
from genre.pipeline import tables
from genre.pipeline.files import md5
from genre.pipeline.settings import repository
from genre.tracking import registry
from genre.tracking.mlflow_store import SPLIT, Store, address, data_of, database, enabled, held_files, import_mlflow
from genre.tracking.tags import FILES, KEY, MODEL, experiment_tags, name_of, study_of
from genre.tracking.worker import Background

HISTORY = "metrics/history.csv"
SHOWN = {".png", ".html"}  # the suffixes of what is in the folder figures of a run
PATIENCE = {"local": 120.0, "server": 15.0}  # seconds; making a local database takes about ten
ADVICE = "the results are on disk, and `genre sync` brings them to MLflow later"


def begin() -> Background:
    """Begins the work with MLflow that `record` ends: mlflow is imported in the background, while the stage works."""
    background = in_background()
    background.submit(import_mlflow)
    return background


def record(
    model_pt: Path, paths: Sequence[Path], *, register: bool = False, background: Background | None = None
) -> None:
    """Adds files to the run of a model, without failing the stage that calls it.

    Args:
        model_pt: The model file, by which the run is found.
        paths: The files; pictures and pages go to the folder figures of the run, others to metrics.
        register: Whether the model becomes a version of the registered model.
        background: What `begin` returned, if it was called.
    """

    def job() -> None:
        digest, lock, store = md5(model_pt), Path("dvc.lock"), Store()
        store.end_abandoned()
        known = dvc_lock.read(lock.read_text(encoding="utf-8")) if lock.is_file() else None
        trained = known if known and known.model == digest else Trained(digest)
        files = {f"{'figures' if path.suffix in SHOWN else 'metrics'}/{path.name}": path for path in paths}
        complete(store, trained, name_of(digest), experiment_tags(), files, model_pt if register else None)

    with background or in_background() as working:
        working.submit(job)


def in_background() -> Background:
    """Returns a thread for the work with MLflow, which does nothing where the user wants none."""
    patience = PATIENCE["local" if database() else "server"]
    advice = f"MLflow at {address()} does not take part; {ADVICE}"
    return Background(what="MLflow", patience=patience, advice=advice, drops=not enabled())


def key_note(model: str) -> Path:
    """Returns where the run key of a model's training is noted until MLflow knows the model.

    If MLflow is away when a training ends, its run, half logged, does not get the model's digest: the key finds it.
    """
    return repository() / ".checkpoints" / f"{model}.run_key"


def find(store: Store, trained: Trained) -> Any:
    """Returns the run of a model, or None: by its content or, where its training could not finish it, by its key.

    The same weights with another split are another run: they are tested on other tracks.
    """
    found = store.find(MODEL, trained.model, split=trained.data.get(SPLIT))
    note = key_note(trained.model)
    if found is None and note.is_file():
        unfinished = store.find(KEY, note.read_text(encoding="utf-8", errors="replace").strip())
        return unfinished if unfinished and MODEL not in unfinished.data.tags else None
    return found


def complete(
    store: Store | None,
    trained: Trained,
    name: str,
    tags: Mapping[str, str],
    files: Mapping[str, Path],
    model_pt: Path | None,
    *,
    replace: bool = True,
    dry_run: bool = False,
) -> tuple[Any, list[str]]:
    """Adds to the run of a model what it lacks, and ends it; makes the run if there is none.

    Args:
        store: The MLflow store; None is one that is not made yet, for a dry run.
        trained: What dvc.lock says of the model.
        name: The name of a run that must be made.
        tags: Of the run; what it has already is left as it is.
        files: `folder/name` in the run -> path.
        model_pt: The model file, or None where it is not at hand or not to be registered.
        replace: Whether files that the run holds with other content are replaced.
        dry_run: Whether nothing is done.

    Returns:
        The run, or None if a dry run does not make it; and what was added, in words.
    """
    with store.lock() if store else nullcontext():
        run = find(store, trained) if store else None
        held = held_files(run) if run else {}
        news = {name: path for name, path in files.items()
                if name not in held or (replace and held[name] != md5(path))}  # fmt: skip
        lacks = {
            "parameters": run and trained.parameters.keys() - run.data.params.keys(),
            "data": run and trained.data.keys() - data_of(run).keys(),
            "the model": run and model_pt is not None and registry.TAG not in run.data.tags,
            "tags": run and tags.keys() - run.data.tags.keys(),
            "its end": run and run.info.status != "FINISHED",
        }
        added = [*news, *(name for name, is_missing in lacks.items() if is_missing)] if run else ["the run"]
        if store is None or dry_run:
            return run, added
        own = {MODEL: trained.model, **tags}
        run = run or store.create(name, own, study=study_of(name))
        store.tag(run, {name: value for name, value in own.items() if name not in run.data.tags})
    store.log_parameters(run, trained.parameters)
    store.log_datasets(run, trained.data)
    for file, path in news.items():
        store.client.log_artifact(run.info.run_id, str(path), str(Path(file).parent))
    scores = {name: value for file in NAMED if file in news for name, value in _measures(file, news[file])}
    if HISTORY in news:
        rows = tables.read_csv(news[HISTORY], ("epoch", "train_loss")).to_dict("records")
        store.log_history(run.info.run_id, rows)
        kept = [row["epoch"] for row in rows if row.get("kept") == 1]
        scores |= {"best_epoch": kept[0]} if kept else {}
    if scores:
        store.log(run.info.run_id, ((name, value, 0) for name, value in scores.items()))
        run.data.metrics.update(scores)
        store.tag(run, {"mlflow.note.content": _note(run.data.params, run.data.metrics)})
    # What breaks off above is done again: only now the run is said to hold the files.
    store.tag(run, {FILES: json.dumps({**held, **{name: md5(path) for name, path in news.items()}}, sort_keys=True)})
    if model_pt is not None or scores:
        registry.register(store, run, model_pt)
    if run.info.status != "FINISHED":
        store.client.set_terminated(run.info.run_id, "FINISHED")
    key_note(trained.model).unlink(missing_ok=True)
    return run, added


def _measures(file: str, path: Path) -> Iterator[tuple[str, float]]:
    """Yields the metrics in a JSON file, as they are named in MLflow."""
    for first, content in json.loads(path.read_text(encoding="utf-8")).items():
        if not isinstance(content, dict):
            yield first, content
            continue
        for second, value in content.items():
            scores = value.items() if isinstance(value, dict) else [("", value)]
            yield from ((NAMED[file].format(first, second, name), score) for name, score in scores if name in LOGGED)


# The names of metrics in JSON files, from two or three levels of keys; of the last level only these.
LOGGED = {"", "clip_accuracy", "track_accuracy", "precision", "recall", "f1"}
NAMED = {
    "metrics/metrics.json": "{0}/{1}",  # subset, name
    "metrics/baselines.json": "versus_{0}/{1}_{2}",  # system, subset, name
    "metrics/per_genre.json": "{0}_{2}/{1}",  # subset, genre, name
}


def _note(parameters: Mapping[str, str], metrics: Mapping[str, float]) -> str:
    """Describes a run in Markdown."""
    from genre.evaluation import report

    source, protocol, network = (parameters.get(key) for key in ("data.source", "split.protocol", "model.network"))
    lines = [f"Network `{network}` on **{source}** recordings, split `{protocol}`."]
    if source == "synthetic":
        lines.append("The corpus is synthetic: accuracy on it says nothing about music.")
    for subset in tables.SUBSETS:
        scores = {name.partition("/")[2]: value for name, value in metrics.items() if name.startswith(f"{subset}/")}
        if scores.keys() >= {"track_accuracy", "track_accuracy_low", "track_accuracy_high", "clip_accuracy"}:
            lines.append(f"* {report.sentence(subset, scores)}")
    return "\n".join(lines)
