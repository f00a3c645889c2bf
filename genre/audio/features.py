"""What the pipeline computes from recordings: their spectrograms and fingerprints, by decoding each once."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from genre.audio import decoding, fingerprints, mel, parallel
from genre.audio.fingerprints import Fingerprint
from genre.audio.params import Spectrogram
from genre.audio.processes import Failure

Features = tuple[npt.NDArray[np.float16], Fingerprint]


def analyse(section: Spectrogram, path: Path) -> Features:
    """Computes the log-mel spectrogram `(frame, n_mels)` of a recording, and its fingerprint.

    Raises:
        ValueError: The recording cannot be decoded.
        OSError: It cannot be read.
    """
    waveform = decoding.decode(path, section.sample_rate)
    return mel.log_mel(waveform, **section.model_dump()), fingerprints.fingerprint(waveform, section.sample_rate)


def analyse_all(paths: Sequence[Path], section: Spectrogram) -> Iterator[Features]:
    """Yields the result of `analyse` for each recording, in order; see `parallel.map_files` for where it runs.

    Raises:
        ValueError: A recording has no result; the message names it.
        OSError: A recording cannot be read.
    """
    found = parallel.map_files(partial(analyse, section), paths)
    for path, result in zip(tqdm(paths, "spectrograms", unit="track", disable=None), found, strict=True):
        if isinstance(result, Failure):
            raise ValueError(
                f"{path} must be decodable, as it was when data/tracks.csv was made: {result.reason}; run again, and "
                "if it fails again, take the file out of the corpus"
            )
        yield result
