"""The second pipeline is made of the first: same scripts, same modules; and it runs, on a small corpus."""

import pandas as pd
import pytest
from ruamel.yaml import YAML

from genre.pipeline.settings import Settings
from genre.tracking.mlflow_store import Store
from tests.house import House
from tests.test_pipeline import ROOT, STAGES, closure

STUDY = YAML(typ="safe").load(ROOT / "studies" / "dvc.yaml")["stages"]
CHOICES = YAML(typ="safe").load(ROOT / "studies" / "study.yaml")


@pytest.mark.parametrize("name", ["spectrogram", "split", "train", "evaluate"])
def test_a_stage_of_a_study_is_the_pipelines_stage_with_the_same_modules_and_params(name):
    assert f"python -m stages.{name} " in STUDY[name]["cmd"]
    modules = [[dep for dep in stage["deps"] if dep.endswith(".py")] for stage in (STUDY[name], STAGES[name])]
    assert modules[0] == modules[1]
    assert STUDY[name]["params"] == STAGES[name]["params"]
    assert STUDY[name]["wdir"] == ".."


def test_the_modules_of_the_table_are_among_its_deps():
    declared = {dep for dep in STUDY["table"]["deps"] if dep.endswith(".py")}
    assert declared == closure(ROOT / "studies" / "table.py") | {"studies/table.py"}


def test_spectrograms_are_made_once_a_recipe_and_seeds_are_of_split_and_training():
    assert list(STUDY["spectrogram"]["matrix"]) == ["recipe"]
    for name in ("split", "train", "evaluate"):
        assert list(STUDY[name]["matrix"]) == ["recipe", "protocol", "seed"]
        assert "--set split.seed=${item.seed} --set train.seed=${item.seed}" in STUDY[name]["cmd"]


@pytest.mark.parametrize("choice", [*CHOICES["recipes"], *CHOICES["protocols"]], ids=lambda choice: choice["name"])
def test_a_recipe_changes_parameters_that_exist_and_neither_data_nor_epochs(choice):
    words = choice["set"].split()
    assert words[::2] == ["--set"] * (len(words) // 2)
    names = [word.split("=")[0] for word in words[1::2]]
    sections = Settings.read(ROOT / "params.yaml").sections
    assert all(key in sections[section] for section, key in (name.split(".") for name in names))
    assert not any(name.startswith("data.") or name == "train.epochs" for name in names)


def test_the_reference_recipe_leaves_no_choice_of_network_augmentation_or_training_to_the_params_file():
    (reference,) = (recipe for recipe in CHOICES["recipes"] if recipe["name"] == "reference")
    sections = Settings.read(ROOT / "params.yaml").sections
    wanted = {
        f"{section}.{key}" for section in ("spectrogram", "augment", "model", "train") for key in sections[section]
    }
    free = {"train.epochs", "train.seed", "train.device", "train.precision"}
    assert {word.split("=")[0] for word in reference["set"].split()[1::2]} >= wanted - free


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # mlflow's own
def test_a_study_runs_on_a_small_corpus_and_a_second_time_nothing_runs(tmp_path, corpus, monkeypatch):
    house = House(tmp_path / "house", corpus)
    yaml = YAML()
    choices = yaml.load(house.root / "studies" / "study.yaml")
    small = " --set spectrogram.n_mels=32 --set split.clip_frames=32 --set model.base_channels=2"
    choices["recipes"][1]["set"] += small
    choices["seeds"] = [1, 2]
    yaml.dump(choices, house.root / "studies" / "study.yaml")
    house.run("dvc", "repro", "studies/dvc.yaml")
    assert "Running stage" not in house.run("dvc", "repro", "studies/dvc.yaml").stdout
    table = pd.read_csv(house.root / "studies" / "results.csv")
    assert list(table["recipe"]) == ["ours"] * 4 + ["reference"] * 4
    assert (table["seeds"] == 2).all()

    monkeypatch.setenv("DVC_ROOT", str(house.root))
    by_name = {run.info.run_name: run for run in Store().all_runs()}
    parent = by_name.pop("recipes")
    assert sorted(by_name) == [f"{recipe}-stratified-{seed}" for recipe in ("ours", "reference") for seed in (1, 2)]
    assert {run.data.tags["mlflow.parentRunId"] for run in by_name.values()} == {parent.info.run_id}
    assert all("test/track_accuracy" in run.data.metrics for run in by_name.values())

    for run in Store().all_runs():  # as if the store were new; this process keeps the database open
        Store().client.delete_run(run.info.run_id)
    assert "4 runs added, 0 completed" in house.run("genre", "sync").stdout
    again = {run.info.run_name: run for run in Store().all_runs()}
    assert sorted(again) == sorted([*by_name, "recipes"])
    for name, run in by_name.items():
        assert again[name].data.metrics.keys() >= {"test/track_accuracy", "epoch/valid_loss"}
        assert again[name].data.params == run.data.params
    assert "0 runs added, 0 completed, 4 complete" in house.run("genre", "sync").stdout
