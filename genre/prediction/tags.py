"""The genre in the tags of a recording, read and written by mutagen; all other tags stay as they are."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import mutagen
from mutagen.aiff import AIFF
from mutagen.flac import FLAC
from mutagen.id3 import TCON
from mutagen.mp3 import MP3
from mutagen.mp4 import MP4
from mutagen.oggflac import OggFLAC
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE

from genre.audio.plain import DAMAGED_TAGS
from genre.pipeline import files

WITH_ID3 = (MP3, WAVE, AIFF)
WITH_KEY = {FLAC: "genre", OggVorbis: "genre", OggOpus: "genre", OggFLAC: "genre", MP4: "\xa9gen"}
UTF_8 = 3  # the encoding of a text in ID3v2.4; mutagen writes UTF-16 into ID3v2.3, which has no UTF-8
V23, V24 = 3, 4
NO_GENRE = b"\xff"  # in ID3v1
ID3V1_BYTES = 128  # at the end of an mp3: `TAG`, title, artist, album, year and comment, and the genre in the last byte


def read(path: Path) -> list[str]:
    """Returns the genres that the tags name, as they are written there: often none or one.

    Raises:
        ValueError: The format has no tags that can be written here, or they are damaged.
        OSError: The file cannot be read.
    """
    file = _open(path)
    if file.tags is None:
        return []
    if type(file) in WITH_ID3:
        frames = file.tags.getall("TCON")
        return [str(text) for frame in frames for text in frame.text]
    return list(file.tags.get(WITH_KEY[type(file)], []))


def names(genres: Sequence[str]) -> list[str]:
    """Returns genres by their names, where ID3 has a number for them (`(17)` is Rock), without empty ones."""
    return [name for name in _frame(genres).genres if name.strip()]


def has_genre(path: Path) -> bool:
    """Returns whether the tags of a file contain a genre; tags that cannot be written here, as of wma, count too."""
    try:
        if names(read(path)):
            return True
    except (ValueError, OSError):
        pass
    try:
        # FFmpeg takes some file names for addresses, such as `Live: one.wma`; so it gets an open file.
        with path.open("rb") as file, av.open(file, metadata_errors="ignore") as container:
            every = [container.metadata, *(stream.metadata for stream in container.streams)]
    except (ValueError, OSError, av.error.FFmpegError):
        return False
    return any(key.lower() == "genre" and value.strip() for metadata in every for key, value in metadata.items())


def write(path: Path, genres: Sequence[str]) -> None:
    """Writes genres into the tags of a file, in place; an empty list removes the entry.

    ID3 tags keep their version, 2.3 or 2.4; those of 2.2 become 2.3. Of an ID3v1 tag beside them only the genre
    changes.

    Raises:
        ValueError: As `read`, or the tags cannot be written.
        OSError: The disk is full, or the file cannot be written.
    """
    file = _open(path)
    if file.tags is None:
        file.add_tags()
    options: dict[str, Any] = {}
    if type(file) in WITH_ID3:
        version = V24 if file.tags.version >= (2, 4) else V23
        if file.tags.version < (2, 3) and file.tags.unknown_frames:  # they have names of three letters there
            raise ValueError(
                "its tags are ID3v2.2 and hold frames that cannot be kept; convert them to 2.3 or 2.4 first"
            )
        options = {"v2_version": version, "v23_sep": None}
        file.tags.setall("TCON", [_frame(genres)] if genres else [])
    elif genres:
        file.tags[WITH_KEY[type(file)]] = list(genres)
    elif WITH_KEY[type(file)] in file.tags:
        del file.tags[WITH_KEY[type(file)]]
    id3v1 = _id3v1(path) if type(file) is MP3 else b""
    with files.naming_full_disk(path):
        try:
            if type(file) in WITH_ID3 and not file.tags and not file.tags.unknown_frames:
                # Otherwise mutagen would write empty tags.
                if id3v1:
                    file.tags.delete(path, delete_v1=False)
                else:
                    file.delete()
            else:
                file.save(**options)
            if id3v1:
                _restore_id3v1(path, id3v1, no_genre=not genres)
        except DAMAGED_TAGS as error:
            raise ValueError(f"its tags cannot be written: {error}") from error


def _id3v1(path: Path) -> bytes:
    """Returns the ID3v1 tag at the end of a file, or nothing."""
    with path.open("rb") as file:
        file.seek(-min(ID3V1_BYTES, path.stat().st_size), os.SEEK_END)
        tag = file.read()
    return tag if tag.startswith(b"TAG") else b""


def _restore_id3v1(path: Path, before: bytes, *, no_genre: bool) -> None:
    """Restores all but the genre of an ID3v1 tag: mutagen makes it anew, with `?` for letters beyond Latin-1."""
    with path.open("r+b") as file:
        file.seek(-ID3V1_BYTES, os.SEEK_END)
        file.write(before[:-1])
        if no_genre:
            file.write(NO_GENRE)


def _frame(genres: Sequence[str]) -> TCON:
    """Makes the frame of ID3 that holds genres."""
    return TCON(encoding=UTF_8, text=list(genres))  # type: ignore[no-untyped-call]


def _by_content(path: Path) -> Any:
    """Opens a file as what its first bytes tell, or returns None if they tell nothing; mutagen trusts a suffix more."""
    with path.open("rb") as file:
        kind = type(mutagen.File(fileobj=file, filename="without a suffix"))
    return None if kind is type(None) else kind(path)


def _open(path: Path) -> Any:
    """Opens a file of one of the formats above, also where its suffix is that of another one."""
    try:
        try:
            found = mutagen.File(path)
        except DAMAGED_TAGS:
            found = _by_content(path)
            if found is None:
                raise
        if type(found) in WITH_ID3:
            # Without translation, which would change tags of ID3v2.3, such as the year, into those of 2.4.
            return type(found)(path, translate=False)
    except DAMAGED_TAGS as error:
        if isinstance(error.__context__, OSError):
            raise error.__context__ from error
        raise ValueError(f"its tags cannot be read: {error}") from error
    if type(found) not in WITH_KEY:
        raise ValueError("its format has no tags that can be written; mp3, m4a, flac, ogg, opus, wav and aiff have")
    return found
