import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib.style
import numpy as np
import pandas as pd
import pytest
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.text import Text

from genre.figures import page
from genre.figures import results as result_figures
from genre.figures import spectrograms as spectrogram_figures

SHORT = ["rock", "pop", "jazz"]  # on purpose not in alphabetical order
# mathtext, a leading underscore (which legends skip), letters of other scripts, letters that DejaVu lacks
ODD = ["A$AP and $x_1$", "_hidden", "drum_and_bass", "música", "歌謡曲", "^a{b} \\$c", "$$"]
LONG = [f"subgenre number {number:02d} with a rather long name" for number in range(25)]
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


def mean_spectrograms(genres: list[str]) -> Figure:
    means = {genre: mel_specgram(0.4 + 0.01 * number) for number, genre in enumerate(genres)}
    return spectrogram_figures.mean_spectrograms(means, **MEL)


def over_time(genres: list[str], clips: int = 3) -> Figure:
    probabilities = np.full((clips, len(genres)), 1 / len(genres))
    return result_figures.predictions_over_time(probabilities, [5.0 * clip for clip in range(clips)], genres, "song")


def comparison(systems: list[str]) -> Figure:
    rows = [
        (system, subset, level, 0.7, *((0.6, 0.8) if level == "track" else (np.nan, np.nan)))
        for system in systems
        for subset in ("train", "test")
        for level in ("clip", "track")
    ]
    columns = ["system", "subset", "level", "accuracy", "low", "high"]
    return result_figures.baseline_comparison(pd.DataFrame(rows, columns=columns))


def spectrogram() -> Figure:
    return spectrogram_figures.spectrogram(mel_specgram(), title="blues.00000", **MEL)


def reliability() -> Figure:
    # bins of width 0.25: (0, 0.25] is right 0 of 1, (0.5, 0.75] 1 of 2, (0.75, 1] 1 of 1, one is empty
    confidence, correct = np.array([0.25, 0.6, 0.71, 1.0]), np.array([False, True, False, True])
    return result_figures.reliability(confidence, correct, bins=4, title="Test")


OF_NAMES: list[Callable[[list[str]], Figure]] = [confusion, genre_scores, mean_spectrograms, over_time, comparison]
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


@pytest.mark.parametrize("draw", EVERY.values(), ids=EVERY)
def test_the_same_figure_gives_the_same_bytes_saved_again_and_drawn_again(draw, tmp_path: Path):
    figure = draw()
    for name in ("first.png", "again.png"):
        page.save(figure, tmp_path / name)
    page.save(draw(), tmp_path / "redrawn.png")
    first, again, redrawn = ((tmp_path / name).read_bytes() for name in ("first.png", "again.png", "redrawn.png"))
    assert first == again
    assert first == redrawn


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


def test_another_suffix_than_png_is_an_error(tmp_path: Path):
    with pytest.raises(ValueError, match=r"must end in \.png, got 'a\.pdf'; rename it"):
        page.save(spectrogram(), tmp_path / "a.pdf")


@pytest.mark.parametrize("draw", OTHERS.values(), ids=OTHERS)
def test_nothing_reaches_over_the_edge_of_the_figure(draw):
    assert_within(draw())


@pytest.mark.parametrize("names", [SHORT[:2], ODD, LONG, ONE_WORD], ids=["two", "odd", "long", "one word"])
@pytest.mark.parametrize("draw", OF_NAMES)
def test_names_of_all_kinds_stay_within_the_figure_and_apart(draw, names: list[str]):
    figure = draw(names)
    assert_within(figure)
    assert touching(figure.axes[0].yaxis) == []
    assert draw is not confusion or touching(figure.axes[0].xaxis) == []


def assert_within(figure: Figure) -> None:
    with matplotlib.style.context(["default", page.STYLE]):
        drawn, page = figure.get_tightbbox(), figure.bbox_inches
    assert drawn.x0 >= 0
    assert drawn.y0 >= 0
    assert drawn.x1 <= page.x1
    assert drawn.y1 <= page.y1


@pytest.mark.parametrize("draw", OF_NAMES)
def test_a_dollar_or_an_underscore_in_a_name_is_drawn_as_it_is(draw):
    figure = draw(ODD)
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
    code = "import sys, genre.figures, genre.mel_figures; print({'matplotlib.pyplot', 'torch', 'mlflow'} & set(sys.modules))"
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        check=True,
        cwd=Path(__file__).parents[3],
        env=os.environ,
        text=True,
    )
    assert found.stdout == "set()\n"


