"""A small repository of its own, in which DVC runs this project's stages on a corpus of tones."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[1]
SMALL = {
    "split": {"valid": 0.33, "test": 0.33, "clip_frames": 32},
    "spectrogram": {"n_mels": 32},
    "model": {"base_channels": 2},
    "train": {"epochs": 2, "batch_size": 4, "crop_frames": None, "device": "cpu"},
}


class House:
    """The repository, committed, without outputs, cache or MLflow database."""

    def __init__(self, root: Path, corpus: Path) -> None:
        self.root = root
        for name in ("genre", "stages", "recipes", "data/gtzan", "data/lists"):
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("dvc.yaml", ".gitignore", ".dvcignore"):
            shutil.copy(ROOT / name, root / name)
        yaml = YAML()
        params = yaml.load(ROOT / "params.yaml")
        for section, values in {"data": {"source": "local", "path": str(corpus)}, **SMALL}.items():
            params[section] |= values
        yaml.dump(params, root / "params.yaml")
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_", "GENRE_"))
        } | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "DVC_SITE_CACHE_DIR": str(root / ".dvc" / "tmp" / "site"),
            "OMP_NUM_THREADS": "1",
        }
        self.run("git", "init", "-q")
        self.run("dvc", "init", "-q")
        shutil.copytree(ROOT / ".dvc" / "plots", root / ".dvc" / "plots")
        self.commit("first")

    def run(self, *words: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """Runs a command in the repository."""
        done = subprocess.run(
            words, cwd=self.root, env=self.environment | environment, capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, f"{words}: {done.stdout[-2000:]} {done.stderr[-2000:]}"
        return done

    def start(self, *words: str, **environment: str) -> subprocess.Popen[str]:
        """Starts a command in the repository, in a process group of its own; its output is to be read as one text."""
        return subprocess.Popen(
            words, cwd=self.root, env=self.environment | environment, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip

    def commit(self, message: str) -> None:
        """Commits all that git does not ignore."""
        self.run("git", "add", "-A")
        self.run("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", message)
