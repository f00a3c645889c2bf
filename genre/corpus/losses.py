"""The lines that `download` prints at its end: what was found, what cannot be used and why, and warnings."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from genre.corpus.associations import NOTABLE_ASSOCIATION
from genre.corpus.folder import ScannedFile

ADVICE = {
    "too short": "lower data.min_seconds if clips are shorter",
    "cannot be decoded": "listen to one of them, and copy or convert it anew if it plays",
    "silent": "replace it",
    "not in the folder of a genre": "move it into a folder that is named after its genre",
}


def lines(scanned: Sequence[ScannedFile], association: Mapping[str, float]) -> Iterator[str]:
    """Yields lines about the files of a corpus, the most important first.

    Args:
        scanned: All files that were found.
        association: What `genre.corpus.associations.associations` returned for them.
    """
    usable = [file for file in scanned if not file.reason]
    unusable = [file for file in scanned if file.reason and file.is_recording]
    others = len(scanned) - len(usable) - len(unusable)
    yield (
        f"{_many(len(usable), 'track')} of {_many(len({file.genre for file in usable}), 'genre')}; "
        f"{_many(len(unusable), 'recording')} not usable; {_many(others, 'other file')}"
    )
    yield from _of_reasons(unusable)
    yield from _of_genres(usable, unusable)
    for file in usable:
        if file.recording and file.recording.missing:
            yield f"warning: {file.file}: {file.recording.missing}"
    untagged = sum(not file.artist for file in usable)
    if usable and 0 < untagged < len(usable):
        yield f"{_many(untagged, 'track')} without an artist in tags or folders"
    yield from _of_sources(association)


def _many(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _of_reasons(unusable: Sequence[ScannedFile]) -> Iterator[str]:
    """Names the most frequent reason, and says what to do."""
    kinds = Counter(file.reason.partition(":")[0] for file in unusable)
    for reason, count in kinds.most_common(1):
        advice = ADVICE.get(reason, "see the column reason of the list")
        yield f"most often ({count} of {len(unusable)}): {reason}; {advice}"


def _of_genres(usable: Sequence[ScannedFile], unusable: Sequence[ScannedFile]) -> Iterator[str]:
    """Names genres of which at least half of the recordings cannot be used."""
    kept, lost = (Counter(file.genre for file in files if "/" in file.file) for files in (usable, unusable))
    for genre in sorted(lost):
        if lost[genre] >= kept[genre]:
            yield f"warning: genre {genre!r} lost {lost[genre]} of its {_many(lost[genre] + kept[genre], 'recording')}"


def _of_sources(association: Mapping[str, float]) -> Iterator[str]:
    """Names properties of the files by which a network may tell the genre, instead of by the music."""
    found = sorted(association.items(), key=lambda item: -item[1])
    notable = [f"{name} ({value:.2f})" for name, value in found if value >= NOTABLE_ASSOCIATION]
    if notable:
        yield (
            f"warning: the genre can be told from the files' {', '.join(notable)} (Cramer's V, 0 to 1): a network may "
            "learn how recordings were stored instead of how they sound"
        )
