"""Protocols: how each track is assigned to train, valid or test, with groups of tracks kept whole."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from genre.pipeline.tables import LEFT_OUT, SUBSETS, held_out


def stratified(table: pd.DataFrame, *, valid: float, test: float, seed: int, groups: Sequence[str]) -> pd.Series:
    """Draws subsets at random, with the same share of each genre in each, and no group in two.

    Whole groups are assigned in random order, the large ones first, each to the subset that is furthest below its share
    of the group's genres. Without groups (each track is its own) every genre is within two tracks of its shares.

    The test subset is drawn first and does not depend on `valid`, so recipes with and without a validation subset are
    tested on the same tracks.

    Args:
        table: Columns `track` and `genre`; its order does not matter.
        valid: Share of the tracks for validation; 0 leaves the subset out.
        test: Share of the tracks for the test; 0 leaves the subset out.
        seed: Seed of the draw.
        groups: The group of each row of `table`.

    Returns:
        The subset of each row, indexed as `table`.

    Raises:
        ValueError: A genre has fewer groups than there are subsets; or train got no group of a genre, which can happen
            where groups hold tracks of several genres.
    """
    grouped = table.assign(group=list(groups)).sort_values("track")
    _check_enough(grouped, 1 + (valid > 0) + (test > 0), "set split.test or split.valid to 0")
    random, subset = np.random.default_rng(seed), dict.fromkeys(grouped["group"], "train")
    for name, share in (("test", test), ("valid", valid / (1 - test))):  # of the tracks that are still in train
        if share > 0:
            rest = grouped[grouped["group"].map(subset) == "train"]
            parts = _parts(rest, [1 - share, share], random, spare=name == "test")
            subset |= {group: name for group, part in parts.items() if part == 1}
    drawn = pd.Series([subset[group] for group in groups], index=table.index, name="subset")
    _check_trained(table["genre"], drawn)
    return drawn


def kfold(table: pd.DataFrame, *, folds: int, fold: int, seed: int, groups: Sequence[str]) -> pd.Series:
    """Divides the tracks into `folds` equal parts: part `fold` is the test subset, the next one valid, the rest train.

    The parts do not depend on `fold`: over all folds, each track is tested once. Groups and errors are as in
    `stratified`; two folds leave no track for validation.
    """
    grouped = table.assign(group=list(groups)).sort_values("track")
    _check_enough(grouped, folds, "lower split.folds")
    parts = _parts(grouped, [1 / folds] * folds, np.random.default_rng(seed))
    roles = {fold: "test"} | ({(fold + 1) % folds: "valid"} if folds > 2 else {})
    drawn = pd.Series([roles.get(parts[group], "train") for group in groups], index=table.index, name="subset")
    _check_trained(table["genre"], drawn)
    return drawn


def subset_shares(valid: float, test: float) -> dict[str, float]:
    """Returns subset -> share of the tracks."""
    return {"train": 1 - valid - test, "valid": valid, "test": test}


def _parts(
    grouped: pd.DataFrame, shares: Sequence[float], random: np.random.Generator, *, spare: bool = False
) -> dict[str, int]:
    """Returns for each group the number of the part that it is assigned to.

    Args:
        grouped: The tracks: columns `genre` and `group`.
        shares: The share of each part; they add up to 1.
        random: Decides the order of groups of equal size.
        spare: Whether part 0 should get two groups of a genre where there are three, so that it can be divided again.
    """
    counts = grouped.groupby(["group", "genre"]).size().unstack(fill_value=0).sort_index()
    targets = np.outer(shares, counts.sum())  # (part, genre)
    least = np.ones_like(targets, int)
    if spare:
        least[0] = np.clip((counts > 0).sum() - 1, 1, 2)
    assigned = _assign_groups(counts.to_numpy(), targets, least, random)
    return dict(zip(counts.index, assigned.tolist(), strict=True))


def _assign_groups(
    counts: np.ndarray, targets: np.ndarray, least: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Assigns groups to parts so that the counts of each genre come close to the targets.

    Args:
        counts: `(group, genre)`, how many tracks of each genre a group has.
        targets: `(part, genre)`, how many tracks of each genre a part should get.
        least: `(part, genre)`, how many groups with tracks of the genre a part must get, where they suffice.
        random: Decides the order of groups of equal size.

    Returns:
        `(group,)`, the part of each group.
    """
    have, have_groups = np.zeros_like(targets), np.zeros_like(least)
    assigned = np.zeros(len(counts), int)
    order = sorted(random.permutation(len(counts)), key=lambda group: -counts[group].sum())  # equals stay shuffled
    left = (counts > 0).sum(axis=0)  # groups of each genre that are still to be assigned
    for group in order:
        genres = counts[group] > 0
        # Three rules, in order of importance: each part gets the groups of a genre that it must have, none gets more
        # than its target, and the group is assigned where most of the target is missing.
        lacking = np.maximum(least - have_groups, 0)[:, genres]
        urgent = ((lacking > 0) & (lacking.sum(axis=0) >= left[genres])).sum(axis=1)
        fits = (have + counts[group] <= np.ceil(targets - 1e-9))[:, genres].all(axis=1)
        need = ((targets - have) / targets)[:, genres].mean(axis=1)
        assigned[group] = np.lexsort((-need, ~fits, -urgent))[0]
        have[assigned[group]] += counts[group]
        have_groups[assigned[group]] += genres
        left = left - genres
    return assigned


