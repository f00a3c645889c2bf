import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import soundfile
import torch

from genre import cli
from genre.network import model_file
from genre.prediction import export, onnx_model, torch_model
from genre.prediction.predictor import Predictor
from tests.architecture import ROOT
from tests.conftest import tone
from tests.genre.network.test_model_file import CONTENT
from tests.genre.network.test_unet import TINY

MUSICNN = {"sample_rate": 16000, "n_fft": 512, "hop_length": 256, "n_mels": 96, "f_max": 8000.0}


def save(path, network, **content):
    """Writes a model with random weights, and batch norm statistics that are not those of a new network."""
    torch.manual_seed(0)
    params = TINY | {"network": network}
    content = CONTENT | content
    if network == "musicnn":
        params, content = params | {"n_mels": 96}, content | {"spectrogram": MUSICNN}
    net = model_file.make_network(params, genres=3)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.uniform_(module.weight, -1, 1)  # also below 0, where a maximum becomes a minimum
    model_file.save(path, net, network_params=params, **content)
    return path


def exports(folder, network):
    """Writes a model and its export."""
    model_pt = save(folder / "model.pt", network)
    assert genre("export", folder / "model.onnx", "--model", model_pt) == 0
    return model_pt, folder / "model.onnx"


def genre(*words):
    """Runs the command in this process, and returns its status."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["genre", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
    return end.value.code


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model and its export; one for all tests, as an export takes seconds."""
    return exports(tmp_path_factory.mktemp("exported"), "unet")


@pytest.fixture
def song(tmp_path):
    path = tmp_path / "a song.flac"
    soundfile.write(path, tone(440, 12.0, 44_100) * np.linspace(0.1, 1, 12 * 44_100), 44_100)
    return path


def check_any_number_of_clips(model_pt, onnx):
    """Compares the probabilities that torch and ONNX Runtime compute of one, two and seven clips."""
    ours, theirs = torch_model.load(model_pt), onnx_model.load(onnx)
    session = onnxruntime.InferenceSession(onnx)
    for count in (1, 2, 7):
        shape = (count, ours.spectrogram.n_mels, ours.clips.clip_frames)
        clips = np.random.default_rng(count).uniform(size=shape).astype(np.float16)
        expected = ours.probabilities(clips)
        assert expected.std(axis=1).min() > 1e-3  # not all the same
        np.testing.assert_allclose(theirs.probabilities(clips), expected, atol=1e-5)
        at_once = session.run(None, {"clips": clips.astype(np.float32)})[0]
        np.testing.assert_allclose(at_once, ours.logits(clips), atol=1e-4)


def test_any_number_of_clips_has_the_probabilities_of_torch(exported):
    check_any_number_of_clips(*exported)


@pytest.mark.slow
@pytest.mark.parametrize("network", ["reference", "musicnn"])
def test_any_number_of_clips_has_the_probabilities_of_torch_with_every_network(tmp_path, song, network):
    model_pt, onnx = exports(tmp_path, network)
    check_any_number_of_clips(model_pt, onnx)
    ours, theirs = (Predictor(path).predict(song) for path in (model_pt, onnx))
    np.testing.assert_allclose(theirs.clips, ours.clips, atol=1e-5)


def test_a_recording_gets_the_same_prediction_from_both_files(exported, song):
    ours, theirs = (Predictor(path).predict(song, step_seconds=1) for path in exported)
    assert ours.genre == theirs.genre
    assert ours.genres == theirs.genres
    np.testing.assert_array_equal(ours.starts, theirs.starts)
    np.testing.assert_allclose(theirs.clips, ours.clips, atol=1e-5)


def test_the_metadata_hold_all_that_predicts_and_tell_how_clips_are_made(exported):
    metadata = onnxruntime.InferenceSession(exported[1]).get_modelmeta().custom_metadata_map
    parts = {name: json.loads(text) for name, text in metadata.items()}
    _, content = model_file.load(exported[0])
    assert {name: parts[name] for name in content} == content
    assert set(parts) - set(content) == {"version", "front_end"}
    assert "Slaney's mel scale" in parts["front_end"]


def test_a_difference_of_logits_counts_where_probabilities_do_not_show_it(monkeypatch, exported):
    model = torch_model.load(exported[0])
    moved = replace(model, logits=lambda clips: model.logits(clips) + 1)
    monkeypatch.setattr(onnx_model, "load", lambda path: moved)
    assert export.largest_difference(*exported) > export.TOLERANCE
    clips = np.random.default_rng(0).random((2, TINY["n_mels"], TINY["clip_frames"]))
    np.testing.assert_allclose(moved.probabilities(clips), model.probabilities(clips), atol=1e-6)


