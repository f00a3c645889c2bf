import tracemalloc

import numpy as np
import pandas as pd
import pytest

from genre import study_table
from genre.evaluation import metrics


def outcomes(results, seeds=(1, 2), system="network"):
    """`results` has a row a track with a outcome for each seed; None where the seed does not test the track."""
    rows = [
        {"system": system, "seed": seed, "track": f"t{number}", "subset": "test", "correct": correct}
        for number, row in enumerate(results)
        for seed, correct in zip(seeds, row, strict=True)
        if correct is not None
    ]
    return pd.DataFrame(rows)


def test_the_accuracy_is_over_all_outcomes_as_its_interval_and_the_deviation_over_seeds():
    scored = study_table.summary(outcomes([(1, 1), (1, 0), (0, 0), (1, None)]))
    assert (scored["seeds"], scored["tracks"]) == (2, 4)
    assert scored["track_accuracy"] == pytest.approx(4 / 7)
    assert scored["track_accuracy_sd"] == pytest.approx((3 / 4 - 1 / 3) / np.sqrt(2))
    few_and_many = study_table.summary(outcomes([(1, None)] * 8 + [(None, 1), (None, 0)] * 20))
    assert few_and_many["track_accuracy_low"] < few_and_many["track_accuracy"] < few_and_many["track_accuracy_high"]


def test_the_same_outcomes_in_more_seeds_make_no_interval_narrower():
    results = np.random.default_rng(0).integers(0, 2, 40).tolist()
    once, thrice = (
        outcomes([(correct,) for correct in results], seeds=(1,)),
        outcomes([(r,) * 3 for r in results], (1, 2, 3)),
    )
    first, second = study_table.summary(once), study_table.summary(thrice)
    keys = ("track_accuracy", "track_accuracy_low", "track_accuracy_high")
    assert [first[key] for key in keys] == pytest.approx([second[key] for key in keys])
    assert first["track_accuracy_high"] - first["track_accuracy_low"] == pytest.approx(
        2 * 1.96 * 0.5 / 40**0.5, abs=0.04
    )


def test_a_single_seed_has_no_deviation_and_perfect_outcomes_the_interval_of_their_tracks():
    scored = study_table.summary(outcomes([(1,)] * 5, seeds=(1,)))
    assert scored["track_accuracy_sd"] == 0
    assert (scored["track_accuracy_low"], scored["track_accuracy_high"]) == metrics.wilson(5, 5)
    none = study_table.summary(outcomes([(0, 0)] * 5))
    assert (none["track_accuracy_low"], none["track_accuracy_high"]) == metrics.wilson(0, 5)


@pytest.mark.parametrize(("only_a", "only_b"), [(4, 0), (5, 0), (6, 0), (8, 1), (10, 4), (0, 0)])
def test_with_one_outcome_a_track_the_sign_flip_test_is_mcnemars(only_a, only_b):
    sums = np.array([1.0] * only_a + [-1.0] * only_b + [0.0] * 20)
    assert study_table.sign_flip_p(sums) == pytest.approx(metrics.mcnemar(only_a, only_b), abs=0.015)


def test_drawing_in_blocks_gives_the_same_bits_and_takes_little_memory(monkeypatch):
    sums = np.random.default_rng(0).integers(-3, 4, (37, 2)).astype(float)
    sums[:, 1] = 3
    found = []
    for block in (study_table.DRAWS * 37, 37 * 999, 1):
        monkeypatch.setattr(study_table, "BLOCK", block)
        found.append((study_table.percentiles(sums), study_table.sign_flip_p(sums[:, 0])))
    flips = np.random.default_rng(0).choice([-1.0, 1.0], (study_table.DRAWS, 37)) @ sums[:, 0]
    assert found[0][1] == (1 + (abs(flips) >= abs(sums[:, 0].sum())).sum()) / (study_table.DRAWS + 1)
    assert found[0] == found[1] == found[2]
    monkeypatch.undo()
    many = np.tile(sums, (30, 1))
    tracemalloc.start()
    study_table.percentiles(many)
    study_table.sign_flip_p(many[:, 0])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6  # all draws at once take 89 MB


def test_a_difference_is_paired_and_says_whether_it_is_sign_flip_p():
    good, bad = outcomes([(1, 1)] * 20), outcomes([(0, 1)] * 10 + [(1, 1)] * 10)
    assert study_table.difference("x", good, "y", bad).startswith("x, less y: +25.0 points by track (95 % interval +")
    assert study_table.difference("x", good, "y", bad).endswith("): more than chance")
    close = outcomes([(1, 1)] * 19 + [(0, 1)])
    assert study_table.difference("x", close, "y", good).endswith(
        "no more than the chance choice of test tracks explains"
    )


def test_systems_that_test_different_tracks_are_refused():
    with pytest.raises(ValueError, match="x and y must be tested on the same tracks, 't1' is in one alone"):
        study_table.difference("x", outcomes([(1, 1)] * 2), "y", outcomes([(1, 1)]))
