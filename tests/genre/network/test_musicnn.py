"""musicnn's layers with random weights; and the published weights, where the package that holds them is installed."""

from importlib.metadata import PackageNotFoundError, distribution

import numpy as np
import pytest
import torch

from genre.audio import mel
from genre.network.musicnn import (
    FEATURES,
    TAGS,
    Block,
    Musicnn,
    Trunk,
    compressed_power,
    installed_weights,
    load_pretrained,
)
from genre.network.params import MUSICNN_SPECTROGRAM
from tests.genre.network.test_tensorflow_checkpoint import write_checkpoint


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


def test_the_trunk_has_as_many_parameters_as_the_published_network():
    assert sum(parameter.numel() for parameter in Trunk().parameters()) == 787_159


@pytest.mark.parametrize("frames", [64, 187, 192])
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
    block = randomised(Trunk()).front[0]
    x = clips()[:, None].transpose(2, 3)
    with torch.inference_mode():
        torch.testing.assert_close(block(x), Block.forward(block, x).amax(dim=3, keepdim=True))


def test_maximum_and_mean_of_each_channel_follow_each_other():
    trunk, pooled = randomised(Trunk()), []
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


def tensorflow_names(trunk: Trunk) -> dict[str, np.ndarray]:
    """What a checkpoint of this trunk holds, with the layers in the order of the published network."""
    numbered = lambda layer, number: f"{layer}_{number}" if number else layer  # noqa: E731
    tensors = {"beta1_power": torch.zeros(()), "dense/kernel/Adam": torch.zeros(2)}
    blocks = [*trunk.front, *trunk.middle]
    for number, block in enumerate(blocks):
        weight, name = block.convolution.weight, numbered("conv2d", number)
        tensors[f"{name}/kernel"] = weight.permute((2, 3, 1, 0) if number < 5 else (2, 1, 3, 0))
        tensors[f"{name}/bias"] = block.convolution.bias
    norms = [trunk.norm, *(block.norm for block in blocks), trunk.pooled_norm, trunk.dense_norm]
    for number, norm in enumerate(norms):
        name = numbered("batch_normalization", number)
        tensors |= {f"{name}/gamma": norm.weight, f"{name}/beta": norm.bias}
        tensors |= {f"{name}/moving_mean": norm.running_mean, f"{name}/moving_variance": norm.running_var}
    for number, layer in enumerate((trunk.dense, trunk.tags)):
        name = numbered("dense", number)
        tensors |= {f"{name}/kernel": layer.weight.T, f"{name}/bias": layer.bias}
    return {name: np.ascontiguousarray(tensor.detach().numpy()) for name, tensor in tensors.items()}


def test_weights_come_back_from_a_checkpoint(tmp_path):
    trunk = randomised(Trunk())
    write_checkpoint(f"{tmp_path}/", tensorflow_names(trunk))
    loaded = load_pretrained(f"{tmp_path}/")
    assert not loaded.training
    with torch.inference_mode():
        torch.testing.assert_close(loaded(clips().transpose(1, 2)), trunk(clips().transpose(1, 2)), rtol=0, atol=0)


def test_a_missing_package_says_how_to_install_it(monkeypatch):
    def missing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("genre.network.musicnn.distribution", missing)
    with pytest.raises(
        ValueError, match="model.network musicnn needs the package musicnn, whose files hold the weights"
    ):
        installed_weights()


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


@published
def test_the_published_weights_give_the_stored_features():
    mel_specgram = torch.from_numpy(mel.log_mel(drum_and_tone(), **MUSICNN_SPECTROGRAM)[:192].T.astype(np.float32))
    trunk = load_pretrained()
    with torch.inference_mode():
        features = trunk(compressed_power(mel_specgram[None]).transpose(1, 2))[0]
        ranked = trunk.tags(features).argsort(descending=True)[:2].tolist()
    assert features.shape == (FEATURES,)
    torch.testing.assert_close(
        features[:8], torch.tensor([-0.177, -0.127, -0.285, -0.275, -0.353, 0.820, -0.257, 0.178]), rtol=0, atol=0.01
    )
    assert [TAGS[place] for place in ranked] == ["electronic", "electronica"]
