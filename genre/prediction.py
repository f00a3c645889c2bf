"""What a trained model hears in a recording, with the features it was trained on."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_type_hints

import numpy as np
import numpy.typing as npt
import torch

from genre import audio, model, params
from genre.spectrograms import clip_starts
from genre.training import Hardware, predict

CUTTING = ("clips_per_track", "clip_frames", "clip_spacing")


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

    def shares(self, clip: int | None = None) -> dict[str, float]:
        """Gives genre -> probability, rounded to 4 decimals: of the whole recording, or of one clip."""
        chances = self.probabilities if clip is None else self.clips[clip]
        return {genre: round(float(share), 4) for genre, share in zip(self.genres, chances, strict=True)}


class Listener:
    """A trained model, ready to hear recordings; needs nothing but the model file.

    Raises:
        ValueError: The file is not a model of this project.
    """

    def __init__(self, model_pt: Path) -> None:
        self.network, content = model.load(model_pt)
        try:
            self.spectrogram = asdict(params.build(params.Spectrogram, content["spectrogram"], f"{model_pt}"))
            rules = get_type_hints(params.Split, include_extras=True)
            self.cutting = {name: params.checked(name, content["cutting"][name], rules[name]) for name in CUTTING}
            self.genres = [params.checked("genres", genre, str) for genre in content["genres"]]
        except (ValueError, TypeError, LookupError, AttributeError) as error:  # made by hand, whatever for
            raise ValueError(f"{model_pt} must be a model file of this project: {str(error)[:200]}") from error

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
