"""Bins of confidence, for the calibration error and its figure. Without scikit-learn, which is slow to import."""

from typing import Any

import numpy as np
import numpy.typing as npt

CALIBRATION_BINS = 10


def confidence_bins(confidence: npt.NDArray[np.floating[Any]], bins: int = CALIBRATION_BINS) -> npt.NDArray[np.int64]:
    """Returns the number of each confidence's bin, from 0; a confidence on an edge belongs to the bin below."""
    above = np.ceil(confidence * bins).astype(np.int64)
    return np.asarray(np.clip(above - 1, 0, bins - 1))
