import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genre.splits import groups, protocols


def table(*sizes: int) -> pd.DataFrame:
    rows = [(f"g{genre}/{number:03d}", f"g{genre}") for genre, size in enumerate(sizes) for number in range(size)]
    return pd.DataFrame(rows, columns=["track", "genre"])


def deal(tracks, groups=None, **options):
    options = {"valid": 0.2, "test": 0.2, "seed": 42, **options}
    return protocols.stratified(tracks, groups=groups or list(tracks["track"]), **options)


def test_gtzan_is_dealt_60_20_20_in_every_genre():
    tracks = table(*[100] * 10)
    counts = pd.crosstab(tracks["genre"], deal(tracks))
    assert (counts[["train", "valid", "test"]] == [60, 20, 20]).all(axis=None)


def test_the_protocol_of_the_reference_has_no_test_subset():
    tracks = table(*[100] * 9, 99)
    subsets = deal(tracks, test=0.0)
    assert set(subsets) == {"train", "valid"}
    assert abs((subsets == "valid").sum() - 200) <= 1


def test_order_of_the_table_does_not_matter():
    tracks = table(10, 12)
    shuffled = tracks.sample(frac=1, random_state=1)
    assert deal(tracks).to_dict() == deal(shuffled).to_dict()


def test_another_seed_gives_another_split_of_the_same_shares():
    tracks = table(20, 20)
    first, second = deal(tracks), deal(tracks, seed=43)
    assert not first.equals(second)
    assert first.value_counts().to_dict() == second.value_counts().to_dict()


SHARES = {"train": 0.6, "valid": 0.2, "test": 0.2}
sizes = st.lists(st.integers(5, 40), min_size=2, max_size=6)


@given(sizes=sizes, seed=st.integers(0, 10_000), cuts=st.integers(1, 6))
@settings(max_examples=300, deadline=None)
def test_no_group_is_in_two_subsets_and_every_subset_has_every_genre(sizes, seed, cuts):
    tracks = table(*sizes)
    groups = [f"{track[:2]}-{int(track[-3:]) // cuts}" for track in tracks["track"]]
    if min(-(-size // cuts) for size in sizes) < 3:
        with pytest.raises(ValueError, match="must have at least 3 tracks"):
            deal(tracks, groups, seed=seed)
        return
    dealt = tracks.assign(subset=deal(tracks, groups, seed=seed), group=groups)
    assert (dealt.groupby("group")["subset"].nunique() == 1).all()
    assert (dealt.groupby("genre")["subset"].nunique() == 3).all()
    wish = dealt["genre"].value_counts() * 0.2
    have = dealt[dealt["subset"] == "test"]["genre"].value_counts()
    assert ((have - wish).abs() <= max(1, cuts)).all()


@given(data=st.data(), sizes=st.lists(st.integers(8, 40), min_size=2, max_size=5), seed=st.integers(0, 10_000))
@settings(max_examples=200, deadline=None)
def test_groups_of_any_size_across_genres_stay_whole_and_what_is_missed_is_said(data, sizes, seed):
    tracks = table(*sizes)
    groups = [f"group {data.draw(st.integers(0, 30))}" for _ in range(len(tracks))]
    try:
        subsets = deal(tracks, groups, seed=seed)
    except ValueError as error:
        assert "must have at least 3 tracks (or groups of tracks)" in str(error)
        return
    dealt = tracks.assign(subset=subsets, group=groups)
    assert (dealt.groupby("group")["subset"].nunique() == 1).all()
    assert sorted(dealt["track"]) == sorted(tracks["track"])
    said = " ".join(groups.missed_shares(dealt, SHARES))
    for genre, rows in dealt.groupby("genre"):
        off = [abs((rows["subset"] == subset).sum() - share * len(rows)) for subset, share in SHARES.items()]
        assert (f"'{genre}' has" in said) == (max(off) > 1 + 1e-9)
    within = max(tracks.assign(group=groups).groupby("group").size())
    total = dealt["subset"].value_counts()
    assert all(abs(total.get(subset, 0) - share * len(dealt)) <= within + 2 for subset, share in SHARES.items())


@given(sizes=st.lists(st.integers(3, 40), min_size=2, max_size=8), seed=st.integers(0, 10_000))
@settings(max_examples=100, deadline=None)
def test_without_groups_no_genre_misses_its_share(sizes, seed):
    tracks = table(*sizes)
    dealt = tracks.assign(subset=deal(tracks, seed=seed), group=tracks["track"])
    for _, rows in dealt.groupby("genre"):
        off = [abs((rows["subset"] == subset).sum() - share * len(rows)) for subset, share in SHARES.items()]
        assert max(off) <= 2  # of three tracks none is left for half a share


def test_a_group_that_is_too_large_is_named():
    tracks = table(10, 10)
    groups = ["big"] * 8 + list(tracks["track"][8:])
    dealt = tracks.assign(subset=deal(tracks, groups), group=groups)
    assert groups.missed_shares(dealt, SHARES) == [
        "'g0' has 8 tracks in train, wished 6.0 of 10: groups are kept whole, the largest ('big') has 8 of them"
    ]


@given(sizes=sizes, seed=st.integers(0, 10_000), folds=st.integers(2, 5))
@settings(max_examples=200, deadline=None)
def test_over_all_folds_each_track_tests_once(sizes, seed, folds):
    tracks = table(*sizes)
    tests = [
        tracks["track"][
            protocols.kfold(tracks, folds=folds, fold=fold, seed=seed, groups=list(tracks["track"])) == "test"
        ]
        for fold in range(folds)
    ]
    assert sorted(pd.concat(tests)) == sorted(tracks["track"])


def test_a_fold_out_of_range_and_a_poor_genre_are_refused():
    tracks = table(10, 3)
    with pytest.raises(ValueError, match=r"split\.fold must be in 0\.\.split\.folds - 1 \(4\), got 5"):
        protocols.kfold(tracks, folds=5, fold=5, seed=0, groups=list(tracks["track"]))
    with pytest.raises(ValueError, match="'g1' has 3; add recordings"):
        protocols.kfold(tracks, folds=5, fold=0, seed=0, groups=list(tracks["track"]))
    with pytest.raises(ValueError, match="'g1' has 2; add recordings"):
        deal(table(10, 2))
    with pytest.raises(ValueError, match="at least 2 genres, got g0"):
        deal(table(10))


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
        ([("g0/000", "train"), ("g0/000", "test")], "each track must stand once, got 'g0/000' twice"),
        ([("g0/000", "test")], "names none of the corpus's tracks for train"),
        ([("g0/000", "train"), ("g1/000", "test")], "train must have tracks of every genre, it has none of 'g1'"),
        ([("g0/000", "train"), ("g1/000", "train")], "some tracks must be in valid or test, all are in train"),
    ],
)
def test_a_bad_list_is_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        protocols.listed(table(2, 2), pd.DataFrame(rows, columns=["track", "subset"]), where="list")


def test_lists_that_share_a_track_are_one_group():
    tracks = pd.DataFrame({"track": ["a", "b", "c", "d"]})
    assert groups.group_names(tracks, [("d", "c"), ("b", "c"), ("x",)]) == ["a", "b", "b", "b"]


def test_only_pairs_across_subsets_straddle():
    pairs = pd.DataFrame({"track_a": ["a", "a", "b"], "track_b": ["b", "c", "z"], "score": [1.0, 2.0, 3.0]})
    found = groups.straddling({"a": "train", "b": "train", "c": "test"}, pairs)
    assert found[["track_a", "track_b", "subset_a", "subset_b"]].to_numpy().tolist() == [["a", "c", "train", "test"]]
