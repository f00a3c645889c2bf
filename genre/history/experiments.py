"""The table of experiments: what differs from their baseline, and how accurate each is, on 80 columns or more."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from genre.history.revisions import Revision

BASELINES = "metrics/baselines.json"
SUBSETS = ("valid", "test")
# The digests of these tell apart what was tested. Synthetic recordings of two seeds differ in the first one alone.
CORPUS = ("data/audio", "data/tracks.csv", "data/split.csv")
LEGEND = (
    "valid, test: accuracy by track with its 95 % interval; linear: the linear baseline on test. * is what the "
    "workspace holds, + the best on valid of those with the same data/audio, data/tracks.csv and data/split.csv. "
    "`genre compare A B` says whether two differ by more than chance."
)
NARROWEST = 80  # columns that the table needs
WIDE = 110  # columns of a terminal that has room for the accuracy by clip too

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Experiment:
    """One line of the table.

    Attributes:
        name: Of the experiment, branch or commit, or `workspace`.
        is_baseline: Whether it is a commit or the workspace, with which the experiments below it are compared.
        created: When it was made: the time of today, or the date, as DVC writes it.
        state: `Queued`, `Running` or `Failed`; empty if it has ended well.
        changes: `section.key` -> value, of the params that differ from its baseline.
        metrics: `subset.name` -> value, from metrics/metrics.json.
        linear: Accuracy by track of the linear baseline, on test, or on valid if nothing is tested; None if unknown.
        is_current: Whether params and metrics are those of the workspace.
        is_best: Whether no other one with the same recordings and split, by their digests, is better on valid.
    """

    name: str
    is_baseline: bool
    created: str
    state: str
    changes: Mapping[str, str]
    metrics: Mapping[str, float]
    linear: float | None = None
    is_current: bool = False
    is_best: bool = False

    @property
    def merit(self) -> tuple[float, float]:
        """Accuracy on valid by track, then by clip; the test subset is not used to choose."""
        return self.metrics.get("valid.track_accuracy", 0.0), self.metrics.get("valid.clip_accuracy", 0.0)


def read(params: Mapping[str, Any]) -> list[Experiment]:
    """Reads the workspace, the current commit and its experiments, queued and failed ones too, by `dvc.api.exp_show`.

    Args:
        params: `section.key` -> value of params.yaml; only these names are compared.

    Raises:
        ValueError: DVC cannot read them, for example outside of a git repository.
    """
    import dvc.api
    from dvc.exceptions import DvcException

    try:
        rows = dvc.api.exp_show()
    except DvcException as error:
        raise ValueError(f"DVC must be able to read the experiments, got: {error}; try `dvc exp show`") from error
    return experiments(rows, params.keys())


def experiments(rows: Sequence[Row], names: Sequence[str] | Any) -> list[Experiment]:
    """Makes the lines of the table from `dvc.api.exp_show`, in which each baseline comes before its experiments.

    Args:
        rows: As DVC gives them: the workspace first.
        names: The names of the params; all other numbers are metrics.
    """
    found, baseline, known = [], rows[0], dict[str, float | None]()
    merits: dict[tuple[Any, ...], tuple[float, float]] = {}
    for row in rows:
        baseline = row if row["typ"] == "baseline" else baseline
        experiment = _experiment(row, baseline, rows[0], names, known)
        found.append((experiment, tuple(row.get(path) for path in CORPUS)))
        merits[found[-1][1]] = max(merits.get(found[-1][1], (0.0, 0.0)), experiment.merit)
    return [
        replace(one, is_best=all(corpus) and one.merit > (0.0, 0.0) and one.merit == merits[corpus])
        for one, corpus in found
    ]


def _experiment(
    row: Row, baseline: Row, workspace: Row, names: Sequence[str], known: dict[str, float | None]
) -> Experiment:
    metrics = {name: value for name, value in row.items() if _is_metric(name, names) and isinstance(value, float)}
    subset = "test" if "test.track_accuracy" in metrics else "valid"
    digest = row.get(BASELINES) or ""
    if digest and digest not in known:
        known[digest] = _linear("" if row["rev"] == "workspace" else row["rev"], subset)
    compared = [*names, *(name for name in workspace if _is_metric(name, names))]
    return Experiment(
        name=row["Experiment"] or row["rev"],
        is_baseline=row["typ"] == "baseline",
        created=row["Created"] or "",
        state=row["State"] if row["State"] not in (None, "Success") else "",
        changes={name: _shown(row.get(name)) for name in names if row.get(name) != baseline.get(name)},
        metrics=metrics,
        linear=known.get(digest),
        is_current=row is not workspace and all(row.get(name) == workspace.get(name) for name in compared),
    )


def _is_metric(name: str, params: Sequence[str]) -> bool:
    return name.partition(".")[0] in ("train", *SUBSETS) and name not in params


def _linear(revision: str, subset: str) -> float | None:
    """Returns the accuracy by track of the linear baseline of a revision, or None if DVC's cache does not hold it."""
    try:
        return float(json.loads(Revision(revision).read(BASELINES))["linear"][subset]["track_accuracy"])
    except (ValueError, KeyError):
        return None


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def table(rows: Sequence[Experiment], width: int) -> Table:
    """Returns the table, with columns for a terminal of `width` characters."""
    wide = width >= WIDE
    shown = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    shown.add_column("experiment", overflow="fold", max_width=32 if wide else 20)
    for subset in SUBSETS:
        shown.add_column(f"{subset} %", justify="right", no_wrap=True)
        if wide:
            shown.add_column("by clip", justify="right", no_wrap=True)
    shown.add_column("linear", justify="right", no_wrap=True)
    shown.add_column("made", justify="right", overflow="fold", max_width=12 if wide else 8)
    shown.add_column("differs in", overflow="fold")
    for one in rows:
        cells = [_name(one)]
        for subset in SUBSETS:
            cells.append(_accuracy(one, subset))
            cells += [_percent(one.metrics.get(f"{subset}.clip_accuracy"))] if wide else []
        changes = "\n".join(f"{name}={value}" for name, value in one.changes.items())
        cells += [_percent(one.linear), one.created, one.state or changes]
        shown.add_row(*map(Text, cells))  # plain text: rich would read [...] in a name as markup
    return shown


def _name(one: Experiment) -> str:
    marks = f"{'*' if one.is_current else ''}{'+' if one.is_best else ''}"
    return f"{'' if one.is_baseline else '  '}{one.name}{f' {marks}' if marks else ''}"


def _accuracy(one: Experiment, subset: str) -> str:
    """Returns accuracy by track with its 95 % interval, in percent: `85 (64-95)`."""
    values = [one.metrics.get(f"{subset}.track_accuracy{end}") for end in ("", "_low", "_high")]
    accuracy, low, high = (_percent(value) for value in values)
    return f"{accuracy} ({low}-{high})" if accuracy else ""


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.0f}"
