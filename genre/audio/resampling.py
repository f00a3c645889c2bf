"""Resamples a recording with the filter of `torchaudio.functional.resample`, without torch.

The filter is a sine cardinal under a squared cosine, six zero crossings long on each side (Smith, "Digital Audio
Resampling", ccrma.stanford.edu/~jos/resample). For each position between two samples it has other weights; all of them
are the rows of one sparse matrix, as the mel filters of `genre.audio.mel` are. It uses one core.
"""

import math
from fractions import Fraction
from functools import cache

import numpy as np
import numpy.typing as npt
from scipy import sparse

CROSSINGS = 6  # zero crossings of the filter on each side
ROLLOFF = 0.99  # the filter's cutoff, as a share of half the lower sample rate
GROUPED = 256  # samples that one product must at least compute: short periods are put together
FRAMES_AT_ONCE = 128  # products that are computed together: they stay in the processor's cache
# Rates without a common period (22 051 and 22 050 Hz) would need as many filters as samples a second: such a ratio is
# rounded, by less than one part in ten thousand. Every usual rate, up to 192 kHz, stays exact.
LONGEST_PERIOD = 1280

Samples = npt.NDArray[np.float32]


def period_ratio(old_rate: int, new_rate: int) -> Fraction:
    """Returns `new_rate / old_rate`, in lowest terms.

    The denominator is the number of samples before resampling in one common period of both rates, the numerator that
    after it.
    """
    return Fraction(new_rate, old_rate).limit_denominator(LONGEST_PERIOD)


def resample(waveform: Samples, old: int, new: int) -> Samples:
    """Resamples `(time,)` from `old` to `new` samples a second: `(ceil(time * new / old),)`.

    The recording is taken to be silent before its start and after its end. The values are those of torchaudio, within
    the rounding of single precision.

    Args:
        waveform: The recording.
        old: Its samples in one period of both sample rates: the denominator of `period_ratio`.
        new: The samples wanted in that period: the numerator.
    """
    if old == new:
        return waveform
    periods = math.ceil(GROUPED / old)
    filters = _filters(old, new, periods)
    step, size = periods * old, filters.shape[1]
    length = math.ceil(len(waveform) * new / old)
    count = math.ceil(length / (periods * new))
    padded = np.pad(waveform, (filter_reach(old, new), size + count * step - len(waveform)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[: count * step : step]
    resampled = np.empty((count, periods * new), np.float32)
    for first in range(0, count, FRAMES_AT_ONCE):
        chosen = slice(first, first + FRAMES_AT_ONCE)
        resampled[chosen] = (filters @ np.ascontiguousarray(frames[chosen].T)).T
    return resampled.reshape(-1)[:length]


def filter_reach(old: int, new: int) -> int:
    """Returns how many samples of the recording before and after an output sample the filter uses."""
    return math.ceil(CROSSINGS * old / (min(old, new) * ROLLOFF))


@cache
def _filters(old: int, new: int, periods: int) -> sparse.csr_array:
    """Makes the weights of `periods` periods: `(periods * new, sample)`, from the sample `filter_reach` before."""
    kernels = _kernels(old, new)
    phase, sample = np.nonzero(kernels)
    period = np.arange(periods)[:, None]
    rows, columns = (period * new + phase).ravel(), (period * old + sample).ravel()
    shape = (periods * new, (periods - 1) * old + kernels.shape[1])
    return sparse.csr_array((np.tile(kernels[phase, sample], periods), (rows, columns)), shape=shape)


def _kernels(old: int, new: int) -> Samples:
    """Computes the weights of one period, `(new, sample)`, step by step in single precision as torchaudio does."""
    cutoff, reach = np.float32(min(old, new) * ROLLOFF), filter_reach(old, new)
    samples = np.arange(-reach, reach + old, dtype=np.float32) / np.float32(old)
    phases = np.arange(0, -new, -1, dtype=np.float32)[:, None] / np.float32(new)
    time = (phases + samples) * cutoff  # in zero crossings
    inside = np.abs(time) < CROSSINGS
    window = np.square(np.cos(time * np.float32(np.pi) / np.float32(2 * CROSSINGS)))
    angle = time * np.float32(np.pi)
    sinc = np.where(angle == 0, np.float32(1), np.sin(angle) / np.where(angle == 0, np.float32(1), angle))
    kernels: Samples = np.where(inside, sinc * (window * (cutoff / np.float32(old))), np.float32(0))
    return kernels
