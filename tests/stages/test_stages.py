"""Each stage on a tiny corpus, called as DVC calls it; and the whole pipeline twice."""

import contextlib
import importlib
import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import soundfile
import torch

from genre.console import stage as console
from genre.network import model_file
from genre.network.unet import GenreNet
from genre.pipeline import files, tables
from genre.spectrograms import store
from tests.conftest import RATE, tone
from tests.genre.audio.clusters import LocalCluster
from tests.genre.network.test_model_file import CONTENT
from tests.genre.network.test_unet import TINY

ROOT = Path(__file__).parents[2]
FAST = [
    "data.source=local", "train.epochs=2", "model.base_channels=2", "split.clip_frames=32", "train.device=cpu",
    "train.crop_frames=null", "split.valid=0.33", "split.test=0.33", "spectrogram.n_mels=32", "train.batch_size=4",
]  # fmt: skip


class Done:
    """What a stage printed, and its exit status."""

    def __init__(self, returncode: int, stdout: str, stderr: str) -> None:
        self.returncode, self.stdout, self.stderr = returncode, stdout, stderr


def run(stage: str, *paths: str, where: Path, overrides: list[str], check: bool = True) -> Done:
    """Runs a stage as `python -m stages.NAME` does, in this process, which has imported torch already."""
    module = importlib.import_module(f"stages.{stage}")
    options = [word for override in overrides for word in ("--set", override)]
    out, err, status = io.StringIO(), io.StringIO(), 0
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.chdir(where)
        patch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        patch.setattr(sys, "argv", [stage, *paths, "--params", str(ROOT / "params.yaml"), *options])
        try:
            console.run(module.main)
        except SystemExit as end:
            status = int(end.code or 0)
    assert not check or status == 0, err.getvalue()
    return Done(status, out.getvalue(), err.getvalue())


STORE = ["data/spectrograms.npy", "data/spectrograms.csv"]
# The command lines of dvc.yaml, with this repository's tables about GTZAN and a folder of lists that does not exist.
GTZAN = str(ROOT / "data" / "gtzan")
PATHS = {
    "download": [GTZAN, "data/audio", "data/tracks.csv", "data/excluded.csv", "metrics/corpus.json"],
    "spectrogram": ["data/audio", "data/tracks.csv", *STORE, "data/repetitions.csv"],
    "split": [
        "data/tracks.csv", "data/repetitions.csv", GTZAN, "data/lists",
        "data/split.csv", "metrics/leaks.csv", "data/left_out.csv",
    ],
    "train": [*STORE, "data/split.csv", "models/model.pt", "metrics/history.csv"],
    "evaluate": [*STORE, "data/split.csv", "metrics/leaks.csv", "models/model.pt", "metrics"],
    "plots": [
        *STORE, "data/tracks.csv", "data/split.csv", "models/model.pt", "metrics", "metrics/figures",
        "metrics/report.html",
    ],
}  # fmt: skip


def download(where: Path, corpus: Path, check: bool = True, **options) -> Done:
    overrides = [*FAST, f"data.path={corpus}", *(f"data.{key}={value}" for key, value in options.items())]
    return run("download", *PATHS["download"], where=where, overrides=overrides, check=check)


def everything(where: Path, corpus: Path) -> dict[str, str]:
    """Runs all stages in `where`; returns the checksum of each file that they wrote."""
    for stage, paths in PATHS.items():
        run(stage, *paths, where=where, overrides=[*FAST, f"data.path={corpus}"])
    written = [path for folder in ("data", "models", "metrics") for path in sorted((where / folder).rglob("*"))]
    return {str(path.relative_to(where)): files.md5(path) for path in written if path.is_file()}


