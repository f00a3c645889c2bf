"""The server that the tests of downloads talk to."""

import pytest

from tests.genre.corpus.faulty_server import serving


@pytest.fixture(scope="module")
def server():
    with serving() as server:
        yield server


@pytest.fixture
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
