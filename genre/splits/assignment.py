"""Assigns each track of a corpus to a subset, by the section `split` of params.yaml."""

import unicodedata
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from genre.pipeline import tables
from genre.splits import groups, gtzan, protocols
from genre.splits.params import Split


def assign(
    section: Split, source: str, table: pd.DataFrame, pairs: pd.DataFrame, gtzan_folder: Path, lists: Path
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Assigns tracks to subsets.

    Args:
        section: The section `split`.
        source: `data.source`: the tables about GTZAN are refused for other corpora.
        table: data/tracks.csv.
        pairs: data/repetitions.csv, the pairs of tracks that hold the same recording.
        gtzan_folder: The folder data/gtzan.
        lists: The folder data/lists, which holds the user's tables.

    Returns:
        The tracks that are used, with their `subset`; those that are not, `track, reason`; and warnings, a line each.

    Raises:
        ValueError: The protocol does not fit the corpus, or a table of the user is wrong.
    """
    if section.protocol == "fault-filtered" and (reason := gtzan.not_gtzan(source, table, gtzan_folder)):
        raise ValueError(f"split.protocol fault-filtered is for GTZAN only, {reason}; set it to stratified")
    if section.listed:
        wanted = _subset_list(section, table, gtzan_folder, lists)
        found = protocols.listed(table, wanted, where=f"split.protocol {section.protocol}")
        return found, protocols.left_out(table, wanted), []
    names = groups_of(section, source, table, pairs, gtzan_folder, lists)
    if section.protocol == "kfold":
        subsets = protocols.kfold(table, folds=section.folds, fold=section.fold, seed=section.seed, groups=names)
        valid, test = (1 / section.folds if section.folds > 2 else 0.0), 1 / section.folds
    else:
        valid, test = section.valid, section.test
        subsets = protocols.stratified(table, valid=valid, test=test, seed=section.seed, groups=names)
    assigned = table.assign(subset=subsets)
    warnings = groups.missed_shares(assigned.assign(group=names), protocols.subset_shares(valid, test))
    return assigned, protocols.left_out(table, table), warnings


def groups_of(
    section: Split, source: str, table: pd.DataFrame, pairs: pd.DataFrame, gtzan_folder: Path, lists: Path
) -> list[str]:
    """Returns the group of each row of `table`, by `split.group_by`; arguments and errors are those of `assign`."""
    return groups.group_names(table, _together(section, source, table, pairs, gtzan_folder, lists))


def _subset_list(section: Split, table: pd.DataFrame, gtzan_folder: Path, lists: Path) -> pd.DataFrame:
    if section.protocol == "fault-filtered":
        return gtzan.filtered_split(gtzan_folder)
    wanted = _user_table("split.file", section.file, lists, tables.SUBSET_LIST, table["track"])
    unknown = sorted(set(wanted["track"]) - set(table["track"]))
    if unknown:
        raise ValueError(
            f"split.file names {len(unknown)} tracks that the corpus lacks, the first is {unknown[0]!r}; "
            "data/tracks.csv lists those that it holds"
        )
    return wanted


def _user_table(
    name: str, file: str | None, lists: Path, columns: tuple[str, ...], tracks: Iterable[str]
) -> pd.DataFrame:
    """Reads a table of the user, which must be in the folder of lists, so that DVC notices a change of it.

    Unicode has two forms of an accented letter, and the name of a file may be written in another form than the list.
    Names in the table that differ from a track's only in this are replaced by the track's.
    """
    path = lists / Path(str(file)).name
    if str(file) not in (path.name, str(path)):
        raise ValueError(f"{name} must name a table in {lists}, got {file!r}; move it there, so that DVC sees changes")
    if not path.is_file():
        raise ValueError(f"{name} must name a table in {lists}, there is no {path.name}; in a temporary or queued "
                         f"experiment it must be known to git: git add {path}")  # fmt: skip
    table, known = tables.read_csv(path, columns), set(tracks)
    composed = {unicodedata.normalize("NFC", track): track for track in known}
    table["track"] = [
        track if track in known else composed.get(unicodedata.normalize("NFC", track), track)
        for track in table["track"]
    ]
    return table


def _together(
    section: Split, source: str, table: pd.DataFrame, pairs: pd.DataFrame, gtzan_folder: Path, lists: Path
) -> list[tuple[str, ...]]:
    """Lists the tracks that must be in one subset."""
    if section.group_by == "repetition":
        found: list[tuple[str, ...]] = list(zip(pairs["track_a"], pairs["track_b"], strict=True))
        is_gtzan = gtzan.not_gtzan(source, table, gtzan_folder) is None
        return [*found, *gtzan.repetitions(gtzan_folder)] if is_gtzan else found
    if section.group_by == "none":
        return []
    if section.group_by == "artist" and gtzan.not_gtzan(source, table, gtzan_folder) is None:
        named = gtzan.artists(gtzan_folder).rename(columns={"artist": "group"})
        named["group"] = named["group"].map(plain_name)
    elif section.group_by == "artist":
        named = table[["track"]].assign(group=_plain_names("artist", table))
    elif section.group_by == "album":
        return _albums(table)
    else:
        named = _user_table("split.groups", section.groups, lists, tables.GROUP_LIST, table["track"])
    unknown = sorted(set(table["track"]) - set(named["track"]))
    if unknown:
        raise ValueError(
            f"split.group_by {section.group_by} lacks {len(unknown)} tracks, the first is {unknown[0]!r}; "
            "list every track, with an empty group where it belongs to none"
        )
    known = named[named["group"].astype(str) != ""]
    return [tuple(tracks) for _, tracks in known.groupby("group")["track"]]


def _albums(table: pd.DataFrame) -> list[tuple[str, ...]]:
    """Lists the tracks of each album of data/tracks.csv.

    Two tracks are of one album if its name and the artist are the same, so albums of one name by two artists are two.
    The tracks of a compilation have several artists. They are of one album if its name and the folder are the same, and
    the folder is not that of the whole genre.
    """
    rows = table.assign(album=_plain_names("album", table), artist=table["artist"].map(plain_name))
    rows = rows[rows["album"] != ""].assign(folder=rows["track"].str.rpartition("/")[0])
    in_folders = rows[rows["folder"].str.contains("/")]
    return [
        tuple(tracks)
        for known, column in ((rows, "artist"), (in_folders, "folder"))
        for _, tracks in known.groupby(["album", column])["track"]
    ]


def _plain_names(column: str, table: pd.DataFrame) -> "pd.Series[str]":
    """Returns the artist or album of each track of data/tracks.csv, without case and punctuation."""
    if not (table[column] != "").any():
        raise ValueError(
            f"split.group_by {column} needs tags or folders with the {column}, no track has any; set it to none or "
            "column"
        )
    return table[column].map(plain_name)


def plain_name(artist: str) -> str:
    """Returns an artist's name without case and punctuation: `Earth, Wind & Fire` is `Earth Wind and Fire`.

    Both ways in which Unicode writes an accented letter are one. A name of punctuation alone, such as `!!!`, stays.
    """
    folded = unicodedata.normalize("NFKC", artist).casefold().replace("&", "and")
    return "".join(letter for letter in folded if letter.isalnum()) or folded.strip()


def leak_message(section: Split, leaks: pd.DataFrame) -> str:
    """Says in one line how many recordings are in two subsets, names the first, and says what to change.

    Args:
        section: The section `split`.
        leaks: At least one row, with the columns of metrics/leaks.csv.
    """
    first = leaks.iloc[0]
    remedy = "change the list" if section.listed else "set split.group_by to repetition"
    many = "1 recording is" if len(leaks) == 1 else f"{len(leaks)} recordings are"
    return (
        f"{many} in two subsets, the first is {first['track_a']} ({first['subset_a']}) = {first['track_b']} "
        f"({first['subset_b']}); {remedy}{'' if section.leaks == 'warn' else ', or set split.leaks to warn'}"
    )
