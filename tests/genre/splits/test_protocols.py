from itertools import product

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genre.splits import groups, protocols

SHARES = {"train": 0.6, "valid": 0.2, "test": 0.2}
sizes = st.lists(st.integers(5, 40), min_size=2, max_size=6)


def table(*sizes: int) -> pd.DataFrame:
    """Makes as many genres as there are sizes, with as many tracks each."""
    rows = [(f"g{genre}/{number:03d}", f"g{genre}") for genre, size in enumerate(sizes) for number in range(size)]
    return pd.DataFrame(rows, columns=["track", "genre"])


def draw(tracks, names=None, **options):
    """Draws a stratified split; `names` are the groups, by default each track is its own."""
    options = {"valid": 0.2, "test": 0.2, "seed": 42, **options}
    return protocols.stratified(tracks, groups=names or list(tracks["track"]), **options)


def fold(tracks, number, folds=5, seed=0):
    return protocols.kfold(tracks, folds=folds, fold=number, seed=seed, groups=list(tracks["track"]))


def most_off(rows):
    """Returns by how many tracks a subset misses its share of `rows` at most."""
    return max(abs((rows["subset"] == subset).sum() - share * len(rows)) for subset, share in SHARES.items())


def test_gtzan_is_divided_60_20_20_in_every_genre():
    tracks = table(*[100] * 10)
    counts = pd.crosstab(tracks["genre"], draw(tracks))
    assert (counts[["train", "valid", "test"]] == [60, 20, 20]).all(axis=None)


def test_the_protocol_of_the_reference_has_no_test_subset():
    tracks = table(*[100] * 9, 99)
    subsets = draw(tracks, test=0.0)
    assert set(subsets) == {"train", "valid"}
    assert abs((subsets == "valid").sum() - 200) <= 1


def test_order_of_the_table_does_not_matter():
    tracks = table(10, 12)
    shuffled = tracks.sample(frac=1, random_state=1)
    assert draw(tracks).to_dict() == draw(shuffled).to_dict()


def test_another_seed_gives_another_split_of_the_same_shares():
    tracks = table(20, 20)
    first, second = draw(tracks), draw(tracks, seed=43)
    assert not first.equals(second)
    assert first.value_counts().to_dict() == second.value_counts().to_dict()


