import subprocess
import sys
import types

import genre.console.messages
import genre.training.augment  # noqa: F401  both must be loaded
from genre.training import run_key
from tests.test_pipeline import code


def test_inputs_parameters_and_machine_all_count(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    keys = [
        run_key.run_key([path], {"a": 1}, {"device": "cpu"}),
        run_key.run_key([path], {"a": 2}, {"device": "cpu"}),
        run_key.run_key([path], {"a": 1}, {"device": "cuda"}),
        run_key.run_key([path, path], {"a": 1}, {"device": "cpu"}),
    ]
    path.write_bytes(b"abd")
    keys.append(run_key.run_key([path], {"a": 1}, {"device": "cpu"}))
    assert len(set(keys)) == 5


def test_the_code_that_is_loaded_counts(monkeypatch):
    before = run_key.run_key([], {}, {})
    assert run_key.run_key([], {}, {}) == before
    monkeypatch.delitem(sys.modules, "genre.training.augment")
    assert run_key.run_key([], {}, {}) != before


def test_code_that_cannot_change_an_output_does_not_count(monkeypatch):
    before = run_key.run_key([], {}, {})
    monkeypatch.delitem(sys.modules, "genre.console.messages")
    assert run_key.run_key([], {}, {}) == before


def test_the_stage_that_runs_counts_too(monkeypatch):
    before = run_key.run_key([], {}, {})
    stage = types.ModuleType("__main__")
    stage.__file__ = str(run_key.ROOT / "stages" / "train.py")
    monkeypatch.setitem(sys.modules, "__main__", stage)
    assert run_key.run_key([], {}, {}) != before


def test_the_code_in_the_key_of_stage_train_is_among_its_deps():
    """Else a change of code that DVC does not rerun `train` for would discard a running training's checkpoint."""
    program = "import stages.train; from genre.training import run_key; print(*run_key._modules(), sep='\\n')"
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=run_key.ROOT, capture_output=True, text=True, check=True
    )
    names = {line.removeprefix(f"{run_key.ROOT}/") for line in found.stdout.splitlines()}
    names = {name for name in names if not name.endswith("__init__.py")}  # which hold no code
    assert "genre/training/loop.py" in names
    assert names <= code("train")
