import numpy as np
import pytest
from scipy.special import softmax

from genre.evaluation.merging import merge_clips


def test_it_is_the_geometric_mean_scaled_to_a_sum_of_one():
    merged = merge_clips(np.array([[0.8, 0.2], [0.2, 0.8], [0.8, 0.2]]))
    first, second = (0.8 * 0.2 * 0.8) ** (1 / 3), (0.2 * 0.8 * 0.2) ** (1 / 3)
    assert merged == pytest.approx([first / (first + second), second / (first + second)])


def test_it_is_the_softmax_of_the_mean_logits():
    logits = np.random.default_rng(0).normal(scale=5, size=(4, 5, 10))
    np.testing.assert_allclose(merge_clips(softmax(logits, axis=2)), softmax(logits.mean(axis=1), axis=1))


def test_equal_clips_and_a_single_one_stay_what_they_are():
    clip = np.array([0.7, 0.2, 0.1], np.float32)
    assert merge_clips(clip[None]) == pytest.approx(clip)
    assert merge_clips(np.tile(clip, (9, 1))) == pytest.approx(clip)


def test_a_clip_that_excludes_a_genre_gives_numbers():
    merged = merge_clips(np.array([[1, 0], [1, 0], [0, 1]], np.float32))
    assert merged.sum() == pytest.approx(1)
    assert merged[0] > merged[1]
