"""Figures of spectrograms: of a track, of what augmentation makes of a clip, and of the mean spectra of genres."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from genre.figures.page import BLUE, DARK, WIDTH, Values, colour_bar, styled, wrapped

LEVELS = "viridis"
DECIBELS = 80.0  # a mel_specgram's 0..1 is -80..0 dB
HERTZ_TICKS = (100, 200, 500, 1000, 2000, 5000, 10000)


@styled
def mean_spectra(spectra: Mapping[str, Values], *, mel_frequencies: Values) -> Figure:
    """Draws the mean spectrum of each genre in a grid, in the order given, with the spread of its tracks around it.

    The band holds 80 % of the genre's tracks at each frequency (quantiles 10 and 90 %). The line of the mean over all
    genres is the same in all panels: its distance from the genre's mean shows how the genre differs.

    Args:
        spectra: Genre -> `(track, n_mels)`, the mean over time of the mel_specgram of each of its training tracks.
        mel_frequencies: `(n_mels,)` the centre of each band in Hz, increasing.

    Raises:
        ValueError: Nothing to draw, or a spectrum that has another number of bands than mel_frequencies.
    """
    if not spectra:
        raise ValueError("there must be at least one genre to draw, got none")
    columns = min((5, 4, 3), key=lambda number: -len(spectra) % number) if len(spectra) > 3 else len(spectra)
    rows, levels = math.ceil(len(spectra) / columns), {genre: _decibels(values) for genre, values in spectra.items()}
    titles = [wrapped(genre, 80 // columns, 3) for genre in levels]
    lines = 1 + max(title.count("\n") for title in titles)
    figure = Figure((WIDTH, 1.3 + (1.55 + 0.2 * lines) * rows))
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    overall = np.mean([values.mean(axis=0) for values in levels.values()], axis=0)
    for axes, title, (genre, values) in zip(grid, titles, levels.items(), strict=False):
        if values.shape[1] != len(mel_frequencies):
            raise ValueError(f"{genre!r} must have {len(mel_frequencies)} mel bands, got {values.shape[1]}")
        bands = np.arange(len(mel_frequencies))
        low, high = np.quantile(values, [0.1, 0.9], axis=0)
        axes.fill_between(bands, low, high, color=BLUE, alpha=0.25, linewidth=0, label="80 % of the genre's tracks")
        axes.plot(bands, overall, color=DARK, linewidth=1, linestyle="--", label="mean of all genres")
        axes.plot(bands, values.mean(axis=0), color=BLUE, linewidth=1.8, label="mean of the genre")
        axes.text(0.97, 0.96, f"n = {len(values)}", transform=axes.transAxes, ha="right", va="top", size=8)
        axes.set_title(title, fontsize=9)
        axes.grid(axis="y")
    for axes in grid[len(spectra) :]:
        axes.remove()
    grid[0].set_xlim(0, len(mel_frequencies) - 1)
    grid[0].set_xticks(*_hertz_ticks(mel_frequencies, (200, 1000, 5000)))
    figure.supxlabel("frequency, Hz (mel scale)")
    figure.supylabel("dB relative to the track's peak")
    title = f"Mean spectra of {sum(map(len, levels.values()))} training tracks, by genre"
    entries = grid[0].get_legend_handles_labels()
    figure.legend(*entries, loc="outside upper left", ncols=3, title=title, alignment="left", title_fontsize=10)
    return figure


@styled
def spectrogram(
    mel_specgram: Values, *, sample_rate: int, hop_length: int, mel_frequencies: Values, title: str
) -> Figure:
    """Draws one mel_specgram, `(n_mels, frame)`, on the scale of -80..0 dB; see `augmentations`."""
    return _mel_panels({title: mel_specgram}, 1, sample_rate, hop_length, mel_frequencies)[0]


@styled
def augmentations(
    examples: Mapping[str, Values], *, sample_rate: int, hop_length: int, mel_frequencies: Values
) -> Figure:
    """Draws mel_specgrams in a grid, such as a clip and each augmentation of it, on one scale of -80..0 dB.

    Args:
        examples: Label -> `(n_mels, frame)` in 0..1, which stands for -80..0 dB relative to the track's peak.
        sample_rate: In Hz.
        hop_length: Samples from frame to frame.
        mel_frequencies: `(n_mels,)` the centre of each band in Hz, increasing.

    Raises:
        ValueError: Nothing to draw, or a mel_specgram that has another number of bands than mel_frequencies.
    """
    return _mel_panels(examples, min(3, len(examples)), sample_rate, hop_length, mel_frequencies)[0]


def _decibels(values: Values) -> Values:
    """Turns 0..1 into -80..0 dB."""
    return np.asarray(values, np.float32) * DECIBELS - DECIBELS


def _hertz_ticks(mel_frequencies: Values, hertz: Sequence[int]) -> tuple[Values, list[str]]:
    """Returns where on an axis of mel bands the frequencies lie that are within it, and their labels."""
    within = [tick for tick in hertz if mel_frequencies[0] <= tick <= mel_frequencies[-1]]
    return np.interp(within, mel_frequencies, np.arange(len(mel_frequencies))), [str(tick) for tick in within]


def _mel_image(axes: Axes, mel_specgram: Values, frame_seconds: float) -> None:
    """Draws `(n_mels, frame)` on -80..0 dB, with band i at the height i and the lowest at the bottom."""
    n_mels, frames = mel_specgram.shape
    axes.imshow(
        _decibels(mel_specgram),
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
    titles = [wrapped(label, 80 // columns, 3) for label in examples]
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
    grid[0].set_yticks(*_hertz_ticks(mel_frequencies, ticks))
    for axes in grid[len(examples) :]:
        axes.remove()
    panels = list(grid[: len(examples)])
    figure.supxlabel("time, s")
    figure.supylabel("frequency, Hz (mel scale)")
    colour_bar(figure, panels[0].images[0], panels, "dB relative to the track's peak")
    return figure, panels
