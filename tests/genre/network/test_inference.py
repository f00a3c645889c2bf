import numpy as np
import pytest
import torch
from torch import nn

from genre.network import inference
from genre.network.hardware import Hardware
from genre.network.musicnn.network import Musicnn
from genre.network.unet import GenreNet
from tests.genre.network.test_unet import TINY

CPU = Hardware("cpu", "float32", 1)


class Loudness(nn.Module):
    """Two genres: the logits of a clip are its mean value and 0."""

    def forward(self, clips):
        means = clips.mean(dim=(1, 2))
        return torch.stack([means, torch.zeros_like(means)], dim=1)


def test_clips_of_more_than_a_batch_keep_their_order_and_are_float32():
    clips = torch.linspace(-4, 4, inference.BATCH_ON_CPU + 3)[:, None, None].expand(-1, 2, 2).half()
    probabilities = inference.predict(Loudness(), clips, hardware=CPU)
    assert probabilities.dtype == torch.float32
    np.testing.assert_allclose(probabilities[:, 0], torch.sigmoid(clips[:, 0, 0].float()), rtol=1e-5)
    np.testing.assert_allclose(probabilities.sum(dim=1), 1, rtol=1e-6)


def test_prediction_repeats_without_dropout():
    network = GenreNet(genres=3, **{**TINY, "dropout": 0.9}).train()
    clips = torch.rand(4, 32, 64)
    assert torch.equal(*(inference.predict(network, clips, hardware=CPU) for _ in range(2)))


def test_loss_and_accuracy_agree_with_torch():
    clips, labels = torch.randn(10, 3, 3), torch.tensor([0, 1] * 5)
    loss, accuracy = (inference.evaluate(Loudness(), clips, labels, hardware=CPU) / 10).tolist()
    logits = Loudness()(clips)
    assert loss == pytest.approx(float(nn.functional.cross_entropy(logits, labels)), rel=1e-5)
    assert accuracy == pytest.approx(float((logits.argmax(1) == labels).float().mean()))


def test_memory_that_runs_out_in_validation_names_the_parameter(monkeypatch):
    def exhausted(*args, **kwargs):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(GenreNet, "forward", exhausted)
    with pytest.raises(ValueError, match=r"out of memory; lower split\.clip_frames or model\.base_channels"):
        inference.predict(GenreNet(genres=3, **TINY), torch.zeros(1, 32, 64), hardware=CPU)


def test_the_temperature_divides_the_logits():
    clips = torch.linspace(-4, 4, 5)[:, None, None].expand(-1, 2, 2)
    probabilities = inference.predict(Loudness(), clips, hardware=CPU, temperature=2.0)
    np.testing.assert_allclose(probabilities[:, 0], torch.sigmoid(clips[:, 0, 0] / 2), rtol=1e-5)


def test_memory_that_runs_out_for_the_features_of_the_pretrained_network_names_the_parameter(monkeypatch):
    def exhausted(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Musicnn, "features", exhausted)
    with pytest.raises(ValueError, match=r"out of memory; lower split\.clip_frames"):
        inference.compute_features(Musicnn(genres=2), torch.zeros(1, 96, 192), hardware=CPU)
