from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from genre.figures import page
from genre.figures import results as result_figures
from tests.genre.figures.examples import (
    SHORT,
    cells,
    comparison,
    confusion,
    genre_scores,
    history,
    labels,
    over_time,
    reliability,
)


def test_curves_show_both_subsets_and_mark_the_best_epoch():
    loss, accuracy, rate = result_figures.training_curves(history(), 3).axes
    assert [axes.get_ylabel() for axes in (loss, accuracy, rate)] == [
        "cross entropy",
        "accuracy by clip",
        "learning rate",
    ]
    assert rate.get_xlabel() == "epoch"
    assert [text.get_text().partition(":")[0] for text in loss.figure.legends[0].get_texts()] == ["train", "valid"]
    assert "with augmentation, dropout and label smoothing" in loss.figure.legends[0].get_texts()[0].get_text()
    assert loss.get_title("left") == "marked: epoch 3, valid accuracy 70.0%"
    assert all([3, 3] in [list(line.get_xdata()) for line in axes.lines] for axes in (loss, accuracy, rate))


@pytest.mark.parametrize("empty", [None, np.nan, ""], ids=["absent", "nan", "text"])
def test_curves_without_a_valid_subset_show_train_alone_and_mark_no_epoch(empty):
    table = history(valid=False)
    if empty is not None:
        table[["valid_loss", "valid_accuracy"]] = empty
    loss = result_figures.training_curves(table, 3).axes[0]
    assert [text.get_text().partition(":")[0] for text in loss.figure.legends[0].get_texts()] == ["train"]
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
    assert axes.get_title("left") == "Test tracks\nn = 6, 50.0% correct"


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
    assert (upper.get_ylabel(), lower.get_ylabel()) == ("share correct", "tracks in the bin")


def test_the_calibration_error_weights_each_bin_by_its_count():
    # 1/4 * |0 - 0.25| + 2/4 * |0.5 - 0.655| + 1/4 * |1 - 1| = 0.14
    assert reliability().axes[0].get_title("left") == "Test\nn = 4, expected calibration error 14.0%"


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


def test_predictions_over_time_show_each_clip_where_it_is_and_the_mean():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.7, 0.1, 0.2]])
    time, whole, _ = result_figures.predictions_over_time(probabilities, [0.0, 5.0], 4.0, SHORT, "song.mp3").axes
    mesh = time.collections[0]
    np.testing.assert_allclose(mesh.get_coordinates()[0, :, 0], [0, 4, 5, 9])
    drawn = mesh.get_array()
    np.testing.assert_allclose(drawn[:, [0, 2]], probabilities.T)
    assert drawn.mask[:, 1].all()  # what no clip covers stays blank
    assert time.get_xlim() == (0, 9)
    assert labels(time.yaxis) == SHORT
    assert time.get_ylim() == (2.5, -0.5)
    assert (time.get_title("left"), time.get_xlabel()) == ("song.mp3", "time, s (clips of 4.0 s)")
    assert [text.get_text() for text in whole.texts] == ["60%", "20%", "20%"]


def test_where_two_clips_overlap_their_mean_is_drawn():
    probabilities = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1]])
    figure = result_figures.predictions_over_time(probabilities, [0.0, 3.0], 4.0, SHORT, "song")
    mesh = figure.axes[0].collections[0]
    np.testing.assert_allclose(mesh.get_coordinates()[0, :, 0], [0, 3, 4, 7])
    np.testing.assert_allclose(mesh.get_array().T, [[0.6, 0.3, 0.1], [0.4, 0.5, 0.1], [0.2, 0.7, 0.1]])


def test_a_single_clip_is_drawn_over_its_length():
    assert over_time(SHORT, clips=1).axes[0].get_xlim() == (0, 5)


def test_probabilities_that_do_not_fit_the_clips_and_genres_are_an_error():
    with pytest.raises(ValueError, match=r"\(clip, genre\) = \(2, 3\) with a clip at least, got \(2, 2\)"):
        result_figures.predictions_over_time(np.ones((2, 2)), [0.0, 5.0], 5.0, SHORT, "song")
    with pytest.raises(ValueError, match=r"\(clip, genre\) = \(0, 3\) with a clip at least, got \(0, 3\)"):
        result_figures.predictions_over_time(np.ones((0, 3)), [], 5.0, SHORT, "song")


def test_systems_stand_in_the_order_given_with_dots_and_intervals():
    rows = [("network", "test", "track", 20, 0.8, 0.7, 0.9), ("other", "test", "track", 20, 0.6, np.nan, np.nan)]
    columns = ["system", "subset", "level", "n", "accuracy", "low", "high"]
    figure = result_figures.baseline_comparison(pd.DataFrame(rows, columns=columns))
    axes = figure.axes[0]
    assert labels(axes.yaxis) == ["the network", "other"]
    lines, dots = axes.collections
    np.testing.assert_allclose(dots.get_offsets(), [[0.8, 0], [0.6, 1]])
    np.testing.assert_allclose(lines.get_segments()[0], [[0.7, 0], [0.9, 0]])
    assert figure.get_supxlabel() == "accuracy, with 95% interval"


def test_each_level_has_a_panel_and_each_subset_an_entry_in_the_legend():
    figure = comparison(["network", "linear"])
    assert [axes.get_title("left") for axes in figure.axes] == ["by clip", "by track"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["train, n = 20", "test, n = 20"]


def test_systems_stand_in_the_order_of_the_readme_and_unknown_ones_last():
    assert result_figures.ordered(["mine", "majority", "svm_mfcc", "linear", "network"]) == [
        "network", "linear", "svm_mfcc", "majority", "mine",
    ]  # fmt: skip


def test_a_comparison_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="at least one system, got none; run the evaluate stage again"):
        comparison([])


def test_an_unknown_subset_is_an_error():
    table = pd.DataFrame([{"system": "network", "subset": "dev", "level": "clip"}])
    with pytest.raises(ValueError, match="a subset must be one of train, valid, test, got 'dev'"):
        result_figures.baseline_comparison(table)
