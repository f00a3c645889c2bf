"""How accuracy grows with the number of tracks: measured by `run`, drawn by `draw`.

    python -m benchmarks.learning_curve run FOLDER SYSTEM OUTCOMES.csv [--sizes 5,10] [--seeds 3] [--group-by artist]
    python -m benchmarks.learning_curve draw OUTCOMES.csv ... [--figure PNG] [--table CSV]

FOLDER is a repository in which `dvc repro spectrogram` has run. Each seed divides its tracks into folds, groups kept
whole. Of the tracks that are not in a fold, at most as many of each genre as a size says are taken at random and
trained on, and the fold is predicted. So each track is tested once a seed, with every size. SYSTEM is

- `linear`, the logistic regression on mean and standard deviation of the mel bands that is a baseline of `evaluate`;
- `pretrained`, the head of that recipe; FOLDER must have its parameters;
- `unet` or `unet-quick`, trained as the parameters of FOLDER say, without validation, the last epoch kept.

OUTCOMES.csv has a row for each seed, size and track: `system, corpus, size, trained, seed, group, correct`, where
`trained` is the mean number of training tracks of a genre, below the size where genres have fewer. `draw` takes
several such files. An interval is 95 %, of 2000 draws of groups with replacement: tracks of one artist are no
independent evidence.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter, ScalarFormatter

from benchmarks import fold_models
from genre import suspects
from genre.figures import page
from genre.network import hardware, inference
from genre.pipeline import tables
from genre.pipeline.settings import Settings
from genre.spectrograms import clips
from genre.spectrograms.params import Clips
from genre.training.calibration import track_probabilities
from genre.training.params import Train

OUTCOMES = ("system", "corpus", "size", "trained", "seed", "group", "correct")
NETWORKS = ("unet", "unet-quick")
NAMES = {"linear": "linear baseline", **{name: f"recipe {name}" for name in ("pretrained", *NETWORKS)}}
COLOURS = {"linear": page.BLUE, "pretrained": page.GREEN, "unet": page.VERMILLION, "unet-quick": page.ORANGE}
MARKERS = {"linear": "o", "pretrained": "s", "unet": "^", "unet-quick": "v"}
DRAWS = 2000


def main() -> None:
    """Measures or draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    measure = commands.add_parser("run")
    measure.add_argument("folder", type=Path)
    measure.add_argument("system", choices=tuple(NAMES))
    measure.add_argument("outcomes", type=Path)
    measure.add_argument("--sizes", default="5,7,10,15,20,30,40,60", help="(default: %(default)s)")
    measure.add_argument("--seeds", type=int, default=5, help="(default: %(default)s)")
    measure.add_argument("--folds", type=int, default=5, help="(default: %(default)s)")
    measure.add_argument("--group-by", default="artist", help="instead of split.group_by (default: %(default)s)")
    measure.set_defaults(run=run)
    drawing = commands.add_parser("draw")
    drawing.add_argument("outcomes", type=Path, nargs="+")
    drawing.add_argument("--figure", type=Path, default=Path("docs/learning_curve.png"))
    drawing.add_argument("--table", type=Path, default=Path("docs/learning_curve.csv"))
    drawing.set_defaults(run=draw)
    arguments = parser.parse_args()
    arguments.run(arguments)


def run(arguments: argparse.Namespace) -> None:
    """Writes the outcomes after each seed and size, so that a measurement that is stopped leaves what it has."""
    overrides = ["split.protocol=kfold", f"split.group_by={arguments.group_by}"]
    settings = Settings.read(arguments.folder / "params.yaml", overrides)
    corpus = suspects.read(settings, arguments.folder / "data")
    classify = make_classifier(arguments.system, settings, corpus)
    rows: list[pd.DataFrame] = []
    for size in map(int, arguments.sizes.split(",")):
        for seed in range(arguments.seeds):
            fold = suspects.assign_folds(corpus, folds=arguments.folds, seed=seed)
            found = outcomes(classify, corpus, fold, size, seed)
            rows.append(found.assign(system=arguments.system, corpus=len(corpus.table), size=size, seed=seed))
            tables.write_csv(pd.concat(rows)[list(OUTCOMES)], arguments.outcomes)
            print(f"{arguments.system}, {found['trained'].mean():.1f} tracks a genre, seed {seed}: "
                  f"{found['correct'].mean():.1%} of {len(found)} tracks", flush=True)  # fmt: skip


def make_classifier(system: str, settings: Settings, corpus: suspects.Corpus) -> suspects.Classifier:
    """Makes the classifier of a system."""
    if system == "pretrained":
        return suspects.make_classifier(settings, corpus)[1]
    if system in NETWORKS:
        return on_crops(settings, corpus)
    cut, tracks = settings.load(Clips), list(corpus.table["track"])
    values = clips.clips_of(corpus.spectrograms, tracks, **cut.model_dump())
    return suspects.on_spectra(values.reshape(len(tracks), cut.clips_per_track, *values.shape[1:]), corpus.genres)


