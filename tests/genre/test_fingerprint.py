import hashlib
import types

from genre import fingerprint


def test_a_files_name_of_content_is_its_md5(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert fingerprint.of_file(path) == hashlib.md5(b"abc").hexdigest()


def test_inputs_parameters_and_machine_all_count(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    names = [
        fingerprint.of([path], {"a": 1}, {"device": "cpu"}),
        fingerprint.of([path], {"a": 2}, {"device": "cpu"}),
        fingerprint.of([path], {"a": 1}, {"device": "cuda"}),
        fingerprint.of([path, path], {"a": 1}, {"device": "cpu"}),
    ]
    path.write_bytes(b"abd")
    names.append(fingerprint.of([path], {"a": 1}, {"device": "cpu"}))
    assert len(set(names)) == 5


def test_the_code_that_is_loaded_counts(monkeypatch):
    before = fingerprint.of([], {}, {})
    assert fingerprint.of([], {}, {}) == before
    monkeypatch.delitem(__import__("sys").modules, "genre.fingerprint")
    assert fingerprint.of([], {}, {}) != before


def test_the_stage_that_runs_counts_too(monkeypatch):
    before = fingerprint.of([], {}, {})
    stage = types.ModuleType("__main__")
    stage.__file__ = str(fingerprint.STAGES / "train.py")
    monkeypatch.setitem(__import__("sys").modules, "__main__", stage)
    assert fingerprint.of([], {}, {}) != before