def _check_enough(grouped: pd.DataFrame, subsets: int, remedy: str) -> None:
    if grouped["genre"].nunique() < 2:
        raise ValueError(f"data must hold at least 2 genres, got {', '.join(grouped['genre'].unique()) or 'none'}")
    groups = grouped.groupby("genre")["group"].nunique()
    if groups.min() < subsets:
        raise ValueError(
            f"each genre must have at least {subsets} tracks (or groups of tracks) to share among the subsets, "
            f"{groups.idxmin()!r} has {groups.min()}; add recordings, or {remedy}"
        )


def _check_trained(genres: pd.Series, drawn: pd.Series) -> None:
    if untrained := _untrained(genres, drawn):
        raise ValueError(
            f"train must have tracks of every genre, it has none of {untrained[0]!r}: groups hold tracks of several "
            "genres; try another split.seed, or set split.group_by to none"
        )


def listed(table: pd.DataFrame, wanted: pd.DataFrame, *, where: str) -> pd.DataFrame:
    """Takes the subsets from a list, as published splits give them.

    Args:
        table: The corpus: columns `track, genre` and others.
        wanted: The list: columns `track, subset`.
        where: The name of the list in messages.

    Returns:
        The rows of `table` that are in the list, with their `subset`.

    Raises:
        ValueError: The list names a track twice, or an unknown subset; train would be empty, or lack a genre; or no
            track would be left to evaluate.
    """
    misspelt = wanted[~wanted["subset"].isin(SUBSETS)]
    if len(misspelt):
        row = misspelt.iloc[0]
        raise ValueError(
            f"{where}: subset must be one of {', '.join(SUBSETS)}, got {row['subset']!r} for {row['track']!r}"
        )
    twice = wanted["track"][wanted["track"].duplicated()]
    if len(twice):
        raise ValueError(f"{where}: each track must be listed once, got {twice.iloc[0]!r} twice")
    found = table.merge(wanted[["track", "subset"]], on="track")
    _check_listed(found, table, where)
    return found


def _check_listed(found: pd.DataFrame, table: pd.DataFrame, where: str) -> None:
    if not (found["subset"] == "train").any():
        raise ValueError(
            f"{where}: names none of the corpus's tracks for train (they are named like {table['track'].iloc[0]!r})"
        )
    if untrained := _untrained(found["genre"], found["subset"]):
        raise ValueError(f"{where}: train must have tracks of every genre, it has none of {untrained[0]!r}")
    if found["genre"].nunique() < 2:
        raise ValueError(f"{where}: must name tracks of at least 2 genres, has only {found['genre'].iloc[0]!r}")
    if held_out(found["subset"]) == "train":
        raise ValueError(f"{where}: some tracks must be in valid or test, all are in train; none is left to evaluate")


def _untrained(genres: pd.Series, subsets: pd.Series) -> list[str]:
    """Returns the genres without a track in train, sorted."""
    return sorted(set(genres) - set(genres[subsets == "train"]))


def left_out(table: pd.DataFrame, wanted: pd.DataFrame) -> pd.DataFrame:
    """Returns the tracks that a list and the corpus do not share: columns `track, reason`, sorted."""
    listed_tracks, corpus_tracks = set(wanted["track"]), set(table["track"])
    rows = [(track, "are listed, but not in the corpus") for track in sorted(listed_tracks - corpus_tracks)]
    rows += [(track, "are in the corpus, but not listed") for track in sorted(corpus_tracks - listed_tracks)]
    return pd.DataFrame(rows, columns=list(LEFT_OUT))
