"""Computes spectrograms and fingerprints of many recordings on all cores, in order and in bounded memory."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import cpu_count
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from genre.audio import decoding, fingerprints, mel
from genre.audio.fingerprints import Fingerprint
from genre.audio.params import Spectrogram

AHEAD = 8  # tracks for each core that are computed before they are used: bounds the memory


def analyse(paths: Sequence[Path], section: Spectrogram) -> Iterator[tuple[npt.NDArray[np.float16], Fingerprint]]:
    """Yields for each recording its log-mel spectrogram `(frame, n_mels)` and its fingerprint, in order.

    Raises:
        ValueError: A recording cannot be decoded.
    """

    def one(path: Path) -> tuple[npt.NDArray[np.float16], Fingerprint]:
        waveform = decoding.decode(path, section.sample_rate)
        return mel.log_mel(waveform, **section.model_dump()), fingerprints.fingerprint(waveform, section.sample_rate)

    workers = cpu_count() or 1
    with ThreadPoolExecutor(workers) as threads:
        for start in tqdm(range(0, len(paths), workers * AHEAD), "spectrograms", unit="block", disable=None):
            yield from threads.map(one, paths[start : start + workers * AHEAD])
