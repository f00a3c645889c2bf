"""musicnn: a network that was trained to tag a million songs, with a head that learns the genres at hand.

Pons and Serra, "musicnn: Pre-trained convolutional neural networks for music audio tagging", 2019, arXiv:1909.06654.
The trunk is theirs (model `MSD_musicnn`, trained on 200 000 songs of the Million Song Dataset) and stays as published;
only the head is fitted to the genres. Their weights are files of the Python package `musicnn`, which is installed
without its requirements and never imported: `load_pretrained` reads the files.

In shapes, `frame` is 16 ms and `mel` one of 96 bands from 0 to 8 kHz.
"""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from genre.network.tensorflow_checkpoint import read_tensors

LICENCE = "ISC, Copyright (c) Music Technology Group, Universitat Pompeu Fabra 2019, code developed by Jordi Pons"
CITATION = (
    "Jordi Pons and Xavier Serra: musicnn: Pre-trained convolutional neural networks for music audio tagging. "
    "Late-breaking/demo session, ISMIR 2019. arXiv:1909.06654"
)
# What the spectrograms must be computed with: the trunk learned from these.
SPECTROGRAM = {"sample_rate": 16_000, "n_fft": 512, "hop_length": 256, "n_mels": 96}
CLIP_FRAMES = 187  # 3 s, as in its training; the trunk pools over time, so other lengths fit too

TIMBRES = ((7, 38, 204), (7, 67, 204))  # frames, mel bands, channels
RHYTHMS = ((128, 1, 51), (64, 1, 51), (32, 1, 51))
FRONT_CHANNELS = sum(channels for *_, channels in TIMBRES + RHYTHMS)  # 561
MIDDLE_CHANNELS = 64
POOLED = 2 * (FRONT_CHANNELS + 3 * MIDDLE_CHANNELS)  # 1506: maximum and mean of 753 channels
PENULTIMATE = 200
EPSILON = 1e-3  # of batch norm in Keras
FLOOR_DECIBELS = 80.0  # of the stored spectrograms
TAGS = (
    "rock pop alternative indie electronic female_vocalists dance 00s alternative_rock jazz beautiful metal chillout "
    "male_vocalists classic_rock soul indie_rock Mellow electronica 80s folk 90s chill instrumental punk oldies blues "
    "hard_rock ambient acoustic experimental female_vocalist guitar Hip-Hop 70s party country easy_listening sexy "
    "catchy funk electro heavy_metal Progressive_rock 60s rnb indie_pop sad House happy"
).split()


