"""Groups of tracks that must be in one subset, the shares that they miss, and pairs of tracks in two subsets."""

from collections.abc import Mapping, Sequence

import pandas as pd


def group_names(table: pd.DataFrame, together: Sequence[Sequence[str]]) -> list[str]:
    """Returns the group of each row of `table`; lists that have a track in common become one group.

    Args:
        table: Column `track`.
        together: Lists of tracks that belong together; a track that is not in `table` still joins the lists it is in.

    Returns:
        The name of a group is its first track in alphabetical order; a track in no list is a group of its own.
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
    """Returns the pairs whose two tracks are in different subsets.

    Args:
        subsets: track -> subset.
        pairs: Columns `track_a, track_b` and others.

    Returns:
        Those rows of `pairs`, with two more columns, `subset_a` and `subset_b`. A pair with a track that is in no
        subset is left out.
    """
    found = pairs.assign(subset_a=pairs["track_a"].map(subsets), subset_b=pairs["track_b"].map(subsets))
    found = found.dropna(subset=["subset_a", "subset_b"])
    return found[found["subset_a"] != found["subset_b"]].reset_index(drop=True)


def missed_shares(assigned: pd.DataFrame, shares: Mapping[str, float]) -> list[str]:
    """Says, in a line for each genre, where it differs from its share of a subset by more than a track, and why.

    Args:
        assigned: Columns `track, genre, subset, group`.
        shares: subset -> the share of the tracks that was asked for.
    """
    lines = []
    for genre, rows in assigned.groupby("genre"):
        counts, largest = rows["subset"].value_counts(), rows["group"].value_counts()
        off = {subset: counts.get(subset, 0) - share * len(rows) for subset, share in shares.items()}
        worst = max(off, key=lambda subset: abs(off[subset]))
        if abs(off[worst]) > 1 + 1e-9:
            reason = (
                f"groups are kept whole, the largest ({largest.index[0]!r}) has {largest.iloc[0]} tracks"
                if largest.iloc[0] > 1
                else "each subset has at least one track of every genre"
            )
            lines.append(
                f"{genre!r} has {counts.get(worst, 0)} of its {len(rows)} tracks in {worst} instead of "
                f"{shares[worst] * len(rows):.1f}: {reason}"
            )
    return lines
