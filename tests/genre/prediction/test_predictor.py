import json
import os
import sys

import pytest
import soundfile

from genre import cli
from genre.evaluation.merging import merge_clips
from genre.network import model_file, unet
from genre.prediction import predictor
from tests.conftest import RATE, tone
from tests.genre.network.test_model_file import CONTENT
from tests.genre.network.test_unet import TINY


@pytest.fixture
def song(tmp_path):
    path = tmp_path / "a song.ogg"
    soundfile.write(path, tone(440, 12.0), RATE)
    return path


def genre(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["genre", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code


def test_probabilities_are_merged_from_the_clips(model_pt, song):
    predicted = predictor.Predictor(model_pt).predict(song)
    assert predicted.clips.shape == (5, 3)
    assert predicted.probabilities.sum() == pytest.approx(1)
    assert predicted.probabilities == pytest.approx(merge_clips(predicted.clips))
    assert predicted.genre in CONTENT["genres"]
    assert predicted.starts[0] == 0


def test_a_prediction_below_the_threshold_is_unsure_and_the_most_probable_genre_is_still_told(
    monkeypatch, capsys, tmp_path, song
):
    path = tmp_path / "careful.pt"
    careful = CONTENT | {"calibration": {"temperature": 1.0, "unsure_below": 1.01}}
    model_file.save(path, unet.GenreNet(genres=3, **TINY), network_params=TINY, **careful)
    assert genre(monkeypatch, "predict", song, "--model", path) == 0
    assert capsys.readouterr().out.startswith(f"{song}: unsure  (")
    assert genre(monkeypatch, "predict", song, "--json", "--model", path) == 0
    predicted = json.loads(capsys.readouterr().out)
    assert predicted["unsure"] is True
    assert predicted["genre"] in CONTENT["genres"]


def test_the_command_prints_a_line_and_json(monkeypatch, capsys, model_pt, song):
    assert genre(monkeypatch, "predict", song, "--model", model_pt) == 0
    assert capsys.readouterr().out.startswith(f"{song}: ")
    assert genre(monkeypatch, "predict", song, "--json", "--model", model_pt) == 0
    predicted = json.loads(capsys.readouterr().out)
    assert predicted["file"] == str(song)
    assert set(predicted["probabilities"]) == {"a", "b", "c"}
    assert len(predicted["clips"]) == 5


def test_what_is_predicted_over_time_is_drawn_for_one_file(monkeypatch, capsys, tmp_path, model_pt, song):
    png = tmp_path / "predicted.png"
    assert genre(monkeypatch, "predict", song, "--figure", png, "--model", model_pt) == 0
    assert png.read_bytes().startswith(b"\x89PNG")
    other = song.with_name("other.ogg")
    other.write_bytes(song.read_bytes())
    assert genre(monkeypatch, "predict", song, other, "--figure", png, "--model", model_pt) == 2
    assert "--figure must get one recording, got 2; run it once for each" in capsys.readouterr().err
    song.write_bytes(b"no sound")
    assert genre(monkeypatch, "predict", song, "--figure", png, "--model", model_pt) == 2
    assert f"note: {png} was not written: there is no prediction to show" in capsys.readouterr().err
    assert not png.exists()  # that of the earlier call


def test_a_bad_file_gets_its_line_and_the_others_go_on(monkeypatch, capsys, tmp_path, model_pt, song):
    bad, short = tmp_path / "bad.wav", tmp_path / "short.wav"
    bad.write_bytes(b"no sound")
    soundfile.write(short, tone(440, 0.5), RATE)
    assert genre(monkeypatch, "predict", bad, short, tmp_path / "none.wav", song, "--model", model_pt) == 2
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{song}: ")
    errors = printed.err.splitlines()
    assert errors[0] == f"error: {tmp_path / 'none.wav'}: no such file or folder"
    assert errors[1].startswith(f"error: {bad}: cannot be decoded: ")
    assert errors[2] == f"error: {short}: 0.5 s long, a clip takes 3.0 s"


def test_a_cluster_for_the_stages_is_not_asked_for_predictions(monkeypatch, model_pt, song):
    """Its machines would not see a relative path, nor the folder of temporary files."""
    monkeypatch.setenv("GENRE_DASK", "tcp://127.0.0.1:9")
    monkeypatch.chdir(song.parent)
    assert genre(monkeypatch, "predict", song.name, "--model", model_pt) == 0


def test_a_missing_model_is_one_line(monkeypatch, capsys, tmp_path, song):
    assert genre(monkeypatch, "predict", song, "--model", tmp_path / "none.pt") == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        (
            "spectrogram",
            {"sample_rate": 22050, "n_fft": 1 << 40, "hop_length": 1, "n_mels": 32, "f_max": 8000.0},
            r"n_fft must be in 64\.\.32768",
        ),
        ("spectrogram", [], "spectrogram.sample_rate is missing"),
        (
            "clip_params",
            {"clips_per_track": 10**9, "clip_frames": 64, "clip_spacing": "even"},
            r"clips_per_track must be in 1\.\.1000",
        ),
        ("clip_params", {}, "split.clips_per_track is missing"),
        ("clip_params", 5, "object is not iterable"),
        ("genres", [1, 2, 3], r"genres must be names, got 1 \(int\)"),
    ],
)
def test_a_model_file_that_asks_for_the_impossible_is_refused(tmp_path, part, value, message):
    path = tmp_path / "model.pt"
    model_file.save(path, unet.GenreNet(genres=3, **TINY), network_params=TINY, **CONTENT | {part: value})
    with pytest.raises(ValueError, match=rf"model\.pt must be a model file of this project: .*({message})"):
        predictor.Predictor(path)


def test_a_name_that_is_no_text_or_acts_on_a_terminal_is_shown_with_escapes(
    monkeypatch, capsysbinary, tmp_path, model_pt, song
):
    names = [b"\xff.ogg", b"\x1b[2J.ogg", b"a\nb.ogg"]
    paths = [tmp_path / os.fsdecode(name) for name in names]
    for path in paths:
        path.write_bytes(song.read_bytes())
    assert genre(monkeypatch, "predict", *paths, tmp_path / os.fsdecode(b"\xfe.wav"), "--model", model_pt) == 2
    printed = capsysbinary.readouterr()
    assert [line.split(b": ")[0].split(b"/")[-1] for line in printed.out.splitlines()] == [
        rb"\udcff.ogg", rb"\x1b[2J.ogg", rb"a\nb.ogg",
    ]  # fmt: skip
    assert printed.err.count(b"\n") == 1
    assert rb"\udcfe.wav" in printed.err
