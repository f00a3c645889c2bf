"""The command `genre`: predictions of the trained model, tags, recipes, studies, comparisons, and MLflow."""

import argparse
import io
import sys
from importlib.metadata import version
from pathlib import Path

from genre.console import messages

IN_REPOSITORY = ("recipe", "study", "experiments", "suspects", "sync")  # these read files in the root of the repository


def main() -> None:
    """Runs the command line; a user's mistake is reported in one line on standard error, with status 2."""
    arguments = parser().parse_args()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a file's name may hold bytes that are not text
    with messages.one_line_errors():
        if arguments.command in IN_REPOSITORY and not Path("dvc.yaml").is_file():
            raise ValueError(
                f"genre {arguments.command} must run in the repository's root, but {Path.cwd()} has no dvc.yaml; "
                "change into the root and run it again"
            )
        status = arguments.run(arguments)
    raise SystemExit(status)


def parser() -> argparse.ArgumentParser:
    """Returns the command line with all its commands."""
    top = argparse.ArgumentParser(prog="genre", description="Music genre classification.")
    top.add_argument("--version", action="version", version=f"genre {version('genre')}")
    commands = top.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for add in (
        _add_predict,
        _add_tag,
        _add_export,
        _add_recipe,
        _add_study,
        _add_experiments,
        _add_compare,
        _add_suspects,
        _add_sync,
    ):
        add(commands)
    return top


def _add_predict(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    predict = commands.add_parser("predict", help="the genres of recordings, by the trained model")
    _add_recordings(predict, "+")
    predict.add_argument("--json", action="store_true", help="one JSON object a line, all probabilities")
    predict.add_argument("--csv", type=Path, metavar="FILE", help="write a table: file, genre, all probabilities")
    predict.add_argument("--html", type=Path, metavar="FILE", help="write a page to listen to, with all probabilities")
    predict.add_argument("--m3u", type=Path, metavar="FOLDER", help="write a playlist for each genre into a folder")
    predict.add_argument("--figure", type=Path, metavar="PNG", help="draw the probabilities over time, of one PATH")
    predict.set_defaults(run=_predict)


def _add_tag(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    tag = commands.add_parser("tag", help="write predicted genres into the tags of recordings; can be taken back")
    _add_recordings(tag, "*")
    tag.add_argument("--write", action="store_true", help="write the tags; without it, only say what would be written")
    tag.add_argument("--journal", type=Path, metavar="FILE",
                     help="where --write notes the changes; default: genre-tags-DATE.jsonl")  # fmt: skip
    tag.add_argument("--undo", type=Path, metavar="JOURNAL", help="restore the genres that a journal names")
    tag.set_defaults(run=_tag)


def _add_recordings(command: argparse.ArgumentParser, count: str) -> None:
    command.add_argument("paths", nargs=count, metavar="PATH", help="recordings, and folders of them")
    command.add_argument("--model", type=Path, default=Path("models/model.pt"),
                         help="a trained model, or an exported one (.onnx); default: models/model.pt")  # fmt: skip
    command.add_argument("--only-untagged", action="store_true", help="leave out files whose tags name a genre")
    command.add_argument("--step", type=float, metavar="SECONDS",
                         help="from the start of a window to that of the next; default: its length")  # fmt: skip


def _add_export(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    export = commands.add_parser("export", help="write the trained model as ONNX, to predict without torch")
    export.add_argument("onnx", type=Path, metavar="MODEL.onnx", help="the file to write")
    export.add_argument("--model", type=Path, default=Path("models/model.pt"), help="default: models/model.pt")
    export.set_defaults(run=_export)


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


def _add_suspects(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    suspects = commands.add_parser("suspects", help="which labels are probably wrong, by out-of-fold predictions")
    suspects.add_argument("--csv", type=Path, default=Path("metrics/suspects.csv"),
                          help="the ranked table of all tracks; default: metrics/suspects.csv")  # fmt: skip
    suspects.add_argument("--folds", type=int, default=5, help="default: 5")
    suspects.add_argument("--group-by", choices=("none", "repetition", "artist", "album", "column"),
                          help="tracks of one group are in one fold; default: split.group_by")  # fmt: skip
    suspects.set_defaults(run=_suspects)


def _add_sync(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    sync = commands.add_parser("sync", help="add to MLflow the runs that it lacks: cached, pulled and offline ones")
    sync.add_argument("revisions", nargs="*", metavar="REV",
                      help="experiments, branches, commits, ranges; default: workspace and experiments")  # fmt: skip
    sync.add_argument("--all-experiments", action="store_true", help="all experiments beside the REVs")
    sync.add_argument("--dry-run", action="store_true", help="only say what would be done")
    sync.set_defaults(run=_sync)


# The commands import what they need when they run: `--help` need not wait for torch, which takes three seconds.


def _predict(arguments: argparse.Namespace) -> int:
    """Prints the genre of each recording, and writes it as was asked for."""
    from genre import predict

    return predict.main(arguments)


def _tag(arguments: argparse.Namespace) -> int:
    """Writes genres into tags, or says what it would write, or restores the earlier genres."""
    from genre import tag

    return tag.main(arguments)


def _export(arguments: argparse.Namespace) -> int:
    """Writes the model as ONNX, and prints how closely it agrees with torch."""
    from genre.console.progress import activity

    with activity(f"writing {arguments.onnx}", logged=False):
        from genre.prediction import export

        difference = export.export(arguments.model, arguments.onnx)
    megabytes = arguments.onnx.stat().st_size / 1e6
    print(f"{arguments.onnx}: {megabytes:.1f} MB; on random clips it is within {difference:.0e} of torch's network")
    return 0


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
    if not all(seed.isdecimal() for seed in seeds):  # "²" is a digit
        raise ValueError(f"--seeds must be whole numbers with commas between them, got {arguments.seeds!r}")
    study.main(arguments.name, arguments.recipes.split(","), arguments.protocols.split(","), [*map(int, seeds)],
               arguments.jobs)  # fmt: skip
    return 0


def _experiments(_: argparse.Namespace) -> int:
    """Prints the table of experiments, as wide as the terminal."""
    from rich.console import Console

    from genre.history import experiments
    from genre.pipeline.settings import Settings

    console, notes = Console(), Console(stderr=True)
    console.width = max(console.width, experiments.NARROWEST)  # a narrower table would lose columns
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
    if note := compare.note(names):
        print(note, file=sys.stderr)
    print(compare.as_json(found) if arguments.json else compare.as_text(found))
    return 0


def _suspects(arguments: argparse.Namespace) -> int:
    """Writes the tracks ranked by how doubtful their labels are, and prints the first ones."""
    from genre.console.progress import activity

    with activity("starting", logged=False):
        from genre import suspects

    suspects.main(arguments.csv, arguments.folds, arguments.group_by)
    return 0


def _sync(arguments: argparse.Namespace) -> int:
    """Adds runs to MLflow; what is there already is not logged again."""
    from genre.console.progress import activity

    with activity("connecting to MLflow", logged=False):
        from genre.tracking import mlflow_store, sync

        mlflow_store.import_mlflow()
    sync.sync(arguments.revisions, all_experiments=arguments.all_experiments, dry_run=arguments.dry_run)
    return 0
