"""`MSD_vgg`: five convolutions with square filters, as in networks for pictures.

Pons and Serra 2019, arXiv:1909.06654, and the code of their package; after Choi, Fazekas and Sandler 2016,
arXiv:1606.00298. In shapes, a `frame` is 16 ms, and `mel` one of 96 bands from 0 to 8 kHz.
"""

import torch
from torch import Tensor, nn

CHANNELS = 128
FEATURES = 2 * CHANNELS
# Of each layer: frames and mel bands that are pooled, and the steps of both. Of the last six mel bands four are used.
POOLING = (((4, 1), (2, 2)), ((2, 2), (2, 2)), ((2, 2), (2, 2)), ((2, 2), (2, 2)), ((4, 4), (4, 4)))
EPSILON = 1e-3  # of batch norm, Keras's default


class MsdVgg(nn.Module):
    """The published network, without its tags, for clips of any length."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1, eps=EPSILON)
        inputs = (1, *[CHANNELS] * (len(POOLING) - 1))
        self.convolutions = nn.ModuleList(nn.Conv2d(channels, CHANNELS, 3, padding=1) for channels in inputs)
        self.norms = nn.ModuleList(nn.BatchNorm2d(CHANNELS, eps=EPSILON) for _ in POOLING)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Computes mean and maximum of each channel over a clip: `(batch, frame, mel)` -> `(batch, 256)`.

        The last layer has two places for a clip of three seconds, and the published network uses the values of both.
        These features are their mean and maximum instead: they classify genres as accurately, and allow clips of any
        length.

        Args:
            log_mel: `log10(10 000 p + 1)` of the mel power `p` at full scale 1.
        """
        places = self.places(log_mel)
        return torch.cat([places.mean(dim=2), places.amax(dim=2)], dim=1)

    def places(self, log_mel: Tensor) -> Tensor:
        """Computes the last layer, a place for each second: `(batch, frame, mel)` -> `(batch, 128, place)`."""
        x: Tensor = self.norm(log_mel[:, None])  # (batch, 1, frame, mel)
        for convolution, norm, (size, step) in zip(self.convolutions, self.norms, POOLING, strict=True):
            x = norm(convolution(x).relu_())
            x = nn.functional.max_pool2d(x, (min(size[0], x.shape[2]), size[1]), step)  # of a short clip all frames
        return x[..., 0]
