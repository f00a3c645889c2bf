import numpy as np
import pandas as pd
import pytest

from genre.evaluation import pretrained_baseline
from genre.network.hardware import Hardware
from genre.network.musicnn.network import Musicnn
from genre.network.params import MUSICNN_SPECTROGRAM

CPU = Hardware("cpu", "float32", 1)


TABLE = pd.DataFrame({"track": list("abcd"), "genre": list("xxyy"), "subset": "train"})


def content(network="unet", **spectrogram):
    return {"network_params": {"network": network}, "spectrogram": MUSICNN_SPECTROGRAM | spectrogram}


def test_the_baseline_is_at_hand_where_the_spectrograms_are_those_of_musicnn_and_the_model_is_another():
    assert pretrained_baseline.is_at_hand(content(), TABLE)
    assert pretrained_baseline.is_at_hand(content("reference"), TABLE)
    assert not pretrained_baseline.is_at_hand(content("musicnn"), TABLE)
    assert not pretrained_baseline.is_at_hand(content(n_mels=128), TABLE)
    assert not pretrained_baseline.is_at_hand(content(sample_rate=22_050), TABLE)


def test_with_a_single_training_track_of_a_genre_it_is_not_at_hand_and_evaluate_goes_on():
    few = TABLE.assign(subset=["train", "test", "train", "train"])
    assert not pretrained_baseline.is_at_hand(content(), few)


def test_without_the_package_that_holds_the_weights_it_is_not_at_hand(monkeypatch):
    def missing(name):
        raise pretrained_baseline.PackageNotFoundError(name)

    monkeypatch.setattr(pretrained_baseline, "distribution", missing)
    assert not pretrained_baseline.is_at_hand(content(), TABLE)


def test_clips_in_blocks_have_the_features_of_clips_at_once(monkeypatch):
    network = Musicnn(genres=2).eval()
    clips = np.random.default_rng(0).random((5, 96, 32)).astype(np.float16)
    whole = pretrained_baseline.compute_features(network, clips, CPU)
    monkeypatch.setattr(pretrained_baseline, "CLIPS_AT_ONCE", 2)
    np.testing.assert_allclose(pretrained_baseline.compute_features(network, clips, CPU), whole, atol=1e-4)
    assert whole.shape == (5, 456)


def test_the_head_learns_from_the_training_tracks_alone_and_predicts_all_clips():
    labels = np.tile(np.arange(3), 10)
    rng = np.random.default_rng(0)
    of_tracks = 3 * rng.normal(size=(3, 8))[labels][:, None] + rng.normal(size=(30, 4, 8))
    subsets = np.repeat(["train", "valid", "test"], [18, 6, 6])
    table = pd.DataFrame({"track": [f"t{number:02}" for number in range(30)], "genre": np.array(list("abc"))[labels],
                          "subset": subsets})  # fmt: skip
    features = of_tracks.reshape(-1, 8).astype(np.float32)
    found = pretrained_baseline.predict_from(features, table, list("abc"), seed=0)
    assert len(found) == 30 * 4
    assert (found["predicted"] == found["actual"]).mean() > 0.95
    np.testing.assert_allclose(found[list("abc")].sum(axis=1), 1)
    swapped = table.assign(genre=table["genre"].where(table["subset"] == "train", "a"))
    again = pretrained_baseline.predict_from(features, swapped, list("abc"), seed=0)
    pd.testing.assert_series_equal(again["predicted"], found["predicted"])


def test_a_genre_with_a_single_training_track_is_an_error():
    table = pd.DataFrame({"track": list("abc"), "genre": ["x", "x", "y"], "subset": "train"})
    with pytest.raises(ValueError, match=r"cross-validation needs two tracks of each genre, got \[2, 1\]"):
        pretrained_baseline.predict_from(np.zeros((3, 4), np.float32), table, ["x", "y"], seed=0)
