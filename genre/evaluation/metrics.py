"""How often the predictions are right, and how sure one can be of that.

Conventions: `actual` comes before `predicted`; labels are the genres' names; probabilities are `(item, genre)` with
the genres in alphabetical order, the order of the columns in metrics/predictions.csv. A track's probabilities are the
mean over its clips'. Intervals are 95 % and by track, since the clips of a track are not independent of each other.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import precision_recall_fscore_support

from genre.evaluation.predictions import by_track, genres_of

Z95 = 1.959963984540054  # the normal distribution's 97.5 % point
BOOTSTRAP_DRAWS = 2000
CALIBRATION_BINS = 10
ALPHA = 0.05  # a difference that luck alone exceeds less often than this counts as one


def accuracy(actual: Sequence[str], predicted: Sequence[str]) -> float:
    """Share of items whose predicted genre is the actual one.

    Raises:
        ValueError: No items, or lengths differ.
    """
    _check_sizes("accuracy", len(actual), len(predicted))
    return float(np.mean(np.asarray(actual) == np.asarray(predicted)))


def _check_sizes(name: str, labels: int, predictions: int) -> None:
    if labels != predictions or labels == 0:
        raise ValueError(f"{name} needs as many predictions as labels, at least one, got {predictions} for {labels}")


def wilson(right: int, items: int) -> tuple[float, float]:
    """Gives the 95 % score interval of a share `right / items` (Wilson 1927, JASA 22:209).

    Raises:
        ValueError: `right` is not in `0..items`, or there are no items.
    """
    if not 0 <= right <= items or items == 0:
        raise ValueError(f"right must be in 0..items, and items at least 1, got {right} of {items}")
    share, z2 = right / items, Z95**2
    centre = (share + z2 / (2 * items)) / (1 + z2 / items)
    half = Z95 / (1 + z2 / items) * np.sqrt(share * (1 - share) / items + z2 / (4 * items**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def macro_f1(actual: Sequence[str], predicted: Sequence[str]) -> float:
    """Mean over the genres in `actual` of their F1: each genre counts the same; a genre never predicted scores 0.

    Raises:
        ValueError: No items, or lengths differ; so in the other scores.
    """
    _check_sizes("macro_f1", len(actual), len(predicted))
    labels, codes = np.unique(np.asarray(actual, str), return_inverse=True)
    places = {label: code for code, label in enumerate(labels)}
    guesses = np.array([places.get(label, len(labels)) for label in predicted])
    return float(_macro_f1(codes, guesses, len(labels)))


def _macro_f1(actual: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64], genres: int) -> float:
    right = np.bincount(actual[actual == predicted], minlength=genres)[:genres]
    support = np.bincount(actual, minlength=genres)[:genres]
    guessed = np.bincount(predicted, minlength=genres + 1)[:genres]
    present = support > 0
    return float(np.mean(2 * right[present] / (support + guessed)[present]))


def bootstrap_macro_f1(actual: Sequence[str], predicted: Sequence[str], *, seed: int = 0) -> tuple[float, float]:
    """Gives the 95 % percentile interval of the macro F1 over 2000 draws of tracks with replacement (Efron 1979).

    A genre that a draw misses is left out of that draw's mean.
    """
    _check_sizes("bootstrap_macro_f1", len(actual), len(predicted))
    labels, codes = np.unique(np.asarray(actual, str), return_inverse=True)
    places = {label: code for code, label in enumerate(labels)}
    guesses = np.array([places.get(label, len(labels)) for label in predicted])
    draws = np.random.default_rng(seed).integers(0, len(codes), (BOOTSTRAP_DRAWS, len(codes)))
    scores = [_macro_f1(codes[draw], guesses[draw], len(labels)) for draw in draws]
    low, high = np.percentile(scores, [2.5, 97.5])
    return float(low), float(high)


def top_accuracy(
    actual: Sequence[str], probabilities: npt.NDArray[np.float64], genres: Sequence[str], *, top: int
) -> float:
    """Share of items whose actual genre is among the `top` most probable; equal probabilities rank by genre order."""
    _check_sizes("top_accuracy", len(actual), len(probabilities))
    ranks = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
    return float(np.mean([label in {genres[place] for place in row} for label, row in zip(actual, ranks, strict=True)]))


def calibration_error(confidence: npt.NDArray[np.float64], correct: npt.NDArray[np.bool_]) -> float:
    """Expected calibration error (Guo et al. 2017, arXiv:1706.04599, eq. 3), 10 bins of equal width.

    The mean distance between how sure the predictions are (`confidence`, the highest probability) and how often they
    are right, 0..1, each bin weighted by its items. A confidence on an edge belongs to the bin below.
    """
    _check_sizes("calibration_error", len(correct), len(confidence))
    bins = np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(int) - 1, 0, CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, weights=confidence - correct, minlength=CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(confidence))


def log_loss(actual: Sequence[str], probabilities: npt.NDArray[np.float64], genres: Sequence[str]) -> float:
    """Mean of `-ln` of the actual genre's probability, floored at 1e-7: 0 is perfect, ln(genres) is guessing."""
    _check_sizes("log_loss", len(actual), len(probabilities))
    places = [list(genres).index(label) for label in actual]
    return float(-np.log(np.clip(probabilities[np.arange(len(places)), places], 1e-7, 1)).mean())


def summary(clips: pd.DataFrame) -> dict[str, float]:
    """Scores one subset's prediction table (a row a clip): the figures of metrics/metrics.json."""
    genres, tracks = genres_of(clips), by_track(clips)
    actual, predicted = list(tracks["actual"]), list(tracks["predicted"])
    probabilities = tracks[genres].to_numpy()
    right = (tracks["actual"] == tracks["predicted"]).to_numpy()
    low, high = wilson(int(right.sum()), len(right))
    f1_low, f1_high = bootstrap_macro_f1(actual, predicted)
    return {
        "clip_accuracy": accuracy(list(clips["actual"]), list(clips["predicted"])),
        "track_accuracy": accuracy(actual, predicted),
        "track_accuracy_low": low,
        "track_accuracy_high": high,
        "track_macro_f1": macro_f1(actual, predicted),
        "track_macro_f1_low": f1_low,
        "track_macro_f1_high": f1_high,
        "track_top2_accuracy": top_accuracy(actual, probabilities, genres, top=2),
        "track_calibration_error": calibration_error(probabilities.max(axis=1), right),
        "loss": log_loss(list(clips["actual"]), clips[genres].to_numpy(), genres),
    }


def per_genre(tracks: pd.DataFrame) -> pd.DataFrame:
    """Precision, recall and F1 of each genre, by track, with its `support` (how many tracks it has); 0 if undefined."""
    genres = genres_of(tracks)
    scores = precision_recall_fscore_support(tracks["actual"], tracks["predicted"], labels=genres, zero_division=0)
    return pd.DataFrame(dict(zip(("precision", "recall", "f1", "support"), scores, strict=True)), index=genres)


def by_subset(of_clips: pd.DataFrame, subsets: Sequence[str]) -> dict[str, dict[str, float]]:
    """Returns subset -> the figures of `summary`, from a table of clip predictions."""
    return {subset: summary(of_clips[of_clips["subset"] == subset]) for subset in subsets}
