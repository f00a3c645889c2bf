"""How often a model changes its mind when the same recording was stored, played or recorded otherwise.

    python -m benchmarks.robustness MODEL... FOLDER [--split SPLIT.csv] [--tracks N]
        [--only ALTERATION] [--figure PNG] [--outcomes CSV]

MODEL is a model file, or a folder of `benchmarks.fold_models`, of which each recording is predicted by the model that
was not trained on it; NAME=MODEL gives it a name for the table and the figure. FOLDER has a folder of recordings for
each genre. Each recording is altered in every way of `benchmarks.alterations`, as one channel at its own sample rate,
and each model predicts the original and the altered ones. The table says, of each alteration,

- how many of the altered recordings are classified correctly;
- in how many the genre differs from that of the original, with the 95 % interval (Wilson);
- the same of those for which the model is "unsure" neither before nor after.

With --split, a table `track,genre,subset` of stage split, only its test tracks are taken. With --outcomes, each answer
is a row `model, recording, genre, alteration, predicted, unsure` of a CSV file, written after each recording. What the
file has already is not computed again: a measurement that was stopped goes on, and models can be added one by one.
"""

import argparse
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter
from tqdm import tqdm

from benchmarks import alterations
from benchmarks.fold_models import FOLDS
from genre.audio import decoding, mel, reading
from genre.audio.reading import Waveform
from genre.evaluation.metrics import wilson
from genre.figures import page
from genre.pipeline import tables
from genre.prediction.predictor import Prediction, Predictor

OUTCOMES = ("model", "recording", "genre", "alteration", "predicted", "unsure")
ORIGINAL = "original"
Choice = Callable[[str], Predictor]  # of the model that predicts a track
COLOURS, MARKERS = (page.BLUE, page.VERMILLION, page.GREEN, page.ORANGE), ("o", "s", "^", "D")