@pytest.mark.filterwarnings("ignore")  # of mlflow, which finds no server
def test_the_whole_pipeline_twice_gives_the_same_bytes_also_without_tracking(tmp_path, corpus, monkeypatch):
    checksums = []
    for name, tracking in (("one", "on"), ("two", "off")):
        monkeypatch.setenv("GENRE_TRACKING", tracking)
        (tmp_path / name).mkdir()
        checksums.append(everything(tmp_path / name, corpus))
    first, second = checksums
    assert first == second
    assert len(first) > 20
    metrics = json.loads((tmp_path / "one" / "metrics" / "metrics.json").read_text())
    assert set(metrics) == {"train", "valid", "test", "leaks"}
    predictions = pd.read_csv(tmp_path / "one" / "metrics" / "predictions.csv")
    assert list(predictions.columns) == ["track", "clip", "subset", "actual", "predicted", "high", "low"]
    assert len(predictions) == 6 * 5
    for level, count in (("clips", 2 * 5), ("tracks", 2)):
        shown = pd.read_csv(tmp_path / "one" / "metrics" / "confusion" / f"{level}.csv")
        assert list(shown.columns) == ["track", "actual", "predicted"]
        assert len(shown) == count
        assert set(shown["track"]) == set(predictions.loc[predictions["subset"] == "test", "track"])
    assert not predictions.isna().any(axis=None)


@pytest.fixture
def judged(tmp_path, monkeypatch):
    """A store of six tracks of two genres, all in the test subset, and a model with a temperature and a threshold."""
    monkeypatch.setenv("GENRE_TRACKING", "off")
    (tmp_path / "data").mkdir()
    (tmp_path / "models").mkdir()
    random = np.random.default_rng(0)
    tracks = [f"{genre}/{number}" for genre in ("high", "low") for number in range(3)]
    mels = [(track, random.random((80, 32)).astype(np.float16)) for track in tracks]
    store.write(mels, 32, *(tmp_path / path for path in STORE))
    subsets = ["train", "train", "test"] * 2
    table = pd.DataFrame({"track": tracks, "genre": [track.split("/")[0] for track in tracks], "subset": subsets})
    table.to_csv(tmp_path / "data" / "split.csv", index=False)
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "leaks.csv").write_text(",".join(tables.LEAKS) + "\n")
    torch.manual_seed(0)
    net = GenreNet(genres=2, **TINY).eval()
    with torch.no_grad():  # so that logits are far apart, and a temperature matters
        [*net.modules()][-1].weight *= 20
    content = CONTENT | {"genres": ["high", "low"], "calibration": {"temperature": 2.5, "unsure_below": 0.52}}
    model_file.save(tmp_path / "models" / "model.pt", net, network_params=TINY, **content)
    return tmp_path, net, dict(mels)


def test_evaluate_calibrates_the_probabilities_and_counts_what_is_sure_enough(judged):
    folder, net, mels = judged
    run("evaluate", *PATHS["evaluate"], where=folder, overrides=FAST)
    found = pd.read_csv(folder / "metrics" / "predictions.csv")
    with torch.inference_mode():
        cuts = [mel[start : start + 64].T for mel in mels.values() for start in (0, 4, 8, 12, 16)]
        logits = net(torch.from_numpy(np.stack(cuts)).float())
    wanted = (logits / 2.5).softmax(1)
    np.testing.assert_allclose(found[["high", "low"]], wanted, atol=1e-5)
    assert abs(wanted - logits.softmax(1)).max() > 0.1
    by_track = (logits / 2.5).reshape(6, 5, 2).mean(1).softmax(1).amax(1)
    assert (by_track >= 0.52).tolist()[2::3] == [False, True]  # of the test tracks
    assert json.loads((folder / "metrics" / "metrics.json").read_text())["test"]["answered"] == 0.5


@pytest.mark.parametrize(
    ("stage", "overrides"), [("train", ["spectrogram.n_mels=64", "split.clip_frames=64"]), ("evaluate", [])]
)
def test_spectrograms_with_another_number_of_bands_are_refused(judged, stage, overrides):
    folder, _, mels = judged
    if stage == "evaluate":
        store.write(((track, np.tile(mel, 2)) for track, mel in mels.items()), 64, *(folder / path for path in STORE))
    done = run(stage, *PATHS[stage], where=folder, overrides=[*FAST, *overrides], check=False)
    assert done.returncode == 2
    assert "error: the spectrograms must have" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("kind", ["folder", "tar.gz", "zip"])
