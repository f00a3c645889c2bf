"""The model as MLflow serves it: with its own code and environment, registered under one name.

The alias `champion` is the best model of real recordings by validation: the version with the highest lower end of the
95 % interval of its accuracy by track, so that a perfect score on four tracks does not beat 90 % of two hundred. Each
source of data has an alias of its own too, such as `champion-gtzan`, since accuracies on other corpora do not compare.
"""

import shutil
import tempfile
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genre.tracking.mlflow_store import Store

NAME = "music-genre"
TAG = "genre.registered"
REAL = ("gtzan", "gtzan-mini", "local")  # data.source of real recordings
RANK = ("track_accuracy_low", "track_accuracy", "clip_accuracy")
# The code that goes with a model: all that genre/prediction/serving.py imports, directly or not.
MODULES = (
    "audio/account", "audio/decoding", "audio/ffmpeg", "audio/mel", "audio/mel_scale", "audio/params", "audio/parts",
    "audio/plain", "audio/reading", "audio/resampling", "audio/windows", "evaluation/merging", "network/hardware",
    "network/inference", "network/model_file", "network/musicnn/msd_musicnn", "network/musicnn/msd_vgg",
    "network/musicnn/network", "network/musicnn/tensorflow_checkpoint", "network/musicnn/weights", "network/unet",
    "pipeline/files", "pipeline/settings", "prediction/onnx_model", "prediction/predictor", "prediction/preparation",
    "prediction/serving", "prediction/torch_model", "prediction/trained", "spectrograms/params",
)  # fmt: skip
PACKAGES = ("av", "mlflow", "numpy", "pandas", "pydantic", "ruamel.yaml", "scipy", "soundfile", "torch")
DESCRIPTION = (
    "Tells the genre of a recording. In: `audio`, a file's bytes in base64, or `path`, a file on the server. "
    "Out: `genre` and `probabilities`. Each version is a trained model of the run that it links to."
)


def register(store: Store, run: Any, model_pt: Path | None) -> None:
    """Makes a version of the model of a run, unless there is one, and updates the aliases.

    Args:
        store: The MLflow store.
        run: The run; its metrics rank the model.
        model_pt: The model file; None ranks a version that is there, and makes none.
    """
    number, versions = run.data.tags.get(TAG), {str(one.version) for one in _versions(store)}
    if number not in versions:  # a user may have deleted it
        if model_pt is None:
            return
        number = _version(store, run, model_pt)
        store.tag(run, {TAG: number})
    scores = {name: run.data.metrics.get(f"valid/{name}") for name in RANK}
    ranks = {f"valid.{name}": f"{score:.6f}" for name, score in scores.items() if score is not None}
    for name, value in {**ranks, "data.source": run.data.params.get("data.source", "")}.items():
        store.client.set_model_version_tag(NAME, number, name, value)
    update_aliases(store)


def requirements() -> list[str]:
    """Lists the packages that serving needs, in the versions installed here.

    What follows a `+` names a local build, such as `+cpu`; no package index has it, so it is left out.
    """
    return [f"{name}=={version(name).partition('+')[0]}" for name in PACKAGES]


def save(folder: Path, model_pt: Path, **identity: Any) -> None:
    """Writes the model as MLflow's python_function into `folder`: model file, code, environment, signature, example."""
    from mlflow import pyfunc
    from mlflow.models import Model, ModelSignature
    from mlflow.types.schema import ColSpec, DataType, Map, Schema

    from genre.prediction import example

    # Audio is text in base64, not `binary`: MLflow fails to decode that where a row has none, and names no row.
    inputs = Schema([ColSpec(DataType.string, name, False) for name in ("audio", "path")])
    outputs = Schema([ColSpec(DataType.string, "genre"), ColSpec(Map(DataType.double), "probabilities")])
    with tempfile.TemporaryDirectory() as temporary, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of mlflow's own making
        code, package = Path(temporary) / "genre", Path(__file__).parents[1]
        for name in MODULES:
            for file in (Path("__init__.py"), Path(name).with_name("__init__.py"), Path(f"{name}.py")):
                (code / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(package / file, code / file)
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


def _versions(store: Store) -> list[Any]:
    return list(store.client.search_model_versions(f"name = '{NAME}'", max_results=10_000))


def _version(store: Store, run: Any, model_pt: Path) -> str:
    """Saves the model in MLflow, as one that the run has made, and registers it; returns the number of the version."""
    from mlflow.entities import LoggedModelOutput
    from mlflow.exceptions import MlflowException

    run_id = run.info.run_id
    logged = store.client.create_logged_model(store.experiment, name=NAME, source_run_id=run_id)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        save(folder, model_pt, run_id=run_id, model_id=logged.model_id)
        store.client.log_model_artifacts(logged.model_id, str(folder))
    store.client.finalize_logged_model(logged.model_id, "READY")
    store.client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, 0)])
    try:
        store.client.create_registered_model(NAME, description=DESCRIPTION)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    # Its place, not models:/ID, which mlflow would look up at the address of the working directory.
    made = store.client.create_model_version(
        NAME, logged.artifact_location, run_id, description=f"Run `{run.info.run_name}`", model_id=logged.model_id
    )
    return str(made.version)


def update_aliases(store: Store) -> None:
    """Points the aliases at the best versions; of equals the oldest stays."""

    def rank(one: Any) -> tuple[float, ...]:
        return (*(float(one.tags.get(f"valid.{name}", 0)) for name in RANK), -int(one.version))

    best: dict[str, str] = {}
    with store.lock():
        for one in sorted((one for one in _versions(store) if f"valid.{RANK[0]}" in one.tags), key=rank):
            source = one.tags.get("data.source") or "unknown"
            best |= dict.fromkeys((f"champion-{source}", *(["champion"] if source in REAL else [])), str(one.version))
        now = store.client.get_registered_model(NAME).aliases
        for alias, number in best.items():
            if str(now.get(alias)) != number:
                store.client.set_registered_model_alias(NAME, alias, number)
