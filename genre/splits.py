"""Who trains, who validates, who tests: every protocol gives each track one subset, and keeps groups whole."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

SUBSETS = ("train", "valid", "test")


def held_out(subsets: Iterable[str]) -> str:
    """Gives the subset that one judges by, of those that there are: test, else valid, else train; valid of none."""
    present = set(subsets)
    return next((subset for subset in reversed(SUBSETS) if subset in present), "valid")


def stratified(table: pd.DataFrame, *, valid: float, test: float, seed: int, groups: Sequence[str]) -> pd.Series:
    """Draws subsets at random, with the wished share of each genre in each, and no group in two.

    Whole groups are dealt in random order, the large ones first, each to the subset that lacks most of its share of
    the group's genres. Without groups (each track its own) every genre is within one track of its shares.

    Args:
        table: Columns `track` and `genre`; its order does not matter.
        valid: Share of the tracks that validate; 0 leaves the subset out.
        test: Share of the tracks that test; 0 leaves the subset out.
        seed: Decides the draw.
        groups: For each row of `table` the name of its group.

    Returns:
        The subset of each row, indexed as `table`.

    Raises:
        ValueError: A genre has fewer groups than there are subsets.
    """
    shares = {"train": 1 - valid - test, "valid": valid, "test": test}
    shares = {subset: share for subset, share in shares.items() if share > 0}
    grouped = table.assign(group=list(groups)).sort_values("track")
    _check_enough(grouped, len(shares))
    counts = grouped.groupby(["group", "genre"]).size().unstack(fill_value=0).sort_index()
    wish = np.outer(list(shares.values()), counts.sum())  # (subset, genre)
    dealt = _deal(counts.to_numpy(), wish, np.random.default_rng(seed))
    by_group = dict(zip(counts.index, (list(shares)[place] for place in dealt), strict=True))
    return pd.Series([by_group[group] for group in groups], index=table.index, name="subset")


def _deal(counts: np.ndarray, wish: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Deals groups `(group, genre)` to subsets so that the counts come close to `wish` `(subset, genre)`."""
    have = np.zeros_like(wish)
    dealt = np.zeros(len(counts), int)
    order = sorted(random.permutation(len(counts)), key=lambda group: -counts[group].sum())  # equals stay shuffled
    left = (counts > 0).sum(axis=0)  # groups of each genre that are still to be dealt
    for group in order:
        genres = counts[group] > 0
        # Three wishes, the first counts most: that no subset ends without a genre, that none gets more than its share,
        # and that the group goes where most of the share is missing.
        without = have[:, genres] == 0
        urgent = (without & (without.sum(axis=0) >= left[genres])).any(axis=1)
        fits = (have + counts[group] <= np.ceil(wish - 1e-9))[:, genres].all(axis=1)
        need = ((wish - have) / wish)[:, genres].mean(axis=1)
        dealt[group] = np.lexsort((-need, ~fits, ~urgent))[0]
        have[dealt[group]] += counts[group]
        left = left - genres
    return dealt


def _check_enough(grouped: pd.DataFrame, subsets: int) -> None:
    if grouped["genre"].nunique() < 2:
        raise ValueError(f"data must hold at least 2 genres, got {', '.join(grouped['genre'].unique()) or 'none'}")
    groups = grouped.groupby("genre")["group"].nunique()
    if groups.min() < subsets:
        raise ValueError(
            f"each genre must have at least {subsets} tracks (or groups of tracks) to share among the subsets, "
            f"{groups.idxmin()!r} has {groups.min()}; add recordings, or set split.test or split.valid to 0"
        )


def kfold(table: pd.DataFrame, *, folds: int, fold: int, seed: int, groups: Sequence[str]) -> pd.Series:
    """Deals the tracks into `folds` equal parts; part `fold` tests, the next one validates, the others train.

    The parts do not depend on `fold`: over all folds, each track tests once. Shares, groups and errors as in
    `stratified`; two folds leave no track to validate with.

    Raises:
        ValueError: `fold` is not in `0..folds - 1`, or a genre has fewer groups than folds.
    """
    if not 0 <= fold < folds:
        raise ValueError(f"split.fold must be in 0..split.folds - 1 ({folds - 1}), got {fold}")
    grouped = table.assign(group=list(groups)).sort_values("track")
    _check_enough(grouped, folds)
    counts = grouped.groupby(["group", "genre"]).size().unstack(fill_value=0).sort_index()
    wish = np.outer(np.full(folds, 1 / folds), counts.sum())
    parts = dict(zip(counts.index, _deal(counts.to_numpy(), wish, np.random.default_rng(seed)), strict=True))
    roles = {fold: "test"} | ({(fold + 1) % folds: "valid"} if folds > 2 else {})
    return pd.Series([roles.get(parts[group], "train") for group in groups], index=table.index, name="subset")


