"""What prediction needs of a trained model, whatever file it is in and whatever computes it."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from genre.audio.params import Spectrogram
from genre.pipeline.settings import build, shown
from genre.spectrograms.params import Clips

Clip = npt.NDArray[np.float16]  # (mel, frame) in 0..1; several of them: (clip, mel, frame)
Logits = npt.NDArray[np.float32]  # (clip, genre)


@dataclass(frozen=True)
class Trained:
    """A trained model.

    Attributes:
        logits: Computes `(clip, genre)` from clips `(clip, mel, frame)` in 0..1, at least one.
        genres: Their names, in the order of the logits.
        spectrogram: How a recording becomes a spectrogram.
        clips: How a spectrogram is cut into clips.
        temperature: Divides the logits; see `genre.training.calibration`.
        unsure_below: A prediction whose highest probability is lower is unsure.
    """

    logits: Callable[[Clip], Logits]
    genres: list[str]
    spectrogram: Spectrogram
    clips: Clips
    temperature: float
    unsure_below: float

    def probabilities(self, clips: Clip) -> Logits:
        """Computes the genres' probabilities of clips `(clip, mel, frame)`: `(clip, genre)`."""
        return self.from_logits(self.logits(clips))

    def from_logits(self, logits: Logits) -> Logits:
        """Computes the genres' probabilities from logits `(clip, genre)`."""
        scaled = logits / np.float32(self.temperature)
        powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        probabilities: Logits = powers / powers.sum(axis=1, keepdims=True)
        return probabilities


def trained(path: Path, logits: Callable[[Clip], Logits], content: Mapping[str, Any]) -> Trained:
    """Makes a trained model from the content of its file, and checks each part.

    Args:
        path: The model file, for messages.
        logits: As in `Trained`.
        content: The parts of the file beside the network: `genres`, `spectrogram`, `clip_params`, `calibration`.

    Raises:
        ValueError: A part is missing, of the wrong type or out of range.
    """
    try:
        spectrogram = build(Spectrogram, content["spectrogram"], f"{path}")
        clips = build(Clips, content["clip_params"], f"{path}")
        calibration = content["calibration"]
        temperature, unsure_below = float(calibration["temperature"]), float(calibration["unsure_below"])
        if not (0 < temperature < math.inf and math.isfinite(unsure_below)):
            raise ValueError(f"the calibration must be a temperature above 0 and a threshold, got {shown(calibration)}")
        return Trained(logits, _names(content["genres"]), spectrogram, clips, temperature, unsure_below)
    except KeyError as error:
        raise ValueError(f"{path} must be a model file of this project: it has no {error.args[0]}") from error
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} must be a model file of this project: {str(error)[:200]}") from error


def _names(genres: Any) -> list[str]:
    """Returns `genres` if they are names; a model file that was made by hand may hold other values."""
    for genre in genres:
        if not isinstance(genre, str):
            raise ValueError(f"genres must be names, got {shown(genre)} ({type(genre).__name__})")
    return list(genres)
