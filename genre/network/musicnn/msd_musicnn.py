"""`MSD_musicnn`: filters shaped after timbre and rhythm, layers over time, pooling.

Pons and Serra 2019, arXiv:1909.06654, and the code of their package. In shapes, a `frame` is 16 ms, and `mel` one of 96
bands from 0 to 8 kHz.
"""

import torch
from torch import Tensor, nn

TIMBRE_FILTERS = ((7, 38, 204), (7, 67, 204))  # frames, mel bands, channels
RHYTHM_FILTERS = ((128, 1, 51), (64, 1, 51), (32, 1, 51))
FRONT_CHANNELS = sum(channels for _, _, channels in TIMBRE_FILTERS + RHYTHM_FILTERS)  # 561
MIDDLE_CHANNELS = 64
POOLED = 2 * (FRONT_CHANNELS + 3 * MIDDLE_CHANNELS)  # 1506: maximum and mean of 753 channels
FEATURES = 200
EPSILON = 1e-3  # of batch norm, Keras's default


class Block(nn.Module):
    """A convolution over time and mel bands, ReLU, then batch norm, in the order of the published network."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], padding: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.pad = nn.ZeroPad2d(padding)
        self.convolution = nn.Conv2d(inputs, outputs, kernel)
        self.norm = nn.BatchNorm2d(outputs, eps=EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """Computes `(batch, inputs, frame, mel)` -> `(batch, outputs, frame, mel)`."""
        normalised: Tensor = self.norm(self.convolution(self.pad(x)).relu())
        return normalised


class FrontBlock(Block):
    """A block of the front end: as many frames leave as enter, and of the mel bands the maximum."""

    def __init__(self, frames: int, mels: int, channels: int) -> None:
        super().__init__(1, channels, (frames, mels), (0, 0, (frames - 1) // 2, frames // 2))

    def forward(self, x: Tensor) -> Tensor:
        """Computes `(batch, 1, frame, mel)` -> `(batch, channel, frame, 1)`.

        A fixed batch norm is a straight line for each channel, so its maximum over the mel bands is at the largest
        input, or at the smallest where the line falls. To look for that first saves a third of the time.
        """
        if self.training:
            return super().forward(x).amax(dim=3, keepdim=True)
        y = self.convolution(self.pad(x))
        rises = (self.norm.weight >= 0)[:, None, None]
        extreme = torch.where(rises, y.amax(dim=3, keepdim=True), y.amin(dim=3, keepdim=True))
        normalised: Tensor = self.norm(extreme.relu())
        return normalised


class MsdMusicnn(nn.Module):
    """The published network without tags: filters shaped after timbre and rhythm, three layers over time, pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1, eps=EPSILON)
        self.front = nn.ModuleList(FrontBlock(*sizes) for sizes in TIMBRE_FILTERS + RHYTHM_FILTERS)
        self.middle = nn.ModuleList(
            Block(inputs, MIDDLE_CHANNELS, (7, 1), (0, 0, 3, 3))
            for inputs in (FRONT_CHANNELS, MIDDLE_CHANNELS, MIDDLE_CHANNELS)
        )
        self.pooled_norm = nn.BatchNorm1d(POOLED, eps=EPSILON)
        self.dense = nn.Linear(POOLED, FEATURES)
        self.dense_norm = nn.BatchNorm1d(FEATURES, eps=EPSILON)

    def forward(self, log_mel: Tensor) -> Tensor:
        """Computes the features before the tags: `(batch, frame, mel)` -> `(batch, 200)`.

        Args:
            log_mel: `log10(10 000 p + 1)` of the mel power `p` at full scale 1.
        """
        x = self.norm(log_mel[:, None])  # (batch, 1, frame, mel)
        layers = [torch.cat([block(x) for block in self.front], dim=1)]  # (batch, 561, frame, 1)
        layers.append(self.middle[0](layers[-1]))  # (batch, 64, frame, 1)
        for block in self.middle[1:]:
            layers.append(layers[-1] + block(layers[-1]))
        channels = torch.cat(layers, dim=1)[..., 0]  # (batch, 753, frame)
        # Maximum and mean of one channel follow each other, as the published weights want them.
        pooled = torch.stack([channels.amax(dim=2), channels.mean(dim=2)], dim=2).flatten(1)  # (batch, 1506)
        features: Tensor = self.dense_norm(self.dense(self.pooled_norm(pooled)).relu())
        return features
