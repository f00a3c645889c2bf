import pytest

from genre.history import dvc_lock

LOCK = """schema: '2.0'
stages:
  split:
    cmd: python
    params:
      params.yaml:
        data.source: gtzan
        split: {valid: 0.2, leaks: warn}
    outs:
    - {path: data/split.csv, md5: s1}
  train:
    cmd: python
    deps:
    - {path: genre/pipeline, md5: c0.dir}
    - {path: data/split.csv, md5: s1}
    params:
      params.yaml:
        split.clip_frames: 128
        train: {seed: 42, crop_frames: }
    outs:
    - {path: models/model.pt, md5: m1}
  evaluate:
    cmd: python
    deps:
    - {path: models/model.pt, md5: MODEL}
"""


def test_the_parameters_are_those_of_all_stages_whole_sections_and_single_keys():
    trained = dvc_lock.read(LOCK.replace("MODEL", "m1"))
    assert trained.model == "m1"
    assert trained.parameters == {
        "data.source": "gtzan", "split.valid": 0.2, "split.leaks": "warn", "split.clip_frames": 128,
        "train.seed": 42, "train.crop_frames": None,
    }  # fmt: skip
    assert trained.data == {"split.csv": "s1"}


def test_a_split_that_was_drawn_anew_after_the_training_is_not_the_models():
    trained = dvc_lock.read(LOCK.replace("md5: s1}\n  train", "md5: s2}\n  train"))
    assert trained.data == {"split.csv": "s1"}
    assert trained.parameters == {"split.clip_frames": 128, "train.seed": 42, "train.crop_frames": None}


def test_of_a_stage_that_was_run_on_another_model_nothing_is_the_models():
    late = "    params: {params.yaml: {train.seed: 43}}\n    outs: [{path: metrics/metrics.json, md5: e1}]\n"
    (of_this, of_another) = (dvc_lock.read(LOCK.replace("MODEL", model) + late) for model in ("m1", "m2"))
    assert (of_this.outs, of_another.outs) == (
        {"models/model.pt": "m1", "metrics/metrics.json": "e1"}, {"models/model.pt": "m1"},
    )  # fmt: skip
    assert of_another.parameters["train.seed"] == 42


def test_a_lock_without_a_model_is_no_result():
    assert dvc_lock.read("stages: {}") is None
    assert dvc_lock.read("stages:\n") is None


def test_a_model_of_another_stage_than_train_is_refused():
    with pytest.raises(ValueError, match=r"dvc\.lock must have models/model\.pt as an output of the stage train; `dvc"):
        dvc_lock.read(LOCK.replace("  train:\n", "  fit:\n"))


@pytest.mark.parametrize("text", ["stages: [", "- a", "stages: 3", "stages: abc"])
def test_a_lock_that_is_none_is_told(text):
    with pytest.raises(ValueError, match=r"dvc\.lock must be YAML as DVC writes it"):
        dvc_lock.read(text)


@pytest.mark.parametrize(("source", "found"), [("gtzan", {"data/audio": "a1"}),
                                               ("local", {"data/audio": "a1", "data.path": "u1"})])  # fmt: skip
def test_the_recordings_are_those_of_the_project_and_the_users_own_where_they_are_used(source, found):
    deps = "deps: [{path: genre/corpus, md5: c1}, {path: /music, md5: u1}]"
    outs = "outs: [{path: data/audio, md5: a1}, {path: data/tracks.csv, md5: t1}]"
    params = f"params: {{params.yaml: {{data: {{source: {source}, path: /music}}}}}}"
    assert dvc_lock.recordings(f"stages: {{download: {{{deps}, {outs}, {params}}}}}") == found
    assert dvc_lock.recordings("stages: {}") == dvc_lock.recordings("") == {}
