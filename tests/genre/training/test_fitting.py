"""Fitting a network: by steps from new weights, or a head on the pretrained trunk, which may be trained on."""

from dataclasses import replace

import pandas as pd
import pytest
import torch

from genre.network import inference
from genre.network.musicnn.network import Musicnn, load_pretrained
from genre.network.unet import GenreNet
from genre.spectrograms.params import Clips
from genre.training import fitting
from genre.training.params import Augment, Train
from tests.genre.training.conftest import two_genres
from tests.genre.training.test_augment import OFF
from tests.genre.training.test_loop import CHOICES, CPU, network

CLIPS = Clips(clips_per_track=1, clip_frames=32, clip_spacing="even")


def given(spectrograms, n_valid=2, **changes) -> fitting.Material:
    tracks = list(spectrograms.index)
    subsets = ["train"] * (len(tracks) - n_valid) + ["valid"] * n_valid
    table = pd.DataFrame({"track": tracks, "genre": [track[:2] for track in tracks], "subset": subsets})
    train = Train(**CHOICES | {"epochs": 2, "batch_size": 2, "crops": "fixed"} | changes)
    return fitting.Material(spectrograms, table, ["g0", "g1"], CLIPS, Augment(**OFF), train, CPU)


@pytest.fixture
def heard(tmp_path):
    """Six tracks of 40 frames in musicnn's 96 bands."""
    return two_genres(tmp_path, 6, 40, 96)


def published() -> dict[str, torch.Tensor]:
    return load_pretrained().state_dict()


def test_a_network_without_validation_has_no_calibration(spectrograms):
    rows = []
    state, calibrated = fitting.fit(network(), given(spectrograms, n_valid=0, keep="last"), rows.append)
    assert [row["epoch"] for row in rows] == [1, 2]
    assert "valid_loss" not in state.history[0]
    assert calibrated["temperature"] == 1.0


def test_the_trunk_stays_as_it_was_published(heard):
    net = Musicnn(genres=2)
    state, _ = fitting.fit(net, given(heard, n_valid=0), lambda _: None)
    assert len(state.history) == 1
    assert all(torch.equal(value, state.best[f"trunk.{name}"]) for name, value in published().items())


def test_the_trunk_is_trained_on_from_the_fitted_head_and_its_statistics_stay(heard):
    net = Musicnn(genres=2)
    state, _ = fitting.fit(net, given(heard, trunk_rate=0.1, learning_rate=1e-4), lambda _: None)
    assert [row["epoch"] for row in state.history] == [1, 2]
    assert state.history[-1]["valid_accuracy"] == 1.0
    for name, value in published().items():
        moved = not torch.equal(value, state.best[f"trunk.{name}"])
        assert moved == ("running" not in name and "num_batches" not in name), name


def test_the_trunk_has_a_lower_rate_than_the_head(heard):
    net = Musicnn(genres=2)
    state, _ = fitting.fit(net, given(heard, trunk_rate=1e-2, learning_rate=1e-3, schedule="constant"), lambda _: None)
    distance = max((value - state.best[f"trunk.{name}"]).abs().max() for name, value in published().items())
    assert 0 < distance < 1e-4  # four steps of Adam, each of about the learning rate at most
    assert state.history[0]["learning_rate"] == pytest.approx(1e-3)


def test_training_the_trunk_on_needs_a_validation_subset(heard):
    with pytest.raises(
        ValueError, match=r"train\.trunk_rate above 0 must have a validation subset.*set split\.valid to"
    ):
        fitting.fit(Musicnn(genres=2), given(heard, n_valid=0, trunk_rate=0.1), lambda _: None)


def test_a_genre_with_a_single_training_track_is_named_before_features_are_computed(heard, tmp_path):
    few = given(heard, n_valid=0, epochs=1)
    rows = few.table[few.table["track"].str.startswith("g1") | (few.table["track"] == few.table["track"].iloc[0])]
    path = tmp_path / "few.pt"
    with pytest.raises(ValueError, match=r"train must have at least 2 tracks of each genre .*, 'g0' has 1; .* add"):
        fitting.fit(Musicnn(genres=2), replace(few, table=rows, checkpoint_path=path), lambda _: None)
    assert not list(tmp_path.glob("few*"))


