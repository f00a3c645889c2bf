"""The command `genre tag`: writes predicted genres into the tags of files, and restores the earlier genres."""

import argparse
import errno
from collections import Counter
from collections.abc import Sequence
from contextlib import closing, nullcontext
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from genre.console import messages
from genre.predict import count_of, load, predicted, show, tell, tell_error, tell_found, untagged
from genre.prediction import collection, tagging, tags

if TYPE_CHECKING:
    from genre.prediction.batch import Answer


def main(arguments: argparse.Namespace) -> int:
    """Says which genre each recording's tags would get; `--write` writes them, and `--undo` restores the old ones."""
    if bool(arguments.undo) == bool(arguments.paths):
        raise ValueError("genre tag takes files and folders, or --undo JOURNAL; give one of the two")
    if arguments.journal and not arguments.write:
        raise ValueError(
            "--journal must come with --write, since nothing is noted where nothing is written; add --write"
        )
    given = {
        "--write": arguments.write,
        "--only-untagged": arguments.only_untagged,
        "--step": arguments.step is not None,
    }
    if arguments.undo and any(given.values()):
        raise ValueError(
            f"--undo must stand alone, got {next(name for name in given if given[name])} too; leave it out"
        )
    return _undo(arguments.undo) if arguments.undo else _tag(arguments)


def _tag(arguments: argparse.Namespace) -> int:
    found = collection.find(arguments.paths)
    tell_found(found)
    taggable = _taggable(found.recordings)
    recordings = untagged(taggable) if arguments.only_untagged else taggable
    done = Counter(failed=len(found.recordings) - len(taggable), kept=len(taggable) - len(recordings))
    journal = None
    if recordings:
        predictor = load(arguments.model)
        _check_genres(predictor.genres)
        journal = tagging.Journal(arguments.journal or _journal_of_today()) if arguments.write else None
        with closing(journal) if journal else nullcontext():
            try:
                for answer in predicted(predictor, recordings, arguments.step):
                    done[_one(answer, journal)] += 1
            except BaseException:
                if journal:
                    _tell_journal(journal)
                raise
    tell(_summary(done))
    changed = done["added"] + done["replaced"]
    if changed and journal:
        _tell_journal(journal)
    elif changed:
        tell("nothing was written; add --write to write the genres")
    return 2 if found.problems or done["failed"] else 0


def _tell_journal(journal: tagging.Journal) -> None:
    if journal.path.is_file() and journal.path.stat().st_size:
        tell(f"journal: {journal.path}; `genre tag --undo {journal.path}` takes the changes back")


def _check_genres(genres: Sequence[str]) -> None:
    """Checks that every genre can stand in tags: ID3 reads a number as another genre."""
    for genre in genres:
        if tags.names([genre]) != [genre]:
            raise ValueError(
                f"a genre in tags must not be a number of ID3, got {genre!r}, which means "
                f"{', '.join(tags.names([genre]))}; rename the folder of this genre and train again"
            )


def _summary(done: "Counter[str]") -> str:
    """Returns one line: what becomes of how many recordings."""
    words = {
        "added": "get a genre",
        "replaced": "get another genre than they have",
        "already": "have it already",
        "unsure": "unsure",
        "kept": "have a genre and were left out",
        "failed": "failed",
    }
    parts = [f"{done[key]} {text}" for key, text in words.items() if done[key]]
    return f"{count_of(sum(done.values()), 'recording')}: {', '.join(parts) or 'none to tag'}"


def _journal_of_today() -> Path:
    return Path(f"genre-tags-{date.today().isoformat()}.jsonl")


def _taggable(recordings: Sequence[Path]) -> list[Path]:
    """Returns the recordings whose tags can be written; prints why the others cannot."""
    taggable = []
    for path in tqdm(recordings, "reading tags", unit="file", disable=None, leave=False):
        try:
            tags.read(path)
            taggable.append(path)
        except (ValueError, OSError) as error:
            _tell_failed(path, error)
    return taggable


def _one(answer: "Answer", journal: tagging.Journal | None) -> str:
    """Tags one recording, or says how it would be tagged; returns what was done, in a word."""
    if answer.prediction is None:
        return "failed"
    try:
        tagging.remove_leftover(answer.path)
        old, new = tags.read(answer.path), answer.prediction.genre
        shown = ", ".join(tags.names(old)) or "no genre"
        if answer.prediction.unsure:
            outcome, line = "unsure", f"{shown}, unsure: left as it is"
        elif new.casefold() in (name.casefold() for name in tags.names(old)):
            outcome, line = "already", f"{shown}, as it is"
        else:
            outcome, line = "replaced" if tags.names(old) else "added", f"{shown} -> {new}"
            if journal:
                tagging.change(answer.path, [new], journal)
    except (ValueError, OSError) as error:
        _tell_failed(answer.path, error)
        return "failed"
    _show(answer.path, line)  # outside of the `try`: a closed output is no fault of the recording
    return outcome


def _show(path: Path, line: str) -> None:
    show(messages.printable(f"{path}: {line}"))


def _tell_failed(path: Path | str, error: ValueError | OSError) -> None:
    """Prints why a file was left as it was; raises the error of a full disk, because it ends the command."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        raise error
    tell_error(f"{path}: {(isinstance(error, OSError) and error.strerror) or error}")


def _undo(path: Path) -> int:
    """Restores the genres that a journal names, the last change first."""
    changes = tagging.read_journal(path)[::-1]
    done: Counter[str] = Counter()
    for change in tqdm(changes, "restoring", unit="file", disable=None, leave=False):
        try:
            outcome, reason = tagging.undo(change)
        except (ValueError, OSError) as error:
            _tell_failed(change.file, error)
            done["failed"] += 1
            continue
        if reason:
            tell(f"note: {change.file}: {reason}")
        done[outcome] += 1
    parts = [f"{done[key]} {key}" for key in ("restored", "unchanged", "left", "failed") if done[key]]
    tell(f"{count_of(len(changes), 'change')}: {', '.join(parts)}")
    return 2 if done["failed"] else 0
