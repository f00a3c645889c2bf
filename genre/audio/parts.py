"""Finds the parts of a file that holds several recordings one after the other, or begins with something else."""

from itertools import pairwise

from genre.audio.plain import stated_size
from genre.audio.windows import Window

SEARCHED = 1 << 20  # bytes from the start within which the beginning of a recording is searched
OGG, OGG_HEAD = b"OggS", 27  # of each page: the mark, and the bytes before its table of segments
OGG_FIRST = 2  # flag of the page a stream begins with
ASF_PROPERTIES = bytes.fromhex("A1DCAB8C47A9CF118EE400C00C205365")
XING_OFFSETS = (13, 15, 21, 23, 36, 38)  # of the mark from the start of its frame: by version, channels and checksum
MAGIC = (OGG, b"fLaC", b"RIFF", b"FORM", b"ftyp", b"\x1aE\xdf\xa3", b"ADIF")


def ogg_links(file: Window) -> list[Window]:
    """Cuts a chained Ogg file (as radio stations are recorded) into its links, each a whole Ogg file of its own.

    A link begins with the first pages of all its streams, which stand together. What stands before the first link is
    left out; pages are found again behind damage. A file that is not chained gives one window, one without pages none.

    Source: RFC 3533, section 6.
    """
    starts: list[int] = []
    place, inside = _find(file, OGG, 0), False
    while place >= 0:
        head = file.at(place, OGG_HEAD + 255)
        if not head.startswith(OGG) or len(head) < OGG_HEAD:
            place = _find(file, OGG, place + 1)
            continue
        begins = bool(head[5] & OGG_FIRST)
        if begins and (inside or not starts):
            starts.append(place)
        inside = not begins
        place += OGG_HEAD + head[26] + sum(head[OGG_HEAD : OGG_HEAD + head[26]])
        if place >= file.size:
            break
    return [file.part(start, end) for start, end in pairwise([*starts, file.size])]


def behind_tag(file: Window) -> list[Window]:
    """Returns what follows an ID3v2 tag: FFmpeg skips such a tag only in the formats where it is usual.

    Source: id3.org, "ID3 tag version 2.4.0", section 3.1: the size has four times seven bits.
    """
    head = file.at(0, 10)
    if len(head) < 10 or not head.startswith(b"ID3"):
        return []
    size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    return [file.part(10 + size)]


def behind_junk(file: Window) -> list[Window]:
    """Looks for the beginning of a recording within the first megabyte, where the file does not begin with one."""
    head = file.at(0, SEARCHED)
    found = []
    for magic in MAGIC:
        place = head.find(magic, 1)
        whole = magic not in (b"RIFF", b"FORM") or _is_whole(file, place)
        if place > 0 and whole:
            found.append(place - 4 if magic == b"ftyp" else place)
    return [file.part(place) for place in sorted(found) if place > 0]


def _is_whole(file: Window, place: int) -> bool:
    """Returns whether a WAV or AIFF ends where the file does; packers put its header in front of packed data."""
    stated = stated_size(file.at(place, 12))
    return abs(place + stated - file.size) <= 0.02 * file.size


def xing_frames(file: Window, first: int) -> int:
    """Returns the number of frames that an mp3 states in its Xing or Info header, or 0.

    Args:
        file: The mp3.
        first: Where its first frame begins; the header stands in it, or in the frame before, which is not played.

    Source: Xing, "VBR header", as LAME writes it: the mark, 4 bytes of flags, then the number if flag 1 is set.
    """
    near = file.at(first - 2881, 2881 + 200)  # no frame is longer
    place = max(near.rfind(b"Xing"), near.rfind(b"Info"))
    starts = (place - behind for behind in XING_OFFSETS if place >= behind)
    in_frame = any(near[start] == 0xFF and near[start + 1] & 0xE0 == 0xE0 for start in starts)
    if not in_frame or len(near) < place + 12 or not near[place + 7] & 1:
        return 0
    return int.from_bytes(near[place + 8 : place + 12], "big")


def asf_seconds(file: Window) -> float:
    """Returns the length that a wma or other ASF file states, or 0; FFmpeg ignores it where the file's end is missing.

    Source: Microsoft, "Advanced Systems Format (ASF) Specification", section 3.2, "File Properties Object".
    """
    head = file.at(0, SEARCHED)
    place = head.find(ASF_PROPERTIES)
    if place < 0 or len(head) < place + 88:
        return 0.0
    duration, preroll = (int.from_bytes(head[place + at : place + at + 8], "little") for at in (64, 80))
    return float(max(0.0, duration / 1e7 - preroll / 1e3))


def _find(file: Window, mark: bytes, place: int) -> int:
    """Returns the place of the next `mark` at or behind `place`, or -1."""
    while place < file.size:
        data = file.at(place, SEARCHED)
        found = data.find(mark)
        if found >= 0:
            return place + found
        place += max(1, len(data) - len(mark) + 1)
        if len(data) < len(mark):
            break
    return -1
