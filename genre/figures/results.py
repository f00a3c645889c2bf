"""Figures of results: functions that draw a table as a `matplotlib.figure.Figure`."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from genre.evaluation.bins import CALIBRATION_BINS, confidence_bins
from genre.evaluation.merging import merge_clips
from genre.figures.page import (
    BLUE,
    DARK,
    GREEN,
    LIGHT,
    NAME_WIDTH,
    ORANGE,
    VERMILLION,
    WIDTH,
    Values,
    colour_bar,
    name_ticks,
    styled,
)

SUBSET_COLOURS = {"train": BLUE, "valid": ORANGE, "test": GREEN}
MARKERS = ("o", "s", "^")
# The two curves are computed on different clips, so valid may be the better one in early epochs.
CURVES = {
    "train": ("train: clips as trained on, with augmentation, dropout and label smoothing where params.yaml has them",
              "--", "s"),
    "valid": ("valid: clips as they are, by the network as it predicts", "-", "o"),
}  # fmt: skip
SYSTEM_NAMES = {  # in the order of tables and figures
    "network": "the network",
    "pretrained": "linear head on musicnn's features",
    "linear": "linear baseline",
    "svm_mfcc": "SVM on MFCC statistics",
    "majority": "most frequent genre",
}
# cividis reversed and brightened to begin with white: its own first colour, a bright yellow, would make a share of 0
# look like a large one.
_DEPTHS = np.linspace(0, 1, 256)
SHARES = ListedColormap(1 - np.sqrt(_DEPTHS)[:, None] * (1 - colormaps["cividis_r"](_DEPTHS)[:, :3]))


@styled
def training_curves(history: pd.DataFrame, best_epoch: int) -> Figure:
    """Draws loss, accuracy and learning rate over the epochs; the legend says how train and valid differ.

    Args:
        history: One row an epoch: epoch, train_loss, train_accuracy, learning_rate, and valid_loss and
            valid_accuracy, which are absent if there is no valid subset.
        best_epoch: The epoch to mark: that of the highest valid_accuracy, or the last one if that was kept. Nothing is
            marked where there is no valid subset.
    """
    subsets = [subset for subset in CURVES if f"{subset}_accuracy" in history]
    figure = Figure((WIDTH, 6.6))
    loss, accuracy, rate = figure.subplots(3, sharex=True, height_ratios=[3, 3, 1.5])
    for subset in subsets:
        label, style, marker = CURVES[subset]
        look = {"color": SUBSET_COLOURS[subset], "linestyle": style, "marker": marker, "markersize": 4}
        loss.plot(history["epoch"], history[f"{subset}_loss"], label=label, **look)
        accuracy.plot(history["epoch"], history[f"{subset}_accuracy"], label=subset, **look)
    rate.plot(history["epoch"], history["learning_rate"], color=DARK, marker="o", markersize=3)
    loss.set_ylabel("cross entropy")
    accuracy.set(ylabel="accuracy by clip", ylim=(0, 1.03))
    rate.set(ylabel="learning rate", xlabel="epoch", xlim=(min(history["epoch"]) - 0.5, max(history["epoch"]) + 0.5))
    for axes in (loss, rate):
        axes.axhline(0, linewidth=0)
        axes.set_ylim(bottom=0)
    rate.yaxis.set_major_formatter("{x:g}")
    rate.yaxis.set_major_locator(MaxNLocator(3))
    rate.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10], min_n_ticks=1))
    for axes in (loss, accuracy, rate):
        axes.grid(axis="y")
    if "valid" in subsets:
        best = history.loc[history["epoch"] == best_epoch, "valid_accuracy"].iloc[0]
        loss.set_title(f"marked: epoch {best_epoch}, valid accuracy {best:.1%}")
        for axes in (loss, accuracy, rate):
            axes.axvline(best_epoch, color=DARK, linestyle="--", linewidth=1)
    figure.legend(*loss.get_legend_handles_labels(), loc="outside lower left", ncols=1)
    figure.align_ylabels()
    return figure


@styled
def confusion_matrix(actual: Sequence[str], predicted: Sequence[str], genres: Sequence[str], *, title: str) -> Figure:
    """Draws a confusion matrix: a row for each actual genre, a column for each predicted one.

    A cell holds its share of the row in %, and the count below; a cell without a clip or track stays blank. Below the
    title stand the number of clips or tracks and the share of them that is correct.
    A genre that never occurs has a blank row.
    """
    found = pd.crosstab(pd.Series(actual), pd.Series(predicted))
    counts = found.reindex(index=genres, columns=genres, fill_value=0).to_numpy()  # (actual genre, predicted genre)
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(0.6 * len(genres), 2.4, max(5.6, 0.33 * len(genres))))
    longest = max(len(genre) for genre in genres)
    names = 0.07 * min(longest, NAME_WIDTH)  # inches
    figure = Figure((side + names + 1.5, side + names + 0.7))
    accuracy = np.trace(counts) / counts.sum()
    axes = figure.add_subplot(xlabel="predicted genre", ylabel="actual genre")
    axes.set_title(f"{title}\nn = {counts.sum()}, {accuracy:.1%} correct")
    image = axes.imshow(shares, aspect="auto", cmap=SHARES, vmin=0, vmax=100)
    size = min(11.0, 0.32 * 72 * side / len(genres))
    for row, column in np.argwhere(counts):
        look: dict[str, Any] = {"color": "white" if shares[row, column] > 65 else "black", "ha": "center"}
        axes.text(column, row, f"{shares[row, column]:.0f}%", va="bottom", size=size, **look)
        axes.text(column, row, str(counts[row, column]), va="top", size=0.85 * size, **look)
    name_ticks(axes.xaxis, genres, rotation=90 if len(genres) > 5 or longest > 10 else 0)
    name_ticks(axes.yaxis, genres)
    colour_bar(figure, image, [axes], "share of the actual genre, % (count below)")
    return figure


@styled
def genre_scores(scores: pd.DataFrame, *, title: str) -> Figure:
    """Draws precision, recall and F1 of each genre as dots, from top to bottom in the order given.

    Args:
        scores: Indexed by genre, with the columns precision, recall and f1 in 0..1 and support, a count.
        title: Stands above.
    """
    rows = np.arange(len(scores))
    figure = Figure((WIDTH, 1.3 + 0.42 * len(scores)))
    axes = figure.add_subplot(title=title, xlabel="score", xlim=(-0.02, 1.02))
    for number, (column, label) in enumerate((("precision", "precision"), ("recall", "recall"), ("f1", "F1"))):
        places, colour = rows + 0.25 * (number - 1), (BLUE, VERMILLION, DARK)[number]  # apart: none hides another
        axes.hlines(places, 0, scores[column], color=LIGHT, linewidth=2, zorder=1)
        axes.scatter(scores[column], places, s=30, color=colour, marker=MARKERS[number], label=label, zorder=3)
    name_ticks(axes.yaxis, [str(genre) for genre in scores.index], reverse=True)
    counts = axes.secondary_yaxis("right")
    counts.set_yticks(rows, [f"n = {count:g}" for count in scores["support"]])
    counts.spines["right"].set_visible(False)
    counts.tick_params(length=0)
    axes.grid(axis="x")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


@styled
def reliability(confidence: Values, correct: npt.NDArray[np.bool_], *, title: str) -> Figure:
    """Draws the accuracy of predictions by their confidence, bin by bin, and how many tracks are in each bin.

    The expected calibration error is the mean distance between accuracy and mean confidence of a bin, weighted by the
    bin's count; bins are open below and closed above (Guo et al. 2017, "On Calibration of Modern Neural Networks").

    Args:
        confidence: `(track,)` the probability of the predicted genre, in 0..1.
        correct: `(track,)` whether the prediction was correct.
        title: Stands above, before the expected calibration error.
    """
    bins = CALIBRATION_BINS
    place = confidence_bins(confidence)
    counts = np.bincount(place, minlength=bins)
    sums = [np.bincount(place, weights=values, minlength=bins) for values in (confidence, correct)]
    confidences, accuracies = (values / np.maximum(counts, 1) for values in sums)  # means; 0 in an empty bin
    error = float(np.sum(counts * np.abs(accuracies - confidences)) / counts.sum())
    figure = Figure((WIDTH, 6.0))
    upper, lower = figure.subplots(2, sharex=True, height_ratios=[3, 1])
    centres, used = (np.arange(bins) + 0.5) / bins, counts > 0
    upper.bar(centres[used], accuracies[used], 0.92 / bins, color=BLUE, label="accuracy")
    upper.plot(
        confidences[used], accuracies[used], "o", color="black", markersize=4, clip_on=False, label="at mean confidence"
    )
    upper.plot([0, 1], [0, 1], "--", color=DARK, linewidth=1, label="perfectly calibrated")
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="share correct")
    upper.set_title(f"{title}\nn = {counts.sum()}, expected calibration error {error:.1%}")
    figure.legend(*upper.get_legend_handles_labels(), loc="outside right upper")  # inside it hides bars
    bars = lower.bar(centres, counts, 0.92 / bins, color=DARK)
    lower.bar_label(bars, [str(count) for count in counts], fontsize=8, padding=1)
    lower.set(xlabel="confidence (probability of the predicted genre)", ylabel="tracks in the bin")
    lower.margins(y=0.18)
    lower.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    return figure


@styled
def predictions_over_time(
    probabilities: Values, starts_seconds: Sequence[float], clip_seconds: float, genres: Sequence[str], title: str
) -> Figure:
    """Draws what the model predicts along a track, and beside it as a whole (see `genre.evaluation.merging`).

    Each clip is drawn where it is. Where clips overlap, such as the last two, the mean of them is drawn; what no clip
    covers stays blank.

    Args:
        probabilities: `(clip, genre)` in 0..1.
        starts_seconds: Where each clip starts, increasing.
        clip_seconds: Length of a clip.
        genres: The names of the columns of `probabilities`.
        title: Stands above.
    """
    edges, covered = _over_time(np.asarray(starts_seconds, float), clip_seconds, np.asarray(probabilities))
    figure = Figure((WIDTH, 1.5 + 0.28 * len(genres)))
    time, whole = figure.subplots(1, 2, sharey=True, width_ratios=[4, 1])
    mesh = time.pcolormesh(edges, np.arange(len(genres) + 1) - 0.5, covered.T, cmap=SHARES, vmin=0, vmax=1)
    time.set(title=title, xlabel=f"time, s (clips of {clip_seconds:.1f} s)", xlim=(min(edges[0], 0), edges[-1]))
    merged = merge_clips(probabilities)
    bars = whole.barh(np.arange(len(genres)), merged, color=BLUE)
    whole.bar_label(bars, [f"{share:.0%}" for share in merged], padding=2)
    whole.set(xlabel="as a whole", xlim=(0, 1.35), xticks=[])
    whole.tick_params(axis="y", length=0)
    name_ticks(time.yaxis, genres, reverse=True)
    colour_bar(figure, mesh, [time, whole], "probability")
    return figure


@styled
def baseline_comparison(scores: pd.DataFrame) -> Figure:
    """Draws the accuracy by track of the network and of simpler systems, with intervals: a row a system.

    Args:
        scores: The columns system, subset (train, valid, test), n (number of tracks), accuracy, and low and high, the
            ends of a 95 % interval. Systems stand in the order given.
    """
    systems = list(dict.fromkeys(scores["system"]))
    subsets = [subset for subset in SUBSET_COLOURS if subset in set(scores["subset"])]
    figure = Figure((WIDTH, 1.4 + 0.22 * (len(subsets) + 0.6) * len(systems)))
    axes = figure.add_subplot(title="by track", xlim=(0, 1))
    for number, subset in enumerate(subsets):
        part, colour = scores[scores["subset"] == subset], SUBSET_COLOURS[subset]
        rows = [systems.index(name) + 0.24 * (number - (len(subsets) - 1) / 2) for name in part["system"]]
        label = f"{subset}, n = {part['n'].max():g}"
        axes.hlines(rows, part["low"], part["high"], color=colour, linewidth=2, zorder=2)
        axes.scatter(part["accuracy"], rows, s=30, color=colour, marker=MARKERS[number], label=label, zorder=3)
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(axis="x")
    name_ticks(axes.yaxis, systems, reverse=True)
    figure.supxlabel("accuracy, with 95% interval")
    figure.legend(loc="outside upper right", ncols=len(subsets))
    return figure


def read_scores(folder: Path) -> dict[str, Any]:
    """Reads the scores of all systems from the folder `metrics`: system -> subset -> scores, in the order of tables."""
    scores = {"network": json.loads((folder / "metrics.json").read_text(encoding="utf-8"))}
    scores |= json.loads((folder / "baselines.json").read_text(encoding="utf-8"))
    return {system: scores[system] for system in sorted(scores, key=list(SYSTEM_NAMES).index)}


def _over_time(starts: Values, clip_seconds: float, probabilities: Values) -> tuple[Values, Values]:
    """Cuts time at every start and end of a clip; the starts are in increasing order.

    Returns:
        The `(piece + 1,)` edges in seconds, and `(piece, genre)` the mean of the clips that cover each piece, or NaN.
    """
    edges = np.unique(np.concatenate([starts, starts + clip_seconds]))
    middles = (edges[1:] + edges[:-1]) / 2
    # The clips from `first` to before `last` cover a piece; sums up to each clip take less memory than all pairs.
    first, last = np.searchsorted(starts + clip_seconds, middles, "right"), np.searchsorted(starts, middles, "right")
    sums = np.concatenate([np.zeros((1, probabilities.shape[1])), np.cumsum(probabilities, axis=0, dtype=float)])
    counts = (last - first)[:, None]
    means = (sums[last] - sums[first]) / np.maximum(counts, 1)
    return edges, np.where(counts > 0, means, np.nan)
