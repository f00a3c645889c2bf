"""The model as MLflow serves it: with its own code and environment, registered under one name.

The alias `champion` is the best model of real recordings by validation: the version with the highest lower end of the
95 % interval of its accuracy by track, so that a perfect score on four tracks does not beat 90 % of two hundred. Each
source of data has an alias of its own too, such as `champion-gtzan`, since accuracies on other corpora do not compare.
"""

import shutil
import tempfile
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genre.prediction import example
from genre.tracking.mlflow_store import Store

NAME = "music-genre"
TAG = "genre.registered"
RANK = ("track_accuracy_low", "track_accuracy", "clip_accuracy")
# The code that goes with a model: all that genre/prediction/serving.py imports, directly or not.
MODULES = (
    "audio/account", "audio/decoding", "audio/ffmpeg", "audio/mel", "audio/params", "audio/parts", "audio/plain",
    "audio/reading", "audio/windows", "network/hardware", "network/inference", "network/model_file",
    "network/musicnn", "network/tensorflow_checkpoint", "network/unet", "pipeline/files", "pipeline/settings",
    "pipeline/tables", "prediction/predictor", "prediction/serving", "spectrograms/clips", "spectrograms/params",
    "spectrograms/store",
)  # fmt: skip
PACKAGES = ("av", "mlflow", "numpy", "pandas", "pydantic", "ruamel.yaml", "soundfile", "torch", "torchaudio", "tqdm")
DESCRIPTION = (
    "Tells the genre of a recording. In: `audio`, a file's bytes in base64, or `path`, a file on the server. "
    "Out: `genre` and `probabilities`. Each version is a trained model of the run that it links to."
)


def register(store: Store, run: Any, model_pt: Path | None, scores: Mapping[str, float]) -> None:
    """Makes a version of the model of a run, unless there is one, and updates the aliases.

    Args:
        model_pt: The model file; None ranks a version that is there, and makes none.
        scores: The metrics of the run, `subset/name` -> value.
    """
    number = run.data.tags.get(TAG)
    if number is None or not _is_there(store, number):
        if model_pt is None:
            return
        number = _version(store, run, _upload(store, run.info.run_id, model_pt))
    ranks = {f"valid.{name}": f"{scores[f'valid/{name}']:.6f}" for name in RANK if f"valid/{name}" in scores}
    for name, value in {**ranks, "data.source": run.data.params.get("data.source", "")}.items():
        store.client.set_model_version_tag(NAME, number, name, value)
    store.tag(run, {TAG: number})
    update_aliases(store)


def requirements() -> list[str]:
    """Lists the packages that serving needs, in the versions that are installed here; no index names a local build."""
    return [f"{name}=={version(name).partition('+')[0]}" for name in PACKAGES]


def save(folder: Path, model_pt: Path, **identity: Any) -> None:
    """Writes the model as MLflow's python_function into `folder`: model file, code, environment, signature, example."""
    from mlflow import pyfunc
    from mlflow.models import Model, ModelSignature
    from mlflow.types.schema import ColSpec, DataType, Map, Schema

    inputs = Schema([ColSpec(DataType.binary, "audio", False), ColSpec(DataType.string, "path", False)])
    outputs = Schema([ColSpec(DataType.string, "genre"), ColSpec(Map(DataType.double), "probabilities")])
    with tempfile.TemporaryDirectory() as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of mlflow's own making
        code, package = Path(temporary) / "genre", Path(__file__).parents[1]
        for name in ("__init__", *MODULES, *{f"{Path(name).parent}/__init__" for name in MODULES}):
            (code / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(package / f"{name}.py", code / f"{name}.py")
        shutil.copy(model_pt, Path(temporary) / "model.pt")  # in DVC's cache it has another name
        pyfunc.save_model(
            folder,
            loader_module="genre.prediction.serving",
            data_path=str(Path(temporary) / "model.pt"),
            code_paths=[str(code)],
            signature=ModelSignature(inputs, outputs),
            input_example=example.request(),
            pip_requirements=requirements(),
            mlflow_model=Model(**identity),
        )


def _is_there(store: Store, number: str) -> bool:
    """Returns whether a version is there: a user may have deleted it."""
    from mlflow.exceptions import MlflowException

    try:
        store.client.get_model_version(NAME, number)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False
    return True


def _upload(store: Store, run_id: str, model_pt: Path) -> Any:
    """Saves the model in MLflow, as one that the run has made, and gives what MLflow says of it."""
    from mlflow.entities import LoggedModelOutput

    logged = store.client.create_logged_model(store.experiment, name=NAME, source_run_id=run_id)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        save(folder, model_pt, run_id=run_id, model_id=logged.model_id)
        store.client.log_model_artifacts(logged.model_id, str(folder))
    store.client.finalize_logged_model(logged.model_id, "READY")
    store.client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, 0)])
    return logged


def _version(store: Store, run: Any, logged: Any) -> str:
    from mlflow.exceptions import MlflowException

    try:
        store.client.create_registered_model(NAME, description=DESCRIPTION)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    description = f"Run `{run.info.run_name}`"
    # Its place, not models:/ID, which mlflow would look up at the address of the working directory.
    made = store.client.create_model_version(
        NAME, logged.artifact_location, run.info.run_id, description=description, model_id=logged.model_id
    )
    return str(made.version)


def update_aliases(store: Store) -> None:
    """Points the aliases at the best versions."""
    with store.lock():
        best: dict[str, tuple[tuple[float, ...], str]] = {}
        for candidate in store.client.search_model_versions(f"name = '{NAME}'", max_results=10_000):
            if f"valid.{RANK[0]}" not in candidate.tags:
                continue
            rank = tuple(float(candidate.tags.get(f"valid.{name}", 0)) for name in RANK)
            source = candidate.tags.get("data.source") or "unknown"
            for alias in (f"champion-{source}", *(() if source == "synthetic" else ("champion",))):
                # Of equals the oldest stays.
                best[alias] = max(best.get(alias, ((), "0")), (rank, candidate.version), key=_merit)
        now = store.client.get_registered_model(NAME).aliases
        for alias, (_, number) in best.items():
            if now.get(alias) != number:
                store.client.set_registered_model_alias(NAME, alias, number)


def _merit(entry: tuple[tuple[float, ...], str]) -> tuple[tuple[float, ...], int]:
    return entry[0], -int(entry[1])
