"""The command `genre`: what the trained model hears in recordings, and what its runs are worth."""

import argparse
import io
import json
import sys
from pathlib import Path

from genre.console import messages


def main() -> None:
    """Runs the command line; a mistake is told in one line on standard error, with status 2."""
    arguments = _parser().parse_args()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # names of files may be no text
    with messages.one_line_errors():
        raise SystemExit(arguments.run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="genre", description="Music genre classification.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    predict = commands.add_parser("predict", help="what the trained model hears in recordings")
    predict.add_argument("files", nargs="+", type=Path, metavar="FILE", help="recordings: wav, flac, ogg, mp3, au ...")
    predict.add_argument("--model", type=Path, default=Path("models/model.pt"), help="default: models/model.pt")
    predict.add_argument("--json", action="store_true", help="one JSON object a line, all probabilities")
    predict.add_argument("--figure", type=Path, metavar="PNG", help="draw what is heard over time, of one FILE")
    predict.set_defaults(run=_predict)
    sync = commands.add_parser("sync", help="bring what DVC knows to MLflow: cached, pulled and offline runs too")
    sync.add_argument("revisions", nargs="*", metavar="REV",
                      help="experiments, branches, commits, ranges; default: workspace and experiments")  # fmt: skip
    sync.add_argument("--all-experiments", action="store_true", help="all experiments beside the REVs")
    sync.add_argument("--dry-run", action="store_true", help="only say what would be done")
    sync.set_defaults(run=_sync)
    compare = commands.add_parser("compare", help="whether two runs differ by more than luck, paired by track")
    for name in ("rev_a", "rev_b"):
        compare.add_argument(name, metavar=name.upper(), help="git revision, experiment, predictions.csv, or workspace")
    compare.add_argument("--subset", choices=("train", "valid", "test"), help="default: test, or valid without a test")
    compare.add_argument("--json", action="store_true", help="one JSON object with all figures")
    compare.set_defaults(run=_compare)
    return parser


def _predict(arguments: argparse.Namespace) -> int:
    """Prints a line a file; a file that cannot be heard gets its line on standard error, and the others go on."""
    from genre.prediction.predictor import Predictor

    if arguments.figure and len(arguments.files) > 1:
        raise ValueError(f"--figure must get one FILE, got {len(arguments.files)}; call it once for each")
    predictor = Predictor(arguments.model)
    status = 0
    for path in arguments.files:
        try:
            predicted = predictor.predict(path)
        except (ValueError, OSError) as error:
            where = "" if str(path) in str(error) else f"{path}: "
            print("error:", messages.one_line(where + str(error)), file=sys.stderr)
            status = 2
            continue
        if arguments.figure:
            _draw(path, predicted, arguments.figure)
        print(_as_json(path, predicted) if arguments.json else _as_text(path, predicted), flush=True)
    return status


def _draw(path: Path, predicted: "prediction.Prediction", png: Path) -> None:  # type: ignore[name-defined]
    from genre.figures import page
    from genre.figures import results as result_figures

    title = messages.printable(path.name)
    page.save(
        result_figures.predictions_over_time(predicted.clips, list(predicted.starts), predicted.genres, title), png
    )


def _sync(arguments: argparse.Namespace) -> int:
    """Brings results to MLflow; what is there already is not recorded again."""
    from genre.tracking import sync

    sync.sync(arguments.revisions, all_experiments=arguments.all_experiments, dry_run=arguments.dry_run)
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    """Prints what two runs say of the same tracks, and whether they differ by more than luck."""
    from genre import compare

    names = (arguments.rev_a, arguments.rev_b)
    found = compare.compare(*map(compare.read, names), names=names, subset=arguments.subset)
    print(compare.as_json(found) if arguments.json else compare.as_text(found))
    return 0


def _as_json(path: Path, predicted: "prediction.Prediction") -> str:  # type: ignore[name-defined]
    return json.dumps({
        "file": str(path),
        "genre": predicted.genre,
        "probabilities": predicted.by_genre(),
        "clips": [
            {"start_seconds": round(float(start), 2), **predicted.by_genre(clip)} for clip, start in enumerate(predicted.starts)
        ],
    }, ensure_ascii=False)  # fmt: skip


def _as_text(path: Path, predicted: "prediction.Prediction") -> str:  # type: ignore[name-defined]
    ranked = sorted(predicted.by_genre().items(), key=lambda item: -item[1])[:3]
    shares = ", ".join(f"{genre} {share:.0%}" for genre, share in ranked)
    return messages.printable(f"{path}: {predicted.genre}  ({shares})")
