import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genre.spectrograms import clips, store


@pytest.fixture
def paths(tmp_path):
    return tmp_path / "values.npy", tmp_path / "index.csv"


def store(paths, lengths=(10, 7), n_mels=4):
    arrays = [np.full((length, n_mels), number, np.float16) for number, length in enumerate(lengths)]
    store.write(((f"g/{number}", array) for number, array in enumerate(arrays)), n_mels, *paths)
    return store.read(*paths)


def test_what_is_written_is_read(paths):
    read = store(paths)
    assert read.values.shape == (17, 4)
    assert (read.whole("g/0") == 0).all()
    assert (read.whole("g/1") == 1).all()
    assert read.whole("g/1").shape == (4, 7)


def test_a_cut_is_of_its_own_track(paths):
    read = store(paths)
    assert read.cut("g/1", 2, 5).shape == (4, 5)
    for start, frames in ((-1, 3), (8, 3), (0, 11)):
        with pytest.raises(ValueError, match="track g/0 has 10 frames, no cut of"):
            read.cut("g/0", start, frames)


def test_a_crash_while_writing_leaves_nothing(paths, tmp_path):
    def items():
        yield "a", np.zeros((3, 4), np.float16)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.write(items(), 4, *paths)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"x" * 1000])
def test_a_file_that_is_no_array_is_refused(paths, content):
    store(paths)
    paths[0].write_bytes(content)
    with pytest.raises(ValueError, match=r"values\.npy must be"):
        store.read(*paths)


def test_a_pickled_array_is_refused(paths):
    store(paths)
    np.save(paths[0], np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"values\.npy must be a \.npy array"):
        store.read(*paths)


def test_a_truncated_array_is_refused(paths):
    store(paths)
    paths[0].write_bytes(paths[0].read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"values\.npy must be a \.npy array"):
        store.read(*paths)


def test_an_index_with_a_gap_is_refused(paths):
    store(paths)
    paths[1].write_text("track,start,frames\ng/0,0,10\ng/1,11,6\n")
    with pytest.raises(ValueError, match="must cover the 17 frames"):
        store.read(*paths)


def test_unknown_and_short_tracks_are_named(paths):
    read = store(paths)
    with pytest.raises(ValueError, match="track 'x' has no spectrogram"):
        read.check(["x"], 5)
    with pytest.raises(ValueError, match=r"'g/1' has 7; raise data\.min_seconds"):
        read.check(["g/0", "g/1"], 8)


def test_the_reference_cuts_its_first_1280_frames():
    assert clips.clip_starts(1292, 5, 256, "contiguous") == [0, 256, 512, 768, 1024]


@given(frames=st.integers(32, 5000), clips=st.integers(1, 20), spacing=st.sampled_from(["even", "contiguous"]))
def test_every_clip_lies_in_its_track(frames, clips, spacing):
    starts = clips.clip_starts(frames, clips, 32, spacing)
    assert len(starts) == clips
    assert starts == sorted(starts)
    assert starts[0] >= 0
    assert starts[-1] + 32 <= frames


def test_even_clips_reach_from_the_first_frame_to_the_last():
    starts = clips.clip_starts(646, 5, 128, "even")
    assert (starts[0], starts[-1] + 128) == (0, 646)


def test_the_clips_of_tracks_follow_each_other(paths):
    read = store(paths, lengths=(10, 7, 8))
    cutting = {"clips_per_track": 2, "clip_frames": 4, "clip_spacing": "even"}
    found = read.clips_of(["g/2", "g/0"], **cutting)
    np.testing.assert_array_equal(found, np.concatenate([read.clips("g/2", **cutting), read.clips("g/0", **cutting)]))
    assert read.clips_of([], **cutting).shape == (0, 4, 4)
