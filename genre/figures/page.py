"""The common look of all figures: size, fonts and colours; and how a figure is saved.

Figures are made for a white page of 800 pixels width. They need no display, do not change matplotlib's settings, and
use its defaults and fonts, so that the same version of it draws the same bytes on every machine.
"""

import functools
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec

import matplotlib.style
import numpy as np
import numpy.typing as npt
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from genre.pipeline import files

DPI = 150
WIDTH = 8.0  # inches: 1200 pixels, so that text of 9 points is 12 pixels high at 800
NAME_WIDTH = 25  # characters in a line of a genre's or system's name, of which there may be two
# Okabe and Ito (2008), https://jfly.uni-koeln.de/color/: told apart with any colour vision.
BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
DARK, LIGHT = "#4D4D4D", "#D9D9D9"
# DejaVu lacks Chinese, Japanese and Korean; the last font draws a box for any letter that no other font has.
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


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Runs `draw` under STYLE on top of matplotlib's defaults, whatever the user's own settings are."""

    @functools.wraps(draw)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.style.context(["default", STYLE]):
            figure = draw(*args, **kwargs)
            # Each pass of the layout starts from the result of the last and changes it a little: one pass only.
            ConstrainedLayoutEngine().execute(figure)
            return figure

    return drawn


def save(figure: Figure, path: Path) -> None:
    """Writes a PNG of DPI dots per inch, whole or not at all; the same figure gives the same bytes."""
    with matplotlib.style.context(["default", STYLE]), files.replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=DPI, metadata={"Software": None})


def wrapped(name: str, width: int, lines: int) -> str:
    """Breaks a long name into lines; if it is still too long, leaves out its middle, as names differ at their ends."""
    shorter = (f"{name[:half]}…{name[-half:]}" for half in range((len(name) - 1) // 2, 0, -1))
    wraps = (textwrap.wrap(kept, width) for kept in (name, *shorter))
    return "\n".join(next(wrap for wrap in wraps if len(wrap) <= lines))


def name_ticks(axis: Axis, names: Sequence[str], *, rotation: int = 0, reverse: bool = False) -> None:
    """Labels the positions 0, 1, ... with names; `reverse` puts the first one on top of a vertical axis."""
    labels = [wrapped(name, NAME_WIDTH, 2) for name in names]
    size = 7.5 if any("\n" in label for label in labels) else 9
    axis.set_ticks(range(len(names)), labels, rotation=rotation, fontsize=size, linespacing=1.0)
    axis.set_tick_params(length=0)
    if reverse:
        axis.axes.set_ylim(len(names) - 0.5, -0.5)


def colour_bar(figure: Figure, image: ScalarMappable, panels: Sequence[Axes], label: str) -> None:
    """Draws a colour bar at the right of the panels, of about the same size in figures of all heights."""
    shrink = min(1.0, 3.6 / figure.get_figheight())
    figure.colorbar(image, ax=panels, label=label, shrink=shrink, aspect=24, fraction=0.05)
