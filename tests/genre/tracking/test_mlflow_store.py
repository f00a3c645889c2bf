import shutil

import pytest

from genre.tracking import mlflow_store, results
from tests.genre.tracking.test_live import stored, train

pytestmark = pytest.mark.filterwarnings("ignore")  # mlflow's own
NAMES = ["it's", 'a"b', "a`b", "a%b_c"]


@pytest.mark.parametrize("name", NAMES)
def test_a_study_may_have_any_name_and_has_one_parent(root, monkeypatch, name):
    monkeypatch.setenv("GENRE_STUDY", name)
    store = mlflow_store.Store()
    for number in (1, 2):
        store.create(f"run {number}", {}, study=name)
    parents = {run.data.tags.get("mlflow.parentRunId") for run in stored()[1]}
    assert len(parents - {None}) == 1
    assert sorted(run.info.run_name for run in stored()[1]) == sorted([name, "run 1", "run 2"])


def test_a_digest_that_is_none_is_on_no_run(root):
    assert mlflow_store.Store().find("genre.model", "it's") is None


def test_the_experiment_says_how_mlflow_shows_it_and_keeps_what_a_user_has_written(root):
    store = mlflow_store.Store()
    store.client.set_experiment_tag(store.experiment, "mlflow.note.content", "mine")
    tags = mlflow_store.Store().client.get_experiment(store.experiment).tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    assert tags["mlflow.note.content"] == "mine"


def copied(root, place):
    """Copies what MLflow has kept of a project, and goes there."""
    shutil.copytree(root / "mlartifacts", place / "mlartifacts")
    shutil.copy(root / "mlflow.db", place / "mlflow.db")


@pytest.mark.parametrize("name", ["moved", "a%20b?c#d e"])
def test_a_moved_or_copied_project_keeps_its_files_in_its_own_folder(root, tmp_path, monkeypatch, capsys, name):
    train(root)
    (root / "mlartifacts").mkdir(exist_ok=True)
    place = tmp_path / name
    copied(root, place)
    capsys.readouterr()
    monkeypatch.setenv("DVC_ROOT", str(place))
    (root / "other.pt").write_bytes(b"other weights")
    (root / "b.csv").write_text("b\n")
    results.record(root / "other.pt", [root / "b.csv"])
    results.record(root / "model.pt", [root / "b.csv"])
    assert capsys.readouterr().err.count("this project was moved or copied") == 1
    assert list((root / "mlartifacts").rglob("*")) == []
    assert len(list((place / "mlartifacts").rglob("b.csv"))) == 2
    assert all(run.info.artifact_uri.startswith((place / "mlartifacts").as_uri()) for run in stored()[1])


def test_the_model_of_a_moved_project_is_found_there(root, tmp_path, monkeypatch):
    store = mlflow_store.Store()
    run = store.create("one", {})
    logged = store.client.create_logged_model(store.experiment, name="music-genre", source_run_id=run.info.run_id)
    store.client.create_registered_model("music-genre")
    store.client.create_model_version("music-genre", logged.artifact_location, run.info.run_id)
    (root / "mlartifacts").mkdir(exist_ok=True)
    copied(root, tmp_path / "moved")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "moved"))
    client = mlflow_store.Store().client
    place = (tmp_path / "moved" / "mlartifacts").as_uri()
    assert client.get_logged_model(logged.model_id).artifact_location.startswith(place)
    assert client.get_model_version_download_uri("music-genre", "1").startswith(place)


def test_a_database_of_several_projects_keeps_its_places(root, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root}/mlflow.db")
    place = mlflow_store.Store().client.get_experiment_by_name("music-genre").artifact_location
    capsys.readouterr()
    monkeypatch.setenv("DVC_ROOT", str(tmp_path / "elsewhere"))
    (tmp_path / "elsewhere").mkdir()
    assert mlflow_store.Store().client.get_experiment_by_name("music-genre").artifact_location == place
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("sqlite:///mlflow.db", "mlflow.db"), ("sqlite:///sub/runs.db?timeout=5", "sub/runs.db"),
        ("sqlite:////a/b%20c.db", "/a/b c.db"),
    ],
)  # fmt: skip
def test_a_relative_database_is_in_the_real_repository(tmp_path, monkeypatch, uri, path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    monkeypatch.chdir("/")
    assert mlflow_store.database() == tmp_path / path


@pytest.mark.parametrize("name", ["what?", "a%20b", "#1 it's"])
def test_a_repository_may_have_any_name_and_nothing_is_written_beside_it(tmp_path, monkeypatch, empty_store, name):
    place = tmp_path / name / "repository"
    place.mkdir(parents=True)
    shutil.copy(empty_store, place / "mlflow.db")
    monkeypatch.setenv("DVC_ROOT", str(place))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.pt").write_bytes(b"weights")
    results.record(tmp_path / "model.pt", [tmp_path / "model.pt"])
    (run,) = stored()[1]
    assert [item.path for item in mlflow_store.Store().client.list_artifacts(run.info.run_id)] == ["metrics"]
    assert {path.name for path in tmp_path.iterdir()} == {name, "model.pt"}
    assert {path.name for path in place.iterdir()} == {"mlflow.db", "mlflow.db.lock", "mlartifacts"}
