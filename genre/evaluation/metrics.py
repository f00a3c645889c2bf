"""Metrics of predictions, with intervals that say how far chance can move them.

Conventions: `actual` comes before `predicted`; labels are the genres' names; probabilities are `(item, genre)` with
the genres in alphabetical order, the order of the columns in metrics/predictions.csv. A track's probabilities are the
geometric mean of its clips' (`merging.merge_clips`). Intervals are 95 % and by track, since the clips of a track are
not independent of each other.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, precision_recall_fscore_support

from genre.evaluation.bins import CALIBRATION_BINS, confidence_bins
from genre.evaluation.predictions import by_track, genres_of

BOOTSTRAP_DRAWS = 2000
ALPHA = 0.05  # significance level: a difference whose p-value is below it counts as one


def wilson(correct: int, items: int) -> tuple[float, float]:
    """Returns the 95 % score interval of a share `correct / items` (Wilson 1927, JASA 22:209).

    Raises:
        ValueError: `correct` is not in `0..items`, or there are no items.
    """
    if not 0 <= correct <= items or items == 0:
        raise ValueError(f"correct must be in 0..items, and items at least 1, got {correct} of {items}")
    interval = binomtest(correct, items).proportion_ci(0.95, method="wilson")
    return float(interval.low), float(interval.high)


def mcnemar(only_a: int, only_b: int) -> float:
    """Returns the exact two-sided p-value of McNemar's test (McNemar 1947, Psychometrika 12:153).

    Chance gives each of the `only_a + only_b` tracks that one run alone classifies correctly to A or to B as a coin
    does, so the test is a binomial test of 1/2. Without such a track p is 1. Recommended for two classifiers on one
    test set by Dietterich (1998), "Approximate statistical tests for comparing supervised classification learning
    algorithms", Neural Computation 10:1895.
    """
    decided = only_a + only_b
    return float(binomtest(only_a, decided, 0.5).pvalue) if decided else 1.0


def macro_f1(actual: Sequence[str], predicted: Sequence[str]) -> float:
    """Returns the mean F1 of the genres in `actual`: each genre counts the same; one never predicted scores 0.

    Raises:
        ValueError: There are no items, or lengths differ.
    """
    _check_sizes("macro_f1", len(actual), len(predicted))
    labels = sorted(set(actual))
    return float(f1_score(list(actual), list(predicted), labels=labels, average="macro", zero_division=0))


def _places(labels: Sequence[str], genres: Sequence[str]) -> list[int]:
    """Returns the number of each label's genre."""
    numbers = {genre: number for number, genre in enumerate(genres)}
    return [numbers[label] for label in labels]


def _check_sizes(name: str, labels: int, predictions: int) -> None:
    if labels != predictions or labels == 0:
        raise ValueError(f"{name} needs as many predictions as labels, at least one, got {predictions} for {labels}")


def bootstrap_macro_f1(actual: Sequence[str], predicted: Sequence[str], *, seed: int = 0) -> tuple[float, float]:
    """Returns the 95 % percentile interval of the macro F1 over 2000 draws of tracks with replacement (Efron 1979).

    A genre that a draw misses is left out of that draw's mean. The counts of the confusion matrix are drawn from a
    multinomial distribution. This is the same as drawing tracks, and the memory does not grow with their number.
    """
    _check_sizes("bootstrap_macro_f1", len(actual), len(predicted))
    genres = sorted(set(actual) | set(predicted))
    cells = confusion_matrix(actual, predicted, labels=genres).ravel()
    draws = np.random.default_rng(seed).multinomial(len(actual), cells / len(actual), BOOTSTRAP_DRAWS)
    confusion = draws.reshape(-1, len(genres), len(genres))  # (draw, actual, predicted)
    support, guessed = confusion.sum(axis=2), confusion.sum(axis=1)  # (draw, genre)
    f1 = 2 * np.diagonal(confusion, axis1=1, axis2=2) / np.maximum(support + guessed, 1)
    scores = (f1 * (support > 0)).sum(axis=1) / (support > 0).sum(axis=1)
    low, high = np.percentile(scores, [2.5, 97.5])
    return float(low), float(high)


def top2_accuracy(actual: Sequence[str], probabilities: npt.NDArray[np.float64], genres: Sequence[str]) -> float:
    """Returns the share of items whose actual genre is among the two most probable.

    Of equally probable genres the first ones count, as in the predicted genre; so it is at least the accuracy.
    """
    _check_sizes("top2_accuracy", len(actual), len(probabilities))
    places = np.array(_places(actual, genres))
    best = np.argsort(-probabilities, axis=1, kind="stable")[:, :2]
    return float((best == places[:, None]).any(axis=1).mean())


