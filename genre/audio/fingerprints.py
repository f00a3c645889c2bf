"""Finds repetitions, the same recording more than once in a corpus, by listening: whatever the file, level or cut.

Landmark hashing: A. Wang, "An industrial-strength audio search algorithm", ISMIR 2003. A recording becomes the
constellation of its spectrogram's peaks; two peaks close to each other are a landmark, and recordings that share many
landmarks at one offset in time are candidates. Two things differ from the paper. Each candidate is verified peak by
peak, over all that the two recordings have in common; and what a recording repeats within itself, as the loop of a
drum machine, counts little: two songs may share the loop, but then it fits as well a bar earlier or later.
"""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import fft
from scipy.signal.windows import hann

COLUMNS = ("track_a", "track_b", "offset_seconds", "score")
THRESHOLD = 0.35
MIN_SAMPLE_RATE = 8000

RATE = 4800  # Hz; every recording is brought to it first, because nothing above 2000 Hz is looked at
PARTS_AT_ONCE = 8  # seconds that are resampled together
PASSED_HERTZ = 2000
WINDOW = 960  # samples, 0.2 s: long, so that notes outnumber drum hits among the peaks; bins are 5 Hz apart
HOP = 120  # samples
FRAME_SECONDS = HOP / RATE  # 0.025
LOW_BIN, HIGH_BIN = 10, 400  # 50 to 2000 Hz: survives low bitrates and telephones, and holds the notes of most music
FLOOR = np.float32(1e-8)  # -80 dB of full scale, as power: what is quieter is silence
PEAK_FRAMES, PEAK_BINS = 8, 12  # a peak is the maximum of this many frames and bins on each side: about 30 a second
RISE_DECIBELS = 3.0  # and this much above the minimum of its bin in those frames, or a steady tone would have peaks
BLOCK_FRAMES = 512  # in which peaks are looked for together: bounds the memory
FRAMES_AT_ONCE = 64  # that are transformed together: they stay in the processor's cache

PARTNERS = 5  # landmarks that begin with a peak
MAX_FRAMES, MAX_BINS = 63, 63  # between the two peaks of a landmark
OCCURRENCES = 3  # of one landmark in a track; more of them say nothing new, and would cost their square
MIN_LANDMARKS = 6  # at one offset, to be a candidate; chance hardly gives more than 4
OTHER_OFFSETS = 6  # looked at to tell a loop that fits anywhere
MIN_PEAKS, MIN_SHARE = 20, 0.15  # that coincide; fewer prove nothing
MIN_OVERLAP = 1 / 3  # of the shorter track

KEY = 1024  # frame * KEY + bin numbers the peaks in their order

Fingerprint = npt.NDArray[np.int32]
Integers = npt.NDArray[np.int64]
Samples = npt.NDArray[np.float32]