def fold_shares(folds: int) -> dict[str, float]:
    """Gives the share of the tracks that each subset of a fold has."""
    valid = 1 / folds if folds > 2 else 0.0
    return {"train": 1 - valid - 1 / folds, "valid": valid, "test": 1 / folds}


def missed_shares(dealt: pd.DataFrame, shares: Mapping[str, float]) -> list[str]:
    """Says in a line each where a genre misses its share of a subset by more than a track, and by which group.

    Args:
        dealt: Columns `track, genre, subset, group`.
        shares: Of the tracks, by subset, that were wished.
    """
    lines = []
    for genre, rows in dealt.groupby("genre"):
        counts, largest = rows["subset"].value_counts(), rows["group"].value_counts()
        off = {subset: counts.get(subset, 0) - share * len(rows) for subset, share in shares.items()}
        worst = max(off, key=lambda subset: abs(off[subset]))
        if abs(off[worst]) > 1 + 1e-9:
            lines.append(
                f"{genre!r} has {counts.get(worst, 0)} tracks in {worst}, wished {shares[worst] * len(rows):.1f} of "
                f"{len(rows)}: groups are kept whole, the largest ({largest.index[0]!r}) has {largest.iloc[0]} of them"
            )
    return lines


def listed(table: pd.DataFrame, wanted: pd.DataFrame, *, where: str) -> pd.DataFrame:
    """Takes the subsets from a list `track, subset`, as published splits give them.

    Returns:
        The rows of `table` that are in the list, with their `subset`.

    Raises:
        ValueError: The list names a track twice or a subset that is none; train would lack a genre, or be empty; no
            track would be left to judge by.
    """
    misspelt = wanted[~wanted["subset"].isin(SUBSETS)]
    if len(misspelt):
        row = misspelt.iloc[0]
        raise ValueError(
            f"{where}: subset must be one of {', '.join(SUBSETS)}, got {row['subset']!r} for {row['track']!r}"
        )
    twice = wanted["track"][wanted["track"].duplicated()]
    if len(twice):
        raise ValueError(f"{where}: each track must stand once, got {twice.iloc[0]!r} twice")
    found = table.merge(wanted[["track", "subset"]], on="track")
    if not (found["subset"] == "train").any():
        raise ValueError(
            f"{where}: names none of the corpus's tracks for train (they are named like {table['track'].iloc[0]!r})"
        )
    unlearnt = sorted(set(found["genre"]) - set(found["genre"][found["subset"] == "train"]))
    if unlearnt:
        raise ValueError(f"{where}: train must have tracks of every genre, it has none of {unlearnt[0]!r}")
    if held_out(found["subset"]) == "train":
        raise ValueError(
            f"{where}: some tracks must be in valid or test, all are in train; nothing is left to judge by"
        )
    return found


def left_out(table: pd.DataFrame, wanted: pd.DataFrame) -> pd.DataFrame:
    """Names the tracks that a list and the corpus do not share: `track, reason`, sorted."""
    listed_too, there_too = set(wanted["track"]), set(table["track"])
    rows = [(track, "are listed, but not in the corpus") for track in sorted(listed_too - there_too)]
    rows += [(track, "are in the corpus, but not listed") for track in sorted(there_too - listed_too)]
    return pd.DataFrame(rows, columns=["track", "reason"])


def group_names(table: pd.DataFrame, together: Sequence[Sequence[str]]) -> list[str]:
    """Names each row's group, given lists of tracks that belong together; lists that share a track become one group.

    A group is called by its first track in alphabetical order; a track in no list is its own group. Tracks that
    `table` lacks still connect.
    """
    parent: dict[str, str] = {}

    def root(track: str) -> str:
        while parent.setdefault(track, track) != track:
            track = parent[track]
        return track

    for tracks in together:
        for track in tracks[1:]:
            first, second = sorted((root(tracks[0]), root(track)))
            parent[second] = first
    return [root(track) for track in table["track"]]


def straddling(subsets: Mapping[str, str], pairs: pd.DataFrame) -> pd.DataFrame:
    """Gives the rows of `pairs` (`track_a, track_b, ...`) whose two tracks are in different subsets, with those."""
    found = pairs.assign(subset_a=pairs["track_a"].map(subsets), subset_b=pairs["track_b"].map(subsets))
    found = found.dropna(subset=["subset_a", "subset_b"])
    return found[found["subset_a"] != found["subset_b"]].reset_index(drop=True)
