import hashlib
import types

from genre.pipeline import files
from genre.training import run_key


def test_a_files_name_of_content_is_its_md5(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert files.md5(path) == hashlib.md5(b"abc").hexdigest()


def test_inputs_parameters_and_machine_all_count(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    names = [
        run_key.run_key([path], {"a": 1}, {"device": "cpu"}),
        run_key.run_key([path], {"a": 2}, {"device": "cpu"}),
        run_key.run_key([path], {"a": 1}, {"device": "cuda"}),
        run_key.run_key([path, path], {"a": 1}, {"device": "cpu"}),
    ]
    path.write_bytes(b"abd")
    names.append(run_key.run_key([path], {"a": 1}, {"device": "cpu"}))
    assert len(set(names)) == 5


def test_the_code_that_is_loaded_counts(monkeypatch):
    before = run_key.run_key([], {}, {})
    assert run_key.run_key([], {}, {}) == before
    monkeypatch.delitem(__import__("sys").modules, "genre.fingerprint")
    assert run_key.run_key([], {}, {}) != before


def test_the_stage_that_runs_counts_too(monkeypatch):
    before = run_key.run_key([], {}, {})
    stage = types.ModuleType("__main__")
    stage.__file__ = str(run_key.STAGES / "train.py")
    monkeypatch.setitem(__import__("sys").modules, "__main__", stage)
    assert run_key.run_key([], {}, {}) != before
