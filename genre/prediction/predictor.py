"""Predicts the genre of a recording with a trained model; needs nothing but the model file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from genre.audio.params import Spectrogram
from genre.network import model_file
from genre.network.hardware import Hardware
from genre.network.inference import predict
from genre.pipeline.settings import build, shown
from genre.prediction import preparation
from genre.spectrograms.clips import window_starts
from genre.spectrograms.params import Clips

# Windows that the network computes at once: more take no less time on a CPU, and each takes some 7 MB (musicnn: 30).
BATCH = 4
LONGEST_STEP = 3600  # seconds


@dataclass(frozen=True)
class Prediction:
    """The genres' probabilities of a recording.

    Attributes:
        genres: Their names, in the order of the probabilities.
        probabilities: `(genre,)`, the mean over the clips.
        clips: `(clip, genre)`.
        starts: `(clip,)`, the time at which each clip begins, in seconds.
        unsure: Whether the highest probability is below the model's threshold; see `genre.training.calibration`.
    """

    genres: list[str]
    probabilities: npt.NDArray[np.float32]
    clips: npt.NDArray[np.float32]
    starts: npt.NDArray[np.float64]
    unsure: bool = False

    @property
    def genre(self) -> str:
        """The most probable genre."""
        return self.genres[int(self.probabilities.argmax())]

    def by_genre(self, clip: int | None = None) -> dict[str, float]:
        """Returns genre -> probability, rounded to 4 decimals: of the whole recording, or of one clip."""
        probabilities = self.probabilities if clip is None else self.clips[clip]
        return {genre: round(float(value), 4) for genre, value in zip(self.genres, probabilities, strict=True)}


class Predictor:
    """A trained model that predicts the genres of recordings.

    Raises:
        ValueError: The file is not a model of this project.
    """

    def __init__(self, model_pt: Path) -> None:
        self.network, content = model_file.load(model_pt)
        try:
            self.spectrogram = build(Spectrogram, content["spectrogram"], f"{model_pt}")
            self.clips = build(Clips, content["clip_params"], f"{model_pt}")
            self.genres = _names(content["genres"])
        except (ValueError, TypeError) as error:
            raise ValueError(f"{model_pt} must be a model file of this project: {str(error)[:200]}") from error
        self.calibration = content["calibration"]

    def predict(self, path: Path, *, step_seconds: float | None = None) -> Prediction:
        """Predicts the genre of a file from windows of a clip's length that cover all of it.

        Args:
            path: The recording.
            step_seconds: From the beginning of a window to that of the next one; None is the length of a clip.

        Raises:
            ValueError: The file cannot be decoded, is shorter than a clip, or silent; or the step is not above 0.
            OSError: The file cannot be read.
        """
        return self.predict_mel(preparation.log_mel(path, self.spectrogram), step_seconds=step_seconds)

    def predict_mel(
        self, mel_specgram: npt.NDArray[np.float16] | preparation.StoredMel, *, step_seconds: float | None = None
    ) -> Prediction:
        """Predicts the genre from the spectrogram `(frame, n_mels)` of a whole recording; see `predict`."""
        frames, hop = self.clips.clip_frames, self.spectrogram.hop_length / self.spectrogram.sample_rate
        step = self.step_frames(step_seconds)
        if len(mel_specgram) < frames:
            raise ValueError(f"{len(mel_specgram) * hop:.1f} s long, a clip takes {frames * hop:.1f} s")
        starts = window_starts(len(mel_specgram), frames, step)
        probabilities = np.concatenate([
            self._probabilities([mel_specgram[start : start + frames].T for start in starts[first : first + BATCH]])
            for first in range(0, len(starts), BATCH)
        ])  # fmt: skip
        mean = probabilities.mean(axis=0)
        unsure = bool(mean.max() < self.calibration["unsure_below"])
        return Prediction(self.genres, mean, probabilities, np.array(starts) * hop, unsure)

    def step_frames(self, step_seconds: float | None) -> int:
        """Returns the frames from the beginning of a window to that of the next one; see `predict`.

        Raises:
            ValueError: The step is less than a frame, or no number.
        """
        hop = self.spectrogram.hop_length / self.spectrogram.sample_rate
        if step_seconds is None:
            return self.clips.clip_frames
        if not hop <= step_seconds <= LONGEST_STEP:
            raise ValueError(f"the step between windows must be in {hop:.3f}..{LONGEST_STEP} s, got {step_seconds:g}")
        return round(step_seconds / hop)

    def _probabilities(self, windows: list[npt.NDArray[np.float16]]) -> npt.NDArray[np.float32]:
        """Computes `(window, genre)` from windows `(mel, frame)`."""
        clips, hardware = torch.from_numpy(np.stack(windows)), Hardware("cpu", "float32", torch.get_num_threads())
        temperature = self.calibration["temperature"]
        return np.asarray(predict(self.network, clips, hardware=hardware, temperature=temperature).numpy())


def _names(genres: Any) -> list[str]:
    """Returns `genres` if they are names, as the file of a model that was made by hand may have others."""
    for genre in genres:
        if not isinstance(genre, str):
            raise ValueError(f"genres must be names, got {shown(genre)} ({type(genre).__name__})")
    return list(genres)
