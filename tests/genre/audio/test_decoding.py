import subprocess
import sys

import numpy as np
import pytest
import soundfile

from genre.audio import decoding, reading
from genre.audio.resampling import period_ratio, resample
from tests.genre.audio.sounds import encoded, noise, tone

RATE = 22050
KINDS = [
    ("pcm_s16le", "wav"), ("flac", "flac"), ("flac", "ogg"), ("alac", "ipod"), ("libmp3lame", "mp3"), ("aac", "ipod"),
    ("aac", "adts"), ("vorbis", "ogg"), ("wmav2", "asf"),
]  # fmt: skip


def write(path, sound, rate):
    soundfile.write(path, sound, rate, subtype="FLOAT")
    return path


@pytest.mark.parametrize("rate", [8000, 11025, 22051, 44056, 44100, 48000, 96000, 192000])
def test_blocks_of_samples_resample_as_the_whole_does(tmp_path, monkeypatch, rate):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, rate * 5 + 123).astype(np.float32)
    path = write(tmp_path / "a.wav", samples, rate)
    monkeypatch.setattr(decoding, "BLOCK_SECONDS", 1)
    ratio = period_ratio(rate, RATE)
    whole = resample(samples, ratio.denominator, ratio.numerator)
    np.testing.assert_array_equal(decoding.decode(path, RATE), whole)


@pytest.mark.parametrize("rate", [44100, 22050])
@pytest.mark.parametrize(("codec", "form"), KINDS)
def test_blocks_join_without_a_seam_in_every_format(tmp_path, monkeypatch, codec, form, rate):
    path = tmp_path / "a"
    options = {"bit_rate": 64_000} if codec in ("wmav2", "libmp3lame") else {}
    path.write_bytes(
        encoded(
            codec,
            form,
            noise(3.3, rate, 2 if codec == "vorbis" else 1),
            rate,
            codec_options={"strict": "experimental"},
            **options,
        )
    )
    whole = decoding.decode(path, RATE)
    monkeypatch.setattr(reading, "BLOCK_LENGTH", 5000)
    monkeypatch.setattr(decoding, "BLOCK_SECONDS", 1)
    np.testing.assert_allclose(decoding.decode(path, RATE), whole, atol=1e-6)
    assert len(list(decoding.decode_blocks(path, RATE))) >= 4
    with reading.opened(path) as reader:
        joined = np.concatenate([reading.mono(block) for block in reader.blocks()])
    if rate == RATE:
        np.testing.assert_array_equal(joined, whole)


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_channels_are_averaged(tmp_path, channels):
    samples = np.stack([tone(440, 1, RATE, 1)[:, 0] * (number + 1) / channels for number in range(channels)], axis=1)
    decoded = decoding.decode(write(tmp_path / "a.wav", samples, RATE), RATE)
    np.testing.assert_allclose(decoded, samples.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("channels", [1, 2, 3, 5, 7, 8, 12])
def test_the_mean_of_channels_is_numpys_bit_for_bit(channels):
    block = np.random.default_rng(channels).standard_normal((3000, channels)).astype(np.float32)
    np.testing.assert_array_equal(reading.mono(block), block.mean(axis=1, dtype=np.float32))


def test_blocks_of_many_channels_are_short(tmp_path, monkeypatch):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (RATE, 8)).astype(np.float32)
    path = write(tmp_path / "a.wav", samples, RATE)
    whole = decoding.decode(path, 16_000)
    monkeypatch.setattr(decoding, "BLOCK_SAMPLES", 30_000)
    blocks = list(decoding.decode_blocks(path, 16_000))
    assert max(map(len, blocks)) <= 30_000 // 8
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1e-6)


def test_no_samples_give_an_empty_waveform(tmp_path):
    assert decoding.decode(write(tmp_path / "a.wav", np.zeros(0), RATE), RATE).shape == (0,)


def test_what_cannot_be_decoded_is_refused(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"no sound at all" * 100)
    with pytest.raises(ValueError, match="cannot be decoded"):
        decoding.decode(tmp_path / "a.wav", RATE)


@pytest.mark.slow
def test_two_hours_take_bounded_memory(tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes(encoded("libmp3lame", "mp3", noise(60, 44100), options={"write_xing": "0"}) * 120)
    code = f"""
import resource
from pathlib import Path
from genre.audio import decoding
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
samples = sum(len(block) for block in decoding.decode_blocks(Path({str(path)!r}), 22050))
assert abs(samples / 22050 - 7200) < 10
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100  # MB