def fingerprint(waveform: Samples, sample_rate: int) -> Fingerprint:
    """Finds the spectral peaks of a recording: `(time,)` -> `(peak, 2)`, frame (25 ms) and bin (5 Hz), in their order.

    About 30 peaks a second of music, 8 bytes each; none in silence and steady tones. The same recording at another
    sample rate has nearly the same peaks. Levels count relative to each other, but below -80 dB of full scale.

    Raises:
        ValueError: The sample rate is below 8000 Hz, or the waveform is not `(time,)`.
    """
    if sample_rate < MIN_SAMPLE_RATE:
        raise ValueError(
            f"fingerprint: sample_rate must be at least {MIN_SAMPLE_RATE} Hz, got {sample_rate}; resample first"
        )
    if waveform.ndim != 1:
        raise ValueError(f"fingerprint: waveform must be (time,), got the shape {waveform.shape}; mix to one channel")
    frames = _frames(_decimated(waveform, sample_rate))
    found = [np.zeros((0, 2), np.int32)]
    for first in range(0, len(frames), BLOCK_FRAMES):
        before = max(0, first - PEAK_FRAMES)  # the context that makes blocks agree with the whole
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
    """Makes the response to each frequency up to `RATE / 2`: 1 where peaks are looked for, falling as a cosine above.

    Args:
        new: Samples in a part at `RATE`.
        old: Samples in it before; the response makes up for the transforms' scales.
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
    """Computes the power of each bin that is looked at, 1 for a sine of full scale: `(frame, bin)`."""
    window = hann(WINDOW, sym=False)
    window = (2 / window.sum() * window).astype(np.float32)
    power = np.empty((len(frames), HIGH_BIN - LOW_BIN), np.float32)
    for first in range(0, len(frames), FRAMES_AT_ONCE):
        chosen = slice(first, first + FRAMES_AT_ONCE)
        spectrum = fft.rfft(frames[chosen] * window, axis=1)[:, LOW_BIN:HIGH_BIN]
        power[chosen] = spectrum.real**2 + spectrum.imag**2 + FLOOR
    return power


def _peaks(power: Samples) -> Fingerprint:
    """Finds the peaks: maxima of their surroundings that rise above what is in their bin before or after."""
    rise = np.float32(10 ** (RISE_DECIBELS / 10))
    highest = _running_maximum(_running_maximum(power, PEAK_FRAMES).T, PEAK_BINS).T
    frames, bins = np.nonzero((power == highest) & (power > FLOOR * rise))
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


def find_repetitions(fingerprints: Mapping[str, Fingerprint], *, threshold: float = THRESHOLD) -> pd.DataFrame:
    """Finds the pairs of tracks that hold the same recording.

    Whether a pair is found depends on its two fingerprints alone, not on the rest of the corpus.

    Args:
        fingerprints: track -> what `fingerprint` gave.
        threshold: Score from which a pair is reported, above 0 and at most 1.

    Returns:
        Columns `track_a, track_b, offset_seconds, score`, sorted, with `track_a < track_b`. What sounds at time t in
        `track_a` sounds at t + `offset_seconds` in `track_b`. The score, in 0..1, is the share of one track's peaks
        that the other has too, where they overlap, not counting what coincides at other offsets as well; where that
        is most, as in music made of one loop, it is 0 if three of four peaks coincide, and 1 if all do.

    Raises:
        ValueError: A value is not a fingerprint, or the threshold is outside its range.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"find_repetitions: threshold must be above 0 and at most 1, got {threshold}")
    tracks = sorted(fingerprints)
    peaks = [_checked(track, fingerprints[track]) for track in tracks]
    rows: list[tuple[str, str, float, float]] = []
    for a, b, offsets in _candidates(peaks):
        score = max(_score(peaks[a], peaks[b], offsets), _score(peaks[b], peaks[a], -offsets))
        if score >= threshold:
            rows.append((tracks[a], tracks[b], round(float(offsets[0]) * FRAME_SECONDS, 3), round(score, 4)))
    kinds = dict(zip(COLUMNS, (str, str, float, float), strict=True))
    return pd.DataFrame(sorted(rows), columns=list(COLUMNS)).astype(kinds)


def _checked(track: str, peaks: npt.NDArray[np.int32]) -> Integers:
    if peaks.ndim != 2 or peaks.shape[1] != 2 or not np.issubdtype(peaks.dtype, np.integer):
        raise ValueError(
            f"find_repetitions: the fingerprint of {track!r} must be integers (peak, 2), "
            f"got {peaks.dtype} {peaks.shape}; compute it with fingerprint()"
        )
    return peaks.astype(np.int64)


def _landmarks(peaks: Integers) -> tuple[Integers, Integers]:
    """Joins each peak to the next ones: hashes of (bin, bins to the other, frames to the other), and their frames."""
    hashes, frames = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    partners = np.zeros(len(peaks), np.int64)
    left = np.arange(len(peaks))
    for step in range(1, len(peaks)):
        left = left[left + step < len(peaks)]
        away = peaks[left + step] - peaks[left]
        near = (away[:, 0] <= MAX_FRAMES) & (partners[left] < PARTNERS)
        left, away = left[near], away[near]
        if not len(left):
            break
        joined = (away[:, 0] > 0) & (np.abs(away[:, 1]) <= MAX_BINS)
        partners[left[joined]] += 1
        bins = peaks[left[joined], 1] * (2 * MAX_BINS + 1) + away[joined, 1] + MAX_BINS
        hashes.append(bins * (MAX_FRAMES + 1) + away[joined, 0])
        frames.append(peaks[left[joined], 0])
    hashed, at = np.concatenate(hashes), np.concatenate(frames)
    order = np.lexsort((at, hashed))
    hashed, at = hashed[order], at[order]
    early = np.arange(len(hashed)) - np.searchsorted(hashed, hashed) < OCCURRENCES
    return hashed[early], at[early]


