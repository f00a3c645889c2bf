import hashlib
import io
import re
import tarfile

import pytest

from genre.corpus import gtzan
from genre.corpus.http import RetryPolicy
from genre.corpus.mirrors import FetchError, fetch
from genre.pipeline import tables
from genre.splits import gtzan as gtzan_tables
from tests.genre.faulty_server import serving, whole

# The numbers of published files are repeated here, so that a change of one of them is not an accident.
WAV_SHA256 = "b28cc067ff6199bd826f5d1a6931458586d64acae7f44b2e882b7a97af057531"
AU_SHA256 = "24347e0223d2ba798e0a558c4c172d9d4a19c00bb7963fe055d183dadb4ef2c6"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("GENRE_MIRRORS", "GENRE_MIRROR_SHA256", "GENRE_MINI_MIRRORS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def all_tracks():
    return {f"{genre}/{genre}.{number:05d}" for genre in gtzan_tables.GENRES for number in range(100)}


# ------------------------------------------------------------------------------------------------ tables


def test_the_filtered_split_has_its_published_sizes_and_each_track_once():
    split = gtzan_tables.filtered_split()
    assert split["subset"].value_counts().to_dict() == {"train": 443, "valid": 197, "test": 290}
    assert split["track"].is_unique
    assert set(split["track"]) < all_tracks()


def test_the_filtered_split_holds_the_track_that_cannot_be_decoded():
    split = gtzan_tables.filtered_split().set_index("track")["subset"]
    assert split["jazz/jazz.00054"] == "train"


@pytest.mark.slow
def test_the_filtered_split_is_torchaudio_s():
    reference = pytest.importorskip("torchaudio.datasets.gtzan")
    split = gtzan_tables.filtered_split()
    for subset in ("train", "valid", "test"):
        stems = getattr(reference, f"filtered_{subset}")
        assert {f"{stem.split('.')[0]}/{stem}" for stem in stems} == set(split["track"][split["subset"] == subset])


def test_each_track_has_a_row_in_the_table_of_artists():
    artists = gtzan_tables.artists()
    assert set(artists["track"]) == all_tracks()
    assert artists["track"].is_unique
    assert (artists["artist"] == "").sum() == 81
    assert (artists["title"] == "").sum() == 89
    assert not artists.isna().any(axis=None)


def test_titles_keep_their_commas_and_quotes():
    title = gtzan_tables.artists().set_index("track")["title"]
    assert title["classical/classical.00011"] == 'Symphony No.36 in C, K.425, "Linz", Adagio, Allegro spiritoso'


def test_no_known_artist_is_in_two_subsets_of_the_filtered_split():
    artists = gtzan_tables.artists().merge(gtzan_tables.filtered_split(), on="track")
    artists["artist"] = [re.sub("[^a-z0-9]", "", name.lower().replace("&", "and")) for name in artists["artist"]]
    known = artists[artists["artist"] != ""]
    assert len(known) == 930 - 81
    assert known.groupby("artist")["subset"].nunique().max() == 1


def test_the_filtered_split_has_one_of_each_repetition_at_most():
    tracks = set(gtzan_tables.filtered_split()["track"])
    assert max(len(tracks.intersection(group)) for group in gtzan_tables.repetitions()) == 1


def test_repetitions_are_45_groups_of_one_genre_each_without_overlap():
    groups = gtzan_tables.repetitions()
    tracks = [track for group in groups for track in group]
    assert len(groups) == 45
    assert len(tracks) == len(set(tracks)) == 94
    assert set(tracks) < all_tracks()
    assert all(len(group) >= 2 and len({track.split("/")[0] for track in group}) == 1 for group in groups)
    assert ("reggae/reggae.00080", "reggae/reggae.00081", "reggae/reggae.00082") in groups


def test_repetitions_have_one_known_artist():
    artist = gtzan_tables.artists().set_index("track")["artist"]
    for group in gtzan_tables.repetitions():
        assert len({artist[track] for track in group} - {""}) <= 1


def test_faults_name_tracks_and_sources():
    faults = gtzan_tables.table(gtzan_tables.TABLES, "faults.csv", ("track", "fault", "source"))
    assert list(faults["track"]) == ["jazz/jazz.00054", "reggae/reggae.00086"]
    assert (faults[["fault", "source"]] != "").all(axis=None)


def test_the_sample_s_table_has_10_tracks_of_each_genre():
    blobs = tables.read_csv(gtzan_tables.TABLES / "mini_blobs.csv", ("track", "bytes", "blob"))
    assert set(blobs["track"]) < all_tracks()
    assert blobs["track"].str.split("/").str[0].value_counts().to_dict() == dict.fromkeys(gtzan_tables.GENRES, 10)
    assert blobs["blob"].is_unique
    assert blobs["blob"].str.fullmatch("[0-9a-f]{40}").all()
    # 30 s at 22 050 Hz in 16 bits, as all of GTZAN
    assert blobs["bytes"].between(2 * 660_000, 2 * 676_000 + 100).all()


def test_a_table_that_lacks_a_column_is_told(tmp_path):
    (tmp_path / "filtered_split.csv").write_text("track,part\na,train\n")
    with pytest.raises(ValueError, match="must have the columns track, subset; it lacks subset"):
        gtzan_tables.filtered_split(tmp_path)


# ------------------------------------------------------------------------------------------------ mirrors


def test_the_archive_of_wav_files_comes_first_and_each_mirror_has_its_checksum():
    mirrors = gtzan.gtzan_archives()
    assert [mirror.url.split("/")[2] for mirror in mirrors] == ["huggingface.co", "hf-mirror.com", "web.archive.org"]
    assert [mirror.sha256 for mirror in mirrors] == [WAV_SHA256, WAV_SHA256, AU_SHA256]
    assert [mirror.size for mirror in mirrors] == [None, None, 1_225_571_541]
    assert mirrors[0].url == (
        "https://huggingface.co/datasets/marsyas/gtzan/resolve/d2146561ecc7df707d9e6b8318885fe6a39668a2/data/genres.tar.gz"
    )


def test_different_archives_have_different_names():
    assert (
        len({mirror.name for mirror in gtzan.gtzan_archives()})
        == len({mirror.sha256 for mirror in gtzan.gtzan_archives()})
        == 2
    )


def test_the_environment_replaces_the_addresses_but_not_the_checksum(monkeypatch):
    monkeypatch.setenv("GENRE_MIRRORS", " http://a/x  http://b/y ")
    assert [(mirror.url, mirror.sha256) for mirror in gtzan.gtzan_archives()] == [
        ("http://a/x", WAV_SHA256),
        ("http://b/y", WAV_SHA256),
    ]


def test_the_environment_replaces_the_checksum_where_it_gives_one(monkeypatch):
    monkeypatch.setenv("GENRE_MIRRORS", "http://a/x")
    monkeypatch.setenv("GENRE_MIRROR_SHA256", AU_SHA256.upper())
    (mirror,) = gtzan.gtzan_archives()
    assert mirror.sha256 == AU_SHA256
    assert mirror.name not in {other.name for other in gtzan.MIRRORS}


def test_a_file_is_fetched_from_where_the_environment_says(monkeypatch, tmp_path):
    with serving() as server:
        monkeypatch.setenv("GENRE_MIRRORS", server.follow(whole(b"tracks")))
        monkeypatch.setenv("GENRE_MIRROR_SHA256", hashlib.sha256(b"tracks").hexdigest())
        assert fetch(gtzan.gtzan_archives(), tmp_path).read_bytes() == b"tracks"


@pytest.mark.parametrize(
    ("urls", "sha256", "text"),
    [
        ("", WAV_SHA256, "GENRE_MIRRORS must hold addresses if GENRE_MIRROR_SHA256 is set, got none"),
        ("/home/me/genres.tar.gz", "", "must be an http:// or https:// address, got '/home/me/genres.tar.gz'"),
        ("http://a/x", "md5", "a sha256 must be 64 hexadecimal digits in lower case, got 'md5'"),
    ],
)
def test_an_impossible_environment_is_told(monkeypatch, urls, sha256, text):
    monkeypatch.setenv("GENRE_MIRRORS", urls)
    monkeypatch.setenv("GENRE_MIRROR_SHA256", sha256)
    with pytest.raises(ValueError, match=re.escape(text)):
        gtzan.gtzan_archives()


# ------------------------------------------------------------------------------------------------ the sample


def sample(path, content):
    with tarfile.open(path, "w:gz") as file:
        for name, data in content.items():
            member = tarfile.TarInfo(f"gtzan_mini-a61439e/genres/{name}")
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    return path


RECORDINGS = {"blues/blues.00000.wav": b"b", "jazz/jazz.00011.wav": b"j"}
# What is beside the recordings in the sample does not matter.
OTHERS = {"README.md": b"r", "bl.mf": b"m", "blues/.DS_Store": b"d", "blues/._blues.00000.wav": b"a"}


@pytest.fixture
def tables(tmp_path):
    """A folder with the table of `RECORDINGS`; `git hash-object` gives the same hashes."""
    rows = [
        "blues/blues.00000,1,63d8dbd40c23542e740659a7168a0ce3138ea748",
        "jazz/jazz.00011,1,0fe2fa50e8e79f56b23267be86bde68d6f86195b",
    ]
    (tmp_path / "mini_blobs.csv").write_text("\n".join(["track,bytes,blob", *rows]) + "\n")
    return tmp_path


def test_the_sample_s_recordings_pass_whatever_lies_beside_them(tables):
    gtzan.check_mini(sample(tables / "a", OTHERS | RECORDINGS), tables)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"blues/blues.00000.wav": b"changed"}, "blues/blues.00000 is changed"),
        ({"blues/blues.00000.wav": None}, "blues/blues.00000 is missing"),
        ({"rock/rock.00000.wav": b"more"}, "rock/rock.00000 is none of them"),
    ],
)
def test_another_sample_is_refused(tables, change, text):
    content = {name: data for name, data in (RECORDINGS | change).items() if data is not None}
    with pytest.raises(ValueError, match=f"a must hold the 2 recordings of commit a61439e, but {text}"):
        gtzan.check_mini(sample(tables / "a", content), tables)


def test_the_sample_s_mirror_is_one_commit():
    (mirror,) = gtzan.mini_archives()
    assert mirror.url == (
        "https://codeload.github.com/TempoBeatDownbeat/gtzan_mini/tar.gz/a61439e86c13037011fde8e0f0743ec55c50bce3"
    )


def test_a_sample_with_other_contents_is_not_kept(monkeypatch, tmp_path):
    data = sample(tmp_path / "a", RECORDINGS).read_bytes()
    with serving() as server:
        monkeypatch.setenv("GENRE_MINI_MIRRORS", server.follow(whole(data)))
        with pytest.raises(FetchError, match="must hold the 100 recordings of commit a61439e"):
            fetch(gtzan.mini_archives(), tmp_path / "cache", waits=RetryPolicy(tries=1))
    assert not list((tmp_path / "cache").glob("[!.]*"))