def calibration_error(confidence: npt.NDArray[np.float64], correct: npt.NDArray[np.bool_]) -> float:
    """Returns the expected calibration error (Guo et al. 2017, arXiv:1706.04599, eq. 3), 10 bins of equal width.

    It is the mean distance between the confidence of the predictions (the highest probability) and the share of them
    that is correct, 0..1; each bin is weighted by its items.
    """
    _check_sizes("calibration_error", len(correct), len(confidence))
    bins = confidence_bins(confidence)
    gaps = np.bincount(bins, weights=confidence - correct, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def log_loss(actual: Sequence[str], probabilities: npt.NDArray[np.float64], genres: Sequence[str]) -> float:
    """Returns the mean of `-ln` of the actual genre's probability, at least 1e-7: 0 is perfect, ln(genres) a guess."""
    _check_sizes("log_loss", len(actual), len(probabilities))
    places = _places(actual, genres)
    return float(-np.log(np.clip(probabilities[np.arange(len(places)), places], 1e-7, 1)).mean())


def summary(clips: pd.DataFrame, unsure_below: float | None = None) -> dict[str, float]:
    """Returns the figures of metrics/metrics.json for one subset, from its table of clip predictions.

    Args:
        clips: The clip predictions of the subset.
        unsure_below: A track whose highest probability is lower is unsure. With it the figures of `answers` are added;
            None is for a system without such a threshold.
    """
    genres, tracks = genres_of(clips), by_track(clips)
    actual, predicted = list(tracks["actual"]), list(tracks["predicted"])
    probabilities = tracks[genres].to_numpy()
    correct = (tracks["actual"] == tracks["predicted"]).to_numpy()
    low, high = wilson(int(correct.sum()), len(correct))
    f1_low, f1_high = bootstrap_macro_f1(actual, predicted)
    return {
        "clip_accuracy": float(accuracy_score(clips["actual"], clips["predicted"])),
        "track_accuracy": float(accuracy_score(actual, predicted)),
        "track_accuracy_low": low,
        "track_accuracy_high": high,
        "track_macro_f1": macro_f1(actual, predicted),
        "track_macro_f1_low": f1_low,
        "track_macro_f1_high": f1_high,
        "track_top2_accuracy": top2_accuracy(actual, probabilities, genres),
        "track_calibration_error": calibration_error(probabilities.max(axis=1), correct),
        "loss": log_loss(list(clips["actual"]), clips[genres].to_numpy(), genres),
        **({} if unsure_below is None else answers(probabilities.max(axis=1), correct, unsure_below)),
    }


def answers(
    confidence: npt.NDArray[np.float64], correct: npt.NDArray[np.bool_], unsure_below: float
) -> dict[str, float]:
    """Returns the share of tracks that are answered, which is not with "unsure", and the accuracy of these answers.

    Args:
        confidence: `(track,)`, each track's highest probability.
        correct: `(track,)`, whether the most probable genre is the actual one.
        unsure_below: The threshold of the model file, see `genre.training.calibration`.

    Returns:
        `answered` and `answered_accuracy`; the second is missing if no track is answered, for it has no value then.

    Raises:
        ValueError: There are no tracks, or lengths differ.
    """
    _check_sizes("answers", len(correct), len(confidence))
    known = confidence >= unsure_below
    accuracy = {"answered_accuracy": float(correct[known].mean())} if known.any() else {}
    return {"answered": float(known.mean()), **accuracy}


def per_genre(tracks: pd.DataFrame) -> pd.DataFrame:
    """Returns precision, recall, F1 and support (number of tracks) of each genre, by track; 0 where undefined."""
    genres = genres_of(tracks)
    scores = precision_recall_fscore_support(tracks["actual"], tracks["predicted"], labels=genres, zero_division=0)
    return pd.DataFrame(dict(zip(("precision", "recall", "f1", "support"), scores, strict=True)), index=genres)


def by_subset(
    of_clips: pd.DataFrame, subsets: Sequence[str], unsure_below: float | None = None
) -> dict[str, dict[str, float]]:
    """Returns subset -> the figures of `summary`, from a table of clip predictions."""
    return {subset: summary(of_clips[of_clips["subset"] == subset], unsure_below) for subset in subsets}
