import numpy as np
import pandas as pd
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


def probabilities_of(system, train, labels, test):
    return baselines.probabilities(system, baselines.features(train)[system], labels, baselines.features(test)[system])


@pytest.mark.parametrize("system", ["linear", "svm_mfcc"])
def test_a_baseline_tells_apart_what_differs_in_its_bands(system):
    made = clips()
    probabilities = probabilities_of(system, made[:30], LABELS[:30], made[30:])
    assert probabilities.shape == (30, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (np.array(list("abc"))[probabilities.argmax(axis=1)] == LABELS[30:]).mean() > 0.9


def test_the_majority_says_the_most_frequent_genre():
    probabilities = probabilities_of("majority", clips()[:5], ["b", "b", "b", "a", "c"], clips())
    assert (probabilities.argmax(axis=1) == 1).all()


def test_two_genres_work():
    made = clips()[np.array(LABELS) != "c"]
    labels = [label for label in LABELS if label != "c"]
    for system in baselines.SYSTEMS:
        assert probabilities_of(system, made, labels, made).shape == (40, 2)


def test_statistics_are_mean_and_deviation_over_time():
    made = np.zeros((1, 2, 4), np.float16)
    made[0, 1] = [0, 1, 0, 1]
    assert baselines.band_statistics(made).tolist() == [[0, 0.5, 0, 0.5]]


@pytest.mark.parametrize("system", list(baselines.SYSTEMS))
def test_blocks_of_any_size_give_the_same_probabilities(system, monkeypatch):
    whole = probabilities_of(system, clips(), LABELS, clips())
    monkeypatch.setattr(baselines, "BLOCK", 7)
    np.testing.assert_array_equal(probabilities_of(system, clips(), LABELS, clips()), whole)


def test_every_system_is_fitted_to_the_training_clips_and_predicts_all():
    table = pd.DataFrame({"track": [f"t/{n}" for n in range(30)], "genre": LABELS[:30]})
    table["subset"] = ["train"] * 15 + ["valid"] * 6 + ["test"] * 9
    made = clips()[np.repeat(np.arange(30), 2)]  # two clips of each track
    found = baselines.predict_all(table, ["a", "b", "c"], baselines.features(made))
    assert set(found) == set(baselines.SYSTEMS)
    for rows in found.values():
        assert list(rows["track"]) == list(table["track"].repeat(2))
    assert (found["linear"]["actual"] == found["linear"]["predicted"]).mean() > 0.9
    alone = probabilities_of("linear", made[:30], table["genre"][:15].repeat(2), made)
    np.testing.assert_array_equal(found["linear"][["a", "b", "c"]], alone)


def test_of_many_training_clips_some_of_each_genre_are_taken(monkeypatch):
    genres = ["a"] * 10 + ["b"] + ["c"] * 9
    assert baselines.fitted_clips(genres).tolist() == list(range(20))
    monkeypatch.setattr(baselines, "MOST_FITTED", 7)
    assert baselines.fitted_clips(genres).tolist() == [0, 1, 4, 9, 10, 11, 13, 18]  # 4 of a, 1 of b, 3 of c
    table = pd.DataFrame({"track": [f"t/{n}" for n in range(20)], "genre": genres, "subset": "train"})
    found = baselines.predict_all(table, ["a", "b", "c"], baselines.features(clips()[:20]))["majority"]
    assert found[["a", "b", "c"]].iloc[0].tolist() == [4 / 8, 1 / 8, 3 / 8]


def test_of_many_training_clips_all_places_of_a_track_are_taken(monkeypatch):
    monkeypatch.setattr(baselines, "MOST_FITTED", 400)
    taken = baselines.fitted_clips(["a"] * 1000 + ["b"] * 1000)  # 400 tracks of five clips
    assert len(taken) == 400
    assert min(np.bincount(taken % 5)) > 60