@given(sizes=sizes, seed=st.integers(0, 10_000), group_size=st.integers(1, 6))
@settings(max_examples=40)
def test_no_group_is_in_two_subsets_and_every_subset_has_every_genre(sizes, seed, group_size):
    tracks = table(*sizes)
    names = [f"{track[:2]}-{int(track[-3:]) // group_size}" for track in tracks["track"]]
    if min(-(-size // group_size) for size in sizes) < 3:
        with pytest.raises(ValueError, match="must have at least 3 tracks"):
            draw(tracks, names, seed=seed)
        return
    assigned = tracks.assign(subset=draw(tracks, names, seed=seed), group=names)
    assert (assigned.groupby("group")["subset"].nunique() == 1).all()
    assert (assigned.groupby("genre")["subset"].nunique() == 3).all()
    target = assigned["genre"].value_counts() * 0.2
    have = assigned[assigned["subset"] == "test"]["genre"].value_counts()
    assert ((have - target).abs() <= max(1, group_size)).all()


@given(data=st.data(), sizes=st.lists(st.integers(8, 40), min_size=2, max_size=5), seed=st.integers(0, 10_000))
@settings(max_examples=30)
def test_groups_of_any_size_across_genres_stay_whole_and_what_is_missed_is_said(data, sizes, seed):
    tracks = table(*sizes)
    numbers = data.draw(st.lists(st.integers(0, 30), min_size=len(tracks), max_size=len(tracks)))
    names = [f"group {number}" for number in numbers]
    if tracks.assign(group=names).groupby("genre")["group"].nunique().min() < 3:
        with pytest.raises(ValueError, match=r"must have at least 3 tracks \(or groups of tracks\)"):
            draw(tracks, names, seed=seed)
        return
    assigned = tracks.assign(subset=draw(tracks, names, seed=seed), group=names)
    assert (assigned.groupby("group")["subset"].nunique() == 1).all()
    assert sorted(assigned["track"]) == sorted(tracks["track"])
    said = " ".join(groups.missed_shares(assigned, SHARES))
    for genre, rows in assigned.groupby("genre"):
        assert (f"'{genre}' has" in said) == (most_off(rows) > 1 + 1e-9)
    assert most_off(assigned) <= max(assigned.groupby("group").size()) + 2


@given(sizes=st.lists(st.integers(3, 40), min_size=2, max_size=8), seed=st.integers(0, 10_000))
@settings(max_examples=30)
def test_without_groups_no_genre_misses_its_share(sizes, seed):
    tracks = table(*sizes)
    assigned = tracks.assign(subset=draw(tracks, seed=seed))
    for _, rows in assigned.groupby("genre"):
        assert most_off(rows) <= 2  # of three tracks none is left for half a share


@given(
    sizes=st.lists(st.integers(3, 30), min_size=2, max_size=5),
    seed=st.integers(0, 10_000),
    group_size=st.integers(1, 3),
    valid=st.sampled_from([0.1, 0.2, 0.4]),
)
@settings(max_examples=30)
def test_the_same_tracks_are_tested_with_and_without_a_validation_subset(sizes, seed, group_size, valid):
    tracks = table(*sizes)
    names = [f"{track[:2]}-{int(track[-3:]) // group_size}" for track in tracks["track"]]
    if min(-(-size // group_size) for size in sizes) < 3:
        return
    with_valid, without = (draw(tracks, names, valid=share, seed=seed) for share in (valid, 0))
    assert ((with_valid == "test") == (without == "test")).all()
    assert set(with_valid) == {"train", "valid", "test"}
    assert set(without) == {"train", "test"}


def test_groups_of_several_genres_that_leave_train_without_one_are_refused():
    counts = [[0, 3, 0], [2, 0, 1], [3, 3, 0], [3, 0, 3], [0, 1, 3]]  # of each group and genre
    rows = [
        (f"g{genre}/{group}{number}", f"g{genre}", f"group {group}")
        for group, row in enumerate(counts)
        for genre, count in enumerate(row)
        for number in range(count)
    ]
    tracks = pd.DataFrame(rows, columns=["track", "genre", "group"])
    refused = 0
    for seed in range(40):
        try:
            drawn = draw(tracks, list(tracks["group"]), valid=0.4, test=0.4, seed=seed)
            assert set(tracks["genre"][drawn == "train"]) == {"g0", "g1", "g2"}
        except ValueError as error:
            assert "train must have tracks of every genre, it has none of 'g" in str(error)
            refused += 1
    assert 0 < refused < 40


def test_folds_whose_groups_leave_train_without_a_genre_are_refused():
    of_groups = {"a": "g0 g1 g1", "b": "g1 g2", "c": "g0", "d": "g0 g2 g2 g2", "e": "g0"}
    rows = [(f"{group}{number}", genre, group) for group, genres in of_groups.items()
            for number, genre in enumerate(genres.split())]  # fmt: skip
    tracks = pd.DataFrame(rows, columns=["track", "genre", "group"])
    refused = 0
    for seed, number in product(range(20), range(2)):
        try:
            drawn = protocols.kfold(tracks, folds=2, fold=number, seed=seed, groups=list(tracks["group"]))
            assert set(tracks["genre"][drawn == "train"]) == {"g0", "g1", "g2"}
        except ValueError as error:
            assert "train must have tracks of every genre, it has none of 'g" in str(error)
            refused += 1
    assert 0 < refused < 40


@given(sizes=sizes, seed=st.integers(0, 10_000), folds=st.integers(2, 5))
@settings(max_examples=15)
def test_over_all_folds_each_track_is_tested_once(sizes, seed, folds):
    tracks = table(*sizes)
    tested = [tracks["track"][fold(tracks, number, folds, seed) == "test"] for number in range(folds)]
    assert sorted(pd.concat(tested)) == sorted(tracks["track"])


def test_the_fold_after_the_tested_one_validates_and_of_two_folds_none():
    tracks = table(10, 10)
    assert ((fold(tracks, 0) == "valid") == (fold(tracks, 1) == "test")).all()
    assert ((fold(tracks, 4) == "valid") == (fold(tracks, 0) == "test")).all()
    assert set(fold(tracks, 0, folds=2)) == {"train", "test"}


def test_a_genre_with_too_few_tracks_and_a_single_genre_are_refused():
    with pytest.raises(ValueError, match="'g1' has 3; add recordings, or lower split.folds"):
        fold(table(10, 3), 0)
    with pytest.raises(ValueError, match="'g1' has 2; add recordings, or set split.test or split.valid to 0"):
        draw(table(10, 2))
    with pytest.raises(ValueError, match="at least 2 genres, got g0"):
        draw(table(10))


def test_a_published_list_is_followed_and_missing_and_unlisted_tracks_are_named():
    named, subsets = ["g0/000", "g1/001", "g1/002", "g1/999"], ["train", "test", "train", "valid"]
    wanted = pd.DataFrame({"track": named, "subset": subsets})
    found, missing = protocols.listed(table(2, 3), wanted, where="list"), protocols.left_out(table(2, 3), wanted)
    assert dict(zip(found["track"], found["subset"], strict=True)) == dict(zip(named[:3], subsets[:3], strict=True))
    assert missing.to_numpy().tolist() == [
        ["g1/999", "are listed, but not in the corpus"],
        ["g0/001", "are in the corpus, but not listed"],
        ["g1/000", "are in the corpus, but not listed"],
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("g0/000", "trian")], "subset must be one of train, valid, test, got 'trian' for 'g0/000'"),
        ([("g0/000", "train"), ("g0/000", "test")], "each track must be listed once, got 'g0/000' twice"),
        ([("g0/000", "test")], "names none of the corpus's tracks for train"),
        ([("g0/000", "train"), ("g1/000", "test")], "train must have tracks of every genre, it has none of 'g1'"),
        ([("g0/000", "train"), ("g1/000", "train")], "some tracks must be in valid or test, all are in train"),
        ([("g1/000", "train"), ("g1/001", "test")], "must name tracks of at least 2 genres, has only 'g1'"),
    ],
)
def test_a_bad_list_is_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        protocols.listed(table(2, 2), pd.DataFrame(rows, columns=["track", "subset"]), where="list")
