import functools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib.style
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from genre.figures import page
from tests.genre.figures.examples import (
    EVERY,
    LONG,
    ODD,
    OF_NAMES,
    ONE_WORD,
    OTHERS,
    SHORT,
    confusion,
    genre_scores,
    labels,
    spectrogram,
    texts,
    touching,
)


@functools.cache
def figure_of(draw: Callable[[list[str]], Figure], *names: str) -> Figure:
    """Draws a figure once for all tests that only look at it."""
    return draw(list(names))


@pytest.mark.parametrize("draw", EVERY.values(), ids=EVERY)
def test_the_same_figure_drawn_again_gives_the_same_bytes(draw, tmp_path: Path):
    for name in ("first.png", "redrawn.png"):
        page.save(draw(), tmp_path / name)
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "redrawn.png").read_bytes()


@pytest.mark.parametrize("kind", ["mean_spectra", "reliability"])  # the most axes, and a legend outside of them
def test_a_figure_saved_again_gives_the_same_bytes(kind: str, tmp_path: Path):
    figure = EVERY[kind]()
    for name in ("first.png", "again.png"):
        page.save(figure, tmp_path / name)
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "again.png").read_bytes()


def assert_within(figure: Figure) -> None:
    with matplotlib.style.context(["default", page.STYLE]):
        drawn, sheet = figure.get_tightbbox(), figure.bbox_inches
    assert drawn.x0 >= 0
    assert drawn.y0 >= 0
    assert drawn.x1 <= sheet.x1
    assert drawn.y1 <= sheet.y1


def test_a_png_holds_no_software_and_no_date_and_is_150_dpi(tmp_path: Path):
    page.save(spectrogram(), tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    assert content.startswith(b"\x89PNG\r\n")
    assert not [chunk for chunk in (b"tEXt", b"iTXt", b"zTXt", b"tIME", b"eXIf") if chunk in content]
    assert int.from_bytes(content[16:20]) == page.WIDTH * 150


def test_saving_replaces_the_old_file_and_leaves_no_other(tmp_path: Path):
    (tmp_path / "a.png").write_text("old")
    page.save(spectrogram(), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes() != b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_figure_that_cannot_be_drawn_leaves_the_old_file_and_no_other(tmp_path: Path):
    figure = spectrogram()

    def fail(*_: object) -> None:
        raise RuntimeError("disk full")

    figure.draw = fail  # type: ignore[method-assign]
    (tmp_path / "a.png").write_text("old")
    with pytest.raises(RuntimeError, match="disk full"):
        page.save(figure, tmp_path / "a.png")
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.png", "old")]


@pytest.mark.parametrize("draw", OTHERS.values(), ids=OTHERS)
def test_nothing_reaches_over_the_edge_of_the_figure(draw):
    assert_within(draw())


@pytest.mark.parametrize("names", [SHORT[:2], ODD, LONG, ONE_WORD], ids=["two", "odd", "long", "one word"])
@pytest.mark.parametrize("draw", OF_NAMES)
def test_names_of_all_kinds_stay_within_the_figure_and_apart(draw, names: list[str]):
    figure = figure_of(draw, *names)
    assert_within(figure)
    assert touching(figure.axes[0].yaxis) == []
    assert draw is not confusion or touching(figure.axes[0].xaxis) == []


@pytest.mark.parametrize("draw", OF_NAMES)
def test_a_dollar_or_an_underscore_in_a_name_is_drawn_as_it_is(draw):
    figure = figure_of(draw, *ODD)
    # A name may be broken into lines.
    assert set(ODD) <= {text.replace("\n", " ") for text in texts(figure)}
    assert not any(text.get_parse_math() for text in figure.findobj(Text))


def test_a_long_name_keeps_its_start_and_end_and_stays_distinct():
    drawn = labels(genre_scores(LONG).axes[0].yaxis)
    assert len(set(drawn)) == len(LONG)
    cut = labels(genre_scores([f"{'x' * 99}{end}" for end in "ab"]).axes[0].yaxis)
    assert [(label[0], label[-1], "…" in label) for label in cut] == [("x", "a", True), ("x", "b", True)]


def test_matplotlibs_settings_stay_as_they_were_and_do_not_matter(tmp_path: Path):
    page.save(genre_scores(SHORT), tmp_path / "before.png")
    with matplotlib.rc_context({"font.size": 33, "figure.dpi": 31, "savefig.facecolor": "red"}):
        settings = dict(matplotlib.rcParams)
        page.save(genre_scores(SHORT), tmp_path / "after.png")
        assert dict(matplotlib.rcParams) == settings
    assert (tmp_path / "before.png").read_bytes() == (tmp_path / "after.png").read_bytes()


@pytest.mark.slow
def test_importing_figures_imports_neither_pyplot_nor_torch_nor_mlflow():
    code = "import sys, genre.figures.results, genre.figures.spectrograms; print({'matplotlib.pyplot', 'torch', 'mlflow'} & set(sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[3],
        env=os.environ,
        text=True,
    )
    assert found.stdout == "set()\n"
