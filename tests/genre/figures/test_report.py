"""The page of results, looked at in a browser."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from genre.evaluation import metrics, predictions
from genre.figures import report, web_page
from genre.pipeline import files, tables
from genre.spectrograms import store
from tests.conftest import tone
from tests.genre.figures.browser import chromium, opened, wait_until

GENRES = ["<b>rock", "jazz", "pop & soul"]
SUBSETS = ["train", "valid", "test", "test"]  # of the tracks of each genre
MODEL = {
    "clip_params": {"clips_per_track": 2, "clip_frames": 32, "clip_spacing": "even"},
    "spectrogram": {"sample_rate": 8000, "hop_length": 200},  # 40 frames a second: a clip takes 0.8 s
    "calibration": {"unsure_below": 0.6},
}
WRONG, UNSURE, ODD = "jazz/2", "pop & soul/3", "jazz/a #1%20?é"
FRAMES = 120  # 3 s


def track_of(genre: str, number: int) -> str:
    """Returns the name of a track; one has all that an address must escape."""
    return ODD if (genre, number) == ("jazz", 3) else f"{genre}/{number}"


def probabilities(track: str, genre: str) -> list[float]:
    """Returns what the model says of each clip of a track: right and sure, but for two tracks."""
    highest = {WRONG: 0.8, UNSURE: 0.5}.get(track, 0.9)
    place = GENRES.index("pop & soul" if track == WRONG else genre)
    return [highest if number == place else (1 - highest) / 2 for number in range(len(GENRES))]


class Project:
    """A folder with recordings, tables of metrics, spectrograms, and the page of them."""

    def __init__(self, root: Path) -> None:
        self.root, self.metrics, self.page = root, root / "metrics", root / "metrics" / "report.html"
        table = pd.DataFrame(
            [(track_of(genre, number), genre, subset) for genre in GENRES for number, subset in enumerate(SUBSETS)],
            columns=["track", "genre", "subset"],
        )
        values = [probabilities(track, genre) for track, genre in zip(table["track"], table["genre"], strict=True)]
        of_clips = predictions.of_clips(table, GENRES, np.repeat(values, 2, axis=0))
        scores = metrics.by_subset(of_clips, ["train", "valid", "test"])
        tables.write_csv(of_clips, self.metrics / "predictions.csv")
        tables.write_csv(predictions.by_track(of_clips), self.metrics / "tracks.csv")
        files.write_json(scores | {"leaks": 0}, self.metrics / "metrics.json")
        files.write_json({"majority": scores, "linear": scores}, self.metrics / "baselines.json")
        self.tracks = list(table["track"])
        generator = np.random.default_rng(0)
        store.write(
            ((track, generator.random((FRAMES, 64)).astype(np.float16)) for track in self.tracks),
            64, root / "data" / "s.npy", root / "data" / "s.csv",
        )  # fmt: skip

    def record(self, folder: Path) -> None:
        """Writes a recording of 3 s for each track into a folder."""
        for track in self.tracks:
            (folder / track).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / f"{track}.wav", tone(440, 3.0, 8000), 8000)

    def content(self, audio: Path) -> web_page.PageContent:
        spectrograms = store.read(self.root / "data" / "s.npy", self.root / "data" / "s.csv")
        recordings = {track: audio / f"{track}.wav" for track in self.tracks}
        return report.of_results(self.metrics, spectrograms, recordings, MODEL, self.page)

    def write(self, audio: Path) -> None:
        web_page.write(self.content(audio), self.page)


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project whose recordings are in it, with the page linking to them relatively."""
    root = tmp_path_factory.mktemp("a project")
    project = Project(root)
    project.record(root / "data" / "audio")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        project.page = Path("metrics/report.html")
        project.write(Path("data/audio"))
    project.page = root / project.page
    return project


def names(page) -> list[str]:
    return page.locator("#list .name").all_inner_texts()


def play_and_wait(page, track: str) -> None:
    page.locator("#list li", has=page.get_by_text(track, exact=True)).locator(".play").click()
    wait_until(page, "audio.currentTime > 0.1 && !audio.error")


def test_the_headline_has_the_numbers_of_metrics_json(browser, project):
    score = json.loads((project.metrics / "metrics.json").read_text())["test"]
    with opened(browser, project.page) as page:
        cards = page.locator("#headline div").all_inner_texts()
        title = page.locator("h1").inner_text()
    assert f"{score['track_accuracy']:.1%}" in cards[0]
    assert f"95 % interval {score['track_accuracy_low']:.1%} to {score['track_accuracy_high']:.1%}" in cards[0]
    assert f"{score['clip_accuracy']:.1%}" in cards[1]
    assert f"{score['track_macro_f1']:.1%}" in cards[2]
    assert title == f"Music genres: {score['track_accuracy']:.1%} of 6 test tracks correct"


