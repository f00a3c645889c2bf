import shutil
import sys

import pandas as pd
import pytest

from benchmarks import robustness
from genre.prediction.predictor import Predictor

ANSWERS = pd.DataFrame(
    [
        ("m", "rock/1", "rock", "original", "rock", False),
        ("m", "rock/2", "rock", "original", "pop", False),
        ("m", "pop/1", "pop", "original", "pop", True),
        ("m", "pop/2", "pop", "original", "pop", False),
        ("m", "rock/1", "rock", "noise", "rock", False),
        ("m", "rock/2", "rock", "noise", "rock", False),
        ("m", "pop/1", "pop", "noise", "rock", False),
        ("m", "pop/2", "pop", "noise", "pop", True),
    ],
    columns=list(robustness.OUTCOMES),
)


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", ["robustness", *map(str, words)])
    robustness.main()


def test_answers_are_compared_with_those_of_the_originals():
    original, noise = robustness.summary(ANSWERS)
    assert original["correct"] == 0.75
    assert original["changed"] == 0
    assert {name: noise[name] for name in ("correct", "changed", "sure", "sure_correct", "sure_changed")} == {
        "correct": 0.75, "changed": 2, "sure": 2, "sure_correct": 2, "sure_changed": 1,
    }  # fmt: skip


def test_a_row_of_the_table_has_shares_with_their_intervals():
    table = robustness.markdown(pd.DataFrame(robustness.summary(ANSWERS)))
    assert table.splitlines()[2:] == [
        "| original | 75 % |  | 3 | 67 % (21 to 94) |  |",
        "| noise | 75 % | 50 % (15 to 85) | 2 | 100 % (34 to 100) | 50 % (9 to 91) |",
    ]


def test_the_figure_has_a_row_for_each_alteration_and_a_line_for_each_model():
    rows = pd.DataFrame(robustness.summary(ANSWERS))
    figure = robustness.changes({"before": rows, "after": rows})
    changed, correct = figure.axes
    assert [label.get_text() for label in changed.get_yticklabels()] == ["noise"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["before (n = 4)", "after (n = 4)"]
    assert correct.get_xlabel() == "share of recordings, 95% interval"


def test_the_unaltered_recording_is_predicted_as_its_file_is(model_pt, corpus):
    predictor, file = Predictor(model_pt), corpus / "high" / "high.00000.wav"
    (row,) = robustness.answers({"m": lambda _: predictor}, file, ["original"], set())
    assert row[4] == predictor.predict(file).genre


def test_what_was_answered_before_is_not_computed_again_and_others_are_added(model_pt, corpus, tmp_path, monkeypatch):
    words = [f"a={model_pt}", corpus, "--outcomes", tmp_path / "o.csv", "--only", "12 dB quieter"]
    run(monkeypatch, *words)
    first = (tmp_path / "o.csv").read_text()
    assert len(first.splitlines()) == 1 + 6 * 2
    run(monkeypatch, *words)
    assert (tmp_path / "o.csv").read_text() == first
    run(monkeypatch, f"b={model_pt}", *words, "--figure", tmp_path / "f.png")
    assert len((tmp_path / "o.csv").read_text().splitlines()) == 1 + 6 * 2 * 2
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")


def test_a_file_that_is_no_recording_is_left_out(model_pt, tmp_path, capsys):
    file = tmp_path / "rock" / "text.mp3"
    file.parent.mkdir()
    file.write_text("no music")
    assert list(robustness.answers({"m": robustness.choice(model_pt)}, file, ["original"], set())) == []
    assert "left out" in capsys.readouterr().out


def test_a_folder_without_recordings_is_one_line(model_pt, tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match="has no folder of recordings for each genre"):
        run(monkeypatch, model_pt, tmp_path)


def test_a_folder_without_a_recording_that_can_be_decoded_is_one_line(model_pt, tmp_path, monkeypatch):
    (tmp_path / "music" / "rock").mkdir(parents=True)
    (tmp_path / "music" / "rock" / "text.mp3").write_text("no music")
    with pytest.raises(SystemExit, match="music holds no recording that can be decoded"):
        run(monkeypatch, model_pt, tmp_path / "music")


def test_as_many_recordings_as_asked_for_are_taken_always_the_same(tmp_path):
    for number in range(9):
        (tmp_path / "rock").mkdir(exist_ok=True)
        (tmp_path / "rock" / f"{number}.wav").touch()
    chosen = robustness.recordings(tmp_path, None, 4)
    assert len(chosen) == 4
    assert chosen == robustness.recordings(tmp_path, None, 4)


def test_only_test_tracks_of_a_split_are_taken(tmp_path):
    (tmp_path / "rock").mkdir()
    for name in ("a.wav", "b.wav"):
        (tmp_path / "rock" / name).touch()
    (tmp_path / "split.csv").write_text("track,genre,subset\nrock/a,rock,train\nrock/b,rock,test\n")
    (chosen,) = robustness.recordings(tmp_path, tmp_path / "split.csv", None)
    assert chosen.name == "b.wav"


def test_each_recording_is_predicted_by_the_model_of_its_fold(model_pt, tmp_path):
    folder = tmp_path / "folds"
    folder.mkdir()
    for number in (0, 1):
        shutil.copy(model_pt, folder / f"{number}.pt")
    (folder / "folds.csv").write_text("track,fold\nrock/1,1\npop/2,0\nrock/2,1\n")
    choose = robustness.choice(folder)
    assert choose("rock/1") is choose("rock/2")
    assert choose("rock/1") is not choose("pop/2")
    with pytest.raises(SystemExit, match=r"folds.csv has no track 'pop/1'; leave its recording out"):
        choose("pop/1")
