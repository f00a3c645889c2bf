"""dvc.yaml is the architecture: what it declares is what the code does."""

import ast
import json
import shlex
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from genre.console.check import SECTIONS
from tests.architecture import ROOT, closure, imported_names, imports

PIPELINE = YAML(typ="safe").load(ROOT / "dvc.yaml")
STAGES = PIPELINE["stages"]
ORDER = ["download", "spectrogram", "split", "train", "evaluate", "plots"]
LOCAL = "${data.path}"  # the user's own recordings, whose place is a parameter
# Rooms from the bottom up: a room imports from itself and from those before it.
ROOMS = ["pipeline", "audio", "corpus", "spectrograms", "splits", "network", "training", "evaluation", "figures",
         "prediction", "history", "console", "tracking"]  # fmt: skip


def paths(entries: list) -> set[str]:
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}


def outputs(stage: dict) -> set[str]:
    return paths([*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])])


def code(name: str) -> set[str]:
    """Returns the files of code among the deps of a stage, with folders expanded."""
    found: set[str] = set()
    for dep in paths(STAGES[name]["deps"]):
        if dep.startswith(("genre/", "stages/")):
            path = ROOT / dep
            found |= {str(file.relative_to(ROOT)) for file in (path.rglob("*.py") if path.is_dir() else [path])}
    return {file for file in found if not file.endswith("__init__.py")}


def data(name: str) -> set[str]:
    return {dep for dep in paths(STAGES[name]["deps"]) if not dep.startswith(("genre/", "stages/"))}


def loaded(path: Path) -> set[str]:
    """Returns the params that a stage loads: a section if all of its keys are read, else `section.key`."""
    kinds = {}
    for name in imported_names(path):
        module, _, kind = name.rpartition(".")
        if module.endswith(".params"):
            kinds[kind] = getattr(__import__(module, fromlist=[kind]), kind)
    whole = {kind.section: set(kind.model_fields) for kind in SECTIONS}
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        is_load = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "load"
        if is_load and isinstance(node.args[0], ast.Name) and node.args[0].id in kinds:
            kind = kinds[node.args[0].id]
            keys = set(kind.model_fields)
            found |= {kind.section} if keys == whole[kind.section] else {f"{kind.section}.{key}" for key in keys}
    return {name for name in found if name.split(".")[0] not in found or "." not in name}


def test_the_six_stages_each_have_a_script_and_a_description():
    assert list(STAGES) == ORDER
    assert sorted(path.stem for path in (ROOT / "stages").glob("[!_]*.py")) == sorted(ORDER)
    assert all(stage["desc"] for stage in STAGES.values())


@pytest.mark.parametrize("name", ORDER)
def test_the_code_deps_of_a_stage_are_what_it_imports_nothing_missing_and_nothing_too_much(name):
    assert code(name) == closure(ROOT / "stages" / f"{name}.py")


@pytest.mark.parametrize("name", ORDER)
def test_the_params_of_a_stage_are_what_it_loads(name):
    assert set(STAGES[name]["params"]) == loaded(ROOT / "stages" / f"{name}.py")


@pytest.mark.parametrize("name", ORDER)
def test_every_path_on_the_command_line_is_declared_and_no_dep_is_left_over(name):
    words = shlex.split(STAGES[name]["cmd"])
    assert words[:3] == ["python", "-m", f"stages.{name}"]
    declared = outputs(STAGES[name]) | data(name)
    for word in words[3:]:
        assert word in declared or any(path.startswith(f"{word}/") for path in declared), word
    for path in declared - {LOCAL}:
        assert path in words[3:] or any(path.startswith(f"{word}/") for word in words[3:]), path


def test_the_user_s_recordings_are_a_dep_of_all_that_reads_recordings():
    assert {name for name in ORDER if LOCAL in data(name)} == {"download", "spectrogram"}


def test_the_file_is_short():
    lines = (ROOT / "dvc.yaml").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 160
    assert sum(line.strip().startswith(("- genre/", "- stages/")) for line in lines) <= 70