def test_the_systems_stand_in_the_order_of_the_readme_with_their_intervals(browser, project):
    with opened(browser, project.page) as page:
        systems = page.locator("#systems tbody th").all_inner_texts()
        cells = page.locator("#systems tbody tr").first.locator("td").all_inner_texts()
    assert systems == ["the network", "linear baseline", "most frequent genre"]
    assert cells[:2] == ["83.3% (43.6% to 97.0%)", "83.3%"]


def test_the_list_has_the_held_out_tracks_and_marks_the_wrong_and_the_unsure_ones(browser, project):
    with opened(browser, project.page) as page:
        assert page.locator("#count").inner_text() == "6 of 9 tracks, 1 wrong, 1 unsure"
        assert page.locator("#list li", has=page.locator(".wrong")).locator(".name").all_inner_texts() == [WRONG]
        assert page.locator("#list li", has=page.locator(".unsure")).locator(".name").all_inner_texts() == [UNSURE]
        assert names(page)[:2] == [WRONG, UNSURE]
        page.locator("#subset").select_option("valid")
        assert page.locator("#count").inner_text() == "3 of 9 tracks, 0 wrong, 0 unsure"
        assert "3 valid tracks" in page.locator("#confusion-title").inner_text()


def test_every_track_has_a_spectrogram_and_its_probabilities_at_the_time_of_its_clips(browser, project):
    with opened(browser, project.page) as page:
        assert page.locator("#list img").count() == 6
        assert page.evaluate("[...document.images].every((image) => image.decode && image.src.startsWith('data:'))")
        row = page.locator("#list li").first
        line = row.locator("path.windows.predicted")
        assert line.get_attribute("d") == "M0.0 13.2H160.0M440.0 13.2H600.0"  # 0 to 0.8 s and 2.2 to 3 s of 3 s; 80 %
        assert (
            row.locator("svg[role=img]")
            .get_attribute("aria-label")
            .endswith("mean: <b>rock 10%, jazz 10%, pop & soul 80%")
        )


def test_a_click_on_a_cell_of_the_confusion_matrix_lists_its_tracks(browser, project):
    with opened(browser, project.page) as page:
        cell = page.get_by_role("button", name="1 track, 50% of jazz, predicted as pop & soul")
        cell.click()
        assert names(page) == [WRONG]
        assert page.locator("#actual").input_value() == "jazz"
        cell.click()
        assert len(names(page)) == 6


def test_search_filters_and_sorting_act_together(browser, project):
    with opened(browser, project.page) as page:
        page.locator("#search").fill("JAZZ")
        assert sorted(names(page)) == sorted([WRONG, ODD])
        page.locator("#outcome").select_option("correct")
        assert names(page) == [ODD]
        page.get_by_role("button", name="Clear filters").click()
        wait_until(page, "document.querySelectorAll('#list li').length === 6")
        page.locator("#order").select_option("lowest")
        assert names(page)[:2] == [UNSURE, WRONG]
        page.locator("#order").select_option("name")
        assert names(page) == sorted(names(page))


def test_recordings_of_the_project_play_with_any_name(browser, project):
    with opened(browser, project.page) as page:
        for track in (WRONG, ODD):
            play_and_wait(page, track)
            assert page.locator("#playing a").inner_text() == track


def test_recordings_of_the_user_play_from_where_they_are(browser, tmp_path):
    elsewhere = tmp_path / "my music"
    project = Project(tmp_path / "project")
    project.record(elsewhere)
    project.write(elsewhere)
    with opened(browser, project.page) as page:
        play_and_wait(page, ODD)


def test_the_page_stays_right_when_the_project_is_moved(browser, tmp_path, monkeypatch):
    project = Project(tmp_path / "before")
    project.record(tmp_path / "before" / "data" / "audio")
    monkeypatch.chdir(tmp_path / "before")
    project.page = Path("metrics/report.html")
    project.write(Path("data/audio"))
    (tmp_path / "before").rename(tmp_path / "after")
    with opened(browser, tmp_path / "after" / project.page) as page:
        play_and_wait(page, WRONG)