def main() -> None:
    """Measures, and prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", type=Path, help="take only the test tracks of this table")
    parser.add_argument("--tracks", type=int, help="take so many at random (default: all)")
    parser.add_argument("--only", action="append", choices=tuple(alterations.ALTERATIONS), help="may be repeated")
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--outcomes", type=Path, help="keep the answers in this table")
    arguments = parser.parse_args()
    models = dict(model.split("=", 1) if "=" in model else (model, model) for model in arguments.models)
    found = measured(arguments, {name: choice(Path(file)) for name, file in models.items()})
    summaries = {name: pd.DataFrame(summary(found[found["model"] == name])) for name in models}
    for name, table in summaries.items():
        print(f"\n**{name}**, {table['recordings'].max()} recordings\n\n{markdown(table)}")
    if arguments.figure:
        page.save(changes(summaries), arguments.figure)


def choice(model: Path) -> Choice:
    """Reads a model, which predicts every track, or a folder of models, one for each fold."""
    if not model.is_dir():
        one = Predictor(model)
        return lambda _: one
    folds = tables.read_csv(model / "folds.csv", FOLDS).set_index("track")["fold"]
    models = [Predictor(model / f"{number}.pt") for number in range(folds.max() + 1)]

    def of_fold(track: str) -> Predictor:
        if track not in folds.index:
            raise SystemExit(f"{model / 'folds.csv'} has no track {track!r}; leave its recording out of the folder")
        return models[folds[track]]

    return of_fold


def measured(arguments: argparse.Namespace, models: Mapping[str, Choice]) -> pd.DataFrame:
    """Returns the answers of OUTCOMES, of which those that the file has are not computed again."""
    path, rows = arguments.outcomes, []
    if path and path.is_file():
        rows = list(tables.read_csv(path, OUTCOMES)[list(OUTCOMES)].itertuples(index=False, name=None))
    wanted = [ORIGINAL, *(arguments.only or alterations.ALTERATIONS)]
    files = recordings(arguments.folder, arguments.split, arguments.tracks)
    for file in tqdm(files, "predicting", unit="recording", disable=None):
        rows += answers(models, file, wanted, {row[:4] for row in rows})
        if path:
            tables.write_csv(pd.DataFrame(rows, columns=list(OUTCOMES)), path)
    if not rows:
        raise SystemExit(f"{arguments.folder} holds no recording that can be decoded")
    order = [ORIGINAL, *alterations.ALTERATIONS]  # that of the rows is by when they were measured
    found = pd.DataFrame(rows, columns=list(OUTCOMES))
    return found.sort_values("alteration", key=lambda names: names.map(order.index), kind="stable")


def recordings(folder: Path, split: Path | None, count: int | None) -> list[Path]:
    """Lists the files, in the order of their names."""
    files = sorted(path for path in folder.glob("*/*") if path.is_file() and not path.name.startswith("."))
    if split is not None:
        table = tables.read_csv(split, tables.SPLIT)
        test = set(table.loc[table["subset"] == "test", "track"])
        files = [path for path in files if f"{path.parent.name}/{path.stem}" in test]
    if not files:
        raise SystemExit(
            f"{folder} has no folder of recordings for each genre" + (" with test tracks" if split else "")
        )
    chosen = np.random.default_rng(0).permutation(len(files))[:count]
    return [files[number] for number in sorted(chosen)]


def answers(
    models: Mapping[str, Choice], path: Path, wanted: Sequence[str], known: Container[tuple[str, ...]]
) -> Iterator[tuple[str, str, str, str, str, bool]]:
    """Yields a row of OUTCOMES for each alteration and model that is not known; none if it cannot be decoded."""
    genre = path.parent.name
    try:
        with reading.opened(path) as reader:
            rate = reader.sample_rate
        waveform = decoding.decode(path, rate)
    except ValueError as error:
        print(f"{path}: {error}; left out")
        return
    for alteration in wanted:
        asked = [name for name in models if (name, f"{genre}/{path.name}", genre, alteration) not in known]
        altered = {ORIGINAL: unaltered, **alterations.ALTERATIONS}[alteration](waveform, rate) if asked else waveform
        for name in asked:
            prediction = predict(models[name](f"{genre}/{path.stem}"), altered, rate)
            yield name, f"{genre}/{path.name}", genre, alteration, prediction.genre, prediction.unsure


def unaltered(waveform: Waveform, _rate: int) -> Waveform:
    """Returns the waveform as it is."""
    return waveform


def predict(predictor: Predictor, waveform: Waveform, rate: int) -> Prediction:
    """Predicts as `Predictor.predict` does a file."""
    sizes = predictor.spectrogram
    samples = alterations.change_rate(waveform, rate, sizes.sample_rate)
    return predictor.predict_mel(mel.log_mel(samples, **sizes.model_dump()))


def summary(found: pd.DataFrame) -> Iterator[dict[str, object]]:
    """Yields a row for each alteration, of the answers of one model."""
    by_recording = found.set_index(["alteration", "recording"])
    for alteration in found["alteration"].unique():
        altered = by_recording.loc[alteration]
        original = by_recording.loc[ORIGINAL].loc[altered.index]
        changed = (altered["predicted"] != original["predicted"]).to_numpy()
        correct = (altered["predicted"] == original["genre"]).to_numpy()
        sure = ~(altered["unsure"] | original["unsure"]).to_numpy(bool)
        yield {
            "alteration": alteration, "recordings": len(altered), "correct": correct.mean(),
            "changed": int(changed.sum()), "sure": int(sure.sum()), "sure_correct": int(correct[sure].sum()),
            "sure_changed": int(changed[sure].sum()),
        }  # fmt: skip


def markdown(table: pd.DataFrame) -> str:
    """Returns the summary of one model as a table in Markdown."""
    lines = ["| | correct | changed | both sure | of these correct | of these changed |", "|---|---|---|---|---|---|"]
    for row in table.itertuples():
        changed, sure_changed = share(row.changed, row.recordings), share(row.sure_changed, row.sure)
        cells = [row.alteration, f"{100 * row.correct:.0f} %", changed, f"{row.sure}"]
        cells += [share(row.sure_correct, row.sure), sure_changed]
        if row.alteration == ORIGINAL:
            cells[2] = cells[5] = ""
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def share(part: int, whole: int) -> str:
    """Returns a share with its interval, such as `6 % (2 to 16)`; `none` of nothing."""
    if not whole:
        return "none"
    low, high = wilson(part, whole)
    return f"{100 * part / whole:.0f} % ({100 * low:.0f} to {100 * high:.0f})"


@page.styled
def changes(summaries: Mapping[str, pd.DataFrame]) -> Figure:
    """Draws the share of changed predictions and the accuracy, a row for each alteration, a marker for each model."""
    names = [name for name in next(iter(summaries.values()))["alteration"] if name != ORIGINAL]
    figure = Figure((page.WIDTH, 1.5 + (0.22 + 0.1 * len(summaries)) * len(names)))
    left, right = figure.subplots(1, 2, sharey=True)
    for number, (model, table) in enumerate(summaries.items()):
        rows = table.set_index("alteration")
        altered, count = rows.loc[names], rows["recordings"].iloc[0]
        at = np.arange(len(names)) + 0.22 * (number - (len(summaries) - 1) / 2)
        style = {"color": COLOURS[number % 4], "marker": MARKERS[number % 4], "markersize": 5, "linestyle": "none"}
        for axes, counts in ((left, altered["changed"]), (right, (altered["correct"] * count).round().astype(int))):
            low, high = np.transpose([wilson(part, count) for part in counts])
            error = np.abs([counts / count - low, high - counts / count])
            axes.errorbar(
                counts / count, at, xerr=error, elinewidth=1, capsize=2, label=f"{model} (n = {count})", **style
            )
        right.axvline(rows.loc[ORIGINAL, "correct"], color=style["color"], linewidth=1, linestyle="--")
    left.set(title="prediction differs from that of the original", xlabel="share of recordings, 95% interval")
    right.set(title="correct (dashed: of the originals)", xlabel="share of recordings, 95% interval")
    left.set_yticks(range(len(names)), names)
    left.invert_yaxis()
    for axes in (left, right):
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.set_xlim(-0.02, 1.02)
        axes.grid(axis="both")
    figure.legend(*left.get_legend_handles_labels(), loc="outside upper left", ncols=len(summaries))
    return figure


if __name__ == "__main__":
    main()
