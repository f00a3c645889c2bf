"""Commits and DVC experiments, and what git and DVC keep of their results."""

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from genre.pipeline.settings import repository
from genre.tracking import dvc_lock

EXPERIMENT_REF = re.compile(r"refs/exps/([0-9a-f]{2})/([0-9a-f]{38})/(.+)")  # the baseline's commit, the name


@dataclass(frozen=True)
class Revision:
    """A commit; `experiment` and `baseline` are empty unless it is a DVC experiment."""

    commit: str
    experiment: str = ""
    baseline: str = ""

    @property
    def name(self) -> str:
        """The experiment's name, or one that is made from the commit."""
        return self.experiment or f"commit-{self.commit[:7]}"

    def files(self) -> list[str]:
        """Lists dvc.lock and the files in metrics/ that git or DVC's cache holds."""
        system = _files(self.commit)
        found = [path.lstrip("/") for path in system.find("metrics")] if system.exists("metrics") else []
        return [path for path in ["dvc.lock", *found] if self._at_hand(path)]

    def _at_hand(self, path: str) -> bool:
        try:
            self.read(path)
        except ValueError:
            return False
        return True

    def read(self, path: str) -> bytes:
        """Returns the content of a file, from git or from DVC's cache.

        Raises:
            ValueError: Neither holds it.
        """
        try:
            return bytes(_files(self.commit).read_bytes(path))
        except FileNotFoundError:
            raise ValueError(
                f"{path} of {self.name} is neither in git nor in DVC's cache; `dvc pull` brings what a remote holds"
            ) from None


@cache
def _files(commit: str) -> Any:
    """Returns the files of a commit as DVC sees them: those in git, and the outputs in its cache."""
    from dvc.api import DVCFileSystem

    return DVCFileSystem(str(repository()), rev=commit)


def experiments() -> list[Revision]:
    """Lists DVC's experiments, those of all baselines, by name."""
    found = []
    for line in _git("for-each-ref", "refs/exps", "--format=%(objectname) %(refname)").splitlines():
        commit, _, ref = line.partition(" ")
        if match := EXPERIMENT_REF.fullmatch(ref):
            found.append(Revision(commit, match[3], match[1] + match[2]))
    return sorted(found, key=lambda revision: revision.name)


def resolve(names: Sequence[str]) -> list[Revision]:
    """Finds experiments by name, and commits by what git calls them: branch, tag, hash, range.

    Raises:
        ValueError: A name is of neither, or of several experiments.
    """
    known = experiments()
    by_commit = {revision.commit: revision for revision in known}
    found: dict[str, Revision] = {}
    for name in names:
        commits = [revision.commit for revision in known if revision.experiment == name]
        if len(commits) > 1:
            shown = ", ".join(commit[:7] for commit in commits)
            raise ValueError(
                f"{name!r} must name one experiment, got {len(commits)} of that name: {shown}; name a commit"
            )
        if not commits:
            result = _run("rev-list", "--no-walk", "--end-of-options", name, "--", check=False)
            commits = result.stdout.decode().split()
            if result.returncode:
                raise ValueError(f"{name!r} must name an experiment, branch, tag or commit; `dvc exp list` lists some")
        found |= {commit: by_commit.get(commit, Revision(commit)) for commit in commits}
    return list(found.values())


def model_file(model: str, commit: str, *, fetch: bool = True) -> Path | None:
    """Returns the model with this MD5 in DVC's cache, fetched from the default remote if it may be; or None.

    The file belongs to the cache: it is to be read only.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    with Repo(str(repository())) as repo:
        path = Path(repo.cache.local.oid_to_path(model))
        if fetch and not path.is_file() and repo.config["core"].get("remote"):
            try:
                repo.fetch(targets=[dvc_lock.MODEL], revs=[commit], workspace=False)
            except (DvcException, OSError) as error:
                print(f"warning: the model of {commit[:7]} cannot be fetched: {error}", file=sys.stderr)
        return path if path.is_file() else None


def _git(*arguments: str) -> str:
    return _run(*arguments).stdout.decode(errors="surrogateescape")


def _run(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
    command = ["git", "-c", "core.quotePath=false", "-C", str(repository()), *arguments]
    result = subprocess.run(command, capture_output=True, check=False)
    if check and result.returncode:
        raise ValueError(f"git {arguments[0]} failed: {result.stderr.decode(errors='replace').strip()}")
    return result
