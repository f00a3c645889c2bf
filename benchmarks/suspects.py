"""How well `genre suspects` finds wrong labels: `python -m benchmarks.suspects [FOLDER]`.

FOLDER is a repository in which `dvc repro spectrogram` has run. A share of its labels, taken at random, is replaced by
another genre at random, as the benchmark of hslu-aai/selfclean-audio does (arXiv:2509.26291); then the tracks are
ranked as `genre suspects` ranks them. Printed are the area under the ROC curve (AUROC) and the average precision (AP)
of that ranking, which are 1 if all replaced labels come first, and which share of the suspects are replaced labels
(precision) and which share of the replaced labels are suspects (recall): mean and standard deviation over the seeds.

Labels that are wrong already count as correct ones here, so the figures are lower bounds. `--mislabelled` names a CSV
table with a column `track` of labels that are known to be wrong: then nothing is replaced, and these are looked for.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score

from genre import suspects, suspects_table
from genre.pipeline import tables
from genre.pipeline.settings import Settings

COLUMNS = ("auroc", "ap", "precision", "recall", "correct")


def main() -> None:
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path())
    parser.add_argument("--rates", default="0.05,0.1,0.2", help="shares of labels to replace (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="(default: %(default)s)")
    parser.add_argument("--folds", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--group-by", default="none", help="instead of split.group_by (default: %(default)s)")
    parser.add_argument("--mislabelled", type=Path, help="a CSV table with a column track")
    arguments = parser.parse_args()
    overrides = ["split.protocol=kfold", f"split.group_by={arguments.group_by}"]
    settings = Settings.read(arguments.folder / "params.yaml", overrides)
    corpus = suspects.read(settings, arguments.folder / "data")
    name, classify = suspects.make_classifier(settings, corpus)
    print(f"{len(corpus.table)} tracks, {name}, {arguments.folds} folds, split.group_by {arguments.group_by}\n")
    print("| labels replaced | AUROC | AP | precision of the suspects | recall | labels found out of fold |")
    print("|---|---|---|---|---|---|", flush=True)
    if arguments.mislabelled:
        wrong = corpus.table["track"].isin(tables.read_csv(arguments.mislabelled, ("track",))["track"]).to_numpy()
        found = [judged(corpus, classify, wrong, arguments.folds, seed) for seed in range(arguments.seeds)]
        print_row(f"none; {wrong.sum()} known", found)
        return
    for rate in map(float, arguments.rates.split(",")):
        found = []
        for seed in range(arguments.seeds):
            planted, wrong = with_wrong_labels(corpus, rate, seed)
            found.append(judged(planted, classify, wrong, arguments.folds, seed))
        print_row(f"{rate:.0%} ({round(rate * len(corpus.table))})", found)


def with_wrong_labels(corpus: suspects.Corpus, rate: float, seed: int) -> tuple[suspects.Corpus, suspects.Mask]:
    """Replaces the genre of a share of the tracks by another one; tells which were replaced."""
    random = np.random.default_rng(seed)
    wrong = np.zeros(len(corpus.table), bool)
    wrong[random.permutation(len(wrong))[: round(rate * len(wrong))]] = True
    labels, genres = corpus.labels, np.array(corpus.genres)
    labels[wrong] = (labels[wrong] + random.integers(1, len(genres), wrong.sum())) % len(genres)
    return replace(corpus, table=corpus.table.assign(genre=genres[labels])), wrong


def judged(
    corpus: suspects.Corpus, classify: suspects.Classifier, wrong: suspects.Mask, folds: int, seed: int
) -> dict[str, float]:
    """Ranks the tracks, and compares the ranking with the labels that are known to be wrong."""
    fold = suspects.assign_folds(corpus, folds=folds, seed=seed)
    probabilities = suspects.out_of_fold(classify, corpus.labels, fold)
    tracks = list(corpus.table["track"])
    ranked = suspects_table.rank(tracks, corpus.labels, corpus.genres, probabilities).set_index("track").loc[tracks]
    suspect = (ranked["suspect"] == "yes").to_numpy()
    return {
        "auroc": roc_auc_score(wrong, -ranked["rank"]),
        "ap": average_precision_score(wrong, -ranked["rank"]),
        "precision": wrong[suspect].mean() if suspect.any() else 0.0,
        "recall": suspect[wrong].mean(),
        "correct": (probabilities.argmax(axis=1) == corpus.labels).mean(),
    }


def print_row(name: str, found: list[dict[str, float]]) -> None:
    """Prints mean and standard deviation over the seeds."""
    values = pd.DataFrame(found)[list(COLUMNS)]
    cells = [f"{values[column].mean():.3f} ± {values[column].std(ddof=0):.3f}" for column in COLUMNS]
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
