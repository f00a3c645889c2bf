"""musicnn's layers with random weights; and the published weights, where the package that holds them is installed."""

from importlib.metadata import PackageNotFoundError, distribution

import numpy as np
import pytest
import torch

from genre.audio import mel
from genre.network.musicnn import weights
from genre.network.musicnn.msd_musicnn import Block, MsdMusicnn
from genre.network.musicnn.msd_vgg import MsdVgg
from genre.network.musicnn.network import FEATURES, Musicnn, Trunk, compressed_power, load_pretrained
from genre.network.params import MUSICNN_SPECTROGRAM
from tests.genre.network.musicnn.test_tensorflow_checkpoint import write_checkpoint

TAGS = (
    "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s", "alternative rock", "jazz",
    "beautiful", "metal", "chillout", "male vocalists", "classic rock", "soul", "indie rock", "Mellow", "electronica",
    "80s", "folk", "90s", "chill", "instrumental", "punk", "oldies", "blues", "hard rock", "ambient", "acoustic",
    "experimental", "female vocalist", "guitar", "Hip-Hop", "70s", "party", "country", "easy listening", "sexy",
    "catchy", "funk", "electro", "heavy metal", "Progressive rock", "60s", "rnb", "indie pop", "sad", "House", "happy",
)  # fmt: skip


def randomised(network: torch.nn.Module) -> torch.nn.Module:
    """Fills weights and statistics with random numbers; the scales of the batch norms have both signs."""
    generator = torch.Generator().manual_seed(0)
    for name, value in network.state_dict().items():
        if value.is_floating_point():
            value.normal_(0, 0.1, generator=generator)
            if name.endswith("running_var"):
                value.abs_().add_(0.5)
    return network.eval()


def clips(batch: int = 2, frames: int = 160) -> torch.Tensor:
    return torch.rand(batch, 96, frames, generator=torch.Generator().manual_seed(1))


def test_the_networks_have_as_many_parameters_as_the_published_ones_without_their_tags():
    sizes = [sum(parameter.numel() for parameter in network.parameters()) for network in (MsdMusicnn(), MsdVgg())]
    assert sizes == [787_159 - 200 * 50 - 50, 592_898]


@pytest.mark.parametrize("frames", [32, 64, 187, 192])
def test_clips_of_any_length_give_a_logit_for_each_genre(frames):
    network = randomised(Musicnn(genres=3))
    with torch.inference_mode():
        assert network(clips(2, frames)).shape == (2, 3)


def test_a_batch_gives_what_its_clips_give_one_by_one():
    network = randomised(Musicnn(genres=3))
    with torch.inference_mode():
        one_by_one = torch.cat([network(clip[None]) for clip in clips()])
        torch.testing.assert_close(network(clips()), one_by_one)


def test_looking_for_the_extreme_before_the_batch_norm_changes_nothing():
    block = randomised(MsdMusicnn()).front[0]
    x = clips()[:, None].transpose(2, 3)
    with torch.inference_mode():
        torch.testing.assert_close(block(x), Block.forward(block, x).amax(dim=3, keepdim=True))


def test_maximum_and_mean_of_each_channel_follow_each_other():
    trunk, pooled = randomised(MsdMusicnn()), []
    trunk.pooled_norm.register_forward_pre_hook(lambda _, inputs: pooled.append(inputs[0]))
    with torch.inference_mode():
        trunk(clips().transpose(1, 2))
        front = torch.cat([block(trunk.norm(clips().transpose(1, 2)[:, None])) for block in trunk.front], dim=1)
    torch.testing.assert_close(pooled[0][:, 0:1122:2], front[..., 0].amax(dim=2))
    torch.testing.assert_close(pooled[0][:, 1:1122:2], front[..., 0].mean(dim=2))


def test_the_loudest_stored_value_is_the_assumed_peak_and_the_floor_is_silence():
    loudest, floor = compressed_power(torch.tensor([1.0, 0.0])).tolist()
    assert loudest == pytest.approx(np.log10(10_000 * 80 + 1))
    assert 0 <= floor < 0.004


def test_the_features_are_those_of_both_networks():
    trunk = randomised(Trunk())
    with torch.inference_mode():
        features, places = trunk(clips().transpose(1, 2)), trunk.vgg.places(clips().transpose(1, 2))
        assert features.shape == (2, FEATURES)
        torch.testing.assert_close(features[:, :200], trunk.musicnn(clips().transpose(1, 2)))
    assert places.shape == (2, 128, 2)
    torch.testing.assert_close(features[:, 200:328], places.mean(dim=2))
    torch.testing.assert_close(features[:, 328:], places.amax(dim=2))


def numbered(layer: str, number: int) -> str:
    return f"{layer}_{number}" if number else layer


