"""Stage split: assigns tracks to train, valid and test, and looks for recordings that are in two subsets."""

from pathlib import Path

from genre.console import stage
from genre.corpus.params import DataSource
from genre.pipeline import tables
from genre.pipeline.settings import Settings
from genre.splits import assignment, groups
from genre.splits.params import Split


def main(
    settings: Settings, tracks_csv: Path, pairs_csv: Path, gtzan: Path, lists: Path, split_csv: Path,
    leaks_csv: Path, left_out_csv: Path,
) -> None:  # fmt: skip
    """Writes the subset of each track, the repeated recordings that are in two subsets, and the tracks left out."""
    section, table = settings.load(Split), tables.read_tracks(tracks_csv)
    pairs = tables.read_csv(pairs_csv, tables.REPETITIONS)
    assigned, left_out, warnings = assignment.assign(
        section, settings.load(DataSource).source, table, pairs, gtzan, lists
    )
    leaks = groups.straddling(dict(zip(assigned["track"], assigned["subset"], strict=True)), pairs)
    counts = assigned["subset"].value_counts()
    print(", ".join(f"{subset}: {counts.get(subset, 0)} tracks" for subset in tables.SUBSETS), f"; {len(leaks)} leaks")
    for reason, rows in left_out.groupby("reason"):
        warnings.append(f"{len(rows)} tracks {reason}, the first is {rows['track'].iloc[0]}; see {left_out_csv}")
    if len(leaks):
        complaint = assignment.leak_message(section, leaks)
        if section.leaks == "fail":
            raise ValueError(complaint)
        warnings.append(complaint)
    for warning in warnings:
        print("warning:", warning)
    tables.write_csv(leaks, leaks_csv)
    tables.write_csv(left_out, left_out_csv)
    tables.write_csv(assigned[list(tables.SPLIT)].sort_values("track"), split_csv)


if __name__ == "__main__":
    stage.run(main)
