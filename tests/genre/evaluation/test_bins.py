import numpy as np

from genre.evaluation.bins import confidence_bins


def test_an_edge_belongs_to_the_bin_below_and_zero_to_the_first():
    assert confidence_bins(np.array([0.0, 0.05, 0.1, 0.11, 0.6, 0.95, 1.0])).tolist() == [0, 0, 0, 1, 5, 9, 9]


def test_the_digits_of_a_table_have_the_bin_of_the_number_in_memory():
    edge = np.array([0.6])
    for confidence in (edge, edge.astype(np.float32), edge - 5e-7, edge + 5e-7, np.nextafter(edge, 1)):
        assert confidence_bins(confidence).tolist() == [5]
    assert confidence_bins(edge + 2e-5).tolist() == [6]
