"""Every figure with small values, and what can be read from a drawn one."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text

from genre.figures import results as result_figures
from genre.figures import spectrograms as spectrogram_figures

SHORT = ["rock", "pop", "jazz"]  # on purpose not in alphabetical order
# mathtext, a leading underscore (which legends skip), letters of other scripts, letters that DejaVu lacks
ODD = ["A$AP and $x_1$", "_hidden", "drum_and_bass", "música", "歌謡曲", "^a{b} \\$c", "$$"]
LONG = [f"subgenre number {number:02d} with a rather long name" for number in range(15)]
ONE_WORD = ["Donaudampfschifffahrtskapitän" * 8, "x" * 200, "pop"]
MEL = {"sample_rate": 22050, "hop_length": 1024, "mel_frequencies": np.geomspace(50, 10500, 32)}


def history(epochs: int = 3, *, valid: bool = True) -> pd.DataFrame:
    table = pd.DataFrame({"epoch": range(1, epochs + 1), "learning_rate": 1e-3})
    for subset in ["train", "valid"] if valid else ["train"]:
        table[f"{subset}_loss"] = np.linspace(2, 1, epochs)
        table[f"{subset}_accuracy"] = np.linspace(0.2, 0.7, epochs)
    return table


def mel_specgram(value: float = 0.5, n_mels: int = 32) -> np.ndarray:
    return np.full((n_mels, 20), value, np.float16)


def confusion(genres: list[str]) -> Figure:
    return result_figures.confusion_matrix(genres, genres[::-1], genres, title="Test")


def genre_scores(genres: list[str]) -> Figure:
    values = {"precision": 0.5, "recall": 1.0, "f1": 2 / 3, "support": range(7, 7 + len(genres))}
    return result_figures.genre_scores(pd.DataFrame(values, index=genres), title="Test")


def mean_spectra(genres: list[str]) -> Figure:
    spectra = {genre: np.linspace(0.2, 0.8, 11)[:, None].repeat(32, axis=1) for genre in genres}
    return spectrogram_figures.mean_spectra(spectra, mel_frequencies=MEL["mel_frequencies"])


def over_time(genres: list[str], clips: int = 3) -> Figure:
    probabilities = np.full((clips, len(genres)), 1 / len(genres))
    return result_figures.predictions_over_time(
        probabilities, [5.0 * clip for clip in range(clips)], 5.0, genres, "song"
    )


def comparison(systems: list[str]) -> Figure:
    rows = [(system, subset, 20, 0.7, 0.6, 0.8) for system in systems for subset in ("train", "test")]
    columns = ["system", "subset", "n", "accuracy", "low", "high"]
    return result_figures.baseline_comparison(pd.DataFrame(rows, columns=columns))


def spectrogram() -> Figure:
    return spectrogram_figures.spectrogram(mel_specgram(), title="blues.00000", **MEL)


def reliability() -> Figure:
    # (0.2, 0.3] is right 0 of 1, (0.5, 0.6] 1 of 2, (0.9, 1] 1 of 1, the others are empty
    confidence, correct = np.array([0.25, 0.55, 0.6, 1.0]), np.array([False, True, False, True])
    return result_figures.reliability(confidence, correct, title="Test")


OF_NAMES: list[Callable[[list[str]], Figure]] = [confusion, genre_scores, mean_spectra, over_time, comparison]
OTHERS: dict[str, Callable[[], Figure]] = {
    "training_curves": lambda: result_figures.training_curves(history(), 2),
    "reliability": reliability,
    "spectrogram": spectrogram,
    "augmentations": lambda: spectrogram_figures.augmentations(
        {"original": mel_specgram(), "noise": mel_specgram(1.05)}, **MEL
    ),
}
EVERY = {**{draw.__name__: lambda draw=draw: draw(SHORT) for draw in OF_NAMES}, **OTHERS}


def labels(axis: Axis) -> list[str]:
    return [label.get_text() for label in axis.get_ticklabels()]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text)]


def cells(figure: Figure) -> dict[tuple[int, int], list[str]]:
    """Gives (row, column) -> the texts of that cell, from top to bottom."""
    found: dict[tuple[int, int], list[str]] = {}
    for text in figure.axes[0].texts:
        column, row = text.get_position()
        found.setdefault((int(row), int(column)), []).append(text.get_text())
    return found


def touching(axis: Axis) -> list[str]:
    """Gives the tick labels that touch the one before them."""
    ticks = axis.get_ticklabels()
    boxes = [tick.get_window_extent() for tick in ticks]
    return [tick.get_text() for tick, box, last in zip(ticks[1:], boxes[1:], boxes, strict=False) if box.overlaps(last)]
