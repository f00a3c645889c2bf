"""How time and memory grow with the corpus: `python -m benchmarks.growth FOLDER [TRACKS ...] [--parts PART ...]`.

FOLDER holds recordings. Their fingerprints are varied to any number of others: two recordings are mixed, each at
another tempo and pitch, and every peak is moved a little. One track in 50 is a copy of the track before it, of which a
quarter of the peaks is lost. All other values are random: tracks of 128 frames (6 s), so that a store of 100 000 takes
3.3 GB and not 16.5 as tracks of 30 s do; it is written to a temporary folder and removed.

Prints for each part and size the processor seconds, and the memory before the part and at its most. Each runs in a
process of its own, so that its memory is its own.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.features import SAMPLE_RATE, readable
from genre.audio.decoding import decode
from genre.audio.fingerprints import HIGH_BIN, LOW_BIN, Fingerprint, fingerprint
from genre.audio.repetitions import find_repetitions
from genre.evaluation import baselines, metrics, predictions
from genre.pipeline import tables
from genre.spectrograms import store
from genre.splits import groups, protocols

COPY_EVERY = 50
KEPT = 0.75  # of the peaks of a copy: about as many as survive an mp3 of 23 kb/s
FRAMES = 1200  # 30 s of a fingerprint
GENRES = [f"genre{number}" for number in range(10)]
N_MELS, TRACK_FRAMES, CLIPS = 128, 128, 5


def main() -> None:
    """Prints a line for each part and size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("tracks", type=int, nargs="*", default=[1000, 10_000, 100_000])
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    arguments = parser.parse_args()
    processes = multiprocessing.get_context("spawn")
    for part in arguments.parts:
        for tracks in arguments.tracks:
            process = processes.Process(target=PARTS[part], args=(arguments.folder, tracks))
            process.start()
            process.join()


def measure(name: str, tracks: int, work: Callable[[], str]) -> None:
    """Does the work and prints what it took, with the text that it returns."""
    before, start = _megabytes(), time.process_time()
    text = work()
    seconds = time.process_time() - start
    print(
        f"{name:12s} {tracks:7d} tracks: {seconds:8.1f} s, {1000 * seconds / tracks:7.3f} ms a track; "
        f"{before:6.0f} MB before and {_megabytes():6.0f} MB at the most; {text}",
        flush=True,
    )


def search(folder: Path, tracks: int) -> None:
    """Searches for repetitions."""
    recordings = [fingerprint(decode(path, SAMPLE_RATE), SAMPLE_RATE) for path in readable(folder, most=1000)]
    fingerprints = corpus(recordings, tracks)

    def work() -> str:
        pairs = find_repetitions(fingerprints)
        numbers = pairs["track_b"].astype(int)
        copies = (numbers - pairs["track_a"].astype(int) == 1) & (numbers % COPY_EVERY == COPY_EVERY - 1)
        return f"{copies.sum()} of {tracks // COPY_EVERY} copies found, {(~copies).sum()} other pairs"

    measure("search", tracks, work)


def split(folder: Path, tracks: int) -> None:
    """Writes and reads the table of tracks, and assigns subsets with groups of 10 tracks (artists) and leaks."""
    del folder
    table = track_table(tracks)
    together = [list(rows) for _, rows in table.groupby("artist")["track"]]
    pairs = pd.DataFrame({"track_a": table["track"][:-1:COPY_EVERY], "track_b": table["track"][1::COPY_EVERY].array})
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary, "tracks.csv")

        def table_work() -> str:
            tables.write_csv(table, path)
            return f"{len(tables.read_tracks(path))} rows written and read"

        def work() -> str:
            names = groups.group_names(table, together)
            subsets = protocols.stratified(table, valid=0.2, test=0.2, seed=0, groups=names)
            assigned = table.assign(subset=subsets, group=names)
            warnings = groups.missed_shares(assigned, protocols.subset_shares(0.2, 0.2))
            leaks = groups.straddling(dict(zip(assigned["track"], assigned["subset"], strict=True)), pairs)
            return f"{len(set(names))} groups, {len(leaks)} leaks, {len(warnings)} warnings"

        measure("tables", tracks, table_work)
        measure("split", tracks, work)


