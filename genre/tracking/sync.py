"""`genre sync`: brings to MLflow what DVC knows and MLflow does not: runs cached, pulled, or made while it was away."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from genre.pipeline.files import md5
from genre.pipeline.settings import repository
from genre.tracking import dvc_lock, registry, results, revisions
from genre.tracking.dvc_lock import Trained
from genre.tracking.mlflow_store import SQLITE, Store, address, is_of_mlflow
from genre.tracking.results import HISTORY, Result
from genre.tracking.revisions import Revision

# Which stage made what is in metrics/; the rest is of `train`.
TABLES = frozenset(
    f"metrics/{name}" for name in ("metrics.json", "per_genre.json", "baselines.json", "predictions.csv", "tracks.csv")
)
DONE = "genre.revision."  # begins a tag of a run that has all that a commit holds


def sync(names: Sequence[str], *, all_experiments: bool, dry_run: bool) -> None:
    """Brings the workspace and all experiments to MLflow; or the revisions named, and all experiments if asked for.

    Raises:
        ValueError: A revision is unknown; this is not the repository's root, or it has no git; MLflow fails.
    """
    root = repository()
    if not any((root / name).is_file() for name in ("dvc.yaml", "dvc.lock")):
        raise ValueError(f"genre sync must run in the repository's root, there is no dvc.yaml in {root}; cd there")
    try:
        _sync(names, all_experiments=all_experiments, dry_run=dry_run)
    except Exception as error:
        if not is_of_mlflow(error):
            raise
        reason = " ".join(str(error).split())[:200]
        raise ValueError(
            f"MLflow at {address()} failed: {reason}; what is there stays, run `genre sync` again"
        ) from error


def _sync(names: Sequence[str], *, all_experiments: bool, dry_run: bool) -> None:
    known = revisions.experiments()
    wanted = revisions.resolve(names) if names else []
    wanted += [revision for revision in known if (all_experiments or not names) and revision not in wanted]
    store = _store(dry_run=dry_run)
    runs = list(store.all_runs()) if store else []
    done = {name.removeprefix(DONE) for run in runs for name in run.data.tags if name.startswith(DONE)}
    if store and not dry_run:
        store.end_abandoned()
    states = [] if names else [_sync_workspace(store, dry_run=dry_run)]
    for revision in tqdm(wanted, desc="sync", unit="revision", disable=None):
        is_done = revision.commit[:12] in done
        states.append("complete" if is_done else _sync_revision(store, revision, known, dry_run=dry_run))
    would = "would be " if dry_run else ""
    tqdm.write(
        f"{address()}: {states.count('new')} runs {would}added, {states.count('completed')} {would}completed, "
        f"{states.count('complete')} complete"
    )


def _store(*, dry_run: bool) -> Store | None:
    """Connects to MLflow; a dry run does not make a database where there is none."""
    path = Path(address().removeprefix(SQLITE))
    if dry_run and address().startswith(SQLITE) and not path.exists():
        return None
    try:
        return Store()
    except Exception as error:  # mlflow, sqlalchemy and requests have dozens of kinds
        raise ValueError(f"MLflow at {address()} cannot be reached: {' '.join(str(error).split())[:200]}") from error


def _sync_workspace(store: Store | None, *, dry_run: bool) -> str:
    """Brings the model of the workspace; returns whether its run is new, was completed, or was complete."""
    root = repository()
    lock = root / "dvc.lock"
    trained = dvc_lock.read(lock.read_text(encoding="utf-8")) if lock.is_file() else None
    if trained is None:
        return ""
    here = root / dvc_lock.MODEL
    is_it = here.is_file() and md5(here) == trained.model
    model_pt = here if is_it else revisions.model_file(trained.model, "HEAD", fetch=not dry_run)
    paths = [*(root / "metrics").glob("*.*"), *(root / "metrics/figures").glob("*.png")]
    kept = _of_model({str(path.relative_to(root)): path for path in paths}, trained)
    result = Result(
        trained.model, f"workspace-{trained.model[:8]}", {}, trained.parameters, trained.data, kept, model_pt
    )
    return _bring(store, "workspace", result, dry_run=dry_run, replace=True)


def _sync_revision(store: Store | None, revision: Revision, known: Sequence[Revision], *, dry_run: bool) -> str:
    listed = revision.files()
    trained = dvc_lock.read(revision.read("dvc.lock").decode()) if "dvc.lock" in listed else None
    if trained is None:
        return "complete"
    run = results.find(store, trained.model, trained.data) if store else None
    registered = run is not None and registry.TAG in run.data.tags
    model_pt = None if registered else revisions.model_file(trained.model, revision.commit, fetch=not dry_run)
    with tempfile.TemporaryDirectory() as folder:
        kept = _of_model({path: Path(folder) / path for path in listed}, trained)
        for path in () if dry_run else kept.values():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(revision.read(path.relative_to(folder).as_posix()))
        tags = _tags(revision)
        result = Result(trained.model, revision.name, tags, trained.parameters, trained.data, kept, model_pt)
        state = _bring(store, revision.name, result, dry_run=dry_run, replace=False)
    if store and not dry_run:
        _note_done(store, revision, trained, known, has_model=registered or model_pt is not None)
    return state


def _of_model(paths: Mapping[str, Path], trained: Trained) -> dict[str, Path]:
    """Chooses the files of the model from those of the repository: path there -> file, to name in the run -> file."""
    kept = {}
    for path in sorted(paths):
        if path == HISTORY or (path in TABLES and "evaluate" in trained.stages_done):
            kept[path] = paths[path]
        if path.startswith("metrics/figures/") and "plots" in trained.stages_done:
            kept[path.removeprefix("metrics/")] = paths[path]
    return kept


def _tags(revision: Revision) -> dict[str, str]:
    if not revision.experiment:
        return {"mlflow.source.git.commit": revision.commit}
    return {
        "dvc.exp.name": revision.experiment,
        "dvc.exp.baseline": revision.baseline,
        "dvc.exp.commit": revision.commit,
        "mlflow.source.git.commit": revision.baseline,
    }


def _bring(store: Store | None, name: str, result: Result, *, dry_run: bool, replace: bool) -> str:
    """Completes the run of a result, says so in a line, and returns how it was: new, completed, or complete."""
    run = results.find(store, result.model, result.data) if store else None
    missing = results.lacking(run, result, replace=replace)
    if not missing:
        return "complete"
    rest = f" and {len(missing) - 4} more" if len(missing) > 4 else ""
    tqdm.write(f"{name}: {'would add' if dry_run else 'adds'} {', '.join(missing[:4])}{rest}")
    if store and not dry_run:
        results.complete(store, result, replace=replace)
    return "new" if run is None else "completed"


def _note_done(
    store: Store, revision: Revision, trained: Trained, known: Sequence[Revision], *, has_model: bool
) -> None:
    """Notes that a run has all of a commit; a run named after an experiment that is gone takes the name of this one."""
    run = results.find(store, trained.model, trained.data)
    names = {other.experiment for other in known}
    if revision.experiment and run.data.tags.get("dvc.exp.name") not in names:
        store.tag(run, _tags(revision))
    if revision.experiment and run.data.tags.get("dvc.exp.name") == revision.experiment != run.info.run_name:
        store.client.update_run(run.info.run_id, name=revision.experiment)
    if has_model:
        store.tag(run, {DONE + revision.commit[:12]: "complete"})
    else:
        tqdm.write(f"{revision.name}: model {trained.model[:8]} is neither in DVC's cache nor on its remote; left out")