def test_a_recording_that_is_not_there_is_told_in_the_player(browser, tmp_path):
    project = Project(tmp_path)
    project.write(tmp_path / "gone")
    with opened(browser, project.page, expected="ERR_FILE_NOT_FOUND") as page:
        page.locator("#list .play").first.click()
        page.locator("#playing.failed").wait_for()
        assert f"{WRONG} does not play: the file is not there" in page.locator("#playing").inner_text()


def test_keys_move_play_and_search(browser, project):
    with opened(browser, project.page) as page:
        page.keyboard.press("j")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("k")
        assert page.locator("#list li[aria-current=true] .name").inner_text() == names(page)[1]
        page.keyboard.press("Space")
        wait_until(page, "audio.currentTime > 0.1")
        page.keyboard.press("Space")
        assert page.evaluate("audio.paused")
        page.keyboard.press("/")
        page.keyboard.type("jazz")
        assert page.locator("#search").input_value() == "jazz"
        assert len(names(page)) == 2
        page.keyboard.press("Escape")
        page.keyboard.press("j")
        assert page.locator("#search").input_value() == ""
        assert len(names(page)) == 6


def test_a_click_on_a_spectrogram_plays_from_there(browser, project):
    with opened(browser, project.page) as page:
        picture = page.locator("#list img").first
        picture.click(position={"x": picture.bounding_box()["width"] / 2, "y": 5})
        wait_until(page, "audio.currentTime >= 1.4")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_has_the_colours_that_the_user_prefers_and_a_button_for_the_others(browser, project, scheme):
    with opened(browser, project.page, scheme=scheme) as page:
        colours = [page.evaluate("getComputedStyle(document.body).backgroundColor")]
        page.locator("#theme").click()
        colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    white, black = "rgb(255, 255, 255)", "rgb(20, 23, 27)"
    assert colours == ([white, black] if scheme == "light" else [black, white])


def test_nothing_reaches_over_the_edge_of_a_telephone(browser, project):
    with opened(browser, project.page, width=390) as page:
        page.locator("#list .play").first.click()
        assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_every_control_has_a_name(browser, project):
    with opened(browser, project.page) as page:
        unnamed = page.evaluate(
            "[...document.querySelectorAll('button, select, input')].filter((element) => "
            "!(element.ariaLabel || element.labels?.length || element.textContent.trim())).length"
        )
    assert unnamed == 0


def test_of_many_tracks_only_wrong_and_unsure_ones_get_pictures_and_the_page_says_so(browser, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "PICTURES", 8)
    project = Project(tmp_path)
    content = project.content(tmp_path)
    assert {track.name for track in content.tracks if track.picture} == {WRONG, UNSURE}
    assert content.notes[-1] == "To keep this page small, only 2 wrong or unsure tracks have a spectrogram."
    web_page.write(content, project.page)
    with opened(browser, project.page) as page:
        assert content.notes[-1] in page.locator("#notes").inner_text()
        assert page.locator("#list img").count() == 2


def test_pictures_go_to_the_surest_mistakes_and_then_to_the_least_sure_tracks():
    rows = [("a/1", "a", "b", 0.4, 0.6), ("a/2", "a", "b", 0.1, 0.9), ("a/3", "a", "a", 0.55, 0.45),
            ("b/1", "b", "b", 0.48, 0.52), ("b/2", "b", "b", 0.2, 0.8)]  # fmt: skip
    tracks = pd.DataFrame(rows, columns=["track", "actual", "predicted", "a", "b"])
    unsure = tracks[["a", "b"]].max(axis=1) < 0.7
    assert list(report.most_telling(tracks, unsure)) == ["a/2", "a/1", "b/1", "a/3"]


def test_a_long_list_is_shown_in_parts_and_the_keys_reach_its_end(browser, project, tmp_path):
    content = project.content(tmp_path)
    tracks = [replace(content.tracks[0], name=f"{number:03d}", subset="test") for number in range(240)]
    web_page.write(replace(content, tracks=tracks), tmp_path / "page.html")
    with opened(browser, tmp_path / "page.html") as page:
        assert len(names(page)) == 100
        page.locator("#list .name").last.click()
        page.keyboard.press("j")
        assert len(names(page)) == 200
        page.locator("#more").click()
        assert len(names(page)) == 240
        assert page.locator("#more").is_hidden()


def test_the_same_results_give_the_same_bytes(tmp_path):
    project = Project(tmp_path)
    pages = []
    for _ in range(2):
        project.write(tmp_path)
        pages.append(project.page.read_bytes())
    assert pages[0] == pages[1]
