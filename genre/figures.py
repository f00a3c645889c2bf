"""The figures: arrays and tables in, a `matplotlib.figure.Figure` out; the only importer of matplotlib.

They are made for a white page at 800 pixels of width. They need no display, leave matplotlib's settings as they are,
and use its own defaults and fonts, so that the same versions of it draw the same bytes on every machine.
"""

import functools
import math
import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib.style
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib import colormaps, font_manager
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, PercentFormatter

from genre import files

DPI = 150
WIDTH = 8.0  # inches: 1200 pixels, so that text of 9 points is 12 pixels high at 800
NAME_WIDTH = 25  # characters in a line of a genre's or system's name, of which there may be two
# Okabe and Ito (2008), https://jfly.uni-koeln.de/color/: told apart with any colour vision.
BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
DARK, LIGHT = "#4D4D4D", "#D9D9D9"
SUBSET_COLOURS = {"train": BLUE, "valid": ORANGE, "test": GREEN}
MARKERS = ("o", "s", "^")
SYSTEM_NAMES = {
    "majority": "most frequent genre",
    "linear": "logistic regression on mel bands",
    "svm_mfcc": "SVM on MFCCs",
}
LEVELS = "viridis"
# cividis from white on, so that nothing looks like nothing; its own low end, a bright yellow, looks like much.
_DEPTHS = np.linspace(0, 1, 256)
SHARES = ListedColormap(1 - np.sqrt(_DEPTHS)[:, None] * (1 - colormaps["cividis_r"](_DEPTHS)[:, :3]))
DECIBELS = 80.0  # a mel_specgram's 0..1 is -80..0 dB
HERTZ_TICKS = (100, 200, 500, 1000, 2000, 5000, 10000)
# DejaVu lacks Chinese, Japanese and Korean; the last one draws a box for any letter that no other font has.
FONTS = ("DejaVu Sans", "Noto Sans CJK JP", "Hiragino Sans", "Yu Gothic", "Malgun Gothic")
LAST_FONT = "Last Resort High-Efficiency"
STYLE: dict[str, Any] = {
    "font.family": [*(font for font in FONTS if font in font_manager.get_font_names()), LAST_FONT],
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.edgecolor": DARK,
    "figure.dpi": DPI,
    "figure.labelsize": 9,
    "grid.color": LIGHT,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "text.parse_math": False,  # a genre may be named A$AP or $ and $$
}
Values = npt.NDArray[np.floating[Any]]
P = ParamSpec("P")


def _styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Runs `draw` under STYLE on top of matplotlib's defaults, whatever the user's own settings are."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.style.context(["default", STYLE]):
            figure = draw(*args, **kwargs)
            # Each pass of the layout starts from the last one and moves things a little: one pass, then no more.
            ConstrainedLayoutEngine().execute(figure)
            return figure

    return drawn


def save(figure: Figure, path: Path) -> None:
    """Writes a PNG of DPI dots per inch, whole or not at all; the same figure gives the same bytes.

    Raises:
        ValueError: The name does not end in .png.
    """
    if path.suffix != ".png":
        raise ValueError(f"a figure's name must end in .png, got {path.name!r}; rename it")
    with matplotlib.style.context(["default", STYLE]), files.replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DPI, metadata={"Software": None})


@_styled
def training_curves(history: pd.DataFrame, best_epoch: int) -> Figure:
    """Draws loss, accuracy and learning rate over the epochs.

    Args:
        history: One row an epoch: epoch, train_loss, train_accuracy, learning_rate, and valid_loss and
            valid_accuracy, which may be absent or empty if there is no valid subset.
        best_epoch: The epoch to mark: that of the highest valid_accuracy, or the last one if that was kept. Nothing is
            marked where there is no valid subset.

    Raises:
        ValueError: The history is empty, or has no such epoch.
    """
    if history.empty:
        raise ValueError("a history must hold at least one epoch, got none; set train.epochs to 1 or more")
    if best_epoch not in history["epoch"].to_numpy():
        raise ValueError(f"best_epoch must be an epoch of the history, got {best_epoch}; run the train stage again")
    subsets = [subset for subset in ("train", "valid") if _has_numbers(history, f"{subset}_accuracy")]
    figure = Figure((WIDTH, 6.2))
    loss, accuracy, rate = figure.subplots(3, sharex=True, height_ratios=[3, 3, 1.5])
    for subset in subsets:
        look = {"color": SUBSET_COLOURS[subset], "marker": "o", "markersize": 3}
        loss.plot(history["epoch"], history[f"{subset}_loss"], label=subset, **look)
        accuracy.plot(history["epoch"], history[f"{subset}_accuracy"], label=subset, **look)
    rate.plot(history["epoch"], history["learning_rate"], color=DARK, marker="o", markersize=3)
    loss.set_ylabel("loss")
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
    loss.legend()
    figure.align_ylabels()
    return figure


