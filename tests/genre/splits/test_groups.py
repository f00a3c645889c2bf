import pandas as pd

from genre.splits import groups, protocols
from tests.genre.splits.test_protocols import SHARES, draw, table


def test_lists_that_share_a_track_are_one_group():
    tracks = pd.DataFrame({"track": ["a", "b", "c", "d"]})
    assert groups.group_names(tracks, [("d", "c"), ("b", "c"), ("x",)]) == ["a", "b", "b", "b"]


def test_a_track_that_the_corpus_lacks_still_connects_two_others():
    tracks = pd.DataFrame({"track": ["a", "b", "d"]})
    assert groups.group_names(tracks, [("b", "c"), ("c", "d")]) == ["a", "b", "b"]


def test_only_pairs_across_subsets_straddle():
    pairs = pd.DataFrame({"track_a": ["a", "a", "b"], "track_b": ["b", "c", "z"], "score": [1.0, 2.0, 3.0]})
    found = groups.straddling({"a": "train", "b": "train", "c": "test"}, pairs)
    assert found[["track_a", "track_b", "subset_a", "subset_b"]].to_numpy().tolist() == [["a", "c", "train", "test"]]


def test_a_group_that_is_too_large_is_named():
    tracks = table(10, 10)
    names = ["big"] * 8 + list(tracks["track"][8:])
    assigned = tracks.assign(subset=draw(tracks, names), group=names)
    assert groups.missed_shares(assigned, SHARES) == [
        "'g0' has 8 of its 10 tracks in train instead of 6.0: groups are kept whole, the largest ('big') has 8 tracks"
    ]


def test_of_few_tracks_each_subset_has_at_least_one_and_that_is_said():
    tracks = table(3, 3)
    assigned = tracks.assign(subset=draw(tracks, valid=0.05, test=0.05), group=tracks["track"])
    assert groups.missed_shares(assigned, protocols.subset_shares(0.05, 0.05))[0] == (
        "'g0' has 1 of its 3 tracks in train instead of 2.7: each subset has at least one track of every genre"
    )


def test_shares_that_are_met_are_not_mentioned():
    tracks = table(10, 10)
    assigned = tracks.assign(subset=draw(tracks), group=tracks["track"])
    assert groups.missed_shares(assigned, protocols.subset_shares(0.2, 0.2)) == []