def test_dvc_s_run_cache_holds_every_stage():
    """DVC saves no run of a stage with an output that is outside of the cache and neither a metric nor a plot."""
    for stage in STAGES.values():
        assert all(isinstance(entry, str) for entry in stage.get("outs", []))


def test_confusion_plots_have_a_template_whose_axes_hold_the_actual_and_the_predicted_genres():
    """So they are square, also where a genre is never predicted."""
    entries = [entry for entry in STAGES["evaluate"]["plots"] if "metrics/confusion" in next(iter(entry))]
    assert {next(iter(entry.values()))["template"] for entry in entries} == {"confusion_square"}
    template = json.loads((ROOT / ".dvc" / "plots" / "confusion_square.json").read_text(encoding="utf-8"))
    for axis in ("x", "y"):
        fields = {layer["encoding"][axis]["field"] for layer in template["spec"]["layer"]}
        assert fields == {"<DVC_METRIC_X>", "<DVC_METRIC_Y>"}


def ancestors(name: str) -> set[str]:
    """Returns the stages that a stage depends on, directly or not."""
    direct = {other for other in ORDER if outputs(STAGES[other]) & paths(STAGES[name]["deps"])}
    return direct.union(*(ancestors(other) for other in direct))


def test_a_change_reruns_what_it_changes_and_no_more():
    assert "split" not in ancestors("spectrogram")
    assert not any("train" in ancestors(name) for name in ("download", "split", "spectrogram"))
    assert {name for name in ORDER if "genre/figures/results.py" in code(name)} == {"plots"}


def test_no_stage_imports_a_stage_and_genre_imports_none():
    for path in [*ROOT.glob("stages/*.py"), *ROOT.glob("genre/**/*.py")]:
        assert not any(file.parent.name == "stages" for file in imports(path)), path


def test_rooms_import_downwards():
    assert sorted(path.parent.name for path in ROOT.glob("genre/*/__init__.py")) == sorted(ROOMS)
    for place, room in enumerate(ROOMS):
        for path in (ROOT / "genre" / room).glob("*.py"):
            used = {file.relative_to(ROOT / "genre").parts[0] for file in imports(path)}
            assert used <= set(ROOMS[: place + 1]), path


def test_no_modules_import_each_other_in_a_circle():
    waiting = {path: imports(path) - {path} for path in ROOT.glob("genre/**/*.py")}
    while free := {path for path, used in waiting.items() if not used & waiting.keys()}:
        waiting = {path: used for path, used in waiting.items() if path not in free}
    assert not waiting


@pytest.mark.parametrize(
    ("module", "owners"),
    [
        ("mlflow", {"tracking", "prediction"}),  # prediction: serving alone, which MLflow loads
        ("matplotlib", {"figures"}),
        ("dvc", {"history"}),
        ("sklearn", {"evaluation", "training"}),
    ],
)
def test_a_library_has_its_rooms_and_no_others(module, owners):
    users = {
        path.parent.relative_to(ROOT / "genre").as_posix()
        for path in ROOT.glob("genre/**/*.py")
        if any(name.split(".")[0] == module for name in imported_names(path))
    }
    assert users <= owners


@pytest.mark.parametrize(
    "name", ["genre.audio.reading", "genre.audio.features", "genre.corpus.folder", "genre.console.stage"]
)
def test_reading_and_the_command_line_need_no_torch(name):
    import subprocess
    import sys

    program = f"import sys, {name}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


def test_prediction_ships_neither_the_training_loop_nor_augmentation():
    assert not any(file.startswith("genre/training/") for file in closure(ROOT / "genre/prediction/serving.py"))


def test_an_installed_package_has_every_folder_of_the_code():
    """setuptools finds the folders with an `__init__.py`; a list of them by hand once lacked one."""
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    assert tool["packages"] == {"find": {"include": ["genre*", "stages*"]}}
    for path in [*ROOT.glob("genre/**/*.py"), *ROOT.glob("stages/**/*.py")]:
        assert (path.parent / "__init__.py").is_file(), path
