"""Compares an exported model with the one it was made from, on real recordings, and times the light installation.

    python benchmarks/export.py FOLDER MODEL.pt [--limit 50] [--genre LIGHT/bin/genre]

Exports MODEL.pt, predicts recordings of FOLDER with both, and prints the largest difference of a clip's probability and
how often the genres agree. With `--genre`, the command of another environment, it also lets that one predict the same
recordings with the exported model, and times its first answer.
"""

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np

from genre.prediction.export import export
from genre.prediction.predictor import Prediction, Predictor


def main() -> None:
    """Measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--limit", type=int, default=50, help="recordings, spread over the folder; default: 50")
    parser.add_argument("--genre", type=Path, help="the command of a light installation")
    arguments = parser.parse_args()
    paths = _recordings(arguments.folder, arguments.limit)
    with tempfile.TemporaryDirectory() as temporary:
        onnx = Path(temporary) / "model.onnx"
        difference = export(arguments.model, onnx)
        print(f"{onnx.stat().st_size / 1e6:.1f} MB; random clips differ by at most {difference:.1e}")
        expected = _predict("torch", arguments.model, paths)
        _compare(expected, _predict("onnxruntime", onnx, paths))
        if arguments.genre:
            _light(arguments.genre, onnx, paths, expected)


def _recordings(folder: Path, limit: int) -> list[Path]:
    """Returns up to `limit` recordings, spread over all that are below a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return [paths[number * len(paths) // limit] for number in range(limit)] if len(paths) > limit else paths


def _predict(name: str, model: Path, paths: list[Path]) -> dict[Path, Prediction]:
    """Predicts all recordings that can be decoded, and prints the time that one takes."""
    predictor, predicted, started = Predictor(model), {}, time.perf_counter()
    for path in paths:
        try:
            predicted[path] = predictor.predict(path)
        except ValueError as error:
            print(f"left out: {error}")
    print(f"{name}: {(time.perf_counter() - started) / len(predicted):.3f} s a recording")
    return predicted


def _compare(expected: dict[Path, Prediction], predicted: dict[Path, Prediction]) -> None:
    """Prints the largest difference over all clips, and in how many recordings the genre is the same."""
    clips = sum(len(one.clips) for one in expected.values())
    largest = max(float(np.abs(expected[path].clips - predicted[path].clips).max()) for path in expected)
    same = sum(expected[path].genre == predicted[path].genre for path in expected)
    found = len({one.genre for one in expected.values()})
    print(f"{clips} clips of {len(expected)} recordings: probabilities differ by at most {largest:.1e}; "
          f"the same genre in {same} ({found} genres occur)")  # fmt: skip


def _light(genre: Path, onnx: Path, paths: list[Path], expected: dict[Path, Prediction]) -> None:
    """Lets another installation predict the same, and compares what it prints, which has four decimals."""
    command = [str(genre.resolve()), "predict", "--json", "--model", str(onnx)]
    started = time.perf_counter()
    subprocess.run([*command, str(next(iter(expected)))], check=True, capture_output=True, cwd=onnx.parent)
    print(f"{genre}: the first answer after {time.perf_counter() - started:.2f} s")
    words = [str(path.resolve()) for path in paths]
    done = subprocess.run([*command, *words], check=False, capture_output=True, text=True, cwd=onnx.parent)
    answers = {Path(answer["file"]): answer for answer in map(json.loads, done.stdout.splitlines())}
    same = sum(answers[path.resolve()]["genre"] == one.genre for path, one in expected.items())
    largest = max(
        abs(answers[path.resolve()]["probabilities"][name] - float(value))
        for path, one in expected.items()
        for name, value in zip(one.genres, one.probabilities, strict=True)
    )
    print(
        f"{genre}: the same genre in {same} of {len(expected)}; printed probabilities differ by at most {largest:.1e}"
    )


if __name__ == "__main__":
    main()
