"""`genre predict` and `genre tag` as typed, on folders."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from genre import cli, tag
from genre.network import model_file, unet
from genre.prediction import outputs, preparation, tags
from tests.conftest import RATE, tone
from tests.genre.network.test_model_file import CONTENT
from tests.genre.network.test_unet import TINY

ROOT = Path(__file__).parents[3]


@pytest.fixture
def careful_pt(tmp_path):
    path = tmp_path / "careful.pt"
    careful = CONTENT | {"calibration": {"temperature": 1.0, "unsure_below": 1.01}}
    model_file.save(path, unet.GenreNet(genres=3, **TINY), network_params=TINY, **careful)
    return path


@pytest.fixture
def music(tmp_path):
    """Three recordings in two folders, one of them with a genre, and what cannot be used."""
    folder = tmp_path / "music"
    (folder / "album").mkdir(parents=True)
    for name in ("a.flac", "b.ogg", "album/c.flac"):
        soundfile.write(folder / name, tone(440, 4.0), RATE)
    tags.write(folder / "b.ogg", ["Ska"])
    soundfile.write(folder / "album" / "short.flac", tone(440, 0.5), RATE)
    soundfile.write(folder / "album" / "silent.flac", np.zeros(4 * RATE), RATE)
    (folder / "noise.mp3").write_bytes(np.random.default_rng(0).bytes(5000))
    (folder / "cover.jpg").touch()
    return folder


@pytest.fixture
def genre(monkeypatch, capfd):
    """Runs the command; gives its status, and the lines of standard output and of standard error."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["genre", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed = capfd.readouterr()  # of C libraries and other processes too
        return end.value.code, printed.out.splitlines(), printed.err.splitlines()

    return run


def test_a_folder_is_predicted_by_processes_and_no_library_writes_to_the_terminal(processes, genre, model_pt, music):
    status, out, err = genre("predict", music, "--model", model_pt)
    assert status == 2
    assert [line.split(": ")[0] for line in out] == [str(music / name) for name in ("a.flac", "album/c.flac", "b.ogg")]
    assert err[0] == f"error: {music / 'album' / 'short.flac'}: 0.5 s long, a clip takes 3.0 s"
    assert err[1] == f"error: {music / 'album' / 'silent.flac'}: silent; there is nothing to classify"
    assert err[2].startswith(f"error: {music / 'noise.mp3'}: cannot be decoded: ")
    assert err[3].startswith("6 recordings: ")
    assert err[3].endswith(", failed 3")
    assert len(err) == 4


def test_json_has_an_object_a_line_and_nothing_else(genre, model_pt, music):
    status, out, _ = genre("predict", "--json", music / "a.flac", music, "--model", model_pt)
    assert status == 2
    objects = [json.loads(line) for line in out]
    assert [Path(value["file"]).name for value in objects] == ["a.flac", "c.flac", "b.ogg"]
    assert set(objects[0]) == {"file", "genre", "unsure", "probabilities", "clips"}


def test_table_and_playlists_are_written(genre, model_pt, music, tmp_path):
    table, lists = tmp_path / "t.csv", tmp_path / "lists"
    genre("predict", music, "--csv", table, "--m3u", lists, "--model", model_pt)
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [Path(row["file"]).name for row in rows] == [
        "a.flac",
        "c.flac",
        "short.flac",
        "silent.flac",
        "b.ogg",
        "noise.mp3",
    ]
    listed = {
        (path.stem, Path(lists, line).resolve())
        for path in lists.iterdir() for line in path.read_text().splitlines() if not line.startswith("#")
    }  # fmt: skip
    assert listed == {(row["genre"], Path(row["file"])) for row in rows if row["genre"]}
    assert len(listed) == 3


def test_unsure_ones_are_in_no_playlist_and_get_no_tag(genre, careful_pt, music, tmp_path):
    _, out, err = genre("predict", music, "--m3u", tmp_path / "lists", "--model", careful_pt)
    assert all(": unsure  (" in line for line in out)
    assert err[-1] == "6 recordings: unsure 3, failed 3"
    assert list((tmp_path / "lists").iterdir()) == []
    _, out, _ = genre("tag", music / "a.flac", "--write", "--model", careful_pt)
    assert out == [f"{music / 'a.flac'}: no genre, unsure: left as it is"]
    assert tags.read(music / "a.flac") == []


def test_only_untagged_leaves_out_files_with_a_genre(genre, model_pt, music):
    _, out, err = genre("predict", music, "--only-untagged", "--model", model_pt)
    assert [Path(line.split(": ")[0]).name for line in out] == ["a.flac", "c.flac"]
    assert err[-1].endswith("; 1 left out, their tags name a genre")


def test_a_table_of_an_earlier_call_does_not_stay_where_all_recordings_are_tagged(genre, model_pt, music, tmp_path):
    (tmp_path / "t.csv").write_text("of an earlier call")
    _, out, _ = genre("predict", music / "b.ogg", "--only-untagged", "--csv", tmp_path / "t.csv", "--model", model_pt)
    assert out == []
    assert (tmp_path / "t.csv").read_text().splitlines() == ["file,genre,a,b,c"]