def spectrograms(folder: Path, tracks: int) -> None:
    """Writes a store, opens it, and reads a clip of each track."""
    del folder
    mel_specgram = np.random.default_rng(0).random((TRACK_FRAMES, N_MELS), np.float32).astype(np.float16)
    names = list(track_table(tracks)["track"])
    with tempfile.TemporaryDirectory() as temporary:
        paths = Path(temporary, "s.npy"), Path(temporary, "s.csv")

        def write() -> str:
            store.write(((name, mel_specgram) for name in names), N_MELS, *paths)
            return f"{paths[0].stat().st_size / 1e9:.2f} GB"

        def read() -> str:
            opened = store.read(*paths)
            return f"mean {np.mean([float(opened.cut(name, 0, TRACK_FRAMES)[0, 0]) for name in names]):.2f}"

        measure("store write", tracks, write)
        measure("store read", tracks, read)


def evaluation(folder: Path, tracks: int) -> None:
    """Computes the tables of predictions, and the metrics with their intervals, of three subsets."""
    del folder
    table = track_table(tracks)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(len(GENRES)), CLIPS * tracks)

    def work() -> str:
        of_clips = predictions.of_clips(table, GENRES, probabilities)
        scores = metrics.by_subset(of_clips, tables.SUBSETS)
        return f"test accuracy {scores['test']['track_accuracy']:.3f}"

    measure("evaluation", tracks, work)


def simpler_systems(folder: Path, tracks: int) -> None:
    """Fits the simpler systems and predicts all clips."""
    del folder
    table = track_table(tracks)
    labels = table["genre"].str[-1].astype(int).to_numpy().repeat(CLIPS)
    random, sizes = np.random.default_rng(0), {"majority": 1, "linear": 2 * N_MELS, "svm_mfcc": 40}
    seen = {system: random.normal(size=(CLIPS * tracks, size)) for system, size in sizes.items()}
    for values in seen.values():
        values[np.arange(len(values)), labels % values.shape[1]] += 2  # overlaps, as music does

    def work() -> str:
        found = baselines.predict_all(table, GENRES, seen)
        return ", ".join(f"{name} {(rows['actual'] == rows['predicted']).mean():.2f}" for name, rows in found.items())

    measure("baselines", tracks, work)


PARTS: dict[str, Callable[[Path, int], None]] = {
    "search": search, "split": split, "store": spectrograms, "evaluation": evaluation, "baselines": simpler_systems,
}  # fmt: skip


def track_table(tracks: int) -> pd.DataFrame:
    """Makes a table of tracks of ten genres, with the columns of data/tracks.csv and a subset."""
    numbers = np.arange(tracks)
    random = np.random.default_rng(0)
    table = pd.DataFrame({"genre": [GENRES[number % len(GENRES)] for number in numbers]})
    table["track"] = [f"{genre}/{number:07d}" for genre, number in zip(table["genre"], numbers, strict=True)]
    table["file"] = table["track"] + ".wav"
    table["artist"] = [f"artist {number}" for number in numbers // 100 * 10 + numbers % 10]
    table["subset"] = random.choice(tables.SUBSETS, tracks, p=[0.6, 0.2, 0.2])
    return table.assign(seconds=30.0, sample_rate=SAMPLE_RATE, album="", missing="")


def corpus(recordings: list[Fingerprint], tracks: int) -> dict[str, Fingerprint]:
    """Makes the fingerprints of a corpus, the same ones each time."""
    return dict(_corpus(recordings, tracks))


def _corpus(recordings: list[Fingerprint], tracks: int) -> Iterator[tuple[str, Fingerprint]]:
    random = np.random.default_rng(0)
    made = recordings[0]
    for number in range(tracks):
        if number % COPY_EVERY == COPY_EVERY - 1:
            made = copied(made, random)
        else:
            first, second = random.choice(len(recordings), 2, replace=False)
            made = mixed(recordings[first], recordings[second], random)
        yield f"{number:07d}", made


def mixed(first: Fingerprint, second: Fingerprint, random: np.random.Generator) -> Fingerprint:
    """Mixes two recordings: the peaks of each at another tempo and pitch, somewhat moved; half of them are heard."""
    peaks = np.concatenate([varied(first, random), varied(second, random)])
    return ordered(peaks[random.random(len(peaks)) < 0.5])


def varied(peaks: Fingerprint, random: np.random.Generator) -> Fingerprint:
    """Plays a recording up to 30 % faster or slower and up to half an octave higher or lower."""
    factors = np.array([random.uniform(0.7, 1.3), 2 ** random.uniform(-0.5, 0.5)])
    start = (random.integers(0, FRAMES), 0)
    moved: npt.NDArray[np.float64] = np.rint(peaks * factors + start) + random.integers(-1, 2, peaks.shape)
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
