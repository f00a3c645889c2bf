"""The published weights: files of the Python package `musicnn`, which is installed without its requirements.

The package is never imported: its files are read.
"""

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from genre.network.musicnn.msd_musicnn import MsdMusicnn
from genre.network.musicnn.msd_vgg import MsdVgg
from genre.network.musicnn.tensorflow_checkpoint import read_tensors

LICENCE = "ISC; copyright (c) Music Technology Group, Universitat Pompeu Fabra 2019; code developed by Jordi Pons"
CITATION = (
    "Jordi Pons and Xavier Serra (2019): musicnn: Pre-trained convolutional neural networks for music audio tagging. "
    "arXiv:1909.06654"
)
OF_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
OF_CONVOLUTION = (3, 2, 0, 1)  # TensorFlow: (frame, mel, input, output); torch: (output, input, frame, mel)

Tensors = dict[str, npt.NDArray[np.float32]]


def installed_folder() -> Path:
    """Finds the installed package `musicnn`, which holds a folder for each published network.

    Raises:
        ValueError: The package is not installed.
    """
    try:
        return Path(str(distribution("musicnn").locate_file("musicnn")))
    except PackageNotFoundError:
        raise ValueError(
            "model.network musicnn needs the package musicnn, whose files hold the weights; "
            "install it with `uv pip install --no-deps musicnn`"
        ) from None


def read_checkpoint(folder: Path) -> Tensors:
    """Reads the weights of one published network, without the optimizer's variables.

    Raises:
        ValueError: A file is damaged.
    """
    return read_tensors(f"{folder}/", lambda name: "Adam" not in name)  # the files have no name before the dot


def set_msd_musicnn(network: MsdMusicnn, tensors: Tensors) -> None:
    """Gives a network the weights of a checkpoint of `MSD_musicnn`."""
    # TensorFlow numbers the layers of a kind in the order in which the network uses them.
    blocks = [*network.front, *network.middle]
    _set_norms([network.norm, *(block.norm for block in blocks), network.pooled_norm, network.dense_norm], tensors)
    for number, block in enumerate(blocks):
        # The middle layers have their input channels on the axis of the mel bands: (frame, input, 1, output).
        axes = OF_CONVOLUTION if number < len(network.front) else (3, 1, 0, 2)
        _set_layer(block.convolution, _numbered("conv2d", number), axes, tensors)
    _set_layer(network.dense, "dense", (1, 0), tensors)


def set_msd_vgg(network: MsdVgg, tensors: Tensors) -> None:
    """Gives a network the weights of a checkpoint of `MSD_vgg`."""
    _set_norms([network.norm, *network.norms], tensors)
    for number, convolution in enumerate(network.convolutions, 1):
        _set_layer(convolution, f"{number}CNN", OF_CONVOLUTION, tensors)


def _set_norms(norms: Iterable[Any], tensors: Tensors) -> None:
    for number, norm in enumerate(norms):
        for ours, theirs in OF_NORM.items():
            _set(getattr(norm, ours), tensors[f"{_numbered('batch_normalization', number)}/{theirs}"])


def _set_layer(layer: Any, name: str, axes: tuple[int, ...], tensors: Tensors) -> None:
    _set(layer.weight, tensors[f"{name}/kernel"].transpose(axes))
    _set(layer.bias, tensors[f"{name}/bias"])


def _numbered(layer: str, number: int) -> str:
    """Names a layer as TensorFlow does: the first of its kind has no number."""
    return f"{layer}_{number}" if number else layer


def _set(target: Tensor, values: npt.NDArray[np.float32]) -> None:
    with torch.no_grad():
        target.copy_(torch.from_numpy(values.copy()))
