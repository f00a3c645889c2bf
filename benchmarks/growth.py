"""How the search for repetitions grows with the corpus: `python -m benchmarks.growth FOLDER [TRACKS ...]`.

FOLDER holds recordings. Their fingerprints are varied to any number of others: two recordings are mixed, each at
another tempo and pitch, and every peak is moved a little. One track in 50 is a copy of the track before it, of which a
quarter of the peaks is lost. Prints for each size the seconds and the memory of the search, and the copies it found.
Each size runs in a process of its own, so that its memory is its own.
"""

import argparse
import multiprocessing
import resource
import time
from pathlib import Path

import numpy as np

from benchmarks.features import SAMPLE_RATE, readable
from genre.audio.decoding import decode
from genre.audio.fingerprints import HIGH_BIN, LOW_BIN, Fingerprint, fingerprint
from genre.audio.repetitions import find_repetitions

COPY_EVERY = 50
KEPT = 0.75  # of the peaks of a copy: about as many as survive an mp3 of 23 kb/s
FRAMES = 1200  # 30 s


def main() -> None:
    """Prints a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("tracks", type=int, nargs="*", default=[1000, 10_000, 100_000])
    arguments = parser.parse_args()
    recordings = [fingerprint(decode(path, SAMPLE_RATE), SAMPLE_RATE) for path in readable(arguments.folder, most=1000)]
    print(f"fingerprints varied from {len(recordings)} recordings")
    processes = multiprocessing.get_context("spawn")
    for tracks in arguments.tracks:
        process = processes.Process(target=print_search, args=(recordings, tracks))
        process.start()
        process.join()


def print_search(recordings: list[Fingerprint], tracks: int) -> None:
    """Searches a corpus of so many tracks, and prints what it took."""
    fingerprints = corpus(recordings, tracks)
    before = _megabytes()
    start = time.process_time()
    pairs = find_repetitions(fingerprints)
    seconds = time.process_time() - start
    copies = (pairs["track_b"].astype(int) - pairs["track_a"].astype(int) == 1) & (
        pairs["track_b"].astype(int) % COPY_EVERY == COPY_EVERY - 1
    )
    print(
        f"{tracks:7d} tracks: {seconds:8.1f} s, {1000 * seconds / tracks:6.2f} ms a track; "
        f"{before:6.0f} MB before and {_megabytes():6.0f} MB at the most; "
        f"{copies.sum()} of {tracks // COPY_EVERY} copies found, {(~copies).sum()} other pairs",
        flush=True,
    )


def corpus(recordings: list[Fingerprint], tracks: int) -> dict[str, Fingerprint]:
    """Makes the fingerprints of a corpus, the same ones each time."""
    random = np.random.default_rng(0)
    fingerprints: dict[str, Fingerprint] = {}
    for number in range(tracks):
        if number % COPY_EVERY == COPY_EVERY - 1:
            made = copied(fingerprints[f"{number - 1:07d}"], random)
        else:
            first, second = random.choice(len(recordings), 2, replace=False)
            made = mixed(recordings[first], recordings[second], random)
        fingerprints[f"{number:07d}"] = made
    return fingerprints


def mixed(first: Fingerprint, second: Fingerprint, random: np.random.Generator) -> Fingerprint:
    """Mixes two recordings: the peaks of each at another tempo and pitch, somewhat moved; half of them are heard."""
    peaks = np.concatenate([varied(first, random), varied(second, random)])
    return ordered(peaks[random.random(len(peaks)) < 0.5])


def varied(peaks: Fingerprint, random: np.random.Generator) -> Fingerprint:
    """Plays a recording up to 30 % faster or slower and up to half an octave higher or lower."""
    factors = np.array([random.uniform(0.7, 1.3), 2 ** random.uniform(-0.5, 0.5)])
    start = (random.integers(0, FRAMES), 0)
    moved = np.rint(peaks * factors + start) + random.integers(-1, 2, peaks.shape)
    moved[:, 0] %= FRAMES
    return moved[(moved[:, 1] >= LOW_BIN) & (moved[:, 1] < HIGH_BIN)].astype(np.int32)


def copied(peaks: Fingerprint, random: np.random.Generator) -> Fingerprint:
    """Copies a fingerprint, up to 2 s later, without a quarter of its peaks."""
    return ordered(peaks[random.random(len(peaks)) < KEPT] + np.array([random.integers(0, 80), 0], np.int32))


def ordered(peaks: Fingerprint) -> Fingerprint:
    """Puts peaks into the order of a fingerprint."""
    return np.unique(peaks, axis=0)


def _megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
