"""Stage spectrogram: packs the log-mel spectrograms of all tracks into one array, and looks for repeated recordings."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from os import cpu_count
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from genre import audio, command, files, repetitions, spectrograms, tracks
from genre.params import Settings, Spectrogram

AHEAD = 8  # tracks a core computes before they are written: bounds the memory


def main(settings: Settings, audio_folder: Path, tracks_csv: Path, values: Path, index: Path, pairs_csv: Path) -> None:
    """Writes the packed spectrograms, their index, and the pairs of tracks that hold the same recording."""
    section = settings.load(Spectrogram)
    table = tracks.read(tracks_csv)
    settings.check_lengths(dict(zip(table["track"], table["seconds"], strict=True)))
    fingerprints: dict[str, np.ndarray] = {}

    def compute(file: str) -> tuple[np.ndarray, np.ndarray]:
        waveform = audio.decode(audio_folder / file, section.sample_rate)
        return audio.log_mel(waveform, **asdict(section)), repetitions.fingerprint(waveform, section.sample_rate)

    def packed() -> Iterator[tuple[str, np.ndarray]]:
        results = _in_order(compute, list(table["file"]))
        for track, (mel_specgram, marks) in zip(table["track"], results, strict=True):
            fingerprints[track] = marks
            yield track, mel_specgram

    spectrograms.write(packed(), section.n_mels, values, index)
    pairs = repetitions.find_repetitions(fingerprints)
    files.write_csv(pairs, pairs_csv)
    print(f"{len(table)} tracks; {len(pairs)} pairs of them hold the same recording, see {pairs_csv}")


def _in_order(compute, jobs: list[str]) -> Iterator:  # type: ignore[no-untyped-def, type-arg]
    """Maps with all cores, results in order, a bounded number of them waiting."""
    torch.set_num_threads(1)  # each thread takes a track of its own
    workers = cpu_count() or 1
    with ThreadPoolExecutor(workers) as threads:
        for start in tqdm(range(0, len(jobs), workers * AHEAD), "spectrograms", unit="block", disable=None):
            yield from threads.map(compute, jobs[start : start + workers * AHEAD])


if __name__ == "__main__":
    command.run(main)
