"""Stage split: what protocols and tables it takes, what it refuses in one line, and the leaks that it tells."""

import pandas as pd
import pytest
import soundfile

from genre.splits import gtzan
from tests.genre.audio.test_fingerprints import ALTERATIONS, SAMPLE_RATE, altered, tune
from tests.stages.test_stages import FAST, ROOT, run

FOLDER = ROOT / "data" / "gtzan"
PATHS = ("tracks.csv", "pairs.csv", str(FOLDER), "lists", "split.csv", "leaks.csv", "left_out.csv")
REAL = ("data.source=local", "data.path=x")


def write_list(where, name, content):
    """Writes a table of the user."""
    (where / "lists").mkdir(exist_ok=True)
    (where / "lists" / name).write_text(content)


def split(where, tracks, *overrides, check=True, pairs=(), table=None):
    """Runs the stage on a track table made of names `<genre>/<stem>`."""
    rows = "".join(f"{track},{track.split('/')[0]},{track}.wav,30,22050,,,\n" for track in tracks)
    (where / "tracks.csv").write_text(table or f"track,genre,file,seconds,sample_rate,artist,album,missing\n{rows}")
    (where / "pairs.csv").write_text(
        "track_a,track_b,offset_seconds,score\n" + "".join(f"{a},{b},0,1\n" for a, b in pairs)
    )
    return run("split", *PATHS, where=where, overrides=list(overrides), check=check)


def subsets(where):
    return pd.read_csv(where / "split.csv").set_index("track")["subset"].to_dict()


def own(size=6):
    return [f"{genre}/{number}" for genre in "ab" for number in range(size)]


def gtzan_tracks():
    return [track for track in gtzan.artists(FOLDER)["track"] if track != "jazz/jazz.00054"]


def test_the_fault_filtered_split_is_followed_and_every_other_track_named(tmp_path):
    done = split(tmp_path, gtzan_tracks(), "split.protocol=fault-filtered", *REAL)
    assert pd.Series(subsets(tmp_path)).value_counts().to_dict() == {"train": 442, "test": 290, "valid": 197}
    left_out = pd.read_csv(tmp_path / "left_out.csv")
    reasons = left_out.groupby("reason")["track"].agg(list)
    assert reasons["are listed, but not in the corpus"] == ["jazz/jazz.00054"]
    assert len(reasons["are in the corpus, but not listed"]) == 70
    assert (
        "warning: 1 tracks are listed, but not in the corpus, the first is jazz/jazz.00054; see left_out.csv"
        in done.stdout
    )
    assert "warning: 70 tracks are in the corpus, but not listed" in done.stdout


@pytest.mark.parametrize("override", ["split.protocol=fault-filtered"])
@pytest.mark.parametrize(
    ("tracks", "more", "reason"),
    [(gtzan_tracks(), [], "data.source is synthetic"), (own(), REAL, "which has no track 'a/0'")],
    ids=["synthetic", "own"],
)
def test_what_is_for_gtzan_alone_is_refused_elsewhere(tmp_path, override, tracks, more, reason):
    done = split(tmp_path, tracks, override, *more, check=False)
    name = override.replace("=", " ")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(f"error: {name} is for GTZAN only, {reason}; set it to ")
    assert not (tmp_path / "split.csv").exists()


def test_artists_of_gtzan_stay_together_however_they_are_spelled(tmp_path):
    split(tmp_path, gtzan_tracks(), "split.group_by=artist", *REAL)
    found = gtzan.artists(FOLDER).assign(subset=lambda table: table["track"].map(subsets(tmp_path))).dropna()
    known = found[found["artist"] != ""]
    folded = known["artist"].str.casefold().str.replace("&", "and").str.replace(r"\W", "", regex=True)
    assert (known.groupby(folded)["subset"].nunique() == 1).all()
    assert folded.nunique() < known["artist"].nunique()


