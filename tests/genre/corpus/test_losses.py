from genre.audio.reading import Recording
from genre.corpus import associations, losses
from genre.corpus.folder import ScannedFile


def recording(genre: str, number: int, **changes) -> ScannedFile:
    values = {"seconds": 30.0, "sample_rate": 44100, "channels": 2, "peak": 0.5 + number % 7 / 20, "format": "mp3",
              "codec": "mp3", "bit_rate": 128_000 + 1000 * (number % 5), "artist": "A"}  # fmt: skip
    return ScannedFile(f"{genre}/{number}.mp3", recording=Recording(**{**values, **changes}))


MIXED = [recording(genre, number) for genre in ("a", "b") for number in range(20)]


def told(files: list[ScannedFile]) -> list[str]:
    return list(losses.lines(files, associations.associations(files)))


def test_recordings_that_cannot_be_used_are_told_apart_from_files_that_are_no_audio():
    files = [ScannedFile("a/x.mp3", "silent"), ScannedFile("a/cover.jpg", "no audio", is_recording=False)]
    first, *rest = told([*MIXED, *files])
    assert first == "40 tracks of 2 genres; 1 recording not usable; 1 other file"
    assert "most often (1 of 1): silent; replace it" in rest


def test_a_genre_that_lost_most_of_its_files_is_named():
    lost = [ScannedFile(f"c/{n}.mp3", "too short: 2.00 s, data.min_seconds is 6") for n in range(5)]
    lines = list(told([*MIXED, recording("c", 9), *lost]))
    assert "warning: genre 'c' lost 5 of its 6 recordings" in lines
    assert any("most often (5 of 5): too short; lower data.min_seconds" in line for line in lines)


def test_a_loss_inside_a_recording_that_is_used_is_told():
    lines = told([*MIXED, recording("a", 1, missing="2.0 of 30.0 s could not be decoded")])
    assert "warning: a/1.mp3: 2.0 of 30.0 s could not be decoded" in lines


def test_formats_that_give_the_genre_away_are_named_and_mixed_ones_are_not():
    assert not any("Cramer" in line for line in told(MIXED))
    telling = [recording("a", n) for n in range(20)] + [
        recording("b", n, format="flac", codec="flac") for n in range(20)
    ]
    (line,) = [line for line in told(telling) if "Cramer" in line]
    assert line.startswith("warning: the genre can be told from the files' format (1.00), codec (1.00)")


def test_tracks_without_an_artist_are_counted_where_others_have_one():
    assert "3 tracks without an artist in tags or folders" in list(
        told([*MIXED, *(recording("a", n, artist="") for n in range(3))])
    )