@_styled
def confusion_matrix(actual: Sequence[str], predicted: Sequence[str], genres: Sequence[str], *, title: str) -> Figure:
    """Draws which genre is taken for which: a row for each actual genre, a column for each predicted one.

    A cell holds its share of the row in %, and the count below; a cell without a clip or track stays blank.
    A genre that never occurs has a blank row.

    Raises:
        ValueError: Nothing to count, unequal lengths, or a genre that is not among `genres`.
    """
    counts = _counts(actual, predicted, genres)
    shares = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(0.6 * len(genres), 2.4, max(5.6, 0.33 * len(genres))))
    longest = max(len(genre) for genre in genres)
    names = 0.07 * min(longest, NAME_WIDTH)  # inches
    figure = Figure((side + names + 1.5, side + names + 0.7))
    axes = figure.add_subplot(title=title, xlabel="predicted genre", ylabel="actual genre")
    image = axes.imshow(shares, aspect="auto", cmap=SHARES, vmin=0, vmax=100)
    size = min(11.0, 0.32 * 72 * side / len(genres))
    for row, column in np.argwhere(counts):
        look: dict[str, Any] = {"color": "white" if shares[row, column] > 65 else "black", "ha": "center"}
        axes.text(column, row, f"{shares[row, column]:.0f}%", va="bottom", size=size, **look)
        axes.text(column, row, str(counts[row, column]), va="top", size=0.85 * size, **look)
    _name_ticks(axes.xaxis, genres, rotation=90 if len(genres) > 5 or longest > 10 else 0)
    _name_ticks(axes.yaxis, genres)
    _colour_bar(figure, image, [axes], "share of the actual genre, % (count below)")
    return figure


@_styled
def genre_scores(scores: pd.DataFrame, *, title: str) -> Figure:
    """Draws precision, recall and F1 of each genre as dots, from top to bottom in the order given.

    Args:
        scores: Indexed by genre, with the columns precision, recall and f1 in 0..1 and support, a count.
        title: Stands above.

    Raises:
        ValueError: There is no genre.
    """
    if scores.empty:
        raise ValueError("scores must hold at least one genre, got none; run the evaluate stage again")
    rows = np.arange(len(scores))
    figure = Figure((WIDTH, 1.3 + 0.42 * len(scores)))
    axes = figure.add_subplot(title=title, xlabel="score", xlim=(-0.02, 1.02))
    for number, (column, label) in enumerate((("precision", "precision"), ("recall", "recall"), ("f1", "F1"))):
        places, colour = (
            rows + 0.25 * (number - 1),
            (BLUE, VERMILLION, DARK)[number],
        )  # apart, so that none hides another
        axes.hlines(places, 0, scores[column], color=LIGHT, linewidth=2, zorder=1)
        axes.scatter(scores[column], places, s=30, color=colour, marker=MARKERS[number], label=label, zorder=3)
    _name_ticks(axes.yaxis, [str(genre) for genre in scores.index], reverse=True)
    counts = axes.secondary_yaxis("right")
    counts.set_yticks(rows, [f"n = {count:g}" for count in scores["support"]])
    counts.spines["right"].set_visible(False)
    counts.tick_params(length=0)
    axes.grid(axis="x")
    figure.legend(loc="outside lower center", ncols=3)
    return figure


