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
    """
    columns = min((5, 4, 3), key=lambda number: -len(spectra) % number) if len(spectra) > 3 else len(spectra)
    figure, panels = _grid(list(spectra), columns, height=1.55, margin=1.3)
    levels, bands = [_decibels(values) for values in spectra.values()], np.arange(len(mel_frequencies))
    overall = np.mean([values.mean(axis=0) for values in levels], axis=0)
    for axes, values in zip(panels, levels, strict=True):
        low, high = np.quantile(values, [0.1, 0.9], axis=0)
        axes.fill_between(bands, low, high, color=BLUE, alpha=0.25, linewidth=0, label="80 % of the genre's tracks")
        axes.plot(bands, overall, color=DARK, linewidth=1, linestyle="--", label="mean of all genres")
        axes.plot(bands, values.mean(axis=0), color=BLUE, linewidth=1.8, label="mean of the genre")
        axes.text(0.97, 0.96, f"n = {len(values)}", transform=axes.transAxes, ha="right", va="top", size=8)
        axes.grid(axis="y")
    panels[0].set_xlim(0, len(mel_frequencies) - 1)
    panels[0].set_xticks(*_hertz_ticks(mel_frequencies, (200, 1000, 5000)))
    figure.supxlabel("frequency, Hz (mel scale)")
    figure.supylabel("dB relative to the track's peak")
    title = f"Mean spectra of {sum(map(len, levels))} training tracks, by genre"
    entries = panels[0].get_legend_handles_labels()
    figure.legend(*entries, loc="outside upper left", ncols=3, title=title, alignment="left", title_fontsize=10)
    return figure


@styled
def spectrogram(
    mel_specgram: Values, *, sample_rate: int, hop_length: int, mel_frequencies: Values, title: str
) -> Figure:
    """Draws one mel_specgram, `(n_mels, frame)`, on the scale of -80..0 dB; see `augmentations`."""
    return _mel_panels({title: mel_specgram}, 1, hop_length / sample_rate, mel_frequencies)


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
    """
    return _mel_panels(examples, min(3, len(examples)), hop_length / sample_rate, mel_frequencies)


def _decibels(values: Values) -> Values:
    """Turns 0..1 into -80..0 dB."""
    return np.asarray(values, np.float32) * DECIBELS - DECIBELS


def _hertz_ticks(mel_frequencies: Values, hertz: Sequence[int]) -> tuple[Values, list[str]]:
    """Returns where on an axis of mel bands the frequencies lie that are within it, and their labels."""
    within = [tick for tick in hertz if mel_frequencies[0] <= tick <= mel_frequencies[-1]]
    return np.interp(within, mel_frequencies, np.arange(len(mel_frequencies))), [str(tick) for tick in within]


def _grid(labels: Sequence[str], columns: int, *, height: float, margin: float) -> tuple[Figure, list[Axes]]:
    """Makes a figure with a panel below each label, on common axes.

    Args:
        labels: They are broken into lines where they are long.
        columns: Panels in a row.
        height: Of a panel, in inches, without its label.
        margin: Inches above and below all panels.
    """
    titles, rows = [wrapped(label, 80 // columns, 3) for label in labels], math.ceil(len(labels) / columns)
    lines = 1 + max(title.count("\n") for title in titles)
    figure = Figure((WIDTH, margin + (height + 0.2 * lines) * rows))
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in grid[len(labels) :]:
        axes.remove()
    panels = list(grid[: len(labels)])
    for axes, title in zip(panels, titles, strict=True):
        axes.set_title(title, fontsize=9)
    return figure, panels


def _mel_panels(examples: Mapping[str, Values], columns: int, frame_seconds: float, mel_frequencies: Values) -> Figure:
    """Draws label -> `(n_mels, frame)` in a grid of panels on -80..0 dB, band i at the height i, in seconds and Hz."""
    height = min(3.4, 6.6 / columns)  # inches of a panel
    figure, panels = _grid(list(examples), columns, height=height + 0.1, margin=0.7)
    for axes, mel_specgram in zip(panels, examples.values(), strict=True):
        n_mels, frames = mel_specgram.shape
        extent = (0, frames * frame_seconds, -0.5, n_mels - 0.5)
        axes.imshow(
            _decibels(mel_specgram), LEVELS, aspect="auto", origin="lower", extent=extent, vmin=-DECIBELS, vmax=0
        )
    ticks = HERTZ_TICKS if height > 3 else HERTZ_TICKS[1:]  # the lowest two would touch in a small panel
    panels[0].set_yticks(*_hertz_ticks(mel_frequencies, ticks))
    figure.supxlabel("time, s")
    figure.supylabel("frequency, Hz (mel scale)")
    colour_bar(figure, panels[0].images[0], panels, "dB relative to the track's peak")
    return figure
