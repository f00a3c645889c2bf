"""Finds candidates among fingerprints: pairs of tracks that may hold the same recording.

Landmark hashing: A. Wang, "An industrial-strength audio search algorithm", ISMIR 2003. Peaks close to each other form
a landmark, and recordings that share several landmarks at one offset in time are candidates. One thing differs from the
paper: a landmark has three peaks, not two. Different recordings rarely share one by chance, so that up to some 30 000
tracks (measured) the time grows little faster than the corpus.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

import numpy as np
import numpy.typing as npt

from genre.audio.fingerprints import HIGH_BIN, PEAK_FRAMES, Fingerprint

PARTNERS = 5  # of a peak: any two of them form a landmark with the peak
MAX_FRAMES, MAX_BINS = 63, 63  # from the first peak of a landmark to the others
PLACES_NEARBY = (2 * MAX_BINS + 1) * (MAX_FRAMES + 1)  # possible positions of one of them, relative to the first
OCCURRENCES = 3  # of one landmark in a track that are used; more add nothing, and the time grows with their square
SAMPLED = 3  # one in so many landmarks is used, the same ones in every track: they are enough
MOST_EQUAL = 1000  # equal landmarks that each is compared with: bounds the time if thousands of tracks are alike
MIN_LANDMARKS = 4  # at one offset, to be a candidate; by chance there is rarely more than 1
OTHER_OFFSETS = 6  # further offsets that are compared, to recognise a loop that fits at many offsets
PEAKS_AT_ONCE = 4_000_000  # peaks whose landmarks are sorted together: bounds the memory to about 1 GB
BLOCK_PEAKS = 200_000  # peaks whose landmarks are computed together: many, so that numpy's calls cost little
FRAME_BITS = 24  # bits of a place for the frame: 2**24 frames are 116 hours

Integers = npt.NDArray[np.int64]


def candidates(fingerprints: Sequence[Fingerprint]) -> Iterator[tuple[int, int, Integers]]:
    """Yields pairs of tracks with enough landmarks at one offset, and their offsets in frames, that one first.

    Args:
        fingerprints: Of the tracks, which are numbered in this order; the second of a pair has the higher number.
    """
    if not fingerprints:
        return
    ends, places = _shared_landmarks(fingerprints)
    by_track = np.argsort(places >> FRAME_BITS, kind="stable")
    # Track by track: the memory needed grows with the landmarks of one track, not with the pairs of tracks.
    for rows in _runs(by_track, places[by_track] >> FRAME_BITS):
        equal = np.minimum(ends[rows] - rows - 1, MOST_EQUAL)  # that follow: in the same track or in later ones
        left = np.repeat(rows, equal)
        right = left + 1 + np.arange(len(left)) - np.repeat(np.cumsum(equal) - equal, equal)
        left, right = places[left], places[right]
        other = left >> FRAME_BITS != right >> FRAME_BITS
        left, right = left[other], right[other]
        offsets = right % (1 << FRAME_BITS) - left % (1 << FRAME_BITS)
        for track, frequent in _frequent(right >> FRAME_BITS, offsets):
            yield int(places[rows[0]] >> FRAME_BITS), track, frequent


def _shared_landmarks(fingerprints: Sequence[Fingerprint]) -> tuple[Integers, Integers]:
    """Finds the landmarks that occur twice or more, sorted by hash and for one hash by place.

    Most landmarks occur once in a corpus. They are left out band by band of their first peak's bin, so that only those
    of one band are in memory together.

    Returns:
        For each landmark, the number of the next one with another hash, and its place:
        `track << FRAME_BITS | frame`.
    """
    ends, places, count = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0
    for low, high in pairwise(_band_edges(fingerprints)):
        landmarks = [_landmarks(*block, low, high) for block in _blocks(fingerprints)]
        hashed, placed = (np.concatenate(part) for part in zip(*landmarks, strict=True))
        del landmarks
        hashed, placed = _without_single(*_without_repeated(hashed, placed))
        ends.append(count + np.searchsorted(hashed, hashed, side="right"))
        places.append(placed)
        count += len(placed)
    return np.concatenate(ends), np.concatenate(places)


def _band_edges(fingerprints: Sequence[Fingerprint]) -> list[int]:
    """Cuts the bins into bands of about `PEAKS_AT_ONCE` peaks, or of one bin."""
    counts = np.zeros(HIGH_BIN + 1, np.int64)
    for peaks in fingerprints:
        counts += np.bincount(np.clip(peaks[:, 1], 0, HIGH_BIN), minlength=len(counts))
    band = np.cumsum(counts) // PEAKS_AT_ONCE
    return [0, *(np.flatnonzero(np.diff(band)) + 1).tolist(), int(np.iinfo(np.int32).max)]


def _blocks(fingerprints: Sequence[Fingerprint]) -> Iterator[tuple[Integers, Integers]]:
    """Yields the peaks of several tracks `(peak, 2)` and the number of each peak's track, in their order."""
    sizes = np.array([len(peaks) for peaks in fingerprints])
    block = np.cumsum(sizes) // BLOCK_PEAKS
    for tracks in _runs(np.arange(len(sizes)), block):
        peaks = np.concatenate([fingerprints[track] for track in tracks]).astype(np.int64)
        yield peaks, np.repeat(tracks, sizes[tracks])


