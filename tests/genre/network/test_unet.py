import pytest
import torch

from genre.network import unet

TINY = {
    "n_mels": 32,
    "clip_frames": 64,
    "network": "unet",
    "base_channels": 2,
    "activation": "relu",
    "dropout": 0.3,
}


def parameters(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_the_reference_has_exactly_its_published_size():
    network = unet.GenreNet(genres=10, n_mels=256, clip_frames=256, network="reference")
    statistics = sum(buffer.numel() for name, buffer in network.named_buffers() if "running" in name)
    assert (parameters(network), statistics) == (3_445_690, 480)


def test_the_default_has_3_1_million_parameters():
    assert parameters(unet.GenreNet(genres=10, n_mels=128, clip_frames=128)) == 3_125_018


@pytest.mark.parametrize("network", ["unet", "reference"])
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


@pytest.mark.parametrize("network", ["unet", "reference"])
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
