from functools import cache

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

from genre.audio import fingerprints, landmarks
from genre.audio.fingerprints import fingerprint
from genre.audio.repetitions import find_repetitions
from genre.corpus import synthesis

SAMPLE_RATE = 22050
ALTERATIONS = ("mp3", "ogg", "quieter", "later", "half", "noise")


def tone(pitch, seconds, harmonics=6):
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    turns = 440 * 2 ** ((pitch - 69) / 12) * time
    wave = sum(np.sin(2 * np.pi * harmonic * turns) / harmonic for harmonic in range(1, harmonics + 1))
    return wave * np.exp(-4 * time) * np.minimum(1, time / 0.005)


@cache
def tune(seed, seconds=12.0):
    """A melody over a bass in A minor, eight notes a second; tunes differ by their notes only."""
    random = np.random.default_rng(seed)
    waveform = np.zeros(round((seconds + 1) * SAMPLE_RATE))
    for number in range(round(8 * seconds)):
        for octave in (45, 57, 69)[number % 2 :]:
            note = tone(octave + random.choice([0, 2, 3, 5, 7, 8, 10]), 0.4)
            start = round(number / 8 * SAMPLE_RATE)
            waveform[start : start + len(note)] += note
    return (0.1 * waveform[: round(seconds * SAMPLE_RATE)]).astype(np.float32)


