"""Bins of confidence, for the calibration error and its figure. Without scikit-learn, which is slow to import."""

from typing import Any

import numpy as np
import numpy.typing as npt

CALIBRATION_BINS = 10
EDGE_DECIMALS = 4  # tables hold 6 digits


def confidence_bins(confidence: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.int64]:
    """Sorts confidences in 0..1 into ten bins of equal width: returns the index of each one's bin, from 0.

    A confidence on the edge between two bins belongs to the lower one, and 0 to the first. Edges are common: three sure
    clips of five make 0.6. So that the digits that a table holds give the same bin as the number in memory, what is
    within 0.000005 of an edge is on it.
    """
    above = np.ceil(np.round(confidence * CALIBRATION_BINS, EDGE_DECIMALS)).astype(np.int64)
    return np.asarray(np.clip(above - 1, 0, CALIBRATION_BINS - 1))
