import json
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from genre import cli
from genre import compare as comparing
from genre.compare import bootstrap_difference, compare, sentence
from genre.evaluation import metrics

NAMES = ("old", "new")


def table(predictions, subset="test", actual=None):
    """Makes a prediction table, two clips a track, from a word a track: its letter is what is predicted of it."""
    rows = []
    for number, letter in enumerate(predictions):
        for clip in range(2):
            chances = {genre: 0.6 if genre == letter else 0.2 for genre in "abc"}
            genre = (actual or {}).get(number, "ab"[number % 2])
            rows.append({"track": f"t{number}", "clip": clip, "subset": subset, "actual": genre, "predicted": letter})
            rows[-1] |= chances
    return pd.DataFrame(rows)


def test_the_same_predictions_are_told_apart_by_nothing():
    found = compare(table("abab"), table("abab"), names=NAMES)
    assert (found.correct, found.discordant, found.p, found.difference, found.interval) == (
        (4, 4),
        (0, 0),
        1.0,
        0.0,
        (0, 0),
    )
    assert found.differing.empty
    assert sentence(found) == "A and B have the same 4 of 4 tracks correct: nothing tells them apart."


def test_the_tracks_on_which_they_differ_are_named_with_which_is_correct():
    found = compare(table("abbcca"), table("abacbb"), names=NAMES)
    assert found.differing.to_numpy().tolist() == [
        ["t2", "a", "b", "a", "B"],
        ["t4", "a", "c", "b", "neither"],
        ["t5", "b", "a", "b", "B"],
    ]
    assert found.correct == (2, 4)
    assert found.discordant == (0, 2)


def test_a_large_difference_is_more_than_chance_and_a_small_one_is_not():
    bad, good = "c" * 12 + "ab" * 4, "ab" * 10
    assert "B is better by 60.0 points" in sentence(compare(table(bad), table(good), names=NAMES))
    assert sentence(compare(table(good), table(bad), names=NAMES)).endswith(
        "exact McNemar p = 0.00049: chance alone seldom gives a difference this size."
    )
    small = sentence(compare(table("cb" + "ab" * 9), table(good), names=NAMES))
    assert small == (
        "B is better by 5.0 points (B - A: 95 % interval 0.0 to 15.0), exact McNemar p = 1: "
        "chance alone gives a difference this size."
    )
    assert sentence(compare(table("cb" * 1 + "ab"), table("ab" + "cb"), names=NAMES)).startswith("A and B are equal (")
    few = sentence(compare(table("c" * 5 + "b" + "ab" * 7), table("ab" * 10), names=NAMES))
    assert "to 45.0, too narrow for so few differing tracks), exact McNemar p = 0.062: " in few
    assert few.endswith("chance alone gives a difference this size.")


@given(st.integers(0, 40), st.integers(0, 40))
def test_mcnemar_is_twice_the_tail_of_a_coin(only_a, only_b):
    fewer, decided = min(only_a, only_b), only_a + only_b
    assert metrics.mcnemar(only_a, only_b) == pytest.approx(min(1.0, 2 * binom.cdf(fewer, decided, 0.5)))
    assert metrics.mcnemar(only_a, only_b) == metrics.mcnemar(only_b, only_a)


def test_mcnemar_gives_the_published_value():
    # 1 and 9 of 10 decided: 2 * (1 + 10) / 2**10
    assert metrics.mcnemar(9, 1) == pytest.approx(22 / 1024)


