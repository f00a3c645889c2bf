"""Recordings of any format as one channel at one sample rate."""

import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np

from genre.audio import reading
from genre.audio.reading import Waveform
from genre.audio.resampling import filter_reach, period_ratio, resample

BLOCK_SECONDS = 30  # bounds the memory that a recording of any length takes
BLOCK_SAMPLES = 1 << 23  # of all channels; 30 s of what is usual have fewer


def decode(path: Path, sample_rate: int) -> Waveform:
    """Decodes a file to one channel (the mean of all) at `sample_rate` Hz: `(time,)`, full scale is 1.

    Apart from the result, the memory needed does not depend on the length of the recording.

    Raises:
        ValueError: As `reading.inspect`, except that a file without samples is allowed.
        OSError: The file cannot be read.
    """
    blocks = list(decode_blocks(path, sample_rate))
    return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)


def decode_blocks(path: Path, sample_rate: int) -> Iterator[Waveform]:
    """Yields what `decode` returns, in blocks `(time,)` of at most about 30 s; joined, they are the same samples.

    Raises:
        ValueError: As `decode`, also between two blocks.
        OSError: As `decode`.
    """
    with reading.opened(path) as reader:
        blocks = map(reading.mono, reader.blocks())
        if reader.sample_rate == sample_rate:
            yield from blocks
            return
        ratio = period_ratio(reader.sample_rate, sample_rate)
        step = ratio.denominator
        length = step * max(1, min(BLOCK_SECONDS * reader.sample_rate, BLOCK_SAMPLES // reader.channels) // step)
        yield from _resampled(_regrouped(blocks, length), ratio)


def _regrouped(blocks: Iterator[Waveform], length: int) -> Iterator[Waveform]:
    """Yields the same samples in blocks of `length`, the last one shorter."""
    gathered: list[Waveform] = []
    count = 0
    for block in blocks:
        rest = block
        while count + len(rest) >= length:
            yield np.concatenate([*gathered, rest[: length - count]])
            rest, gathered, count = rest[length - count :], [], 0
        if len(rest):
            gathered.append(rest)
            count += len(rest)
    if count:
        yield np.concatenate(gathered)


def _resampled(blocks: Iterator[Waveform], ratio: Fraction) -> Iterator[Waveform]:
    """Resamples block by block with context on both sides, which gives the same as resampling the whole.

    The length of each block but the last must be a multiple of the ratio's denominator.
    """
    old, new = ratio.denominator, ratio.numerator
    context = old * math.ceil(filter_reach(old, new) / old)
    before = np.zeros(0, np.float32)
    current = next(blocks, None)
    while current is not None:
        after = next(blocks, None)
        joined = np.concatenate([before, current, current[:0] if after is None else after[:context]])
        resampled = resample(joined, old, new)
        first = len(before) * new // old
        last = None if after is None else first + len(current) * new // old
        yield resampled[first:last]
        before, current = current[-context:], after
