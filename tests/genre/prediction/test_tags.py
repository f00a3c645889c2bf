import shutil
import struct
from pathlib import Path

import av
import mutagen
import numpy as np
import pytest
import soundfile
from mutagen.flac import Picture
from mutagen.id3 import APIC, ID3, TALB, TIT2
from mutagen.mp4 import MP4Cover

from genre.prediction import packets, tags
from tests.genre.audio.sounds import encoded, tone
from tests.genre.prediction.conftest import FORMATS

PICTURE = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 40


@pytest.fixture(params=FORMATS)
def song(request, tmp_path, sounds):
    """A recording with title, album and, where mutagen writes one, a cover."""
    path = tmp_path / f"a song.{request.param}"
    path.write_bytes(sounds[request.param])
    file = mutagen.File(path)
    if file.tags is None:
        file.add_tags()
    if isinstance(file.tags, ID3):
        for frame in (TIT2(text="Ti"), TALB(text="Al"), APIC(mime="image/jpeg", type=3, data=PICTURE)):
            file.tags.add(frame)
    elif request.param == "m4a":
        file.tags["\xa9nam"], file.tags["\xa9alb"], file.tags["covr"] = ["Ti"], ["Al"], [MP4Cover(PICTURE)]
    else:
        file.tags["title"], file.tags["album"], file.tags["rating"] = "Ti", "Al", "5"
        if request.param == "flac":
            picture = Picture()
            picture.data, picture.type = PICTURE, 3
            file.add_picture(picture)
    file.save()
    return path


def everything(path):
    """Returns all tags but the genre, as mutagen reads them, and the pictures of FLAC, which are none of its tags."""
    file = mutagen.File(path)
    pictures = [picture.data for picture in getattr(file, "pictures", [])]
    return {
        str(key): str(value)
        for key, value in dict(file.tags).items()
        if key.lower() not in ("tcon", "genre", "\xa9gen")
    }, pictures


def sound(path):
    """Returns all bytes of the encoded sound, by PyAV."""
    with av.open(str(path)) as container:
        return b"".join(bytes(packet) for packet in container.demux(audio=0))


def by_pyav(path):
    with av.open(str(path)) as container:
        return {key.lower(): value for key, value in (container.metadata | container.streams.audio[0].metadata).items()}


def test_a_genre_is_written_and_all_else_stays(song):
    before, bytes_before = everything(song), sound(song)
    assert tags.read(song) == []
    tags.write(song, ["drum'n'bass"])
    assert tags.read(song) == ["drum'n'bass"]
    assert by_pyav(song)["genre"] == "drum'n'bass"
    assert by_pyav(song)["title"] == "Ti"
    assert everything(song) == before
    assert len(before[0]) >= 2
    assert sound(song) == bytes_before
    assert len(bytes_before) > 1000


