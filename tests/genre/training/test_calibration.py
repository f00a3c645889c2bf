"""Temperature and threshold: known answers, edges, and that more trust is not given than is earned."""

import numpy as np
import pytest
from scipy.special import softmax

from genre.evaluation.merging import merge_clips
from genre.training.calibration import fit_temperature, track_probabilities, unsure_threshold


def sampled(tracks: int = 4000, genres: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Logits of one clip a track, and labels drawn with exactly the probabilities that they say."""
    rng = np.random.default_rng(0)
    logits = 2 * rng.normal(size=(tracks, 1, genres))
    labels = [rng.choice(genres, p=p) for p in softmax(logits[:, 0], axis=1)]
    return logits, np.array(labels)


@pytest.mark.parametrize("factor", [0.25, 1.0, 3.0])
def test_the_temperature_undoes_a_scale_of_the_logits(factor):
    logits, actual = sampled()
    assert fit_temperature(factor * logits, actual) == pytest.approx(factor, rel=0.1)


def test_the_temperature_of_a_network_that_is_always_right_stays_in_range():
    logits = 5 * np.eye(3)[:, None, :]
    assert 0.05 <= fit_temperature(logits, np.arange(3)) <= 20


def few_that_are_nearly_all_correct(tracks: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits of five clips a track, among ten genres, of a network that classifies 97 % of the tracks correctly."""
    rng = np.random.default_rng(seed)
    actual = rng.integers(0, 10, tracks)
    of_track = rng.normal(size=(tracks, 1, 10)) + 4 * np.eye(10)[actual][:, None]
    return of_track + 0.7 * rng.normal(size=(tracks, 5, 10)), actual


def test_few_tracks_give_a_temperature_that_is_better_on_others_than_none_and_not_at_the_end_of_the_range():
    def loss(temperature: float) -> float:
        chosen = track_probabilities(others, temperature)[np.arange(len(actual)), actual]
        return float(-np.log(chosen.clip(1e-7)).mean())

    others, actual = few_that_are_nearly_all_correct(2000, seed=0)
    fitted = [fit_temperature(*few_that_are_nearly_all_correct(20, seed)) for seed in range(1, 21)]
    assert min(fitted) > 0.1
    assert np.mean([loss(temperature) for temperature in fitted]) < loss(0.05)
    assert max(loss(temperature) for temperature in fitted) < loss(1.0) / 2


def test_a_temperature_above_one_makes_every_answer_less_sure_and_changes_none():
    logits, _ = sampled(100)
    before, after = track_probabilities(logits), track_probabilities(logits, 2.0)
    assert (after.max(axis=1) < before.max(axis=1)).all()
    assert (after.argmax(axis=1) == before.argmax(axis=1)).all()


def test_clips_are_merged_as_in_evaluation():
    clips = softmax(np.random.default_rng(0).normal(size=(7, 5, 3)), axis=2)
    np.testing.assert_allclose(track_probabilities(np.log(clips)), merge_clips(clips))


def test_the_threshold_lies_below_the_last_track_that_keeps_the_expected_share():
    confidence = np.array([0.95, 0.85, 0.6, 0.4])  # means: 0.95, 0.9, 0.8, 0.7
    assert unsure_threshold(confidence, target=0.89) == pytest.approx(0.725)
    assert unsure_threshold(confidence, target=0.79) == pytest.approx(0.5)


def test_the_order_of_the_tracks_does_not_matter():
    assert unsure_threshold(np.array([0.4, 0.95, 0.6, 0.85])) == unsure_threshold(np.array([0.95, 0.85, 0.6, 0.4]))


def test_all_are_answered_where_all_are_sure():
    assert unsure_threshold(np.array([0.99, 0.95])) == 0.0


def test_none_is_answered_where_the_surest_is_not_sure_enough():
    assert unsure_threshold(np.array([0.8, 0.2])) > 1


def test_of_the_answered_tracks_as_many_are_right_as_asked_for():
    logits, actual = sampled()
    probabilities = track_probabilities(logits, fit_temperature(logits[:2000], actual[:2000]))
    threshold = unsure_threshold(probabilities[:2000].max(axis=1), target=0.9)
    judged = (probabilities.max(axis=1) >= threshold) & (np.arange(4000) >= 2000)
    right = probabilities.argmax(axis=1) == actual
    assert right[judged].mean() == pytest.approx(0.9, abs=0.03)