def test_curves_show_both_subsets_and_mark_the_best_epoch():
    loss, accuracy, rate = result_figures.training_curves(history(), 3).axes
    assert [axes.get_ylabel() for axes in (loss, accuracy, rate)] == ["loss", "accuracy by clip", "learning rate"]
    assert rate.get_xlabel() == "epoch"
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["train", "valid"]
    assert loss.get_title("left") == "marked: epoch 3, valid accuracy 70.0%"
    assert all([3, 3] in [list(line.get_xdata()) for line in axes.lines] for axes in (loss, accuracy, rate))


@pytest.mark.parametrize("empty", [None, np.nan, ""], ids=["absent", "nan", "text"])
def test_curves_without_a_valid_subset_show_train_alone_and_mark_no_epoch(empty):
    table = history(valid=False)
    if empty is not None:
        table[["valid_loss", "valid_accuracy"]] = empty
    loss = result_figures.training_curves(table, 3).axes[0]
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["train"]
    assert loss.get_title("left") == ""
    assert [3, 3] not in [list(line.get_xdata()) for line in loss.lines]


def test_curves_of_one_epoch_have_one_tick_and_show_the_dot():
    figure = result_figures.training_curves(history(1), 1)
    low, high = figure.axes[0].get_ylim()
    assert low == 0
    assert high > 2
    assert [tick for tick in figure.axes[2].get_xticks() if 0.5 <= tick <= 1.5] == [1]


def test_a_loss_that_diverged_can_be_drawn(tmp_path: Path):
    table = history()
    table.loc[1:, ["train_loss", "valid_loss"]] = [np.nan, np.inf]
    page.save(result_figures.training_curves(table, 1), tmp_path / "a.png")
    assert (tmp_path / "a.png").exists()


def test_an_empty_history_is_an_error():
    with pytest.raises(ValueError, match=r"at least one epoch, got none; set train\.epochs to 1 or more"):
        result_figures.training_curves(history().head(0), 1)


def test_a_best_epoch_that_is_not_in_the_history_is_an_error():
    with pytest.raises(ValueError, match="best_epoch must be an epoch of the history, got 4; run the train stage"):
        result_figures.training_curves(history(), 4)


def test_a_confusion_cell_holds_the_share_of_its_row_and_the_count():
    actual, predicted = ["rock"] * 4 + ["pop"] * 2, ["rock", "jazz", "jazz", "jazz", "pop", "pop"]
    figure = result_figures.confusion_matrix(actual, predicted, SHORT, title="Test tracks")
    assert cells(figure) == {(0, 0): ["25%", "1"], (0, 2): ["75%", "3"], (1, 1): ["100%", "2"]}
    axes = figure.axes[0]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("actual genre", "predicted genre")
    assert axes.get_title("left") == "Test tracks"


def test_confusion_rows_and_columns_stand_in_the_order_given():
    axes = confusion(SHORT).axes[0]
    assert labels(axes.xaxis) == SHORT
    assert labels(axes.yaxis) == SHORT
    assert axes.get_ylim() == (2.5, -0.5)  # the first row is on top


def test_confusion_rows_sum_to_100_percent_or_nothing_and_counts_to_all():
    generator = np.random.default_rng(0)
    actual = [SHORT[number] for number in generator.integers(0, 2, 50)]
    predicted = [SHORT[number] for number in generator.integers(0, 3, 50)]
    figure = result_figures.confusion_matrix(actual, predicted, SHORT, title="Test")
    shares = figure.axes[0].images[0].get_array()
    np.testing.assert_allclose(shares.sum(axis=1), [100, 100, 0])
    assert sum(int(count) for _, count in cells(figure).values()) == 50


def test_an_unknown_genre_is_an_error_that_names_it():
    with pytest.raises(ValueError, match=r"actual must hold genres of the model \(rock, pop, jazz\), got 'polka'"):
        result_figures.confusion_matrix(["polka"], ["rock"], SHORT, title="Test")
    with pytest.raises(ValueError, match=r"predicted must hold genres of the model \(rock, pop, jazz\), got 'polka'"):
        result_figures.confusion_matrix(["rock"], ["polka"], SHORT, title="Test")


