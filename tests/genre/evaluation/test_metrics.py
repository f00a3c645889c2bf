import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from genre.evaluation import metrics
from genre.evaluation.predictions import by_track

labels = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=50)


def table_of(rows, genres=("a", "b")):
    return pd.DataFrame(rows, columns=["track", "clip", "subset", "actual", "predicted", *genres])


def test_perfect_predictions_score_1():
    assert metrics.macro_f1(["a", "b"], ["a", "b"]) == 1


def test_no_predictions_are_an_error():
    with pytest.raises(ValueError, match="at least one, got 0 for 0"):
        metrics.macro_f1([], [])
    with pytest.raises(ValueError, match="got 1 for 2"):
        metrics.macro_f1(["a", "b"], ["a"])
    with pytest.raises(ValueError, match=r"correct must be in 0\.\.items"):
        metrics.wilson(3, 2)


@pytest.mark.parametrize(
    ("name", "score"),
    [
        ("macro_f1", lambda items: metrics.macro_f1(["a"] * items, ["a", "b"][: 2 * items])),
        ("bootstrap_macro_f1", lambda items: metrics.bootstrap_macro_f1(["a"] * items, ["a", "b"][: 2 * items])),
        ("calibration_error", lambda items: metrics.calibration_error(np.ones(2 * items), np.ones(items, bool))),
        ("log_loss", lambda items: metrics.log_loss(["a"] * items, np.ones((2 * items, 2)), "ab")),
    ],
)
def test_no_items_and_other_lengths_are_errors_of_every_score(name, score):
    for items in (0, 1):
        with pytest.raises(ValueError, match=f"{name} needs as many .* at least one, got {2 * items} for {items}"):
            score(items)


def test_perfect_and_sure_predictions_have_no_loss_no_calibration_error_and_rank_first():
    sure = np.eye(3)
    assert metrics.log_loss("abc", sure, "abc") == 0
    assert metrics.calibration_error(sure.max(axis=1), np.ones(3, bool)) == 0
    assert metrics.top2_accuracy(list("abc"), sure, "abc") == 1
    assert metrics.bootstrap_macro_f1(list("abc"), list("abc")) == (1, 1)


def test_calibration_error_of_a_table_worked_by_hand():
    # bins (0.5, 0.6]: 0.6 and 0.6, one right: gap 0.1; (0.8, 0.9]: 0.9, 0.9, both right: gap 0.1; weights 2/4 each
    confidence = np.array([0.6, 0.6, 0.9, 0.9])
    assert metrics.calibration_error(confidence, np.array([True, False, True, True])) == pytest.approx(0.1)


@given(labels)
@settings(max_examples=30)
def test_precision_recall_f1_and_support_of_genres_agree_with_scikit_learn(pairs):
    rows = [(f"t{n}", 0, "test", actual, predicted, 0.1, 0.2, 0.3) for n, (actual, predicted) in enumerate(pairs)]
    table = table_of(rows, genres=("a", "b", "c"))
    theirs = sklearn_metrics.classification_report(
        table["actual"], table["predicted"], labels=list("abc"), output_dict=True, zero_division=0
    )
    for genre, row in metrics.per_genre(table).to_dict("index").items():
        assert list(row.values()) == pytest.approx(list(theirs[genre].values()))


@given(labels)
@settings(max_examples=30)
def test_macro_f1_agrees_with_scikit_learn(pairs):
    actual, predicted = map(list, zip(*pairs, strict=True))
    theirs = sklearn_metrics.f1_score(actual, predicted, labels=sorted(set(actual)), average="macro", zero_division=0)
    assert metrics.macro_f1(actual, predicted) == pytest.approx(theirs)


def test_wilson_gives_the_published_interval_of_144_of_200():
    assert metrics.wilson(144, 200) == pytest.approx((0.6541, 0.7776), abs=1e-4)
    assert metrics.wilson(0, 10)[0] == 0
    assert metrics.wilson(10, 10)[1] == pytest.approx(1)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_share_and_stays_in_0_to_1(counts):
    low, high = metrics.wilson(*counts)
    assert 0 <= low <= counts[0] / counts[1] + 1e-12
    assert counts[0] / counts[1] - 1e-12 <= high <= 1


