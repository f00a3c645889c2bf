"""The command line that all stages share: the paths of dvc.yaml, `--params` and `--set`."""

import argparse
import hashlib
import inspect
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import filelock

from genre.console import start
from genre.console.check import check
from genre.console.messages import one_line_errors
from genre.pipeline.settings import Settings


def run(stage: Callable[..., None]) -> None:
    """Calls `stage(settings, *paths)` with the paths of the command line; after a mistake the exit status is 2.

    The stage's parameters name the positional arguments, and `--help` shows them. The whole params file is checked
    first, also the sections of other stages.
    """
    start.end()
    arguments = vars(_parser(stage).parse_args())
    with one_line_errors():
        settings = Settings.read(arguments.pop("params"), arguments.pop("set"))
        check(settings)
        # torchrun and Slurm's srun start several processes of one training; the first holds the lock for all.
        first = os.environ.get("RANK", os.environ.get("SLURM_PROCID", "0")) == "0"
        with _alone([stage.__module__, *map(str, arguments.values())]) if first else nullcontext():
            stage(settings, **arguments)


@contextmanager
def _alone(words: Sequence[str]) -> Iterator[None]:
    """Keeps a second process from writing the same outputs: a killed `dvc repro` may leave its stage running.

    The operating system releases the lock when the process ends, also after a kill.
    """
    key = hashlib.sha256("\0".join([str(Path.cwd()), *words]).encode(errors="surrogateescape")).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"genre-{getattr(os, 'getuid', int)()}-{key}.lock"
    try:
        with filelock.FileLock(path, timeout=0):
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
    except filelock.Timeout:
        raise ValueError(
            f"{words[0]} is running already on these files, in another process; wait for its end, then run again"
        ) from None


def _parser(stage: Callable[..., None]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=stage.__globals__["__doc__"])
    for name in list(inspect.signature(stage).parameters)[1:]:
        parser.add_argument(name, type=Path)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE",
                        help="overrides one parameter; may be repeated")  # fmt: skip
    return parser
