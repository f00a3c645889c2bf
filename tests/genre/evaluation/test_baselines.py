import numpy as np
import pytest

from genre.evaluation import baselines

LABELS = ["a", "b", "c"] * 20


def clips(separable=True):
    random = np.random.default_rng(0)
    made = random.uniform(0, 0.2, (60, 32, 40))
    if separable:
        for place, label in enumerate(LABELS):
            made[place, 10 * "abc".index(label) : 10 * "abc".index(label) + 5] += 0.5
    return made.astype(np.float16)


@pytest.mark.parametrize("system", ["linear", "svm_mfcc"])
def test_a_baseline_tells_apart_what_differs_in_its_bands(system):
    made = clips()
    chances = baselines.probabilities(system, made[:30], LABELS[:30], made[30:])
    assert chances.shape == (30, 3)
    np.testing.assert_allclose(chances.sum(axis=1), 1)
    assert (np.array(list("abc"))[chances.argmax(axis=1)] == LABELS[30:]).mean() > 0.9


def test_the_majority_says_the_most_frequent_genre():
    chances = baselines.probabilities("majority", clips()[:5], ["b", "b", "b", "a", "c"], clips())
    assert (chances.argmax(axis=1) == 1).all()


def test_two_genres_work():
    made = clips()[np.array(LABELS) != "c"]
    labels = [label for label in LABELS if label != "c"]
    for system in baselines.SYSTEMS:
        assert baselines.probabilities(system, made, labels, made).shape == (40, 2)


def test_statistics_are_mean_and_deviation_over_time():
    made = np.zeros((1, 2, 4), np.float16)
    made[0, 1] = [0, 1, 0, 1]
    assert baselines.band_statistics(made).tolist() == [[0, 0.5, 0, 0.5]]


@pytest.mark.parametrize("system", list(baselines.SYSTEMS))
def test_features_are_the_same_in_blocks_of_any_size(system, monkeypatch):
    whole = baselines._features(system, clips())
    monkeypatch.setattr(baselines, "BLOCK", 7)
    np.testing.assert_array_equal(baselines._features(system, clips()), whole)