@given(st.tuples(st.integers(0, 30), st.integers(0, 30), st.integers(1, 60)))
@settings(max_examples=30, deadline=None)
def test_the_interval_repeats_holds_the_difference_and_agrees_with_drawing_tracks(counts):
    only_a, only_b, others = counts
    tracks = sum(counts)
    low, high = bootstrap_difference(only_a, only_b, tracks)
    assert bootstrap_difference(only_a, only_b, tracks) == (low, high)
    assert low <= (only_b - only_a) / tracks <= high
    apart = np.repeat([-1, 1, 0], [only_a, only_b, others])
    draws = np.random.default_rng(1).choice(apart, (2000, tracks)).mean(axis=1)
    spread = 2 / tracks + 0.3 * draws.std()
    np.testing.assert_allclose(np.percentile(draws, [2.5, 97.5]), (low, high), atol=spread)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (table("aba"), r"^only runs with the same test tracks can be compared, 1 are in one run alone: the first, 't3', is in old and not in new"),
        (table("ababa"), "the first, 't4', is in new and not in old; run both with the same data and the same section split"),
        (table("abab", actual={2: "c"}), "1 tracks differ: the first, 't2', is a in old and c in new"),
        (table("abab", subset="valid"), "^new has no tracks in the subset test, only in valid; choose another with --subset"),
        (pd.concat([table("abab"), table("a", actual={0: "c"})]), "new: each track must have one actual genre, 't0' has two"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_refused_with_its_first_track(second, message):
    with pytest.raises(ValueError, match=message):
        compare(table("abab"), second, names=NAMES)


def test_without_a_test_subset_valid_is_compared_and_a_subset_can_be_asked_for():
    both = pd.concat([table("abab"), table("ab", subset="valid").assign(track=["v0", "v0", "v1", "v1"])])
    assert compare(table("ab", subset="valid"), table("cb", subset="valid"), names=NAMES).subset == "valid"
    assert len(compare(both, both, names=NAMES).tracks) == 4
    assert list(compare(both, both, names=NAMES, subset="valid").tracks["track"]) == ["v0", "v1"]


def test_a_table_by_track_and_one_by_clip_are_about_the_same_tracks():
    by_track = table("abab").drop_duplicates("track").drop(columns="clip")
    assert compare(by_track, table("abab"), names=NAMES).correct == (4, 4)


# --- the command


def command(monkeypatch, *words):
    monkeypatch.setattr("sys.argv", ["genre", "compare", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code


def test_two_files_are_compared_in_words_and_as_json(tmp_path, monkeypatch, capsys):
    table("ababa").to_csv(tmp_path / "a.csv", index=False)
    table("ababc").to_csv(tmp_path / "b.csv", index=False)
    assert command(monkeypatch, tmp_path / "a.csv", tmp_path / "b.csv") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "5 tracks of the subset test"
    assert lines[2].endswith("b.csv: 4 correct, 80.0% (95 % interval 37.6% to 96.4%)")
    assert lines[3] == "They differ on 1 tracks:"
    assert lines[5].split() == ["t4", "a", "a", "c", "A"]
    assert lines[-1].startswith("B is worse by 20.0 points")
    assert command(monkeypatch, "--json", tmp_path / "a.csv", tmp_path / "b.csv") == 0
    values = json.loads(capsys.readouterr().out)
    assert values["a"]["accuracy"] == 1
    assert (values["difference"], values["mcnemar_p"], values["chance"]) == (pytest.approx(-0.2), 1.0, True)
    assert values["differing"] == [
        {"track": "t4", "actual": "a", "predicted_a": "a", "predicted_b": "c", "correct": "A"}
    ]


def test_genres_may_have_the_names_of_numbers(tmp_path):
    lines = ["track,clip,subset,actual,predicted,1980,1990", "a,0,test,1980,1980,0.9,0.1", "b,0,test,1990,1990,0.2,0.8"]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    found = comparing.read(str(tmp_path / "a.csv"))
    assert compare(found, found, names=NAMES).correct == (2, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "must be a CSV table"),
        ("track,subset,actual\n", "must have a column predicted; is it a table of predictions"),
        (
            "track,subset,actual,predicted,a\nt,test,a,a,high\n",
            r"must hold a probability for each genre, column \['a'\]",
        ),
        ("track,subset,actual,predicted\nt,test,a,a\n", "must hold a probability for each genre"),
        (
            ",track,subset,actual,predicted,a\n0,t,test,a,a,1\n1,u,test,a,a,1\n2,v,test,a,a,1\n",
            r"must hold probabilities in 0\.\.1, column 'Unnamed: 0' has 2; remove columns that are no genre; pandas adds",
        ),
        ("track,subset,actual,predicted,a\nt,test,a,a,-0.1\n", "column 'a' has -0.1"),
        ("track,subset,actual,predicted,a,b\nt,test,a,a,1,0\nu,test,a,a,nan,1\n", "must hold a probability"),
        (
            "track,subset,actual,predicted,a,b\nt,test,a,a,1,0\nu,test,a,a,0.6,0.6\n",
            "the probabilities of a row must sum to 1, those of row 2, track 'u', sum to 1.2; remove columns",
        ),
    ],
)
def test_a_file_that_is_no_table_of_predictions_is_refused(tmp_path, content, message):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        comparing.read(str(tmp_path / "a.csv"))


def test_probabilities_may_be_rounded(tmp_path):
    (tmp_path / "a.csv").write_text("track,subset,actual,predicted,a,b,c\nt,test,a,a,0.333,0.333,0.333\n")
    assert len(comparing.read(str(tmp_path / "a.csv"))) == 1


def test_bytes_that_are_no_text_and_a_workspace_without_results_are_refused(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"\x89PNG")
    with pytest.raises(ValueError, match=r"a\.png must be a CSV table in UTF-8"):
        comparing.read(str(tmp_path / "a.png"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"predictions\.csv is missing; run in the repository's root, or `dvc repro`"):
        comparing.read("workspace")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_revisions_and_the_workspace_are_read_and_an_unknown_one_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT")
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    for words in (["init", "-q"], [*identity, "commit", "-q", "--allow-empty", "-m", "empty"]):
        subprocess.run(["git", *words], check=True)
    for predictions in ("abab", "abac"):
        (tmp_path / "metrics").mkdir(exist_ok=True)
        table(predictions).to_csv("metrics/predictions.csv", index=False)
        subprocess.run(["git", "add", "-A"], check=True)
        subprocess.run(["git", *identity, "commit", "-q", "-m", predictions], check=True)
    subprocess.run(["git", "update-ref", f"refs/exps/ab/{'c' * 38}/gentle-owl", "HEAD"], check=True)
    for first, second in (("HEAD~1", "HEAD"), ("HEAD~1", "workspace"), ("HEAD~1", "gentle-owl")):
        tables = comparing.read(first), comparing.read(second)
        assert compare(*tables, names=(first, second)).correct == (4, 3)
    with pytest.raises(ValueError, match="'nothing' must be a git revision or a DVC experiment that has metrics"):
        comparing.read("nothing")
    with pytest.raises(ValueError, match=r"'HEAD~2' must be a git revision .* is neither in git nor in DVC's cache"):
        comparing.read("HEAD~2")
    with pytest.raises(ValueError, match="it names 2 commits"):
        comparing.read("HEAD~2..HEAD")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_runs_on_other_recordings_with_the_same_names_are_compared_with_a_note(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT")
    (tmp_path / "metrics").mkdir()
    table("abab").to_csv("metrics/predictions.csv", index=False)
    subprocess.run(["git", "init", "-q"], check=True)
    for digest in ("a1", "a2", "a2"):
        lock = f"stages: {{download: {{outs: [{{path: data/audio, md5: {digest}}}]}}}}"
        (tmp_path / "dvc.lock").write_text(lock)
        subprocess.run(["git", "add", "-A"], check=True)
        identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
        subprocess.run(["git", *identity, "commit", "-q", "--allow-empty", "-m", digest], check=True)
    assert command(monkeypatch, "HEAD~2", "HEAD") == 0
    assert "note: HEAD~2 and HEAD were made from other recordings (data/audio differ)" in capsys.readouterr().err
    for first, second in (("HEAD~1", "HEAD"), ("HEAD", "workspace"), ("metrics/predictions.csv", "HEAD")):
        assert command(monkeypatch, first, second) == 0
        assert "note" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("folder", "digest", "says"),
    [("/music", "u1", None), ("/moved", "u1", None), ("/music", "u2", r"\(data\.path differ\)")],
)
def test_a_folder_that_was_only_moved_holds_the_same_recordings(tmp_path, monkeypatch, folder, digest, says):
    locks = {
        name: f"stages: {{download: {{deps: [{{path: {path}, md5: {md5}}}], outs: [{{path: data/audio, md5: a1}}], "
        f"params: {{params.yaml: {{data: {{source: local, path: {path}}}}}}}}}}}"
        for name, path, md5 in (("old", "/music", "u1"), ("new", folder, digest))
    }
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(comparing, "_of_revision", lambda name, _: locks[name].encode())
    found = comparing.note(NAMES)
    assert re.search(says, found) if says else found is None


def test_of_runs_that_differ_by_chance_alone_at_most_one_in_twenty_is_called_different():
    random = np.random.default_rng(0)
    values = []
    for _ in range(1000):
        only_a, only_b, _ = random.multinomial(100, [0.1, 0.1, 0.8])
        values.append(metrics.mcnemar(int(only_a), int(only_b)))
    assert 0.005 < np.mean(np.array(values) < metrics.ALPHA) <= 0.05
