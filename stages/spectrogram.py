"""Stage spectrogram: computes the log-mel spectrograms of all tracks, and finds pairs with the same recording.

Processes that decode import this file again. They need nothing of what it imports, so all of it is imported where it
is used.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from genre.audio.fingerprints import Fingerprint
    from genre.pipeline.settings import Settings


def main(settings: "Settings", audio: Path, tracks_csv: Path, values: Path, index: Path, pairs_csv: Path) -> None:
    """Writes the spectrograms, their index, and the pairs of tracks that hold the same recording."""
    from genre.audio import features, repetitions
    from genre.audio.params import Spectrogram
    from genre.console.progress import activity
    from genre.pipeline import tables
    from genre.spectrograms import store

    section, table = settings.load(Spectrogram), tables.read_tracks(tracks_csv)
    marks: dict[str, Fingerprint] = {}

    def spectrograms() -> "Iterator[tuple[str, np.ndarray]]":
        paths = [(audio / file).absolute() for file in table["file"]]  # those of the user's own folder may be absolute
        for track, (mel_specgram, mark) in zip(table["track"], features.analyse_all(paths, section), strict=True):
            marks[track] = mark
            yield track, mel_specgram

    with activity("computing spectrograms and fingerprints"):
        store.write(spectrograms(), section.n_mels, values, index)
    with activity("searching for tracks with the same recording"):
        pairs = repetitions.find_repetitions(marks)
    tables.write_csv(pairs, pairs_csv)
    print(f"{len(table)} tracks; {len(pairs)} pairs of them hold the same recording, see {pairs_csv}")


if __name__ == "__main__":
    from genre.console import stage

    stage.run(main)
