from pathlib import Path

import numpy as np
import pandas as pd

from genre.figures import page
from genre.figures import results as result_figures
from genre.pipeline import files
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


def test_curves_without_a_valid_subset_show_train_alone_and_mark_no_epoch():
    loss = result_figures.training_curves(history(valid=False), 3).axes[0]
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


def test_genre_scores_stand_in_the_order_given_with_their_counts():
    figure = genre_scores(SHORT)
    axes = figure.axes[0]
    assert labels(axes.yaxis) == SHORT
    assert axes.get_ylim() == (2.5, -0.5)
    assert labels(axes.child_axes[0].yaxis) == ["n = 7", "n = 8", "n = 9"]
    assert axes.get_xlabel() == "score"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["precision", "recall", "F1"]


def test_a_reliability_bar_is_the_accuracy_of_its_bin_above_the_count():
    upper, lower = reliability().axes
    assert [bar.get_height() for bar in upper.patches] == [0, 0.5, 1]
    assert [text.get_text() for text in lower.texts] == ["0", "0", "1", "0", "0", "2", "0", "0", "0", "1"]
    assert (upper.get_ylabel(), lower.get_ylabel()) == ("share correct", "tracks in the bin")


def test_the_calibration_error_weights_each_bin_by_its_count():
    # 1/4 * |0 - 0.25| + 2/4 * |0.5 - 0.575| + 1/4 * |1 - 1| = 0.1
    assert reliability().axes[0].get_title("left") == "Test\nn = 4, expected calibration error 10.0%"


def test_a_perfectly_calibrated_model_has_no_calibration_error():
    figure = result_figures.reliability(np.full(4, 0.75), np.array([True, True, True, False]), title="Test")
    assert figure.axes[0].get_title("left").endswith("expected calibration error 0.0%")


def test_predictions_over_time_show_each_clip_where_it_is_and_the_whole():
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
    assert [text.get_text() for text in whole.texts] == ["61%", "18%", "21%"]  # the geometric mean


def test_where_two_clips_overlap_their_mean_is_drawn():
    probabilities = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1]])
    figure = result_figures.predictions_over_time(probabilities, [0.0, 3.0], 4.0, SHORT, "song")
    mesh = figure.axes[0].collections[0]
    np.testing.assert_allclose(mesh.get_coordinates()[0, :, 0], [0, 3, 4, 7])
    np.testing.assert_allclose(mesh.get_array().T, [[0.6, 0.3, 0.1], [0.4, 0.5, 0.1], [0.2, 0.7, 0.1]])


def test_clips_that_overlap_many_times_are_averaged_as_by_all_pairs():
    random = np.random.default_rng(0)
    starts, seconds = np.sort(random.uniform(0, 60, 100)), 4.0
    probabilities = random.dirichlet(np.ones(3), 100)
    figure = result_figures.predictions_over_time(probabilities, list(starts), seconds, SHORT, "song")
    mesh = figure.axes[0].collections[0]
    edges = mesh.get_coordinates()[0, :, 0]
    for piece, middle in enumerate((edges[1:] + edges[:-1]) / 2):
        covering = probabilities[(starts <= middle) & (middle < starts + seconds)]
        drawn = mesh.get_array()[:, piece]
        if len(covering):
            np.testing.assert_allclose(drawn, covering.mean(axis=0), atol=1e-9)
        else:
            assert drawn.mask.all()


def test_a_single_clip_is_drawn_over_its_length():
    assert over_time(SHORT, clips=1).axes[0].get_xlim() == (0, 5)


def test_systems_stand_in_the_order_given_with_dots_and_intervals():
    rows = [("the network", "test", 20, 0.8, 0.7, 0.9), ("linear baseline", "test", 20, 0.6, 0.5, 0.7)]
    columns = ["system", "subset", "n", "accuracy", "low", "high"]
    figure = result_figures.baseline_comparison(pd.DataFrame(rows, columns=columns))
    axes = figure.axes[0]
    assert labels(axes.yaxis) == ["the network", "linear baseline"]
    lines, dots = axes.collections
    np.testing.assert_allclose(dots.get_offsets(), [[0.8, 0], [0.6, 1]])
    np.testing.assert_allclose(lines.get_segments()[0], [[0.7, 0], [0.9, 0]])
    assert figure.get_supxlabel() == "accuracy, with 95% interval"


def test_each_subset_has_an_entry_in_the_legend():
    figure = comparison(["network", "linear"])
    assert [axes.get_title("left") for axes in figure.axes] == ["by track"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["train, n = 20", "test, n = 20"]


def test_scores_are_read_in_the_order_of_the_readme(tmp_path: Path):
    files.write_json({"test": {}}, tmp_path / "metrics.json")
    files.write_json({"majority": {}, "svm_mfcc": {}, "linear": {}}, tmp_path / "baselines.json")
    assert list(result_figures.read_scores(tmp_path)) == ["network", "linear", "svm_mfcc", "majority"]
