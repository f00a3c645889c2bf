from pathlib import Path

import numpy as np
import pytest

from genre.spectrograms import store


def two_genres(folder: Path, tracks: int, frames: int, n_mels: int) -> store.SpectrogramStore:
    """Makes a store of tracks of two genres, which differ in which half of the bands is loud."""
    random = np.random.default_rng(0)
    items = []
    for number in range(tracks):
        mel = random.uniform(0, 0.3, (frames, n_mels)).astype(np.float16)
        mel[:, : n_mels // 2] += np.float16(0.6 * (number % 2))
        items.append((f"g{number % 2}/{number}", mel))
    paths = folder / "v.npy", folder / "i.csv"
    store.write(items, n_mels, *paths)
    return store.read(*paths)


@pytest.fixture
def spectrograms(tmp_path):
    """Four tracks of 80 frames and 32 bands."""
    return two_genres(tmp_path, 4, 80, 32)
