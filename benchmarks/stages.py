"""Runs the pipeline stage by stage in a fresh clone, and tells time and peak memory of each, as a Markdown table.

    python benchmarks/stages.py FOLDER [-S data.tracks_per_genre=100 -S train.epochs=1 ...]

Memory is the sum over a stage's processes of their proportional set size (what they share counts once), looked at every
0.2 s. FOLDER must be new; what the stages wrote stays there.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[1]
ORDER = ("download", "spectrogram", "split", "train", "evaluate", "plots")


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("-S", "--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    if folder.exists():
        parser.error(f"{folder} must be new, there is one")
    clone(folder, arguments.set)
    print("| stage | seconds | peak memory, GB |\n|---|---|---|", flush=True)
    for stage in ORDER:
        seconds, peak = measure(stage, folder)
        print(f"| {stage} | {seconds:.0f} | {peak / 1e9:.2f} |", flush=True)


def clone(folder: Path, overrides: list[str]) -> None:
    """Makes a clone without results, with parameters overridden."""
    subprocess.run(["git", "clone", "--quiet", ROOT, folder], check=True)
    (folder / "dvc.lock").unlink()
    yaml = YAML()
    params = yaml.load(folder / "params.yaml")
    for override in overrides:
        name, _, value = override.partition("=")
        section, _, key = name.partition(".")
        params[section][key] = YAML(typ="safe").load(value)
    yaml.dump(params, folder / "params.yaml")


def measure(stage: str, folder: Path) -> tuple[float, float]:
    """Runs one stage; gives its seconds and its peak memory in bytes, DVC's own process left out."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    start, peak = time.monotonic(), 0.0
    with (folder.parent / f"{folder.name}-{stage}.log").open("wb") as log:
        process = subprocess.Popen(
            ["dvc", "repro", "--single-item", stage], cwd=folder, env=environment, stdout=log, stderr=log
        )
        while process.poll() is None:
            peak = max(peak, memory(process.pid))
            time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"{stage} failed, see {log.name}")
    return time.monotonic() - start, peak


def memory(process: int) -> float:
    """Sums the memory of a process's descendants."""
    total = 0.0
    for child in descendants(process):
        try:
            total += child.memory_full_info().pss
        except psutil.Error:  # it has ended
            continue
    return total


def descendants(process: int) -> list[psutil.Process]:
    """Lists the processes that a process has started, and theirs."""
    try:
        return psutil.Process(process).children(recursive=True)
    except psutil.Error:
        return []


if __name__ == "__main__":
    main()
