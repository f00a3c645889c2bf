from pathlib import Path

import numpy as np
import soundfile

from genre.prediction import predictions_page
from genre.prediction.predictions_page import write_predictions_page
from genre.prediction.predictor import Prediction
from tests.conftest import tone
from tests.genre.figures.browser import chromium, opened, wait_until


def predicted(*probabilities: float, unsure: bool = False) -> Prediction:
    values = np.array(probabilities, np.float32)
    return Prediction(["jazz", "pop"], values, np.stack([values, values]), np.array([0.0, 1.0]), 2.0, unsure)


def test_a_page_of_predictions_lists_plays_and_filters_recordings_of_no_known_genre(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    songs = [Path("music") / name for name in ("one.wav", "two & three.wav", "last.flac")]
    songs[0].parent.mkdir()
    for song in songs:
        soundfile.write(song, tone(440, 3.0, 8000), 8000)
    predictions = [predicted(0.9, 0.1), predicted(0.2, 0.8), predicted(0.5, 0.5, unsure=True)]
    write_predictions_page(list(zip(songs, predictions, strict=True)), Path("pages/genres.html"))
    with chromium() as browser, opened(browser, tmp_path / "pages" / "genres.html") as page:
        assert page.locator("h1").inner_text() == "Predicted genres of 3 recordings"
        assert page.locator("#headline div").all_inner_texts() == ["1\njazz", "1\npop", "1\nunsure"]
        assert page.locator("#confusion").is_hidden()
        assert page.locator("#systems").is_hidden()
        page.locator("#predicted").select_option("pop")
        assert page.locator("#list .name").all_inner_texts() == ["music/two & three.wav"]
        page.locator("#list .play").click()
        wait_until(page, "audio.currentTime > 0.1")
        assert page.evaluate("Math.round(audio.duration)") == 3
        page.locator("#predicted").select_option("")
        page.locator("#outcome").select_option("unsure")
        assert page.locator("#list .name").all_inner_texts() == ["music/last.flac"]


def test_the_numbers_at_the_head_add_up_to_all_recordings(tmp_path, monkeypatch):
    monkeypatch.setattr(predictions_page, "GENRES_SHOWN", 1)
    predictions = [predicted(0.9, 0.1), predicted(0.8, 0.2), predicted(0.2, 0.8), predicted(0.5, 0.5, unsure=True)]
    pairs = [(tmp_path / f"{number}.wav", prediction) for number, prediction in enumerate(predictions)]
    predictions_page.write_predictions_page(pairs, tmp_path / "genres.html")
    with chromium() as browser, opened(browser, tmp_path / "genres.html") as page:
        assert page.locator("#headline div").all_inner_texts() == ["2\njazz", "1\nother genres", "1\nunsure"]
