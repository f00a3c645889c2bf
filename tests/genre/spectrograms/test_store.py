import numpy as np
import pytest

from genre.spectrograms import store


@pytest.fixture
def paths(tmp_path):
    return tmp_path / "values.npy", tmp_path / "index.csv"


def written(paths, lengths=(10, 7), n_mels=4):
    """Writes a store, in which all values of a track are its number, and opens it."""
    arrays = [np.full((length, n_mels), number, np.float16) for number, length in enumerate(lengths)]
    store.write(((f"g/{number}", array) for number, array in enumerate(arrays)), n_mels, *paths)
    return store.read(*paths)


def test_what_is_written_is_read(paths):
    read = written(paths)
    assert read.values.shape == (17, 4)
    assert (read.whole("g/0") == 0).all()
    assert (read.whole("g/1") == 1).all()
    assert read.whole("g/1").shape == (4, 7)


def test_a_cut_is_of_its_own_track(paths):
    read = written(paths)
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
    written(paths)
    paths[0].write_bytes(content)
    with pytest.raises(ValueError, match=r"values\.npy must be"):
        store.read(*paths)


def test_a_pickled_array_is_refused(paths):
    written(paths)
    np.save(paths[0], np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"values\.npy must be a \.npy array"):
        store.read(*paths)


def test_a_truncated_array_is_refused(paths):
    written(paths)
    paths[0].write_bytes(paths[0].read_bytes()[:-8])
    with pytest.raises(ValueError, match=r"values\.npy must be a \.npy array"):
        store.read(*paths)


def test_an_index_with_a_gap_is_refused(paths):
    written(paths)
    paths[1].write_text("track,start,frames\ng/0,0,10\ng/1,11,6\n")
    with pytest.raises(ValueError, match="must cover the 17 frames"):
        store.read(*paths)


@pytest.mark.parametrize(("shape", "kind"), [((17,), np.float16), ((17, 4), np.float32)])
def test_an_array_of_another_shape_or_type_is_refused(paths, shape, kind):
    written(paths)
    np.save(paths[0], np.zeros(shape, kind))
    with pytest.raises(ValueError, match=r"must be a \(frame, n_mels\) array of float16, got \(17,"):
        store.read(*paths)
