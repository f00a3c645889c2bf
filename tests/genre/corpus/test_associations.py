import pytest

from genre.corpus import associations
from genre.corpus.folder import ScannedFile
from tests.genre.corpus.test_losses import MIXED, recording


def test_the_association_is_1_where_it_is_complete_and_near_0_where_there_is_none():
    telling = [recording(g, n, sample_rate=rate) for g, rate in (("a", 44100), ("b", 22050)) for n in range(30)]
    assert associations.associations(telling)["sampling rate"] == pytest.approx(1, abs=0.02)
    assert associations.associations(telling)["format"] == 0
    assert associations.associations(MIXED)["bit rate"] < 0.2


@pytest.mark.parametrize("first", [50, 55, 70, 76, 90])
def test_a_bit_rate_that_tells_the_genre_is_seen_however_many_files_share_it(first):
    """Of 100 files, `first` are mono wavs of one genre, and the others stereo wavs of another."""
    files = [recording("a", n, bit_rate=352800.0) for n in range(first)]
    files += [recording("b", n, bit_rate=705600.0) for n in range(100 - first)]
    assert associations.associations(files)["bit rate"] == pytest.approx(1, abs=0.02)


def test_a_peak_at_full_scale_that_most_files_share_is_a_class_of_its_own():
    files = [recording("a", n, peak=1.0) for n in range(80)]
    files += [recording("b", n, peak=0.5 + n / 100) for n in range(20)]
    assert associations.associations(files)["peak level"] > 0.8


def test_the_corpus_in_numbers_counts_what_is_used_and_what_is_not():
    files = [*MIXED, ScannedFile("a/x.mp3", "silent"), ScannedFile("a/cover.jpg", "no audio", is_recording=False)]
    found = associations.summary(files, associations.associations(files))["corpus"]
    assert (found["tracks"], found["genres"], found["not_usable"]) == (40, 2, 1)
    assert found["hours"] == pytest.approx(40 * 30 / 3600)
    assert found["association"].keys() == {"format", "codec", "bit_rate", "sampling_rate", "peak_level"}