def test_the_bootstrap_interval_holds_the_score_and_repeats():
    random = np.random.default_rng(0)
    actual = random.choice(list("abc"), 200)
    predicted = np.where(random.random(200) < 0.7, actual, "a")
    low, high = metrics.bootstrap_macro_f1(actual, predicted)
    assert low < metrics.macro_f1(actual, predicted) < high
    assert high - low < 0.2
    assert metrics.bootstrap_macro_f1(actual, predicted) == (low, high)


def test_the_second_guess_counts_and_the_third_does_not():
    probabilities = np.array([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5], [0.5, 0.3, 0.2]])
    assert metrics.top2_accuracy(list("bca"), probabilities, "abc") == 1
    assert metrics.top2_accuracy(list("cca"), probabilities, "abc") == pytest.approx(2 / 3)
    assert metrics.top2_accuracy(list("ab"), probabilities[:2, :2], "ab") == 1
    equal = np.full((10, 3), 1 / 3)
    assert metrics.top2_accuracy(list("aaaaaaaabc"), equal, "abc") == pytest.approx(0.9)  # the first two, as predicted


def test_calibration_is_0_when_right_as_often_as_sure_and_the_gap_otherwise():
    assert metrics.calibration_error(np.full(4, 0.75), np.array([True, True, True, False])) == pytest.approx(0)
    assert metrics.calibration_error(np.full(10, 0.9), np.zeros(10, bool)) == pytest.approx(0.9)


def test_log_loss_agrees_with_scikit_learn():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), 30)
    actual = list("abc" * 10)
    assert metrics.log_loss(actual, probabilities, "abc") == pytest.approx(
        sklearn_metrics.log_loss(actual, probabilities, labels=list("abc"))
    )


def test_the_summary_holds_the_figures_of_the_contract_and_no_nan():
    table = table_of([(f"t{n}", c, "test", "ab"[n % 2], "a", 0.7, 0.3) for n in range(6) for c in range(2)])
    summary = metrics.summary(table)
    assert {
        "clip_accuracy",
        "track_accuracy",
        "track_accuracy_low",
        "track_accuracy_high",
        "track_macro_f1",
        "loss",
    } <= set(summary)
    assert all(np.isfinite(value) for value in summary.values())
    assert summary["track_accuracy"] == 0.5


def test_scores_by_genre_are_in_the_order_of_the_columns_with_support():
    table = table_of([("t", 0, "test", "b", "b", 0.1, 0.9), ("u", 0, "test", "a", "b", 0.2, 0.8)], genres=("a", "b"))
    scores = metrics.per_genre(by_track(table))
    assert list(scores.index) == ["a", "b"]
    assert scores.loc["b"].tolist() == [0.5, 1.0, pytest.approx(2 / 3), 1]


def test_answers_are_the_tracks_that_are_sure_enough_and_their_accuracy():
    confidence, correct = np.array([0.9, 0.5, 0.6, 0.2]), np.array([True, True, False, False])
    assert metrics.answers(confidence, correct, 0.5) == {"answered": 0.75, "answered_accuracy": pytest.approx(2 / 3)}
    assert metrics.answers(confidence, correct, 0.0) == {"answered": 1.0, "answered_accuracy": 0.5}


def test_the_accuracy_of_no_answers_is_left_out():
    assert metrics.answers(np.array([0.9]), np.array([True]), 1.01) == {"answered": 0.0}
    with pytest.raises(ValueError, match="answers needs as many predictions as labels, at least one, got 0 for 0"):
        metrics.answers(np.array([]), np.array([], bool), 0.5)


def test_the_summary_of_a_system_with_a_threshold_says_how_much_is_answered():
    rows = table_of([("t", 0, "test", "a", "a", 0.9, 0.1), ("u", 0, "test", "a", "b", 0.4, 0.6)])
    plain, careful = metrics.summary(rows), metrics.summary(rows, 0.7)
    assert careful == plain | {"answered": 0.5, "answered_accuracy": 1.0}
    assert metrics.by_subset(rows, ["test"], 0.7) == {"test": careful}