def test_a_folder_or_archive_of_ones_own_is_taken_and_left_alone(tmp_path, corpus, kind):
    source = corpus
    if kind != "folder":
        source = Path(shutil.make_archive(tmp_path / "music", {"tar.gz": "gztar"}.get(kind, kind), corpus))
    before = sorted(corpus.rglob("*"))
    download(tmp_path, source)
    tracks = pd.read_csv(tmp_path / "data" / "tracks.csv")
    assert len(tracks) == 6
    assert len(pd.read_csv(tmp_path / "data" / "excluded.csv")) == 3
    assert all((tmp_path / "data" / "audio" / file).exists() for file in tracks["file"])
    assert sorted(corpus.rglob("*")) == before
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["audio", "excluded.csv", "tracks.csv"]


def test_a_folder_is_read_where_it_is_and_an_archive_unpacked(tmp_path, corpus):
    archive = Path(shutil.make_archive(tmp_path / "music", "zip", corpus))
    for source, root, moved in ((corpus, f"{corpus}/", 0), (archive, "", 6)):
        download(tmp_path, source)
        tracks = pd.read_csv(tmp_path / "data" / "tracks.csv")
        assert list(tracks["file"]) == [f"{root}{track}.wav" for track in tracks["track"]]
        assert len(list((tmp_path / "data" / "audio").glob("*/*"))) == moved


def test_a_folder_of_the_project_is_found_again_where_the_project_has_moved(tmp_path, corpus, monkeypatch):
    project = tmp_path / "project"
    monkeypatch.setenv("DVC_ROOT", str(project))
    shutil.copytree(corpus, project / "data" / "local")
    download(project, Path("data/local"))
    project = project.rename(tmp_path / "moved")
    for file in pd.read_csv(project / "data" / "tracks.csv")["file"]:
        assert not Path(file).is_absolute()
        assert (project / "data" / "audio" / file).is_file()


def test_where_the_genres_are_is_said_unless_it_is_the_given_folder(tmp_path, corpus):
    assert "the genres are the folders of corpus" in download(tmp_path, corpus.parent).stdout
    assert "the genres are" not in download(tmp_path, corpus).stdout


def test_names_cannot_control_the_terminal(tmp_path, corpus):
    for number in range(3):
        (corpus / "low" / f"low.{number:05d}.wav").rename(corpus / "low" / f"\x1b[2J{number}.wav")
        data = (corpus / "low" / f"\x1b[2J{number}.wav").read_bytes()
        (corpus / "low" / f"\x1b[2J{number}.wav").write_bytes(data[: int(0.9 * len(data))])
    printed = download(tmp_path, corpus).stdout
    assert "missing" in printed
    assert "\x1b" not in printed


def test_names_with_spaces_quotes_newlines_and_unicode_are_tracks_like_others(tmp_path, corpus):
    for name in ("a b.wav", 'it\'s "so".wav', "new\nline.wav", "漢字.wav", "$(touch owned).wav"):
        soundfile.write(corpus / "low" / name, tone(300, 7.0), RATE)
    download(tmp_path, corpus)
    tracks = pd.read_csv(tmp_path / "data" / "tracks.csv")
    assert len(tracks) == 11
    assert all((tmp_path / "data" / "audio" / file).exists() for file in tracks["file"])
    assert not list(tmp_path.rglob("owned"))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"path": "/no/such/place"}, "error: data.path must be a folder or an archive"),
        ({"min_seconds": 100}, "error: data/tracks.csv must hold at least one track, got none"),
        ({"min_seconds": "long"}, "error: data.min_seconds must be a valid number, got 'long' (str)"),
    ],
)
def test_a_mistake_is_one_line_and_status_2(tmp_path, corpus, override, message):
    done = download(tmp_path, corpus, check=False, **override)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith(message)
    assert "Traceback" not in done.stderr


