import pytest
import torch
from torch import nn

from genre.training.averaging import MovingAverage
from tests.genre.training.test_loop import fit


def network():
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


@torch.no_grad()
def test_it_is_the_exponential_moving_average_of_weights_and_statistics_with_a_warm_up():
    torch.manual_seed(0)
    net = network()
    average = MovingAverage(net, 0.5)
    wanted = {name: value.clone().double() for name, value in net.state_dict().items()}
    for step in range(1, 21):
        for value in net.parameters():
            value.add_(torch.randn(value.shape))
        net.train()(torch.randn(5, 2))
        average.update(step)
        keep = min(0.5, (1 + step) / (10 + step))
        wanted = {name: keep * mean + (1 - keep) * net.state_dict()[name] for name, mean in wanted.items()}
    found = average.network.state_dict()
    assert found.pop("1.num_batches_tracked") == 20
    for name, value in found.items():
        torch.testing.assert_close(value.double(), wanted[name], rtol=1e-5, atol=1e-6)


def test_the_network_itself_stays_as_it_is():
    net = network()
    average = MovingAverage(net, 0.9)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    average.update(1)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(parameter.requires_grad for parameter in average.network.parameters())


def test_the_average_is_what_is_evaluated_and_kept(spectrograms):
    raw, _ = fit(spectrograms, keep="last")
    net, state = fit(spectrograms, keep="last", average=0.9)
    assert all(torch.equal(value, raw.state_dict()[name]) for name, value in net.state_dict().items())
    kept = dict(state.best)
    different = [name for name, value in net.state_dict().items() if not torch.equal(value, kept[name])]
    assert any("running_mean" in name for name in different)
    assert len(different) > len(kept) / 2


@pytest.mark.parametrize("choices", [{"average": 0.9}, {"mixup": 0.4}, {"average": 0.9, "mixup": 0.4, "keep": "last"}])
def test_a_killed_training_with_average_or_mixup_ends_with_the_same_bits(spectrograms, tmp_path, choices):
    _, unbroken = fit(spectrograms, **choices)

    def kill(row):
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(spectrograms, **choices, checkpoint_path=tmp_path / "c.pt", key="x", on_epoch=kill)
    _, resumed = fit(spectrograms, **choices, checkpoint_path=tmp_path / "c.pt", key="x")
    assert resumed.history == unbroken.history
    assert all(torch.equal(resumed.best[name], unbroken.best[name]) for name in unbroken.best)
