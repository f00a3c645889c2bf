"""`genre study`: recipes, protocols and seeds as DVC experiments in DVC's queue, and one table of their results."""

import io
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

from genre import recipe, study_table
from genre.history import revisions
from genre.pipeline import tables
from genre.pipeline.settings import Settings

PROTOCOLS: dict[str, dict[str, Any]] = {
    "stratified": {"split.protocol": "stratified", "split.group_by": "none"},
    "by-repetition": {"split.protocol": "stratified", "split.group_by": "repetition"},
    "by-artist": {"split.protocol": "stratified", "split.group_by": "artist"},
    "fault-filtered": {"split.protocol": "fault-filtered", "split.group_by": "none"},
}
SYSTEMS = (study_table.NETWORK, "linear", "svm_mfcc", "majority")
POLL_SECONDS = 2.0
IDLE_POLLS = 30  # a minute: a worker that has just been started, or is busy, may not answer at once
WAITING = ("Queued", "Running")  # states of DVC's queue
STATES = (*WAITING, "Success", "Failed")


@dataclass(frozen=True)
class Run:
    """One experiment of a study."""

    study: str
    recipe: str
    protocol: str
    seed: int

    @property
    def name(self) -> str:
        """The name of the DVC experiment; the part before `--` groups the runs in MLflow."""
        return f"{self.study}--{self.recipe}-{self.protocol}-{self.seed}"

    def values(self) -> dict[str, Any]:
        """Returns the parameters that this run sets: `section.key` -> value."""
        return recipe.values(self.recipe) | PROTOCOLS[self.protocol] | {
            "split.seed": self.seed, "train.seed": self.seed,
        }  # fmt: skip

    def overrides(self) -> list[str]:
        """Returns the words of `dvc exp run` that set the parameters of this run."""
        return [word for key, value in self.values().items() for word in ("-S", f"{key}={hydra(value)}")]


class Task(NamedTuple):
    """One experiment in DVC's queue: the commit that holds its parameters, and Queued, Running, Success or Failed."""

    commit: str
    state: str


def hydra(value: Any) -> str:
    """Returns a value as `dvc exp run -S` reads it: texts in quotes, None as null."""
    return f"'{value}'" if isinstance(value, str) else json.dumps(value)


def plan(study: str, recipes: Sequence[str], protocols: Sequence[str], seeds: Sequence[int]) -> list[Run]:
    """Lists the runs of a study, each once.

    Raises:
        ValueError: A recipe or protocol is unknown, or there is no recipe, protocol or seed.
    """
    known = recipe.names()
    for kind, wanted, there in (("recipe", recipes, known), ("protocol", protocols, PROTOCOLS)):
        unknown = [name for name in wanted if name not in there]
        if unknown or not wanted:
            raise ValueError(f"{unknown[:1] or wanted} is not a {kind}; there are {', '.join(there)}")
    if not seeds or "--" in study or not study:
        raise ValueError(f"a study must have a name without `--` and a seed, got {study!r} and {list(seeds)}")
    chosen = product(dict.fromkeys(recipes), dict.fromkeys(protocols), dict.fromkeys(seeds))  # each once, in order
    return [Run(study, *choice) for choice in chosen]


