"""The moving average of a network's weights, which is often more accurate than the weights themselves."""

import copy

import torch
from torch import Tensor, nn


class MovingAverage:
    """Exponential moving average of the weights, and of the statistics of batch norms, which belong to them.

    After step `t`, counted from 1, the average keeps `min(decay, (1 + t) / (10 + t))` of itself, so that the first,
    random weights are soon forgotten (as `tf.train.ExponentialMovingAverage` does with its number of updates).

    Attributes:
        network: A copy of the network, with the averages as its weights.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network, self.decay = copy.deepcopy(network).requires_grad_(False), decay
        pairs = list(zip(_values(self.network), _values(network), strict=True))
        self._floats = [pair for pair in pairs if pair[0].is_floating_point()]
        self._counts = [pair for pair in pairs if not pair[0].is_floating_point()]  # batches that a batch norm has seen

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Takes the weights after a step into the average; steps are counted from 1, over all epochs."""
        keep = min(self.decay, (1 + step) / (10 + step))
        means, values = (list(part) for part in zip(*self._floats, strict=True))
        torch._foreach_lerp_(means, values, 1 - keep)
        for count, value in self._counts:
            count.copy_(value)


def _values(network: nn.Module) -> list[Tensor]:
    return list(network.state_dict().values())
