import pytest

from genre.tracking import dvc_lock

RUN = "studies/runs/ours/stratified/1"
STUDY = f"""schema: '2.0'
stages:
  train@recipe0-protocol0-1:
    cmd: GENRE_STUDY=recipes/ours-1 python -m stages.train x  --set split.valid=0.3 --set train.learning_rate=1e-3 --set
      train.seed=1
    deps:
    - {{path: genre/files.py, md5: c0}}
    - {{path: studies/spectrograms/ours.npy, md5: a1}}
    - {{path: {RUN}/split.csv, md5: a2}}
    params:
      params.yaml:
        split: {{valid: 0.2, test: 0.2}}
        train: {{learning_rate: 0.1, seed: 42, crop_frames: }}
    outs:
    - {{path: {RUN}/history.csv, md5: b0}}
    - {{path: {RUN}/model.pt, md5: b1}}
  evaluate@recipe0-protocol0-1:
    cmd: python
    deps:
    - {{path: {RUN}/model.pt, md5: MODEL}}
"""


def test_a_model_of_a_study_is_read_with_what_its_command_sets():
    (trained,) = dvc_lock.read_study(STUDY.replace("MODEL", "b1"))
    assert (trained.model, trained.study, trained.path) == ("b1", "recipes/ours-1", f"{RUN}/model.pt")
    assert (trained.metrics, trained.history) == (f"{RUN}/metrics", f"{RUN}/history.csv")
    assert trained.parameters == {
        "split.valid": 0.3,
        "split.test": 0.2,
        "train.learning_rate": 1e-3,
        "train.seed": 1,
        "train.crop_frames": None,
    }
    assert trained.data == {"ours.npy": "a1", "split.csv": "a2"}
    assert trained.later == {"evaluate"}


def test_an_evaluation_of_another_model_is_none_of_this_one():
    (trained,) = dvc_lock.read_study(STUDY.replace("MODEL", "b2"))
    assert trained.later == frozenset()


def test_a_workspace_without_lock_files_has_no_models(tmp_path):
    assert dvc_lock.of_workspace(tmp_path) == []


def test_the_pipelines_and_the_studies_models_are_listed(tmp_path):
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies/dvc.lock").write_text(STUDY)
    (tmp_path / "dvc.lock").write_text(
        "stages: {train: {params: {}, deps: [], outs: [{path: models/model.pt, md5: own}]}}"
    )
    found = dvc_lock.of_workspace(tmp_path)
    assert [(trained.model, trained.metrics) for trained in found] == [("own", "metrics"), ("b1", f"{RUN}/metrics")]


@pytest.mark.parametrize("text", ["stages: [", "- a"])
def test_a_lock_that_is_none_is_told(text):
    with pytest.raises(ValueError, match=r"dvc\.lock must be YAML as DVC writes it"):
        dvc_lock.read(text)
