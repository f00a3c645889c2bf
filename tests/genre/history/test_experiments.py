"""The table of experiments."""

import io
import json
import subprocess
import sys

import dvc.api
import pytest
from dvc.exceptions import DvcException
from rich.console import Console

from genre import cli
from genre.history import experiments
from tests.architecture import ROOT

PARAMS = ["data.source", "split.seed", "train.learning_rate", "train.crop_frames"]


def row(name: str, kind: str, *, valid: float | None = 0.8, state: str | None = None, **params: object) -> dict:
    """Returns a row as `dvc.api.exp_show` gives it: params are numbers with a fraction, or texts."""
    values = {"data.source": "gtzan", "split.seed": 42.0, "train.learning_rate": 0.003, "train.crop_frames": "None"}
    scores = {} if valid is None else {
        "valid.track_accuracy": valid, "valid.track_accuracy_low": valid - 0.1, "valid.track_accuracy_high": valid + 0.1,
        "valid.clip_accuracy": valid - 0.05,
    }  # fmt: skip
    is_experiment = kind not in ("baseline",)
    return {
        "Experiment": name if is_experiment else None, "rev": "0123abc" if is_experiment else name, "typ": kind,
        "Created": None if name == "workspace" else "08:26 PM", "parent": None, "State": state, "Executor": None,
        "data/audio": "a1.dir", "data/tracks.csv": "t1", "data/split.csv": "s1", **scores, **values, **{key.replace("_", ".", 1): value for key, value in params.items()},
    }  # fmt: skip


def shown(rows: list[dict], width: int) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width).print(experiments.table(experiments.experiments(rows, PARAMS), width))
    return stream.getvalue()


ROWS = [
    row("workspace", "baseline"),
    row("main", "baseline"),
    row("warm-sock", "branch_commit", valid=0.9, train_learning_rate=0.001),
    row("faraway-names-are-long-tale", "branch_commit", valid=0.7, train_crop_frames=64.0, train_learning_rate=0.01),
    row("late", "branch_base", valid=None, state="Queued", split_seed=7.0),
]


def test_an_experiment_shows_what_differs_from_its_baseline_as_one_would_type_it():
    changes = {one.name: dict(one.changes) for one in experiments.experiments(ROWS, PARAMS)}
    assert changes["main"] == {}
    assert changes["warm-sock"] == {"train.learning_rate": "0.001"}
    assert changes["faraway-names-are-long-tale"] == {"train.learning_rate": "0.01", "train.crop_frames": "64"}


def test_what_the_workspace_holds_and_the_best_on_valid_are_marked():
    marks = {one.name: (one.is_current, one.is_best) for one in experiments.experiments(ROWS, PARAMS)}
    assert [name for name, (current, _) in marks.items() if current] == ["main"]
    assert [name for name, (_, best) in marks.items() if best] == ["warm-sock"]


@pytest.mark.parametrize("path", experiments.CORPUS)
def test_accuracies_on_other_recordings_or_another_split_do_not_compete(path):
    rows = [*ROWS, row("other", "branch_base", valid=0.85) | {path: "o1"}]
    assert [one.name for one in experiments.experiments(rows, PARAMS) if one.is_best] == ["warm-sock", "other"]


def test_other_params_of_data_and_split_compete_where_the_tracks_are_the_same():
    better = row("long-clips", "branch_base", valid=0.95, split_clip_frames=256.0, data_source="gtzan-mini")
    found = experiments.experiments([*ROWS, better], [*PARAMS, "split.clip_frames"])
    assert [one.name for one in found if one.is_best] == ["long-clips"]


def test_without_the_digests_of_its_tracks_none_is_the_best():
    unknown = row("unknown", "branch_base", valid=0.95) | dict.fromkeys(experiments.CORPUS)
    found = experiments.experiments([*ROWS, unknown], PARAMS)
    assert [one.name for one in found if one.is_best] == ["warm-sock"]


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_the_terminal_and_cuts_nothing_off(width):
    text = shown(ROWS, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert "80 (70-90)" in text
    assert "Queued" in text
    assert ("by clip" in text) == (width == 120)


def test_brackets_in_a_value_are_shown_as_they_are():
    assert "data.source=[bold]x" in shown([ROWS[0], row("odd", "branch_base", data_source="[bold]x")], 120)


@pytest.mark.slow  # DVC runs two stages
def test_what_dvc_knows_of_real_experiments_is_read(tmp_path, monkeypatch):
    def run(*words: str) -> None:
        subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)

    monkeypatch.chdir(tmp_path)
    run("git", "init", "-q")
    run("dvc", "init", "-q")
    (tmp_path / "params.yaml").write_text("data: {source: gtzan}\ntrain: {rate: 0.5}\n")
    (tmp_path / "make.py").write_text(
        "import json, pathlib, yaml\n"
        "rate = yaml.safe_load(open('params.yaml'))['train']['rate']\n"
        "pathlib.Path('metrics').mkdir(exist_ok=True)\n"
        "json.dump({'valid': {'track_accuracy': rate}}, open('metrics/metrics.json', 'w'))\n"
        "json.dump({'linear': {'valid': {'track_accuracy': 0.25}}}, open('metrics/baselines.json', 'w'))\n"
    )
    for path in experiments.CORPUS:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(path)
    (tmp_path / "dvc.yaml").write_text(
        json.dumps({"stages": {
            "make": {
                "cmd": "python make.py", "deps": ["make.py", *experiments.CORPUS], "params": ["train"], "outs": ["metrics/baselines.json"],
                "metrics": [{"metrics/metrics.json": {"cache": False}}],
            },
            "plots": {"cmd": "true", "deps": ["metrics/baselines.json"]},
        }})
    )  # fmt: skip
    run("dvc", "repro", "-q")
    run("git", "add", "-A")
    run("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first")
    run("dvc", "exp", "run", "--temp", "-q", "-n", "higher", "-S", "train.rate=0.75")
    run("dvc", "exp", "run", "--queue", "-q", "-n", "later", "-S", "train.rate=1")
    found = {one.name: one for one in experiments.read({"data.source": "gtzan", "train.rate": 0.5})}
    assert found["workspace"].metrics == {"valid.track_accuracy": 0.5}
    assert (found["higher"].changes, found["higher"].metrics) == (
        {"train.rate": "0.75"},
        {"valid.track_accuracy": 0.75},
    )
    assert (found["higher"].linear, found["higher"].is_best, found["higher"].is_current) == (0.25, True, False)
    assert (found["later"].state, found["later"].metrics) == ("Queued", {})


def test_what_dvc_cannot_read_is_one_line(monkeypatch):
    def fail():
        raise DvcException("here is not a git repository")

    monkeypatch.setattr(dvc.api, "exp_show", fail)
    with pytest.raises(
        ValueError, match=r"^DVC must be able to read the experiments, got: here is not a git repository"
    ):
        experiments.read({})


def test_a_narrow_terminal_still_gets_all_columns(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys, "argv", ["genre", "experiments"])
    monkeypatch.setattr(experiments, "read", lambda _: experiments.experiments(ROWS, PARAMS))
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 0
    assert {"warm-sock", "experiment", "differs", "ate=0.001"} <= set(capsys.readouterr().out.split())
