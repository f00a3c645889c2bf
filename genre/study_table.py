"""The table of a study: what each recipe reaches over seeds, and whether two recipes differ by more than chance.

A track is tested in several runs, and its outcomes are not independent of each other. So the unit of every interval is
the track with all its outcomes: tracks are drawn with replacement, each with all the runs that test it (cluster
bootstrap: Field and Welsh 2007, "Bootstrapping clustered data", J. R. Statist. Soc. B 69:369), and the accuracy of a
draw is the share of correct outcomes in it. The interval covers the variation that comes from which tracks are tested.
The variation between seeds is in the standard deviation, which is a rough estimate for fewer than five seeds.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from genre.evaluation import metrics
from genre.pipeline import tables

DRAWS = 10_000
BLOCK = 1_000_000  # values that are drawn at once
NETWORK = "network"
COLUMNS = ["system", "seed", "track", "subset", "correct"]


def outcomes(system: str, seed: int, predictions: pd.DataFrame) -> pd.DataFrame:
    """Returns whether each held-out track is classified correctly: columns `system, seed, track, subset, correct`.

    Args:
        system: The network or a simpler system.
        seed: Of the split and the training.
        predictions: A row a track: columns `track, subset, actual, predicted`.
    """
    tested = predictions[predictions["subset"] == tables.held_out(predictions["subset"])]
    correct = (tested["actual"] == tested["predicted"]).astype(int)
    return tested[["track", "subset"]].assign(system=system, seed=seed, correct=correct)[COLUMNS]


def summary(rows: pd.DataFrame) -> dict[str, object]:
    """Scores one system over all seeds, from its outcomes (columns `seed, track, subset, correct`).

    The accuracy is the share of all outcomes that are correct. Its interval and `difference` use the same share, so
    they agree also where seeds test different numbers of tracks.
    """
    by_seed = rows.groupby("seed")["correct"].mean()
    low, high = interval(_by_track(rows))
    return {
        "seeds": len(by_seed),
        "subset": rows["subset"].iloc[0],
        "tracks": rows["track"].nunique(),
        "track_accuracy": float(rows["correct"].mean()),
        "track_accuracy_sd": float(by_seed.std()) if len(by_seed) > 1 else 0.0,  # of a sample
        "track_accuracy_low": low,
        "track_accuracy_high": high,
    }


def _by_track(rows: pd.DataFrame) -> npt.NDArray[np.float64]:
    """Returns the sum of `correct` and the number of outcomes of each track: `(track, 2)`."""
    return np.asarray(rows.groupby("track")["correct"].agg(["sum", "count"]), np.float64)


def interval(sums: npt.NDArray[np.float64], *, seed: int = 0) -> tuple[float, float]:
    """Returns the 95 % percentile interval of `sum / count` over draws of tracks `(track, 2)`; see the module.

    If all outcomes are correct, or none, all draws are equal; then Wilson's interval over tracks is returned.
    """
    correct, count = sums.sum(axis=0)
    if correct in (0, count):
        return metrics.wilson(len(sums) if correct else 0, len(sums))
    return percentiles(sums, seed=seed)


def percentiles(sums: npt.NDArray[np.float64], *, seed: int = 0) -> tuple[float, float]:
    """Returns the 2.5th and 97.5th percentile of `sum / count` over draws of tracks: `(track, 2)`."""
    generator, tracks = np.random.default_rng(seed), len(sums)
    shares = np.full(tracks, 1 / tracks)
    draws = np.concatenate([generator.multinomial(tracks, shares, rows) @ sums for rows in _blocks(tracks)])
    low, high = np.percentile(draws[:, 0] / draws[:, 1], [2.5, 97.5])
    return float(low), float(high)


def comparisons(recipes: Mapping[str, pd.DataFrame]) -> list[str]:
    """Says by how much the first recipe's network differs from the others, and each network from its linear baseline.

    Args:
        recipes: recipe -> the outcomes of all its systems.
    """
    networks = {recipe: rows[rows["system"] == NETWORK] for recipe, rows in recipes.items()}
    first, *others = networks
    pairs = [((f"{first}, network", networks[first]), (f"{other}, network", networks[other])) for other in others]
    for recipe, rows in recipes.items():
        linear = rows[rows["system"] == "linear"]
        pairs.append(((f"{recipe}, network", networks[recipe]), (f"{recipe}, linear baseline", linear)))
    return [difference(*one, *other) for one, other in pairs]


def difference(name: str, rows: pd.DataFrame, other_name: str, other: pd.DataFrame) -> str:
    """Says by how much two systems differ, paired by seed and track, with the interval of the difference.

    Raises:
        ValueError: They were not tested on the same tracks with the same seeds.
    """
    paired = rows.merge(other, on=["seed", "track"], suffixes=("", "_other"), how="outer")
    lacking = paired[paired[["correct", "correct_other"]].isna().any(axis=1)]
    if len(lacking):
        raise ValueError(
            f"{name} and {other_name} must be tested on the same tracks, {lacking['track'].iloc[0]!r} is in one "
            f"alone (seed {lacking['seed'].iloc[0]}); run both on one corpus, with the same split.test"
        )
    sums = _by_track(paired.assign(correct=paired["correct"] - paired["correct_other"]))
    points, (low, high) = 100 * sums[:, 0].sum() / sums[:, 1].sum(), (100 * end for end in percentiles(sums))
    p = sign_flip_p(sums[:, 0])
    outcome = (
        "more than chance" if p < metrics.ALPHA
        else f"no more than the chance choice of {rows['subset'].iloc[0]} tracks explains"
    )  # fmt: skip
    return (
        f"{name}, less {other_name}: {points:+.1f} points by track (95 % interval {low:+.1f} to {high:+.1f}, "
        f"p = {p:.2g}): {outcome}"
    )


def sign_flip_p(sums: npt.NDArray[np.float64], *, seed: int = 0) -> float:
    """Returns the two-sided p-value of a sign-flip test: how often chance makes a difference at least as large.

    If two systems are equally good, each track's difference, summed over its outcomes `(track,)`, could as well have
    the other sign (Fisher 1935; 10 000 draws, and the observed signs count as one more: Phipson and Smyth 2010, Stat.
    Appl. Genet. Mol. Biol. 9:39). With one outcome a track it is McNemar's test. With few tracks this test is used and
    not the interval, which is then too narrow.
    """
    generator, tracks = np.random.default_rng(seed), len(sums)
    flipped = np.concatenate([generator.choice([-1.0, 1.0], (rows, tracks)) @ sums for rows in _blocks(tracks)])
    return float((1 + (abs(flipped) >= abs(sums.sum()) - 1e-9).sum()) / (DRAWS + 1))


def _blocks(tracks: int) -> list[int]:
    """Divides the draws, a row of `tracks` values each, into blocks: at once, 3000 tracks would take 0.7 GB."""
    rows = max(1, BLOCK // tracks)
    return [min(rows, DRAWS - start) for start in range(0, DRAWS, rows)]


def markdown(rows: Sequence[Mapping[str, object]]) -> str:
    """Returns the table in Markdown, shares in per cent; a row has the figures of `summary` and `clip_accuracy`."""
    head = ["recipe", "protocol", "system", "seeds", "tracks", "by track (95 % interval)", "sd", "by clip"]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        span = f"{row['track_accuracy_low']:.1%} to {row['track_accuracy_high']:.1%}"
        names = [str(row[key]) for key in ("recipe", "protocol", "system", "seeds")]
        names.append(f"{row['tracks']} {row['subset']}")
        figures = [f"{row['track_accuracy']:.1%} ({span})", f"{row['track_accuracy_sd']:.1%}"]
        lines.append([*names, *figures, f"{row['clip_accuracy']:.1%}"])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