def test_a_genre_is_replaced_and_removed(song):
    before = everything(song)
    for genres in (["Rock", "Pop"], ["ロック"], []):
        tags.write(song, genres)
        assert tags.read(song) == genres
    assert everything(song) == before
    assert "genre" not in by_pyav(song)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_without_tags_is_as_before_once_they_are_removed(tmp_path, sounds, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(sounds[suffix])
    digest = packets.digest(path)
    tags.write(path, ["rock"])
    tags.write(path, [])
    assert tags.read(path) == []
    assert packets.digest(path) == digest
    if suffix == "wav":
        assert path.read_bytes() == sounds[suffix]


@pytest.mark.parametrize(("version", "frame"), [(3, b"TYER"), (4, b"TDRC")])
def test_id3_keeps_its_version_and_what_mutagen_does_not_know(tmp_path, sounds, version, frame):
    path = tmp_path / "a.mp3"
    unknown = b"XYZQ" + struct.pack(">I", 5) + b"\0\0" + b"hello"
    year = frame + struct.pack(">I", 6) + b"\0\0" + b"\x001999\0"
    body = unknown + year
    path.write_bytes(b"ID3" + bytes([version, 0, 0, 0, 0, 0, len(body)]) + body + sounds["mp3"][sounds["mp3"].index(b"\xff\xfb"):])  # fmt: skip
    tags.write(path, ["rock"])
    data = path.read_bytes()
    assert data[3] == version
    assert unknown in data
    assert year in data
    assert tags.read(path) == ["rock"]


def id3v22(sounds, *frames):
    """Returns an mp3 with a tag of version 2.2, whose frames have names of three letters."""
    body = b"".join(name + len(data).to_bytes(3, "big") + data for name, data in frames)
    return b"ID3\2\0\0\0\0\0" + bytes([len(body)]) + body + sounds["mp3"][sounds["mp3"].index(b"\xff\xfb") :]


def test_of_id3v22_what_2_3_has_too_is_kept(tmp_path, sounds):
    (tmp_path / "a.mp3").write_bytes(id3v22(sounds, (b"TT2", b"\0Song"), (b"TP1", b"\0Singer")))
    tags.write(tmp_path / "a.mp3", ["rock"])
    found = by_pyav(tmp_path / "a.mp3")
    assert [found[name] for name in ("title", "artist", "genre")] == ["Song", "Singer", "rock"]


def test_id3v22_with_frames_that_2_3_lacks_is_left_as_it_is(tmp_path, sounds):
    data = id3v22(sounds, (b"TT2", b"\0Song"), (b"NCO", b"hello"))
    (tmp_path / "a.mp3").write_bytes(data)
    with pytest.raises(ValueError, match=r"ID3v2\.2 and hold frames that cannot be kept; convert them"):
        tags.write(tmp_path / "a.mp3", ["rock"])
    assert (tmp_path / "a.mp3").read_bytes() == data


def test_id3v1_alone_is_kept(tmp_path, sounds):
    path = tmp_path / "a.mp3"
    frames = sounds["mp3"][sounds["mp3"].index(b"\xff\xfb") :]
    path.write_bytes(frames + b"TAG" + b"Old title".ljust(30, b"\0") + bytes(60) + b"1999" + bytes(30) + b"\x11")
    assert tags.names(tags.read(path)) == ["Rock"]
    tags.write(path, ["jazz"])
    assert by_pyav(path)["title"] == "Old title"
    assert tags.read(path) == ["jazz"]
    assert path.read_bytes()[-128:].startswith(b"TAGOld title")


def test_numbers_of_id3_are_genres_by_name():
    assert tags.names(["(17)", "Folk"]) == ["Rock", "Folk"]


@pytest.mark.parametrize("content", ["empty", "noise", "au", "ogg"])
def test_what_has_no_tags_that_can_be_written_is_refused(tmp_path, content):
    path = tmp_path / "a.mp3"
    path.write_bytes(np.random.default_rng(0).bytes(5000) if content == "noise" else b"")
    if content == "ogg":  # a page without packets
        path = tmp_path / "a.opus"
        path.write_bytes(b"OggS" + bytes(23) + b"OpusHead")
    if content == "au":
        path = tmp_path / "a.au"
        soundfile.write(path, np.zeros(1000), 22050)
    with pytest.raises(ValueError, match=r"tags cannot be read|no tags that can be written; mp3, m4a, flac, ogg, opus"):
        tags.read(path)


@pytest.mark.parametrize(("content", "suffix"), [("flac", "mp3"), ("mp3", "flac"), ("ogg", "flac"), ("wav", "mp3")])
def test_a_suffix_of_another_format_is_no_hindrance(tmp_path, sounds, content, suffix):
    path = tmp_path / f"song.{suffix}"
    path.write_bytes(sounds[content])
    digest = packets.digest(path)
    tags.write(path, ["rock"])
    assert tags.read(path) == ["rock"]
    assert packets.digest(path) == digest
    path.rename(tmp_path / f"song.{content}")
    assert tags.read(tmp_path / f"song.{content}") == ["rock"]


def test_a_missing_file_is_an_error_of_the_disk(tmp_path):
    with pytest.raises(FileNotFoundError):
        tags.read(tmp_path / "none.mp3")


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_digest_of_the_sound_notices_one_bit(tmp_path, sounds, suffix):
    path, other = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    path.write_bytes(sounds[suffix])
    shutil.copy(path, other)
    assert packets.digest(other) == packets.digest(path)
    data = bytearray(sounds[suffix])
    data[-len(data) // 10] ^= 1
    other.write_bytes(data)
    try:
        assert packets.digest(other) != packets.digest(path)
    except ValueError as error:  # the checksum of an Ogg page is wrong now, and all sound is in that page
        assert "its sound cannot be read" in str(error)


def test_a_file_without_sound_has_no_digest(tmp_path):
    (tmp_path / "a.mp3").write_bytes(b"no sound" * 100)
    with pytest.raises(ValueError, match="its sound cannot be read"):
        packets.digest(tmp_path / "a.mp3")


def test_an_id3v1_tag_in_any_code_page_keeps_all_but_its_genre(tmp_path, sounds):
    path = tmp_path / "song.mp3"
    fields = [("Группа крови", 30), ("Кино", 30), ("Альбом", 30), ("1988", 4), ("комментарий", 28)]
    id3v1 = b"TAG" + b"".join(text.encode("cp1251").ljust(size, b"\0") for text, size in fields) + b"\0\1\x11"
    path.write_bytes(sounds["mp3"])
    file = mutagen.File(path)
    if file.tags is None:
        file.add_tags()
    file.tags.add(TIT2(encoding=1, text="Группа крови"))
    file.save(v1=0)
    with path.open("ab") as end:
        end.write(id3v1)
    tags.write(path, ["Jazz"])
    assert path.read_bytes()[-128:] == id3v1[:-1] + bytes([8])  # 8 is Jazz
    tags.write(path, ["Rock"])
    assert path.read_bytes()[-128:] == id3v1
    assert str(mutagen.File(path)["TIT2"]) == "Группа крови"


@pytest.mark.parametrize(
    ("codec", "form", "suffix"),
    [("wmav2", "asf", "wma"), ("flac", "matroska", "mka"), ("wavpack", "wv", "wv"), ("pcm_s16le", "wav", "wav")],
)
def test_a_genre_in_tags_that_cannot_be_written_here_is_seen(tmp_path, codec, form, suffix):
    for name, genre in (("with", {"genre": "Jazz"}), ("without", {"title": "Jazz"})):
        path = tmp_path / f"{name}.{suffix}"
        path.write_bytes(encoded(codec, form, tone(440, 0.5, 44100), 44100, tags=genre, bit_rate=64_000))
        assert tags.has_genre(path) == (name == "with")


def test_a_name_that_looks_like_an_address_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("Live: one.wma", "data:x.wma"):
        Path(name).write_bytes(
            encoded("wmav2", "asf", tone(440, 0.5, 44100), 44100, tags={"genre": "Jazz"}, bit_rate=64_000)
        )
        assert tags.has_genre(Path(name))


def test_an_id3v1_tag_stays_where_the_genre_was_the_only_tag(tmp_path, sounds):
    path = tmp_path / "song.mp3"
    id3v1 = b"TAG" + bytes(124) + b"\xff"
    path.write_bytes(sounds["mp3"])
    if mutagen.File(path).tags is not None:
        mutagen.File(path).delete()
    with path.open("ab") as end:
        end.write(id3v1)
    tags.write(path, ["Jazz"])
    assert path.read_bytes()[-128:] == id3v1[:-1] + bytes([8])
    tags.write(path, [])
    assert path.read_bytes()[-128:] == id3v1
    assert tags.read(path) == []


def test_an_empty_genre_is_none(tmp_path, sounds):
    path = tmp_path / "song.flac"
    path.write_bytes(sounds["flac"])
    tags.write(path, [""])
    assert tags.read(path) == [""]
    assert not tags.has_genre(path)
    tags.write(path, ["Jazz"])
    assert tags.has_genre(path)


def test_what_is_no_recording_has_no_genre(tmp_path):
    (tmp_path / "noise.mp3").write_bytes(np.random.default_rng(0).bytes(5000))
    assert not tags.has_genre(tmp_path / "noise.mp3")
    assert not tags.has_genre(tmp_path / "missing.mp3")
