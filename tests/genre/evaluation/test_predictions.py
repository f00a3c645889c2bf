import numpy as np
import pandas as pd
import pytest

from genre.evaluation import predictions
from genre.pipeline import tables
from tests.genre.evaluation.test_metrics import table_of

TRACKS = pd.DataFrame({"track": ["b/0", "a/0"], "genre": ["b", "a"], "subset": ["train", "test"]}, index=[7, 3])


def test_clips_of_a_track_follow_each_other_and_the_most_probable_genre_is_predicted():
    probabilities = np.array([[0.1, 0.9], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    table = predictions.of_clips(TRACKS, ["a", "b"], probabilities)
    assert tuple(table.columns) == (*tables.CLIP_PREDICTIONS, "a", "b")
    assert table.to_numpy().tolist() == [
        ["b/0", 0, "train", "b", "b", 0.1, 0.9],
        ["b/0", 1, "train", "b", "a", 0.6, 0.4],
        ["a/0", 0, "test", "a", "a", 0.7, 0.3],
        ["a/0", 1, "test", "a", "b", 0.2, 0.8],
    ]


def test_genres_are_the_columns_beside_those_of_the_table():
    assert predictions.genres_of(table_of([("t", 0, "test", "z", "y", 0.1, 0.9)], genres=("z", "y"))) == ["z", "y"]


def test_the_clips_of_a_track_are_merged_by_their_geometric_mean():
    table = table_of([
        ("t", 0, "test", "a", "a", 0.9, 0.1),
        ("t", 1, "test", "a", "b", 0.4, 0.6),
        ("u", 0, "test", "b", "a", 0.5, 0.5),
    ])  # fmt: skip
    tracks = predictions.by_track(table)
    assert tracks[["track", "predicted"]].to_numpy().tolist() == [["t", "a"], ["u", "a"]]
    odds = ((0.9 / 0.1) * (0.4 / 0.6)) ** 0.5
    assert tracks["a"].tolist() == pytest.approx([odds / (1 + odds), 0.5])
    assert (tracks["a"] + tracks["b"]).tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize("genre", ["self", "cls", "mean", "columns"])
def test_a_genre_may_have_any_name(genre):
    table = table_of([("t", 0, "test", genre, genre, 0.9, 0.1)], genres=(genre, "b"))
    assert predictions.by_track(table)["predicted"].tolist() == [genre]