def test_a_page_of_an_earlier_call_does_not_stay_and_does_not_keep_the_playlists(genre, model_pt, music, tmp_path):
    page = tmp_path / "p.html"
    page.write_text("of an earlier call")
    words = ("predict", music / "b.ogg", "--only-untagged", "--html", page, "--model", model_pt)
    status, _, err = genre(*words)
    assert (status, page.exists()) == (0, False)
    assert err == [f"note: {page} was not written: there is no prediction to show"]
    playlist = tmp_path / "playlists" / "a.m3u8"
    playlist.parent.mkdir()
    playlist.write_text(f"#EXTM3U\n{outputs.MARK}\nsong.mp3\n")
    assert genre(*words, "--m3u", playlist.parent)[0] == 0
    assert not playlist.exists()


def test_a_link_that_names_the_page_stays_a_link(genre, model_pt, music, tmp_path):
    real, link = tmp_path / "real.html", tmp_path / "link.html"
    real.touch()
    link.symlink_to(real)
    assert genre("predict", music / "a.flac", "--html", link, "--model", model_pt)[0] == 0
    assert link.is_symlink()
    assert "a.flac" in real.read_text()


def test_the_suffix_of_a_figure_may_be_in_capitals(genre, model_pt, music, tmp_path):
    assert genre("predict", music / "a.flac", "--figure", tmp_path / "f.PNG", "--model", model_pt)[0] == 0
    assert (tmp_path / "f.PNG").read_bytes().startswith(b"\x89PNG")


def test_a_full_temporary_folder_is_not_the_recording_s_fault(genre, model_pt, music, monkeypatch):
    def full(file, values):
        file.write_bytes(b"half")
        raise OSError("82688 requested and 20416 written")

    monkeypatch.setattr(preparation.np, "save", full)
    status, out, err = genre("predict", music / "a.flac", "--model", model_pt)
    assert (status, out) == (2, [])
    (line,) = err
    assert "error: the temporary folder " in line
    assert "must have room left, got: No space left on device; make room, then run again" in line