def _landmarks(peaks: Integers, owner: Integers, low: int, high: int) -> tuple[Integers, Integers]:
    """Joins each peak with a bin in `low..high - 1` to every two of the next ones: hashes of the three, and places.

    The hash is a number with three digits: the bin of the first peak, and the positions of the two others relative to
    it.
    """
    chosen = np.flatnonzero((peaks[:, 1] >= low) & (peaks[:, 1] < high))
    frames, bins = peaks[chosen].T
    digits = _partners(peaks, owner, chosen)  # -1 where there is no partner
    first = bins * PLACES_NEARBY + digits
    places = (owner[chosen] << FRAME_BITS) + frames
    # Which landmarks are used depends on the hash modulo SAMPLED, found here without the hash: most are not used.
    rest, rest_first = (digits % SAMPLED).astype(np.int8), (first * PLACES_NEARBY % SAMPLED).astype(np.int8)
    hashes, placed = [], []
    for second, third in combinations(range(PARTNERS), 2):
        sampled = (rest_first[second] + rest[third]) % SAMPLED == 0
        kept = np.flatnonzero(sampled & (digits[third] >= 0))  # if there is a third peak, there is a second
        hashes.append(first[second, kept] * PLACES_NEARBY + digits[third, kept])
        placed.append(places[kept])
    return np.concatenate(hashes), np.concatenate(placed)


def _partners(peaks: Integers, owner: Integers, chosen: Integers) -> Integers:
    """Finds for each chosen peak the next ones of its track that are near, -1 where there are fewer.

    Returns:
        Their positions relative to the chosen peak, frames and bins as one number below `PLACES_NEARBY`:
        `(PARTNERS, chosen peak)`.
    """
    partners = np.full((PARTNERS, len(chosen)), -1)
    count = np.zeros(len(chosen), np.int64)
    frames, bins = (np.ascontiguousarray(part) for part in peaks.T)
    rows = np.arange(len(chosen))
    for step in range(1, len(peaks)):
        rows = rows[chosen[rows] + step < len(peaks)]
        first = chosen[rows]
        other = first + step
        later = frames[other] - frames[first]
        near = (later <= MAX_FRAMES) & (owner[other] == owner[first])
        rows, later, higher = rows[near], later[near], bins[other[near]] - bins[first[near]]
        if not len(rows):
            break
        joining = np.flatnonzero((later > 0) & (np.abs(higher) <= MAX_BINS))
        joined = rows[joining]
        partners[count[joined], joined] = (higher[joining] + MAX_BINS) * (MAX_FRAMES + 1) + later[joining]
        count[joined] += 1
        rows = rows[count[rows] < PARTNERS]
    return partners


def _without_repeated(hashes: Integers, places: Integers) -> tuple[Integers, Integers]:
    """Sorts landmarks by hash and place, and keeps the first `OCCURRENCES` of each hash in a track."""
    order = np.lexsort((places, hashes))
    hashes, places = hashes[order], places[order]
    tracks = places >> FRAME_BITS
    new = np.ones(len(hashes), np.bool_)
    new[1:] = (hashes[1:] != hashes[:-1]) | (tracks[1:] != tracks[:-1])
    rows = np.arange(len(hashes))
    early = rows - np.maximum.accumulate(np.where(new, rows, 0)) < OCCURRENCES
    return hashes[early], places[early]


def _without_single(hashes: Integers, places: Integers) -> tuple[Integers, Integers]:
    """Removes, from landmarks sorted by hash, those whose hash occurs only once."""
    equal = hashes[1:] == hashes[:-1]
    shared = np.append(equal, False) | np.append(False, equal) if len(hashes) else np.zeros(0, np.bool_)
    return hashes[shared], places[shared]


def _frequent(tracks: Integers, offsets: Integers) -> Iterator[tuple[int, Integers]]:
    """Yields each track with a frequent offset: that one first, then the most frequent of the others."""
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
    """Cuts `values` where the labels (one for each value, 0 or more) change."""
    return np.split(values, np.flatnonzero(np.diff(labels, prepend=-1)))[1:]
