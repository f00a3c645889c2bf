import numpy as np
import pytest
import scipy.signal.windows
import torch

from genre.audio import mel, mel_scale
from genre.audio.params import Spectrogram
from tests.conftest import RATE, tone

SIZES = {"sample_rate": RATE, "n_fft": 2048, "hop_length": 1024, "n_mels": 128, "f_max": RATE / 2}
DENSE = {"sample_rate": RATE, "n_fft": 2048, "hop_length": 512, "n_mels": 256, "f_max": RATE / 2}
NARROW = {**SIZES, "f_max": 8000.0}
SOUNDS = {
    "zeros": np.zeros(RATE, np.float32),
    "constant": np.full(RATE, 0.5, np.float32),
    "clipped": np.sign(tone(440, 1.0)),
    "one sample": np.eye(1, RATE, 5000, dtype=np.float32)[0],
    "faint": tone(440, 1.0) * np.float32(1e-20),
    "as loud as can be": tone(440, 1.0) * np.float32(1.9e12),
}


def noise(seconds=2.0):
    return np.random.default_rng(0).standard_normal(round(seconds * RATE)).astype(np.float32)


def by_torchaudio(waveform, sizes):
    transforms = pytest.importorskip("torchaudio.transforms")
    transform = transforms.MelSpectrogram(norm="slaney", mel_scale="slaney", pad_mode="constant", **sizes)
    power = transform(torch.from_numpy(waveform))
    decibels = 10 * torch.log10((power / power.max()).clamp(min=1e-8))
    return (decibels / 80 + 1).T.numpy()


@pytest.mark.parametrize("sizes", [SIZES, DENSE, NARROW], ids=["128 bands", "256 bands", "up to 8 kHz"])
@pytest.mark.parametrize("waveform", [noise(), tone(440, 2.0), tone(3000, 2.0) + noise() / 100])
def test_values_are_those_of_torchaudio(waveform, sizes):
    np.testing.assert_allclose(mel.log_mel(waveform, **sizes), by_torchaudio(waveform, sizes), atol=1e-3)


@pytest.mark.parametrize("frequency", [110, 440, 3000, 9000])
def test_a_tone_peaks_in_its_mel_band(frequency):
    centres = mel_scale.mel_frequencies(128, RATE / 2)
    band = mel.log_mel(tone(frequency, 2.0), **SIZES)[10].argmax()
    assert abs(centres[band] - frequency) < max(15, 0.05 * frequency)


def test_sound_above_f_max_changes_nothing():
    """An mp3 of 64 kb/s has no sound above 10 kHz; a network that hears it gave other answers."""
    waveform = tone(440, 2.0) + noise() / 100
    centres = mel_scale.mel_frequencies(128, 8000.0)
    assert 7800 < centres[-1] < 8000
    without, with_tone = (
        mel.log_mel(sound, **NARROW).astype(float) for sound in (waveform, waveform + tone(9000, 2.0))
    )
    np.testing.assert_allclose(without[2:-2], with_tone[2:-2], atol=2e-3)  # the tone begins and ends with a click
    assert (
        abs(mel.log_mel(waveform, **SIZES).astype(float) - mel.log_mel(waveform + tone(9000, 2.0), **SIZES)).max() > 0.1
    )


def test_values_are_decibels_below_the_peak_mapped_to_0_and_1():
    loud, soft = tone(440, 2.0), tone(440, 2.0) * np.float32(0.1)  # -20 dB
    values = mel.log_mel(np.concatenate([loud, soft]), **SIZES).astype(float)
    assert values.max() == 1.0
    assert values.min() >= 0.0
    assert values[10].max() - values[-10].max() == pytest.approx(20 / 80, abs=0.01)


def test_loudness_of_the_file_does_not_matter():
    waveform = tone(440, 1.0) + tone(555, 1.0) / 3
    quieter = mel.log_mel(waveform * np.float32(0.01), **SIZES).astype(float)
    np.testing.assert_allclose(mel.log_mel(waveform, **SIZES).astype(float), quieter, atol=2e-3)