@cache
def drum_machine(seconds=12.0):
    """The same two samples of noise and falling pitch, again and again at 120 beats a minute."""
    time = np.arange(SAMPLE_RATE // 4) / SAMPLE_RATE
    kick = np.sin(2 * np.pi * (60 * time + 8 * (1 - np.exp(-time / 0.03)))) * np.exp(-time / 0.08)
    snare = np.random.default_rng(0).standard_normal(len(time)) * np.exp(-time / 0.05)
    return (0.2 * np.resize(np.concatenate([kick, snare]), round(seconds * SAMPLE_RATE))).astype(np.float32)


def altered(waveform, how, path):
    if how in ("mp3", "ogg"):
        mode = {"bitrate_mode": "AVERAGE"} if how == "mp3" else {}
        file = path / f"copy.{how}"
        soundfile.write(file, waveform, SAMPLE_RATE, format=how.upper(), compression_level=0.95, **mode)
        return soundfile.read(file, dtype="float32")[0]
    if how == "noise":
        noise = np.random.default_rng(1).standard_normal(len(waveform), np.float32)
        return waveform + 0.1 * waveform.std() * noise
    changes = {
        "quieter": lambda: waveform / 2,
        "later": lambda: waveform[round(1.3 * SAMPLE_RATE) :],
        "half": lambda: waveform[: len(waveform) // 2],
    }
    return changes[how]()


@cache
def fingerprint_of(seed, start=0.0, seconds=12.0):
    return fingerprint(tune(seed)[round(start * SAMPLE_RATE) : round((start + seconds) * SAMPLE_RATE)], SAMPLE_RATE)


def pairs_of(table):
    return list(zip(table["track_a"], table["track_b"], strict=True))


# --- fingerprints


def test_a_fingerprint_is_sorted_frames_and_bins_some_tens_a_second():
    peaks = fingerprint(tune(0), SAMPLE_RATE)
    assert peaks.dtype == np.int32
    assert peaks.shape[1] == 2
    assert 12 * 10 < len(peaks) < 12 * 60
    assert list(map(tuple, peaks)) == sorted(map(tuple, peaks))
    assert peaks.min() >= 0
    assert peaks[:, 0].max() < 12 * 40
    assert peaks[:, 1].min() >= fingerprints.LOW_BIN
    assert peaks[:, 1].max() < fingerprints.HIGH_BIN


@pytest.mark.parametrize("sample_rate", [8000, 22050, 44100])
def test_silence_and_steady_tones_have_no_fingerprint(sample_rate):
    time = np.arange(5 * sample_rate) / sample_rate
    steady = [np.zeros_like(time), np.full_like(time, 0.5)]
    steady += [np.sin(2 * np.pi * frequency * time) for frequency in (60, 441.7, 1000, 3000)]
    steady += [0.3 * (steady[2] + steady[3] + steady[4]), np.random.default_rng(0).integers(-1, 2, len(time)) / 32768]
    for waveform in steady:
        peaks = fingerprint(waveform.astype(np.float32), sample_rate)
        assert peaks.shape == (0, 2)
        assert peaks.dtype == np.int32


@pytest.mark.parametrize("samples", [0, 1, 4409, 4410])
def test_less_than_a_window_has_no_fingerprint(samples):
    assert fingerprint(np.ones(samples, np.float32), SAMPLE_RATE).shape == (0, 2)


def test_blocks_give_the_fingerprint_of_the_whole(monkeypatch):
    whole = fingerprint(tune(1), SAMPLE_RATE)
    for frames in (30, 100, 477):
        monkeypatch.setattr(fingerprints, "BLOCK_FRAMES", frames)
        np.testing.assert_array_equal(fingerprint(tune(1), SAMPLE_RATE), whole)


@pytest.mark.parametrize("sample_rate", [8000, 11025, 16000, 44100, 48000])
def test_another_sample_rate_is_still_the_same_recording(sample_rate):
    waveform = resample_poly(tune(2), sample_rate, SAMPLE_RATE).astype(np.float32)
    found = find_repetitions({"a": fingerprint(waveform, sample_rate), "b": fingerprint_of(2), "c": fingerprint_of(3)})
    assert pairs_of(found) == [("a", "b")]
    assert abs(found["offset_seconds"][0]) < 0.05
    assert found["score"][0] > 0.8


# --- what is found


@pytest.mark.parametrize(
    "how",
    [*((one,) for one in ALTERATIONS), ("later", "mp3"), ("half", "noise"), ("noise", "mp3"), ALTERATIONS],
    ids=" ".join,
)
def test_altered_copies_are_found_and_nothing_else(how, tmp_path):
    tracks = {f"original {seed}": fingerprint_of(seed) for seed in range(4)}
    for seed in range(4):
        waveform = tune(seed)
        for one in how:
            waveform = altered(waveform, one, tmp_path)
        tracks[f"{seed} copy"] = fingerprint(waveform, SAMPLE_RATE)
    found = find_repetitions(tracks)
    assert pairs_of(found) == [(f"{seed} copy", f"original {seed}") for seed in range(4)]
    assert np.abs(found["offset_seconds"] - (1.3 if "later" in how else 0)).max() < 0.05


@pytest.mark.parametrize("drums", [1.0, 2.0])
def test_tunes_over_the_same_drum_machine_are_different_recordings(drums, tmp_path):
    mixed = {f"tune {seed}": tune(seed) + np.float32(drums) * drum_machine() for seed in range(8)}
    tracks = {track: fingerprint(waveform, SAMPLE_RATE) for track, waveform in mixed.items()}
    assert find_repetitions(tracks).empty
    tracks["copy"] = fingerprint(altered(mixed["tune 5"], "mp3", tmp_path), SAMPLE_RATE)
    assert pairs_of(find_repetitions(tracks)) == [("copy", "tune 5")]


def test_loops_that_share_the_drums_are_different_recordings_and_their_copies_are_found(tmp_path):
    loops = [np.tile(tune(seed, 4.0) + drum_machine(4.0), 5) for seed in range(5)]
    tracks = {f"loop {number}": fingerprint(waveform, SAMPLE_RATE) for number, waveform in enumerate(loops)}
    assert find_repetitions(tracks).empty
    tracks["copy"] = fingerprint(altered(altered(loops[2], "quieter", tmp_path), "half", tmp_path), SAMPLE_RATE)
    assert pairs_of(find_repetitions(tracks)) == [("copy", "loop 2")]


def test_noise_is_found_only_where_it_is_the_same_noise():
    noise = [np.random.default_rng(seed).standard_normal(8 * SAMPLE_RATE, np.float32) for seed in range(3)]
    tracks = {f"noise {seed}": fingerprint(waveform, SAMPLE_RATE) for seed, waveform in enumerate(noise)}
    tracks["copy"] = fingerprint(noise[1] / 10, SAMPLE_RATE)
    assert pairs_of(find_repetitions(tracks)) == [("copy", "noise 1")]


def test_a_copy_scores_1_at_offset_0():
    found = find_repetitions({"b": fingerprint_of(0), "a": fingerprint_of(0)}, threshold=1.0)
    assert found.to_dict("records") == [{"track_a": "a", "track_b": "b", "offset_seconds": 0.0, "score": 1.0}]


@pytest.mark.parametrize("how", ALTERATIONS)
def test_recordings_of_5_seconds_are_enough(how, tmp_path):
    tracks = {f"{seed}": fingerprint_of(seed, seconds=5) for seed in range(4)}
    copy = fingerprint(altered(tune(3)[: 5 * SAMPLE_RATE], how, tmp_path), SAMPLE_RATE)
    assert pairs_of(find_repetitions({**tracks, "copy": copy})) == [("3", "copy")]


def test_a_short_cut_is_found_in_a_long_recording():
    long = np.concatenate([tune(seed) for seed in range(8)])
    found = find_repetitions({"cut": fingerprint_of(5, 3, 5), "long": fingerprint(long, SAMPLE_RATE)})
    assert pairs_of(found) == [("cut", "long")]
    assert abs(found["offset_seconds"][0] - (5 * 12 + 3)) < 0.05


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 5), shift=st.floats(0, 6), other=st.integers(6, 9))
def test_the_offset_is_found_within_50_ms_and_an_unrelated_track_is_not(seed, shift, other):
    tracks = {"a": fingerprint_of(seed), "b": fingerprint_of(seed, shift, 6.0), "c": fingerprint_of(other)}
    found = find_repetitions(tracks)
    assert pairs_of(found) == [("a", "b")]
    assert abs(found["offset_seconds"][0] + shift) < 0.05


