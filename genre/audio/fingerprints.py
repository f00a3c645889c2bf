"""The fingerprint of a recording: the peaks of its spectrogram, by which `repetitions` recognises it.

The peaks are the constellation of A. Wang, "An industrial-strength audio search algorithm", ISMIR 2003: they stay when
a recording is encoded in another format, made louder or softer, or cut.
"""

import numpy as np
import numpy.typing as npt
from scipy import fft

from genre.audio.mel import hann
from genre.audio.resampling import period_ratio, resample

RATE = 4800  # Hz; every recording is resampled to it first, because nothing above 2000 Hz is used
WINDOW = 960  # samples, 0.2 s: long, so that notes outnumber drum hits among the peaks; bins are 5 Hz apart
HOP = 120  # samples
FRAME_SECONDS = HOP / RATE  # 0.025
LOW_BIN, HIGH_BIN = 10, 400  # 50 to 2000 Hz: kept at low bit rates, and holds the notes of most music
FLOOR = np.float32(1e-8)  # -80 dB of full scale, as power: what is quieter is silence
PEAK_FRAMES, PEAK_BINS = 8, 12  # a peak is the maximum of this many frames and bins on each side: about 30 a second
RISE_DECIBELS = 3.0  # a peak is this much above the minimum of its bin in those frames, so that steady tones have none
BLOCK_FRAMES = 512  # frames in which peaks are searched together: bounds the memory
FRAMES_AT_ONCE = 64  # frames that are transformed together: they stay in the processor's cache

Fingerprint = npt.NDArray[np.int32]
Samples = npt.NDArray[np.float32]


def fingerprint(waveform: Samples, sample_rate: int) -> Fingerprint:
    """Finds the spectral peaks of a recording: `(time,)` -> `(peak, 2)`, frame (25 ms) and bin (5 Hz), in their order.

    Music has about 30 peaks a second, of 8 bytes each; silence and steady tones have none. The same recording at
    another sample rate (8000 Hz or more) or level has nearly the same peaks, but power below -80 dB of full scale
    counts as silence.
    """
    ratio = period_ratio(sample_rate, RATE)
    frames = _frames(resample(waveform, ratio.denominator, ratio.numerator))
    found = [np.zeros((0, 2), np.int32)]
    for first in range(0, len(frames), BLOCK_FRAMES):
        before = max(0, first - PEAK_FRAMES)  # with this context a block has the same peaks as the whole
        peaks = _peaks(_power(frames[before : first + BLOCK_FRAMES + PEAK_FRAMES]))
        peaks[:, 0] += before
        found.append(peaks[(peaks[:, 0] >= first) & (peaks[:, 0] < first + BLOCK_FRAMES)])
    return np.concatenate(found)


def _frames(samples: Samples) -> Samples:
    """Cuts a recording at `RATE` into overlapping frames, a view: `(frame, WINDOW)`."""
    if len(samples) < WINDOW:
        return np.zeros((0, WINDOW), np.float32)
    return np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP]


def _power(frames: Samples) -> Samples:
    """Computes the power of each bin that is used, 1 for a sine of full scale: `(frame, bin)`."""
    window = hann(WINDOW)
    window = (2 / window.sum() * window).astype(np.float32)
    power = np.empty((len(frames), HIGH_BIN - LOW_BIN), np.float32)
    for first in range(0, len(frames), FRAMES_AT_ONCE):
        chosen = slice(first, first + FRAMES_AT_ONCE)
        spectrum = fft.rfft(frames[chosen] * window, axis=1)[:, LOW_BIN:HIGH_BIN]
        np.square(spectrum.real, out=power[chosen])
        power[chosen] += np.square(spectrum.imag)
    power += FLOOR
    return power


def _peaks(power: Samples) -> Fingerprint:
    """Finds the peaks: local maxima that are well above the minimum of their bin in the frames around them."""
    rise = np.float32(10 ** (RISE_DECIBELS / 10))
    highest = _running_maximum(_running_maximum(power, PEAK_FRAMES).T, PEAK_BINS).T
    found = np.flatnonzero((power == highest) & (power > FLOOR * rise))  # ten times as fast as nonzero of a matrix
    frames, bins = np.divmod(found, power.shape[1])
    nearby = np.clip(frames[:, None] + np.arange(-PEAK_FRAMES, PEAK_FRAMES + 1), 0, len(power) - 1)
    lowest = power[nearby, bins[:, None]].min(axis=1)
    rising = power[frames, bins] > lowest * rise
    return np.column_stack([frames[rising], bins[rising] + LOW_BIN]).astype(np.int32)


def _running_maximum(values: Samples, radius: int) -> Samples:
    """Computes the maximum of `radius` rows on each side of each row; some ten times as fast as scipy.ndimage."""
    edge = np.zeros((radius, values.shape[1]), np.float32)  # power is above 0
    values, size, width = np.concatenate([edge, values, edge]), 2 * radius + 1, 1
    while 2 * width <= size:  # after each round a row is the maximum of `width` rows from it on
        values = np.maximum(values[:-width], values[width:])
        width *= 2
    return np.maximum(values[: len(values) - (size - width)], values[size - width :])
