import json

import pytest

from genre.history.dvc_lock import Trained
from genre.pipeline.files import md5
from genre.tracking import mlflow_store, registry, results
from tests.genre.tracking.test_live import stored, train

pytestmark = pytest.mark.filterwarnings("ignore")  # mlflow's own


def test_metrics_and_files_complete_the_run_once(root, monkeypatch):
    train(root)
    scores = {"test": {"track_accuracy": 0.9, "loss": 0.5}, "leaks": 0}
    (root / "metrics.json").write_text(json.dumps(scores))
    (root / "baselines.json").write_text(
        json.dumps({"linear": {"test": {"clip_accuracy": 0.5, "track_accuracy": 0.6}}})
    )
    genres = {"drum&bass": {"precision": 1, "recall": 0.5, "f1": 0.6667, "support": 4}}
    (root / "per_genre.json").write_text(json.dumps({"test": genres}))
    (root / "history.csv").write_text("epoch,train_loss,kept\n1,2.0,0\n2,1.0,1\n3,1.5,0\n")
    parts = [root / name for name in ("metrics.json", "baselines.json", "per_genre.json", "history.csv")]
    results.record(root / "model.pt", parts)
    store, (run,) = stored()
    assert run.data.metrics["test/track_accuracy"] == 0.9
    assert run.data.metrics["leaks"] == 0
    assert run.data.metrics["versus_linear/test_track_accuracy"] == 0.6
    names = {item.path for item in store.client.list_artifacts(run.info.run_id, "metrics")}
    assert names == {f"metrics/{path.name}" for path in parts}
    assert run.data.metrics["test_recall/drum_bass"] == 0.5
    assert run.data.metrics["best_epoch"] == 2
    assert "test_support/drum_bass" not in run.data.metrics
    monkeypatch.setattr(mlflow_store.Store, "log", lambda *args: pytest.fail("logged twice"))
    results.record(root / "model.pt", parts)


def test_a_model_that_mlflow_has_not_seen_gets_a_run(root):
    (root / "a.csv").write_text("a\n")
    results.record(root / "model.pt", [root / "a.csv"])
    assert stored()[1][0].info.status == "FINISHED"


def test_pictures_and_pages_are_in_the_folder_figures(root):
    for name in ("a.csv", "a.png", "a.html"):
        (root / name).write_text("a\n")
    results.record(root / "model.pt", [root / name for name in ("a.csv", "a.png", "a.html")])
    store, (run,) = stored()
    held = {folder: {item.path for item in store.client.list_artifacts(run.info.run_id, folder)}
            for folder in ("figures", "metrics")}  # fmt: skip
    assert held == {"figures": {"figures/a.png", "figures/a.html"}, "metrics": {"metrics/a.csv"}}


def test_a_run_tells_in_words_what_it_is(root):
    scores = {"track_accuracy": 0.9, "track_accuracy_low": 0.7, "track_accuracy_high": 0.98, "clip_accuracy": 0.8}
    (root / "metrics.json").write_text(json.dumps({"test": scores}))
    store = mlflow_store.Store()
    trained = Trained(md5(root / "model.pt"), {"data.source": "synthetic"})
    results.complete(store, trained, "one", {}, {"metrics/metrics.json": root / "metrics.json"}, None)
    note = stored()[1][0].data.tags["mlflow.note.content"]
    assert "accuracy on it says nothing about music" in note
    assert "test: 90.0% of the tracks correct (95 % interval 70.0% to 98.0%)" in note


def test_a_registered_model_answers_from_mlflow(root, monkeypatch):
    calls = []
    monkeypatch.setattr(registry, "save", lambda folder, model_pt, **identity: (folder.mkdir(), calls.append(identity)))
    train(root)
    (root / "metrics.json").write_text(json.dumps({"valid": {"track_accuracy": 0.9, "track_accuracy_low": 0.7}}))
    for _ in range(2):
        results.record(root / "model.pt", [root / "metrics.json"], register=True)
    store, (run,) = stored()
    assert len(calls) == 1
    assert store.client.get_model_version_by_alias("music-genre", "champion").run_id == run.info.run_id
