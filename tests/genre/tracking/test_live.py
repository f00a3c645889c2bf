import json
import shutil

import pytest

from genre.pipeline.files import md5
from genre.tracking import live, mlflow_store, registry, results, tags

ROWS = [
    {"epoch": n, "train_loss": 2.0 / n, "valid_loss": 2.5 / n, "train_accuracy": 0.1 * n, "valid_accuracy": 0.1 * n}
    for n in (1, 2, 3)
]
SECTIONS = {"train": {"epochs": 3}, "model": {"network": "unet"}}

pytestmark = pytest.mark.filterwarnings("ignore")  # mlflow's own


@pytest.fixture
def root(tmp_path, empty_store, monkeypatch):
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.pt").write_bytes(b"weights")
    return tmp_path


def train(root, key="abc", rows=ROWS, model="model.pt"):
    split = root / "split.csv"
    split.write_text("track,genre,subset\n")
    with live.training_run(key, SECTIONS, [split]) as run:
        for row in rows:
            run.log_epoch(row)
        run.finish(root / model, best_epoch=2)


def stored():
    store = mlflow_store.Store()
    return store, store.client.search_runs([store.experiment])


def test_a_training_is_one_finished_run_with_params_curves_and_tags(root):
    train(root)
    store, (run,) = stored()
    assert run.info.status == "FINISHED"
    assert run.data.params == {"train.epochs": "3", "model.network": "unet"}
    assert [m.value for m in store.client.get_metric_history(run.info.run_id, "epoch/valid_loss")] == [
        2.5,
        1.25,
        2.5 / 3,
    ]
    assert run.data.tags["genre.run_key"] == "abc"
    assert run.data.tags["genre.best_epoch"] == "2"


def test_training_the_same_again_adds_nothing(root):
    train(root)
    train(root)
    store, (run,) = stored()
    assert len(store.client.get_metric_history(run.info.run_id, "epoch/train_loss")) == 3


def test_other_inputs_that_give_the_same_model_are_the_same_run(root):
    train(root)
    train(root, key="refactored")
    assert len(stored()[1]) == 1


def test_a_training_that_goes_on_completes_its_run(root):
    def interrupted():
        with live.training_run("abc", SECTIONS, []) as run:
            run.log_epoch(ROWS[0])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert stored()[1][0].info.status == "KILLED"
    train(root)
    store, (run,) = stored()
    assert run.info.status == "FINISHED"
    assert [m.step for m in store.client.get_metric_history(run.info.run_id, "epoch/train_loss")] == [1, 2, 3]


def test_a_run_whose_process_is_gone_ends_as_failed(root):
    store = mlflow_store.Store()
    dead = tags.process_tags() | {"genre.process": "99999999@1"}
    store.create("dead", {"genre.run_key": "dead", **dead})
    train(root)
    assert sorted(run.info.status for run in stored()[1]) == ["FAILED", "FINISHED"]


def test_metrics_and_files_complete_the_run_once(root, monkeypatch):
    train(root)
    scores = {"test": {"track_accuracy": 0.9, "loss": 0.5}, "leaks": 0}
    (root / "metrics.json").write_text(json.dumps(scores))
    (root / "baselines.json").write_text(
        json.dumps({"linear": {"test": {"clip_accuracy": 0.5, "track_accuracy": 0.6}}})
    )
    parts = [root / "metrics.json", root / "baselines.json"]
    results.record(root / "model.pt", parts)
    store, (run,) = stored()
    assert run.data.metrics["test/track_accuracy"] == 0.9
    assert run.data.metrics["leaks"] == 0
    assert run.data.metrics["versus_linear/test_track_accuracy"] == 0.6
    names = {item.path for item in store.client.list_artifacts(run.info.run_id, "metrics")}
    assert names == {"metrics/metrics.json", "metrics/baselines.json"}
    monkeypatch.setattr(mlflow_store.Store, "log", lambda *args: pytest.fail("logged twice"))
    results.record(root / "model.pt", parts)


def test_a_model_that_mlflow_has_not_seen_gets_a_run(root):
    (root / "a.csv").write_text("a\n")
    results.record(root / "model.pt", [root / "a.csv"])
    assert stored()[1][0].info.status == "FINISHED"


def test_a_run_is_named_as_dvcs_experiment(root, monkeypatch):
    monkeypatch.setenv("DVC_EXP_NAME", "bold-lark")
    train(root)
    (run,) = stored()[1]
    assert run.info.run_name == "bold-lark"
    assert run.data.tags["dvc.exp.name"] == "bold-lark"