@_styled
def reliability(confidence: Values, correct: npt.NDArray[np.bool_], *, bins: int = 10, title: str) -> Figure:
    """Draws how often a confidence comes true, bin by bin, and how many clips are in each bin.

    The expected calibration error is the mean distance between accuracy and mean confidence of a bin, weighted by the
    bin's count; bins are open below and closed above (Guo et al. 2017, "On Calibration of Modern Neural Networks").

    Args:
        confidence: `(clip,)` the probability of the predicted genre, in 0..1.
        correct: `(clip,)` whether the prediction was right.
        bins: Number of bins of equal width.
        title: Stands above, before the expected calibration error.

    Raises:
        ValueError: No clip, unequal lengths, or a confidence outside 0..1.
    """
    counts, confidences, accuracies = _reliability(np.asarray(confidence), np.asarray(correct), bins)
    error = float(np.sum(counts * np.abs(accuracies - confidences)) / counts.sum())
    figure = Figure((6.0, 6.4))
    upper, lower = figure.subplots(2, sharex=True, height_ratios=[3, 1])
    centres, used = (np.arange(bins) + 0.5) / bins, counts > 0
    upper.bar(centres[used], accuracies[used], 0.92 / bins, color=BLUE, label="accuracy")
    upper.plot(
        confidences[used], accuracies[used], "o", color="black", markersize=4, clip_on=False, label="at mean confidence"
    )
    upper.plot([0, 1], [0, 1], "--", color=DARK, linewidth=1, label="perfectly calibrated")
    upper.set(xlim=(0, 1), ylim=(0, 1), ylabel="share correct")
    upper.set_title(f"{title}\nexpected calibration error {error:.1%}")
    upper.legend(loc="upper left")
    bars = lower.bar(centres, counts, 0.92 / bins, color=DARK)
    lower.bar_label(bars, [str(count) for count in counts], fontsize=8, padding=1)
    lower.set(xlabel="confidence (probability of the predicted genre)", ylabel="count")
    lower.margins(y=0.18)
    lower.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    return figure


@_styled
def mean_spectrograms(
    means: Mapping[str, Values], *, sample_rate: int, hop_length: int, mel_frequencies: Values
) -> Figure:
    """Draws the mean mel_specgram of each genre in a grid, in the order given, on one scale of colour.

    Args:
        means: Genre -> `(n_mels, frame)` in 0..1, which stands for -80..0 dB relative to the track's peak.
        sample_rate: In Hz.
        hop_length: Samples from frame to frame.
        mel_frequencies: `(n_mels,)` the centre of each band in Hz, increasing.

    Raises:
        ValueError: Nothing to draw, or a mel_specgram that has another number of bands than mel_frequencies.
    """
    columns = min((5, 4, 3), key=lambda number: -len(means) % number) if len(means) > 3 else len(means)
    figure, panels = _mel_panels(means, columns, sample_rate, hop_length, mel_frequencies)
    # Means have none of the extremes: on the scale of -80..0 dB all of them would look alike.
    lowest = min((float(mean.min()) for mean in means.values()), default=0.0)
    highest = max((float(mean.max()) for mean in means.values()), default=1.0)
    for panel in panels:
        panel.images[0].set_clim(lowest * DECIBELS - DECIBELS, highest * DECIBELS - DECIBELS)
    return figure


@_styled
def spectrogram(
    mel_specgram: Values, *, sample_rate: int, hop_length: int, mel_frequencies: Values, title: str
) -> Figure:
    """Draws one mel_specgram, `(n_mels, frame)`, on the scale of -80..0 dB; see `mean_spectrograms`."""
    return _mel_panels({title: mel_specgram}, 1, sample_rate, hop_length, mel_frequencies)[0]


@_styled
def augmentations(
    examples: Mapping[str, Values], *, sample_rate: int, hop_length: int, mel_frequencies: Values
) -> Figure:
    """Draws label -> mel_specgram, such as the original and each augmentation of it; see `mean_spectrograms`."""
    return _mel_panels(examples, min(3, len(examples)), sample_rate, hop_length, mel_frequencies)[0]


@_styled
def predictions_over_time(
    probabilities: Values, starts_seconds: Sequence[float], genres: Sequence[str], title: str
) -> Figure:
    """Draws what the model hears along a track, and beside it as a whole (mean probability of the clips).

    Args:
        probabilities: `(clip, genre)` in 0..1.
        starts_seconds: Where each clip starts, increasing. A clip is drawn up to the start of the next one, the last
            as wide as the one before it.
        genres: The names of the columns of `probabilities`.
        title: Stands above.

    Raises:
        ValueError: No clip, or a shape that does not fit the starts and genres.
    """
    if not len(starts_seconds) or np.shape(probabilities) != (len(starts_seconds), len(genres)):
        raise ValueError(
            f"probabilities must be (clip, genre) = ({len(starts_seconds)}, {len(genres)}) with a clip at least, "
            f"got {np.shape(probabilities)}"
        )
    starts = np.asarray(starts_seconds, float)
    edges = np.append(starts, starts[-1] + (starts[-1] - starts[-2] if len(starts) > 1 else 1.0))
    figure = Figure((WIDTH, 1.5 + 0.28 * len(genres)))
    time, whole = figure.subplots(1, 2, sharey=True, width_ratios=[4, 1])
    mesh = time.pcolormesh(edges, np.arange(len(genres) + 1) - 0.5, probabilities.T, cmap=SHARES, vmin=0, vmax=1)
    time.set(title=title, xlabel="start of the clip, s")
    if len(starts) == 1:
        time.set_xticks(starts)
    means = probabilities.mean(axis=0)
    bars = whole.barh(np.arange(len(genres)), means, color=BLUE)
    whole.bar_label(bars, [f"{mean:.0%}" for mean in means], padding=2)
    whole.set(xlabel="mean of the clips", xlim=(0, 1.35), xticks=[])
    whole.tick_params(axis="y", length=0)
    _name_ticks(time.yaxis, genres, reverse=True)
    _colour_bar(figure, mesh, [time, whole], "probability")
    return figure


