import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest

from genre.prediction import outputs
from genre.prediction.batch import Answer
from genre.prediction.predictor import Prediction

GENRES = ["jazz", "R/B"]


def said(path, probabilities, *, unsure=False):
    values = np.array(probabilities, np.float32)
    return Answer(Path(path), Prediction(GENRES, values, values[None], np.zeros(1), 6.0, unsure))


def test_the_table_has_a_row_for_each_recording(tmp_path):
    answers = [
        said("a/b.mp3", [0.9, 0.1]), said("=1+1.mp3", [0.2, 0.8]), said("u.mp3", [0.5, 0.5], unsure=True),
        Answer(Path("bad.mp3"), reason="silent"), said(os.fsdecode(b'"\xff",\n.mp3'), [1, 0]), said("a\rb.mp3", [1, 0]),
    ]  # fmt: skip
    outputs.write_table(answers, GENRES, tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["file", "genre", "jazz", "R/B"],
            ["a/b.mp3", "jazz", "0.9", "0.1"],
            ["./=1+1.mp3", "R/B", "0.2", "0.8"],
            ["u.mp3", "unsure", "0.5", "0.5"],
            ["bad.mp3", "", "", ""],
            ['"\\udcff",\n.mp3', "jazz", "1.0", "0.0"],
            ["a\\rb.mp3", "jazz", "1.0", "0.0"],
        ]
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252", "gbk"])
def test_json_can_be_read_in_whichever_encoding_it_was_printed(encoding):
    for name in ("caf\u00e9 \U0001f3b5.mp3", os.fsdecode(b"\xff.mp3"), 'a"b\\\r\n.mp3'):
        answer = said(name, [1, 0])
        printed = outputs.as_json(answer.path, answer.prediction).encode(encoding, errors="backslashreplace")
        assert json.loads(printed.decode(encoding))["file"] == name


def test_a_table_is_never_written_over_anything_else(tmp_path):
    song, folder = tmp_path / "song.mp3", tmp_path / "x.csv"
    song.touch()
    folder.mkdir()
    with pytest.raises(ValueError, match=r"--csv must name a file that ends in \.csv, got .*song\.mp3"):
        outputs.check_output(song, ".csv", "--csv")
    with pytest.raises(ValueError, match=r"--csv must name a file, .*x\.csv is none"):
        outputs.check_output(folder, ".csv", "--csv")
    with pytest.raises(FileNotFoundError, match="nowhere is no folder; make it, then run again"):
        outputs.check_output(tmp_path / "nowhere" / "t.csv", ".csv", "--csv")


def test_a_folder_that_cannot_be_written_to_is_told_before_work(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="cannot be written to; name another place"):
        outputs.check_output(tmp_path / "t.csv", ".csv", "--csv")


def test_a_playlist_for_each_genre_names_its_recordings_relative_to_itself(tmp_path):
    music, lists = tmp_path / "music", tmp_path / "my lists"
    music.mkdir()
    (tmp_path / "linked").symlink_to(music)
    answers = [
        said(music / "a.mp3", [0.9, 0.1]), said(tmp_path / "linked" / os.fsdecode(b"\xff.mp3"), [0.8, 0.2]),
        said(lists / "#1.mp3", [0.9, 0.1]), said(music / "u.mp3", [0.4, 0.6], unsure=True),
        said(music / "line\nbreak.mp3", [0.9, 0.1]), Answer(music / "bad.mp3", reason="silent"),
    ]  # fmt: skip
    outputs.check_playlists(lists, GENRES)
    assert outputs.write_playlists(answers, GENRES, lists) == [str(music / "line\nbreak.mp3")]
    assert [path.name for path in lists.iterdir()] == ["jazz.m3u8"]
    assert (lists / "jazz.m3u8").read_bytes().splitlines() == [
        b"#EXTM3U", b"#PLAYLIST-OF:genre predict", b"../music/a.mp3", b"../music/\xff.mp3", b"./#1.mp3",
    ]  # fmt: skip


def test_a_playlist_of_an_earlier_run_is_written_anew_and_goes_where_its_genre_has_none_now(tmp_path):
    outputs.write_playlists([said(tmp_path / "a.mp3", [0.9, 0.1])], GENRES, tmp_path)
    outputs.check_playlists(tmp_path, GENRES)
    outputs.write_playlists([said(tmp_path / "b.mp3", [0.1, 0.9])], GENRES, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["R_B.m3u8"]


def test_playlists_of_other_genres_and_under_other_names_stay(tmp_path):
    for name in ("techno.m3u8", "favourites.m3u8"):
        (tmp_path / name).write_text(f"#EXTM3U\n{outputs.MARK}\nsong.mp3\n")
    outputs.write_playlists([], ["pop", "rock"], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["favourites.m3u8", "techno.m3u8"]


def test_a_playlist_of_the_user_s_is_never_written_over(tmp_path):
    (tmp_path / "jazz.m3u8").write_text("#EXTM3U\nmy own.mp3\n")
    with pytest.raises(ValueError, match=r"jazz\.m3u8 was not written by `genre predict`; rename it, or name another"):
        outputs.check_playlists(tmp_path, GENRES)
    with pytest.raises(ValueError, match=r"--m3u must name a folder, .*jazz\.m3u8 is none"):
        outputs.check_playlists(tmp_path / "jazz.m3u8", GENRES)


def test_names_of_playlists_are_safe_and_differ():
    genres = ["R/B", "R:B", "r?b", "..", "\x1b", "drum'n'bass", "ロック" * 50, " jazz. "]
    names = list(outputs.playlist_names(genres).values())
    assert names[:6] == ["R_B.m3u8", "R_B 2.m3u8", "r_b 3.m3u8", "genre.m3u8", "_.m3u8", "drum'n'bass.m3u8"]
    assert names[7] == "jazz.m3u8"
    assert all(len(name.encode()) < 120 for name in names)
