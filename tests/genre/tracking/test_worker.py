import threading
import time

from genre.tracking.worker import Background


def test_jobs_are_done_in_order_and_waited_for():
    done = []
    with Background(patience=5, advice="") as background:
        for number in range(20):
            background.submit(lambda number=number: done.append(number))
    assert done == list(range(20))


def test_a_failure_warns_once_and_drops_the_rest(capsys):
    done = []
    with Background(patience=5, advice="do this") as background:
        background.submit(lambda: 1 / 0)
        background.submit(lambda: done.append(1))
        background.submit(lambda: 1 / 0)
    assert done == []
    assert capsys.readouterr().err == "warning: ZeroDivisionError: division by zero; do this\n"


def test_a_job_that_hangs_costs_no_more_than_the_patience(capsys):
    release = threading.Event()
    start = time.monotonic()
    with Background(patience=0.2, advice="do this") as background:
        background.submit(release.wait)
    assert time.monotonic() - start < 2
    assert capsys.readouterr().err == "warning: not done after 0.2 s; do this\n"
    release.set()


def test_what_is_waited_for_longer_than_a_second_is_told(capsys):
    with Background(patience=5, advice="", what="MLflow") as background:
        background.submit(lambda: time.sleep(1.5))
    assert capsys.readouterr().out == "waiting for MLflow ...\n"
