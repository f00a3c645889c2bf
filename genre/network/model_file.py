"""The model file: all that `genre predict` needs, in one file that runs no code when it is read."""

import pickle
import struct
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from genre.network.musicnn.network import Musicnn
from genre.network.unet import GenreNet
from genre.pipeline import files

# Beside the weights: what the network was made with, the genres in order, how a track is cut, the spectrogram, the
# temperature and the threshold of `genre.training.calibration`, and where pretrained weights are from.
CONTENT = ("network_params", "genres", "clip_params", "spectrogram", "calibration", "credits")
# What torch raises for a file that is cut off, damaged or of another program, and what other content causes.
UNREADABLE = (
    RuntimeError, pickle.UnpicklingError, struct.error, EOFError, ValueError, LookupError, TypeError, AttributeError,
    AssertionError,
)  # fmt: skip


def make_network(network_params: Mapping[str, Any], genres: int) -> nn.Module:
    """Makes the network that `network_params["network"]` names, with new weights.

    Args:
        network_params: `n_mels`, `clip_frames` and the section `model`.
        genres: How many genres it tells apart.

    Raises:
        ValueError: The dimensions do not fit the network.
    """
    if network_params["network"] == "musicnn":
        return Musicnn(genres=genres)
    return GenreNet(genres=genres, **network_params)


def save(path: Path, network: nn.Module, **content: Any) -> None:
    """Writes the weights and the parts named in `CONTENT`, which must be plain values (numbers, texts, lists)."""
    weights = {name: value.cpu() for name, value in network.state_dict().items()}
    with files.replacing(path) as temporary, temporary.open("wb") as file:
        # An open file, not a name: torch writes the name into the archive, and the bytes shall not depend on it.
        torch.save({"weights": weights, **content}, file)


def load(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Reads a model file; runs no code that the file brings along.

    Returns:
        The network in evaluation mode, and the other parts of the file, by the names in `CONTENT`.

    Raises:
        ValueError: The file is missing, not a model of this project, or made to use up the memory.
    """
    try:
        content = read(path)
        network = _network(content)
        return network.eval(), {name: content[name] for name in CONTENT}
    except FileNotFoundError:
        raise ValueError(
            f"{path} is missing; run in the repository's root, or name another with --model; `dvc repro` makes it, and "
            'README.md, "Your own music", says how to train on your genres'
        ) from None
    except UNREADABLE as error:
        # The messages of torch and Python name parts of their own; ours say what is wrong with the file.
        reason = str(error) if type(error) is ValueError else "it is damaged, or of another program"
        raise ValueError(
            f"{path} must be a model file of this project: {reason}; `dvc repro train` makes one"
        ) from error


def read(path: Path) -> Any:
    """Reads what `torch.save` wrote; runs no code that the file brings along.

    Raises:
        ValueError: The file is not a zip archive; the format of torch before 1.6, a plain pickle, is not read.
        OSError: It cannot be read. A damaged file raises one of `UNREADABLE`.
    """
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError("it is not a whole zip archive, as torch writes them")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a damaged file torch says more than that it is damaged
        return torch.load(path, map_location="cpu", weights_only=True)


def _network(content: dict[str, Any]) -> nn.Module:
    missing = [name for name in ("weights", *CONTENT) if name not in content]
    if missing:
        raise ValueError(f"it has no {', '.join(missing)}")
    weights, params = content["weights"], content["network_params"]
    if not 0 < float(content["calibration"]["temperature"]) < float("inf"):
        raise ValueError("its temperature must be above 0")
    values = sum(value.numel() for value in weights.values())
    # Before memory is taken for what the file claims: the U-Net has some 12 000 * base_channels**2 parameters.
    too_large = params["network"] != "musicnn" and 4000 * params["base_channels"] ** 2 > values
    if too_large or params["n_mels"] * params["clip_frames"] > 1 << 23:
        raise ValueError("its dimensions are beyond its weights")
    network = make_network(params, len(content["genres"]))
    kinds = {name: value.dtype for name, value in network.state_dict().items()}
    if kinds.keys() != weights.keys():
        raise ValueError("its weights are those of another network, or of another version of this project")
    if any(kinds[name] != value.dtype or not value.isfinite().all() for name, value in weights.items()):
        raise ValueError("a weight is no number, or of another type")
    network.load_state_dict(weights)
    return network
