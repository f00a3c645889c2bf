"""The command line that all stages share: paths, `--params`, `--set`, and a mistake told in one line."""

import argparse
import inspect
import sys
from collections.abc import Callable
from pathlib import Path

from genre.params import Settings


def run(stage: Callable[..., None]) -> None:
    """Calls `stage(settings, *paths)` with the paths of the command line; on a mistake exits with 2.

    The stage's parameters name the positional arguments, so that `--help` tells them.
    A `ValueError` or `OSError` is the user's to mend: one line on standard error, no traceback.
    """
    arguments = vars(_parser(stage).parse_args())
    try:
        settings = Settings.read(arguments.pop("params"), arguments.pop("set"))
        stage(settings, **arguments)
    except (ValueError, OSError) as error:
        fail(str(error))


def fail(message: str) -> None:
    """Prints `message` as one line on standard error and ends the process with status 2."""
    print("error:", " ".join(message.split()), file=sys.stderr)  # noqa: T201
    raise SystemExit(2)


def _parser(stage: Callable[..., None]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=stage.__globals__["__doc__"])
    for name in list(inspect.signature(stage).parameters)[1:]:
        parser.add_argument(name, type=Path)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE",
                        help="overrides one parameter; may be repeated")  # fmt: skip
    return parser
