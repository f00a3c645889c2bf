"""Finds repetitions, the same recording more than once in a corpus, by listening: whatever the file, level or cut.

Landmark hashing: A. Wang, "An industrial-strength audio search algorithm", ISMIR 2003. A recording becomes the
constellation of its spectrogram's peaks; two peaks close to each other are a landmark, and recordings that share many
landmarks at one offset in time are candidates. Two things differ from the paper. Each candidate is verified peak by
peak, over all that the two recordings have in common; and what a recording repeats within itself, as the loop of a
drum machine, counts little: two songs may share the loop, but then it fits as well a bar earlier or later.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import fft
from scipy.signal.windows import hann

COLUMNS = ("track_a", "track_b", "offset_seconds", "score")
THRESHOLD = 0.35
MIN_SAMPLE_RATE = 8000

WINDOW_SECONDS = 0.2  # long, so that notes outnumber drum hits among the peaks; bins are 5 Hz apart
FRAME_SECONDS = 0.025
LOW_BIN, HIGH_BIN = 10, 400  # 50 to 2000 Hz: survives low bitrates and telephones, and holds the notes of most music
FLOOR_DECIBELS = -80.0  # re full scale: what is quieter is silence
PEAK_FRAMES, PEAK_BINS = 8, 12  # a peak is the maximum of this many frames and bins on each side: about 30 a second
RISE_DECIBELS = 3.0  # and this much above the minimum of its bin in those frames, or a steady tone would have peaks
BLOCK_FRAMES = 1024  # bounds the memory that a recording of any length takes
FRAMES_AT_ONCE = 64  # into one transform: they stay in the cache, twice as fast

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


def fingerprint(waveform: npt.NDArray[np.float32], sample_rate: int) -> Fingerprint:
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
    size = round(WINDOW_SECONDS * sample_rate)
    frames = int(len(waveform) / (FRAME_SECONDS * sample_rate))
    starts = np.rint(np.arange(frames) * FRAME_SECONDS * sample_rate).astype(np.int64)
    starts = starts[starts + size <= len(waveform)]
    found = [np.zeros((0, 2), np.int32)]
    for first in range(0, len(starts), BLOCK_FRAMES):
        before = max(0, first - PEAK_FRAMES)  # the context that makes blocks agree with the whole
        peaks = _peaks(_levels(waveform, starts[before : first + BLOCK_FRAMES + PEAK_FRAMES], size))
        peaks[:, 0] += before
        found.append(peaks[(peaks[:, 0] >= first) & (peaks[:, 0] < first + BLOCK_FRAMES)])
    return np.concatenate(found)


def _peaks(levels: npt.NDArray[np.float32]) -> Fingerprint:
    highest = _running_maximum(_running_maximum(levels, PEAK_FRAMES).T, PEAK_BINS).T
    lowest = -_running_maximum(-levels, PEAK_FRAMES)
    frames, bins = np.nonzero((levels == highest) & (levels > lowest + RISE_DECIBELS))
    return np.column_stack([frames, bins + LOW_BIN]).astype(np.int32)


def _levels(waveform: npt.NDArray[np.float32], starts: Integers, size: int) -> npt.NDArray[np.float32]:
    """Gives the level of each bin in the frames that begin at the samples `starts`: decibels, `(frame, bin)`."""
    window = hann(size, sym=False)
    window = (2 / window.sum() * window).astype(np.float32)  # a sine of full scale has 0 dB
    cuts = np.lib.stride_tricks.sliding_window_view(waveform, size)
    levels = np.empty((len(starts), HIGH_BIN - LOW_BIN), np.float32)
    for first in range(0, len(starts), FRAMES_AT_ONCE):
        chosen = slice(first, first + FRAMES_AT_ONCE)
        spectrum = fft.rfft(cuts[starts[chosen]] * window, axis=1)[:, LOW_BIN:HIGH_BIN]
        levels[chosen] = 10 * np.log10(spectrum.real**2 + spectrum.imag**2 + 10 ** (FLOOR_DECIBELS / 10))
    return levels


def _running_maximum(values: npt.NDArray[np.float32], radius: int) -> npt.NDArray[np.float32]:
    """Gives the maximum of `radius` rows on each side of each row; some ten times faster than scipy.ndimage."""
    values, size, width = np.pad(values, ((radius, radius), (0, 0)), mode="edge"), 2 * radius + 1, 1
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
    """Gives each track with a frequent offset: that one first, then the most frequent of the others."""
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
    """Tells which peaks of `reference`, moved by `offset` frames, are within `other`, and which of these it has too.

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
