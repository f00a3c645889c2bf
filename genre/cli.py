"""The command `genre`: predictions of the trained model, recipes, studies, comparisons, and MLflow."""

import argparse
import io
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from genre.console import messages

if TYPE_CHECKING:
    from genre.prediction.predictor import Prediction


def main() -> None:
    """Runs the command line; a mistake is told in one line on standard error, with status 2."""
    arguments = _parser().parse_args()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name may be no text
    with messages.one_line_errors():
        raise SystemExit(arguments.run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="genre", description="Music genre classification.")
    parser.add_argument("--version", action="version", version=f"genre {version('genre')}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_add_predict, _add_recipe, _add_study, _add_experiments, _add_compare, _add_sync):
        add(commands)
    return parser


def _add_predict(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    predict = commands.add_parser("predict", help="the genres of recordings, by the trained model")
    predict.add_argument("files", nargs="+", type=Path, metavar="FILE", help="recordings: wav, flac, ogg, mp3, au ...")
    predict.add_argument("--model", type=Path, default=Path("models/model.pt"), help="default: models/model.pt")
    predict.add_argument("--json", action="store_true", help="one JSON object a line, all probabilities")
    predict.add_argument("--figure", type=Path, metavar="PNG", help="draw the probabilities over time, of one FILE")
    predict.set_defaults(run=_predict)


def _add_recipe(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    recipe = commands.add_parser("recipe", help="list the recipes, or write the values of one into params.yaml")
    recipe.add_argument("name", nargs="?", metavar="NAME", help="one of the recipes; default: list them")
    recipe.set_defaults(run=_recipe)


def _add_study(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    study = commands.add_parser("study", help="run recipes, protocols and seeds as DVC experiments; print one table")
    study.add_argument("name", metavar="NAME", help="of the study; run it again under this name to get the table")
    study.add_argument("--recipes", default="unet,reference", help="default: unet,reference")
    study.add_argument("--protocols", default="stratified",
                       help="stratified, by-repetition, by-artist, fault-filtered; default: stratified")  # fmt: skip
    study.add_argument("--seeds", default="1,2,3", help="of split and training; default: 1,2,3")
    study.add_argument("-j", "--jobs", type=int, default=1, help="runs at a time; default: 1")
    study.set_defaults(run=_study)


def _add_experiments(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    experiments = commands.add_parser("experiments", help="the experiments side by side: what differs, and accuracy")
    experiments.set_defaults(run=_experiments)


def _add_compare(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    compare = commands.add_parser("compare", help="whether two runs differ by more than chance, paired by track")
    for name in ("rev_a", "rev_b"):
        compare.add_argument(name, metavar=name.upper(), help="git revision, experiment, predictions.csv, or workspace")
    compare.add_argument("--subset", choices=("train", "valid", "test"), help="default: test, or valid without a test")
    compare.add_argument("--json", action="store_true", help="one JSON object with all figures")
    compare.set_defaults(run=_compare)


def _add_sync(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    sync = commands.add_parser("sync", help="bring what DVC knows to MLflow: cached, pulled and offline runs too")
    sync.add_argument("revisions", nargs="*", metavar="REV",
                      help="experiments, branches, commits, ranges; default: workspace and experiments")  # fmt: skip
    sync.add_argument("--all-experiments", action="store_true", help="all experiments beside the REVs")
    sync.add_argument("--dry-run", action="store_true", help="only say what would be done")
    sync.set_defaults(run=_sync)


# The commands import what they need when they run: `--help` need not wait for torch, which takes three seconds.


def _predict(arguments: argparse.Namespace) -> int:
    """Prints a line for each file; a file that cannot be decoded gets a line on standard error, the others go on."""
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


def _draw(path: Path, predicted: "Prediction", png: Path) -> None:
    from genre.figures import page, results

    starts, title = list(predicted.starts), messages.printable(path.name)
    page.save(results.predictions_over_time(predicted.clips, starts, predicted.genres, title), png)


def _as_json(path: Path, predicted: "Prediction") -> str:
    return json.dumps({
        "file": str(path),
        "genre": predicted.genre,
        "unsure": predicted.unsure,
        "probabilities": predicted.by_genre(),
        "clips": [
            {"start_seconds": round(float(start), 2), **predicted.by_genre(clip)}
            for clip, start in enumerate(predicted.starts)
        ],
    }, ensure_ascii=False)  # fmt: skip


def _as_text(path: Path, predicted: "Prediction") -> str:
    ranked = sorted(predicted.by_genre().items(), key=lambda item: -item[1])[:3]
    probabilities = ", ".join(f"{genre} {probability:.0%}" for genre, probability in ranked)
    answer = "unsure" if predicted.unsure else predicted.genre
    return messages.printable(f"{path}: {answer}  ({probabilities})")


def _recipe(arguments: argparse.Namespace) -> int:
    """Lists the recipes, or writes one into params.yaml and prints what changed."""
    from genre import recipe

    if arguments.name is None:
        for name, title in recipe.names().items():
            print(f"{name:12} {title}")
        return 0
    print(*(recipe.apply(arguments.name) or [f"params.yaml has the values of {arguments.name} already"]), sep="\n")
    return 0


def _study(arguments: argparse.Namespace) -> int:
    """Runs a study and prints its table."""
    from genre import study

    seeds = [word for word in arguments.seeds.split(",") if word]
    if not all(seed.isdigit() for seed in seeds):
        raise ValueError(f"--seeds must be whole numbers with commas between them, got {arguments.seeds!r}")
    study.main(arguments.name, arguments.recipes.split(","), arguments.protocols.split(","), [*map(int, seeds)],
               arguments.jobs)  # fmt: skip
    return 0


def _experiments(_: argparse.Namespace) -> int:
    """Prints the table of experiments, as wide as the terminal."""
    from rich.console import Console

    from genre.history import experiments
    from genre.pipeline.settings import Settings

    if not Path("dvc.yaml").is_file():
        raise ValueError(f"genre experiments must run in the repository's root, there is no dvc.yaml in {Path.cwd()}")
    console, notes = Console(), Console(stderr=True)
    with notes.status("reading the experiments of DVC"):
        rows = experiments.read(Settings.read().flat())
    console.print(experiments.table(rows, console.width))
    console.print(experiments.LEGEND, highlight=False)
    return 0


def _compare(arguments: argparse.Namespace) -> int:
    """Prints what two runs predict for the same tracks, and whether they differ by more than chance."""
    from genre import compare

    names = (arguments.rev_a, arguments.rev_b)
    found = compare.compare(*map(compare.read, names), names=names, subset=arguments.subset)
    print(compare.as_json(found) if arguments.json else compare.as_text(found))
    return 0


def _sync(arguments: argparse.Namespace) -> int:
    """Brings results to MLflow; what is there already is not recorded again."""
    from genre.tracking import sync

    sync.sync(arguments.revisions, all_experiments=arguments.all_experiments, dry_run=arguments.dry_run)
    return 0
