"""musicnn: a network that was trained to tag the Million Song Dataset, with a head that is fitted to the genres.

Pons and Serra, "musicnn: Pre-trained convolutional neural networks for music audio tagging", 2019, arXiv:1909.06654.
The trunk is their model `MSD_musicnn`; the head, a linear layer on its features, is fitted to the genres. The trunk
stays as published unless it is trained on (`train.trunk_rate`). The published weights are files of the Python package
`musicnn`. It is installed without its requirements and never imported: `load_pretrained` reads the files.

In shapes, a `frame` is 16 ms, and `mel` one of 96 bands from 0 to 8 kHz.
"""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from genre.network.tensorflow_checkpoint import read_tensors

LICENCE = "ISC; copyright (c) Music Technology Group, Universitat Pompeu Fabra 2019; code developed by Jordi Pons"
CITATION = (
    "Jordi Pons and Xavier Serra (2019): musicnn: Pre-trained convolutional neural networks for music audio tagging. "
    "arXiv:1909.06654"
)
TIMBRE_FILTERS = ((7, 38, 204), (7, 67, 204))  # frames, mel bands, channels
RHYTHM_FILTERS = ((128, 1, 51), (64, 1, 51), (32, 1, 51))
FRONT_CHANNELS = sum(channels for _, _, channels in TIMBRE_FILTERS + RHYTHM_FILTERS)  # 561
MIDDLE_CHANNELS = 64
POOLED = 2 * (FRONT_CHANNELS + 3 * MIDDLE_CHANNELS)  # 1506: maximum and mean of 753 channels
FEATURES = 200
TAGS = (
    "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s", "alternative rock", "jazz",
    "beautiful", "metal", "chillout", "male vocalists", "classic rock", "soul", "indie rock", "Mellow", "electronica",
    "80s", "folk", "90s", "chill", "instrumental", "punk", "oldies", "blues", "hard rock", "ambient", "acoustic",
    "experimental", "female vocalist", "guitar", "Hip-Hop", "70s", "party", "country", "easy listening", "sexy",
    "catchy", "funk", "electro", "heavy metal", "Progressive rock", "60s", "rnb", "indie pop", "sad", "House", "happy",
)  # fmt: skip
EPSILON = 1e-3  # of batch norm, Keras's default
FLOOR_DECIBELS = 80.0  # what 0 stands for in a stored spectrogram, below the track's peak
# The store keeps no track's level, so every track is taken to have the same one. This peak power is the median of the
# recordings that the recipe was chosen on, at full scale 1; a model then says the same of a quieter copy.
PEAK_POWER = 80.0
CLIPS_AT_ONCE = 2  # the front end makes 9 MB a clip: more clips at once leave the cache and take twice the time


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


class Trunk(nn.Module):
    """The published network: filters shaped after timbre and rhythm, three layers over time, pooling, tags."""

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
        self.tags = nn.Linear(FEATURES, len(TAGS))

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


class Musicnn(nn.Module):
    """The trunk and a head for the genres: computes logits for clips of the store, as the other networks do.

    The trunk's batch norms keep their published statistics in training too: batches of few tracks would give others.
    """

    def __init__(self, *, genres: int) -> None:
        super().__init__()
        self.trunk = Trunk()
        self.head = nn.Linear(FEATURES, genres)

    def train(self, mode: bool = True) -> "Musicnn":
        """Sets the head to training or evaluation; the trunk is always in evaluation mode, which has gradients too."""
        super().train(mode)
        self.trunk.eval()
        return self

    def forward(self, mel_specgram: Tensor) -> Tensor:
        """Computes logits: `(batch, mel, frame)` in 0..1 -> `(batch, genre)`."""
        logits: Tensor = self.head(self.features(mel_specgram))
        return logits

    def features(self, mel_specgram: Tensor) -> Tensor:
        """Computes what the head learns from: `(batch, mel, frame)` in 0..1 -> `(batch, 200)`."""
        log_mel = compressed_power(mel_specgram).transpose(1, 2)  # (batch, frame, mel)
        return torch.cat([self.trunk(clips) for clips in torch.split(log_mel, CLIPS_AT_ONCE)])


def compressed_power(mel_specgram: Tensor) -> Tensor:
    """Turns stored values in 0..1 (decibels below the track's peak) into `log10(10 000 p + 1)`, the trunk's input.

    What the store's floor of -80 dB hides would be below 0.004 here, where the loudest values are about 6.
    """
    power = PEAK_POWER * 10 ** (FLOOR_DECIBELS / 10 * (mel_specgram - 1))
    return torch.log10(10_000 * power + 1)


def load_pretrained(prefix: str | None = None) -> Trunk:
    """Makes the trunk with the published weights, in evaluation mode.

    Args:
        prefix: Where the TensorFlow checkpoint is, without `.index`; None takes `MSD_musicnn` of the package `musicnn`.

    Raises:
        ValueError: The package is not installed, or its files are damaged.
    """
    tensors = read_tensors(prefix or installed_weights(), lambda name: "Adam" not in name)
    trunk = Trunk()
    # TensorFlow numbers the layers of a kind in the order in which the network uses them.
    blocks = [*trunk.front, *trunk.middle]
    norms = [trunk.norm, *(block.norm for block in blocks), trunk.pooled_norm, trunk.dense_norm]
    for number, block in enumerate(blocks):
        kernel = tensors[_numbered("conv2d", number) + "/kernel"]  # (frame, mel or input, 1, output)
        axes = (3, 2, 0, 1) if number < len(trunk.front) else (3, 1, 0, 2)
        _set(block.convolution.weight, kernel.transpose(axes))
        _set(block.convolution.bias, tensors[_numbered("conv2d", number) + "/bias"])
    for number, norm in enumerate(norms):
        names = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
        for ours, theirs in names.items():
            _set(getattr(norm, ours), tensors[f"{_numbered('batch_normalization', number)}/{theirs}"])
    for number, layer in enumerate((trunk.dense, trunk.tags)):
        _set(layer.weight, tensors[_numbered("dense", number) + "/kernel"].T)
        _set(layer.bias, tensors[_numbered("dense", number) + "/bias"])
    return trunk.eval()


def installed_weights() -> str:
    """Finds the checkpoint in the installed package `musicnn`, without importing it.

    Raises:
        ValueError: The package is not installed.
    """
    try:
        folder = Path(str(distribution("musicnn").locate_file("musicnn")))
    except PackageNotFoundError:
        raise ValueError(
            "model.network musicnn needs the package musicnn, whose files hold the weights; "
            "install it with `uv pip install --no-deps musicnn`"
        ) from None
    return f"{folder / 'MSD_musicnn'}/"  # the files have no name before the dot


def _numbered(layer: str, number: int) -> str:
    """Names a layer as TensorFlow does: the first of its kind has no number."""
    return f"{layer}_{number}" if number else layer


def _set(target: Tensor, values: npt.NDArray[np.float32]) -> None:
    with torch.no_grad():
        target.copy_(torch.from_numpy(values.copy()))
