"""Merges the runs of a study into one table: what each system reaches, and what the recipes differ by.

A track tests in several runs, and its verdicts are not independent of each other. So the unit of every interval is the
track with all its verdicts: tracks are drawn with replacement, each with all the runs that test it (cluster bootstrap:
Field and Welsh 2007, "Bootstrapping clustered data", J. R. Statist. Soc. B 69:369), and the accuracy of a draw is its
right verdicts among all its verdicts. The interval is about the luck of which tracks test; the luck of the seeds is
seen in the standard deviation over them, which says little for fewer than five.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from ruamel.yaml import YAML

from genre.console import stage
from genre.evaluation import metrics
from genre.pipeline import files, tables

DRAWS = 10_000
NETWORK = "network"
SYSTEMS = (NETWORK, "linear", "svm_mfcc", "majority")
COLUMNS = ["system", "seed", "track", "right"]


@dataclass(frozen=True)
class Study:
    """Names of what is compared: studies/study.yaml."""

    recipes: list[str]
    protocols: list[str]
    seeds: list[int]


def main(settings: Any, study_yaml: Path, runs: Path, results_csv: Path, results_md: Path) -> None:
    """Writes the table as CSV and, with the differences of pairs, as Markdown."""
    del settings
    study = read_study(study_yaml)
    rows, sentences = [], []
    for protocol in study.protocols:
        verdicts = {recipe: _verdicts(runs / recipe / protocol, study.seeds) for recipe in study.recipes}
        clips = {recipe: _clip_accuracy(runs / recipe / protocol, study.seeds) for recipe in study.recipes}
        for recipe in study.recipes:
            for system in SYSTEMS:
                scored = summary(verdicts[recipe][verdicts[recipe]["system"] == system])
                rows.append(
                    {"recipe": recipe, "protocol": protocol, "system": system, **scored, **clips[recipe][system]}
                )
        sentences += [f"- {protocol}: {sentence}" for sentence in comparisons(verdicts)]
    table = pd.DataFrame(rows)
    tables.write_csv(table, results_csv)
    with files.replacing(results_md) as temporary:
        temporary.write_text(markdown(table) + "\n" + "\n".join(sentences) + "\n", encoding="utf-8")
    print(markdown(table), *sentences, sep="\n")


def read_study(path: Path) -> Study:
    """Reads what a study compares.

    Raises:
        ValueError: A list is missing or empty.
    """
    content = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    for key in ("recipes", "protocols", "seeds"):
        if not content.get(key):
            raise ValueError(f"{path} must list at least one of {key}, got {content.get(key)!r}")
    names = {key: [entry["name"] for entry in content[key]] for key in ("recipes", "protocols")}
    return Study(seeds=content["seeds"], **names)


def _verdicts(folder: Path, seeds: list[int]) -> pd.DataFrame:
    """Gives a row a system, seed and test track: whether it is right; without a test subset, of the tracks of valid."""
    found = []
    for seed in seeds:
        results = folder / str(seed) / "metrics"
        for system in SYSTEMS:
            file = results / ("tracks.csv" if system == NETWORK else f"baselines/{system}.csv")
            table = tables.read_csv(file, ["track", "subset", "actual", "predicted"])
            tested = table[table["subset"] == tables.held_out(table["subset"])]
            right = (tested["actual"] == tested["predicted"]).astype(int)
            found.append(tested[["track"]].assign(system=system, seed=seed, right=right)[COLUMNS])
    return pd.concat(found, ignore_index=True)


def _clip_accuracy(folder: Path, seeds: list[int]) -> dict[str, dict[str, float]]:
    """Gives mean and standard deviation over the seeds of the share of clips that each system has right."""
    found: dict[str, list[float]] = {system: [] for system in SYSTEMS}
    for seed in seeds:
        results = folder / str(seed) / "metrics"
        network, others = (YAML(typ="safe").load(results / name) for name in ("metrics.json", "baselines.json"))
        for system, scores in {NETWORK: network, **others}.items():
            found[system].append(scores[tables.held_out(scores)]["clip_accuracy"])
    return {
        system: {"clip_accuracy": float(np.mean(values)), "clip_accuracy_sd": deviation(values)}
        for system, values in found.items()
    }


def deviation(values: list[float]) -> float:
    """Standard deviation of a sample (n - 1); 0 for a single value, which tells nothing of it."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def summary(verdicts: pd.DataFrame) -> dict[str, float]:
    """Scores one system over all seeds: columns `seed, track, right` -> the figures of a row of the table."""
    by_seed = verdicts.groupby("seed")["right"].mean()
    low, high = interval(_by_track(verdicts))
    return {
        "seeds": len(by_seed),
        "tracks": verdicts["track"].nunique(),
        "verdicts": len(verdicts),
        "track_accuracy": float(by_seed.mean()),
        "track_accuracy_sd": deviation(list(by_seed)),
        "track_accuracy_low": low,
        "track_accuracy_high": high,
    }


