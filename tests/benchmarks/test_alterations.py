import numpy as np
import pytest

from benchmarks.alterations import ALTERATIONS, encode

RATE = 22_050
TIME = np.arange(4 * RATE) / RATE
TONE = (0.5 * np.sin(2 * np.pi * 440 * TIME)).astype(np.float32)
NOISE = (0.1 * np.random.default_rng(1).standard_normal(4 * RATE)).astype(np.float32)


def peak_hertz(waveform):
    return np.abs(np.fft.rfft(waveform)).argmax() * RATE / len(waveform)


def power_above(waveform, hertz):
    spectrum = np.square(np.abs(np.fft.rfft(waveform)))
    return spectrum[round(hertz * len(waveform) / RATE) :].sum() / spectrum.sum()


@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_alteration_gives_the_same_each_time_and_leaves_its_input(name):
    before = NOISE.copy()
    first, second = (ALTERATIONS[name](NOISE, RATE) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(NOISE, before)
    assert first.dtype == np.float32


@pytest.mark.parametrize(
    "name", ["mp3 128 kb/s", "mp3 32 kb/s", "opus 32 kb/s", "band limit 8 kHz", "noise 20 dB below"]
)
def test_pitch_and_length_are_kept_by_storage(name):
    altered = ALTERATIONS[name](TONE, RATE)
    assert len(altered) == len(TONE)
    assert peak_hertz(altered) == pytest.approx(440, abs=0.5)


def test_a_codec_of_fewer_bits_is_farther_from_the_original():
    errors = [np.square(encode(NOISE, RATE, codec="libmp3lame", container="mp3", kilobits=k) - NOISE).mean()
              for k in (128, 64, 32)]  # fmt: skip
    assert errors == sorted(errors)
    assert errors[0] > 0


@pytest.mark.parametrize("kilohertz", [4, 8])
def test_a_band_limit_leaves_nothing_above(kilohertz):
    limited = ALTERATIONS[f"band limit {kilohertz} kHz"](NOISE, RATE)
    assert power_above(limited, 1000 * kilohertz) < 0.01
    assert power_above(limited, 1200 * kilohertz) < 1e-4


def test_noise_is_20_decibels_below():
    added = ALTERATIONS["noise 20 dB below"](TONE, RATE) - TONE
    assert 10 * np.log10(np.square(TONE).mean() / np.square(added).mean()) == pytest.approx(20, abs=0.1)


def test_gain_and_clipping_are_12_decibels():
    assert np.abs(ALTERATIONS["12 dB quieter"](TONE, RATE)).max() == pytest.approx(0.5 / 3.981, rel=1e-3)
    clipped = ALTERATIONS["clipped 12 dB below the peak"](TONE, RATE)
    assert np.abs(clipped).max() == pytest.approx(0.5 / 3.981, rel=1e-3)
    np.testing.assert_array_equal(clipped[np.abs(TONE) < 0.1], TONE[np.abs(TONE) < 0.1])


def test_a_room_sounds_on_for_0_8_seconds():
    click = np.zeros(2 * RATE, np.float32)
    click[0] = 1
    echoes = ALTERATIONS["reverberation 0.8 s"](click, RATE)
    assert np.square(echoes[1:]).sum() == pytest.approx(1, abs=0.05)
    assert not np.abs(echoes[RATE:]).max() > 1e-6


@pytest.mark.parametrize(
    ("name", "factor"), [("pitch + 1 semitone", 2 ** (1 / 12)), ("pitch - 1 semitone", 2 ** (-1 / 12))]
)
def test_pitch_changes_and_length_does_not(name, factor):
    altered = ALTERATIONS[name](TONE, RATE)
    assert peak_hertz(altered) == pytest.approx(440 * factor, rel=2e-3)
    assert len(altered) == pytest.approx(len(TONE), rel=2e-3)


@pytest.mark.parametrize(("name", "factor"), [("tempo + 5 %", 1.05), ("tempo - 5 %", 0.95)])
def test_tempo_changes_and_pitch_does_not(name, factor):
    altered = ALTERATIONS[name](TONE, RATE)
    assert peak_hertz(altered) == pytest.approx(440, rel=2e-3)
    assert len(altered) == pytest.approx(len(TONE) / factor, rel=5e-3)
