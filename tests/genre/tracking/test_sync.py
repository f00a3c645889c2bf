import json
import subprocess

import pytest
from mlflow.exceptions import MlflowException

from genre.pipeline import files
from genre.tracking import dvc_lock, mlflow_store, revisions, sync
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
    - {{path: models/model.pt, md5: {model}}}
  evaluate:
    deps:
    - {{path: models/model.pt, md5: {evaluated}}}
"""
HISTORY = "epoch,train_loss,valid_loss,kept\n1,2.0,2.5,0\n2,1.0,1.25,0\n3,0.666667,0.833333,1\n"


def git(root, *arguments):
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(root), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def write(root, model="weights", *, accuracy=0.9, evaluated=True):
    (root / "models").mkdir(exist_ok=True)
    (root / "metrics").mkdir(exist_ok=True)
    (root / "models/model.pt").write_text(model)
    digest = files.md5(root / "models/model.pt")
    (root / "dvc.lock").write_text(LOCK.format(model=digest, evaluated=digest if evaluated else "other"))
    (root / "metrics/history.csv").write_text(HISTORY)
    (root / "metrics/confusion").mkdir(exist_ok=True)
    (root / "metrics/confusion/tracks.csv").write_text("track,actual,predicted\n")  # for DVC's plots alone
    (root / "metrics/metrics.json").write_text(json.dumps({"test": {"track_accuracy": accuracy}}))
    return digest


def commit_experiment(root, name, model):
    """Makes what `dvc exp run` leaves in git."""
    baseline = git(root, "rev-parse", "HEAD")
    write(root, model, accuracy=0.5)
    git(root, "add", "-A", "dvc.lock", "metrics")
    git(root, "commit", "-qm", f"experiment {name}")  # or two within a second could be one commit
    git(root, "update-ref", f"refs/exps/{baseline[:2]}/{baseline[2:]}/{name}", "HEAD")
    git(root, "reset", "-q", "--hard", baseline)
    write(root)


@pytest.fixture
def root(tmp_path, empty_store, monkeypatch):
    (tmp_path / "mlflow.db").write_bytes(empty_store.read_bytes())
    write(tmp_path)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A", "dvc.lock", "metrics")
    git(tmp_path, "commit", "-qm", "first")
    (tmp_path / "cached.pt").write_text("cached")
    monkeypatch.setattr(revisions, "model_file", lambda model, commit, fetch: tmp_path / "cached.pt")
    monkeypatch.setattr(sync.registry, "register", registered)
    return tmp_path


def registered(store, run, model_pt, scores):
    if model_pt is not None:
        store.tag(run, {"genre.registered": "1"})


def everything(*names, dry_run=False):
    sync.sync(names, all_experiments=False, dry_run=dry_run)


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
    assert lark.data.params == {"data.source": "synthetic", "data.path": "None", "train.epochs": "3"}
    assert lark.data.tags["genre.data.split.csv"] == "abc"
    assert [m.step for m in store.client.get_metric_history(lark.info.run_id, "epoch/valid_loss")] == [1, 2, 3]
    assert {file.path for file in store.client.list_artifacts(lark.info.run_id, "metrics")} == {
        "metrics/history.csv", "metrics/metrics.json",
    }  # fmt: skip
    capsys.readouterr()
    everything()
    assert "0 runs added, 0 completed, 2 complete" in capsys.readouterr().out
    assert len(stored()[1]) == 2


def test_a_dry_run_says_what_would_be_done_and_does_nothing(root, capsys):
    commit_experiment(root, "bold-lark", "other weights")
    everything(dry_run=True)
    out = capsys.readouterr().out
    assert "bold-lark: would add the run" in out
    assert "2 runs would be added" in out
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
    assert {run.data.tags["genre.data.split.csv"] for run in stored()[1]} == {"abc", "xyz"}


def test_what_registers_a_model_knows_the_source_of_its_data(root, monkeypatch):
    known = []
    monkeypatch.setattr(sync.registry, "register", lambda store, run, *_: known.append(run.data.params))
    everything()
    assert known[0]["data.source"] == "synthetic"


def test_a_folder_that_is_not_the_repositorys_root_is_told(root, monkeypatch):
    (root / "docs").mkdir()
    monkeypatch.setenv("DVC_ROOT", str(root / "docs"))
    with pytest.raises(
        ValueError, match=r"must run in the repository's root, there is no dvc\.yaml in .*docs; cd there"
    ):
        everything()
    assert list((root / "docs").iterdir()) == []


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


def test_a_model_that_is_nowhere_is_told_and_the_rest_recorded(root, monkeypatch, capsys):
    commit_experiment(root, "bold-lark", "other weights")
    monkeypatch.setattr(revisions, "model_file", lambda model, commit, fetch: None)
    everything("bold-lark")
    assert "is neither in DVC's cache nor on its remote; left out" in capsys.readouterr().out
    assert stored()[1][0].data.metrics["test/track_accuracy"] == 0.5


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


def test_a_lock_without_a_model_is_no_result():
    assert dvc_lock.read("stages: {}") is None
    with pytest.raises(ValueError, match=r"dvc\.lock must be YAML"):
        dvc_lock.read("a: [")
