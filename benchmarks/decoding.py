"""Holds what is read here against what ffmpeg plays, on any folder of files; and measures the speed.

    python benchmarks/decoding.py compare FOLDER [--rows ROWS.csv]
    python benchmarks/decoding.py speed TRACK

`compare` decodes every file below FOLDER twice, with the `ffmpeg` on the path and through `genre.audio.reading`, each
in a process of its own, and prints a table by ending. Files with the same content count once. `speed` cuts 30 s of a
recording, writes them in four formats, and times reading and decoding; beside librosa, if that is installed.
"""

import argparse
import hashlib
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd

from genre.audio import parallel, reading
from genre.audio.processes import Failure

SHORTER = 0.1  # seconds by which a recording may be shorter without a report
LONG_ENOUGH = 6.0  # seconds from which on a file could be used at all
PATIENCE = 120.0


@dataclass(frozen=True)
class Row:
    """One file: what ffmpeg hears, and what is read here."""

    file: str
    ending: str
    ffmpeg_seconds: float
    seconds: float
    reason: str
    missing: str


@dataclass(frozen=True)
class Heard:
    """What is read of a file here."""

    seconds: float = 0.0
    reason: str = ""
    missing: str = ""
    format: str = ""


def main() -> None:
    """Compares or measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    compared = commands.add_parser("compare")
    compared.add_argument("folder", type=Path)
    compared.add_argument(
        "--rows", type=Path, help="CSV of each file's result; ffmpeg's part is taken from it if it exists"
    )
    measured = commands.add_parser("speed")
    measured.add_argument("track", type=Path)
    arguments = parser.parse_args()
    if arguments.command == "speed":
        speed(arguments.track)
    else:
        report(compare(arguments.folder, arguments.rows), arguments.rows)


def compare(folder: Path, csv: Path | None) -> list[Row]:
    """Decodes every file twice."""
    files = distinct(sorted(path for path in folder.rglob("*") if path.is_file()))
    known = dict(pd.read_csv(csv)[["file", "ffmpeg_seconds"]].to_numpy().tolist()) if csv and csv.exists() else {}

    def play(path: Path) -> float:
        name = str(path.relative_to(folder))
        return known[name] if name in known else ffmpeg_seconds(path)

    with ThreadPoolExecutor(2) as threads:
        played = list(threads.map(play, files))
    rows = []
    for path, heard, got in zip(files, played, parallel.map_files(read, files, patience=PATIENCE), strict=True):
        found = Heard(reason=got.reason) if isinstance(got, Failure) else got
        row = Row(str(path.relative_to(folder)), path.suffix.lower(), heard, found.seconds, found.reason, found.missing)
        if is_short(row) and not row.missing:  # does ffmpeg hear more, or junk in front as another format?
            row = replace(row, ffmpeg_seconds=ffmpeg_seconds(path, found.format))
            print(f"{row.file}: ffmpeg hears {heard:.2f} s, and {row.ffmpeg_seconds:.2f} s of it as {found.format}\n")
        rows.append(row)
    return rows


def is_short(row: Row) -> bool:
    """Says whether ffmpeg hears more of a file that is read."""
    return not row.reason and row.seconds < row.ffmpeg_seconds - SHORTER


def distinct(files: list[Path]) -> list[Path]:
    """Leaves out files with the content of an earlier one."""
    first = {hashlib.sha256(path.read_bytes()).digest(): path for path in reversed(files)}
    return sorted(first.values())


def read(path: Path) -> Heard:
    """Reads a file as stage `download` does."""
    try:
        recording = reading.inspect(path)
    except (ValueError, OSError) as error:
        return Heard(reason=str(error) or type(error).__name__)
    return Heard(recording.seconds, "", recording.missing, recording.format)


def ffmpeg_seconds(path: Path, form: str = "") -> float:
    """Gives how many seconds of sound ffmpeg makes of a file, 0 if none; at one rate and one channel."""
    forced = ["-f", form] if form else []
    command = ["ffmpeg", "-nostdin", "-v", "quiet", *forced, "-i", f"file:{path}", "-vn", "-ac", "1", "-ar", "48000",
               "-f", "u8", "pipe:1"]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE)
    except subprocess.TimeoutExpired as late:
        return len(late.stdout or b"") / 48000
    return len(done.stdout) / 48000


def report(rows: list[Row], csv: Path | None) -> None:
    """Prints the tables."""
    if csv:
        pd.DataFrame([asdict(row) for row in rows]).to_csv(csv, index=False)
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.ending].append(row)
    print("| suffix | files | ffmpeg plays | read | shorter, not reported | shorter, reported | refused |")
    print("|---|---|---|---|---|---|---|")
    for ending, group in [*sorted(groups.items()), ("all", rows)]:
        played = [row for row in group if row.ffmpeg_seconds > 0]
        short = [row for row in played if is_short(row)]
        told = sum(bool(row.missing) for row in short)
        refused = sum(bool(row.reason) for row in played)
        print(f"| {ending} | {len(group)} | {len(played)} | {len(played) - refused} | {len(short) - told} | {told} "
              f"| {refused} |")  # fmt: skip
    long = [row for row in rows if row.ffmpeg_seconds >= LONG_ENOUGH]
    good = [row for row in long if not row.reason]
    print(f"\nOf {len(long)} files of {LONG_ENOUGH:g} s or more that ffmpeg plays, {len(good)} are read "
          f"({len(good) / max(1, len(long)):.1%}).")  # fmt: skip
    more = sum(row.seconds > 0 and row.ffmpeg_seconds == 0 for row in rows)
    print(f"{more} files are read that ffmpeg does not play; "
          f"{sum(bool(row.missing) for row in rows)} are reported as incomplete.")  # fmt: skip
    print("\n| refused, though ffmpeg plays it | files |\n|---|---|")
    reasons = Counter(row.reason for row in rows if row.reason and row.ffmpeg_seconds > 0)
    for reason, count in reasons.most_common():
        print(f"| {reason} | {count} |")


def speed(track: Path) -> None:
    """Prints milliseconds a 30 s track, the least of several rounds."""
    names = ["format", "inspect", "decode", "librosa.load"][: 1 + len(measures())]
    print("|", " | ".join(names), "|\n|" + "---|" * len(names))
    with tempfile.TemporaryDirectory() as folder:
        for ending in ("wav", "flac", "mp3", "m4a"):
            path = Path(folder) / f"a.{ending}"
            subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", str(track), "-t", "30", str(path)], check=True)
            print(f"| {ending} |", " | ".join(f"{timed(measure, path):.1f}" for measure in measures()), "|")


def measures() -> list[Callable[[Path], object]]:
    """Gives what is timed."""
    from genre.audio import decoding

    found: list[Callable[[Path], object]] = [reading.inspect, lambda path: decoding.decode(path, 22050)]
    try:
        import librosa
    except ImportError:
        return found
    return [*found, lambda path: librosa.load(path, sr=22050, mono=True)]


def timed(function: Callable[[Path], object], path: Path, rounds: int = 7) -> float:
    """Gives the least processor time of a call, in milliseconds."""
    times = []
    for _ in range(rounds):
        start = time.process_time()
        function(path)
        times.append(1000 * (time.process_time() - start))
    return min(times)


if __name__ == "__main__":
    sys.exit(main())
