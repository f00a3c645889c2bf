"""The run key: one short text for all that a training depends on, so that equal trainings are recognised."""

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from genre.pipeline.files import md5

ROOT = Path(__file__).resolve().parents[2]
# Code that cannot change a byte of a model: it is loaded because all of params.yaml is checked before a stage works.
NOT_DEPS = ("genre.console", "genre.corpus", "genre.history", "genre.splits", "genre.tracking")


def run_key(inputs: Iterable[Path], parameters: Mapping[str, Any], machine: Mapping[str, Any]) -> str:
    """Combines inputs, parameters, machine and code into 16 hexadecimal digits.

    The code is every module of this project that the process has imported so far, without those rooms that cannot
    change a byte: files that dvc.yaml lists among the deps of `train`.

    Args:
        inputs: Files, of which the content counts.
        parameters: `section.key` -> value.
        machine: What else decides the bits of the result, such as the number of threads.
    """
    content = {
        "inputs": [md5(path) for path in inputs],
        "parameters": dict(parameters),
        "machine": dict(machine),
        "code": {str(path.relative_to(ROOT)): md5(path) for path in sorted(_modules())},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _modules() -> set[Path]:
    """Finds the files of the imported modules of this project; `python -m stages.train` runs as `__main__`."""
    found = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
    ours = {
        Path(file).resolve()
        for name, file in found.items()
        if file and (name == "__main__" or name.startswith(("genre.", "stages."))) and not name.startswith(NOT_DEPS)
    }
    return {path for path in ours if path.parent == ROOT / "stages" or path.is_relative_to(ROOT / "genre")}
