"""Predicts the genre of a recording with a trained model; needs nothing but the model file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from genre.audio import decoding, mel, reading


@dataclass(frozen=True)
class Prediction:
    """The genres' probabilities of a recording.

    Attributes:
        genres: Their names, in the order of the probabilities.
        probabilities: `(genre,)`, the mean over the clips.
        clips: `(clip, genre)`.
        starts: `(clip,)`, the time at which each clip begins, in seconds.
        clip_seconds: Length of a clip.
        unsure: Whether the highest probability is below the model's threshold; see `genre.training.calibration`.
    """

    genres: list[str]
    probabilities: npt.NDArray[np.float32]
    clips: npt.NDArray[np.float32]
    starts: npt.NDArray[np.float64]
    clip_seconds: float
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

    Args:
        model: A model file of the pipeline, computed by torch, or one that `genre export` wrote, whose name ends in
            `.onnx`: ONNX Runtime computes it, and torch is not needed.

    Raises:
        ValueError: The file is not a model of this project.
    """

    def __init__(self, model: Path) -> None:
        # Each is imported where it is used: only one of the two libraries need be installed.
        if model.suffix == ".onnx":
            from genre.prediction import onnx_model

            self._trained = onnx_model.load(model)
        else:
            from genre.prediction import torch_model

            self._trained = torch_model.load(model)
        self.genres, self.spectrogram, self.clips = self._trained.genres, self._trained.spectrogram, self._trained.clips

    def predict(self, path: Path, *, step_seconds: float | None = None) -> Prediction:
        """Predicts the genre of a file from windows of a clip's length that cover all of it.

        Args:
            path: The recording.
            step_seconds: From the beginning of a window to that of the next one; None is the length of a clip.

        Raises:
            ValueError: The file cannot be decoded, is shorter than a clip, or silent; or the step is not above 0.
        """
        waveform = decoding.decode(path, self.spectrogram.sample_rate)
        if len(waveform) == 0 or np.abs(waveform).max() < reading.SILENCE:
            raise ValueError(f"{path}: silent; there is nothing to classify")
        mel_specgram = mel.log_mel(waveform, **self.spectrogram.model_dump())  # (frame, n_mels)
        frames, hop = self.clips.clip_frames, self.spectrogram.hop_length / self.spectrogram.sample_rate
        if len(mel_specgram) < frames:
            raise ValueError(f"{path}: {len(mel_specgram) * hop:.1f} s long, a clip takes {frames * hop:.1f} s")
        step = frames if step_seconds is None else round(step_seconds / hop)
        if step < 1:
            raise ValueError(f"the step between windows must be at least {hop:.3f} s, got {step_seconds}")
        starts = window_starts(len(mel_specgram), frames, step)
        windows = np.stack([mel_specgram[start : start + frames].T for start in starts])  # (window, mel, frame)
        probabilities = self._trained.probabilities(windows)
        mean = probabilities.mean(axis=0)
        unsure = bool(mean.max() < self._trained.unsure_below)
        return Prediction(self.genres, mean, probabilities, np.array(starts) * hop, frames * hop, unsure)


def window_starts(frames: int, clip_frames: int, step: int) -> list[int]:
    """Returns the first frames of windows of a clip's length that cover a recording of `frames` frames.

    Windows follow each other by `step` frames; the last one ends where the recording ends.
    """
    starts = list(range(0, frames - clip_frames + 1, step))
    return starts if starts[-1] + clip_frames == frames else [*starts, frames - clip_frames]
