"""Calibrates probabilities, and finds the confidence above which predictions are reliable.

Temperature scaling (Guo et al. 2017, "On calibration of modern neural networks", arXiv:1706.04599, section 4.2) divides
the logits by one number, fitted on validation tracks: above 1 it makes a network less sure of itself, below 1 surer.
With few tracks, a prior keeps this number from extreme values. The answer for a single clip stays the same.

Conventions: logits are `(track, clip, genre)` and `actual` is `(track,)`, the number of each track's genre. The clips
of a track are merged as everywhere in the pipeline, see `genre.evaluation.merging`.
"""

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize_scalar
from scipy.special import softmax

LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.05, 20.0
PRIOR_DEVIATION = 1.0  # of the temperature's natural logarithm
# The share of the answers that is expected to be correct. On artists outside of the training set, 3 points fewer were.
TARGET = 0.93
LEAST_PROBABILITY = 1e-7  # as in the log loss of genre.evaluation.metrics
NEVER_ANSWER = 1.01  # above every probability


# What a model file says where no track was left to fit a temperature on: probabilities as they are, all answered.
NOT_FITTED = {"temperature": 1.0, "unsure_below": 0.0}


def fit(logits: npt.NDArray[np.float64], actual: npt.NDArray[np.int64]) -> dict[str, float]:
    """Fits temperature and threshold to tracks that the network was not trained on.

    Args:
        logits: `(track, clip, genre)`.
        actual: `(track,)`.

    Returns:
        `temperature`, and `unsure_below`: a track whose highest probability is lower is "unsure".
    """
    temperature = fit_temperature(logits, actual)
    confidence = track_probabilities(logits, temperature).max(axis=1)
    return {"temperature": temperature, "unsure_below": unsure_threshold(confidence)}


def track_probabilities(logits: npt.NDArray[np.float64], temperature: float = 1.0) -> npt.NDArray[np.float64]:
    """Computes the tracks' probabilities `(track, genre)` from their clips' logits `(track, clip, genre)`."""
    return np.asarray(softmax(logits.mean(axis=1) / temperature, axis=1))


def fit_temperature(logits: npt.NDArray[np.float64], actual: npt.NDArray[np.int64]) -> float:
    """Finds the temperature in 0.05..20 that is most probable, given the tracks and a prior.

    With many tracks it is the temperature of the lowest log loss by track. With few tracks, nearly all of them may be
    correct. The log loss of these tracks is then lowest at the lowest temperature, where every track has one genre with
    probability 1; on other tracks this temperature gives a higher log loss than none. The prior prevents that: the
    logarithm of the temperature is normally distributed with mean 0. It weighs about as much as one track, so with a
    hundred tracks it hardly matters.

    Args:
        logits: `(track, clip, genre)` of tracks that the network did not learn from.
        actual: `(track,)`, at least one.
    """

    def loss(log_temperature: float) -> float:
        chosen = track_probabilities(logits, np.exp(log_temperature))[np.arange(len(actual)), actual]
        prior = (log_temperature / PRIOR_DEVIATION) ** 2 / 2
        return float((prior - np.log(chosen.clip(LEAST_PROBABILITY)).sum()) / len(actual))

    bounds = np.log([LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE])
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def unsure_threshold(confidence: npt.NDArray[np.float64], *, target: float = TARGET) -> float:
    """Finds the lowest confidence from which on answers are right often enough; below it a track is "unsure".

    Of tracks with calibrated probabilities, the mean confidence is the expected share of correct answers. This is what
    reaches the target here. To count correct answers instead gives a threshold that hangs on two or three tracks, where
    there are some thirty of validation, and fewer correct answers than asked for on others.

    The threshold lies halfway between two tracks' confidences, and is 0 if all tracks can be answered. If not even the
    surest track can, it is above 1.

    Args:
        confidence: `(track,)`, the highest probability of each validation track, with the fitted temperature.
        target: The share of the answered tracks that is to be correct, 0..1.
    """
    ranked = np.sort(confidence)[::-1]
    expected = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)  # falls with every track that is answered too
    answers = int((expected >= target).sum())
    if answers == 0:
        return NEVER_ANSWER
    return 0.0 if answers == len(ranked) else float(ranked[answers - 1 : answers + 1].mean())
