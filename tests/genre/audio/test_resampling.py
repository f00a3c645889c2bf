import numpy as np
import pytest
import torch

from genre.audio.resampling import period_ratio, resample
from tests.conftest import tone

RATES = [8000, 11025, 16000, 22050, 22051, 32000, 44056, 44100, 48000, 96000, 192000]


def ratio(old, new):
    """The samples of one period of both rates."""
    fraction = period_ratio(old, new)
    return fraction.denominator, fraction.numerator


@pytest.mark.parametrize("new", [16000, 22050])
@pytest.mark.parametrize("old", RATES)
def test_values_are_those_of_torchaudio_within_the_rounding_of_single_precision(old, new):
    functional = pytest.importorskip("torchaudio.functional")
    samples = np.random.default_rng(0).uniform(-1, 1, 2 * old + 123).astype(np.float32)
    expected = functional.resample(torch.from_numpy(samples), *ratio(old, new)).numpy()
    resampled = resample(samples, *ratio(old, new))
    assert resampled.dtype == np.float32
    assert resampled.shape == expected.shape
    np.testing.assert_allclose(resampled, expected, atol=5e-7)


@pytest.mark.parametrize(("old", "new"), [(44100, 22050), (48000, 22050), (22050, 48000), (11025, 22050)])
def test_a_tone_below_half_of_both_rates_stays_the_same_tone(old, new):
    resampled, expected = resample(tone(440, 1, old), *ratio(old, new)), tone(440, 1, new)
    assert len(resampled) == len(expected)
    np.testing.assert_allclose(resampled[100:-100], expected[100:-100], atol=2e-3)  # the ends meet silence


def test_a_tone_above_half_of_the_new_rate_is_removed():
    resampled = resample(tone(15_000, 1, 44_100), 2, 1)
    assert np.abs(resampled[100:-100]).max() < 0.005  # 40 dB below the tone


def test_equal_rates_change_nothing():
    samples = tone()
    np.testing.assert_array_equal(resample(samples, 1, 1), samples)


@pytest.mark.parametrize("length", [0, 1, 2, 5, 1000])
def test_the_length_is_rounded_up(length):
    assert len(resample(np.ones(length, np.float32), 3, 2)) == -(-length * 2 // 3)