def test_a_leak_is_named_and_stops_the_pipeline_if_it_shall(tmp_path):
    rows = [f"{g}/{n}" for g in "ab" for n in range(5)]
    (tmp_path / "tracks.csv").write_text(
        "track,genre,file,seconds,sample_rate,artist,album,missing\n"
        + "".join(f"{t},{t[0]},{t}.wav,30,22050,,,\n" for t in rows)
    )
    (tmp_path / "pairs.csv").write_text(
        "track_a,track_b,offset_seconds,score\n" + "".join(f"a/0,a/{n},0,1\n" for n in range(1, 5))
    )
    paths = ("tracks.csv", "pairs.csv", GTZAN, "lists", "split.csv", "leaks.csv", "left_out.csv")
    warned = run("split", *paths, where=tmp_path, overrides=[])
    leaks = len(pd.read_csv(tmp_path / "leaks.csv"))
    assert f"warning: {leaks} recordings are in two subsets, the first is a/0 (" in warned.stdout
    assert "split.leaks" not in warned.stdout  # it warns already
    (tmp_path / "split.csv").unlink()
    failed = run("split", *paths, where=tmp_path, overrides=["split.leaks=fail"], check=False)
    assert failed.returncode == 2
    assert "set split.group_by to repetition" in failed.stderr
    assert not (tmp_path / "split.csv").exists()


def test_a_mistake_is_one_line_and_status_2_too(tmp_path, corpus):
    done = download(tmp_path, corpus, check=False, path="~no-such-user/music")
    assert done.returncode == 2
    assert done.stderr.startswith("error: data.path must be a folder or an archive (tar.gz or zip), there is none at ")


def test_a_single_genre_is_told_by_the_first_stage(tmp_path, corpus):
    shutil.rmtree(corpus / "high")
    done = download(tmp_path, corpus, check=False)
    assert done.returncode == 2
    assert "data/tracks.csv must hold at least 2 genres, got only 'low'; data/excluded.csv lists" in done.stderr


@pytest.fixture
def disk(tmp_path):
    """A file system of 24 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(disk: Path, left: int) -> Path:
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    os.truncate(filler, max(0, filler.stat().st_size // 4096 * 4096 - left))
    return filler


@pytest.mark.slow
def test_the_processes_of_a_killed_download_end_with_it(tmp_path):
    command_line = [sys.executable, "-m", "stages.download", *PATHS["download"], "--params", str(ROOT / "params.yaml")]
    download = subprocess.Popen(command_line, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)})
    while not list(tmp_path.glob("data/.incoming/*/*.wav")):
        assert download.poll() is None
        time.sleep(0.2)
    others = psutil.Process(download.pid).children(recursive=True)
    assert len(others) > 1
    download.kill()
    download.wait()
    assert psutil.wait_procs(others, timeout=60)[1] == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of mlflow, which finds no server
def test_a_full_disk_costs_a_line_and_leaves_no_half_output(tmp_path, corpus, disk, monkeypatch):
    monkeypatch.setenv("DVC_ROOT", str(disk))
    failed = set()
    for stage, paths in PATHS.items():
        for left in (0, 4096, 40_960):
            filler = fill(disk, left)
            done = run(stage, *paths, where=disk, overrides=[*FAST, f"data.path={corpus}"], check=False)
            filler.unlink()
            assert not [path for path in disk.rglob("*") if "unfinished" in path.name or "incoming" in path.name]
            if done.returncode:
                failed.add(stage)
                errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
                assert done.returncode == 2
                assert len(errors) == 1, done.stderr
                assert "must have room left, got: No space left on device" in errors[0]
        run(stage, *paths, where=disk, overrides=[*FAST, f"data.path={corpus}"])
    assert failed == set(PATHS)


@pytest.mark.slow
def test_a_cluster_gives_the_same_tables_and_spectrograms_as_one_machine(tmp_path, corpus, monkeypatch):
    def written(name: str) -> dict[str, str]:
        (tmp_path / name).mkdir()
        download(tmp_path / name, corpus)
        run("spectrogram", *PATHS["spectrogram"], where=tmp_path / name, overrides=[*FAST, f"data.path={corpus}"])
        files_written = ("excluded.csv", "spectrograms.npy", "spectrograms.csv", "repetitions.csv")
        return {file: files.md5(tmp_path / name / "data" / file) for file in files_written}

    here = written("here")
    with LocalCluster() as local:
        monkeypatch.setenv("GENRE_DASK", local.address)
        local.worker()
        local.worker()
        assert written("cluster") == here
