"""Merges the probabilities of a track's clips into those of the track: one way for the whole project."""

from typing import Any

import numpy as np
import numpy.typing as npt

LEAST = 1e-30  # so that a genre which one clip excludes is not excluded whatever the other clips say

Probabilities = npt.NDArray[np.floating[Any]]


def merge_clips(probabilities: Probabilities) -> npt.NDArray[np.float64]:
    """Computes the geometric mean over the clips, scaled to a sum of 1: `(..., clip, genre)` -> `(..., genre)`.

    This is the softmax of the clips' mean logits (the logarithmic opinion pool; Genest and Zidek 1986, Statistical
    Science 1:114). The mean of the probabilities is less sure of its predictions than they are often correct, because
    a temperature changes single clips and not how many of them agree: see docs/benchmarks.md.
    """
    return from_logarithms(logarithms(probabilities).mean(axis=-2))


def logarithms(probabilities: Probabilities) -> npt.NDArray[np.float64]:
    """Returns the natural logarithms, of `LEAST` where a probability is lower."""
    return np.log(np.clip(probabilities.astype(np.float64), LEAST, None))


def from_logarithms(means: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Returns the probabilities of tracks from the means of their clips' logarithms: `(..., genre)`."""
    powers = np.exp(means - means.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
