"""DVC's experiments and MLflow's runs know each other: queued, temporary, cached, with a server that dies, and served."""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
import soundfile

from genre.history import dvc_lock
from genre.tracking.mlflow_store import Store
from tests.conftest import RATE, tone
from tests.house import House

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # mlflow's own
ALL = {"test/track_accuracy", "versus_linear/test_clip_accuracy", "epoch/valid_loss", "epoch/train_loss"}


@pytest.fixture
def house(tmp_path, corpus, monkeypatch) -> House:
    house = House(tmp_path / "house", corpus)
    monkeypatch.setenv("DVC_ROOT", str(house.root))  # where this process looks for runs
    return house


def recorded(names: set[str] | None = None) -> dict[str, object]:
    """Gives the runs by name; those of `names` must be whole."""
    found = {run.info.run_name: run for run in Store().all_runs()}
    for name in names or ():
        run = found[name]
        assert run.info.status == "FINISHED"
        assert run.data.tags["dvc.exp.name"] == name
        assert run.data.metrics.keys() >= ALL
        held = json.loads(run.data.tags["genre.files"])
        assert {"metrics/predictions.csv", "figures/confusion_tracks.png", "figures/training_curves.png"} <= held.keys()
        assert "genre.registered" in run.data.tags
    return found


def experiments(house: House) -> dict[str, dvc_lock.Trained]:
    """Gives the models of DVC's experiments, by name."""
    lines = house.run("git", "for-each-ref", "refs/exps", "--format=%(objectname) %(refname:lstrip=4)").stdout
    commits = {name: commit for commit, _, name in (line.partition(" ") for line in lines.splitlines())}
    return {
        name: dvc_lock.read(house.run("git", "show", f"{commit}:dvc.lock").stdout) for name, commit in commits.items()
    }


def wait_for(holds: Callable[[], object], what: str, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}"
        time.sleep(0.5)


def test_queued_experiments_on_a_store_that_is_not_there_yet_are_runs_of_their_names(house):
    names = {"one", "two", "three", "four"}
    for seed, name in enumerate(sorted(names)):
        house.run("dvc", "exp", "run", "--queue", "-n", name, "-S", f"train.seed={seed}")
    house.run("dvc", "queue", "start", "-j", "2")
    wait_for(lambda: experiments(house).keys() >= names, "the queue", 3600)
    found = recorded(names)
    assert set(found) == names
    for name, trained in experiments(house).items():
        assert found[name].data.tags["genre.model"] == trained.model
    assert "runs added: 0, completed: 4" in house.run("genre", "sync").stdout  # by the commit that DVC made at the end
    assert "runs added: 0, completed: 0, complete: 4" in house.run("genre", "sync").stdout


def test_two_temporary_experiments_at_once_are_right_and_a_cached_one_comes_back_by_sync(house):
    started = [
        house.start("dvc", "--wait-for-lock", "exp", "run", "--temp", "-n", f"seed-{seed}", "-S", f"train.seed={seed}")
        for seed in (1, 2)
    ]
    for process in started:
        output, _ = process.communicate(timeout=3600)
        assert process.returncode == 0, output[-3000:]
    at_once = experiments(house)
    assert {name: trained.parameters["train.seed"] for name, trained in at_once.items()} == {"seed-1": 1, "seed-2": 2}
    assert set(recorded(set(at_once))) == set(at_once)

    shutil.rmtree(house.root / ".dvc" / "cache" / "runs")  # so that it is trained again, alone
    house.run("dvc", "exp", "run", "--temp", "-n", "alone", "-S", "train.seed=1")
    assert experiments(house)["alone"].model == at_once["seed-1"].model
    assert len(recorded()) == 2, "the same model is the same run"

    house.run("dvc", "exp", "remove", "seed-2", "alone")
    for run in recorded().values():  # as if the store were new; this process keeps the database open
        Store().client.delete_run(run.info.run_id)
    done = house.run("dvc", "exp", "run", "--temp", "-n", "restored", "-S", "train.seed=2")
    assert "is cached - skipping run" in done.stdout
    assert "seed-1: added the run" in house.run("genre", "sync").stdout
    assert set(recorded({"seed-1", "restored"})) == {"seed-1", "restored"}
    assert "runs added: 0, completed: 0, complete: 2" in house.run("genre", "sync").stdout


