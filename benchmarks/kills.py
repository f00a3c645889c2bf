"""Kills `dvc repro` at random moments, lets it run again, and compares all results with those of an untouched run.

Each trial is a fresh copy of the repository's committed files: no outputs, no DVC cache, nothing but what the killed
run leaves itself. The whole process group gets SIGKILL, as when a machine's memory runs out or a queue's time is over.

    python benchmarks/kills.py --trials 50 [--first 0] [--folder FOLDER]
"""

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import soundfile
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]
RATE = 22050
QUICK = {
    "data": {"source": "local", "min_seconds": 2.0},
    "split": {"valid": 0.33, "test": 0.33, "clip_frames": 32, "clips_per_track": 3},
    "spectrogram": {"n_mels": 32},
    "model": {"base_channels": 2},
    "train": {"epochs": 8, "batch_size": 4, "crop_frames": 32, "device": "cpu", "precision": "float32"},
}
UNFINISHED = ("*unfinished*", "*.incoming*")


@dataclass(frozen=True)
class Trial:
    """What became of one: when and in which stage it was killed, and what is wrong after the next `dvc repro`."""

    seconds: float
    stage: str
    faults: list[str]


def main() -> int:
    """Runs the trials; the status is 0 if each ended with the results of the untouched run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--first", type=int, default=0, help="number of the first trial, which seeds its moment")
    parser.add_argument("--folder", type=Path, help="kept, and gone on with by the next call; default: a temporary one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).resolve()
        seconds, wanted = untouched(folder)
        print(f"untouched: {len(wanted)} files in {seconds:.1f} s", flush=True)
        right = 0
        for number in range(arguments.first, arguments.first + arguments.trials):
            done = trial(folder, number, seconds, wanted)
            right += not done.faults
            verdict = "equal" if not done.faults else "; ".join(done.faults)[:400]
            print(f"trial {number}: killed after {done.seconds:.1f} s in {done.stage}: {verdict}", flush=True)
        print(f"{right} of {arguments.trials} equal to the untouched run")
    return 0 if right == arguments.trials else 1


def untouched(folder: Path) -> tuple[float, dict[str, str]]:
    """Makes the template in `folder` and runs a copy of it; gives its time and the digests of its results."""
    template, whole, clock = folder / "template", folder / "untouched", folder / "seconds"
    if not clock.exists():
        for path in (template, whole):
            shutil.rmtree(path, ignore_errors=True)
        make_template(template, folder / "corpus")
        shutil.copytree(template, whole)
        start = time.monotonic()
        subprocess.run(["dvc", "repro", "--quiet"], cwd=whole, env=environment(whole), check=True)
        clock.write_text(f"{time.monotonic() - start}")
    return float(clock.read_text()), digests(whole)


def make_template(template: Path, corpus: Path) -> None:
    """Makes a repository with quick parameters, a corpus of tones, and an MLflow database without runs."""
    subprocess.run(["git", "clone", "--quiet", ROOT, template], check=True)
    (template / "dvc.lock").unlink(missing_ok=True)
    shutil.rmtree(template / "metrics", ignore_errors=True)
    yaml = YAML()
    params = yaml.load(template / "params.yaml")
    for section, values in QUICK.items():
        params[section].update(values)
    params["data"]["path"] = str(corpus)
    yaml.dump(params, template / "params.yaml")
    random_state = np.random.default_rng(0)
    for genre, frequency in (("high", 2000), ("low", 200)):
        (corpus / genre).mkdir(parents=True, exist_ok=True)
        for number in range(6):
            phase = 2 * np.pi * frequency * (1 + 0.1 * number) * np.arange(3 * RATE) / RATE
            sound = 0.4 * np.sin(phase) + 0.05 * random_state.standard_normal(len(phase))
            soundfile.write(corpus / genre / f"{number}.wav", sound.clip(-1, 1), RATE)
    making = [sys.executable, "-c", "from genre.tracking.mlflow_store import Store; Store()"]
    subprocess.run(
        making,
        cwd=template,
        env=environment(template) | {"DVC_ROOT": str(template)},
        check=True,
        stderr=subprocess.DEVNULL,
    )


def trial(folder: Path, number: int, seconds: float, wanted: dict[str, str]) -> Trial:
    """Kills one `dvc repro` at a moment that `number` decides, and runs it again."""
    moment, place = random.Random(number).uniform(0, seconds), folder / "trial"
    while True:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(folder / "template", place)
        stage = kill_after(moment, place)
        if stage is not None:
            break
        moment *= 0.8  # it had ended before
    again = subprocess.run(
        ["dvc", "repro"], cwd=place, env=environment(place), capture_output=True, text=True, check=False
    )
    faults = (
        [] if again.returncode == 0 else [f"status {again.returncode}: {again.stdout[-300:]} {again.stderr[-300:]}"]
    )
    found = digests(place)
    faults += [
        f"{name} differs" for name in sorted(wanted.keys() | found.keys()) if wanted.get(name) != found.get(name)
    ]
    faults += [f"{path.name} is left" for kind in UNFINISHED for path in place.rglob(kind)]
    return Trial(moment, stage, faults)


def kill_after(seconds: float, place: Path) -> str | None:
    """Starts `dvc repro`, kills it and all it started; says which stage ran then, or None if it had ended before."""
    with (place.parent / "killed.log").open("wb") as log:
        process = subprocess.Popen(
            ["dvc", "repro"], cwd=place, env=environment(place), stdout=log, stderr=log, start_new_session=True
        )
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            stage = running_stage(process.pid)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return stage
    if process.returncode:
        raise SystemExit(f"dvc repro failed without being killed, see {log.name}")
    return None


def running_stage(process: int) -> str:
    """Names the stage that a `dvc repro` runs at this moment."""
    for child in psutil.Process(process).children(recursive=True):
        try:
            stages = [word for word in child.cmdline() if word.startswith("stages.")]
        except psutil.Error:
            continue
        if stages:
            return stages[0].removeprefix("stages.")
    return "dvc itself"


def environment(place: Path) -> dict[str, str]:
    """This process's environment, with this interpreter's commands first, and nothing of an outer DVC or MLflow."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_"))}
    return kept | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "DVC_SITE_CACHE_DIR": str(place / ".dvc" / "tmp" / "site"),  # else what DVC knows of files outlives the trial
        "OMP_NUM_THREADS": "1",  # tiny tensors: threads would wait for each other
    }


def digests(place: Path) -> dict[str, str]:
    """Gives the SHA-256 of each file that the stages wrote, and of dvc.lock."""
    paths = [path for name in ("data", "models", "metrics") for path in (place / name).rglob("*") if path.is_file()]
    return {
        path.relative_to(place).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in [*sorted(paths), place / "dvc.lock"]
        if path.exists()
    }


if __name__ == "__main__":
    sys.exit(main())