def _candidates(peaks: list[Integers]) -> Iterator[tuple[int, int, Integers]]:
    """Yields pairs of tracks with enough landmarks at one offset, and their offsets in frames, that one first."""
    landmarks = [_landmarks(one) for one in peaks] or [_landmarks(np.zeros((0, 2), np.int64))]
    owner = np.repeat(np.arange(len(landmarks)), [len(one[0]) for one in landmarks])
    hashes, frames = (np.concatenate(part) for part in zip(*landmarks, strict=True))
    order = np.argsort(hashes, kind="stable")
    hashes, frames, owner = hashes[order], frames[order], owner[order]  # by hash, and for one hash by track
    ends = np.searchsorted(hashes, hashes, side="right")
    by_track = np.argsort(owner, kind="stable")
    # Track by track: the memory needed grows with the landmarks of one track, not with the pairs of tracks.
    for rows in _runs(by_track, owner[by_track]):
        equal = ends[rows] - rows - 1  # landmarks of the same hash that follow: in the same track or later ones
        left = np.repeat(rows, equal)
        right = left + 1 + np.arange(len(left)) - np.repeat(np.cumsum(equal) - equal, equal)
        left, right = left[owner[right] != owner[left]], right[owner[right] != owner[left]]
        for b, offsets in _frequent(owner[right], frames[right] - frames[left]):
            yield int(owner[rows[0]]), b, offsets


def _frequent(tracks: Integers, offsets: Integers) -> Iterator[tuple[int, Integers]]:
    """Returns each track with a frequent offset: that one first, then the most frequent of the others."""
    span = 2 * int(np.abs(offsets).max(initial=0)) + 1
    keys, counts = np.unique(tracks * span + offsets + span // 2, return_counts=True)
    strong = np.isin(keys // span, keys[counts >= MIN_LANDMARKS] // span)
    keys, counts = keys[strong], counts[strong]
    tracks, offsets = keys // span, keys % span - span // 2
    order = np.lexsort((offsets, -counts, tracks))
    for ranked in _runs(order, tracks[order]):
        left, chosen = ranked, ranked[:0]
        while len(left) and len(chosen) <= OTHER_OFFSETS:
            chosen = np.append(chosen, left[0])
            left = left[(np.abs(offsets[left] - offsets[left[0]]) > PEAK_FRAMES) & (counts[left] > 1)]
        yield int(tracks[ranked[0]]), offsets[chosen]


def _runs(values: Integers, labels: Integers) -> list[Integers]:
    """Cuts `values` where the labels, one a value and 0 or more, change."""
    return np.split(values, np.flatnonzero(np.diff(labels, prepend=-1)))[1:]


def _score(reference: Integers, other: Integers, offsets: Integers) -> float:
    """Scores how much of `reference` is in `other`, moved by the first of `offsets`; see `find_repetitions`."""
    within, hit = _coincidences(reference, other, int(offsets[0]))
    frames = min(np.ptp(reference[:, 0]), np.ptp(other[:, 0]))
    total = within.sum()
    if hit.sum() < max(MIN_PEAKS, MIN_SHARE * total) or np.ptp(reference[within, 0]) < MIN_OVERLAP * frames:
        return 0.0
    covered, explained = np.zeros_like(hit), np.zeros_like(hit)
    for offset in offsets[1:]:
        within_too, hit_too = _coincidences(reference, other, int(offset))
        covered |= within_too
        explained |= hit_too
    looped = 4 * hit.sum() / total - 3
    if (within & covered).sum() < MIN_OVERLAP * total:
        covered = np.ones_like(hit)
    own = within & covered & ~explained
    # Few peaks that nothing explains prove little: they count as if they were at least a quarter of all.
    return float(max((hit & own).sum() / max(own.sum(), total / 4), looped))


def _coincidences(
    reference: Integers, other: Integers, offset: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Returns which peaks of `reference`, moved by `offset` frames, are within `other`, and which of these it has too.

    One frame and one bin of difference are allowed: as much as another phase of the frames or an encoder moves a peak.
    """
    moved = reference[:, 0] + offset
    within = (moved >= other[0, 0]) & (moved <= other[-1, 0])
    wanted, keys = moved * KEY + reference[:, 1], other[:, 0] * KEY + other[:, 1]
    hit = np.zeros(len(reference), np.bool_)
    for frame in (-KEY, 0, KEY):
        first, end = np.searchsorted(keys, wanted + frame - 1), np.searchsorted(keys, wanted + frame + 2)
        hit |= end > first
    return within, hit & within
