"""A project with an MLflow database of its own, without runs."""

import shutil

import pytest


@pytest.fixture
def root(tmp_path, empty_store, monkeypatch):
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.pt").write_bytes(b"weights")
    return tmp_path
