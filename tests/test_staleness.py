"""Which stages DVC runs again after an edit: a stage is stale only if the edit can change its outputs."""

import re
import shutil
from pathlib import Path

import pytest
import soundfile
from dvc.repo import Repo
from ruamel.yaml import YAML

from tests.conftest import RATE, tone
from tests.house import House

FOLDERS = {"data/audio", "metrics/baselines", "metrics/figures"}


@pytest.fixture(scope="module")
def house(tmp_path_factory) -> House:
    """A repository whose dvc.lock says that every stage was run; its outputs are placeholders."""
    folder = tmp_path_factory.mktemp("stale")
    music = folder / "music"
    for genre in ("high", "low"):
        (music / genre).mkdir(parents=True)
        soundfile.write(music / genre / "a.wav", tone(440, 7.0), RATE)
    house = House(folder / "house", music)
    (house.root / "data/lists/mine.csv").write_text("track,subset\nhigh/a,train\n")
    for stage in YAML(typ="safe").load(house.root / "dvc.yaml")["stages"].values():
        for entry in [*stage.get("outs", []), *stage.get("metrics", []), *stage.get("plots", [])]:
            name = entry if isinstance(entry, str) else next(iter(entry))
            path = house.root / name / "placeholder.txt" if name in FOLDERS else house.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")
    house.run("dvc", "commit", "--force")
    assert stale(house) == set()
    return house


def stale(house: House) -> set[str]:
    with Repo(str(house.root)) as repo:
        return {name.rpartition(":")[2] for name, changes in repo.status().items() if changes}


@pytest.fixture
def edited(house):
    """Appends a comment to a file, or replaces its text; what was there comes back at the end."""
    before: dict[Path, bytes | None] = {}

    def edit(name: str, pattern: str = "", replacement: str = "") -> set[str]:
        path = house.root / name
        before[path] = path.read_bytes()
        text = path.read_text(encoding="utf-8")
        changed = re.sub(pattern, replacement, text) if pattern else text + "\n# an edit\n"
        assert changed != text
        path.write_text(changed, encoding="utf-8")
        return stale(house)

    yield edit
    for path, content in before.items():
        path.write_bytes(content)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("genre/history/revisions.py", set()),
        ("genre/tracking/tags.py", set()),
        ("genre/tracking/mlflow_store.py", set()),
        ("genre/console/messages.py", set()),
        ("genre/console/stage.py", set()),
        ("genre/cli.py", set()),
        ("genre/compare.py", set()),
        ("genre/prediction/predictor.py", set()),
        ("genre/figures/results.py", {"plots"}),
        ("genre/figures/web_page.js", {"plots"}),
        ("genre/prediction/predictions_page.py", set()),
        ("genre/evaluation/baselines.py", {"evaluate"}),
        ("genre/training/loop.py", {"train"}),
        ("genre/network/unet.py", {"train", "evaluate", "plots"}),
        ("genre/splits/protocols.py", {"split"}),
        ("genre/audio/mel.py", {"spectrogram"}),
        ("genre/audio/mel_scale.py", {"spectrogram", "train", "plots"}),
        ("genre/corpus/mirrors.py", {"download"}),
        ("data/lists/mine.csv", {"split"}),
    ],
)
def test_an_edit_of_a_file_makes_stale_what_it_can_change(edited, file, expected):
    assert edited(file) == expected


def test_a_bound_in_the_params_of_training_concerns_no_stage_before_train(edited):
    found = edited("genre/training/params.py", r"le=10_000\)", "le=20_000)")
    assert "train" in found
    assert found <= {"train", "evaluate", "plots"}


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("leaks", "fail", {"split"}),
        ("seed", "7", None),
        ("max_unpacked_files", "7", {"download"}),
        ("learning_rate", "1e-4", {"train"}),
        ("n_mels", "64", {"spectrogram", "train", "plots"}),
        ("clip_spacing", "contiguous", {"split", "train"}),
        ("noise_level", "0.2", {"train", "plots"}),
    ],
)
def test_a_changed_param_makes_stale_what_reads_it(edited, key, value, expected):
    found = edited("params.yaml", rf"(?m)^(  {key}: *)\S+", rf"\g<1>{value}")
    assert found == (expected or {"download", "split", "train", "evaluate"})


def test_a_recording_added_removed_or_replaced_is_noticed(house):
    music = house.root.parent / "music" / "low"
    shutil.copy(music / "a.wav", music / "b.wav")
    assert stale(house) == {"download", "spectrogram"}
    (music / "b.wav").unlink()
    assert stale(house) == set()
    original = (music / "a.wav").read_bytes()
    soundfile.write(music / "a.wav", tone(880, 7.0), RATE)
    assert stale(house) == {"download", "spectrogram"}
    (music / "a.wav").write_bytes(original)
    assert stale(house) == set()
