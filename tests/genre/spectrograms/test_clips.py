import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genre.spectrograms import clips
from genre.spectrograms.store import SpectrogramStore


def spectrograms(lengths=(10, 7), n_mels=4):
    """Tracks g/0, g/1, ... of random values."""
    values = np.random.default_rng(0).random((sum(lengths), n_mels)).astype(np.float16)
    starts = np.cumsum([0, *lengths])
    return SpectrogramStore(values, {f"g/{number}": (starts[number], length) for number, length in enumerate(lengths)})


def test_unknown_and_short_tracks_are_named():
    with pytest.raises(ValueError, match="track 'x' has no spectrogram; run `dvc repro spectrogram`"):
        clips.check(spectrograms(), ["x"], n_mels=4, clip_frames=5)
    with pytest.raises(ValueError, match=r"clip_frames \(8\) frames, 'g/1' has 7; raise data\.min_seconds"):
        clips.check(spectrograms(), ["g/0", "g/1"], n_mels=4, clip_frames=8)
    with pytest.raises(ValueError, match=r"must have 5 mel bands \(spectrogram\.n_mels\), got 4; run `dvc repro"):
        clips.check(spectrograms(), ["g/0", "g/1"], n_mels=5, clip_frames=7)
    clips.check(spectrograms(), ["g/0", "g/1"], n_mels=4, clip_frames=7)


def test_the_reference_cuts_its_first_1280_frames():
    assert clips.clip_starts(1292, 5, 256, "contiguous") == [0, 256, 512, 768, 1024]


@given(frames=st.integers(32, 5000), number=st.integers(1, 20), spacing=st.sampled_from(["even", "contiguous"]))
def test_every_clip_lies_in_its_track(frames, number, spacing):
    starts = clips.clip_starts(frames, number, 32, spacing)
    assert len(starts) == number
    assert starts == sorted(starts)
    assert starts[0] >= 0
    assert starts[-1] + 32 <= frames


def test_even_clips_reach_from_the_first_frame_to_the_last():
    starts = clips.clip_starts(646, 5, 128, "even")
    assert (starts[0], starts[-1] + 128) == (0, 646)


def test_the_clips_of_tracks_follow_each_other():
    store = spectrograms(lengths=(10, 7, 8))
    clip_params = {"clips_per_track": 2, "clip_frames": 4, "clip_spacing": "even"}
    found = clips.clips_of(store, ["g/2", "g/0"], **clip_params)
    cuts = [store.cut(track, start, 4) for track, start in (("g/2", 0), ("g/2", 4), ("g/0", 0), ("g/0", 6))]
    np.testing.assert_array_equal(found, cuts)
    assert clips.clips_of(store, [], **clip_params).shape == (0, 4, 4)


def test_blocks_of_tracks_have_the_clips_of_all(monkeypatch):
    store = spectrograms(lengths=(10, 7, 8))
    clip_params = {"clips_per_track": 2, "clip_frames": 4, "clip_spacing": "even"}
    monkeypatch.setattr(clips, "BLOCK_TRACKS", 2)
    blocks = list(clips.blocks_of(store, ["g/0", "g/1", "g/2"], **clip_params))
    assert [len(block) for block in blocks] == [4, 2]
    np.testing.assert_array_equal(np.concatenate(blocks), clips.clips_of(store, ["g/0", "g/1", "g/2"], **clip_params))


@pytest.mark.parametrize("spacing", ["even", "contiguous"])
def test_a_single_clip_is_the_middle_of_its_track_unless_clips_begin_at_the_start(spacing):
    assert clips.clip_starts(100, 1, 32, spacing) == [34 if spacing == "even" else 0]
