import os
import shutil

import numpy as np
import pytest
import soundfile

from genre.audio import parallel, reading
from genre.audio.reading import Recording
from genre.corpus.folder import ScannedFile, genre_problem, genre_root, move_usable, scan
from tests.conftest import RATE, tone


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """Decodes here, where a test can see it; processes that die are tested in test_parallel.py."""
    monkeypatch.setattr(parallel, "map_files", map)


def reasons(folder, **options):
    return {file.file: file.reason for file in scan(folder, **{"min_seconds": 6.0, **options})}


def test_every_file_is_used_or_listed_with_its_reason(corpus):
    scanned = scan(corpus, min_seconds=6.0)
    files = [path for path in corpus.rglob("*") if path.is_file()]
    assert len(scanned) == len(files)
    assert sum(not file.reason for file in scanned) == 6
    excluded = {file.file: file.reason for file in scanned if file.reason}
    assert excluded["high/._high.00000.wav"] == "an AppleDouble file, not a recording"
    assert excluded["low/broken.wav"].startswith("cannot be decoded: ")
    assert excluded["low/cover.jpg"].startswith("not an audio file (.jpg)")


def test_silent_and_short_recordings_are_excluded(tmp_path):
    (tmp_path / "g").mkdir()
    soundfile.write(tmp_path / "g" / "silent.wav", np.zeros(7 * RATE), RATE)
    soundfile.write(tmp_path / "g" / "short.wav", tone(440, 2.0), RATE)
    assert reasons(tmp_path) == {
        "g/short.wav": "too short: 2.00 s, data.min_seconds is 6",
        "g/silent.wav": "silent",
    }


def test_albums_in_a_genre_belong_to_it(tmp_path):
    (tmp_path / "rock" / "album").mkdir(parents=True)
    soundfile.write(tmp_path / "rock" / "album" / "a.wav", tone(440, 7.0), RATE)
    (file,) = scan(tmp_path, min_seconds=6.0)
    assert (file.genre, file.reason) == ("rock", "")


@pytest.mark.parametrize("inside", ["", "genres", "Data/genres_original"])
def test_the_root_is_found_whatever_is_around_it(corpus, tmp_path, inside):
    outer = tmp_path / "outer"
    target = outer / inside
    shutil.copytree(corpus, target)
    if inside.startswith("Data"):
        (outer / "Data" / "images_original" / "high").mkdir(parents=True)
        (outer / "Data" / "features.csv").touch()
    assert genre_root(outer, "it") == target


