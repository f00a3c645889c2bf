"""Reads from dvc.lock what belongs to the trained model: its digest, its parameters, its data, and its results."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

MODEL = "models/model.pt"
DATA = ("data/audio", "data/tracks.csv", "data/spectrograms.npy", "data/spectrograms.csv", "data/split.csv")
AFTER = ("evaluate", "plots")  # the stages after `train`


@dataclass(frozen=True)
class Trained:
    """A trained model.

    Attributes:
        model: MD5 of the model file.
        parameters: `section.key` -> value, of all stages.
        data: File name -> MD5, of the recordings, tables and spectrograms that it was trained on.
        outs: Path -> MD5, of the outputs of `train`, and of `evaluate` and `plots` if they were run with this model.
    """

    model: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    outs: Mapping[str, str] = field(default_factory=dict)


def read(text: str) -> Trained | None:
    """Reads the text of dvc.lock; returns None if there is no trained model in it.

    Raises:
        ValueError: It is not YAML, or its model is not of a stage `train`.
    """
    stages = _stages(text)
    outs = {path: md5 for stage in stages.values() for path, md5 in _digests(stage, "outs").items()}
    if MODEL not in outs:
        return None
    if MODEL not in _digests(stages.get("train", {}), "outs"):
        raise ValueError(f"dvc.lock must have {MODEL} as an output of the stage train; `dvc repro` makes it anew")
    done = {name for name in AFTER if _digests(stages.get(name, {}), "deps").get(MODEL) == outs[MODEL]}
    used = {path: md5 for path, md5 in _digests(stages["train"], "deps").items() if path in DATA}
    # The recorded outputs of earlier stages belong to the model only if they are what `train` has read.
    consistent = all(outs.get(path) == md5 for path, md5 in used.items())
    data = {path: outs[path] for path in DATA if path in outs} if consistent else used
    before = [stages[name] for name in stages if name not in ("train", *AFTER) and consistent]
    results = [stages["train"], *(stages[name] for name in done)]
    return Trained(
        outs[MODEL],
        {key: value for stage in (*before, *reversed(results)) for key, value in _parameters(stage).items()},
        {path.removeprefix("data/"): md5 for path, md5 in data.items()},
        {path: md5 for stage in results for path, md5 in _digests(stage, "outs").items()},
    )


def recordings(text: str) -> dict[str, str]:
    """Returns the MD5s of the recordings in the text of dvc.lock; empty if there are none.

    The keys are `data/audio`, and `data.path` for a folder or archive of the user. Its path is not part of the key, so
    that a folder that was only moved is the same. It counts as a whole: one recording more is another MD5.

    Raises:
        ValueError: It is not YAML.
    """
    stage = _stages(text).get("download", {})
    parameters = _parameters(stage)
    own = parameters.get("data.path") if parameters.get("data.source") == "local" else None
    found = {path: md5 for path, md5 in _digests(stage, "outs").items() if path == DATA[0]}
    deps = _digests(stage, "deps")
    return found | ({"data.path": deps[own]} if own in deps else {})


def _stages(text: str) -> dict[str, Any]:
    """Returns stage name -> what dvc.lock holds of it."""
    try:
        return dict((YAML(typ="safe", pure=True).load(text) or {}).get("stages") or {})
    except (YAMLError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"dvc.lock must be YAML as DVC writes it: {error}") from error


def _digests(stage: Mapping[str, Any], kind: str) -> dict[str, str]:
    return {entry["path"]: entry["md5"] for entry in stage.get(kind, []) if "md5" in entry}


def _parameters(stage: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `section.key` -> value; dvc.lock holds whole sections and single keys, as dvc.yaml names them."""
    found: dict[str, Any] = {}
    for name, value in stage.get("params", {}).get("params.yaml", {}).items():
        found |= {f"{name}.{key}": inner for key, inner in value.items()} if isinstance(value, dict) else {name: value}
    return found
