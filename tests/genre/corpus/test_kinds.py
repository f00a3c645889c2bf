import pytest

from genre.corpus import kinds
from tests.genre.audio.sounds import encoded, noise

FORMS = [
    ("pcm_s16le", "wav"), ("pcm_s16be", "aiff"), ("pcm_s16be", "au"), ("pcm_s16be", "caf"), ("pcm_s16le", "w64"),
    ("flac", "flac"), ("flac", "ogg"), ("flac", "matroska"), ("aac", "ipod"), ("aac", "adts"), ("libmp3lame", "mp3"),
    ("wavpack", "wv"), ("tta", "tta"), ("wmav2", "asf"),
]  # fmt: skip


@pytest.mark.parametrize(("codec", "form"), FORMS)
def test_a_recording_without_a_suffix_is_known_by_its_content(tmp_path, codec, form):
    path = tmp_path / "a song"
    path.write_bytes(encoded(codec, form, noise(0.2), bit_rate=128_000))
    assert kinds.is_recording(path)
    assert kinds.is_recording(path.rename(tmp_path / "1. Intro"))


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
def test_an_mp3_without_header_and_suffix_is_known(tmp_path, rate):
    path = tmp_path / "a"
    options = {"write_xing": "0", "id3v2_version": "0"}
    path.write_bytes(encoded("libmp3lame", "mp3", noise(0.5, rate), rate, options=options))
    assert kinds.is_recording(path)


@pytest.mark.parametrize("name", ["a.M4A", "a.mp3", "a.opus", "a.wma", "a.Ape", "a.wv"])
def test_the_suffix_of_a_recording_is_enough(tmp_path, name):
    (tmp_path / name).write_bytes(b"damaged")
    assert kinds.is_recording(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cover.jpg", b"\xff\xd8\xff\xe0"), ("list.m3u", b"#EXTM3U"), ("a.txt", b"ID3"), ("Thumbs.db", b"\xd0\xcf\x11\xe0"),
        ("a", b""), ("a", b"text"), ("a", b"\xff\xd8\xff\xe0" + bytes(5000)), ("a", b"\xff\xfb" * 3000),
    ],
)  # fmt: skip
def test_covers_playlists_and_texts_are_no_recordings(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    assert not kinds.is_recording(tmp_path / name)
