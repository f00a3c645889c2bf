import io
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
import soundfile
import torch
from torchaudio.functional import resample

from genre.audio import decoding, mel, reading
from tests.conftest import RATE, tone

SIZES = {"sample_rate": RATE, "n_fft": 2048, "hop_length": 1024, "n_mels": 128}


def write(path, samples, rate=RATE, **options):
    soundfile.write(path, samples, rate, **options)
    return path


@pytest.mark.parametrize("frequency", [110, 440, 3000, 9000])
def test_a_tone_peaks_in_its_mel_band(frequency):
    centres = mel.mel_frequencies(sample_rate=RATE, n_fft=2048, n_mels=128)
    band = mel.log_mel(tone(frequency, 2.0), **SIZES)[10].argmax()
    assert abs(centres[band] - frequency) < max(15, 0.05 * frequency)


def test_values_are_decibels_below_the_peak_mapped_to_0_and_1():
    loud, soft = tone(440, 2.0), tone(440, 2.0) * 0.1  # -20 dB
    mel = mel.log_mel(np.concatenate([loud, soft]), **SIZES).astype(float)
    assert mel.max() == 1.0
    assert mel.min() >= 0.0
    assert mel[10].max() - mel[-10].max() == pytest.approx(20 / 80, abs=0.01)


def test_loudness_of_the_file_does_not_matter():
    waveform = tone(440, 1.0) + tone(555, 1.0) / 3
    np.testing.assert_allclose(
        mel.log_mel(waveform, **SIZES).astype(float), mel.log_mel(waveform * 0.01, **SIZES).astype(float), atol=2e-3
    )


def test_silence_gives_zeros_and_no_nan():
    assert not mel.log_mel(np.zeros(RATE, np.float32), **SIZES).any()


@pytest.mark.parametrize("samples", [1, 100, 1023, 1024, 2047, 50_000])
def test_any_length_has_one_frame_a_hop_and_one_more(samples):
    assert mel.log_mel(np.ones(samples, np.float32), **SIZES).shape == (1 + samples // 1024, 128)


def test_blocks_of_frames_give_what_the_whole_gives(monkeypatch):
    waveform = np.random.default_rng(0).standard_normal(200_000).astype(np.float32)
    whole = mel.log_mel(waveform, **SIZES)
    monkeypatch.setattr(mel, "BLOCK_FRAMES", 7)
    np.testing.assert_array_equal(mel.log_mel(waveform, **SIZES), whole)


@pytest.mark.parametrize("rate", [8000, 11025, 22051, 44056, 44100, 48000, 96000, 192000])
def test_blocks_of_samples_resample_as_the_whole_does(tmp_path, monkeypatch, rate):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, rate * 5 + 123).astype(np.float32)
    path = write(tmp_path / "a.wav", samples, rate, subtype="FLOAT")
    monkeypatch.setattr(mel, "BLOCK_SECONDS", 1)
    ratio = Fraction(RATE, rate).limit_denominator(1280)
    whole = resample(torch.from_numpy(samples), ratio.denominator, ratio.numerator).numpy()
    decoded = decoding.decode(path, RATE)
    assert len(decoded) == len(whole)
    np.testing.assert_allclose(decoded, whole, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.wav", {"subtype": "PCM_U8"}), ("a.wav", {"subtype": "PCM_16"}), ("a.wav", {"subtype": "PCM_24"}),
        ("a.wav", {"subtype": "PCM_32"}), ("a.wav", {"subtype": "FLOAT"}), ("a.wav", {"subtype": "DOUBLE"}),
        ("a.au", {}), ("a.flac", {}), ("a.ogg", {}), ("a.mp3", {}), ("a.aiff", {}),
    ],
)  # fmt: skip
def test_every_format_decodes_to_the_same_sound(tmp_path, name, options):
    path = write(tmp_path / name, tone(440, 3.0), **options)
    assert reading.inspect(path).seconds == pytest.approx(3.0, abs=0.1)
    spectrum = np.abs(np.fft.rfft(decoding.decode(path, RATE)[:RATE]))
    assert spectrum.argmax() == 440


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_channels_are_averaged(tmp_path, channels):
    samples = np.stack([tone(440) * (number + 1) / channels for number in range(channels)], axis=1)
    decoded = decoding.decode(write(tmp_path / "a.wav", samples, subtype="FLOAT"), RATE)
    np.testing.assert_allclose(decoded, samples.mean(axis=1), atol=1e-6)


def test_the_content_counts_and_not_the_suffix(tmp_path):
    write(tmp_path / "a.flac", tone())
    path = (tmp_path / "a.flac").rename(tmp_path / "a.mp3")
    assert reading.inspect(path).seconds == 1.0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be decoded|holds no samples"),
        (b"RIFF", "cannot be decoded"),
        (b"no sound at all" * 100, "cannot be decoded"),
    ],
)
def test_a_file_without_sound_is_refused(tmp_path, content, message):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        reading.inspect(path)


