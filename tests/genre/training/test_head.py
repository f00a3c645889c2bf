"""The head finds genres that are there, treats them as equally frequent, and repeats bit for bit."""

import numpy as np
import pytest
import torch

from genre.training.head import cross_validated_logits, fit_head


def features(tracks: list[int], size: int = 20, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """`tracks[g]` tracks of genre `g`, four clips each, around a centre of the genre."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(1).normal(size=(len(tracks), size))
    labels = np.repeat(np.arange(len(tracks)), tracks)
    track = centres[labels] + 0.5 * rng.normal(size=(len(labels), size))
    clips = track[:, None] + 0.3 * rng.normal(size=(len(labels), 4, size))
    return clips.astype(np.float32) * 7 + 100, labels


def predicted(head: torch.nn.Linear, clips: np.ndarray) -> np.ndarray:
    return head(torch.from_numpy(clips)).softmax(dim=2).mean(dim=1).argmax(dim=1).numpy()


@pytest.mark.parametrize("genres", [2, 5])
def test_other_tracks_of_the_genres_are_told_apart(genres):
    head = fit_head(*features([8] * genres))
    clips, labels = features([20] * genres, seed=5)
    assert head.weight.shape == (genres, 20)
    assert (predicted(head, clips) == labels).mean() > 0.9


def test_a_genre_with_few_tracks_is_recognised_as_well():
    head = fit_head(*features([40, 40, 4]))
    clips, labels = features([20, 20, 20], seed=5)
    assert (predicted(head, clips)[labels == 2] == 2).mean() > 0.8


def test_the_same_tracks_give_the_same_bits():
    first, second = (fit_head(*features([8, 8, 8])) for _ in range(2))
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(first.bias, second.bias)


@pytest.mark.parametrize("genres", [2, 5])
def test_one_track_of_each_genre_is_enough(genres):
    clips, labels = features([1] * genres)
    assert (predicted(fit_head(clips, labels), clips) == labels).all()


def test_two_tracks_of_each_genre_can_be_cross_validated():
    clips, labels = features([2, 2, 2])
    assert np.isfinite(cross_validated_logits(clips, labels, seed=0)).all()


def test_a_feature_that_never_changes_does_no_harm():
    clips, labels = features([8, 8])
    clips[:, :, 3] = 1.0
    assert fit_head(clips, labels).weight.isfinite().all()


def test_cross_validation_judges_each_track_without_having_learned_from_it():
    clips, labels = features([10, 10, 10])
    rng = np.random.default_rng(0)
    noise = rng.normal(size=clips.shape).astype(np.float32)
    assert (cross_validated_logits(clips, labels, seed=0).mean(axis=1).argmax(axis=1) == labels).mean() > 0.9
    assert (cross_validated_logits(noise, labels, seed=0).mean(axis=1).argmax(axis=1) == labels).mean() < 0.7


def test_cross_validation_repeats_bit_for_bit():
    clips, labels = features([6, 6])
    first, second = (cross_validated_logits(clips, labels, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_cross_validation_with_a_single_track_of_a_genre_is_an_error():
    clips, labels = features([5, 1])
    with pytest.raises(ValueError, match=r"cross-validation needs two tracks of each genre, got \[5, 1\]"):
        cross_validated_logits(clips, labels, seed=0)


def test_tracks_that_are_all_copies_of_one_are_refused():
    with pytest.raises(ValueError, match="training tracks must differ, all of them have the same features"):
        fit_head(np.ones((6, 4, 20), np.float32), np.arange(6) % 2)
