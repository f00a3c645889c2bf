"""The fingerprint of a recording: the peaks of its spectrogram, by which `repetitions` recognises it.

The peaks are the constellation of A. Wang, "An industrial-strength audio search algorithm", ISMIR 2003: they stay when
a recording is encoded in another format, made louder or softer, or cut.
"""

import math

import numpy as np
import numpy.typing as npt
from scipy import fft

from genre.audio.mel import hann

RATE = 4800  # Hz; every recording is resampled to it first, because nothing above 2000 Hz is used
PARTS_AT_ONCE = 8  # seconds that are resampled together
PASSED_HERTZ = 2000
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
    frames = _frames(_decimated(waveform, sample_rate))
    found = [np.zeros((0, 2), np.int32)]
    for first in range(0, len(frames), BLOCK_FRAMES):
        before = max(0, first - PEAK_FRAMES)  # with this context a block has the same peaks as the whole
        peaks = _peaks(_power(frames[before : first + BLOCK_FRAMES + PEAK_FRAMES]))
        peaks[:, 0] += before
        found.append(peaks[(peaks[:, 0] >= first) & (peaks[:, 0] < first + BLOCK_FRAMES)])
    return np.concatenate(found)


def _decimated(waveform: Samples, sample_rate: int) -> Samples:
    """Resamples to `RATE` by Fourier transforms of overlapping parts, of which the middle is kept (overlap-save).

    The parts are a second or three periods of the two rates, so that each holds whole numbers of samples of both.
    """
    periods = math.gcd(sample_rate, RATE)  # in a second
    old, new = sample_rate // periods, RATE // periods  # samples in one of them
    size, edge = max(3, periods), math.ceil(periods / 20)  # in periods: the filter reaches over 1/20 s by far
    step = size - 2 * edge
    length = len(waveform) * RATE // sample_rate
    count = 1 + length // (step * new)
    padded = np.pad(waveform, (edge * old, (size + count * step) * old - len(waveform)))
    parts = np.lib.stride_tricks.sliding_window_view(padded, size * old)[: count * step * old : step * old]
    response = _low_pass(size * new, size * old)
    decimated = np.empty((count, step * new), np.float32)
    for first in range(0, count, PARTS_AT_ONCE):
        chosen = slice(first, first + PARTS_AT_ONCE)
        spectrum = fft.rfft(parts[chosen], axis=1)[:, : len(response)] * response
        decimated[chosen] = fft.irfft(spectrum, size * new, axis=1)[:, edge * new : (size - edge) * new]
    return decimated.reshape(-1)[:length]


def _low_pass(new: int, old: int) -> Samples:
    """Makes the response at each frequency up to `RATE / 2`: 1 where peaks are searched, falling as a cosine above.

    Args:
        new: Samples in a part at `RATE`.
        old: Samples in it before; the response also corrects the scale of the transforms.
    """
    hertz = fft.rfftfreq(new, 1 / RATE)
    fall = np.clip((hertz - PASSED_HERTZ) / (RATE / 2 - PASSED_HERTZ), 0, 1)
    response: Samples = ((1 + np.cos(np.pi * fall)) / 2 * new / old).astype(np.float32)
    return response


def _frames(decimated: Samples) -> Samples:
    """Cuts a recording at `RATE` into overlapping frames, a view: `(frame, WINDOW)`."""
    if len(decimated) < WINDOW:
        return np.zeros((0, WINDOW), np.float32)
    return np.lib.stride_tricks.sliding_window_view(decimated, WINDOW)[::HOP]


def _power(frames: Samples) -> Samples:
    """Computes the power of each bin that is used, 1 for a sine of full scale: `(frame, bin)`."""
    window = hann(WINDOW)
    window = (2 / window.sum() * window).astype(np.float32)
    power = np.empty((len(frames), HIGH_BIN - LOW_BIN), np.float32)
    for first in range(0, len(frames), FRAMES_AT_ONCE):
        chosen = slice(first, first + FRAMES_AT_ONCE)
        spectrum = fft.rfft(frames[chosen] * window, axis=1)[:, LOW_BIN:HIGH_BIN]
        power[chosen] = spectrum.real**2 + spectrum.imag**2 + FLOOR
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
