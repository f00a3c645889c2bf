"""Merges the probabilities of a track's clips into those of the track: one way for the whole project."""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

LEAST = 1e-30  # a clip with probability 0 for a genre does not alone decide against it

Probabilities = npt.NDArray[np.floating[Any]]


def merge_clips(probabilities: Probabilities) -> npt.NDArray[np.float64]:
    """Computes the geometric mean over the clips, scaled to a sum of 1: `(..., clip, genre)` -> `(..., genre)`.

    This is the softmax of the clips' mean logits (the logarithmic opinion pool; Genest and Zidek 1986, Statistical
    Science 1:114). The arithmetic mean would give confidences that are lower than the share of correct predictions: a
    temperature changes the probabilities of single clips, but not how many clips agree. See docs/benchmarks.md.
    """
    return np.asarray(softmax(logarithms(probabilities).mean(axis=-2), axis=-1))


def logarithms(probabilities: Probabilities) -> npt.NDArray[np.float64]:
    """Returns the natural logarithms of probabilities; those below `LEAST` count as `LEAST`."""
    return np.log(np.clip(probabilities.astype(np.float64), LEAST, None))
