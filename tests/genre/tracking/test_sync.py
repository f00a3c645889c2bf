import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from mlflow.exceptions import MlflowException

from genre.history import revisions
from genre.pipeline import files
from genre.tracking import mlflow_store, registry, sync
from tests.genre.tracking.test_live import ROWS, stored, train

pytestmark = pytest.mark.filterwarnings("ignore")  # mlflow's own
LOCK = """schema: '2.0'
stages:
  train:
    cmd: python
    deps:
    - {{path: data/split.csv, md5: abc}}
    params:
      params.yaml:
        data: {{source: synthetic, path: }}
        train: {{epochs: 3}}
    outs:
    - {{path: models/model.pt, hash: md5, md5: {model}}}
    - {{path: metrics/history.csv, hash: md5, md5: {history}}}
  evaluate:
    cmd: python
    deps:
    - {{path: models/model.pt, hash: md5, md5: {evaluated}}}
    outs:
    - {{path: metrics/metrics.json, hash: md5, md5: {metrics}}}
    - {{path: metrics/tracks.csv, hash: md5, md5: {tracks}}}
"""
DVC_YAML = """stages:
  train:
    cmd: python
    outs: [models/model.pt]
    plots: [metrics/history.csv: {cache: false}]
  evaluate:
    cmd: python
    deps: [models/model.pt]
    outs: [metrics/tracks.csv]
    metrics: [metrics/metrics.json: {cache: false}]
"""
HISTORY = "epoch,train_loss,valid_loss,kept\n1,2.0,2.5,0\n2,1.0,1.25,0\n3,0.666667,0.833333,1\n"


def git(root, *arguments):
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def write(root, model="weights", *, accuracy=0.9, evaluated=True):
    """Writes what the pipeline leaves: what is in git, and in DVC's cache the model and the table of tracks."""
    contents = {
        "models/model.pt": model,
        "metrics/history.csv": HISTORY,
        "metrics/metrics.json": json.dumps({"test": {"track_accuracy": accuracy}}),
        "metrics/tracks.csv": f"track,actual,predicted\n{model},a,b\n",
    }
    digests = {}
    for name, content in contents.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(content)
        digests[Path(name).stem] = digest = files.md5(root / name)
        if name in ("models/model.pt", "metrics/tracks.csv"):
            cached = root / ".dvc/cache/files/md5" / digest[:2] / digest[2:]
            cached.parent.mkdir(parents=True, exist_ok=True)
            cached.write_text(content)
    evaluated_model = digests["model"] if evaluated else "other"
    (root / "dvc.lock").write_text(LOCK.format(**digests, evaluated=evaluated_model))


def commit(root, message):
    git(root, "add", "-A", "dvc.lock", "dvc.yaml", ".dvc/config", "metrics/history.csv", "metrics/metrics.json")
    git(root, "commit", "-qm", message)


def commit_experiment(root, name, model):
    """Makes what `dvc exp run` leaves in git."""
    baseline = git(root, "rev-parse", "HEAD")
    write(root, model, accuracy=0.5)
    commit(root, f"experiment {name}")  # or two within a second could be one commit
    git(root, "update-ref", f"refs/exps/{baseline[:2]}/{baseline[2:]}/{name}", "HEAD")
    git(root, "reset", "-q", "--hard", baseline)
    write(root)


def forget(root, content):
    """Removes a file from DVC's cache."""
    digest = hashlib.md5(content.encode()).hexdigest()
    (root / ".dvc/cache/files/md5" / digest[:2] / digest[2:]).unlink()


@pytest.fixture
def root(tmp_path, empty_store, monkeypatch):
    (tmp_path / "mlflow.db").write_bytes(empty_store.read_bytes())
    write(tmp_path)
    (tmp_path / ".dvc/config").write_text("")
    (tmp_path / "dvc.yaml").write_text(DVC_YAML)
    git(tmp_path, "init", "-q")
    commit(tmp_path, "first")
    monkeypatch.setattr(registry, "register", registered)
    return tmp_path


def registered(store, run, model_pt):
    if model_pt is not None:
        store.tag(run, {"genre.registered": "1"})