def _by_track(verdicts: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Gives the sum of `right`, and the number of verdicts, of each track: `(track, 2)`."""
    return np.asarray(verdicts.groupby("track")["right"].agg(["sum", "count"]), np.float64)


def interval(sums: npt.NDArray[np.float64], *, seed: int = 0) -> tuple[float, float]:
    """Gives the 95 % percentile interval of `sum / count` over draws of tracks: `(track, 2)`; see the module.

    Where every verdict is right, or none, draws do not differ: then it is Wilson's, with a track as the unit.
    """
    right, verdicts = sums.sum(axis=0)
    if right in (0, verdicts):
        return metrics.wilson(len(sums) if right else 0, len(sums))
    return percentiles(sums, seed=seed)


def percentiles(sums: npt.NDArray[np.float64], *, seed: int = 0) -> tuple[float, float]:
    """Gives the 2.5th and 97.5th percentile of `sum / count` over draws of tracks: `(track, 2)`."""
    draws = np.random.default_rng(seed).multinomial(len(sums), np.full(len(sums), 1 / len(sums)), DRAWS) @ sums
    low, high = np.percentile(draws[:, 0] / draws[:, 1], [2.5, 97.5])
    return float(low), float(high)


def comparisons(verdicts: dict[str, pd.DataFrame]) -> list[str]:
    """Says what the first recipe's network and each other one, and each network and its linear baseline, differ by."""
    networks = {recipe: rows[rows["system"] == NETWORK] for recipe, rows in verdicts.items()}
    first, *others = networks
    pairs = [((f"{first}, network", networks[first]), (f"{other}, network", networks[other])) for other in others]
    for recipe, rows in verdicts.items():
        linear = rows[rows["system"] == "linear"]
        pairs.append(((f"{recipe}, network", networks[recipe]), (f"{recipe}, linear baseline", linear)))
    return [difference(*one, *other) for one, other in pairs]


def difference(name: str, verdicts: pd.DataFrame, other_name: str, other: pd.DataFrame) -> str:
    """Says how far two systems are apart, paired by seed and track, with the interval of the difference.

    Raises:
        ValueError: They did not test the same tracks with the same seeds.
    """
    paired = verdicts.merge(other, on=["seed", "track"], suffixes=("", "_other"), how="outer")
    if paired[["right", "right_other"]].isna().any(axis=None):
        lacking = paired[paired[["right", "right_other"]].isna().any(axis=1)].iloc[0]
        raise ValueError(
            f"{name} and {other_name} must test the same tracks, {lacking['track']!r} is in one alone (seed "
            f"{lacking['seed']}); run `dvc repro studies/dvc.yaml` again"
        )
    apart = paired.assign(right=paired["right"] - paired["right_other"])
    sums = _by_track(apart)
    points, (low, high), p = 100 * apart["right"].mean(), (100 * end for end in percentiles(sums)), luck(sums[:, 0])
    verdict = "more than luck" if p < metrics.ALPHA else "not more than the luck of which tracks test"
    return (
        f"{name}, less {other_name}: {points:+.1f} points by track (95 % interval {low:+.1f} to {high:+.1f}, "
        f"p = {p:.2g}): {verdict}"
    )


def luck(sums: npt.NDArray[np.float64], *, seed: int = 0) -> float:
    """Gives the two-sided p of a sign-flip test: how often luck alone makes a difference at least as large.

    If two systems are equally good, each track's difference, summed over its verdicts `(track,)`, could as well have
    the other sign (Fisher 1935; 10 000 draws and what was seen among them: Phipson and Smyth 2010, Stat. Appl. Genet.
    Mol. Biol. 9:39). With one verdict a track it is McNemar's test. On few tracks the interval is too narrow for it.
    """
    flips = np.random.default_rng(seed).choice([-1.0, 1.0], (DRAWS, len(sums)))
    return float((1 + (abs(flips @ sums) >= abs(sums.sum()) - 1e-9).sum()) / (DRAWS + 1))


def markdown(table: pd.DataFrame) -> str:
    """Gives the table for a page: shares in per cent."""
    head = ["recipe", "protocol", "system", "seeds", "test tracks", "by track (95 % interval)", "sd", "by clip", "sd"]
    lines = [head, ["---"] * len(head)]
    for row in table.to_dict("records"):
        span = f"{row['track_accuracy_low']:.1%} to {row['track_accuracy_high']:.1%}"
        figures = [f"{row[key]:.1%}" for key in ("track_accuracy_sd", "clip_accuracy", "clip_accuracy_sd")]
        names = [str(row[key]) for key in ("recipe", "protocol", "system", "seeds", "tracks")]
        lines.append([*names, f"{row['track_accuracy']:.1%} ({span})", *figures])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    stage.run(main)