@_styled
def baseline_comparison(scores: pd.DataFrame) -> Figure:
    """Draws the accuracy of the network and of simpler systems, with intervals: a panel a level, a row a system.

    Args:
        scores: The columns system, subset (train, valid, test), level (clip, track), accuracy, and low and high, the
            ends of a 95 % interval; both are NaN where there is none. Systems stand in the order given.

    Raises:
        ValueError: There is no score, or an unknown subset.
    """
    if scores.empty:
        raise ValueError("scores must hold at least one system, got none; run the evaluate stage again")
    unknown = sorted(set(scores["subset"]) - set(SUBSET_COLOURS))
    if unknown:
        raise ValueError(f"a subset must be one of {', '.join(SUBSET_COLOURS)}, got {unknown[0]!r}")
    systems, levels = list(dict.fromkeys(scores["system"])), list(dict.fromkeys(scores["level"]))
    subsets = [subset for subset in SUBSET_COLOURS if subset in set(scores["subset"])]
    figure = Figure((WIDTH, 1.4 + 0.22 * (len(subsets) + 0.6) * len(systems)))
    panels = figure.subplots(1, len(levels), sharex=True, sharey=True, squeeze=False)[0]
    for axes, level in zip(panels, levels, strict=True):
        for number, subset in enumerate(subsets):
            part = scores[(scores["level"] == level) & (scores["subset"] == subset)]
            rows = [systems.index(name) + 0.24 * (number - (len(subsets) - 1) / 2) for name in part["system"]]
            colour = SUBSET_COLOURS[subset]
            axes.hlines(rows, part["low"], part["high"], color=colour, linewidth=2, zorder=2)
            axes.scatter(part["accuracy"], rows, s=30, color=colour, marker=MARKERS[number], label=subset, zorder=3)
        axes.set(title=f"by {level}", xlim=(0, 1))
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
    _name_ticks(panels[0].yaxis, [SYSTEM_NAMES.get(name, name) for name in systems], reverse=True)
    figure.supxlabel("accuracy, with 95% interval")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=len(subsets))
    return figure


def _has_numbers(table: pd.DataFrame, column: str) -> bool:
    """Says whether the column exists and is not empty: an empty CSV column comes as text or as NaN."""
    return column in table and bool(pd.to_numeric(table[column], errors="coerce").notna().any())