def everything(*names, dry_run=False):
    sync.sync(names, all_experiments=False, dry_run=dry_run)


def test_the_page_of_results_is_with_the_figures_of_the_run(root):
    (root / "metrics/report.html").write_text("<p>a page</p>")
    digest, model = files.md5(root / "metrics/report.html"), files.md5(root / "models/model.pt")
    with (root / "dvc.lock").open("a") as lock:
        lock.write(f"""  plots:
    cmd: python
    deps:
    - {{path: models/model.pt, hash: md5, md5: {model}}}
    outs:
    - {{path: metrics/report.html, hash: md5, md5: {digest}}}
""")
    everything()
    store, (run,) = stored()
    assert [file.path for file in store.client.list_artifacts(run.info.run_id, "figures")] == ["figures/report.html"]


def test_the_workspace_and_each_experiment_become_runs_once(root, capsys):
    commit_experiment(root, "bold-lark", "other weights")
    everything()
    store, found = stored()
    assert {run.info.run_name for run in found} == {
        "bold-lark",
        f"workspace-{files.md5(root / 'models/model.pt')[:8]}",
    }
    lark = next(run for run in found if run.info.run_name == "bold-lark")
    assert lark.info.status == "FINISHED"
    assert lark.data.metrics["test/track_accuracy"] == 0.5
    assert lark.data.params == {"data.source": "synthetic", "data.path": "null", "train.epochs": "3"}
    assert mlflow_store.data_of(lark) == {"split.csv": "abc"}
    assert [item.dataset.name for item in lark.inputs.dataset_inputs] == ["synthetic/split.csv"]
    assert lark.data.metrics["best_epoch"] == 3
    assert [m.step for m in store.client.get_metric_history(lark.info.run_id, "epoch/valid_loss")] == [1, 2, 3]
    assert {file.path for file in store.client.list_artifacts(lark.info.run_id, "metrics")} == {
        "metrics/history.csv", "metrics/metrics.json", "metrics/tracks.csv",
    }  # fmt: skip
    capsys.readouterr()
    everything()
    assert "runs added: 0, completed: 0, complete: 2" in capsys.readouterr().out
    assert len(stored()[1]) == 2


def test_a_dry_run_says_what_would_be_done_and_does_nothing(root, capsys):
    commit_experiment(root, "bold-lark", "other weights")
    everything(dry_run=True)
    out = capsys.readouterr().out
    assert "bold-lark: would add the run" in out
    assert "runs would be added: 2" in out
    assert stored()[1] == []


def test_a_dry_run_makes_no_database(root):
    (root / "mlflow.db").unlink()
    everything(dry_run=True)
    assert not (root / "mlflow.db").exists()


def test_a_run_that_lost_its_server_half_way_is_completed_and_not_doubled(root, monkeypatch):
    log_history = mlflow_store.Store.log_history

    def lost(store, run_id, rows):
        log_history(store, run_id, rows[:1])
        raise ConnectionError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(mlflow_store.Store, "log_history", lost)
        train(root, rows=ROWS, model="models/model.pt")
    assert stored()[1][0].info.status == "RUNNING"
    everything()
    store, (run,) = stored()
    assert run.info.status == "FINISHED"
    assert [m.step for m in store.client.get_metric_history(run.info.run_id, "epoch/train_loss")] == [1, 2, 3]
    assert run.data.tags["genre.model"] == files.md5(root / "models/model.pt")


def test_metrics_that_a_dying_server_missed_are_added_though_their_files_are_there(root, monkeypatch):
    log = mlflow_store.Store.log

    def lost(store, run_id, named):
        rows = list(named)
        if any(name.startswith("test/") for name, _, _ in rows):
            raise ConnectionError("gone")
        log(store, run_id, rows)

    with monkeypatch.context() as patch:
        patch.setattr(mlflow_store.Store, "log", lost)
        with pytest.raises(ConnectionError):
            everything()
    assert "test/track_accuracy" not in stored()[1][0].data.metrics
    everything()
    (run,) = stored()[1]
    assert run.data.metrics["test/track_accuracy"] == 0.9