def run(runs: Sequence[Run], *, jobs: int) -> None:
    """Queues the runs that DVC does not know yet as experiments, and waits until all of them are done.

    Runs that DVC knows are not run again. Those of an earlier call that still wait in the queue are queued again, with
    the present parameters. In new runs, stages that were run before are taken from DVC's run cache.

    Raises:
        ValueError: DVC refuses a run, or one fails; the message names it and the log to look at. Or a run that DVC
            knows, or runs now, has other parameters than it would have now. Or no worker is left for a run.
    """
    if jobs < 1:
        raise ValueError(f"--jobs must be at least 1, got {jobs}")
    tasks, _ = queue()  # first: a run that ends meanwhile is known
    known = {revision.experiment: revision for revision in revisions.experiments()}
    wanted = [run for run in runs if run.name not in known]
    if not wanted:
        return
    running = {name: revisions.Revision(task.commit) for name, task in tasks.items() if task.state == "Running"}
    here = Settings.read(recipe.PARAMS).flat()
    for one in runs:
        if revision := known.get(one.name) or running.get(one.name):
            ran_with = revision.read(str(recipe.PARAMS)).decode()
            check_same(one, Settings.parse(ran_with, recipe.PARAMS).flat(), here)
    to_queue = [run for run in wanted if run.name not in running]
    # One that has ended failed, or its experiment was removed: DVC would not run it again.
    if old := [run.name for run in to_queue if run.name in tasks]:
        _dvc("queue", "remove", *old)
    for one in tqdm(to_queue, "queueing", unit="run", disable=None):
        _dvc("exp", "run", "--queue", "--name", one.name, *one.overrides())
    # Not by `_dvc`: the workers inherit its pipes, so that reading them would last until the queue is empty.
    words = ["dvc", "queue", "start", "--jobs", str(jobs)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _wait({one.name for one in wanted})


def check_same(one: Run, ran_with: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Checks that a run of an earlier call was made with the parameters that the new runs of its study will have.

    Args:
        one: The run.
        ran_with: `section.key` -> value, of its experiment.
        here: The same of params.yaml.

    Raises:
        ValueError: A parameter differs, so a table of all runs would mix, for example, two corpora.
    """
    now = {**here, **one.values()}
    other = [key for key in sorted({*now, *ran_with}) if now.get(key) != ran_with.get(key)]
    if other:
        raise ValueError(
            f"all runs of a study must share what its recipes do not name: {one.name} ran with {other[0]} "
            f"{ran_with.get(other[0])}, new runs would have {now.get(other[0])}; restore it, or give the study "
            "another name"
        )


def queue() -> tuple[dict[str, Task], int]:
    """Returns the experiments in DVC's queue by name, and the number of workers that run one now."""
    lines = [line.split() for line in _dvc("queue", "status").splitlines()]
    workers = [int(words[2]) for words in lines if words[:2] == ["Worker", "status:"]]
    tasks = {words[1]: Task(words[0], words[-1]) for words in lines if len(words) > 2 and words[-1] in STATES}
    return tasks, sum(workers)


def _wait(names: set[str]) -> None:
    with tqdm(total=len(names), desc="running", unit="run", disable=None) as bar:
        ended: set[str] = set()
        idle = 0
        while True:
            tasks, active = queue()
            missing = sorted(names - {revision.experiment for revision in revisions.experiments()})
            waiting = [name for name in missing if name in tasks and tasks[name].state in WAITING]
            before, ended = ended, set(missing) - set(waiting)
            # Seen twice, since a run that changes its state can be neither waiting nor known for a moment.
            if failed := sorted(before & ended):
                raise ValueError(f"run {failed[0]} failed; `dvc queue logs {failed[0]}` says why, then run again")
            bar.update(len(names) - len(missing) - bar.n)
            if not missing:
                return
            idle = idle + 1 if waiting and not active else 0
            if idle == IDLE_POLLS:
                raise ValueError(_without_worker({name: tasks[name].state for name in waiting}))
            time.sleep(POLL_SECONDS)


def _without_worker(states: Mapping[str, str]) -> str:
    """Returns a message that says what to do about runs that no worker will end: name -> state, Queued or Running."""
    running = [name for name, state in states.items() if state == "Running"]
    if not running:
        return f"no worker of DVC's queue has begun with run {next(iter(states))}; run again, which starts one"
    return (
        f"run {running[0]} is Running in DVC's queue, but its worker is gone, as after a restart of the machine; "
        f"`dvc queue kill --force {' '.join(running)}` sets it to Failed, then run again"
    )


def _dvc(*words: str) -> str:
    done = subprocess.run(["dvc", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(f"dvc {words[0]} {words[1]} failed: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


def table(runs: Sequence[Run]) -> str:
    """Returns the results of a study in Markdown: a row for each system, and a line for each difference.

    Raises:
        ValueError: A run is not among DVC's experiments, or its metrics are neither in git nor in DVC's cache.
    """
    rows, sentences = [], []
    for protocol in dict.fromkeys(run.protocol for run in runs):
        by_recipe: dict[str, pd.DataFrame] = {}
        for name in dict.fromkeys(run.recipe for run in runs):
            chosen = [run for run in runs if (run.recipe, run.protocol) == (name, protocol)]
            by_recipe[name], clips = _results(chosen)
            for system in SYSTEMS:
                scored = study_table.summary(by_recipe[name][by_recipe[name]["system"] == system])
                rows.append({"recipe": name, "protocol": protocol, "system": system, **scored,
                             "clip_accuracy": float(np.mean(clips[system]))})  # fmt: skip
        sentences += [f"- {protocol}: {sentence}" for sentence in study_table.comparisons(by_recipe)]
    return study_table.markdown(rows) + "\n\n" + "\n".join(sentences)


def _results(runs: Sequence[Run]) -> tuple[pd.DataFrame, dict[str, list[float]]]:
    """Reads the outcomes of all systems by track, and their accuracy by clip: system -> a value for each run."""
    found, clips = [], {system: [] for system in SYSTEMS}  # type: tuple[list[pd.DataFrame], dict[str, list[float]]]
    for one in runs:
        (revision,) = revisions.resolve([one.name])
        scores = {study_table.NETWORK: json.loads(revision.read("metrics/metrics.json"))}
        scores |= json.loads(revision.read("metrics/baselines.json"))
        for system in SYSTEMS:
            path = "metrics/tracks.csv" if system == study_table.NETWORK else f"metrics/baselines/{system}.csv"
            text = {"track": str, "subset": str, "actual": str, "predicted": str}
            predictions = pd.read_csv(io.BytesIO(revision.read(path)), dtype=text, keep_default_na=False)
            found.append(study_table.outcomes(system, one.seed, predictions))
            clips[system].append(scores[system][tables.held_out(scores[system])]["clip_accuracy"])
    return pd.concat(found, ignore_index=True), clips


def main(study: str, recipes: Sequence[str], protocols: Sequence[str], seeds: Sequence[int], jobs: int) -> None:
    """Runs a study and prints its table."""
    runs = plan(study, recipes, protocols, seeds)
    print(f"{len(runs)} runs: {runs[0].name} ...", file=sys.stderr)
    run(runs, jobs=jobs)
    print(table(runs))
