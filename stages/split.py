"""Stage split: who trains, who validates, who tests; and whether any recording is on two sides."""

from pathlib import Path

import pandas as pd

from genre import command, files, gtzan, splits, tracks, workspace
from genre.params import Data, Settings, Split

# What to set instead of what is for GTZAN alone.
DEFAULTS = {"split.protocol fault-filtered": "stratified", "split.group_by artist": "none or column"}


def main(
    settings: Settings, tracks_csv: Path, pairs_csv: Path, split_csv: Path, leaks_csv: Path, left_out_csv: Path
) -> None:
    """Writes the subset of each track, the repeated recordings that straddle two subsets, and who takes no part."""
    section, source, table = settings.load(Split), settings.load(Data).source, tracks.read(tracks_csv)
    pairs = files.read_csv(pairs_csv, ["track_a", "track_b"])
    _check_protocol(section, source, table)
    assigned, left_out = _assign(section, source, table, pairs)
    leaks = splits.straddling(dict(zip(assigned["track"], assigned["subset"], strict=True)), pairs)
    counts = assigned["subset"].value_counts()
    print(", ".join(f"{subset}: {counts.get(subset, 0)} tracks" for subset in splits.SUBSETS), f"; {len(leaks)} leaks")
    for reason, rows in left_out.groupby("reason"):
        print(f"warning: {len(rows)} tracks {reason}, the first is {rows['track'].iloc[0]}; all are in {left_out_csv}")
    if len(leaks) and section.leaks == "fail":
        raise ValueError(_complaint(section, leaks))
    if len(leaks):
        print("warning:", _complaint(section, leaks))
    files.write_csv(leaks, leaks_csv)
    files.write_csv(left_out, left_out_csv)
    files.write_csv(assigned[["track", "genre", "subset"]].sort_values("track"), split_csv)


def _check_protocol(section: Split, source: str, table: pd.DataFrame) -> None:
    """Refuses what is known of GTZAN's recordings for a corpus that is another one."""
    wanted = {"split.protocol fault-filtered": section.protocol == "fault-filtered",
              "split.group_by artist": section.group_by == "artist"}  # fmt: skip
    reason = gtzan.not_gtzan(source, table)
    for name, asked in wanted.items():
        if asked and reason:
            raise ValueError(f"{name} is for GTZAN alone, {reason}; set it to {DEFAULTS[name]}")


def _assign(section: Split, source: str, table: pd.DataFrame, pairs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Gives the tracks that take part, with their subset; and those that do not, `track, reason`."""
    if section.listed:
        wanted = _published(section, table)
        found = splits.listed(table, wanted, where=f"split.protocol {section.protocol}")
        return found, splits.left_out(table, wanted)
    groups = splits.group_names(table, _together(section, source, table, pairs))
    if section.protocol == "kfold":
        subsets = splits.kfold(table, folds=section.folds, fold=section.fold, seed=section.seed, groups=groups)
        shares = splits.fold_shares(section.folds)
    else:
        subsets = splits.stratified(table, valid=section.valid, test=section.test, seed=section.seed, groups=groups)
        shares = {"train": 1 - section.valid - section.test, "valid": section.valid, "test": section.test}
    for line in splits.missed_shares(table.assign(subset=subsets, group=groups), shares):
        print("warning:", line)
    return table.assign(subset=subsets), splits.left_out(table, table)


def _published(section: Split, table: pd.DataFrame) -> pd.DataFrame:
    if section.protocol == "fault-filtered":
        return gtzan.filtered_split()
    wanted = files.read_csv(workspace.resolve(str(section.file)), ["track", "subset"])
    unknown = sorted(set(wanted["track"]) - set(table["track"]))
    if unknown:
        raise ValueError(
            f"split.file names {len(unknown)} tracks that the corpus lacks, the first is {unknown[0]!r}; "
            "data/tracks.csv has those that it holds"
        )
    return wanted


def _together(section: Split, source: str, table: pd.DataFrame, pairs: pd.DataFrame) -> list[tuple[str, ...]]:
    """Lists the tracks that must be in one subset."""
    if section.group_by == "repetition":
        found: list[tuple[str, ...]] = list(zip(pairs["track_a"], pairs["track_b"], strict=True))
        return [*found, *gtzan.repetitions()] if gtzan.not_gtzan(source, table) is None else found
    if section.group_by == "none":
        return []
    if section.group_by == "artist":
        named = gtzan.artists().rename(columns={"artist": "group"})
        named["group"] = named["group"].map(_plain)
    else:
        named = files.read_csv(workspace.resolve(str(section.groups)), ["track", "group"])
    unknown = sorted(set(table["track"]) - set(named["track"]))
    if unknown:
        raise ValueError(
            f"split.group_by {section.group_by} lacks {len(unknown)} tracks, the first is {unknown[0]!r}; "
            "list every track, with an empty group where it stands alone"
        )
    known = named[named["group"].astype(str) != ""]
    return [tuple(tracks) for _, tracks in known.groupby("group")["track"]]


def _plain(artist: str) -> str:
    """Folds the spellings of one artist: `Earth, Wind & Fire` is `Earth Wind and Fire`."""
    return "".join(letter for letter in artist.casefold().replace("&", "and") if letter.isalnum())


def _complaint(section: Split, leaks: pd.DataFrame) -> str:
    first = leaks.iloc[0]
    return (
        f"{len(leaks)} recordings are in two subsets, the first is {first['track_a']} ({first['subset_a']}) = "
        f"{first['track_b']} ({first['subset_b']}); "
        f"{'change the list' if section.listed else 'set split.group_by to repetition'}, or set split.leaks to warn"
    )


if __name__ == "__main__":
    command.run(main)