def test_a_header_alone_holds_no_samples(tmp_path):
    path = write(tmp_path / "a.wav", np.zeros(0, np.float32))
    with pytest.raises(ValueError, match="holds no samples"):
        reading.inspect(path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_refused(tmp_path, value):
    samples = tone()
    samples[1000] = value
    path = write(tmp_path / "a.wav", samples, subtype="FLOAT")
    for read in (reading.inspect, lambda path: decoding.decode(path, RATE)):
        with pytest.raises(ValueError, match="holds NaN or infinite samples"):
            read(path)


def test_a_truncated_file_gives_what_is_there(tmp_path):
    path = write(tmp_path / "a.wav", tone(440, 2.0))
    path.write_bytes(path.read_bytes()[: 44 + RATE * 2])
    assert reading.inspect(path).seconds == pytest.approx(1.0, abs=0.01)


SOUNDS = {
    "zeros": np.zeros(3 * RATE),
    "constant": np.full(3 * RATE, 0.5),
    "clipped": np.sign(tone(440, 3.0)),
    "one sample": np.eye(1, 3 * RATE, 5000)[0],
    "faint": tone(440, 3.0) * 1e-20,
    "as loud as can be": tone(440, 3.0) * 1.9e12,
    "beyond hearing": tone(30_000, 3.0, 96_000),
}


@pytest.mark.parametrize("name", SOUNDS)
@pytest.mark.parametrize("rate", [8000, 22050, 192_000])
def test_no_sound_gives_a_value_outside_of_0_and_1(tmp_path, name, rate):
    path = write(tmp_path / "a.wav", SOUNDS[name], rate, subtype="FLOAT")
    mel = mel.log_mel(decoding.decode(path, RATE), **SIZES)
    assert ((mel >= 0) & (mel <= 1)).all()


@pytest.mark.parametrize("level", [1e13, 1e30, -3e38])
def test_samples_beyond_any_scale_are_refused(tmp_path, level):
    path = write(tmp_path / "a.wav", np.full((RATE, 2), level), subtype="FLOAT")
    for read in (reading.inspect, lambda path: decoding.decode(path, RATE)):
        with pytest.raises(ValueError, match=r"holds samples beyond 1e\+12 times full scale"):
            read(path)


def test_the_peak_is_of_what_the_spectrogram_is_of(tmp_path):
    cancelling = np.stack([tone(), -tone()], axis=1)
    assert reading.inspect(write(tmp_path / "a.wav", cancelling)).peak < reading.SILENCE


def test_a_recording_without_end_is_not_read_to_its_end(tmp_path, monkeypatch):
    monkeypatch.setattr(mel, "MOST_SECONDS", 2)
    write(tmp_path / "a.flac", tone(440, 2.0))
    assert reading.inspect(tmp_path / "a.flac").seconds == 2.0
    write(tmp_path / "b.flac", tone(440, 2.1))
    for read in (reading.inspect, lambda path: decoding.decode(path, RATE)):
        with pytest.raises(ValueError, match=r"is longer than \d hours; cut it into parts"):
            read(tmp_path / "b.flac")


def test_blocks_of_many_channels_are_short(tmp_path, monkeypatch):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (RATE, 8)).astype(np.float32)
    path = write(tmp_path / "a.wav", samples, subtype="FLOAT")
    whole = decoding.decode(path, 16_000)
    monkeypatch.setattr(mel, "BLOCK_SAMPLES", 30_000)
    with reading.open_recording(path) as file:
        assert max(len(block) for block in reading.blocks(file)) == 30_000 // 8
    np.testing.assert_allclose(decoding.decode(path, 16_000), whole, atol=1e-6)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.9, 0.999])
@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.au"])
def test_a_file_cut_anywhere_gives_a_part_or_a_reason(tmp_path, name, share):
    path = write(tmp_path / name, np.random.default_rng(0).uniform(-0.5, 0.5, 3 * RATE))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    try:
        recording = reading.inspect(path)
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert 0 < recording.seconds <= 3.1
        assert np.isfinite(decoding.decode(path, RATE)).all()


def test_bands_without_a_bin_have_a_place_between_their_neighbours():
    with pytest.warns(UserWarning, match="mel filterbank has all zero values"):
        centres = mel.mel_frequencies(sample_rate=RATE, n_fft=512, n_mels=256)
    assert np.isfinite(centres).all()
    assert (np.diff(centres) > -12).all()  # a band of one bin or two has its centre on a bin


@pytest.mark.slow
def test_an_hour_takes_bounded_memory(tmp_path):
    code = f"""
import numpy as np, resource, soundfile, tracemalloc
from genre.audio import decoding, fingerprints, mel, reading
with soundfile.SoundFile({str(tmp_path / "a.flac")!r}, "w", 44100, 2) as file:
    for second in range(3600):
        file.write(np.random.default_rng(second).uniform(-0.5, 0.5, (44100, 2)).astype(np.float32))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert audio.inspect(__import__("pathlib").Path({str(tmp_path / "a.flac")!r})).seconds == 3600
inspected = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
waveform = audio.decode(__import__("pathlib").Path({str(tmp_path / "a.flac")!r}), 22050)
audio.log_mel(waveform, sample_rate=22050, n_fft=2048, hop_length=1024, n_mels=128)
repetitions.fingerprint(waveform, 22050)
print((inspected - before) // 1024, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    inspecting, computing = map(int, done.stdout.split())  # MB; the waveform itself has 318
    assert inspecting < 100
    assert computing < 1500


def test_a_disk_error_in_the_middle_is_not_taken_for_the_end(tmp_path, monkeypatch):
    path = write(tmp_path / "a.wav", tone(440, 3.0))

    class Failing(io.FileIO):
        def readinto(self, buffer):
            if self.tell() > 50_000:
                raise OSError(5, "Input/output error")
            return super().readinto(buffer)

    monkeypatch.setattr(io, "FileIO", Failing)
    with pytest.raises(OSError, match="Input/output error"):
        reading.inspect(path)


def test_a_header_that_points_before_the_start_costs_no_traceback(tmp_path, capfd):
    path = write(tmp_path / "a.wav", tone())
    with reading._Stream(io.FileIO(path)) as stream:
        assert stream.seek(-10, io.SEEK_SET) == 0
        assert stream.seek(1 << 70, io.SEEK_SET) == 0
    assert capfd.readouterr().err == ""
