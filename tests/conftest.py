"""What several tests need: a tone, a small corpus on disk, and no way to the user's own folders."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import settings

from genre.tracking import mlflow_store

settings.register_profile("calm", deadline=None)  # no test asserts a time, not even by hypothesis
settings.load_profile("calm")

RATE = 22050
torch.set_num_threads(1)  # tiny tensors: threads would only wait for each other


@pytest.fixture(autouse=True)
def isolated(tmp_path, monkeypatch):
    """Keeps every test away from the repository's checkpoints, MLflow database and download cache."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("GENRE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("DVC_EXP_NAME", raising=False)


def tone(frequency: float = 440.0, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


@pytest.fixture
def corpus(tmp_path) -> Path:
    """Two genres, three tracks each, 7 s of a tone of the track's own; and files that are none."""
    folder = tmp_path / "corpus"
    for place, genre in enumerate(("high", "low")):
        (folder / genre).mkdir(parents=True)
        for number in range(3):
            frequency = (2000, 200)[place] * (1 + 0.1 * number)
            soundfile.write(folder / genre / f"{genre}.{number:05d}.wav", tone(frequency, 7.0), RATE)
    (folder / "high" / "._high.00000.wav").write_bytes(b"\0\5\26\7" * 50)
    (folder / "low" / "broken.wav").write_bytes(b"RIFF, or so it says")
    (folder / "low" / "cover.jpg").write_bytes(b"\xff\xd8")
    return folder


@pytest.fixture
def model_pt(tmp_path) -> Path:
    """A tiny network of three genres with new weights, in a model file."""
    from genre.network import model_file, unet
    from tests.genre.network.test_model_file import CONTENT
    from tests.genre.network.test_unet import TINY

    torch.manual_seed(0)
    path = tmp_path / "model.pt"
    model_file.save(path, unet.GenreNet(genres=3, **TINY), network_params=TINY, **CONTENT)
    return path


@pytest.fixture
def make_unreadable(monkeypatch) -> Callable[[str], None]:
    """A function that lets the folders whose names end so be listed no more; root may read them in fact."""

    def make(ending: str) -> None:
        listing = os.scandir

        def scandir(path):
            if str(path).endswith(ending):
                raise PermissionError(13, "Permission denied", str(path))
            return listing(path)

        monkeypatch.setattr(os, "scandir", scandir)

    return make


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """An MLflow database without runs; making one takes mlflow about ten seconds."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mlflow's own
        patch.setenv("DVC_ROOT", str(folder))
        mlflow_store.Store()
    return folder / "mlflow.db"