@pytest.mark.parametrize(("actual", "predicted"), [([], []), (["rock"], ["rock", "pop"])])
def test_a_confusion_matrix_of_nothing_or_of_unequal_lengths_is_an_error(actual, predicted):
    with pytest.raises(ValueError, match=f"not empty, got {len(actual)} and {len(predicted)}"):
        result_figures.confusion_matrix(actual, predicted, SHORT, title="Test")


def test_genre_scores_stand_in_the_order_given_with_their_counts():
    figure = genre_scores(SHORT)
    axes = figure.axes[0]
    assert labels(axes.yaxis) == SHORT
    assert axes.get_ylim() == (2.5, -0.5)
    assert labels(axes.child_axes[0].yaxis) == ["n = 7", "n = 8", "n = 9"]
    assert axes.get_xlabel() == "score"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["precision", "recall", "F1"]


def test_genre_scores_of_no_genre_are_an_error():
    with pytest.raises(ValueError, match="at least one genre, got none; run the evaluate stage again"):
        genre_scores([])


def test_a_reliability_bar_is_the_accuracy_of_its_bin_above_the_count():
    upper, lower = reliability().axes
    assert [bar.get_height() for bar in upper.patches] == [0, 0.5, 1]
    assert [text.get_text() for text in lower.texts] == ["1", "0", "2", "1"]
    assert (upper.get_ylabel(), lower.get_ylabel()) == ("share correct", "count")


def test_the_calibration_error_weights_each_bin_by_its_count():
    # 1/4 * |0 - 0.25| + 2/4 * |0.5 - 0.655| + 1/4 * |1 - 1| = 0.14
    assert reliability().axes[0].get_title("left") == "Test\nexpected calibration error 14.0%"


def test_a_perfectly_calibrated_model_has_no_calibration_error():
    figure = result_figures.reliability(np.full(4, 0.75), np.array([True, True, True, False]), title="Test")
    assert figure.axes[0].get_title("left").endswith("expected calibration error 0.0%")


@pytest.mark.parametrize("confidence", [1.1, -0.1, np.nan])
def test_a_confidence_outside_of_0_to_1_is_an_error(confidence):
    with pytest.raises(ValueError, match=rf"a confidence must be in 0\.\.1, got {confidence}; run the evaluate"):
        result_figures.reliability(np.array([0.5, confidence]), np.array([True, True]), title="Test")


