"""Brings the results of a trained model to its MLflow run: one way for `evaluate`, `plots` and `genre sync`."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genre.pipeline import files, tables
from genre.tracking import dvc_lock, live, registry
from genre.tracking.mlflow_store import Store, enabled, held_files, short_digest
from genre.tracking.tags import DATA, KEY, MODEL, SPLIT, experiment_tags, name_of, study_of

HISTORY = "metrics/history.csv"


@dataclass(frozen=True)
class Result:
    """A trained model and what came of it, wherever it is kept.

    Attributes:
        model: MD5 of the model file.
        name: The name of a run that must be made.
        tags: Of the run; what it has already is left as it is.
        parameters: `section.key` -> value.
        data: File name -> MD5, what the model was trained on.
        files: `folder/name` in the run -> path.
        model_pt: The model file, or None where it is not at hand.
    """

    model: str
    name: str
    tags: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    model_pt: Path | None = None


def record(model_pt: Path, paths: Sequence[Path], *, register: bool = False) -> None:
    """Adds files to the run of a model, without failing the stage that calls it.

    Args:
        model_pt: The model file, by which the run is found.
        paths: The files; pictures go to the folder figures of the run, others to metrics.
        register: Whether the model becomes a version of the registered model.
    """
    if not enabled():
        return
    digest, lock = files.md5(model_pt), Path("dvc.lock")

    def job() -> None:
        store = Store()
        store.end_abandoned()
        known = dvc_lock.read(lock.read_text(encoding="utf-8")) if lock.is_file() else None
        about = {"parameters": known.parameters, "data": known.data} if known and known.model == digest else {}
        named = {f"{'figures' if path.suffix == '.png' else 'metrics'}/{path.name}": path for path in paths}
        kept = model_pt if register else None
        complete(store, Result(digest, name_of(digest), experiment_tags(), **about, files=named, model_pt=kept))

    background = live.in_background()
    background.submit(job)
    background.close()


def find(store: Store, model: str, data: Mapping[str, str]) -> Any:
    """Returns the run of a model, or None: by its content or, where its training could not finish it, by its key.

    The same weights with another split are another run: they are tested on other tracks.
    """
    found = store.find(MODEL, model, split=data.get(SPLIT))
    key = None if found else live.noted_key(model)
    unfinished = store.find(KEY, key) if key else None
    return found or (unfinished if unfinished is not None and MODEL not in unfinished.data.tags else None)


def lacking(run: Any, result: Result, *, replace: bool) -> list[str]:
    """Lists what a result would add to its run, in words; `run` may be None."""
    if run is None:
        return ["the run"]
    held = held_files(run)
    missing = [
        name
        for name, path in result.files.items()
        if name not in held or (replace and held[name] != short_digest(path))
    ]
    parts = {
        "parameters": any(key not in run.data.params for key in result.parameters),
        "data": any(DATA + path not in run.data.tags for path in result.data),
        "the model": result.model_pt is not None and registry.TAG not in run.data.tags,
        "tags": any(key not in run.data.tags for key in result.tags),
        "its end": run.info.status != "FINISHED",
    }
    return missing + [name for name, is_missing in parts.items() if is_missing]


def complete(store: Store, result: Result, *, replace: bool = True) -> None:
    """Adds to the run of a result what it lacks, and ends it; makes the run if there is none.

    Args:
        store: The MLflow store.
        result: What the run is to hold.
        replace: Whether files that the run holds with other content are replaced.
    """
    with store.lock():
        tags = {MODEL: result.model, **result.tags, **{DATA + name: md5 for name, md5 in result.data.items()}}
        found = find(store, result.model, result.data)
        run = found or store.create(result.name, tags, study=study_of(result.name))
        store.tag(run, {name: value for name, value in tags.items() if name not in run.data.tags})
    run_id = run.info.run_id
    store.log_parameters(run, result.parameters)
    if result.data and not run.inputs.dataset_inputs:
        store.log_datasets(run_id, result.data)
    news = store.log_files(run, result.files, replace=replace)
    if HISTORY in news:
        rows = tables.read_csv(result.files[HISTORY], ("epoch", "train_loss")).to_dict("records")
        store.log_history(run_id, rows)
    scores = {name: value for file in news for name, value in _measures(file, result.files[file])}
    if scores:
        store.log(run_id, ((name, value, 0) for name, value in scores.items()))
        note = _note({**run.data.params, **result.parameters}, {**run.data.metrics, **scores})
        store.tag(run, {"mlflow.note.content": note})
    store.note_files(run, news)  # last: what breaks off above is done again
    if result.model_pt is not None or scores:
        registry.register(store, run, result.model_pt, {**run.data.metrics, **scores})
    if run.info.status != "FINISHED":
        store.client.set_terminated(run_id, "FINISHED")
    live.forget_key(result.model)


def _measures(name: str, path: Path) -> Iterator[tuple[str, float]]:
    """Yields the metrics in a file, as they are named in MLflow."""
    if name in MEASURES:
        yield from MEASURES[name](json.loads(path.read_text(encoding="utf-8")))


def _scores(content: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for subset, scores in content.items():
        if isinstance(scores, Mapping):
            yield from ((f"{subset}/{name}", value) for name, value in scores.items())
        else:
            yield subset, scores


def _baseline_scores(content: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for system, subsets in content.items():
        for subset, scores in subsets.items():
            for name in ("clip_accuracy", "track_accuracy"):
                yield f"versus_{system}/{subset}_{name}", scores[name]


MEASURES: dict[str, Callable[[Mapping[str, Any]], Iterator[tuple[str, float]]]] = {
    "metrics/metrics.json": _scores,
    "metrics/baselines.json": _baseline_scores,
}


def _note(parameters: Mapping[str, Any], metrics: Mapping[str, float]) -> str:
    """Describes a run in Markdown."""
    source = parameters.get("data.source", "?")
    lines = [
        f"Genres of **{source}** recordings, split `{parameters.get('split.protocol')}` (seed "
        f"{parameters.get('split.seed')}); network `{parameters.get('model.network')}`, "
        f"{parameters.get('train.epochs')} epochs, seed {parameters.get('train.seed')}.",
        *(["The corpus is synthetic: accuracy on it says nothing about music."] if source == "synthetic" else []),
        "",
        "| subset | tracks correct | 95 % interval | clips correct | linear baseline, tracks |",
        "|---|---|---|---|---|",
    ]
    for subset in ("valid", "test"):
        if f"{subset}/track_accuracy" in metrics:
            track, low, high, clip = (
                metrics.get(f"{subset}/{name}", float("nan"))
                for name in ("track_accuracy", "track_accuracy_low", "track_accuracy_high", "clip_accuracy")
            )
            linear = metrics.get(f"versus_linear/{subset}_track_accuracy")
            beside = "" if linear is None else f"{linear:.1%}"
            lines.append(f"| {subset} | **{track:.1%}** | {low:.1%} to {high:.1%} | {clip:.1%} | {beside} |")
    return "\n".join(lines)
