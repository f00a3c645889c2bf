"""The log-mel power spectrogram: the same code for the pipeline and for `genre predict`.

It does not need torch, and uses one thread for a recording. The Fourier transforms are pocketfft's in single precision,
and the mel filters are a sparse matrix: 98 % of their weights are zero.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from itertools import chain

import numpy as np
import numpy.typing as npt
from scipy import fft, sparse

from genre.audio.mel_scale import band_edges

FLOOR_DECIBELS = 80.0
BLOCK_FRAMES = 32  # frames that are transformed together: they stay in the processor's cache

Values = npt.NDArray[np.float32]


def log_mel(
    waveform: Values, *, sample_rate: int, n_fft: int, hop_length: int, n_mels: int, f_max: float
) -> npt.NDArray[np.float16]:
    """Computes the log-mel power spectrogram of a whole recording: `(time,)` -> `(frame, n_mels)`.

    Values are decibels relative to the recording's own peak, floored at -80 and mapped to 0..1, in half precision
    (steps of 0.04 dB at most). Frames are centred on multiples of `hop_length`, with zeros beyond both ends:
    `1 + time // hop_length` of them. The mel bands reach from 0 Hz to `f_max`; their scale and area normalisation are
    Slaney's (Auditory Toolbox, 1998), librosa's default. Silence gives zeros.
    """
    return log_mel_of_blocks(
        [waveform], sample_rate=sample_rate, n_fft=n_fft, hop_length=hop_length, n_mels=n_mels, f_max=f_max
    )


def log_mel_of_blocks(
    blocks: Iterable[Values], *, sample_rate: int, n_fft: int, hop_length: int, n_mels: int, f_max: float
) -> npt.NDArray[np.float16]:
    """Computes the same as `log_mel`, bit for bit, from consecutive blocks `(time,)` of any lengths.

    Only the power in the mel bands and the result are kept in memory: 120 MB for two hours with 128 bands and hops of
    46 ms, while the samples alone would take 635 MB.
    """
    window = hann(n_fft).astype(np.float32)
    filters = _mel_filters(sample_rate, n_fft, n_mels, f_max)
    powers = []  # (n_mels, frame) each
    for samples in _stretches(blocks, n_fft, hop_length):
        frames = np.lib.stride_tricks.sliding_window_view(samples, n_fft)[::hop_length]
        spectrum = fft.rfft(frames * window, axis=1).T  # (bin, frame)
        # The sparse product needs one row for each bin, so the squares are written in that order.
        power = np.square(spectrum.real, order="C")
        power += np.square(spectrum.imag, order="C")
        powers.append(filters @ power)
    return _scaled(powers)


def hann(size: int) -> npt.NDArray[np.float64]:
    """Computes a periodic Hann window: `(size,)`. SciPy's has the same values, and takes two seconds to import."""
    window: npt.NDArray[np.float64] = (0.5 + 0.5 * np.cos(np.linspace(-np.pi, np.pi, size + 1)))[:-1]
    return window


def _stretches(blocks: Iterable[Values], n_fft: int, hop_length: int) -> Iterator[Values]:
    """Yields the samples of `BLOCK_FRAMES` frames at a time (fewer at the end), with zeros beyond both ends."""
    step = BLOCK_FRAMES * hop_length
    length = step - hop_length + n_fft
    rest = np.zeros(n_fft // 2, np.float32)
    for block in chain(blocks, [np.zeros(n_fft - n_fft // 2, np.float32)]):
        rest = np.concatenate([rest, block])
        starts = range(0, len(rest) - length + 1, step)
        yield from (rest[start : start + length] for start in starts)
        rest = rest[len(starts) * step :]
    if len(rest) >= n_fft:
        yield rest


def _scaled(powers: list[Values]) -> npt.NDArray[np.float16]:
    """Replaces power by decibels below the peak, -80..0 mapped to 0..1: parts `(n_mels, frame)` -> `(frame, n_mels)`.

    The parts are overwritten and removed one by one, because together they are twice as large as the result.
    """
    peak = max(power.max() for power in powers)
    values = np.empty((sum(power.shape[1] for power in powers), len(powers[0])), np.float16)
    end = len(values)
    while powers:
        power = powers.pop()
        if peak > 0:
            power /= peak
            np.maximum(power, 10 ** (-FLOOR_DECIBELS / 10), out=power)
            np.log(power, out=power)  # NumPy's natural logarithm is three times as fast as log10
            power *= 10 / np.log(10) / FLOOR_DECIBELS
            power += 1
        values[end - power.shape[1] : end] = power.T
        end -= power.shape[1]
    return values


@cache
def _mel_filters(sample_rate: int, n_fft: int, n_mels: int, f_max: float) -> sparse.csr_array:
    """Makes the weights of triangular filters with an area of 1, from 0 Hz to `f_max`: `(n_mels, bin)`."""
    edges = band_edges(n_mels, f_max)[:, None]
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    bins = fft.rfftfreq(n_fft, 1 / sample_rate)
    rising, falling = (bins - lower) / (centre - lower), (upper - bins) / (upper - centre)
    triangles = np.maximum(0, np.minimum(rising, falling)) * 2 / (upper - lower)
    return sparse.csr_array(triangles.astype(np.float32))
