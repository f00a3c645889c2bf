"""What is known of a trained model brought to its MLflow run: by `evaluate` and `plots`, and by `genre sync`."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genre.pipeline import files, tables
from genre.tracking import dvc_lock, journal, registry
from genre.tracking.live import in_background
from genre.tracking.mlflow_store import DATA, SPLIT, Store, enabled, held_files
from genre.tracking.tags import experiment_tags, name_of, short_digest, study

HISTORY = "metrics/history.csv"


@dataclass(frozen=True)
class Result:
    """A trained model and what came of it, wherever it is kept.

    Attributes:
        model: MD5 of the model file.
        name: How a run is named that must be made.
        tags: Of the run; what it has already is left as it is.
        parameters: `section.key` -> value.
        data: File name -> MD5, what the model was trained on.
        files: `folder/name` in the run -> path.
        model_pt: The model file, or None where it is not at hand.
        study: The study that it is of, or nothing.
    """

    model: str
    name: str
    tags: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)
    model_pt: Path | None = None
    study: str = ""


def record(model_pt: Path, paths: Sequence[Path], *, register: bool = False) -> None:
    """Adds files to the run of a model, without failing the stage that calls it: pictures to figures/, others to metrics/.

    Args:
        model_pt: The model file, by which the run is found.
        paths: The files.
        register: Whether the model becomes a version of the registered model.
    """
    if not enabled():
        return
    digest = files.md5(model_pt)

    def job() -> None:
        store = Store()
        store.end_abandoned()
        named = {f"{'figures' if path.suffix == '.png' else 'metrics'}/{path.name}": path for path in paths}
        known, kept = _locked(digest), model_pt if register else None
        complete(
            store,
            Result(digest, name_of(digest), experiment_tags(), **known, files=named, model_pt=kept, study=study()[0]),
        )

    background = in_background()
    background.submit(job)
    background.close()


def _locked(model: str) -> dict[str, Any]:
    """Gives what the workspace's lock files say of a model, if they know it."""
    known = next((trained for trained in dvc_lock.of_workspace(Path()) if trained.model == model), None)
    return {"parameters": known.parameters, "data": known.data} if known else {}


def find(store: Store, model: str, data: Mapping[str, str]) -> Any:
    """Gives the run of a model, by its content or, where training could not finish it, by what it was made from.

    The same weights on another split are another run: they are tested on other tracks.
    """
    found = store.find("model", model, split=data.get(SPLIT))
    inputs = None if found else journal.inputs_of(model)
    half = store.find("inputs", inputs) if inputs else None
    return found or (half if half is not None and "genre.model" not in half.data.tags else None)


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
    if any(key not in run.data.params for key in result.parameters):
        missing.append("parameters")
    if any(DATA + path not in run.data.tags for path in result.data):
        missing.append("data")
    if result.model_pt is not None and registry.TAG not in run.data.tags:
        missing.append("the model")
    if any(key not in run.data.tags for key in result.tags):
        missing.append("tags")
    return missing if run.info.status == "FINISHED" else [*missing, "its end"]


def complete(store: Store, result: Result, *, replace: bool = True) -> None:
    """Adds to the run of a result what it lacks, and ends it; makes the run if there is none.

    Args:
        replace: Whether files that the run holds with other content are replaced.
    """
    with store.lock():
        run = find(store, result.model, result.data) or store.create(
            result.name, {"genre.model": result.model, **result.tags}, study=result.study
        )
        _add_tags(store, run, result)
    run_id = run.info.run_id
    store.log_parameters(run, result.parameters)
    if result.data and not run.inputs.dataset_inputs:
        store.log_datasets(run_id, result.data)
    news = store.log_files(run, result.files, replace=replace)
    scores = {name: value for file in news for name, value in _measures(file, result.files[file])}
    if HISTORY in news:
        known = store.epochs(run_id)
        rows = tables.read_csv(result.files[HISTORY], ["epoch", "train_loss"]).to_dict("records")
        store.log_history(run_id, [row for row in rows if int(row["epoch"]) not in known])
    if scores:
        store.log_metrics(run_id, scores)
        note = _note({**run.data.params, **result.parameters}, {**run.data.metrics, **scores})
        store.tag(run, {"mlflow.note.content": note})
    store.note_files(run, news)  # last: what breaks off above is done again
    if result.model_pt is not None or scores:
        registry.register(store, run, result.model_pt, {**run.data.metrics, **scores})
    if run.info.status != "FINISHED":
        store.client.set_terminated(run_id, "FINISHED")
    journal.forget(result.model)


def _add_tags(store: Store, run: Any, result: Result) -> None:
    wanted = {"genre.model": result.model, **result.tags, **{DATA + path: md5 for path, md5 in result.data.items()}}
    missing = {name: value for name, value in wanted.items() if name not in run.data.tags}
    if "mlflow.parentRunId" not in run.data.tags:
        missing |= store.study_tags(result.study)
    store.tag(run, missing)
    if "dvc.exp.name" in missing and run.info.run_name != missing["dvc.exp.name"]:
        store.client.update_run(run.info.run_id, name=missing["dvc.exp.name"])


def _measures(name: str, path: Path) -> Iterator[tuple[str, float]]:
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
            yield from (
                (f"versus_{system}/{subset}_{name}", scores[name]) for name in ("clip_accuracy", "track_accuracy")
            )


# How the metrics of a file are named in MLflow.
MEASURES: dict[str, Callable[[Mapping[str, Any]], Iterator[tuple[str, float]]]] = {
    "metrics/metrics.json": _scores,
    "metrics/baselines.json": _baseline_scores,
}


def _note(parameters: Mapping[str, Any], metrics: Mapping[str, float]) -> str:
    """Says in Markdown what a run is."""
    source = parameters.get("data.source", "?")
    lines = [
        f"Genres of **{source}** recordings, split `{parameters.get('split.protocol')}` (seed "
        f"{parameters.get('split.seed')}); network `{parameters.get('model.network')}`, "
        f"{parameters.get('train.epochs')} epochs, seed {parameters.get('train.seed')}.",
        *(["The corpus is synthetic: accuracy on it says nothing about music."] if source == "synthetic" else []),
        "",
        "| subset | tracks right | 95 % interval | clips right | linear baseline, tracks |",
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
