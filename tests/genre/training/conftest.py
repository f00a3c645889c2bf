import numpy as np
import pytest

from genre.spectrograms import store


@pytest.fixture
def spectrograms(tmp_path):
    """Four tracks of 80 frames, two genres that differ in which half of the bands is loud."""
    random = np.random.default_rng(0)
    items = []
    for number in range(4):
        mel = random.uniform(0, 0.3, (80, 32)).astype(np.float16)
        mel[:, :16] += np.float16(0.6 * (number % 2))
        items.append((f"g{number % 2}/{number}", mel))
    paths = tmp_path / "v.npy", tmp_path / "i.csv"
    store.write(items, 32, *paths)
    return store.read(*paths)
