"""Small pictures of spectrograms, of which a page can hold hundreds."""

import io

import numpy as np
import numpy.typing as npt
from matplotlib import colormaps
from PIL import Image

from genre.figures.page import Values
from genre.figures.spectrograms import LEVELS

WIDTH, HEIGHT = 240, 48  # pixels
SHADES = 24  # few, so that a picture takes only some 4 kB


def picture(mel_specgram: Values) -> bytes:
    """Draws a mel_specgram `(n_mels, frame)` in 0..1 as a small PNG, the lowest band at the bottom.

    Bands and frames are averaged where there are more of them than pixels, so the picture of a long recording takes
    no more space than that of a short one.
    """
    small = _averaged(_averaged(mel_specgram, min(WIDTH, mel_specgram.shape[1])).T, min(HEIGHT, len(mel_specgram))).T
    levels = np.clip(np.rint(small[::-1] * (SHADES - 1)), 0, SHADES - 1).astype(np.uint8)
    image = Image.fromarray(np.ascontiguousarray(levels))
    image.putpalette((colormaps[LEVELS](np.linspace(0, 1, SHADES))[:, :3] * 255).round().astype(np.uint8).tobytes())
    with io.BytesIO() as file:
        image.save(file, "png", optimize=True, bits=8)
        return file.getvalue()


def _averaged(values: Values, columns: int) -> npt.NDArray[np.float32]:
    """Averages the columns of `(row, column)` in groups of about equal size."""
    edges = np.linspace(0, values.shape[1], columns + 1).astype(int)
    sums = np.add.reduceat(values.astype(np.float32), edges[:-1], axis=1)
    return np.asarray(sums / np.diff(edges), np.float32)
