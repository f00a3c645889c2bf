import numpy as np
import pytest

from genre.figures import spectrograms as spectrogram_figures
from tests.genre.figures.examples import MEL, labels, mean_spectrograms, mel_specgram, spectrogram


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
