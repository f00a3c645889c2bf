import numpy as np
import pytest

from genre.figures import spectrograms as spectrogram_figures
from tests.genre.figures.examples import MEL, labels, mean_spectra, mel_specgram, spectrogram


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
def test_each_genre_has_one_panel_in_the_order_given_with_its_number_of_tracks(count: int):
    panels = mean_spectra([f"genre{number}" for number in range(count)]).axes
    assert [axes.get_title("left") for axes in panels] == [f"genre{number}" for number in range(count)]
    assert {axes.texts[0].get_text() for axes in panels} == {"n = 11"}


def test_mean_spectra_show_the_mean_of_the_genre_that_of_all_genres_and_80_percent_of_the_tracks():
    levels = {"rock": np.linspace(0, 1, 11), "pop": np.full(11, 0.25)}
    spectra = {genre: values[:, None].repeat(32, axis=1) for genre, values in levels.items()}
    figure = spectrogram_figures.mean_spectra(spectra, mel_frequencies=MEL["mel_frequencies"])
    rock = figure.axes[0]
    overall, mean = (line.get_ydata() for line in rock.lines)
    np.testing.assert_allclose(mean, -40, atol=1e-4)
    np.testing.assert_allclose(overall, (-40 - 60) / 2, atol=1e-4)
    band = rock.collections[0].get_paths()[0].get_extents()
    np.testing.assert_allclose([band.y0, band.y1], [-72, -8], atol=1e-4)
    assert figure.legends[0].get_title().get_text() == "Mean spectra of 22 training tracks, by genre"


def test_augmentations_keep_their_labels_in_order_on_one_scale():
    examples = {label: mel_specgram() for label in ("original", "noise", "shift", "all together")}
    *panels, _ = spectrogram_figures.augmentations(examples, **MEL).axes
    assert [axes.get_title("left") for axes in panels] == list(examples)
    assert {axes.images[0].get_clim() for axes in panels} == {(-80, 0)}
