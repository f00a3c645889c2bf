"""Which modules of this project a file imports, read from its syntax tree."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
NOT_DEPS = ("genre/console/", "genre/history/", "genre/tracking/")  # these rooms cannot change a byte of an output


def module_file(name: str) -> Path | None:
    """Returns the file of a module of this project, or None for another one."""
    path = ROOT / (name.replace(".", "/") + ".py")
    return path if name.split(".", maxsplit=1)[0] in ("genre", "stages") and path.exists() else None


def imported_names(path: Path, *, lazy: bool = True) -> Iterator[str]:
    """Yields the dotted names that a file imports; `lazy` adds those inside of functions and of TYPE_CHECKING."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if lazy else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def imports(path: Path) -> frozenset[Path]:
    """Returns the files of this project that a file imports, anywhere in it."""
    return frozenset(file for name in imported_names(path) if (file := module_file(name)))


def closure(path: Path) -> set[str]:
    """Returns the deps of a file: all files that it imports, directly or not, and itself.

    What only messages or tracking import is no dep.
    """
    known: set[Path] = set()
    waiting = [path]
    while waiting:
        current = waiting.pop()
        name = str(current.relative_to(ROOT))
        if current not in known and not name.startswith(NOT_DEPS):
            known.add(current)
            waiting += imports(current)
    return {str(file.relative_to(ROOT)) for file in known}
