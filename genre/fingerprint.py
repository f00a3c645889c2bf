"""What a result was made from, as one short text: it names checkpoints and tracked runs, so that equals meet."""

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

STAGES = Path(__file__).resolve().parents[1] / "stages"


def of_file(path: Path) -> str:
    """MD5 of a file's bytes, the sum that DVC records in dvc.lock."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def of(inputs: Iterable[Path], parameters: Mapping[str, Any], machine: Mapping[str, Any]) -> str:
    """Combines the bytes of the inputs, the parameters, the machine and the code that is loaded: 16 hex digits.

    The code is that of every module of this project that the process has imported so far.
    """
    content = {
        "inputs": [of_file(path) for path in inputs],
        "parameters": dict(parameters),
        "machine": dict(machine),
        "code": {name: of_file(path) for name, path in sorted(_modules().items())},
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _modules() -> dict[str, Path]:
    loaded = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
    found = {name: Path(file).resolve() for name, file in loaded.items() if file}

    def ours(name: str, path: Path) -> bool:
        if name == "__main__":  # of `python -m stages.train`
            return path.parent == STAGES
        return name.split(".", maxsplit=1)[0] in ("genre", "stages")

    return {name: path for name, path in found.items() if ours(name, path)}
