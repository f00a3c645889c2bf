from pathlib import Path

import pytest

from genre.audio.reading import Recording
from genre.corpus import cells, tracks
from genre.corpus.folder import ScannedFile
from genre.pipeline import tables


def test_tracks_are_named_by_genre_and_stem():
    assert tracks.names(["blues/blues.00012.wav"]) == ["blues/blues.00012"]


def test_tracks_alike_but_for_the_suffix_keep_it():
    assert tracks.names(["a/x.wav", "a/x.mp3", "b/x.wav"]) == ["a/x.wav", "a/x.mp3", "b/x"]


SCANNED = [
    ScannedFile("b/y.wav", recording=Recording(30.0, 22050, 1, 0.5)),
    ScannedFile("=b/z.wav", "a reason"),
    ScannedFile("a/x.wav", recording=Recording(31.5, 44100, 2, 0.5, artist="Ann", album="One", missing="2 s")),
]


def test_the_table_is_sorted_and_comes_back(tmp_path):
    usable, _ = tracks.tables_of(SCANNED, None)
    assert usable.to_numpy().tolist() == [
        ["a/x", "a", "a/x.wav", 31.5, 44100, "Ann", "One", "2 s"],
        ["b/y", "b", "b/y.wav", 30.0, 22050, "", "", ""],
    ]
    tables.write_csv(usable, tmp_path / "tracks.csv")
    assert tables.read_tracks(tmp_path / "tracks.csv").equals(usable)


def test_files_that_cannot_be_used_are_listed_with_a_reason_and_no_formula():
    _, excluded = tracks.tables_of(SCANNED, None)
    assert excluded.to_dict("list") == {"file": ["./=b/z.wav"], "reason": ["a reason"]}


def test_files_in_a_folder_of_the_user_have_absolute_paths():
    usable, excluded = tracks.tables_of(SCANNED, Path("/music"))
    assert list(usable["file"]) == ["/music/a/x.wav", "/music/b/y.wav"]
    assert list(usable["track"]) == ["a/x", "b/y"]
    assert list(excluded["file"]) == ["./=b/z.wav"]


def test_a_corpus_without_any_usable_file_gives_empty_tables():
    usable, excluded = tracks.tables_of([], None)
    assert (tuple(usable.columns), len(usable)) == (tables.TRACKS, 0)
    assert (tuple(excluded.columns), len(excluded)) == (tables.EXCLUDED, 0)


def test_a_single_genre_is_refused():
    usable, _ = tracks.tables_of(SCANNED, None)
    tracks.check_enough(usable, Path("t.csv"), Path("e.csv"))
    with pytest.raises(ValueError, match=r"^t\.csv must hold at least 2 genres, got only 'a'; e\.csv lists what could"):
        tracks.check_enough(usable[:1], Path("t.csv"), Path("e.csv"))


def test_no_cell_starts_a_formula():
    assert cells.harmless_path("=cmd|x/a.wav") == "./=cmd|x/a.wav"
    assert cells.harmless_path("rock/a.wav") == "rock/a.wav"


def test_a_name_that_is_another_s_stem_does_not_clash():
    files = ["a/x.wav", "a/x.mp3", "a/x.wav.flac", "a/y.wav.flac"]
    assert tracks.names(files) == ["a/x.wav", "a/x.mp3", "a/x.wav.flac", "a/y.wav"]


def test_what_a_spreadsheet_would_run_is_quoted_in_tags_too():
    recording = Recording(30.0, 22050, 1, 0.5, artist="=1+1", album="-M-")
    usable, _ = tracks.tables_of([ScannedFile("a/x.wav", recording=recording)], None)
    assert usable[["artist", "album"]].to_numpy().tolist() == [["'=1+1", "'-M-"]]


def test_genres_that_differ_only_in_how_an_accent_is_written_are_refused():
    scanned = [ScannedFile(f"{genre}/x.wav", recording=Recording(30.0, 22050, 1, 0.5))
               for genre in ("caf\u00e9", "cafe\u0301", "rock")]  # fmt: skip
    usable, _ = tracks.tables_of(scanned, None)
    with pytest.raises(ValueError, match=r"look alike: Unicode has two ways .*'cafe\\u0301' and 'caf\\xe9'; put their"):
        tracks.check_enough(usable, Path("t.csv"), Path("e.csv"))
