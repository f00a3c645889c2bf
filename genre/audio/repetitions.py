"""Finds repetitions (the same recording more than once in a corpus) by their sound, also in another format or level.

Candidates are pairs that share landmarks (see `landmarks`). Each is verified peak by peak, over the time that the two
recordings have in common. What a recording repeats within itself, such as the loop of a drum machine, counts little:
two songs may share the loop, but then it also fits a bar earlier or later.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from genre.audio.fingerprints import FRAME_SECONDS, Fingerprint
from genre.audio.landmarks import Integers, candidates
from genre.pipeline.tables import REPETITIONS

THRESHOLD = 0.35
MIN_PEAKS, MIN_SHARE = 20, 0.15  # peaks that must coincide; fewer prove nothing
MIN_OVERLAP = 1 / 3  # of the shorter track; a shorter overlap is not compared
KEY = 1024  # frame * KEY + bin numbers the peaks in their order


def find_repetitions(fingerprints: Mapping[str, Fingerprint], *, threshold: float = THRESHOLD) -> pd.DataFrame:
    """Finds the pairs of tracks that hold the same recording.

    Whether a pair is found depends only on its two fingerprints, and not on the rest of the corpus. There is one
    exception: if more than a thousand landmarks are equal, as when there are hundreds of copies of a recording, each
    copy is found together with the next ones in the order of their names, not with all.

    Args:
        fingerprints: track -> the result of `fingerprint`.
        threshold: Score from which a pair is reported, above 0 and at most 1.

    Returns:
        Columns `track_a, track_b, offset_seconds, score`, sorted, with `track_a < track_b`. What sounds at time t in
        `track_a` sounds at t + `offset_seconds` in `track_b`. The score, in 0..1, is the share of one track's peaks
        that the other has too, where they overlap, not counting what coincides at other offsets as well; where that
        is most, as in music made of one loop, it is 0 if three of four peaks coincide, and 1 if all do.
    """
    tracks = sorted(fingerprints)
    peaks = [fingerprints[track] for track in tracks]
    rows: list[tuple[str, str, float, float]] = []
    for a, b, offsets in candidates(peaks):
        first, second = peaks[a].astype(np.int64), peaks[b].astype(np.int64)
        score = max(_score(first, second, offsets), _score(second, first, -offsets))
        if score >= threshold:
            rows.append((tracks[a], tracks[b], round(float(offsets[0]) * FRAME_SECONDS, 3), round(score, 4)))
    kinds = dict(zip(REPETITIONS, (str, str, float, float), strict=True))
    return pd.DataFrame(sorted(rows), columns=list(REPETITIONS)).astype(kinds)


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
    # Few peaks that other offsets do not explain prove little: they count as if they were at least a quarter of all.
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
