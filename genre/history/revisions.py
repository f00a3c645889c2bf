"""Commits and DVC experiments, and their files in git and in DVC's cache."""

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from genre.pipeline.settings import repository

EXPERIMENT_REF = re.compile(r"refs/exps/([0-9a-f]{2})/([0-9a-f]{38})/(.+)")  # the baseline's commit, the name


@dataclass(frozen=True)
class Revision:
    """A commit, or the workspace if `commit` is empty; `experiment` and `baseline` are set for a DVC experiment."""

    commit: str
    experiment: str = ""
    baseline: str = ""

    @property
    def name(self) -> str:
        """The experiment's name, or one that is made from the commit."""
        return self.experiment or (f"commit-{self.commit[:7]}" if self.commit else "workspace")

    def files(self, folder: str) -> list[str]:
        """Lists the paths of the files in a folder."""
        if not self.commit:
            return [str(path.relative_to(repository())) for path in (repository() / folder).glob("*")]
        system = _files(self.commit)
        return [str(path).lstrip("/") for path in system.find(folder)] if system.exists(folder) else []

    def read(self, path: str) -> bytes:
        """Returns the content of a file, from git, DVC's cache or DVC's default remote.

        Raises:
            ValueError: None of them holds it.
        """
        from dvc.exceptions import DvcException

        try:
            return bytes(_files(self.commit).read_bytes(path) if self.commit else (repository() / path).read_bytes())
        except (OSError, DvcException) as error:
            raise ValueError(
                f"{path} of {self.name} is neither in git nor in DVC's cache or default remote: {error}"
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
    """Finds experiments by name, and commits by a name that git knows: branch, tag, hash, range.

    Raises:
        ValueError: A name is neither, or several experiments have it.
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
        try:
            commits = commits or _git("rev-list", "--no-walk", "--end-of-options", name, "--").split()
        except ValueError:
            raise ValueError(
                f"{name!r} must name an experiment, branch, tag or commit; `dvc exp list` lists some"
            ) from None
        found |= {commit: by_commit.get(commit, Revision(commit)) for commit in commits}
    return list(found.values())


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(repository()), *arguments]
    result = subprocess.run(command, capture_output=True, check=False)
    if result.returncode:
        raise ValueError(f"git {arguments[0]} failed: {result.stderr.decode(errors='replace').strip()}")
    return result.stdout.decode(errors="surrogateescape")
