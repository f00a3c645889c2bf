"""dvc.yaml is the architecture: what it declares is what the code does."""

import ast
import shlex
from pathlib import Path

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
PIPELINE = YAML(typ="safe").load(ROOT / "dvc.yaml")
STAGES = PIPELINE["stages"]
ORDER = ["download", "split", "spectrogram", "train", "evaluate", "plots"]


def module_file(name: str) -> Path | None:
    """Gives the file of a module of this project, or None for others."""
    path = ROOT / (name.replace(".", "/") + ".py")
    return path if name.split(".", maxsplit=1)[0] in ("genre", "stages") and path.exists() else None


def imports(path: Path) -> set[Path]:
    """Lists the project's modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        found |= {file for name in names if (file := module_file(name or ""))}
    return found


def closure(path: Path) -> set[str]:
    """Lists all that a file imports, directly or not, and the file itself."""
    known, waiting = set(), [path]
    while waiting:
        current = waiting.pop()
        if current not in known:
            known.add(current)
            waiting += imports(current)
    return {str(file.relative_to(ROOT)) for file in known}


def paths(entries: list) -> set[str]:
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}


def outputs(stage: dict) -> set[str]:
    return paths([*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])])


def loaded_sections(path: Path) -> set[str]:
    """Lists the sections that a stage asks its settings for."""
    return {
        node.args[0].id.lower()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "load"
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "settings"
        and isinstance(node.args[0], ast.Name)
    }


def test_the_six_stages_each_have_a_script_a_description_and_nothing_else():
    assert sorted(STAGES) == sorted(ORDER)
    assert sorted(path.stem for path in (ROOT / "stages").glob("[!_]*.py")) == sorted(ORDER)
    assert all(stage["desc"] for stage in STAGES.values())


@pytest.mark.parametrize("name", ORDER)
def test_every_module_a_stage_imports_is_among_its_deps(name):
    declared = {path for path in paths(STAGES[name]["deps"]) if path.endswith(".py")}
    assert declared == closure(ROOT / "stages" / f"{name}.py")


@pytest.mark.parametrize("name", ORDER)
def test_the_params_of_a_stage_are_the_sections_it_loads(name):
    assert set(STAGES[name]["params"]) == loaded_sections(ROOT / "stages" / f"{name}.py")


@pytest.mark.parametrize("name", ORDER)
def test_every_path_on_the_command_line_is_declared_and_no_dep_is_left_over(name):
    words = shlex.split(STAGES[name]["cmd"])
    assert words[:3] == ["python", "-m", f"stages.{name}"]
    declared = outputs(STAGES[name]) | {p for p in paths(STAGES[name]["deps"]) if not p.endswith(".py")}
    for word in words[3:]:
        assert word in declared or any(path.startswith(f"{word}/") for path in declared), word
    for path in declared - {"data/gtzan"}:
        assert path in words[3:] or any(path.startswith(f"{word}/") for word in words[3:]), path


def ancestors(name: str) -> set[str]:
    """Lists the stages that a stage depends on, directly or not."""
    direct = {other for other in ORDER if outputs(STAGES[other]) & paths(STAGES[name]["deps"])}
    return direct.union(*(ancestors(other) for other in direct))


def test_a_change_reruns_what_it_changes_and_no_more():
    assert "split" not in ancestors("spectrogram")
    assert not any("train" in ancestors(name) for name in ("download", "split", "spectrogram"))
    users = {name for name in ORDER if "genre/figures.py" in STAGES[name]["deps"]}
    assert users == {"plots"}


def test_no_stage_imports_a_stage_and_genre_imports_none():
    for path in [*ROOT.glob("stages/*.py"), *ROOT.glob("genre/*.py")]:
        assert not any(file.parent.name == "stages" for file in imports(path)), path


@pytest.mark.parametrize(
    ("module", "owners"),
    [
        ("mlflow", {"runs", "registry"}),
        ("matplotlib", {"drawing", "figures", "mel_figures"}),
        ("soundfile", {"audio"}),
        ("dvc", {"revisions"}),
    ],
)
def test_a_library_has_its_importers_and_no_others(module, owners):
    users = {
        path.stem
        for path in ROOT.glob("genre/*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.Import) and any(alias.name.split(".")[0] == module for alias in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == module)
    }
    assert users == owners


def test_what_the_plots_show_exists_as_an_output():
    declared = set().union(*(outputs(stage) for stage in STAGES.values()))
    for plot in PIPELINE["plots"]:
        if isinstance(plot, str):
            assert plot in declared
        else:
            (options,) = plot.values()
            assert all(path in declared or str(Path(path).parent) in declared for path in options["y"])
