"""Where the real repository is: `dvc exp run --temp` and queued runs work in a copy that is thrown away."""

import os
from pathlib import Path


def repository() -> Path:
    """Gives the root of the user's repository, from inside a temporary experiment too (DVC sets `DVC_ROOT`)."""
    return Path(os.environ.get("DVC_ROOT") or Path.cwd()).resolve()


def resolve(path: str) -> Path:
    """Gives the place that a path in params.yaml means: relative to the real repository, `~` is the home folder."""
    return repository() / os.path.expanduser(path)  # noqa: PTH111  Path's raises where a user is unknown
