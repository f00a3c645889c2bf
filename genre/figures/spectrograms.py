"""Figures of spectrograms: of a track, of a genre's mean, and of what augmentation makes of a clip."""

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from genre.figures.page import WIDTH, Values, colour_bar, styled, wrapped

LEVELS = "viridis"
DECIBELS = 80.0  # a mel_specgram's 0..1 is -80..0 dB
HERTZ_TICKS = (100, 200, 500, 1000, 2000, 5000, 10000)


@styled
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


@styled
def spectrogram(
    mel_specgram: Values, *, sample_rate: int, hop_length: int, mel_frequencies: Values, title: str
) -> Figure:
    """Draws one mel_specgram, `(n_mels, frame)`, on the scale of -80..0 dB; see `mean_spectrograms`."""
    return _mel_panels({title: mel_specgram}, 1, sample_rate, hop_length, mel_frequencies)[0]


@styled
def augmentations(
    examples: Mapping[str, Values], *, sample_rate: int, hop_length: int, mel_frequencies: Values
) -> Figure:
    """Draws label -> mel_specgram, such as the original and each augmentation of it; see `mean_spectrograms`."""
    return _mel_panels(examples, min(3, len(examples)), sample_rate, hop_length, mel_frequencies)[0]


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
    hertz = [tick for tick in ticks if mel_frequencies[0] <= tick <= mel_frequencies[-1]]
    places = np.interp(hertz, mel_frequencies, np.arange(len(mel_frequencies)))
    grid[0].set_yticks(places, [str(tick) for tick in hertz])
    for axes in grid[len(examples) :]:
        axes.remove()
    panels = list(grid[: len(examples)])
    figure.supxlabel("time, s")
    figure.supylabel("frequency, Hz (mel scale)")
    colour_bar(figure, panels[0].images[0], panels, "dB relative to the track's peak")
    return figure, panels
