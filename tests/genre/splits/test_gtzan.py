import re
from pathlib import Path

import pytest

from genre.pipeline import tables
from genre.splits import gtzan

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
FOLDER = Path(__file__).parents[3] / "data" / "gtzan"


def all_tracks():
    return {f"{genre}/{genre}.{number:05d}" for genre in GENRES for number in range(100)}


def test_the_filtered_split_has_its_published_sizes_and_each_track_once():
    split = gtzan.filtered_split(FOLDER)
    assert split["subset"].value_counts().to_dict() == {"train": 443, "valid": 197, "test": 290}
    assert split["track"].is_unique
    assert set(split["track"]) < all_tracks()


def test_the_filtered_split_holds_the_track_that_cannot_be_decoded():
    split = gtzan.filtered_split(FOLDER).set_index("track")["subset"]
    assert split["jazz/jazz.00054"] == "train"


@pytest.mark.slow
def test_the_filtered_split_is_torchaudio_s():
    reference = pytest.importorskip("torchaudio.datasets.gtzan")
    split = gtzan.filtered_split(FOLDER)
    for subset in ("train", "valid", "test"):
        stems = getattr(reference, f"filtered_{subset}")
        assert {f"{stem.split('.')[0]}/{stem}" for stem in stems} == set(split["track"][split["subset"] == subset])


def test_each_track_has_a_row_in_the_table_of_artists():
    artists = gtzan.artists(FOLDER)
    assert set(artists["track"]) == all_tracks()
    assert artists["track"].is_unique
    assert (artists["artist"] == "").sum() == 81
    assert (artists["title"] == "").sum() == 89
    assert not artists.isna().any(axis=None)


def test_titles_keep_their_commas_and_quotes():
    title = gtzan.artists(FOLDER).set_index("track")["title"]
    assert title["classical/classical.00011"] == 'Symphony No.36 in C, K.425, "Linz", Adagio, Allegro spiritoso'


def test_no_known_artist_is_in_two_subsets_of_the_filtered_split():
    artists = gtzan.artists(FOLDER).merge(gtzan.filtered_split(FOLDER), on="track")
    artists["artist"] = [re.sub("[^a-z0-9]", "", name.lower().replace("&", "and")) for name in artists["artist"]]
    known = artists[artists["artist"] != ""]
    assert len(known) == 930 - 81
    assert known.groupby("artist")["subset"].nunique().max() == 1


def test_the_filtered_split_has_one_of_each_repetition_at_most():
    tracks = set(gtzan.filtered_split(FOLDER)["track"])
    assert max(len(tracks.intersection(group)) for group in gtzan.repetitions(FOLDER)) == 1


def test_repetitions_are_45_groups_of_one_genre_each_without_overlap():
    groups = gtzan.repetitions(FOLDER)
    tracks = [track for group in groups for track in group]
    assert len(groups) == 45
    assert len(tracks) == len(set(tracks)) == 94
    assert set(tracks) < all_tracks()
    assert all(len(group) >= 2 and len({track.split("/")[0] for track in group}) == 1 for group in groups)
    assert ("reggae/reggae.00080", "reggae/reggae.00081", "reggae/reggae.00082") in groups


def test_repetitions_have_one_known_artist():
    artist = gtzan.artists(FOLDER).set_index("track")["artist"]
    for group in gtzan.repetitions(FOLDER):
        assert len({artist[track] for track in group} - {""}) <= 1


def test_faults_name_tracks_and_sources():
    faults = tables.read_csv(FOLDER / "faults.csv", ("track", "fault", "source"))
    assert list(faults["track"]) == ["jazz/jazz.00054", "reggae/reggae.00086"]
    assert (faults[["fault", "source"]] != "").all(axis=None)


def test_the_sample_s_table_has_10_tracks_of_each_genre():
    blobs = tables.read_csv(FOLDER / "mini_blobs.csv", ("track", "bytes", "blob"))
    assert set(blobs["track"]) < all_tracks()
    assert blobs["track"].str.split("/").str[0].value_counts().to_dict() == dict.fromkeys(GENRES, 10)
    assert blobs["blob"].is_unique
    assert blobs["blob"].str.fullmatch("[0-9a-f]{40}").all()
    # 30 s at 22 050 Hz in 16 bits, as all of GTZAN
    assert blobs["bytes"].between(2 * 660_000, 2 * 676_000 + 100).all()


def test_a_table_that_lacks_a_column_is_told(tmp_path):
    (tmp_path / "filtered_split.csv").write_text("track,part\na,train\n")
    with pytest.raises(ValueError, match="must have the columns track, subset; it lacks subset"):
        gtzan.filtered_split(tmp_path)
