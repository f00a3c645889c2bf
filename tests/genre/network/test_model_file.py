import hashlib
import pickle

import pytest
import torch

from genre.network import model_file, unet
from tests.genre.network.test_unet import TINY

CONTENT = {
    "genres": ["a", "b", "c"],
    "clip_params": {"clips_per_track": 5, "clip_frames": 64, "clip_spacing": "even"},
    "spectrogram": {"sample_rate": 22050, "n_fft": 2048, "hop_length": 1024, "n_mels": 32, "f_max": 8000.0},
    "calibration": {"temperature": 1.0, "unsure_below": 0.0},
    "credits": {},
}


def test_a_saved_model_predicts_the_same_and_its_bytes_repeat(tmp_path):
    net = unet.GenreNet(genres=3, **TINY).eval()
    for name in ("one.pt", "two.pt"):
        model_file.save(tmp_path / name, net, network_params=TINY, **CONTENT)
    loaded, content = model_file.load(tmp_path / "one.pt")
    clips = torch.rand(2, 32, 64)
    assert torch.equal(loaded(clips), net(clips))
    assert content == {"network_params": TINY, **CONTENT}
    sums = {hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("one.pt", "two.pt")}
    assert len(sums) == 1


class Hostile:
    def __reduce__(self):
        return (open, ("owned", "w"))


@pytest.mark.parametrize("content", ["pickle", "torch", "noise", "empty", "other"])
def test_a_file_that_is_no_model_is_refused_and_runs_nothing(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "model.pt"
    if content == "pickle":
        path.write_bytes(pickle.dumps(Hostile()))
    elif content == "torch":
        torch.save({"weights": Hostile()}, path)
    elif content == "other":
        torch.save({"weights": {}}, path)
    else:
        path.write_bytes(b"PK\3\4 noise" * (content == "noise"))
    reason = {"other": "it has no network_params, genres, ", "empty": "it is not a whole zip archive"}.get(
        content, "it is (damaged, or of another program|not a whole zip archive, as torch writes them)"
    )
    with pytest.raises(ValueError, match=rf"model\.pt must be a model file of this project: {reason}"):
        model_file.load(path)
    assert not (tmp_path / "owned").exists()


OTHER_WEIGHTS = "its weights are those of another network, or of another version of this project"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("nan", "a weight is no number"),
        ("type", "a weight is no number, or of another type"),
        ("huge", "its dimensions are beyond its weights"),
        ("no number", "it is damaged"),
        ("lacking", OTHER_WEIGHTS),
        ("more", OTHER_WEIGHTS),
    ],
)
def test_weights_and_sizes_that_do_not_fit_are_refused_and_take_no_memory(tmp_path, change, reason):
    path, weights, sizes = tmp_path / "model.pt", unet.GenreNet(genres=3, **TINY).state_dict(), dict(TINY)
    first = next(iter(weights))
    if change == "nan":
        weights[first][0] = torch.nan
    elif change == "type":
        weights[first] = weights[first].double()
    elif change == "lacking":
        del weights[first]
    elif change == "more":
        weights["tags.bias"] = torch.zeros(50)
    else:
        sizes["base_channels"] = 1 << 16 if change == "huge" else "many"  # 200 TB, if it were believed
    torch.save({"weights": weights, "network_params": sizes, **CONTENT}, path)
    with pytest.raises(ValueError, match=rf"model\.pt must be a model file of this project: {reason}"):
        model_file.load(path)


def test_a_missing_model_says_how_to_make_it(tmp_path):
    with pytest.raises(
        ValueError, match="is missing; run in the repository.s root, or name another with --model; `dvc repro` makes it"
    ):
        model_file.load(tmp_path / "none.pt")
