"""What a trained model hears in a recording, with the features it was trained on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from genre import audio, model
from genre.spectrograms import clip_starts
from genre.training import Hardware, predict


@dataclass(frozen=True)
class Prediction:
    """The genres' probabilities for a recording.

    Attributes:
        genres: Their names, in the order of the probabilities.
        probabilities: `(genre,)`, the mean over the clips.
        clips: `(clip, genre)`.
        starts: `(clip,)`, when each clip begins, in seconds.
    """

    genres: list[str]
    probabilities: npt.NDArray[np.float32]
    clips: npt.NDArray[np.float32]
    starts: npt.NDArray[np.float64]

    @property
    def genre(self) -> str:
        """The most probable genre."""
        return self.genres[int(self.probabilities.argmax())]


class Listener:
    """A trained model, ready to hear recordings; needs nothing but the model file.

    Raises:
        ValueError: The file is not a model of this project.
    """

    def __init__(self, model_pt: Path) -> None:
        self.network, content = model.load(model_pt)
        self.genres, self.cutting, self.spectrogram = content["genres"], content["cutting"], content["spectrogram"]

    def hear(self, path: Path) -> Prediction:
        """Predicts from a file: it is cut into as many clips as in training.

        Raises:
            ValueError: The file cannot be decoded, is shorter than a clip, or silent.
        """
        waveform = audio.decode(path, self.spectrogram["sample_rate"])
        if len(waveform) == 0 or np.abs(waveform).max() < audio.SILENCE:
            raise ValueError(f"{path}: silent; there is nothing to hear")
        mel_specgram = audio.log_mel(waveform, **self.spectrogram)  # (frame, n_mels)
        frames, hop = self.cutting["clip_frames"], self.spectrogram["hop_length"] / self.spectrogram["sample_rate"]
        if len(mel_specgram) < frames:
            raise ValueError(f"{path}: {len(mel_specgram) * hop:.1f} s long, a clip takes {frames * hop:.1f} s")
        starts = clip_starts(len(mel_specgram), self.cutting["clips_per_track"], frames, self.cutting["clip_spacing"])
        clips = np.stack([mel_specgram[start : start + frames].T for start in starts])
        hardware = Hardware("cpu", "float32", torch.get_num_threads())
        chances = predict(self.network, torch.from_numpy(clips), hardware=hardware).numpy()
        return Prediction(self.genres, chances.mean(axis=0), chances, np.array(starts) * hop)
