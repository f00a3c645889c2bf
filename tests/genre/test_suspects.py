import re
import shutil

import numpy as np
import pandas as pd
import pytest

from genre import suspects
from genre.pipeline import tables
from genre.pipeline.settings import Settings
from genre.spectrograms import store
from genre.suspects_table import COLUMNS
from tests.architecture import ROOT

OVERRIDES = [
    "data.source=local", "spectrogram.n_mels=32", "split.clip_frames=32", "split.clips_per_track=2", "data.min_seconds=6.0",
    "train.crop_frames=null", "split.protocol=kfold",
]  # fmt: skip


def features(tracks: int, size: int = 20) -> tuple[np.ndarray, np.ndarray]:
    """`tracks` tracks of each of three genres, four clips each, around a centre of the genre."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), tracks)
    track = 3 * rng.normal(size=(3, size))[labels] + rng.normal(size=(len(labels), size))
    return (track[:, None] + 0.5 * rng.normal(size=(len(labels), 4, size))).astype(np.float32), labels


def spectra(labels: np.ndarray) -> np.ndarray:
    """A spectrogram `(frame, 32)` for each label: noise, louder in some bands, which are of the genre."""
    rng = np.random.default_rng(1)
    found = 0.2 * rng.random((len(labels), 80, 32))
    for spectrum, label in zip(found, labels, strict=True):
        spectrum[:, 8 * label : 8 * label + 8] += 0.5
    return found.astype(np.float16)


@pytest.fixture
def house(tmp_path, monkeypatch):
    """What the stages download and spectrogram leave of 36 tracks of three genres; two labels are wrong."""
    labels = np.repeat(np.arange(3), 12)
    names = [f"g{label}/t{number}" for number, label in enumerate(labels)]
    given = labels.copy()
    given[[0, 20]] = 1, 2
    data = tmp_path / "data"
    shutil.copytree(ROOT / "data" / "gtzan", data / "gtzan")
    store.write(zip(names, spectra(labels), strict=True), 32, data / "spectrograms.npy", data / "spectrograms.csv")
    table = pd.DataFrame({"track": names, "genre": [f"g{label}" for label in given], "file": names, "seconds": 7.0,
                          "sample_rate": 22050, "artist": [f"artist {label}" for label in labels], "album": "",
                          "missing": ""})  # fmt: skip
    tables.write_csv(table, data / "tracks.csv")
    tables.write_csv(pd.DataFrame(columns=list(tables.REPETITIONS)), data / "repetitions.csv")
    params = Settings.read(ROOT / "params.yaml", OVERRIDES)
    text = (ROOT / "params.yaml").read_text()
    for override in OVERRIDES:
        key = override.partition(".")[2].partition("=")[0]
        value = override.partition("=")[2]
        text = re.sub(rf"^(  {key}: ).*$", rf"\g<1>{value}", text, count=1, flags=re.MULTILINE)
    (tmp_path / "params.yaml").write_text(text)
    assert Settings.read(tmp_path / "params.yaml").sections == params.sections
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_planted_labels_rank_first_with_their_genre_and_a_row_has_80_characters(house, capsys):
    suspects.main(house / "metrics" / "suspects.csv", 4)
    table = pd.read_csv(house / "metrics" / "suspects.csv")
    assert tuple(table.columns) == COLUMNS
    assert set(table["track"][:2]) == {"g0/t0", "g1/t20"}
    assert dict(zip(table["track"][:2], table["suspected"][:2], strict=True)) == {"g0/t0": "g0", "g1/t20": "g1"}
    assert list(table["suspect"]) == ["yes"] * 2 + ["no"] * 34
    assert list(table["rank"]) == list(range(1, 37))
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[:21])) <= 80
    assert lines[21] == f"2 of 36 labels are suspect; all tracks by rank: {house}/metrics/suspects.csv"
    assert re.match(
        r"Judged by the linear baseline, which predicts the given label of 9\d% of the tracks in 4 folds", lines[22]
    )
    assert "genre recipe pretrained" in lines[24]


def test_planted_labels_stand_out_of_features_of_the_pretrained_network_and_correct_ones_do_not():
    clips, labels = features(20)
    fold = np.arange(len(labels)) % 5
    classify = suspects.on_features(clips)
    correct = suspects.out_of_fold(classify, labels, fold)
    assert (correct.argmax(axis=1) == labels).all()
    wrong = labels.copy()
    wrong[[3, 30]] = 2, 0
    doubted = suspects.out_of_fold(classify, wrong, fold)[np.arange(len(wrong)), wrong]
    assert set(doubted.argsort()[:2]) == {3, 30}


def test_probabilities_are_of_a_classifier_that_did_not_have_the_track():
    clips, labels = features(20)
    noise = np.random.default_rng(0).normal(size=clips.shape).astype(np.float32)
    found = suspects.out_of_fold(suspects.on_features(noise), labels, np.arange(len(labels)) % 5)
    assert (found.argmax(axis=1) == labels).mean() < 0.6
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_tracks_of_a_group_are_in_one_fold_and_each_fold_has_each_genre(house):
    pairs = pd.DataFrame([["g0/t1", "g0/t2", 0.0, 1.0], ["g0/t2", "g2/t30", 0.0, 1.0]], columns=tables.REPETITIONS)
    tables.write_csv(pairs, house / "data" / "repetitions.csv")
    corpus = suspects.read(Settings.read(overrides=["split.group_by=repetition"]))
    for seed in range(3):
        fold = suspects.assign_folds(corpus, folds=4, seed=seed)
        assert len(set(fold[corpus.table["track"].isin(["g0/t1", "g0/t2", "g2/t30"])])) == 1
        assert corpus.table.assign(fold=fold).groupby("fold")["genre"].nunique().tolist() == [3] * 4


@pytest.mark.parametrize("name", ["spectrograms.npy", "spectrograms.csv", "tracks.csv", "repetitions.csv"])
def test_without_the_outputs_of_the_stages_the_error_says_which_stage_to_run(house, name):
    (house / "data" / name).unlink()
    with pytest.raises(ValueError, match=rf"data/{name} is missing; `dvc repro spectrogram` makes it"):
        suspects.main(house / "suspects.csv", 4)


def test_spectrograms_of_other_parameters_are_refused(house):
    with pytest.raises(
        ValueError, match=r"must have 64 mel bands \(spectrogram\.n_mels\), got 32; run `dvc repro spec"
    ):
        suspects.read(Settings.read(overrides=["spectrogram.n_mels=64"]))


@pytest.mark.parametrize(
    ("folds", "group_by", "message"),
    [
        (1, None, "--folds must be at least 2, got 1"),
        (12, None, r"there are --folds \(12\), with split.group_by none 'g0' has 11; lower --folds"),
        (
            5,
            "artist",
            r"there are --folds \(5\), with split.group_by artist 'g\d' has [12]; lower --folds, give another",
        ),
        (5, "album", "split.group_by album needs tags or folders with the album"),
    ],
)
def test_folds_that_a_genre_cannot_fill_are_refused(house, folds, group_by, message):
    with pytest.raises(ValueError, match=message):
        suspects.main(house / "suspects.csv", folds, group_by)


def test_a_table_is_never_written_over_a_file_of_another_kind(house):
    before = (house / "params.yaml").read_bytes()
    with pytest.raises(ValueError, match=r"--csv must name a file that ends in \.csv, got .*params\.yaml"):
        suspects.main(house / "params.yaml", 4)
    assert (house / "params.yaml").read_bytes() == before