def test_the_same_weights_tested_on_another_split_are_another_run(root):
    everything()
    path = root / "dvc.lock"
    path.write_text(path.read_text().replace("md5: abc", "md5: xyz"))
    everything()
    assert {mlflow_store.data_of(run)["split.csv"] for run in stored()[1]} == {"abc", "xyz"}


def test_what_registers_a_model_knows_the_source_of_its_data(root, monkeypatch):
    known = []
    monkeypatch.setattr(registry, "register", lambda store, run, *_: known.append(run.data.params))
    everything()
    assert known[0]["data.source"] == "synthetic"


def test_mlflow_that_fails_half_way_is_told_in_a_line(root, monkeypatch):
    def lost(*_):
        raise MlflowException("the server\nis gone")

    monkeypatch.setattr(mlflow_store.Store, "log_parameters", lost)
    with pytest.raises(ValueError, match="failed: the server is gone; what is there stays, run `genre sync` again"):
        everything()


def test_two_experiments_of_one_name_are_told_apart_by_commit(root):
    commit_experiment(root, "twice", "other weights")
    git(root, "commit", "-qm", "another baseline", "--allow-empty")
    commit_experiment(root, "twice", "more weights")
    with pytest.raises(ValueError, match="'twice' must name one experiment, got 2 of that name: .*; name a commit"):
        everything("twice")


def test_metrics_of_another_model_are_left_out(root):
    write(root, evaluated=False)
    everything()
    assert "test/track_accuracy" not in stored()[1][0].data.metrics


def test_what_is_nowhere_is_told_and_the_rest_recorded(root, capsys):
    commit_experiment(root, "bold-lark", "other weights")
    forget(root, "other weights")
    forget(root, "track,actual,predicted\nother weights,a,b\n")
    everything("bold-lark")
    out = capsys.readouterr().out
    for path in ("models/model.pt", "metrics/tracks.csv"):
        assert f"bold-lark: {path} of dvc.lock is neither in git nor in DVC's cache or remote; left out" in out
    assert stored()[1][0].data.metrics["test/track_accuracy"] == 0.5
    assert "metrics/tracks.csv" not in mlflow_store.held_files(stored()[1][0])


def test_the_model_of_the_last_commit_is_taken_where_the_workspace_has_another_one(root):
    (root / "models/model.pt").write_text("a training that was interrupted")
    (root / "metrics/tracks.csv").write_text("of another model")
    everything()
    (run,) = stored()[1]
    assert run.data.tags["genre.registered"] == "1"
    assert "metrics/tracks.csv" in mlflow_store.held_files(run)


def test_experiments_of_a_study_become_children_of_one_run(root):
    commit_experiment(root, "it's--unet-stratified-1", "other weights")
    commit_experiment(root, "it's--unet-stratified-2", "more weights")
    everything()
    found = {run.info.run_name: run for run in stored()[1]}
    parents = {found[f"it's--unet-stratified-{seed}"].data.tags["mlflow.parentRunId"] for seed in (1, 2)}
    assert parents == {found["it's"].info.run_id}


def test_a_run_of_an_experiment_that_is_gone_takes_the_name_of_the_one_that_is_there(root):
    commit_experiment(root, "old-name", "other weights")
    everything("old-name")
    ref = git(root, "for-each-ref", "refs/exps", "--format=%(refname)")
    git(root, "update-ref", "-d", ref)
    git(root, "commit", "-qm", "another baseline", "--allow-empty")
    commit_experiment(root, "new-name", "other weights")
    everything("new-name")
    assert [run.info.run_name for run in stored()[1]] == ["new-name"]


def test_a_revision_that_is_none_is_named(root):
    with pytest.raises(ValueError, match="'nonsense' must name an experiment, branch, tag or commit"):
        everything("nonsense")


def test_commits_are_found_by_range(root):
    git(root, "commit", "-qm", "second", "--allow-empty")
    assert [revision.commit for revision in revisions.resolve(["HEAD~1..HEAD"])] == [git(root, "rev-parse", "HEAD")]


def test_a_server_that_is_away_is_told(root, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    with pytest.raises(ValueError, match=r"MLflow at http://127.0.0.1:9 cannot be reached"):
        everything()