def on_crops(settings: Settings, corpus: suspects.Corpus) -> suspects.Classifier:
    """Makes the classifier that trains a network from scratch, as stage train does without a validation subset."""
    cut, train = settings.load(Clips), settings.load(Train)
    device = hardware.choose_hardware(train.device, train.precision)
    tracks = corpus.table["track"].to_numpy()

    def classify(learned: suspects.Mask, _: suspects.Labels, test: suspects.Mask) -> suspects.Logits:
        network, _calibration = fold_models.fit(settings, corpus, learned)
        cuts = clips.clips_of(corpus.spectrograms, list(tracks[test]), **cut.model_dump())
        logits = inference.compute_logits(network, torch.from_numpy(cuts), hardware=device).double().numpy()
        return logits.reshape(-1, cut.clips_per_track, len(corpus.genres))

    return classify


def outcomes(
    classify: suspects.Classifier, corpus: suspects.Corpus, fold: np.ndarray, size: int, seed: int
) -> pd.DataFrame:
    """Predicts each fold from at most `size` tracks of each genre of the others."""
    labels = corpus.labels
    correct, trained = np.zeros(len(labels), int), np.zeros(len(labels))
    for number in range(fold.max() + 1):
        train, test = chosen(fold != number, labels, size, seed), fold == number
        predicted = track_probabilities(classify(train, labels, test)).argmax(axis=1)
        correct[test], trained[test] = predicted == labels[test], train.sum() / len(corpus.genres)
    return pd.DataFrame({"trained": trained, "group": corpus.table["group"], "correct": correct})


def chosen(allowed: suspects.Mask, labels: suspects.Labels, size: int, seed: int) -> suspects.Mask:
    """Takes at most `size` of the allowed tracks of each genre at random; a smaller size takes some of the same."""
    order = np.random.default_rng(seed).permutation(len(labels))
    mask = np.zeros(len(labels), bool)
    for genre in range(labels.max() + 1):
        mask[order[allowed[order] & (labels[order] == genre)][:size]] = True
    return mask


def draw(arguments: argparse.Namespace) -> None:
    """Writes the table and the figure."""
    found = pd.concat([tables.read_csv(path, OUTCOMES) for path in arguments.outcomes])
    table = pd.DataFrame(summary(found))
    tables.write_csv(table, arguments.table)
    page.save(curves(table), arguments.figure)
    print(table.to_string(index=False))


def summary(found: pd.DataFrame) -> Iterator[dict[str, object]]:
    """Yields a row for each system, corpus and size: accuracy by track, with its interval."""
    for (system, corpus, size), rows in found.groupby(["system", "corpus", "size"]):
        groups = rows.groupby("group")["correct"].agg(["sum", "size"]).to_numpy()
        draws = np.random.default_rng(0).integers(0, len(groups), (DRAWS, len(groups)))
        sums = groups[draws].sum(axis=1)  # (draw, correct and tested)
        low, high = np.percentile(sums[:, 0] / sums[:, 1], [2.5, 97.5])
        yield {
            "system": system, "corpus_tracks": corpus, "size": size, "tracks_per_genre": rows["trained"].mean(),
            "seeds": rows["seed"].nunique(), "accuracy": rows["correct"].mean(), "low": low, "high": high,
        }  # fmt: skip


@page.styled
def curves(table: pd.DataFrame) -> Figure:
    """Draws accuracy over the number of tracks: a line for each system and corpus; the smaller corpus is dashed."""
    figure = Figure((page.WIDTH, 4.2))
    axes = figure.subplots()
    largest = table["corpus_tracks"].max()
    for number, ((system, corpus), rows) in enumerate(table.groupby(["system", "corpus_tracks"])):
        at = rows["tracks_per_genre"] * 1.01 ** (number - 1)  # side by side, so that intervals can be told apart
        error = [rows["accuracy"] - rows["low"], rows["high"] - rows["accuracy"]]
        axes.errorbar(
            at, rows["accuracy"], yerr=error, color=COLOURS[system], marker=MARKERS[system], markersize=5, capsize=3,
            linewidth=1.5, elinewidth=1, linestyle="-" if corpus == largest else "--",
            label=f"{NAMES[system]}, {corpus} tracks",
        )  # fmt: skip
    axes.set(
        xscale="log", ylim=(0, 1), xlabel="training tracks a genre", ylabel="tracks correct, 95% interval",
        title="How accuracy grows with the number of tracks (GTZAN, artists apart)",
    )  # fmt: skip
    axes.set_xticks([5, 7, 10, 15, 20, 30, 40, 60])
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.minorticks_off()
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.grid(axis="y")
    axes.axhline(0.1, color=page.DARK, linewidth=0.8, linestyle=":")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 0.1), ncols=2)  # above the line of chance
    return figure


if __name__ == "__main__":
    main()
