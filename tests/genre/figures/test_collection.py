import numpy as np
import pandas as pd

from genre.audio.params import Spectrogram
from genre.figures import collection
from genre.spectrograms.store import SpectrogramStore
from genre.training.params import Augment
from tests.genre.training.test_augment import OFF


def titles(**probabilities: float) -> list[str]:
    store = SpectrogramStore(np.full((64, 32), 0.5, np.float16), {"rock/1": (0, 64)})
    table = pd.DataFrame({"track": ["rock/1"], "genre": ["rock"], "subset": ["train"]})
    sizes = Spectrogram(sample_rate=22050, n_fft=2048, hop_length=1024, n_mels=32, f_max=8000.0)
    figures = collection.of_spectrograms(store, table, 32, sizes, Augment(**{**OFF, **probabilities}))
    *panels, _ = figures["augmentations"].axes
    return [axes.get_title("left") for axes in panels]


def test_the_augmentations_in_use_are_drawn_and_no_other():
    assert titles(noise_probability=0.35, hole_probability=0.01) == ["original", "noise", "hole", "all together"]


def test_without_augmentation_the_clip_alone_is_drawn():
    assert titles() == ["original"]
