import pytest

from genre.corpus import tracks
from genre.pipeline import tables


def test_tracks_are_named_by_genre_and_stem():
    assert tracks.names(["blues/blues.00012.wav"]) == ["blues/blues.00012"]


def test_tracks_alike_but_for_the_suffix_keep_it():
    assert tracks.names(["a/x.wav", "a/x.mp3", "b/x.wav"]) == ["a/x.wav", "a/x.mp3", "b/x"]


def test_the_table_is_sorted_and_comes_back(tmp_path):
    table = tracks.table([("b/y.wav", "b", 30.0, 22050), ("a/x.wav", "a", 31.5, 44100)])
    assert list(table["track"]) == ["a/x", "b/y"]
    tables.write_csv(table, tmp_path / "tracks.csv")
    assert tables.read_tracks(tmp_path / "tracks.csv").equals(table)


def test_an_empty_or_doubled_table_is_refused(tmp_path):
    path = tmp_path / "tracks.csv"
    path.write_text("track,genre,file,seconds,sample_rate\n")
    with pytest.raises(ValueError, match="at least one track, got none"):
        tables.read_tracks(path)
    path.write_text("track,genre,file,seconds,sample_rate\na,g,a.wav,1,1\na,g,a.wav,1,1\n")
    with pytest.raises(ValueError, match="each track once, got 'a' twice"):
        tables.read_tracks(path)


@pytest.mark.parametrize("genre", ["=1+1", "+a", "-a", "@a", "\ta", "track", "predicted"])
def test_a_folder_that_cannot_name_a_genre_gets_a_reason(genre):
    assert "rename the folder" in tracks.check_genre(genre)


def test_usual_genres_are_fine():
    assert all(tracks.check_genre(genre) is None for genre in ("blues", "drum'n'bass", "R&B", "ロック", "80s"))


def test_no_cell_starts_a_formula():
    assert tracks.harmless("=cmd|x/a.wav") == "./=cmd|x/a.wav"
    assert tracks.harmless("rock/a.wav") == "rock/a.wav"


def test_a_name_that_is_another_s_stem_does_not_clash():
    files = ["a/x.wav", "a/x.mp3", "a/x.wav.flac", "a/y.wav.flac"]
    assert tracks.names(files) == ["a/x.wav", "a/x.mp3", "a/x.wav.flac", "a/y.wav"]