def of_norms(norms: list[torch.nn.Module]) -> dict[str, torch.Tensor]:
    tensors = {}
    for number, norm in enumerate(norms):
        name = numbered("batch_normalization", number)
        tensors |= {f"{name}/gamma": norm.weight, f"{name}/beta": norm.bias}
        tensors |= {f"{name}/moving_mean": norm.running_mean, f"{name}/moving_variance": norm.running_var}
    return tensors


def of_msd_musicnn(network: MsdMusicnn) -> dict[str, torch.Tensor]:
    """What a checkpoint of this network holds, with the layers in the order of the published network."""
    blocks = [*network.front, *network.middle]
    tensors = of_norms([network.norm, *(block.norm for block in blocks), network.pooled_norm, network.dense_norm])
    for number, block in enumerate(blocks):
        weight, name = block.convolution.weight, numbered("conv2d", number)
        tensors[f"{name}/kernel"] = weight.permute((2, 3, 1, 0) if number < 5 else (2, 1, 3, 0))
        tensors[f"{name}/bias"] = block.convolution.bias
    return tensors | {"dense/kernel": network.dense.weight.T, "dense/bias": network.dense.bias}


def of_msd_vgg(network: MsdVgg) -> dict[str, torch.Tensor]:
    tensors = of_norms([network.norm, *network.norms])
    for number, convolution in enumerate(network.convolutions, 1):
        tensors |= {
            f"{number}CNN/kernel": convolution.weight.permute(2, 3, 1, 0),
            f"{number}CNN/bias": convolution.bias,
        }
    return tensors


def test_weights_come_back_from_the_checkpoints(tmp_path, monkeypatch):
    trunk = randomised(Trunk())
    published = {"MSD_musicnn": of_msd_musicnn(trunk.musicnn), "MSD_vgg": of_msd_vgg(trunk.vgg)}
    for name, tensors in published.items():
        (tmp_path / name).mkdir()
        tensors |= {"beta1_power": torch.zeros(()), "dense/kernel/Adam": torch.zeros(2)}
        arrays = {key: np.ascontiguousarray(tensor.detach().numpy()) for key, tensor in tensors.items()}
        write_checkpoint(f"{tmp_path / name}/", arrays)
    monkeypatch.setattr(weights, "installed_folder", lambda: tmp_path)
    loaded = load_pretrained()
    assert not loaded.training
    with torch.inference_mode():
        torch.testing.assert_close(loaded(clips().transpose(1, 2)), trunk(clips().transpose(1, 2)), rtol=0, atol=0)


def test_a_missing_package_says_how_to_install_it(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(weights, "distribution", missing)
    with pytest.raises(
        ValueError, match="model.network musicnn needs the package musicnn, whose files hold the weights"
    ):
        weights.installed_folder()


def has_weights() -> bool:
    try:
        return bool(distribution("musicnn"))
    except PackageNotFoundError:
        return False


published = pytest.mark.skipif(not has_weights(), reason="the package musicnn is not installed")


def drum_and_tone() -> np.ndarray:
    """Four seconds of a 440 Hz tone with a decaying burst of noise every half second."""
    time = np.arange(4 * 16_000) / 16_000
    noise = np.random.default_rng(0).standard_normal(len(time))
    sound = 0.3 * np.sin(2 * np.pi * 440 * time) + 0.3 * noise * np.exp(-20 * (time % 0.5))
    return sound.astype(np.float32)


def tags(features: torch.Tensor, checkpoint: str, layer: str) -> list[str]:
    """The two most probable tags, by the layer of a published network that is not part of the trunk."""
    tensors = weights.read_checkpoint(weights.installed_folder() / checkpoint)
    scores = features.numpy() @ tensors[f"{layer}/kernel"] + tensors[f"{layer}/bias"]
    return [TAGS[place] for place in np.argsort(-scores)[:2]]


@published
def test_the_published_weights_give_the_stored_features_and_fitting_tags():
    mel_specgram = torch.from_numpy(mel.log_mel(drum_and_tone(), **MUSICNN_SPECTROGRAM)[:192].T.astype(np.float32))
    log_mel, trunk = compressed_power(mel_specgram[None]).transpose(1, 2), load_pretrained()
    with torch.inference_mode():
        features, places = trunk(log_mel)[0], trunk.vgg.places(log_mel)[0]
    torch.testing.assert_close(
        features[:8], torch.tensor([-0.177, -0.127, -0.285, -0.275, -0.353, 0.820, -0.257, 0.178]), rtol=0, atol=0.01
    )
    torch.testing.assert_close(
        features[200:208], torch.tensor([0.332, 0.686, 0.276, 1.981, 0.407, -0.369, 1.234, 1.156]), rtol=0, atol=0.01
    )
    assert tags(features[:200], "MSD_musicnn", "dense_1") == ["electronic", "electronica"]
    assert tags(places.T.flatten(), "MSD_vgg", "dense") == ["electronic", "dance"]
