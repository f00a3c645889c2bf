import hashlib
import io
import re
import tarfile
from pathlib import Path

import pytest

from genre.corpus import gtzan
from genre.corpus.http import RetryPolicy
from genre.corpus.mirrors import FetchError, fetch
from tests.genre.faulty_server import serving, whole

FOLDER = Path(__file__).parents[3] / "data" / "gtzan"
# The numbers of published files are repeated here, so that a change of one of them is not an accident.
WAV_SHA256 = "b28cc067ff6199bd826f5d1a6931458586d64acae7f44b2e882b7a97af057531"
AU_SHA256 = "24347e0223d2ba798e0a558c4c172d9d4a19c00bb7963fe055d183dadb4ef2c6"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("GENRE_MIRRORS", "GENRE_MIRROR_SHA256", "GENRE_MINI_MIRRORS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


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
def blobs(tmp_path):
    """A folder with the table of `RECORDINGS`; `git hash-object` gives the same hashes."""
    rows = [
        "blues/blues.00000,1,63d8dbd40c23542e740659a7168a0ce3138ea748",
        "jazz/jazz.00011,1,0fe2fa50e8e79f56b23267be86bde68d6f86195b",
    ]
    (tmp_path / "mini_blobs.csv").write_text("\n".join(["track,bytes,blob", *rows]) + "\n")
    return tmp_path


def test_the_sample_s_recordings_pass_whatever_lies_beside_them(blobs):
    gtzan.check_mini(sample(blobs / "a", OTHERS | RECORDINGS), blobs)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"blues/blues.00000.wav": b"changed"}, "blues/blues.00000 is changed"),
        ({"blues/blues.00000.wav": None}, "blues/blues.00000 is missing"),
        ({"rock/rock.00000.wav": b"more"}, "rock/rock.00000 is none of them"),
    ],
)
def test_another_sample_is_refused(blobs, change, text):
    content = {name: data for name, data in (RECORDINGS | change).items() if data is not None}
    with pytest.raises(ValueError, match=f"a must hold the 2 recordings of commit a61439e, but {text}"):
        gtzan.check_mini(sample(blobs / "a", content), blobs)


def test_the_sample_s_mirror_is_one_commit():
    (mirror,) = gtzan.mini_archives(FOLDER)
    assert mirror.url == (
        "https://codeload.github.com/TempoBeatDownbeat/gtzan_mini/tar.gz/a61439e86c13037011fde8e0f0743ec55c50bce3"
    )


def test_a_sample_with_other_contents_is_not_kept(monkeypatch, tmp_path):
    data = sample(tmp_path / "a", RECORDINGS).read_bytes()
    with serving() as server:
        monkeypatch.setenv("GENRE_MINI_MIRRORS", server.follow(whole(data)))
        with pytest.raises(FetchError, match="must hold the 100 recordings of commit a61439e"):
            fetch(gtzan.mini_archives(FOLDER), tmp_path / "cache", waits=RetryPolicy(tries=1))
    assert not list((tmp_path / "cache").glob("[!.]*"))
