"""Stage spectrogram: computes the log-mel spectrograms of all tracks, and finds pairs with the same recording."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from genre.audio import fingerprints, parallel
from genre.audio.params import Spectrogram
from genre.console import stage
from genre.pipeline import tables
from genre.pipeline.settings import Settings
from genre.spectrograms import store


def main(settings: Settings, audio: Path, tracks_csv: Path, values: Path, index: Path, pairs_csv: Path) -> None:
    """Writes the spectrograms, their index, and the pairs of tracks that hold the same recording."""
    section, table = settings.load(Spectrogram), tables.read_tracks(tracks_csv)
    marks: dict[str, fingerprints.Fingerprint] = {}

    def spectrograms() -> Iterator[tuple[str, np.ndarray]]:
        paths = [audio / file for file in table["file"]]  # a file of the user's own folder has an absolute path
        for track, (mel_specgram, mark) in zip(table["track"], parallel.analyse(paths, section), strict=True):
            marks[track] = mark
            yield track, mel_specgram

    store.write(spectrograms(), section.n_mels, values, index)
    pairs = fingerprints.find_repetitions(marks)
    tables.write_csv(pairs, pairs_csv)
    print(f"{len(table)} tracks; {len(pairs)} pairs of them hold the same recording, see {pairs_csv}")


if __name__ == "__main__":
    stage.run(main)