@pytest.mark.slow
def test_the_same_model_gives_the_same_bytes_and_an_export_that_differs_is_refused(
    tmp_path, monkeypatch, capsys, exported
):
    monkeypatch.setattr(export, "largest_difference", different)
    assert genre("export", tmp_path / "again.onnx", "--model", exported[0]) == 2
    assert "again.onnx: must differ from torch's network by at most 0.0001, got 5.0e-01" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    assert exported[1].read_bytes() in SEEN


SEEN = []


def different(model_pt, onnx):
    SEEN.append(onnx.read_bytes())
    return 0.5


def test_an_export_names_no_folder_of_the_machine_that_made_it(exported):
    content = exported[1].read_bytes()
    assert os.fsencode(ROOT) not in content
    assert b"site-packages" not in content


@pytest.mark.parametrize("content", [b"", b"no model", b"PK\3\4 a zip"])
def test_a_file_that_is_no_onnx_is_refused(tmp_path, capfd, content):
    (tmp_path / "a.onnx").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.onnx must be a model that `genre export` wrote: "):
        Predictor(tmp_path / "a.onnx")
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_is_told_with_the_command_that_makes_it(tmp_path):
    with pytest.raises(ValueError, match=r"none\.onnx is missing; `genre export .*none\.onnx` makes it"):
        Predictor(tmp_path / "none.onnx")


def changed(path, **metadata):
    """Writes other metadata into an exported model; None removes an entry."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(path)
    entries = {entry.key: entry.value for entry in model.metadata_props}
    entries |= {name: value if isinstance(value, str) else json.dumps(value) for name, value in metadata.items()}
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {name: value for name, value in entries.items() if value != "null"})
    onnx.save(model, path.with_name("changed.onnx"))
    return path.with_name("changed.onnx")


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"genres": None}, "it has no genres"),
        ({"genres": ["a", "b"]}, r"take clips of \[.*\] and give logits of \[2\], got .*; export the model again"),
        ({"genres": "{"}, "take clips"),
        ({"genres": [1, 2, 3]}, r"genres must be names, got 1 \(int\)"),
        ({"calibration": {"temperature": 0, "unsure_below": 0}}, "a temperature above 0 and a threshold, got"),
        ({"calibration": {"temperature": 1}}, "it has no unsure_below"),
        ({"calibration": 5}, "not subscriptable"),
        ({"spectrogram": {}}, "spectrogram.sample_rate is missing"),
        ({"clip_params": CONTENT["clip_params"] | {"clip_frames": 96}}, r"take clips of \[.*, 96\]"),
    ],
)
def test_metadata_that_do_not_fit_are_refused(exported, metadata, message):
    with pytest.raises(ValueError, match=rf"changed\.onnx must .*{message}"):
        Predictor(changed(exported[1], **metadata))


def test_temperature_and_threshold_go_with_the_model(exported, song):
    calibrated = changed(exported[1], calibration={"temperature": 1e-3, "unsure_below": 1.01})
    plain, sharp = (Predictor(path).predict(song) for path in (exported[1], calibrated))
    assert sharp.unsure
    assert not plain.unsure
    assert sharp.clips.max() > plain.clips.max()


def test_another_suffix_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(ValueError, match=r"the name of an exported model must end in \.onnx, got .*model\.pt"):
        export.export(save(tmp_path / "model.pt", "unet"), tmp_path / "other" / "model.pt")
    assert not (tmp_path / "other").exists()


HEAVY = ("torch", "torchaudio", "mlflow", "dvc", "pandas", "sklearn", "matplotlib", "onnx", "onnxscript", "requests")


# A machine without these libraries: what imports one of them fails.
WITHOUT = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {HEAVY}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
from genre.cli import main
main()
"""


def without_libraries(*words):
    command = [sys.executable, "-c", WITHOUT, *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_an_exported_model_predicts_where_none_of_the_pipeline_s_libraries_is_installed(exported, song):
    done = without_libraries("predict", song, "--json", "--model", exported[1])
    assert (done.returncode, done.stderr) == (0, "")
    expected, predicted = Predictor(exported[0]).predict(song), json.loads(done.stdout)
    assert predicted["genre"] == expected.genre
    assert predicted["probabilities"] == pytest.approx(expected.by_genre(), abs=2e-4)


def test_the_page_needs_none_of_them_and_the_figure_says_what_it_needs_before_the_work(exported, song, tmp_path):
    page, figure = tmp_path / "a.html", tmp_path / "a.png"
    done = without_libraries("predict", song, "--model", exported[1], "--html", page)
    assert (done.returncode, done.stderr) == (0, "")
    assert song.name in page.read_text()
    done = without_libraries("predict", song, "--model", exported[1], "--figure", figure)
    assert (done.returncode, done.stdout) == (2, "")
    assert "error: this needs the package" in done.stderr


def test_what_needs_another_library_says_how_to_install_it(exported, song):
    done = without_libraries("predict", song, "--model", exported[0])
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "this needs the package torch, which is not installed here; " in done.stderr
    assert "pip install '.[pipeline]'" in done.stderr
