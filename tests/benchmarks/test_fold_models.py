import shutil
import sys

import numpy as np
import pandas as pd

from benchmarks import fold_models
from genre.network import model_file
from genre.spectrograms import store
from tests.architecture import ROOT

SMALL = [
    "data.source=local", "data.min_seconds=6.0", "spectrogram.n_mels=32", "split.clip_frames=32", "train.epochs=1",
    "train.crop_frames=null", "train.batch_size=4", "model.base_channels=1",
]  # fmt: skip


def test_a_model_for_each_fold_is_trained_on_the_others_alone_and_not_again(tmp_path, monkeypatch, capsys):
    data = tmp_path / "data"
    shutil.copytree(ROOT / "data" / "gtzan", data / "gtzan")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    random, tracks = np.random.default_rng(0), [f"{genre}/{number}" for genre in "ab" for number in range(4)]
    mels = [(track, random.random((40, 32)).astype(np.float16)) for track in tracks]
    store.write(mels, 32, data / "spectrograms.npy", data / "spectrograms.csv")
    table = pd.DataFrame({"track": tracks, "genre": [track[0] for track in tracks], "file": tracks, "seconds": 7.0,
                          "sample_rate": 22050, "artist": [f"by {track}" for track in tracks], "album": "",
                          "missing": ""})  # fmt: skip
    table.to_csv(data / "tracks.csv", index=False)
    (data / "repetitions.csv").write_text("track_a,track_b,offset_seconds,score\n")
    models = tmp_path / "models"
    words = [word for override in SMALL for word in ("-S", override)]
    monkeypatch.setattr(sys, "argv", ["fold_models", str(tmp_path), str(models), "--folds", "2", *words])
    fold_models.main()
    assert "4 tracks, 20 clips an epoch" in capsys.readouterr().out
    folds = pd.read_csv(models / "folds.csv")
    assert list(folds["track"]) == tracks
    assert folds.groupby([folds["track"].str[0], "fold"]).size().tolist() == [2, 2, 2, 2]
    (network, content), (other, _) = (model_file.load(models / f"{number}.pt") for number in (0, 1))
    assert content["genres"] == ["a", "b"]
    assert any((one != two).any() for one, two in zip(network.parameters(), other.parameters(), strict=True))
    written = (models / "1.pt").stat().st_mtime_ns
    (models / "0.pt").unlink()
    fold_models.main()
    assert f"{models / '1.pt'} is there" in capsys.readouterr().out
    assert (models / "1.pt").stat().st_mtime_ns == written
    again, _ = model_file.load(models / "0.pt")
    assert all((one == two).all() for one, two in zip(network.parameters(), again.parameters(), strict=True))
