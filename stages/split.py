"""Stage split: who trains, who validates, who tests; and whether any recording is on two sides."""

from pathlib import Path

import pandas as pd

from genre import command, files, gtzan, splits, tracks, workspace
from genre.params import Settings, Split


def main(settings: Settings, tracks_csv: Path, pairs_csv: Path, split_csv: Path, leaks_csv: Path) -> None:
    """Writes the subset of each track, and the repeated recordings that straddle two subsets."""
    section = settings.load(Split)
    table = tracks.read(tracks_csv)
    pairs = files.read_csv(pairs_csv, ["track_a", "track_b"])
    assigned = _assign(section, table, pairs)
    leaks = splits.straddling(dict(zip(assigned["track"], assigned["subset"], strict=True)), pairs)
    counts = assigned["subset"].value_counts()
    print(", ".join(f"{subset}: {counts.get(subset, 0)} tracks" for subset in splits.SUBSETS), f"; {len(leaks)} leaks")
    if len(leaks) and section.leaks == "fail":
        raise ValueError(_complaint(leaks))
    if len(leaks):
        print("warning:", _complaint(leaks))
    files.write_csv(leaks, leaks_csv)
    files.write_csv(assigned[["track", "genre", "subset"]].sort_values("track"), split_csv)


def _assign(section: Split, table: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Gives the tracks that take part, with their subset."""
    if section.protocol in ("file", "fault-filtered"):
        wanted = _published(section, table)
        found, missing = splits.listed(table, wanted, where=f"split.protocol {section.protocol}")
        if missing:
            print(f"warning: {len(missing)} listed tracks are not in the corpus: {', '.join(missing[:5])}...")
        return found
    groups = splits.group_names(table, _together(section, table, pairs))
    if section.protocol == "kfold":
        subsets = splits.kfold(table, folds=section.folds, fold=section.fold, seed=section.seed, groups=groups)
    else:
        subsets = splits.stratified(table, valid=section.valid, test=section.test, seed=section.seed, groups=groups)
    return table.assign(subset=subsets)


def _published(section: Split, table: pd.DataFrame) -> pd.DataFrame:
    if section.protocol == "file":
        wanted = files.read_csv(workspace.resolve(str(section.file)), ["track", "subset"])
        unknown = sorted(set(wanted["track"]) - set(table["track"]))
        if unknown:
            raise ValueError(
                f"split.file names {len(unknown)} tracks that the corpus lacks, the first is {unknown[0]!r}"
            )
        return wanted
    if set(table["genre"]) != set(gtzan.GENRES):
        raise ValueError(
            "split.protocol fault-filtered is for GTZAN's ten genres, "
            f"got {', '.join(sorted(set(table['genre']))[:12])}; set split.protocol to stratified"
        )
    return gtzan.filtered_split()


def _together(section: Split, table: pd.DataFrame, pairs: pd.DataFrame) -> list[tuple[str, ...]]:
    """Lists the tracks that must be in one subset."""
    if section.group_by == "repetition":
        found: list[tuple[str, ...]] = list(zip(pairs["track_a"], pairs["track_b"], strict=True))
        return [*found, *gtzan.repetitions()] if set(table["genre"]) <= set(gtzan.GENRES) else found
    if section.group_by == "none":
        return []
    if section.group_by == "artist":
        named = gtzan.artists().rename(columns={"artist": "group"})
        named["group"] = named["group"].map(_plain)
    else:
        named = files.read_csv(workspace.resolve(str(section.groups)), ["track", "group"])
    unknown = sorted(set(table["track"]) - set(named["track"]))
    if unknown:
        raise ValueError(f"split.group_by {section.group_by} lacks {len(unknown)} tracks, the first is {unknown[0]!r}")
    known = named[named["group"].astype(str) != ""]
    return [tuple(tracks) for _, tracks in known.groupby("group")["track"]]


def _plain(artist: str) -> str:
    """Folds the spellings of one artist: `Earth, Wind & Fire` is `Earth Wind and Fire`."""
    return "".join(letter for letter in artist.casefold().replace("&", "and") if letter.isalnum())


def _complaint(leaks: pd.DataFrame) -> str:
    first = leaks.iloc[0]
    return (
        f"{len(leaks)} recordings are in two subsets, the first is {first['track_a']} ({first['subset_a']}) = "
        f"{first['track_b']} ({first['subset_b']}); set split.group_by to repetition, or split.leaks to warn"
    )


if __name__ == "__main__":
    command.run(main)