def test_a_share_that_groups_made_miss_is_said(tmp_path):
    write_list(tmp_path, "groups.csv", "track,group\n" + "".join(f"{t},{'big' if t < 'a/8' else t}\n" for t in own(10)))
    done = split(tmp_path, own(10), "split.group_by=column", "split.groups=groups.csv", *REAL)
    assert (
        "warning: 'a' has 8 of its 10 tracks in train instead of 6.0: groups are kept whole, the largest ('a/0')"
        in done.stdout
    )
    assert len({subsets(tmp_path)[f"a/{number}"] for number in range(8)}) == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a/0", "train"), ("a/99", "test")], "split.file names 1 tracks that the corpus lacks, the first is 'a/99'; data/tracks.csv lists"),
        ([("a/0", "train"), ("a/1", "tset")], "split.protocol file: subset must be one of train, valid, test, got 'tset' for 'a/1'"),
        ([("a/0", "train"), ("a/0", "test")], "split.protocol file: each track must be listed once, got 'a/0' twice"),
        ([("a/0", "test"), ("b/0", "test")], "split.protocol file: names none of the corpus's tracks for train"),
        ([], "split.protocol file: names none of the corpus's tracks for train"),
    ],
)  # fmt: skip
def test_a_bad_split_file_is_refused_in_one_line_that_names_it(tmp_path, rows, message):
    write_list(tmp_path, "mine.csv", "track,subset\n" + "".join(f"{track},{subset}\n" for track, subset in rows))
    done = split(tmp_path, own(), "split.protocol=file", "split.file=mine.csv", check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert message in done.stderr
    assert not (tmp_path / "split.csv").exists()


def test_a_split_file_may_leave_tracks_out_and_they_are_named(tmp_path):
    write_list(tmp_path, "mine.csv", "track,subset\na/0,train\nb/0,train\na/1,test\nb/1,test\n")
    split(tmp_path, own(3), "split.protocol=file", "split.file=mine.csv")
    assert subsets(tmp_path) == {"a/0": "train", "b/0": "train", "a/1": "test", "b/1": "test"}
    assert list(pd.read_csv(tmp_path / "left_out.csv")["track"]) == ["a/2", "b/2"]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["split.protocol=kfold", "split.fold=5"], "split.fold must be in 0..split.folds - 1 (4), got 5"),
        (["split.protocol=kfold", "split.folds=7"], "each genre must have at least 7 tracks"),
        (["split.protocol=filtered"], "split.protocol must be 'stratified', 'fault-filtered', 'kfold' or 'file', got 'filtered'"),
        (["split.protocol=file"], "split.file must name a CSV table track,subset"),
        (["split.protocol=file", "split.file=/no/such.csv"], "split.file must name a table in lists, got '/no/such.csv'; move it there"),
        (["split.protocol=file", "split.file=such.csv"], "split.file must name a table in lists, there is no such.csv"),
        (["split.group_by=column"], "split.groups must name a CSV table track,group"),
    ],
)  # fmt: skip
def test_a_choice_that_cannot_be_is_refused_in_one_line(tmp_path, overrides, message):
    done = split(tmp_path, own(), *overrides, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert message in done.stderr


def test_a_group_table_that_lacks_tracks_is_refused(tmp_path):
    write_list(tmp_path, "groups.csv", "track,group\na/0,x\n")
    done = split(tmp_path, own(), "split.group_by=column", "split.groups=groups.csv", check=False)
    assert done.returncode == 2
    assert "split.group_by column lacks 11 tracks, the first is 'a/1'; list every track" in done.stderr


@pytest.mark.slow
def test_planted_leaks_are_found_by_ear_and_grouping_by_repetition_mends_them(tmp_path):
    planted, rows = [], []
    for number, how in enumerate(ALTERATIONS):
        for kind, waveform in (("original", tune(number)), ("copy", altered(tune(number), how, tmp_path))):
            track = f"{'ab'[number % 2]}/{kind}.{number}"
            (tmp_path / "audio" / track).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(tmp_path / "audio" / f"{track}.flac", waveform, SAMPLE_RATE)
            rows.append(f"{track},{track[0]},{track}.flac,12,{SAMPLE_RATE},,,\n")
        planted.append((f"{'ab'[number % 2]}/copy.{number}", f"{'ab'[number % 2]}/original.{number}"))
    (tmp_path / "tracks.csv").write_text("track,genre,file,seconds,sample_rate,artist,album,missing\n" + "".join(rows))
    run(
        "spectrogram",
        "audio",
        "tracks.csv",
        "values.npy",
        "values.csv",
        "pairs.csv",
        where=tmp_path,
        overrides=[*FAST, *REAL],
    )
    apart = "track,subset\n" + "".join(f"{copy},test\n{original},train\n" for copy, original in planted)
    write_list(tmp_path, "apart.csv", apart)
    mine = [*FAST, *REAL, "split.protocol=file", "split.file=apart.csv"]
    run("split", *PATHS, where=tmp_path, overrides=mine)
    leaks = pd.read_csv(tmp_path / "leaks.csv")
    assert sorted(zip(leaks["track_a"], leaks["track_b"], strict=True)) == sorted(planted)
    assert set(leaks["subset_a"]) == {"test"}
    failed = run("split", *PATHS, where=tmp_path, overrides=[*mine, "split.leaks=fail"], check=False)
    assert "6 recordings are in two subsets, the first is a/copy.0 (test) = a/original.0 (train)" in failed.stderr
    run("split", *PATHS, where=tmp_path, overrides=[*FAST, *REAL, "split.group_by=repetition", "split.leaks=fail"])
    assert pd.read_csv(tmp_path / "leaks.csv").empty


@pytest.mark.parametrize("column", ["artist", "album"])
def test_albums_and_artists_of_the_tags_are_in_one_subset(tmp_path, column):
    rows = "".join(
        f"{genre}/{n},{genre},{genre}/{n}.wav,30,22050,Artist {genre}{n // 4},{'One' if n % 2 else 'one!'},\n"
        for genre in "ab"
        for n in range(24)
    )
    header = "track,genre,file,seconds,sample_rate,artist,album,missing\n"
    split(tmp_path, [], f"split.group_by={column}", *REAL, table=header + rows)
    found = pd.read_csv(tmp_path / "split.csv")
    number = found["track"].str.split("/").str[1].astype(int)
    assert found.groupby([found["genre"], number // 4])["subset"].nunique().max() == 1


def test_a_compilation_in_a_folder_of_its_own_is_one_album(tmp_path):
    rows = "".join(
        f"{genre}/{folder}/{n},{genre},{n}.wav,30,22050,Artist {folder} {n},Hits,\n"
        for genre in "ab"
        for folder in ("one", "two", "three")
        for n in range(4)
    )
    header = "track,genre,file,seconds,sample_rate,artist,album,missing\n"
    split(tmp_path, [], "split.group_by=album", *REAL, table=header + rows)
    found = pd.read_csv(tmp_path / "split.csv")
    assert found.groupby(found["track"].str.rpartition("/")[0])["subset"].nunique().max() == 1


@pytest.mark.parametrize("column", ["artist", "album"])
def test_a_corpus_without_tags_cannot_be_grouped_by_them(tmp_path, column):
    done = split(tmp_path, own(), f"split.group_by={column}", *REAL, check=False)
    assert f"split.group_by {column} needs tags or folders with the {column}, no track has any" in done.stderr