@contextmanager
def serving(*words: str, house: House, port: int, path: str, **environment: str) -> Iterator[subprocess.Popen[str]]:
    """Runs a server until the block ends; waits until it answers."""
    process = house.start(*words, "--port", str(port), **environment)

    def answers() -> bool:
        assert process.poll() is None, process.stdout.read()[-3000:]
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer:
            return answer.status == 200
        return False

    try:
        wait_for(answers, words[0])
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_server_that_dies_in_training_costs_no_result_and_sync_completes_the_run(house, tmp_path, monkeypatch):
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    words = ["mlflow", "server", "--host", "127.0.0.1", "--workers", "1"]
    words += ["--backend-store-uri", f"sqlite:///{tmp_path}/server.db", "--artifacts-destination", f"{tmp_path}/kept"]
    house.run("dvc", "repro", "split", MLFLOW_TRACKING_URI=address)

    def half_trained() -> bool:
        runs = [run for run in Store().all_runs() if run.info.status == "RUNNING"]
        return any("epoch/train_loss" in run.data.metrics for run in runs)

    with serving(*words, house=house, port=port, path="health"):
        process = house.start("dvc", "exp", "run", "-n", "left", "-S", "train.epochs=200", MLFLOW_TRACKING_URI=address)
        wait_for(half_trained, "the first epoch")
    output, _ = process.communicate(timeout=3600)
    assert process.returncode == 0, output[-3000:]
    assert f"MLflow at {address} does not take part" in output
    with serving(*words, house=house, port=port, path="health"):
        house.run("genre", "sync", MLFLOW_TRACKING_URI=address)
        (run,) = recorded({"left"}).values()
        assert {one.step for one in Store().client.get_metric_history(run.info.run_id, "epoch/train_loss")} == set(
            range(1, 201)
        )
        again = house.run("genre", "sync", MLFLOW_TRACKING_URI=address).stdout
        assert "runs added: 0, completed: 0" in again


def test_a_server_that_takes_connections_and_never_answers_is_waited_for_within_bounds(house):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        done = house.run("dvc", "repro", MLFLOW_TRACKING_URI=address)
    assert (done.stdout + done.stderr).count(f"MLflow at {address} does not take part") == 3
    assert (house.root / "metrics" / "figures" / "training_curves.png").is_file()


def test_the_champion_answers_a_request_after_the_repository_has_moved(house, tmp_path):
    house.run("dvc", "repro")
    house.run(
        "mlflow", "artifacts", "download", "-u", "models:/music-genre@champion-local", "-d", str(tmp_path / "exported"),
        MLFLOW_TRACKING_URI=f"sqlite:///{house.root}/mlflow.db",
    )  # fmt: skip
    song = tmp_path / "song.wav"
    soundfile.write(song, tone(2000, 7.0), RATE)
    heard = json.loads(house.run("genre", "predict", str(song), "--json").stdout)
    house.root.rename(tmp_path / "elsewhere")
    house.root = tmp_path
    port = free_port()
    words = ["mlflow", "models", "serve", "-m", str(tmp_path / "exported"), "--env-manager", "local"]
    with serving(*words, house=house, port=port, path="ping"):
        for row in ({"audio": base64.b64encode(song.read_bytes()).decode()}, {"path": str(song)}):
            answer = ask(f"http://127.0.0.1:{port}/invocations", {"dataframe_records": [row]})
            (found,) = answer["predictions"]
            assert found["genre"] == heard["genre"]
            assert found["probabilities"][heard["genre"]] == pytest.approx(max(found["probabilities"].values()))
        both = [{"audio": base64.b64encode(song.read_bytes()).decode()}, {"path": str(song)}]
        first, second = ask(f"http://127.0.0.1:{port}/invocations", {"dataframe_records": both})["predictions"]
        assert first == second
        with pytest.raises(urllib.error.HTTPError, match="400") as refused:
            ask(f"http://127.0.0.1:{port}/invocations", {"dataframe_records": [{"file": "x"}]})
        assert "row 0: a request must have audio" in refused.value.read().decode()


def ask(address: str, content: dict) -> dict:
    request = urllib.request.Request(address, json.dumps(content).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)