def test_a_dead_server_costs_a_warning_and_no_result(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    (tmp_path / "model.pt").write_bytes(b"weights")
    train(tmp_path)
    error = capsys.readouterr().err
    assert error.count("warning: ") == 1
    assert "MLflow at http://127.0.0.1:9 does not take part; the results are on disk, and `genre sync`" in error


def test_tracking_can_be_turned_off(root, monkeypatch):
    monkeypatch.setenv("GENRE_TRACKING", "off")
    train(root)
    results.record(root / "model.pt", [root / "model.pt"])
    assert stored()[1] == []


def test_runs_of_a_study_are_children_of_one_parent(root, monkeypatch):
    monkeypatch.setenv("GENRE_STUDY", "ours-stratified")
    (root / "other.pt").write_bytes(b"other weights")
    train(root)
    train(root, key="def", model="other.pt")
    _, found = stored()
    (parent,) = [run for run in found if run.info.run_name == "ours-stratified"]
    assert parent.info.status == "FINISHED"
    children = [run for run in found if run.data.tags.get("mlflow.parentRunId") == parent.info.run_id]
    assert len(children) == 2


@pytest.mark.parametrize("study", ["it's", 'a"b', "a`b", "a%b_c"])
def test_a_study_may_have_any_name(root, monkeypatch, study):
    monkeypatch.setenv("GENRE_STUDY", study)
    train(root)
    train(root, key="def")
    assert study in {run.info.run_name for run in stored()[1]}


def test_an_experiment_of_genre_study_is_a_child_of_its_study(root, monkeypatch):
    monkeypatch.setenv("DVC_EXP_NAME", "size--unet-stratified-1")
    train(root)
    assert sorted(run.info.run_name for run in stored()[1]) == ["size", "size--unet-stratified-1"]


def test_a_training_leaves_no_note_once_mlflow_knows_its_model(root):
    train(root)
    assert list((root / ".checkpoints").glob("*")) == []


def test_inputs_and_load_of_the_machine_are_in_the_run(root):
    train(root)
    (run,) = stored()[1]
    assert [item.dataset.name for item in run.inputs.dataset_inputs] == ["split.csv"]
    assert run.data.metrics["system/process_memory_usage_megabytes"] > 0


def test_memory_of_a_gpu_is_in_the_run_where_there_is_one(root, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.max_memory_reserved", lambda: 3e9)
    train(root)
    (run,) = stored()[1]
    assert run.data.metrics["system/gpu_0_memory_usage_megabytes"] == 3000


def test_a_registered_model_answers_from_mlflow(root, monkeypatch):
    calls = []
    monkeypatch.setattr(registry, "save", lambda folder, model_pt, **identity: (folder.mkdir(), calls.append(identity)))
    train(root)
    (root / "metrics.json").write_text(json.dumps({"valid": {"track_accuracy": 0.9, "track_accuracy_low": 0.7}}))
    for _ in range(2):
        results.record(root / "model.pt", [root / "metrics.json"], register=True)
    store, (run,) = stored()
    assert len(calls) == 1
    assert store.client.get_model_version_by_alias("music-genre", "champion-unknown").run_id == run.info.run_id


def test_an_unfinished_training_is_noted_until_its_run_is_complete(root, monkeypatch):
    monkeypatch.setattr(mlflow_store.Store, "find", lambda *args, **kwargs: 1 / 0)
    train(root)
    assert live.noted_key(md5(root / "model.pt")) == "abc"


def test_a_moved_project_keeps_its_files_in_its_own_folder(root, tmp_path, monkeypatch, capsys):
    train(root)
    (root / "a.csv").write_text("a\n")
    results.record(root / "model.pt", [root / "a.csv"])
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("mlflow.db", "mlartifacts"):
        shutil.copytree(root / name, moved / name) if (root / name).is_dir() else shutil.copy(root / name, moved)
    monkeypatch.setenv("DVC_ROOT", str(moved))
    (root / "model.pt").write_bytes(b"other weights")
    (root / "b.csv").write_text("b\n")
    before = sorted((root / "mlartifacts").rglob("*"))
    results.record(root / "model.pt", [root / "b.csv"])
    assert "this project was moved" in capsys.readouterr().err
    assert sorted((root / "mlartifacts").rglob("*")) == before
    assert [path.name for path in (moved / "mlartifacts").rglob("b.csv")] == ["b.csv"]
    assert all(run.info.artifact_uri.startswith((moved / "mlartifacts").as_uri()) for run in stored()[1])


def test_a_relative_database_is_in_the_real_repository(root, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    assert mlflow_store.address() == f"sqlite:///{root}/mlflow.db"


def test_a_place_that_no_address_can_hold_is_refused_and_nothing_is_written(tmp_path, monkeypatch):
    place = tmp_path / "what?"
    place.mkdir()
    monkeypatch.setenv("DVC_ROOT", str(place))
    with pytest.raises(ValueError, match=r"the path of the database must have no \?, % or #"):
        mlflow_store.Store()
    assert list(place.iterdir()) == []
