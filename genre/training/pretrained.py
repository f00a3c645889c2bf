"""Trains a genre classifier on the features of the pretrained network musicnn: its trunk stays as it was published.

The features of each clip are computed once; then a linear head is fitted to them in seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from tqdm import tqdm

from genre.network import inference
from genre.network.hardware import Hardware
from genre.network.musicnn.network import FEATURES, Musicnn, load_pretrained
from genre.pipeline import files
from genre.spectrograms.clips import clips_of
from genre.spectrograms.params import Clips
from genre.spectrograms.store import SpectrogramStore
from genre.training import calibration
from genre.training.checkpoint import UNUSABLE, TrainingState
from genre.training.head import LEAST_TRACKS, cross_validated_logits, fit_head

TRACKS_AT_ONCE = 16  # between two checkpoints; some ten seconds on two cores

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Fitted:
    """What a training of the head gives.

    Attributes:
        state: The history, of one row, and the weights.
        calibration: Temperature and threshold, fitted to the training tracks, each predicted by a head that was fitted
            without it.
    """

    state: TrainingState
    calibration: dict[str, float]


def fit(
    network: Musicnn,
    store: SpectrogramStore,
    table: pd.DataFrame,
    genres: Sequence[str],
    clips: Clips,
    *,
    hardware: Hardware,
    seed: int,
    checkpoint_path: Path | None = None,
) -> Fitted:
    """Loads the published weights into the trunk of `network` and fits its head to the training tracks, in place.

    Args:
        network: A network with any weights.
        store: The spectrograms.
        table: The tracks: columns `track, genre, subset`.
        genres: The names of the genres, in alphabetical order.
        clips: How a track is cut.
        hardware: Where the trunk computes.
        seed: Of the cross-validation.
        checkpoint_path: Where features are kept, so that a training that was killed goes on from there.

    Raises:
        ValueError: The published weights are not installed, or a genre has fewer than two training tracks.
    """
    rows = table[table["subset"] == "train"]
    _check_enough(rows["genre"])
    network.trunk = load_pretrained()
    hardware.place(network.eval())
    labels = np.array([genres.index(genre) for genre in rows["genre"]])
    features = compute_features(network, store, list(rows["track"]), clips, hardware, checkpoint_path)
    calibrated = calibration.fit(cross_validated_logits(features, labels, seed=seed), labels)
    head = fit_head(features, labels)
    with torch.inference_mode():
        logits = head(torch.from_numpy(features)).double() / calibrated["temperature"]
        fitted = logits.log_softmax(dim=2).numpy()
    network.head = head.to(hardware.device)
    by_clip = fitted.reshape(-1, len(genres))
    actual = labels.repeat(features.shape[1])
    row = {
        "epoch": 1,
        "train_loss": float(-by_clip[np.arange(len(actual)), actual].mean()),
        "train_accuracy": float((by_clip.argmax(axis=1) == actual).mean()),
        "learning_rate": 0.0,
    }
    state = TrainingState()
    state.add_epoch(row, network.state_dict(), "last")
    return Fitted(state, calibrated)


def _check_enough(genres: pd.Series) -> None:
    """Checks, before the features are computed, that there are enough tracks to fit the head."""
    counts = genres.value_counts()
    if counts.min() < LEAST_TRACKS:
        raise ValueError(
            f"train must have at least {LEAST_TRACKS} tracks of each genre for model.network musicnn, "
            f"{counts.idxmin()!r} has {counts.min()}; temperature and threshold come from cross-validation; add "
            "recordings of that genre"
        )


def compute_features(
    network: Musicnn,
    store: SpectrogramStore,
    tracks: Sequence[str],
    clips: Clips,
    hardware: Hardware,
    checkpoint_path: Path | None = None,
) -> Array:
    """Computes the trunk's features of all clips: `(track, clip, 456)`.

    What a checkpoint holds of an earlier call is not computed again; a checkpoint that cannot be read is ignored.
    """
    parts = _resume(checkpoint_path)
    done = sum(len(part) for part in parts)
    with tqdm(total=len(tracks), initial=done, desc="features", unit="track", disable=None) as bar:
        for start in range(done, len(tracks), TRACKS_AT_ONCE):
            chosen = tracks[start : start + TRACKS_AT_ONCE]
            cuts = torch.from_numpy(clips_of(store, chosen, **clips.model_dump()))
            values = inference.compute_features(network, cuts, hardware=hardware).numpy()
            parts.append(values.reshape(len(chosen), clips.clips_per_track, FEATURES))
            if checkpoint_path:
                with files.replacing(checkpoint_path, shared=True) as temporary, temporary.open("wb") as file:
                    torch.save({"features": torch.from_numpy(np.concatenate(parts))}, file)
            bar.update(len(chosen))
    return np.concatenate(parts)


def _resume(path: Path | None) -> list[Array]:
    if path is None or not path.exists():
        return []
    try:
        return [torch.load(path, weights_only=True)["features"].numpy()]
    except UNUSABLE as error:
        tqdm.write(f"checkpoint {path.name} is not used: {' '.join(str(error).split())[:200] or error!r}")
        return []