@settings(max_examples=12, deadline=None)
@given(more=st.sets(st.integers(3, 9), max_size=7), shift=st.floats(0, 6))
def test_adding_unrelated_tracks_changes_no_found_pair(more, shift):
    tracks = {
        "a": fingerprint_of(0),
        "m": fingerprint_of(1, 2, 8),
        "n": fingerprint_of(1),
        "z": fingerprint_of(0, shift, 6),
    }
    found = find_repetitions(tracks)
    assert pairs_of(found) == [("a", "z"), ("m", "n")]
    unrelated = {f"{'bny'[seed % 3]}{seed}": fingerprint_of(seed) for seed in more}
    pd.testing.assert_frame_equal(find_repetitions({**unrelated, **tracks}), found)


@pytest.mark.parametrize(("band", "block"), [(1, 1), (150, 700), (4_000_000, 1)])
def test_bands_and_blocks_of_any_size_find_the_same(monkeypatch, band, block):
    tracks = {f"{seed}": fingerprint_of(seed) for seed in range(4)} | {
        "a": fingerprint_of(2, 1, 8),
        "b": fingerprint_of(2),
    }
    whole = find_repetitions(tracks)
    assert pairs_of(whole) == [("2", "a"), ("2", "b"), ("a", "b")]
    monkeypatch.setattr(landmarks, "PEAKS_AT_ONCE", band)
    monkeypatch.setattr(landmarks, "BLOCK_PEAKS", block)
    pd.testing.assert_frame_equal(find_repetitions(tracks), whole)


def test_a_recording_that_is_there_very_often_is_found_with_the_next_ones(monkeypatch):
    monkeypatch.setattr(landmarks, "MOST_EQUAL", 4)
    found = find_repetitions({f"{copy:02d}": fingerprint_of(0) for copy in range(20)} | {"other": fingerprint_of(1)})
    assert {(f"{copy:02d}", f"{copy + 1:02d}") for copy in range(19)} <= set(pairs_of(found))
    assert 19 <= len(found) <= 4 * 19


@pytest.mark.parametrize("fingerprints", [{}, {"a": 0}, {"a": 0, "b": 0, "c": 0}], ids=["nothing", "one", "silence"])
def test_nothing_to_compare_gives_an_empty_table_with_the_columns(fingerprints):
    found = find_repetitions({track: np.zeros((peaks, 2), np.int32) for track, peaks in fingerprints.items()})
    assert list(found.columns) == ["track_a", "track_b", "offset_seconds", "score"]
    assert found.empty
    assert found["score"].dtype == found["offset_seconds"].dtype == np.float64


def test_silence_among_music_is_no_repetition():
    silence = np.zeros((0, 2), np.int32)
    assert find_repetitions({"a": silence, "b": fingerprint_of(0), "c": silence, "d": fingerprint_of(1)}).empty


# --- slower


@pytest.mark.slow
def test_synthetic_tracks_of_a_genre_are_different_and_their_copies_are_found(tmp_path):
    waveforms = {f"{genre}.{n}": synthesis.track_waveform(genre, n) for genre in synthesis.GENRES for n in range(6)}
    tracks = {track: fingerprint(waveform, SAMPLE_RATE) for track, waveform in waveforms.items()}
    assert find_repetitions(tracks).empty
    for how in ALTERATIONS:
        copies = {f"{track} copy": altered(waveforms[track], how, tmp_path) for track in list(waveforms)[::3]}
        found = find_repetitions(
            {**tracks, **{track: fingerprint(copy, SAMPLE_RATE) for track, copy in copies.items()}}
        )
        wanted = [(track.removesuffix(" copy"), track) for track in copies]
        assert set(pairs_of(found)) <= set(wanted)
        assert len(found) >= 0.95 * len(wanted)


@pytest.mark.slow
def test_an_hour_is_found_again_and_so_is_an_hour_of_one_loop():
    hour = np.concatenate([tune(seed) * np.float32(0.5 + seed % 7 / 7) for seed in range(300)])
    loop = np.tile(drum_machine(), 300)
    tracks = {"hour": fingerprint(hour, SAMPLE_RATE), "cut": fingerprint(hour[SAMPLE_RATE * 2000 :], SAMPLE_RATE)}
    tracks |= {"loop": fingerprint(loop, SAMPLE_RATE), "minute": fingerprint(loop[: SAMPLE_RATE * 60], SAMPLE_RATE)}
    found = find_repetitions(tracks)
    assert pairs_of(found) == [("cut", "hour"), ("loop", "minute")]
    assert abs(found["offset_seconds"][0] - 2000) < 0.05