def test_a_training_of_the_trunk_that_was_killed_goes_on_to_the_same_bits(heard, tmp_path):
    options = {"trunk_rate": 0.1, "learning_rate": 1e-4}
    whole, _ = fitting.fit(Musicnn(genres=2), given(heard, **options), lambda _: None)

    def killed_after_one(row):
        if row["epoch"] == 1:
            raise KeyboardInterrupt

    kept = fitting.Material(**{**vars(given(heard, **options)), "checkpoint_path": tmp_path / "c.pt", "key": "k"})
    with pytest.raises(KeyboardInterrupt):
        fitting.fit(Musicnn(genres=2), kept, killed_after_one)
    assert (tmp_path / "c-features.pt").exists()
    resumed, _ = fitting.fit(Musicnn(genres=2), kept, lambda _: None)
    assert all(torch.equal(value, resumed.best[name]) for name, value in whole.best.items())


def test_temperature_and_threshold_are_fitted_to_the_clips_of_each_track_and_its_genre(heard, monkeypatch):
    """Five tracks of one genre and one of the other, three clips each: no other order of labels is right."""
    table = pd.DataFrame({"track": list(heard.index), "genre": [track[:2] for track in heard.index]})
    table["subset"] = ["train", "train", "valid", "valid", "valid", "train"]
    material = replace(given(heard), table=table, clips=CLIPS.model_copy(update={"clips_per_track": 3}))
    seen = []
    monkeypatch.setattr(fitting.calibration, "fit", lambda logits, actual: seen.append((logits, actual)) or {"T": 1.0})
    torch.manual_seed(5)
    net = GenreNet(genres=2, n_mels=96, clip_frames=32, base_channels=2)
    assert fitting.fit(net, material, lambda _: None)[1] == {"T": 1.0}
    ((logits, actual),) = seen
    assert actual.tolist() == [0, 1, 0]  # tracks g0/2, g1/3 and g0/4
    cuts = [
        torch.from_numpy(heard.cut(track, start, 32).copy()) for track in table["track"][2:5] for start in (0, 4, 8)
    ]
    wanted = inference.compute_logits(net, torch.stack(cuts), hardware=CPU).reshape(3, 3, 2)
    torch.testing.assert_close(torch.from_numpy(logits), wanted)


def test_the_head_enters_the_training_of_the_trunk_at_its_calibrated_scale(heard):
    """At the scale of the fit alone, the first steps would mainly correct how sure the head is."""
    fixed, calibrated = fitting.fit(Musicnn(genres=2), given(heard, n_valid=2), lambda _: None)
    assert calibrated["temperature"] != pytest.approx(1.0, abs=0.1)
    options = {"trunk_rate": 1e-3, "learning_rate": 1e-8, "schedule": "constant", "epochs": 1}
    trained, _ = fitting.fit(Musicnn(genres=2), given(heard, n_valid=2, **options), lambda _: None)
    for name in ("head.weight", "head.bias"):
        torch.testing.assert_close(
            trained.best[name], fixed.best[name] / calibrated["temperature"], atol=1e-5, rtol=1e-4
        )


def test_the_history_of_a_fitted_head_has_the_cross_entropy_of_its_calibrated_probabilities(heard):
    material, net = given(heard, n_valid=0), Musicnn(genres=2)
    state, calibrated = fitting.fit(net, material, lambda _: None)
    cuts = torch.stack([torch.from_numpy(heard.cut(track, 4, 32).copy()) for track in heard.index])
    logits = inference.compute_logits(net, cuts, hardware=CPU) / calibrated["temperature"]
    wanted = torch.nn.functional.cross_entropy(logits, torch.tensor([0, 1] * 3))
    assert state.history[0]["train_loss"] == pytest.approx(float(wanted), rel=1e-3)
