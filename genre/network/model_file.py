"""The model file: all that `genre predict` needs, in one file that runs no code when it is read."""

import pickle
import struct
import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from genre.network.unet import GenreNet
from genre.pipeline import files

# Beside the weights: the network's dimensions, the genres in order, how a track is cut, the spectrogram's parameters.
CONTENT = ("sizes", "genres", "cutting", "spectrogram")
# What torch raises for a file that is damaged or of another program, and what other content causes.
UNREADABLE = (
    RuntimeError, pickle.UnpicklingError, struct.error, EOFError, ValueError, LookupError, TypeError, AttributeError,
    AssertionError,
)  # fmt: skip


def save(path: Path, network: GenreNet, **content: Any) -> None:
    """Writes the weights and the parts named in `CONTENT`, which must be plain values (numbers, texts, lists).

    Raises:
        ValueError: A part is missing or unknown.
    """
    if set(content) != set(CONTENT):
        raise ValueError(f"a model file must hold {', '.join(CONTENT)}, got {', '.join(content)}")
    weights = {name: value.cpu() for name, value in network.state_dict().items()}
    with files.replacing(path) as temporary, temporary.open("wb") as file:
        # An open file, not a name: torch writes the name into the archive, and the bytes shall not depend on it.
        torch.save({"weights": weights, **content}, file)


def load(path: Path) -> tuple[GenreNet, dict[str, Any]]:
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
        raise ValueError(f"{path} is missing; `dvc repro train` makes it, `dvc pull` fetches it") from None
    except UNREADABLE as error:
        raise ValueError(
            f"{path} must be a model file of this project: {type(error).__name__} {str(error)[:200]}"
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


def _network(content: dict[str, Any]) -> GenreNet:
    weights, sizes = content["weights"], content["sizes"]
    values = sum(value.numel() for value in weights.values())
    # Before memory is taken for what the file claims: the network has some 12 000 * base_channels**2 parameters.
    if 4000 * sizes["base_channels"] ** 2 > values or sizes["n_mels"] * sizes["clip_frames"] > 1 << 23:
        raise ValueError("its dimensions are beyond its weights")
    network = GenreNet(genres=len(content["genres"]), **sizes)
    kinds = {name: value.dtype for name, value in network.state_dict().items()}
    if any(kinds.get(name) != value.dtype or not value.isfinite().all() for name, value in weights.items()):
        raise ValueError("a weight is no number, or of another type")
    network.load_state_dict(weights)
    return network