@pytest.mark.parametrize("samples", [0, 1, 1000, 64 * 1024, 64 * 1024 - 1, 3 * 64 * 1024 + 1023])
@pytest.mark.parametrize("hop_length", [512, 1024, 2048])
def test_blocks_give_the_same_bytes_as_the_whole(samples, hop_length):
    sizes = SIZES | {"hop_length": hop_length}
    waveform = noise(10.0)[:samples]
    whole = mel.log_mel(waveform, **sizes)
    assert len(whole) == 1 + samples // hop_length
    for length in (777, 20_000, 300_000):
        blocks = [waveform[start : start + length] for start in range(0, samples, length)]
        assert mel.log_mel_of_blocks(iter(blocks), **sizes).tobytes() == whole.tobytes()


def test_silence_gives_zeros_and_no_nan():
    assert not mel.log_mel(np.zeros(RATE, np.float32), **SIZES).any()


@pytest.mark.parametrize("waveform", SOUNDS.values(), ids=SOUNDS.keys())
def test_no_sound_gives_a_value_outside_of_0_and_1(waveform):
    values = mel.log_mel(waveform, **SIZES)
    assert ((values >= 0) & (values <= 1)).all()


@pytest.mark.parametrize("samples", [1, 100, 1023, 1024, 2047, 50_000])
def test_any_length_has_one_frame_a_hop_and_one_more(samples):
    values = mel.log_mel(np.ones(samples, np.float32), **SIZES)
    assert values.shape == (1 + samples // 1024, 128)
    assert values.dtype == np.float16


@pytest.mark.parametrize("sizes", [SIZES, DENSE], ids=["128 bands", "256 bands"])
def test_blocks_of_frames_give_what_the_whole_gives(monkeypatch, sizes):
    whole = mel.log_mel(noise(5.0), **sizes)
    for frames in (1, 7, 10_000):
        monkeypatch.setattr(mel, "BLOCK_FRAMES", frames)
        np.testing.assert_array_equal(mel.log_mel(noise(5.0), **sizes), whole)


@pytest.mark.parametrize(("n_mels", "f_max"), [(128, 10_000.0), (256, 11_025.0), (96, 8000.0), (1024, 96_000.0)])
def test_bands_have_librosa_s_frequencies_and_each_is_higher_than_the_one_below(n_mels, f_max):
    frequencies = mel_scale.mel_frequencies(n_mels, f_max)
    assert (np.diff(frequencies) > 0).all()
    edges = mel_scale.band_edges(n_mels, f_max)
    np.testing.assert_allclose(frequencies, edges[1:-1], rtol=1e-6)
    assert edges[0] == 0
    assert edges[-1] == pytest.approx(f_max)
    below = edges[edges < 1000]
    np.testing.assert_allclose(np.diff(below), below[1])  # evenly spaced


@pytest.mark.parametrize("size", [400, 512, 960, 2048])
def test_the_window_is_scipy_s_periodic_hann_bit_for_bit(size):
    np.testing.assert_array_equal(mel.hann(size), scipy.signal.windows.hann(size, sym=False))


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 192_000])
@pytest.mark.parametrize("n_fft", [64, 512, 1000, 2048, 8192])
@pytest.mark.parametrize("n_mels", [32, 128, 256, 1024])
@pytest.mark.parametrize("share", [0.3, 0.9, 1.0])
def test_no_band_of_accepted_parameters_is_silent_for_ever(rate, n_fft, n_mels, share):
    sizes = {"sample_rate": rate, "n_fft": n_fft, "n_mels": n_mels, "f_max": share * rate / 2}
    try:
        Spectrogram(hop_length=n_fft, **sizes)
    except ValueError as error:
        assert "narrowest mel band" in str(error)
    else:
        impulse = np.eye(1, 4 * n_fft, 2 * n_fft, dtype=np.float32)[0]  # all frequencies alike
        assert (mel.log_mel(impulse, hop_length=n_fft, **sizes).max(axis=0) > 0).all()