def _wrapped(name: str, width: int, lines: int) -> str:
    """Breaks a long name into lines, and leaves out of its middle what they cannot hold: names differ at the ends."""
    shorter = (f"{name[:half]}…{name[-half:]}" for half in range((len(name) - 1) // 2, 0, -1))
    wraps = (textwrap.wrap(kept, width) for kept in (name, *shorter))
    return "\n".join(next(wrap for wrap in wraps if len(wrap) <= lines))


def _name_ticks(axis: Axis, names: Sequence[str], *, rotation: int = 0, reverse: bool = False) -> None:
    """Labels the positions 0, 1, ... with names; `reverse` puts the first one on top of a vertical axis."""
    labels = [_wrapped(name, NAME_WIDTH, 2) for name in names]
    size = 7.5 if any("\n" in label for label in labels) else 9
    axis.set_ticks(range(len(names)), labels, rotation=rotation, fontsize=size, linespacing=1.0)
    axis.set_tick_params(length=0)
    if reverse:
        axis.axes.set_ylim(len(names) - 0.5, -0.5)


def _colour_bar(figure: Figure, image: ScalarMappable, panels: Sequence[Axes], label: str) -> None:
    """Explains the colours at the right of the panels, by a bar of about one size in figures of all heights."""
    shrink = min(1.0, 3.6 / figure.get_figheight())
    figure.colorbar(image, ax=panels, label=label, shrink=shrink, aspect=24, fraction=0.05)


def _counts(actual: Sequence[str], predicted: Sequence[str], genres: Sequence[str]) -> npt.NDArray[np.int64]:
    """Counts `(genre, genre)`: actual genres along the rows, predicted ones along the columns."""
    if not len(actual) or len(actual) != len(predicted):
        raise ValueError(
            f"actual and predicted must be of equal length and not empty, got {len(actual)} and {len(predicted)}"
        )
    for which, names in (("actual", actual), ("predicted", predicted)):
        unknown = sorted(set(names) - set(genres))
        if unknown:
            raise ValueError(f"{which} must hold genres of the model ({', '.join(genres)}), got {unknown[0]!r}")
    number = {genre: index for index, genre in enumerate(genres)}
    counts = np.zeros((len(genres), len(genres)), np.int64)
    np.add.at(counts, ([number[name] for name in actual], [number[name] for name in predicted]), 1)
    return counts


def _reliability(
    confidence: Values, correct: npt.NDArray[np.bool_], bins: int
) -> tuple[npt.NDArray[np.int64], Values, Values]:
    """Gives count, mean confidence and accuracy of each bin, each `(bin,)`; means of empty bins are 0."""
    if not len(confidence) or len(confidence) != len(correct):
        raise ValueError(
            f"confidence and correct must be of equal length and not empty, got {len(confidence)} and {len(correct)}"
        )
    # Means and rounding in tables may leave 1 by a millionth.
    outside = confidence[~((confidence >= -1e-6) & (confidence <= 1 + 1e-6))]
    if len(outside):
        raise ValueError(f"a confidence must be in 0..1, got {outside[0]}; run the evaluate stage again")
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    sums = [np.bincount(place, weights=values, minlength=bins) for values in (confidence, correct)]
    return counts, sums[0] / np.maximum(counts, 1), sums[1] / np.maximum(counts, 1)


def _mel_image(axes: Axes, mel_specgram: Values, frame_seconds: float) -> None:
    """Draws `(n_mels, frame)` on -80..0 dB, with band i at the height i and the lowest at the bottom."""
    n_mels, frames = mel_specgram.shape
    axes.imshow(
        np.asarray(mel_specgram, np.float32) * DECIBELS - DECIBELS,
        aspect="auto",
        cmap=LEVELS,
        extent=(0, frames * frame_seconds, -0.5, n_mels - 0.5),
        origin="lower",
        vmin=-DECIBELS,
        vmax=0,
    )


def _mel_panels(
    examples: Mapping[str, Values],
    columns: int,
    sample_rate: int,
    hop_length: int,
    mel_frequencies: Values,
) -> tuple[Figure, list[Axes]]:
    """Draws label -> `(n_mels, frame)` in a grid of panels, with axes in seconds and Hz."""
    if not examples:
        raise ValueError("there must be at least one mel_specgram to draw, got none")
    height = min(3.4, 6.6 / columns)  # inches of a panel
    titles = [_wrapped(label, 80 // columns, 3) for label in examples]
    lines = 1 + max(title.count("\n") for title in titles)
    rows = math.ceil(len(examples) / columns)
    figure = Figure((WIDTH, 0.7 + (height + 0.1 + 0.2 * lines) * rows))
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, title, (label, mel_specgram) in zip(grid, titles, examples.items(), strict=False):
        if len(mel_specgram) != len(mel_frequencies):
            raise ValueError(f"{label!r} must have {len(mel_frequencies)} mel bands, got {len(mel_specgram)}")
        _mel_image(axes, mel_specgram, hop_length / sample_rate)
        axes.set_title(title, fontsize=9)
    ticks = HERTZ_TICKS if height > 3 else HERTZ_TICKS[1:]  # the lowest two would touch in a small panel
    hertz = [tick for tick in ticks if mel_frequencies[0] <= tick <= mel_frequencies[-1]]
    places = np.interp(hertz, mel_frequencies, np.arange(len(mel_frequencies)))
    grid[0].set_yticks(places, [str(tick) for tick in hertz])
    for axes in grid[len(examples) :]:
        axes.remove()
    panels = list(grid[: len(examples)])
    figure.supxlabel("time, s")
    figure.supylabel("frequency, Hz (mel scale)")
    _colour_bar(figure, panels[0].images[0], panels, "dB relative to the track's peak")
    return figure, panels
