"""The notebook docs/tour.ipynb: it runs without an error, and what its text says is what a run gives."""

import ast
import re

import nbformat
import pytest
from nbclient import NotebookClient

from tests.house import ROOT

NOTEBOOK = ROOT / "docs" / "tour.ipynb"
# What the text says of results, as it is known to the notebook after its last cell.
RESULTS = """
print({
    "pairs": repetitions[["track_a", "track_b"]].to_numpy().tolist(),
    "offsets": repetitions["offset_seconds"].tolist(),
    "recordings": len(marks),
    "by_track": leak["split by track"].tolist(),
    "by_clip": leak["split by clip"].tolist(),
    "shares": tracks["subset"].value_counts(normalize=True).to_dict(),
    "test": scores["test"]["track_accuracy"],
    "test_tracks": len(tested),
    "epochs": len(state.history),
    "temporary_folder_is_left": folder.exists(),
})
"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The notebook after a run of all cells, from the folder docs as a program for notebooks does."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(RESULTS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        for variable in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):  # the user's stay as they are
            patch.setenv(variable, str(tmp_path_factory.mktemp(variable.lower())))
        NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    return notebook


@pytest.fixture
def results(executed):
    return ast.literal_eval(executed.cells[-1].outputs[0].text)


@pytest.mark.slow
def test_every_cell_runs_without_a_warning(executed):
    streams = [
        output for cell in executed.cells for output in cell.get("outputs", []) if output.output_type == "stream"
    ]
    assert streams
    assert not [output.text for output in streams if output.name == "stderr" and "Warning" in output.text]


@pytest.mark.slow
def test_figures_and_the_recording_are_shown(executed):
    shown = [output.data for cell in executed.cells for output in cell.get("outputs", []) if "data" in output]
    assert sum("image/png" in data for data in shown) == 6
    assert sum("<audio" in data.get("text/html", "") for data in shown) == 1


@pytest.mark.slow
def test_the_copy_is_the_only_repetition_and_is_found_at_its_place(results):
    assert results["recordings"] == 49
    assert results["pairs"] == [["reggae.00000", "the copy"]]
    assert results["offsets"] == [pytest.approx(-3, abs=0.05)]


@pytest.mark.slow
def test_a_split_by_clip_gives_higher_figures_than_a_split_by_track(results):
    honest, leaked = results["by_track"], results["by_clip"]
    assert all(clip > track + 0.1 for track, clip in zip(honest, leaked, strict=True))
    assert honest[1] == pytest.approx(0.25, abs=0.1)  # genres by chance


@pytest.mark.slow
def test_the_split_and_the_test_are_as_large_as_the_text_says(results):
    assert results["shares"] == {"train": 0.5, "valid": 0.25, "test": 0.25}
    assert results["test_tracks"] == 12
    assert results["epochs"] == 8


@pytest.mark.slow
def test_the_network_learns_more_than_to_guess(results):
    assert results["test"] > 0.25


@pytest.mark.slow
def test_nothing_is_left_behind(results):
    assert not results["temporary_folder_is_left"]


def test_the_stored_notebook_has_no_outputs():
    cells = [cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in cells)


def test_files_and_parameters_that_the_text_names_exist():
    text = "\n".join(
        cell.source for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "markdown"
    )
    named = set(re.findall(r"`((?:stages|genre|docs|metrics)/[\w./]+|params\.yaml|dvc\.yaml)`", text))
    assert {"stages/train.py", "params.yaml", "dvc.yaml"} <= named
    assert [name for name in named if not (ROOT / name).exists()] == []
