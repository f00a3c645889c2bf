"""What a random split claims where albums differ in sound: `python -m benchmarks.album_leak`.

Composes a corpus with several albums a genre. All tracks of an album go through one filter of its own, as mastering
and microphones colour real albums. Simpler systems are then trained and tested twice, on splits by track (tracks of one
album on both sides) and on splits by album. The difference is what they learned of albums instead of genres.
"""

import argparse
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import signal
from tqdm import tqdm

from genre.audio.mel import log_mel
from genre.corpus import synthesis
from genre.corpus.composing import SAMPLE_RATE
from genre.evaluation import baselines, predictions
from genre.splits import protocols

Waveform = npt.NDArray[np.float32]
TAPS, SECONDS = 129, 12.0
CLIP_FRAMES, CLIPS = 128, 2


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--albums", type=int, default=6, help="a genre (default: %(default)s)")
    parser.add_argument("--tracks", type=int, default=4, help="an album (default: %(default)s)")
    parser.add_argument("--decibels", type=float, default=9.0, help="spread of a filter (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=5, help="of the split (default: %(default)s)")
    arguments = parser.parse_args()
    rows = list(corpus(arguments.albums, arguments.tracks, arguments.decibels))
    table = pd.DataFrame([row[:3] for row in rows], columns=["track", "genre", "album"])
    clips = np.stack([clip for row in rows for clip in row[3]])
    print(f"{len(table)} tracks of {table['genre'].nunique()} genres, {table['album'].nunique()} albums")
    print("| system | split by track | split by album | difference |\n|---|---|---|---|")
    for system in ("linear", "svm_mfcc"):
        by_track, by_album = (
            accuracies(system, table, clips, groups, arguments.seeds)
            for groups in (list(table["track"]), list(table["album"]))
        )
        difference = np.subtract(by_track, by_album)
        error = difference.std(ddof=1) / np.sqrt(len(difference))
        print(
            f"| {system} | {np.mean(by_track):.1%} | {np.mean(by_album):.1%} | "
            f"{100 * difference.mean():+.1f} points (standard error over splits {100 * error:.1f}) |"
        )


def corpus(albums: int, tracks: int, decibels: float) -> Iterator[tuple[str, str, str, list[npt.NDArray[np.float16]]]]:
    """Yields track, genre, album and the clips `(mel, frame)` of each track."""
    names = [(genre, album) for genre in synthesis.GENRES for album in range(albums)]
    for genre, album in tqdm(names, "composing", unit="album", disable=None):
        taps = album_filter(np.random.default_rng([synthesis.GENRES.index(genre), album]), decibels)
        for track in range(tracks):
            waveform = synthesis.track_waveform(genre, album * tracks + track, seconds=SECONDS)
            filtered = signal.oaconvolve(waveform, taps, mode="same").astype(np.float32)
            mel_specgram = log_mel(
                filtered, sample_rate=SAMPLE_RATE, n_fft=2048, hop_length=1024, n_mels=128, f_max=SAMPLE_RATE / 2
            )
            starts = np.linspace(0, len(mel_specgram) - CLIP_FRAMES, CLIPS).astype(int)
            cut = [mel_specgram[start : start + CLIP_FRAMES].T for start in starts]
            yield f"{genre}/{album}/{track}", genre, f"{genre}/{album}", cut


def album_filter(rng: np.random.Generator, decibels: float) -> npt.NDArray[np.float64]:
    """Makes a filter with a random gain in each octave, of which `decibels` is the standard deviation."""
    frequencies = np.concatenate([[0], SAMPLE_RATE / 2 / 2.0 ** np.arange(8, -1, -1)])
    gains = 10 ** (rng.normal(0, decibels, len(frequencies)) / 20)
    return np.asarray(signal.firwin2(TAPS, frequencies, gains, fs=SAMPLE_RATE))


def accuracies(
    system: str, table: pd.DataFrame, clips: npt.NDArray[np.float16], groups: Sequence[str], seeds: int
) -> list[float]:
    """Returns the accuracy by track on the test subset, for each seed of the split."""
    found, genres = [], sorted(table["genre"].unique())
    labels, seen = table["genre"].repeat(CLIPS).to_numpy(), baselines.features(clips)[system]
    for seed in range(seeds):
        subset = protocols.stratified(table, valid=0.0, test=0.25, seed=seed, groups=groups)
        is_train = (subset == "train").repeat(CLIPS).to_numpy()
        probabilities = baselines.probabilities(system, seen[is_train], labels[is_train], seen)
        tracks = predictions.by_track(predictions.of_clips(table.assign(subset=subset), genres, probabilities))
        tested = tracks[tracks["subset"] == "test"]
        found.append(float((tested["actual"] == tested["predicted"]).mean()))
    return found


if __name__ == "__main__":
    main()
