import hashlib
import pickle

import pytest
import torch

from genre.network import model_file, unet

TINY = {
    "n_mels": 32,
    "clip_frames": 64,
    "network": "normalised",
    "base_channels": 2,
    "activation": "relu",
    "dropout": 0.3,
}
CONTENT = {
    "genres": ["a", "b", "c"],
    "clip_params": {"clips_per_track": 5, "clip_frames": 64, "clip_spacing": "even"},
    "spectrogram": {"sample_rate": 22050, "n_fft": 2048, "hop_length": 1024, "n_mels": 32},
}


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_reference_has_exactly_its_published_size():
    network = unet.GenreNet(genres=10, n_mels=256, clip_frames=256, network="reference")
    statistics = sum(buffer.numel() for name, buffer in network.named_buffers() if "running" in name)
    assert (parameters(network), statistics) == (3_445_690, 480)


def test_the_default_has_3_1_million_parameters():
    assert parameters(unet.GenreNet(genres=10, n_mels=128, clip_frames=128)) == 3_125_018


@pytest.mark.parametrize("network", ["normalised", "reference"])
@pytest.mark.parametrize("activation", ["relu", "prelu"])
def test_every_parameter_gets_a_gradient(network, activation):
    torch.manual_seed(0)
    net = unet.GenreNet(genres=3, **{**TINY, "network": network, "activation": activation})
    net(torch.rand(4, 32, 64)).logsumexp(1).sum().backward()
    without = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_prelu_adds_a_parameter_for_each_channel_it_is_on():
    relu = unet.GenreNet(genres=3, **TINY)
    prelu = unet.GenreNet(genres=3, **{**TINY, "activation": "prelu"})
    assert parameters(prelu) > parameters(relu)


@pytest.mark.parametrize("network", ["normalised", "reference"])
def test_a_batch_gives_what_its_clips_give_alone(network):
    net = unet.GenreNet(genres=3, **{**TINY, "network": network}).eval()
    clips = torch.rand(5, 32, 64)
    torch.testing.assert_close(net(clips), torch.cat([net(clip[None]) for clip in clips]), atol=1e-5, rtol=1e-4)


def test_clips_of_any_length_fit_the_normalised_network():
    net = unet.GenreNet(genres=3, **TINY).eval()
    assert net(torch.rand(2, 32, 160)).shape == (2, 3)


@pytest.mark.parametrize("name", ["n_mels", "clip_frames"])
def test_sides_that_do_not_halve_five_times_are_refused(name):
    with pytest.raises(ValueError, match=rf"{name} must be a multiple of 32, got 100"):
        unet.GenreNet(genres=3, **{**TINY, name: 100})


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
    with pytest.raises(ValueError, match=r"model\.pt must be a model file of this project: "):
        model_file.load(path)
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("change", ["nan", "type", "huge", "no number", "lacking"])
def test_weights_and_sizes_that_do_not_fit_are_refused_and_take_no_memory(tmp_path, change):
    path, weights, sizes = tmp_path / "model.pt", unet.GenreNet(genres=3, **TINY).state_dict(), dict(TINY)
    first = next(iter(weights))
    if change == "nan":
        weights[first][0] = torch.nan
    elif change == "type":
        weights[first] = weights[first].double()
    elif change == "lacking":
        del weights[first]
    else:
        sizes["base_channels"] = 1 << 16 if change == "huge" else "many"  # 200 TB, if it were believed
    torch.save({"weights": weights, "network_params": sizes, **CONTENT}, path)
    with pytest.raises(ValueError, match=r"model\.pt must be a model file of this project: "):
        model_file.load(path)


def test_a_missing_model_says_how_to_make_it(tmp_path):
    with pytest.raises(ValueError, match="is missing; `dvc repro train` makes it"):
        model_file.load(tmp_path / "none.pt")


def test_a_model_without_a_part_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match="must hold sizes, genres, cutting, spectrogram, got sizes"):
        model_file.save(tmp_path / "m.pt", unet.GenreNet(genres=3, **TINY), network_params=TINY)
