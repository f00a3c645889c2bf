"""`genre sync`: brings to MLflow what DVC knows and MLflow does not: runs cached, pulled, or made while it was away."""

import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tqdm import tqdm

from genre.history import dvc_lock, revisions
from genre.history.dvc_lock import Trained
from genre.history.revisions import Revision
from genre.pipeline.files import md5
from genre.tracking import registry, results
from genre.tracking.mlflow_store import Store, address, database

NAMES = ("history.csv", "metrics.json", "per_genre.json", "baselines.json", "predictions.csv", "tracks.csv")
FILES = frozenset(f"metrics/{name}" for name in NAMES)  # that a run holds, beside the figures
FIGURES = "metrics/figures"
REPORT = "metrics/report.html"  # which is with the figures in the run
DONE = "genre.commits"  # of a run that has all that these commits hold
WORKSPACE = Revision("")


def sync(names: Sequence[str], *, all_experiments: bool, dry_run: bool) -> None:
    """Brings the workspace and all experiments to MLflow; or the revisions named, and all experiments if asked for.

    Raises:
        ValueError: A revision is unknown; the repository has no git; MLflow fails.
    """
    known = revisions.experiments()
    wanted = revisions.resolve(names) if names else [WORKSPACE]
    wanted += [revision for revision in known if (all_experiments or not names) and revision not in wanted]
    store = _store(dry_run=dry_run)
    from mlflow.exceptions import MlflowException

    try:
        states = _sync(store, wanted, {revision.experiment for revision in known}, dry_run=dry_run)
    except MlflowException as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"MLflow at {address()} failed: {reason}; what is there stays, run `genre sync` again"
        ) from error
    would = "would be " if dry_run else ""
    tqdm.write(
        f"{address()}: runs {would}added: {states.count('new')}, {would}completed: {states.count('completed')}, "
        f"complete: {states.count('complete')}"
    )


def _store(*, dry_run: bool) -> Store | None:
    """Connects to MLflow; a dry run does not make a database where there is none."""
    path = database()
    if dry_run and path and not path.exists():
        return None
    try:
        return Store()
    except Exception as error:  # mlflow, sqlalchemy and requests have dozens of kinds
        raise ValueError(f"MLflow at {address()} cannot be reached: {' '.join(str(error).split())[:200]}") from error


def _sync(store: Store | None, wanted: Sequence[Revision], experiments: set[str], *, dry_run: bool) -> list[str]:
    """Brings the revisions, and returns how the run of each was: new, completed or complete."""
    runs = list(store.all_runs()) if store else []
    done = {commit for run in runs for commit in run.data.tags.get(DONE, "").split()}
    if store and not dry_run:
        store.end_abandoned()
    states = []
    for revision in tqdm(wanted, desc="sync", unit="revision", disable=None):
        if revision.commit[:12] in done:
            states.append("complete")
            continue
        with tempfile.TemporaryDirectory() as folder:
            lock = _copy(revision, "dvc.lock", Path(folder))
            trained = dvc_lock.read(lock.read_text(encoding="utf-8")) if lock else None
            if trained:
                states.append(_bring(store, revision, trained, Path(folder), experiments, dry_run=dry_run))
    return states


def _bring(
    store: Store | None, revision: Revision, trained: Trained, folder: Path, experiments: set[str], *, dry_run: bool
) -> str:
    """Completes the run of a revision, and says in a line what it lacked."""
    run = results.find(store, trained) if store else None
    wanted = {path: trained.outs[path] for path in (FILES | {REPORT}) & trained.outs.keys()}
    wanted |= dict.fromkeys(revision.files(FIGURES) if FIGURES in trained.outs else [], "")
    if run is None or registry.TAG not in run.data.tags:
        wanted[dvc_lock.MODEL] = trained.model
    copies = {path: _copy(revision, path, folder, digest) for path, digest in sorted(wanted.items())}
    for path in (path for path, copy in copies.items() if copy is None):
        tqdm.write(f"{revision.name}: {path} of dvc.lock is neither in git nor in DVC's cache or remote; left out")
    is_whole, model_pt = None not in copies.values(), copies.pop(dvc_lock.MODEL, None)
    files = {
        path.replace(FIGURES, "figures").replace(REPORT, "figures/report.html"): copy
        for path, copy in copies.items()
        if copy
    }
    name = revision.name if revision.commit else f"workspace-{trained.model[:8]}"
    tags = _tags(revision) if revision.commit else {}
    stored, added = results.complete(
        store, trained, name, tags, files, model_pt, replace=not revision.commit, dry_run=dry_run
    )
    if added:
        rest = f" and {len(added) - 4} more" if len(added) > 4 else ""
        tqdm.write(f"{revision.name}: {'would add' if dry_run else 'added'} {', '.join(added[:4])}{rest}")
    if store and revision.commit and not dry_run:
        _note_done(store, stored, revision, experiments, is_whole=is_whole)
    return "new" if run is None else "completed" if added else "complete"


def _copy(revision: Revision, path: str, folder: Path, digest: str = "") -> Path | None:
    """Copies a file of a revision into a folder; returns None if it is nowhere, or has another MD5 than is asked for.

    Where a file of the workspace is not it, such as after a training was interrupted, that of the last commit may be.
    """
    copy = folder / path
    copy.parent.mkdir(parents=True, exist_ok=True)
    for place in (revision, *([] if revision.commit else [Revision("HEAD")])):
        with suppress(ValueError):
            copy.write_bytes(place.read(path))
            if not digest or md5(copy) == digest:
                return copy
    return None


def _tags(revision: Revision) -> dict[str, str]:
    if not revision.experiment:
        return {"mlflow.source.git.commit": revision.commit}
    return {
        "dvc.exp.name": revision.experiment,
        "dvc.exp.baseline": revision.baseline,
        "dvc.exp.commit": revision.commit,
        "mlflow.source.git.commit": revision.baseline,
    }


def _note_done(store: Store, run: Any, revision: Revision, experiments: set[str], *, is_whole: bool) -> None:
    """Notes that a run has all of a commit; a run named after an experiment that is gone takes the name of this one."""
    if revision.experiment and run.data.tags.get("dvc.exp.name") not in experiments:
        store.tag(run, _tags(revision))
    if revision.experiment and run.data.tags.get("dvc.exp.name") == revision.experiment != run.info.run_name:
        store.client.update_run(run.info.run_id, name=revision.experiment)
    if is_whole:
        store.tag(run, {DONE: " ".join(sorted({*run.data.tags.get(DONE, "").split(), revision.commit[:12]}))})
