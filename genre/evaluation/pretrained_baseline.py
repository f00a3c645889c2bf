"""The features of the pretrained network with a linear head, as a baseline of a network that is trained from nothing.

It is at hand only where the stored spectrograms are those that the pretrained network was made for. From others, such
as those of the recipe unet, its input cannot be computed, and `evaluate` does not read the recordings.
"""

from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from genre.evaluation.predictions import of_clips
from genre.network import inference
from genre.network.hardware import Hardware
from genre.network.musicnn.network import FEATURES, Musicnn, load_pretrained
from genre.network.params import MUSICNN_SPECTROGRAM
from genre.training import calibration, head

CLIPS_AT_ONCE = 64


def is_at_hand(content: Mapping[str, Any], table: pd.DataFrame) -> bool:
    """Returns whether the baseline can be computed, and is not the model itself.

    Args:
        content: The content of the model file.
        table: The tracks: columns `track, genre, subset`. The baseline needs `head.LEAST_TRACKS` training tracks of
            each genre.
    """
    fits = all(content["spectrogram"][name] == value for name, value in MUSICNN_SPECTROGRAM.items())
    enough = table["genre"][table["subset"] == "train"].value_counts().min() >= head.LEAST_TRACKS
    return bool(fits and enough and content["network_params"]["network"] != "musicnn" and _is_installed())


def _is_installed() -> bool:
    try:
        return bool(distribution("musicnn"))
    except PackageNotFoundError:
        return False


def predict(
    table: pd.DataFrame,
    genres: list[str],
    blocks: Iterable[npt.NDArray[np.float16]],
    *,
    seed: int,
    hardware: Hardware,
) -> pd.DataFrame:
    """Computes the features of all clips, fits the head to the training tracks, and predicts all clips.

    Args:
        table: The tracks: columns `track, genre, subset`.
        genres: The names of the genres, in alphabetical order.
        blocks: Clips `(clip, mel, frame)`, all clips of the first track of `table` first, some tracks at a time.
        seed: Of the cross-validation that finds the temperature.
        hardware: Where the network computes.

    Returns:
        The table of clip predictions.

    Raises:
        ValueError: The files of the package musicnn are damaged, or a genre has fewer than two training tracks.
    """
    network = Musicnn(genres=len(genres))
    network.trunk = load_pretrained()
    hardware.place(network.eval())
    features = np.concatenate([compute_features(network, clips, hardware) for clips in blocks])
    return predict_from(features, table, genres, seed=seed)


def compute_features(network: Musicnn, clips: npt.NDArray[np.float16], hardware: Hardware) -> npt.NDArray[np.float32]:
    """Computes the features of clips `(clip, mel, frame)`: `(clip, 456)`."""
    parts = torch.split(torch.from_numpy(clips), CLIPS_AT_ONCE)
    features = [inference.compute_features(network, part, hardware=hardware) for part in parts]
    return torch.cat(features).numpy().reshape(-1, FEATURES)


def predict_from(
    features: npt.NDArray[np.float32], table: pd.DataFrame, genres: list[str], *, seed: int
) -> pd.DataFrame:
    """Fits the head to features `(clip, feature)` of the training tracks, and predicts all clips; see `predict`."""
    of_tracks = features.reshape(len(table), -1, features.shape[1])
    train = (table["subset"] == "train").to_numpy()
    labels = np.array([genres.index(genre) for genre in table["genre"]])[train]
    temperature = calibration.fit_temperature(head.cross_validated_logits(of_tracks[train], labels, seed=seed), labels)
    layer = head.fit_head(of_tracks[train], labels)
    with torch.inference_mode():
        logits = layer(torch.from_numpy(features)).double() / temperature
    return of_clips(table, genres, logits.softmax(dim=1).numpy())
