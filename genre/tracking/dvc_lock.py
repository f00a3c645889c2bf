"""What the lock files say of trained models: content, parameters, what each was made from, what came after."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

MODEL = "models/model.pt"
DATA = ("data/audio", "data/tracks.csv", "data/spectrograms.npy", "data/spectrograms.csv", "data/split.csv")


@dataclass(frozen=True)
class Trained:
    """A trained model.

    Attributes:
        model: MD5 of the model file.
        parameters: `section.key` -> value, of all sections.
        data: File name -> MD5, of the recordings and of what was made of them.
        later: The stages after `train` that were run on this very model.
        path: The model file, relative to the repository's root.
        study: `STUDY/RUN` of a model of a study, as in `GENRE_STUDY`, else nothing.
    """

    model: str
    parameters: dict[str, Any]
    data: dict[str, str]
    later: frozenset[str]
    path: str = MODEL
    study: str = ""

    @property
    def metrics(self) -> str:
        """The folder of its metrics, relative to the repository's root."""
        return str(PurePosixPath(self.path).with_name("metrics")) if self.study else "metrics"

    @property
    def history(self) -> str:
        """The table of its epochs, relative to the repository's root."""
        return str(PurePosixPath(self.path).with_name("history.csv")) if self.study else "metrics/history.csv"


def of_workspace(root: Path) -> list[Trained]:
    """Lists the models that dvc.lock and studies/dvc.lock of a repository know.

    Raises:
        ValueError: As `read`.
    """
    pipeline, study = (
        path.read_text(encoding="utf-8") if path.is_file() else ""
        for path in (root / "dvc.lock", root / "studies/dvc.lock")
    )
    own = read(pipeline)
    return [*([own] if own else []), *read_study(study)]


def read(text: str) -> Trained | None:
    """Reads the text of the pipeline's dvc.lock; None if it knows of no trained model.

    Raises:
        ValueError: It is not YAML.
    """
    stages = _stages(text)
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


def read_study(text: str) -> list[Trained]:
    """Reads the text of studies/dvc.lock, whose stages are `train@...` and `evaluate@...`.

    Raises:
        ValueError: It is not YAML.
    """
    stages = _stages(text)
    return [_trained_in_study(stages, name) for name in stages if name.startswith("train@")]


def _trained_in_study(stages: Mapping[str, Any], name: str) -> Trained:
    stage = stages[name]
    words = shlex.split(stage["cmd"])
    path, md5 = next((path, md5) for path, md5 in _digests(stage, "outs").items() if path.endswith("/model.pt"))
    evaluation = stages.get(name.replace("train@", "evaluate@"), {})
    used = {dep: digest for dep, digest in _digests(stage, "deps").items() if not dep.endswith(".py")}
    return Trained(
        md5,
        _parameters(stage) | _overrides(words),
        {PurePosixPath(dep).name: digest for dep, digest in used.items()},
        frozenset({"evaluate"} if _digests(evaluation, "deps").get(path) == md5 else ()),
        path,
        next((word.partition("=")[2] for word in words if word.startswith("GENRE_STUDY=")), "study"),
    )


def _stages(text: str) -> dict[str, Any]:
    try:
        return dict((YAML(typ="safe", pure=True).load(text) or {}).get("stages", {}))
    except (YAMLError, AttributeError) as error:
        raise ValueError(f"dvc.lock must be YAML as DVC writes it: {error}") from error


def _digests(stage: Mapping[str, Any], kind: str) -> dict[str, str]:
    return {entry["path"]: entry["md5"] for entry in stage.get(kind, []) if "md5" in entry}


def _parameters(stage: Mapping[str, Any]) -> dict[str, Any]:
    sections = stage.get("params", {}).get("params.yaml", {})
    return {f"{name}.{key}": value for name, section in sections.items() for key, value in section.items()}


def _overrides(words: list[str]) -> dict[str, Any]:
    """Gives what a command sets besides the params file: `--set section.key=value`."""
    pairs = [word.split("=", 1) for before, word in pairwise(words) if before == "--set"]
    return {key: YAML(typ="safe", pure=True).load(value) for key, value in pairs}
