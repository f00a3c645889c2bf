import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest

from genre.audio import cluster
from genre.audio.parallel import map_files
from genre.audio.processes import Failure
from tests.genre.audio.clusters import ROOT, LocalCluster, free_port
from tests.genre.audio.test_parallel import act

WORDS = ["a", "crash", "b", "unusable", "c"]


def wait_and_act(word: str) -> str:
    """Takes a while, and ends the Dask worker where the item says so."""
    time.sleep(0.2)
    if word == "end the worker":
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(1000)
    return act(word)


@pytest.fixture
def dask(monkeypatch):
    """A scheduler without workers, whose address the environment has."""
    with LocalCluster() as local:
        monkeypatch.setenv("GENRE_DASK", local.address)
        yield local


def test_a_cluster_gives_what_one_machine_gives_in_order_and_a_crash_takes_one_file(dask, monkeypatch):
    worker = dask.worker()
    found = list(map_files(act, WORDS))
    assert worker.poll() is None
    monkeypatch.delenv("GENRE_DASK")
    assert found == list(map_files(act, WORDS)) == ["A", Failure("the decoder crashed on it (SIGSEGV)"), "B",
                                                    Failure("unusable"), "C"]  # fmt: skip


def test_a_scheduler_that_does_not_answer_is_told(monkeypatch):
    monkeypatch.setattr(cluster, "SECONDS", 1)
    address = f"tcp://127.0.0.1:{free_port()}"
    for wrong, error in ((address, f"got '{address}'"), ("nonsense://x", "got 'nonsense://x'")):
        monkeypatch.setenv("GENRE_DASK", wrong)
        with pytest.raises(ValueError, match=f"GENRE_DASK must be the address of a Dask scheduler .* {error}"):
            list(map_files(act, WORDS))


def test_a_missing_library_is_told(monkeypatch):
    monkeypatch.setenv("GENRE_DASK", "tcp://127.0.0.1:8786")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ValueError, match=r"needs the package distributed: install requirements\.txt, or unset it"):
        list(map_files(act, WORDS))


@pytest.mark.slow
def test_a_worker_that_is_killed_costs_time_and_no_result(dask):
    first, _ = dask.worker(), dask.worker()
    words = [f"word {number}" for number in range(30)]
    found = []
    for result in map_files(wait_and_act, words):
        found.append(result)
        if len(found) == 5:
            dask.end(first)
    assert found == [word.upper() for word in words]


@pytest.mark.slow
def test_a_file_that_ends_every_worker_is_given_up(monkeypatch):
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "1")
    with LocalCluster() as local:
        monkeypatch.setenv("GENRE_DASK", local.address)
        for _ in range(3):
            local.worker()
        found = list(map_files(wait_and_act, ["a", "end the worker", "b"]))
    assert found[1] == Failure("each Dask worker that took it died; if memory is short, start fewer on a machine")
    assert [found[0], found[2]] == ["A", "B"]


@pytest.mark.slow
def test_the_last_worker_and_the_scheduler_that_end_are_told(dask, monkeypatch):
    monkeypatch.setattr(cluster, "SECONDS", 8)
    worker = dask.worker()
    results = map_files(wait_and_act, ["a"] * 20)
    next(results)
    dask.end(worker)
    with pytest.raises(ValueError, match=r"must have a worker, got none within 8 s; start some with .*dask worker tcp"):
        list(results)
    dask.worker()
    results = map_files(wait_and_act, ["a"] * 20)
    next(results)
    dask.end(dask.processes[0])
    with pytest.raises(ValueError, match=r"the Dask scheduler at tcp.* is gone; start it, then run again"):
        list(results)


@pytest.mark.slow
def test_a_worker_that_may_start_no_process_is_told_how_to_be_started(dask):
    dask.worker("--nanny")
    with pytest.raises(ValueError, match="start it with DASK_DISTRIBUTED__WORKER__DAEMON=False or with --no-nanny"):
        list(map_files(act, WORDS))


@pytest.mark.slow
def test_a_worker_with_a_nanny_works_as_the_docs_say(dask, monkeypatch):
    monkeypatch.setenv("DASK_DISTRIBUTED__WORKER__DAEMON", "False")
    dask.worker("--nanny")
    assert list(map_files(act, ["a", "b"])) == ["A", "B"]


@pytest.mark.slow
def test_a_worker_with_other_code_is_refused(dask, monkeypatch, tmp_path):
    for name in ("genre", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "genre" / "__init__.py").write_text('"""Another."""\n')
    dask.worker(folder=tmp_path)
    with pytest.raises(ValueError, match="must run the same code and library versions as this stage"):
        list(map_files(act, WORDS))


@pytest.mark.slow
def test_a_file_that_a_worker_does_not_see_is_told(dask, tmp_path):
    dask.worker()
    with pytest.raises(FileNotFoundError, match="it must see the same files under the same names"):
        list(map_files(Path.read_bytes, [tmp_path / "nothing"]))