def test_a_reliability_diagram_of_nothing_or_of_unequal_lengths_is_an_error():
    for length in (0, 2):
        with pytest.raises(ValueError, match=f"of equal length and not empty, got {length} and {length // 2}"):
            result_figures.reliability(np.full(length, 0.5), np.ones(length // 2, bool), title="Test")


def test_a_spectrogram_has_axes_in_seconds_and_hertz_and_80_decibels():
    figure = spectrogram()
    assert figure.get_supxlabel() == "time, s"
    assert figure.get_supylabel() == "frequency, Hz (mel scale)"
    axes, bar = figure.axes
    assert axes.get_title("left") == "blues.00000"
    assert bar.get_ylabel() == "dB relative to the track's peak"
    assert axes.images[0].get_clim() == (-80, 0)
    np.testing.assert_allclose(axes.images[0].get_array(), -40)
    np.testing.assert_allclose(axes.get_xlim(), (0, 20 * 1024 / 22050))


def test_a_frequency_tick_stands_at_the_band_of_that_frequency():
    frequencies = np.array([100.0, 200.0, 1000.0, 3000.0])
    figure = spectrogram_figures.spectrogram(
        mel_specgram(n_mels=4), sample_rate=22050, hop_length=512, mel_frequencies=frequencies, title="Test"
    )
    axes = figure.axes[0]
    assert labels(axes.yaxis) == ["100", "200", "500", "1000", "2000"]
    np.testing.assert_allclose(axes.get_yticks(), [0, 1, 1.375, 2, 2.5])


def test_the_lowest_band_is_drawn_at_the_bottom():
    axes = spectrogram().axes[0]
    assert axes.images[0].origin == "lower"
    assert axes.get_ylim() == (-0.5, 31.5)


@pytest.mark.parametrize("count", [1, 4, 7, 10])
def test_each_genre_has_one_panel_in_the_order_given(count: int):
    *panels, _ = mean_spectrograms([f"genre{number}" for number in range(count)]).axes
    assert [axes.get_title("left") for axes in panels] == [f"genre{number}" for number in range(count)]


def test_mean_spectrograms_share_the_scale_from_the_lowest_to_the_highest_mean():
    *panels, _ = spectrogram_figures.mean_spectrograms(
        {"rock": mel_specgram(0.25), "pop": mel_specgram(0.75)}, **MEL
    ).axes
    assert [axes.images[0].get_clim() for axes in panels] == [(-60, -20), (-60, -20)]


def test_augmentations_keep_their_labels_in_order_on_one_scale():
    examples = {label: mel_specgram() for label in ("original", "noise", "shift", "all together")}
    *panels, _ = spectrogram_figures.augmentations(examples, **MEL).axes
    assert [axes.get_title("left") for axes in panels] == list(examples)
    assert {axes.images[0].get_clim() for axes in panels} == {(-80, 0)}


def test_another_number_of_bands_than_frequencies_is_an_error():
    with pytest.raises(ValueError, match="'noise' must have 32 mel bands, got 31"):
        spectrogram_figures.augmentations({"original": mel_specgram(), "noise": mel_specgram(n_mels=31)}, **MEL)


@pytest.mark.parametrize("draw", [spectrogram_figures.mean_spectrograms, spectrogram_figures.augmentations])
def test_no_mel_specgram_at_all_is_an_error(draw):
    with pytest.raises(ValueError, match="at least one mel_specgram to draw, got none"):
        draw({}, **MEL)


def test_predictions_over_time_show_each_clip_from_its_start_and_the_mean():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.7, 0.1, 0.2]])
    time, whole, _ = result_figures.predictions_over_time(probabilities, [10.0, 12.5], SHORT, "song.mp3").axes
    mesh = time.collections[0]
    np.testing.assert_allclose(mesh.get_array(), probabilities.T)
    np.testing.assert_allclose(mesh.get_coordinates()[0, :, 0], [10, 12.5, 15])
    assert labels(time.yaxis) == SHORT
    assert time.get_ylim() == (2.5, -0.5)
    assert (time.get_title("left"), time.get_xlabel()) == ("song.mp3", "start of the clip, s")
    assert [text.get_text() for text in whole.texts] == ["60%", "20%", "20%"]


def test_a_single_clip_has_one_tick_at_its_start():
    assert list(over_time(SHORT, clips=1).axes[0].get_xticks()) == [0]


def test_probabilities_that_do_not_fit_the_clips_and_genres_are_an_error():
    with pytest.raises(ValueError, match=r"\(clip, genre\) = \(2, 3\) with a clip at least, got \(2, 2\)"):
        result_figures.predictions_over_time(np.ones((2, 2)), [0.0, 5.0], SHORT, "song")
    with pytest.raises(ValueError, match=r"\(clip, genre\) = \(0, 3\) with a clip at least, got \(0, 3\)"):
        result_figures.predictions_over_time(np.ones((0, 3)), [], SHORT, "song")


def test_systems_stand_in_the_order_given_with_dots_and_intervals():
    rows = [("network", "test", "track", 0.8, 0.7, 0.9), ("a baseline", "test", "track", 0.6, np.nan, np.nan)]
    columns = ["system", "subset", "level", "accuracy", "low", "high"]
    figure = result_figures.baseline_comparison(pd.DataFrame(rows, columns=columns))
    axes = figure.axes[0]
    assert labels(axes.yaxis) == ["network", "a baseline"]
    lines, dots = axes.collections
    np.testing.assert_allclose(dots.get_offsets(), [[0.8, 0], [0.6, 1]])
    np.testing.assert_allclose(lines.get_segments()[0], [[0.7, 0], [0.9, 0]])
    assert figure.get_supxlabel() == "accuracy, with 95% interval"


def test_each_level_has_a_panel_and_each_subset_an_entry_in_the_legend():
    figure = comparison(["network", "linear"])
    assert [axes.get_title("left") for axes in figure.axes] == ["by clip", "by track"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["train", "test"]


def test_a_comparison_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="at least one system, got none; run the evaluate stage again"):
        comparison([])


def test_an_unknown_subset_is_an_error():
    table = pd.DataFrame([{"system": "network", "subset": "dev", "level": "clip"}])
    with pytest.raises(ValueError, match="a subset must be one of train, valid, test, got 'dev'"):
        result_figures.baseline_comparison(table)