def test_the_albums_of_the_only_genre_are_no_genres(tmp_path):
    for name in ("rock/album/a.wav", "rock/other/b.wav", "rock/single.wav", "jazz/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert genre_root(tmp_path, "it") == tmp_path


def test_a_folder_without_genres_is_refused_under_the_name_that_the_user_knows(tmp_path):
    (tmp_path / "a.wav").touch()
    with pytest.raises(
        ValueError, match=r"^mine\.zip must hold a folder for each genre .*, found none, and 1 recordings"
    ):
        genre_root(tmp_path, "mine.zip")


def test_hidden_files_and_unusable_names_are_listed(tmp_path):
    for name in ("g/.DS_Store", "=g/a.wav", "top.wav"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    found = reasons(tmp_path)
    assert found["g/.DS_Store"] == "a hidden file"
    assert "formula" in found["=g/a.wav"]
    assert found["top.wav"] == "not in the folder of a genre"


def test_channels_that_cancel_each_other_out_are_silence(tmp_path):
    (tmp_path / "g").mkdir()
    soundfile.write(tmp_path / "g" / "a.wav", np.stack([tone(440, 7.0), -tone(440, 7.0)], axis=1), RATE)
    assert reasons(tmp_path) == {"g/a.wav": "silent"}


def test_names_that_no_table_can_hold_are_listed(tmp_path):
    (tmp_path / "g").mkdir()
    for name in (b"a\rb.wav", b"\xff.wav"):
        (tmp_path / "g" / os.fsdecode(name)).touch()
    assert reasons(tmp_path) == {
        r"'g/a\rb.wav'": "a carriage return in its name, which tables cannot hold; rename it",
        r"'g/\udcff.wav'": "its name is not UTF-8; rename it",
    }


def test_links_to_folders_broken_links_and_pipes_are_listed(corpus, tmp_path):
    music = tmp_path / "music"
    music.mkdir()
    (music / "linked").symlink_to(corpus / "low")
    (music / "real").mkdir()
    (music / "real" / "album").symlink_to(corpus / "high")
    (music / "real" / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    (music / "real" / "one.wav").symlink_to(corpus / "low" / "low.00000.wav")
    os.mkfifo(music / "real" / "pipe.wav")
    assert reasons(music) == {
        "linked": "a link to a folder, which is not followed; put the folder itself there",
        "real/album": "a link to a folder, which is not followed; put the folder itself there",
        "real/gone.wav": "a broken link",
        "real/one.wav": "",
        "real/pipe.wav": "not a file",
    }


@pytest.mark.parametrize(
    ("error", "stops"), [(PermissionError(13, "no"), False), (OSError(5, "Input/output error"), True)]
)
def test_a_file_that_cannot_be_read_now_is_not_left_out_in_silence(corpus, monkeypatch, error, stops):
    def fail(path):
        raise error

    monkeypatch.setattr(reading, "inspect", fail)
    if stops:
        with pytest.raises(OSError, match="Input/output error"):
            reasons(corpus)
    else:
        assert reasons(corpus)["low/low.00000.wav"] == "cannot be read: permission denied"


def test_a_folder_that_cannot_be_read_is_no_empty_one(corpus, make_unreadable):
    make_unreadable("low")
    with pytest.raises(PermissionError, match="low"):
        reasons(corpus)


@pytest.mark.parametrize(
    ("written", "named"), [("a.mp3", "a.wav"), ("a.wav", "a.mp3"), ("a.flac", "a.ogg"), ("a.ogg", "a.au")]
)
def test_a_wrong_suffix_does_no_harm(tmp_path, written, named):
    (tmp_path / "g").mkdir()
    soundfile.write(tmp_path / "g" / written, tone(440, 7.0), RATE)
    (tmp_path / "g" / written).rename(tmp_path / "g" / named)
    assert reasons(tmp_path) == {f"g/{named}": ""}


@pytest.mark.parametrize("genre", ["=1+1", "+a", "-a", "@a", "\ta", "track", "predicted", "epoch"])
def test_a_folder_that_cannot_name_a_genre_gets_a_reason(genre):
    assert "rename the folder" in genre_problem(genre)


def test_usual_genres_are_fine():
    assert all(genre_problem(genre) is None for genre in ("blues", "drum'n'bass", "R&B", "ロック", "80s"))


def test_usable_files_alone_are_moved_with_their_folders(corpus, tmp_path):
    scanned = scan(corpus, min_seconds=6.0)
    move_usable(scanned, corpus, tmp_path / "audio")
    moved = sorted(path.relative_to(tmp_path / "audio").as_posix() for path in tmp_path.glob("audio/*/*"))
    assert moved == [file.file for file in scanned if not file.reason]
    assert sorted(path.name for path in corpus.glob("*/*")) == ["._high.00000.wav", "broken.wav", "cover.jpg"]


def test_folders_of_the_system_are_no_genres(corpus):
    for name in ("$RECYCLE.BIN", "lost+found", "@eaDir", "__MACOSX"):
        shutil.copytree(corpus / "low", corpus / name)
    found = reasons(corpus)
    assert "made by the system" in found["@eaDir/low.00000.wav"]
    assert {file.split("/")[0] for file, reason in found.items() if not reason} == {"high", "low"}


def test_a_recording_without_a_suffix_is_recognised_by_its_content(corpus):
    (corpus / "low" / "low.00000.wav").rename(corpus / "low" / "00000")
    assert reasons(corpus)["low/00000"] == ""


def test_artist_and_album_are_those_of_the_tags_else_of_the_folders():
    tagged = ScannedFile("rock/x/y/a.mp3", recording=Recording(9.0, 8000, 1, 0.1, artist="Ann", album="One"))
    bare = Recording(9.0, 8000, 1, 0.1)
    assert (tagged.artist, tagged.album) == ("Ann", "One")
    deep, flat, none = (
        ScannedFile(name, recording=bare) for name in ("rock/Bo/Two/a.mp3", "rock/Two/a.mp3", "rock/a.mp3")
    )
    assert [(file.artist, file.album) for file in (deep, flat, none)] == [("Bo", "Two"), ("", "Two"), ("", "")]
