"""The second pipeline is made of the first: same scripts, same modules; and it runs, on a small corpus."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from ruamel.yaml import YAML

from genre.params import Settings
from tests.test_pipeline import ROOT, STAGES, closure

STUDY = YAML(typ="safe").load(ROOT / "studies" / "dvc.yaml")["stages"]
CHOICES = YAML(typ="safe").load(ROOT / "studies" / "study.yaml")


@pytest.mark.parametrize("name", ["spectrogram", "split", "train", "evaluate"])
def test_a_stage_of_a_study_is_the_pipelines_stage_with_the_same_modules_and_params(name):
    assert STUDY[name]["cmd"].startswith(f"python -m stages.{name} ")
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
def test_a_study_runs_on_a_small_corpus_and_a_second_time_nothing_runs(tmp_path, corpus):
    house = tmp_path / "house"
    house.mkdir()
    for name in ("genre", "stages", "studies", "data/gtzan"):
        shutil.copytree(ROOT / name, house / name, ignore=shutil.ignore_patterns("__pycache__", "runs", "spectrograms"))
    for name in ("dvc.yaml", ".gitignore", ".dvcignore", "studies/study.yaml", "studies/dvc.yaml"):
        shutil.copy(ROOT / name, house / name)
    yaml = YAML()
    params, choices = yaml.load(ROOT / "params.yaml"), YAML(typ="safe").load(ROOT / "studies" / "study.yaml")
    params["data"] |= {"source": "local", "path": str(corpus)}
    params["split"] |= {"valid": 0.33, "test": 0.33, "clip_frames": 32}
    params["spectrogram"] |= {"n_mels": 32}
    params["model"] |= {"base_channels": 2}
    params["train"] |= {"epochs": 1, "crop_frames": None, "device": "cpu"}
    yaml.dump(params, house / "params.yaml")
    small = " --set spectrogram.n_mels=32 --set split.clip_frames=32 --set model.base_channels=2"
    choices["recipes"][1]["set"] += small
    yaml.dump(choices | {"seeds": [1, 2]}, house / "studies" / "study.yaml")
    environment = os.environ | {"PYTHONPATH": str(house), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    environment |= {"DVC_ROOT": str(house), "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    for words in (["git", "init", "-q"], ["dvc", "init", "-q"]):
        subprocess.run(words, cwd=house, check=True, env=environment)
    runs = [
        subprocess.run(
            ["dvc", "repro", "studies/dvc.yaml"],
            cwd=house,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        for _ in range(2)
    ]
    assert runs[0].returncode == 0, runs[0].stdout[-2000:] + runs[0].stderr[-2000:]
    assert "Running stage" not in runs[1].stdout
    table = pd.read_csv(house / "studies" / "results.csv")
    assert list(table["recipe"]) == ["ours"] * 4 + ["reference"] * 4
    assert (table["seeds"] == 2).all()
