"""How well and how fast `genre.audio.repetitions` finds repetitions: `python -m benchmarks.repetitions FOLDER`.

FOLDER holds recordings (wav, au, flac, ogg, mp3), at any depth. Prints, in this order:
- recall of altered copies, for each alteration, each two of them, and most at once;
- false alarms among all pairs of the recordings, with the closest pairs as a second, unrelated method hears them;
- false alarms among synthetic tracks, and among tracks that share a drum machine, its tempo and its patterns;
- seconds and memory for many tracks, against cross-correlating the mel spectrograms of every pair.
"""

import argparse
import io
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
from scipy import fft

from genre.audio import decoding
from genre.audio.fingerprints import Fingerprint, fingerprint
from genre.audio.repetitions import THRESHOLD, find_repetitions
from genre.corpus import synthesis

SAMPLE_RATE = 22050
SECONDS = 30
ALL_SCORES = 0.01  # a threshold that lets through what is far from being reported

Waveform = npt.NDArray[np.float32]


def main() -> None:
    """Prints all figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--altered", type=int, default=20, help="tracks to alter (default: %(default)s)")
    parser.add_argument("--corpus", type=int, default=1000, help="tracks to time (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="(default: %(default)s)")
    arguments = parser.parse_args()
    waveforms = dict(decoded(arguments.folder))
    if len(waveforms) < 2:
        sys.exit(f"{arguments.folder} must hold at least 2 recordings, got {len(waveforms)}")
    fingerprints = {track: fingerprint(waveform, SAMPLE_RATE) for track, waveform in waveforms.items()}
    print_recall(waveforms, fingerprints, arguments.altered)
    print_false_alarms("recordings", fingerprints)
    print_second_opinion(waveforms)
    print_false_alarms("synthetic tracks", dict(synthetic_tracks(10)))
    for name, music in (("bass and chords", 0.5), ("drums twice as loud", 0.25)):
        print_false_alarms(f"tracks with one drum machine, {name}", dict(drum_machine_tracks(40, music)))
    print_speed(list(waveforms.values()), arguments.corpus, arguments.processes)


def decoded(folder: Path) -> Iterator[tuple[str, Waveform]]:
    """Decodes what can be decoded."""
    for path in sorted(folder.rglob("*.*")):
        if path.is_file() and not path.name.startswith("."):
            try:
                yield str(path.relative_to(folder)), decoding.decode(path, SAMPLE_RATE)
            except ValueError as error:
                print(f"left out {path.name}: {error}")


def encoded(waveform: Waveform, *, kind: str, level: float) -> Waveform:
    """Encodes and decodes in memory; mp3 at an average bitrate, which goes lower than a variable one."""
    mode = {"bitrate_mode": "AVERAGE"} if kind == "MP3" else {}
    with io.BytesIO() as file:
        soundfile.write(file, waveform, SAMPLE_RATE, format=kind, compression_level=level, **mode)
        file.seek(0)
        decoded_again: Waveform = soundfile.read(file, dtype="float32")[0]
        return decoded_again


def noisy(waveform: Waveform) -> Waveform:
    """Adds white noise 20 dB below the recording."""
    noise = np.random.default_rng(len(waveform)).standard_normal(len(waveform), np.float32)
    return waveform + np.float32(0.1) * waveform.std() * noise


# alteration -> what it does, in the order in which several are applied
ALTERATIONS: dict[str, Callable[[Waveform], Waveform]] = {
    "1.3 s later": lambda waveform: waveform[round(1.3 * SAMPLE_RATE) :],
    "second half": lambda waveform: waveform[len(waveform) // 2 :],
    "noise 20 dB": noisy,
    "-6 dB": lambda waveform: waveform * np.float32(0.5),
    "mp3 23 kb/s": partial(encoded, kind="MP3", level=0.9),
    "mp3 10 kb/s": partial(encoded, kind="MP3", level=0.99),
    "ogg 32 kb/s": partial(encoded, kind="OGG", level=0.99),
}


def print_recall(waveforms: Mapping[str, Waveform], fingerprints: Mapping[str, Fingerprint], altered: int) -> None:
    """Adds altered copies of some tracks to all tracks, and counts those that are found."""
    chosen = list(waveforms)[:: max(1, len(waveforms) // altered)][:altered]
    most = tuple(name for name in ALTERATIONS if name != "mp3 23 kb/s")
    print(f"Recall of {len(chosen)} altered tracks among {len(waveforms)}, threshold {THRESHOLD}")
    for names in [*((name,) for name in ALTERATIONS), *combinations(ALTERATIONS, 2), most]:
        copies, starts = {}, {}
        for track in chosen:
            copy, starts[track] = waveforms[track], 0.0
            for name in names:
                shorter = ALTERATIONS[name](copy)
                starts[track] += (
                    (len(copy) - len(shorter)) / SAMPLE_RATE if name in ("1.3 s later", "second half") else 0
                )
                copy = shorter
            copies[f"~{track}"] = fingerprint(copy, SAMPLE_RATE)
        pairs = find_repetitions({**fingerprints, **copies}, threshold=ALL_SCORES)
        right = pairs[(pairs["track_b"] == "~" + pairs["track_a"])]
        wrong = pairs.drop(right.index)
        wrong = wrong[wrong["track_b"].str.strip("~") != wrong["track_a"].str.strip("~")]
        found = right[right["score"] >= THRESHOLD]
        error = (found["offset_seconds"] + found["track_a"].map(starts)).abs().max()
        print(
            f"  {' + '.join(names):60s} {len(found):3d} of {len(chosen)}, lowest score {right['score'].min():.2f}, "
            f"highest of others {wrong['score'].max() if len(wrong) else 0:.2f}, offset within {1000 * error:.0f} ms"
        )


def print_false_alarms(what: str, fingerprints: Mapping[str, Fingerprint]) -> None:
    """Prints what is found among tracks that should all be different."""
    pairs = find_repetitions(fingerprints, threshold=ALL_SCORES).nlargest(3, "score")
    count = len(find_repetitions(fingerprints))
    print(
        f"Among {len(fingerprints)} {what} ({len(fingerprints) * (len(fingerprints) - 1) // 2} pairs): {count} reported"
    )
    for row in pairs.itertuples():
        print(f"  closest: {row.track_a} {row.track_b} {row.score:.2f}")


def synthetic_tracks(per_genre: int) -> Iterator[tuple[str, Fingerprint]]:
    """Fingerprints the first tracks of each genre of the synthetic corpus."""
    for genre in synthesis.GENRES:
        for number in range(per_genre):
            waveform = synthesis.track_waveform(genre, number, sample_rate=SAMPLE_RATE)
            yield f"{genre}.{number:05d}", fingerprint(waveform, SAMPLE_RATE)


def drum_machine_tracks(count: int, music: float) -> Iterator[tuple[str, Fingerprint]]:
    """Fingerprints loops of 8 bars at 125 beats a minute: the same samples of drums, another bass line and chords."""
    kick, snare, hat = _drums()
    step = SAMPLE_RATE * 60 // 125 // 4
    for number in range(count):
        random = np.random.default_rng(number)
        drums, notes = np.zeros((2, 8 * 16 * step))
        for position in range(8 * 16):
            for sound, sounds in ((kick, position % 4 == 0), (snare, position % 8 == 4), (hat, position % 2 == 0)):
                _play(drums, sound * sounds, position * step)
            if position % 2 == 0:
                _play(notes, _tone(random.integers(36, 48), 2 * step), position * step)
            if position % 16 == 0:
                for pitch in random.choice(np.arange(60, 80), 3, replace=False):
                    _play(notes, _tone(pitch, 16 * step) / 3, position * step)
        loop = drums / drums.std() + 2 * music * notes / notes.std()
        track = np.tile(np.roll(loop, -random.integers(len(loop))), 3)[: SECONDS * SAMPLE_RATE]
        yield f"loop.{number:05d}", fingerprint((0.05 * track).astype(np.float32), SAMPLE_RATE)


def _drums() -> list[npt.NDArray[np.float64]]:
    random, seconds = np.random.default_rng(909), np.arange(SAMPLE_RATE // 4) / SAMPLE_RATE
    kick = np.sin(2 * np.pi * (50 * seconds + 6 * (1 - np.exp(-seconds / 0.03)))) * np.exp(-seconds / 0.08)
    snare = random.standard_normal(len(seconds)) * np.exp(-seconds / 0.05)
    hat = np.diff(random.standard_normal(len(seconds) + 1)) * np.exp(-seconds / 0.015)
    return [kick, 0.5 * snare, 0.2 * hat]


def _tone(pitch: int | np.integer, samples: int) -> npt.NDArray[np.float64]:
    """A saw-tooth of 12 harmonics that fades; `pitch` is MIDI."""
    seconds = np.arange(samples) / SAMPLE_RATE
    turns = 440 * 2 ** ((pitch - 69) / 12) * seconds
    wave = sum(np.sin(2 * np.pi * harmonic * turns) / harmonic for harmonic in range(1, 13))
    return np.asarray(wave * np.exp(-3 * seconds) * np.minimum(1, seconds / 0.005))


def _play(into: npt.NDArray[np.float64], sound: npt.NDArray[np.float64], start: int) -> None:
    into[(start + np.arange(len(sound))) % len(into)] += sound  # what rings beyond the end sounds at the beginning


def mel_bands(waveform: Waveform) -> npt.NDArray[np.complex64]:
    """The spectrum along time of 40 log bands: what the cross-correlation of two recordings is computed from."""
    frames = np.lib.stride_tricks.sliding_window_view(waveform, 2048)[::512] * np.hanning(2048).astype(np.float32)
    power = np.abs(fft.rfft(frames, axis=1)) ** 2
    edges = np.unique(np.geomspace(5, power.shape[1] - 1, 41).astype(int))
    bands = np.log(np.add.reduceat(power, edges, axis=1)[:, :-1] + 1e-6)
    bands = bands - bands.mean(axis=0)
    bands /= np.sqrt((bands**2).sum()) + 1e-9
    return np.asarray(fft.rfft(bands.astype(np.float32), fft.next_fast_len(2 * len(bands)), axis=0))


def correlation(first: npt.NDArray[np.complex64], second: npt.NDArray[np.complex64]) -> float:
    """The highest cross-correlation over all offsets; 1 for the same recording."""
    return float(fft.irfft((first.conj() * second).sum(axis=1)).max())


def print_second_opinion(waveforms: Mapping[str, Waveform]) -> None:
    """Prints the closest pairs by cross-correlation, beside what it gives for a copy that was altered."""
    bands = {track: mel_bands(_cut(waveform)) for track, waveform in waveforms.items()}
    pairs = sorted(((correlation(bands[a], bands[b]), a, b) for a, b in combinations(bands, 2)), reverse=True)
    print("The closest pairs by mel cross-correlation")
    for value, a, b in pairs[:3]:
        print(f"  {a} {b} {value:.2f}")
    copies = [correlation(bands[track], mel_bands(noisy(_cut(waveforms[track])))) for track in list(bands)[::4]]
    print(f"  a copy with noise at 20 dB: {min(copies):.2f} to {max(copies):.2f}")


def _cut(waveform: Waveform) -> Waveform:
    """The first 30 s, with silence behind where it is shorter: equal lengths, so that spectra can be multiplied."""
    return np.pad(waveform[: SECONDS * SAMPLE_RATE], (0, max(0, SECONDS * SAMPLE_RATE - len(waveform))))


def print_speed(waveforms: list[Waveform], corpus: int, processes: int) -> None:
    """Times a corpus made of the recordings: two of them mixed, each at another speed; 1 in 50 is a noisy copy."""
    with ProcessPoolExecutor(processes) as pool:
        results = list(pool.map(partial(_timed_fingerprint, waveforms), range(corpus), chunksize=20))
        memory = max(pool.map(_megabytes, range(2 * processes)))
    fingerprints = {f"{number:06d}": result[0] for number, result in enumerate(results)}
    making = sum(result[1] for result in results) / processes
    start = time.perf_counter()
    found = len(find_repetitions(fingerprints))
    finding = time.perf_counter() - start
    print(f"{corpus} tracks of {SECONDS} s, {processes} processes, decoding not counted:")
    print(f"  fingerprints {making:.1f} s + search {finding:.1f} s = {making + finding:.1f} s; {found} pairs found")
    print(f"  {sum(peaks.nbytes for peaks in fingerprints.values()) / 1e6:.1f} MB of fingerprints; at the most")
    print(f"  {memory:.0f} MB in a worker and {_megabytes():.0f} MB here, recordings and benchmark included")
    bands = [mel_bands(_cut(waveform)) for waveform in waveforms[:20]]
    start = time.perf_counter()
    values = [correlation(a, b) for a, b in combinations(bands, 2)]
    brute = (time.perf_counter() - start) / len(values) * corpus * (corpus - 1) / 2
    print(
        f"  the alternative, mel cross-correlation of all pairs: {brute:.0f} s, {brute / finding:.0f} times the search"
    )


def _timed_fingerprint(waveforms: list[Waveform], number: int) -> tuple[Fingerprint, float]:
    """Makes track `number` of the corpus and its fingerprint, and tells the seconds that only the latter took."""
    copied = number % 50 == 49
    turn, source = divmod(number - copied, len(waveforms))
    track = np.zeros(SECONDS * SAMPLE_RATE, np.float32)
    # No source comes twice at one speed: turns differ by 6 %, the two parts of a track by 3 %.
    for waveform, speed in ((waveforms[source], 2 * turn), (waveforms[source - 1 - turn], 2 * turn + 1)):
        places = 0.7 * 1.03**speed * np.arange(len(track)) % len(waveform)
        track += np.interp(places, np.arange(len(waveform)), waveform)
    if copied:
        track = noisy(track)
    start = time.perf_counter()
    peaks = fingerprint(track, SAMPLE_RATE)
    return peaks, time.perf_counter() - start


def _megabytes(_: object = None) -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