class Block(nn.Module):
    """A convolution over time and mel bands, ReLU, then batch norm: the order of the published network."""

    def __init__(self, inputs: int, outputs: int, kernel: tuple[int, int], *, padding: str | tuple[int, int]) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, kernel, padding=padding)
        self.norm = nn.BatchNorm2d(outputs, eps=EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        """Computes `(batch, inputs, frame, mel)` -> `(batch, outputs, frame, mel)`."""
        normalised: Tensor = self.norm(self.convolution(x).relu())
        return normalised


class Trunk(nn.Module):
    """The published network: musically motivated filters, three dense layers over time, pooling, tags."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1, eps=EPSILON)
        self.timbres = nn.ModuleList(Block(1, c, (t, f), padding=(t // 2, 0)) for t, f, c in TIMBRES)
        self.rhythms = nn.ModuleList(Block(1, c, (t, f), padding="same") for t, f, c in RHYTHMS)
        self.middle = nn.ModuleList(
            Block(inputs, MIDDLE_CHANNELS, (7, 1), padding=(3, 0))
            for inputs in (FRONT_CHANNELS, MIDDLE_CHANNELS, MIDDLE_CHANNELS)
        )
        self.pooled_norm = nn.BatchNorm1d(POOLED, eps=EPSILON)
        self.dense = nn.Linear(POOLED, PENULTIMATE)
        self.dense_norm = nn.BatchNorm1d(PENULTIMATE, eps=EPSILON)
        self.tags = nn.Linear(PENULTIMATE, len(TAGS))

    def forward(self, log_mel: Tensor) -> tuple[Tensor, Tensor]:
        """Computes the features of clips `(batch, frame, mel)`, `log10(10 000 power + 1)`.

        Returns:
            `(batch, 1506)`, the maximum and the mean over time of 753 channels, interleaved, and `(batch, 200)`, the
            layer before the tags.
        """
        x = self.norm(log_mel[:, None])  # (batch, 1, frame, mel)
        front = torch.cat([block(x).amax(dim=3) for block in (*self.timbres, *self.rhythms)], dim=1)
        layers = [front[:, :, :, None]]  # (batch, channel, frame, 1)
        for number, block in enumerate(self.middle):
            layers.append(block(layers[-1]) + (layers[-1] if number else 0))
        channels = torch.cat(layers, dim=1)[..., 0]  # (batch, 753, frame)
        pooled = torch.stack([channels.amax(dim=2), channels.mean(dim=2)], dim=2).flatten(1)
        penultimate = self.dense_norm(self.dense(self.pooled_norm(pooled)).relu())
        return pooled, penultimate


def load_pretrained(name: str = "MSD_musicnn") -> Trunk:
    """Makes the trunk with the published weights, in evaluation mode.

    Raises:
        ValueError: The package `musicnn` is not installed, or its files are damaged.
    """
    tensors = read_tensors(weights_prefix(name), lambda tensor: "Adam" not in tensor)
    trunk = Trunk()
    blocks = [*trunk.timbres, *trunk.rhythms, *trunk.middle]
    norms = [trunk.norm, *(block.norm for block in blocks), trunk.pooled_norm, trunk.dense_norm]
    with torch.no_grad():
        for number, block in enumerate(blocks):
            kernel = tensors[_numbered("conv2d", number) + "/kernel"]  # (frame, mel, input, output)
            # The middle blocks' input channels stand where the front end's mel bands stand.
            order = (3, 1, 0, 2) if block in list(trunk.middle) else (3, 2, 0, 1)
            _copy(block.convolution.weight, kernel.transpose(order))
            _copy(block.convolution.bias, tensors[_numbered("conv2d", number) + "/bias"])
        for number, norm in enumerate(norms):
            source = _numbered("batch_normalization", number)
            _copy(norm.weight, tensors[f"{source}/gamma"])
            _copy(norm.bias, tensors[f"{source}/beta"])
            _copy(norm.running_mean, tensors[f"{source}/moving_mean"])
            _copy(norm.running_var, tensors[f"{source}/moving_variance"])
        for number, layer in enumerate((trunk.dense, trunk.tags)):
            _copy(layer.weight, tensors[_numbered("dense", number) + "/kernel"].T)
            _copy(layer.bias, tensors[_numbered("dense", number) + "/bias"])
    return trunk.eval()


def weights_prefix(name: str) -> str:
    """Finds the checkpoint of a model in the installed package `musicnn`, without importing it.

    Raises:
        ValueError: The package is not installed.
    """
    try:
        folder = Path(str(distribution("musicnn").locate_file("musicnn")))
    except PackageNotFoundError:
        raise ValueError(
            "model.network musicnn needs the package musicnn, which holds its weights; install requirements.txt"
        ) from None
    return f"{folder / name}/"


def _numbered(layer: str, number: int) -> str:
    """Names a layer as TensorFlow does: the first has no number."""
    return f"{layer}_{number}" if number else layer


def _copy(target: Tensor, values: npt.NDArray[np.float32]) -> None:
    if target.shape != values.shape:
        raise ValueError(f"a tensor of {tuple(target.shape)} cannot take values of {values.shape}")
    target.copy_(torch.from_numpy(np.ascontiguousarray(values)))


def stored_to_input(mel_specgram: Tensor, peak: Tensor | float) -> Tensor:
    """0..1 store -> musicnn's input."""
    power = peak * 10 ** (FLOOR_DECIBELS / 10 * (mel_specgram - 1))
    return torch.log10(10_000 * power + 1)