def test_closed_standard_output_is_one_line(genre, model_pt, music, monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    status, _, err = genre("predict", music / "a.flac", "--model", model_pt)
    assert (status, err[-1]) == (
        2,
        "error: standard output or standard error is closed; open it, for example with `> /dev/null`",
    )


def test_windows_follow_each_other_by_the_step(genre, model_pt, music):
    _, out, _ = genre("predict", music / "a.flac", "--json", "--step", "0.25", "--model", model_pt)
    starts = [clip["start_seconds"] for clip in json.loads(out[0])["clips"]]
    assert starts[:3] == pytest.approx([0, 0.23, 0.46], abs=0.01)


@pytest.mark.parametrize("step", ["0", "-1", "nan", "inf", "1e9"])
def test_a_step_that_is_none_is_refused_once(genre, model_pt, music, step):
    status, out, err = genre("predict", music / "a.flac", music / "b.ogg", "--step", step, "--model", model_pt)
    assert (status, out) == (2, [])
    assert len(err) == 1
    assert "the step between windows must be in 0.046..3600 s, got " in err[0]


def test_nothing_to_predict_needs_no_model(genre, tmp_path):
    (tmp_path / "empty").mkdir()
    status, out, err = genre("predict", tmp_path / "empty", "https://x.org/a.mp3", "-", "--model", tmp_path / "none.pt")
    assert (status, out) == (2, [])
    assert [line.split(": ")[0] for line in err[:3]] == ["error"] * 3
    assert err[3] == "0 recordings: none to predict"


@pytest.mark.parametrize("option", ["--csv", "--m3u", "--html", "--figure"])
def test_a_place_that_cannot_be_written_is_told_before_work(genre, model_pt, music, option):
    before = (music / "b.ogg").read_bytes()
    status, out, err = genre("predict", option, music / "b.ogg", music, "--model", model_pt)
    assert (status, out) == (2, [])
    assert any(f"{option} must name a" in line for line in err)
    assert (music / "b.ogg").read_bytes() == before


def test_tag_says_what_it_would_do_and_does_nothing(genre, model_pt, music):
    before = {path: path.read_bytes() for path in music.rglob("*.*")}
    status, out, err = genre("tag", music, "--model", model_pt)
    assert status == 2
    assert out[0].startswith(f"{music / 'a.flac'}: no genre -> ")
    assert out[2].startswith(f"{music / 'b.ogg'}: Ska -> ")
    assert err[-2:] == [
        "6 recordings: 2 get a genre, 1 get another genre than they have, 3 failed",
        "nothing was written; add --write to write the genres",
    ]
    assert {path: path.read_bytes() for path in music.rglob("*.*")} == before


def test_tag_writes_and_undo_restores(genre, model_pt, music, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    _, out, err = genre("tag", music, "--write", "--model", model_pt)
    told = {line.split(": ")[0]: line.split(" -> ")[1] for line in out}
    assert {str(path): tags.read(path)[0] for path in map(Path, told)} == told
    (journal,) = tmp_path.glob("genre-tags-*.jsonl")
    assert err[-1] == f"journal: {journal.name}; `genre tag --undo {journal.name}` takes the changes back"
    _, out, err = genre("tag", music, "--write", "--model", model_pt)
    assert all(line.endswith(", as it is") for line in out)
    tags.write(music / "a.flac", ["by hand"])
    status, out, err = genre("tag", "--undo", journal)
    assert (status, out) == (0, [])
    assert err == [
        f"note: {music / 'a.flac'}: changed since, to by hand; left as it is",
        "3 changes: 2 restored, 1 left",
    ]
    assert [tags.read(music / name) for name in ("a.flac", "album/c.flac", "b.ogg")] == [["by hand"], [], ["Ska"]]


def test_tag_only_untagged_keeps_what_has_a_genre(genre, model_pt, music, tmp_path):
    _, out, err = genre(
        "tag", music, "--only-untagged", "--write", "--journal", tmp_path / "j.jsonl", "--model", model_pt
    )
    assert len(out) == 2
    assert err[-2] == "6 recordings: 2 get a genre, 1 have a genre and were left out, 3 failed"
    assert tags.read(music / "b.ogg") == ["Ska"]
    assert len((tmp_path / "j.jsonl").read_text().splitlines()) == 2


def test_a_genre_that_id3_takes_for_another_is_refused_before_work(genre, music, tmp_path):
    path = tmp_path / "decades.pt"
    decades = CONTENT | {"genres": ["70", "80s", "rock"]}
    model_file.save(path, unet.GenreNet(genres=3, **TINY), network_params=TINY, **decades)
    status, out, err = genre("tag", music, "--write", "--journal", tmp_path / "j.jsonl", "--model", path)
    assert (status, out) == (2, [])
    assert err[-1] == (
        "error: a genre in tags must not be a number of ID3, got '70', which means Trailer; rename the folder of this "
        "genre and train again"
    )
    assert not (tmp_path / "j.jsonl").exists()


def test_tag_needs_files_or_a_journal(genre, tmp_path):
    for words in ([], ["x.mp3", "--undo", "j.jsonl"]):
        status, _, err = genre("tag", *words)
        assert (status, err) == (
            2,
            ["error: genre tag takes files and folders, or --undo JOURNAL; give one of the two"],
        )
    assert genre("tag", "--undo", tmp_path / "none.jsonl")[0] == 2


def test_a_format_without_tags_is_told_and_left(genre, model_pt, tmp_path):
    soundfile.write(tmp_path / "a.au", tone(440, 4.0), RATE)
    status, out, err = genre("tag", tmp_path / "a.au", "--model", model_pt)
    assert (status, out) == (2, [])
    assert err[0].endswith("has no tags that can be written; mp3, m4a, flac, ogg, opus, wav and aiff have")


@pytest.mark.slow
def test_two_hours_take_less_than_700_mb_in_each_process(model_pt, tmp_path):
    from tests.genre.audio.sounds import encoded, noise

    path = tmp_path / "a.mp3"
    path.write_bytes(encoded("libmp3lame", "mp3", noise(60, 44100), options={"write_xing": "0"}) * 120)
    code = f"""
import resource, sys
from genre import cli
sys.argv = ["genre", "predict", {str(path)!r}, "--model", {str(model_pt)!r}]
if __name__ == "__main__":
    try:
        cli.main()
    finally:
        print(*(resource.getrusage(who).ru_maxrss // 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
"""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=environment
    )
    parent, children = map(int, done.stdout.splitlines()[-1].split())
    assert parent < 700
    assert children < 700


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["a.mp3", "--journal", "j.jsonl"], "--journal must come with --write"),
        (["--undo", "j.jsonl", "--write"], "--undo must stand alone, got --write too"),
        (["--undo", "j.jsonl", "--only-untagged"], "--undo must stand alone, got --only-untagged too"),
    ],
)
def test_options_of_tag_that_contradict_each_other_are_refused(genre, words, text):
    status, _, (line,) = genre("tag", *words)
    assert status == 2
    assert line.startswith(f"error: {text}")


@pytest.mark.parametrize("write", [True, False])
def test_an_end_of_the_reader_is_no_fault_of_a_recording_and_the_journal_is_named(
    genre, model_pt, music, tmp_path, monkeypatch, write
):
    def nobody_reads(_line):
        raise BrokenPipeError

    monkeypatch.setattr(tag, "show", nobody_reads)
    words = ["--write", "--journal", tmp_path / "j.jsonl"] if write else []
    status, _, err = genre("tag", music, *words, "--model", model_pt)
    assert status == 141
    assert not [line for line in err if "Broken pipe" in line]
    assert any(line.startswith("journal: ") for line in err) == write
