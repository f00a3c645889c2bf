"""What dvc.lock says of a trained model: its content, its parameters, what it was made from, what came after."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

MODEL = "models/model.pt"
DATA = ("data/audio", "data/tracks.csv", "data/spectrograms.npy", "data/spectrograms.csv", "data/split.csv")


@dataclass(frozen=True)
class Trained:
    """A trained model.

    Attributes:
        model: MD5 of models/model.pt.
        parameters: `section.key` -> value, of all sections.
        data: File name -> MD5, of the recordings and of what was made of them.
        later: The stages after `train` that were run on this very model.
    """

    model: str
    parameters: dict[str, Any]
    data: dict[str, str]
    later: frozenset[str]


def read(text: str) -> Trained | None:
    """Reads the text of a dvc.lock; None if it knows of no trained model.

    Raises:
        ValueError: It is not YAML.
    """
    try:
        stages = (YAML(typ="safe", pure=True).load(text) or {}).get("stages", {})
    except (YAMLError, AttributeError) as error:
        raise ValueError(f"dvc.lock must be YAML as DVC writes it: {error}") from error
    outs = {path: digest for stage in stages.values() for path, digest in _digests(stage, "outs").items()}
    if MODEL not in outs:
        return None
    later = {name for name in ("evaluate", "plots") if _digests(stages.get(name, {}), "deps").get(MODEL) == outs[MODEL]}
    used = {path: digest for path, digest in _digests(stages["train"], "deps").items() if path in DATA}
    # The recordings are those of the model only if its spectrograms are of them.
    consistent = all(outs.get(path) == digest for path, digest in used.items())
    data = {path: outs[path] for path in DATA if path in outs} if consistent else used
    return Trained(
        outs[MODEL],
        _parameters(stages["train"]),
        {path.removeprefix("data/"): md5 for path, md5 in data.items()},
        frozenset(later),
    )


def _digests(stage: Mapping[str, Any], kind: str) -> dict[str, str]:
    return {entry["path"]: entry["md5"] for entry in stage.get(kind, []) if "md5" in entry}


def _parameters(stage: Mapping[str, Any]) -> dict[str, Any]:
    sections = stage.get("params", {}).get("params.yaml", {})
    return {f"{name}.{key}": value for name, section in sections.items() for key, value in section.items()}
