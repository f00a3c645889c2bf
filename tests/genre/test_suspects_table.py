"""Confident learning on probabilities whose thresholds can be computed by hand."""

import numpy as np

from genre.suspects_table import COLUMNS, as_text, rank, shortened

GENRES = ["dub", "folk"]
# Thresholds, the mean probability of the own label: dub (0.9 + 0.7 + 0.2) / 3 = 0.6, folk (0.8 + 0.6 + 0.4) / 3 = 0.6.
LABELS = np.array([0, 0, 0, 1, 1, 1])
PROBABILITIES = np.array([[0.9, 0.1], [0.7, 0.3], [0.2, 0.8], [0.2, 0.8], [0.4, 0.6], [0.6, 0.4]])


def test_the_tracks_that_reach_the_threshold_of_another_genre_are_suspects():
    table = rank(list("abcdef"), LABELS, GENRES, PROBABILITIES)
    assert tuple(table.columns) == COLUMNS
    # c has 0.8 of folk and f 0.6 of dub, both at least 0.6; e is below the threshold of dub, b below that of folk.
    assert list(table["track"]) == ["c", "f", "e", "b", "d", "a"]
    assert list(table["suspect"]) == ["yes", "yes", "no", "no", "no", "no"]
    assert list(table["suspected"]) == ["folk", "dub", "dub", "folk", "dub", "folk"]
    np.testing.assert_allclose(table["score"], [0.8, 0.6, 0.4, 0.3, 0.2, 0.1])


def test_labels_that_all_predictions_agree_with_are_no_suspects():
    sure = np.eye(2)[LABELS] * 0.8 + 0.1
    assert set(rank(list("abcdef"), LABELS, GENRES, sure)["suspect"]) == {"no"}


def test_equal_scores_are_in_the_order_of_the_names():
    sure = np.eye(2)[LABELS] * 0.8 + 0.1
    assert list(rank(list("fedcba"), LABELS, GENRES, sure)["track"]) == list("abcdef")


def test_the_first_rows_are_printed_in_80_columns_whatever_the_names():
    names = ["a/" + " ".join(["very long name"] * 9), "b\x1b[2J/c", *"cdef"]
    genres = ["a genre with a long name", "folk"]
    lines = as_text(rank(names, LABELS, genres, PROBABILITIES), rows=4).splitlines()
    assert len(lines) == 5
    assert max(map(len, lines)) <= 80
    assert lines[0].split() == list(COLUMNS)
    everything = as_text(rank(names, LABELS, genres, PROBABILITIES))
    assert "\x1b" not in everything
    assert "a/very long nam... very long name" in everything


def test_a_long_name_keeps_its_beginning_and_its_end():
    assert shortened("0123456789", 9) == "012...789"
    assert shortened("012345678", 9) == "012345678"
