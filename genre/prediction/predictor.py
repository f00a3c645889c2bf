"""Predicts the genre of a recording with a trained model; needs nothing but the model file."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from genre.evaluation.merging import merge_clips
from genre.prediction import preparation

# Windows that the network computes at once: more take no less time on a CPU, and each takes some 7 MB (musicnn: 30).
BATCH = 4
LONGEST_STEP = 3600  # seconds


@dataclass(frozen=True)
class Prediction:
    """The genres' probabilities of a recording.

    Attributes:
        genres: Their names, in the order of the probabilities.
        probabilities: `(genre,)`, merged from the clips; see `genre.evaluation.merging`.
        clips: `(clip, genre)`.
        starts: `(clip,)`, the time at which each clip begins, in seconds.
        clip_seconds: Length of a clip.
        unsure: Whether the highest probability is below the model's threshold; see `genre.training.calibration`.
    """

    genres: list[str]
    probabilities: npt.NDArray[np.float64]
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
            self._trained.probabilities(
                np.stack([mel_specgram[start : start + frames].T for start in starts[first : first + BATCH]])
            )
            for first in range(0, len(starts), BATCH)
        ])  # fmt: skip
        merged = merge_clips(probabilities)
        unsure = bool(merged.max() < self._trained.unsure_below)
        return Prediction(self.genres, merged, probabilities, np.array(starts) * hop, frames * hop, unsure)

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


def window_starts(frames: int, clip_frames: int, step: int) -> list[int]:
    """Returns the first frames of windows of a clip's length that cover a recording of `frames` frames.

    Windows follow each other by `step` frames; the last one ends where the recording ends.
    """
    starts = list(range(0, frames - clip_frames + 1, step))
    return starts if starts[-1] + clip_frames == frames else [*starts, frames - clip_frames]
