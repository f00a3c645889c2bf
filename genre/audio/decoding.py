"""From a file to a waveform: one channel at the sampling rate that is asked for."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from torchaudio.functional import resample

from genre.audio.reading import Waveform, blocks, open_recording

# Rates without a common period (22 051 and 22 050 Hz) would need as many filters as samples a second: such a ratio is
# rounded, by less than one part in a million. Every usual rate, up to 192 kHz, stays exact.
LONGEST_PERIOD = 1280


def decode(path: Path, sample_rate: int) -> Waveform:
    """Decodes a file to one channel (the mean of all) at `sample_rate` Hz: `(time,)`, full scale is 1.

    Reads wav, au, flac, ogg, mp3 and what else libsndfile knows, in blocks: beside the result itself the memory
    needed does not depend on the length.

    Raises:
        ValueError: As `inspect`; but none is fine.
    """
    with open_recording(path) as file:
        ratio = Fraction(sample_rate, file.samplerate).limit_denominator(LONGEST_PERIOD)
        mono = (block.mean(axis=1, dtype=np.float32) for block in blocks(file, ratio.denominator))
        resampled = list(_resampled(mono, ratio))
    return np.concatenate(resampled) if resampled else np.zeros(0, np.float32)


def _resampled(mono: Iterator[Waveform], ratio: Fraction) -> Iterator[Waveform]:
    """Resamples block by block with context on both sides, which gives what resampling the whole would give.

    Blocks but the last must be multiples of the ratio's denominator long.

    The filter of torchaudio's windowed sinc spans `6 / 0.99` periods of the lower of the two rates on each side.
    """
    old, new = ratio.denominator, ratio.numerator
    if old == new:
        yield from mono
        return
    context = old * (2 + int(7 * max(1, old / new)) // old)
    before = np.zeros(0, np.float32)
    current = next(mono, None)
    while current is not None:
        after = next(mono, None)
        joined = np.concatenate([before, current, current[:0] if after is None else after[:context]])
        resampled = resample(torch.from_numpy(joined), old, new).numpy()
        first = len(before) * new // old
        last = None if after is None else first + len(current) * new // old
        yield resampled[first:last]
        before, current = current[-context:], after
