"""The network: a U-Net followed by blocks of parallel convolutions, after Patil, Pradeepini and Komati (2023).

J. Big Data 10:108, doi 10.1186/s40537-023-00789-2, in the sizes of Pocelli and Sordetti (2024). Two variants have the
same shape:

- `reference`: theirs, layer by layer, with 3 445 690 trainable parameters for ten genres and clips of 256 x 256.
- `unet`: batch norm after each convolution, and the mean over the last feature maps instead of flattening them,
  so that clips of any length fit the same weights. Dropout is before the classifier alone: between convolutions it
  would give the batch norms behind it another variance in training than in evaluation (Li et al. 2019, CVPR,
  "Understanding the disharmony between dropout and batch normalization").

In the comments `b` is `base_channels`, `H` and `W` are the clip's mel bands and frames.
"""

import torch
from torch import Tensor, nn

HALVINGS = 5  # the stem and the four parallel blocks; both sides of a clip must be multiples of 2**5


class GenreNet(nn.Module):
    """Computes the logits of the genres from clips: `(batch, mel, frame)` -> `(batch, genre)`.

    Raises:
        ValueError: `n_mels` or `clip_frames` is not a multiple of 32.
    """

    def __init__(
        self,
        *,
        genres: int,
        n_mels: int,
        clip_frames: int,
        network: str = "unet",
        base_channels: int = 16,
        activation: str = "relu",
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        for name, size in (("spectrogram.n_mels", n_mels), ("split.clip_frames", clip_frames)):
            if size % 2**HALVINGS:
                raise ValueError(f"{name} must be a multiple of {2**HALVINGS}, got {size}; the network halves it")
        reference, b = network == "reference", base_channels
        blocks = _Blocks(reference=reference, activation=activation, dropout=dropout)
        self.stem = blocks.stem(1, b)
        self.encoder = nn.ModuleList(blocks.encoder(c, 2 * c) for c in (b, 2 * b, 4 * b))
        self.bottleneck = blocks.convolution(8 * b, 16 * b)
        self.upward = nn.ModuleList(blocks.upward(2 * c, c) for c in (8 * b, 4 * b, 2 * b))
        self.decoder = nn.ModuleList(blocks.decoder(2 * c, c) for c in (8 * b, 4 * b, 2 * b))
        self.narrow = blocks.upward(2 * b, b, stride=1)
        self.parallel = nn.ModuleList(
            blocks.parallel(c, d) for c, d in ((b, 2 * b), (4 * b, 4 * b), (8 * b, 8 * b), (16 * b, 16 * b))
        )
        features = 32 * b * (n_mels * clip_frames // 4**HALVINGS if reference else 1)
        self.pool = nn.Flatten() if reference else nn.Sequential(_Mean(), nn.Dropout(dropout))
        self.classify = nn.Linear(features, genres)
        self.apply(_initialise_as_keras if reference else _initialise)

    def forward(self, mel_specgram: Tensor) -> Tensor:
        """Computes logits; the softmax of them are the probabilities."""
        x = self.stem(mel_specgram[:, None])  # (batch, b, H/2, W/2)
        skips = []
        for encoder in self.encoder:  # to (batch, 8b, H/16, W/16)
            skip = encoder(x)
            skips.append(skip)
            x = nn.functional.max_pool2d(skip, 2)
        x = self.bottleneck(x)  # (batch, 16b, H/16, W/16)
        for upward, decoder, skip in zip(self.upward, self.decoder, reversed(skips), strict=True):
            x = decoder(torch.cat([upward(x), skip], dim=1))  # to (batch, 2b, H/2, W/2)
        x = self.narrow(x)  # (batch, b, H/2, W/2)
        for parallel in self.parallel:  # to (batch, 32b, H/32, W/32)
            x = parallel(x)
        logits: Tensor = self.classify(self.pool(x))
        return logits


class _Mean(nn.Module):
    """Global average pooling: `(batch, channel, height, width)` -> `(batch, channel)`."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3))


class _Parallel(nn.Module):
    """Two convolutions side by side on the same input, one of them linear; both halved, concatenated."""

    def __init__(self, activated: nn.Module, linear: nn.Module, dropout: float) -> None:
        super().__init__()
        self.activated, self.linear, self.dropout = activated, linear, nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat([self.activated(x), self.linear(x)], dim=1)
        dropped: Tensor = self.dropout(nn.functional.max_pool2d(both, 2))
        return dropped


class _Blocks:
    """Makes the blocks of one variant. Every convolution is 3 x 3 and keeps the size."""

    def __init__(self, *, reference: bool, activation: str, dropout: float) -> None:
        self.reference, self.activation = reference, activation
        self.dropout = dropout if reference else 0.0

    def _norm(self, channels: int) -> list[nn.Module]:
        # Keras counts momentum from the other side: its 0.99 is 0.01 here.
        return [nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01) if self.reference else nn.BatchNorm2d(channels)]

    def _activation(self, channels: int) -> nn.Module:
        return nn.PReLU(channels) if self.activation == "prelu" else nn.ReLU()

    def convolution(self, inputs: int, outputs: int, *, activated: bool = True) -> nn.Sequential:
        norm = [] if self.reference else self._norm(outputs)
        # A bias before a batch norm is lost in it.
        layers = [nn.Conv2d(inputs, outputs, 3, padding=1, bias=self.reference), *norm]
        return nn.Sequential(*layers, *([self._activation(outputs)] if activated else []))

    def stem(self, inputs: int, outputs: int) -> nn.Sequential:
        norm = self._norm(outputs) if self.reference else []
        return nn.Sequential(self.convolution(inputs, outputs), nn.MaxPool2d(2), *norm, nn.Dropout(self.dropout))

    def encoder(self, inputs: int, outputs: int) -> nn.Sequential:
        norm = self._norm(outputs) if self.reference else []
        convolutions = self.convolution(inputs, outputs), self.convolution(outputs, outputs)
        return nn.Sequential(*convolutions, *norm, nn.Dropout(self.dropout))

    def upward(self, inputs: int, outputs: int, stride: int = 2) -> nn.Sequential:
        layer = nn.ConvTranspose2d(
            inputs, outputs, 3, stride, padding=1, output_padding=stride - 1, bias=self.reference
        )
        return nn.Sequential(layer, *([] if self.reference else [*self._norm(outputs), self._activation(outputs)]))

    def decoder(self, inputs: int, outputs: int) -> nn.Sequential:
        convolutions = self.convolution(inputs, outputs), self.convolution(outputs, outputs)
        return nn.Sequential(nn.Dropout(self.dropout), *convolutions)

    def parallel(self, inputs: int, outputs: int) -> nn.Module:
        activated, linear = (self.convolution(inputs, outputs, activated=activated) for activated in (True, False))
        return _Parallel(activated, linear, self.dropout)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def _initialise_as_keras(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def conv_weights(network: nn.Module) -> list[Tensor]:
    """Returns the weights of all convolutions, which the reference system's L2 penalty is on."""
    return [layer.weight for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
