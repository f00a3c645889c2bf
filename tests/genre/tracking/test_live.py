import os
import subprocess
import sys

import pytest

from genre.pipeline.files import md5
from genre.tracking import live, mlflow_store, results, tags
from tests.architecture import ROOT

ROWS = [
    {"epoch": n, "train_loss": 2.0 / n, "valid_loss": 2.5 / n, "train_accuracy": 0.1 * n, "valid_accuracy": 0.1 * n}
    for n in (1, 2, 3)
]
PARAMETERS = {"data.source": "gtzan", "train.epochs": 3, "train.crop_frames": None, "train.learning_rate": 3e-3}

pytestmark = pytest.mark.filterwarnings("ignore")  # mlflow's own


def train(root, key="abc", rows=ROWS, model="model.pt"):
    split = root / "split.csv"
    split.write_text("track,genre,subset\n")
    with live.training_run(key, PARAMETERS, [split]) as run:
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
    assert run.data.params == {
        "data.source": "gtzan", "train.epochs": "3", "train.crop_frames": "null", "train.learning_rate": "0.003",
    }  # fmt: skip
    assert [m.value for m in store.client.get_metric_history(run.info.run_id, "epoch/valid_loss")] == [
        2.5,
        1.25,
        2.5 / 3,
    ]
    assert run.data.tags["genre.run_key"] == "abc"
    assert run.data.metrics["best_epoch"] == 2


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
        with live.training_run("abc", PARAMETERS, []) as run:
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
    host = tags.process_tag().split()[0]
    store.create("dead", {"genre.run_key": "dead", "genre.process": f"{host} 99999999 1"})
    store.create("elsewhere", {"genre.run_key": "elsewhere", "genre.process": "elsewhere 99999999 1"})
    train(root)
    assert sorted(run.info.status for run in stored()[1]) == ["FAILED", "FINISHED", "RUNNING"]


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


def test_without_tracking_mlflow_is_not_even_imported(root):
    code = """if True:
        import sys
        from pathlib import Path
        from genre.tracking import live, results
        with live.training_run("abc", {}, []) as run:
            run.log_epoch({"epoch": 1})
            run.finish(Path("model.pt"), best_epoch=1)
        results.record(Path("model.pt"), [])
        raise SystemExit("mlflow" in sys.modules)
    """
    environment = {**os.environ, "GENRE_TRACKING": "off", "PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def test_same_inputs_that_give_another_model_leave_the_finished_run_as_it_is(root):
    """A GPU may do that; `evaluate` then makes a run for the other model."""
    train(root)
    (root / "other.pt").write_bytes(b"other bits")
    train(root, model="other.pt")
    results.record(root / "other.pt", [])
    assert {run.data.tags["genre.model"] for run in stored()[1]} == {
        md5(root / name) for name in ("model.pt", "other.pt")
    }


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
    assert mlflow_store.data_of(run) == {"split.csv": md5(root / "split.csv")}
    assert [item.dataset.name for item in run.inputs.dataset_inputs] == ["gtzan/split.csv"]
    assert run.data.metrics["system/process_memory_usage_megabytes"] > 0


def test_memory_of_a_gpu_is_in_the_run_where_there_is_one(root, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.max_memory_reserved", lambda: 3e9)
    train(root)
    (run,) = stored()[1]
    assert run.data.metrics["system/gpu_0_memory_usage_megabytes"] == 3000


def test_an_unfinished_training_is_noted_until_its_run_is_complete(root, monkeypatch):
    monkeypatch.setattr(mlflow_store.Store, "find", lambda *args, **kwargs: 1 / 0)
    train(root)
    assert results.key_note(md5(root / "model.pt")).read_text() == "abc"
