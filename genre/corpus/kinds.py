"""Decides which files are recordings: by suffix, or by content if the suffix does not decide it."""

from pathlib import Path

# The formats that FFmpeg or libsndfile reads; also films, because their sound may be music.
SUFFIXES = frozenset(
    f".{name}"
    for name in (
        "3g2", "3gp", "aa3", "aac", "ac3", "adts", "aif", "aifc", "aiff", "alac", "amr", "ape", "asf", "au", "avi",
        "caf", "dff", "dsf", "dts", "eac3", "f4a", "f4v", "flac", "flv", "m2a", "m4a", "m4b", "m4p", "m4r", "m4v",
        "mka", "mkv", "mov", "mp+", "mp1", "mp2", "mp3", "mp4", "mpa", "mpc", "mpga", "mpp", "oga", "ogg", "ogv",
        "ogx", "oma", "opus", "ra", "rf64", "rifx", "rm", "shn", "snd", "spx", "tak", "tta", "voc", "vqf", "w64",
        "wav", "wave", "weba", "webm", "wma", "wmv", "wv",
    )
)  # fmt: skip
# Pictures, texts, playlists and the like, which often lie beside music. They are never recordings, whatever they hold.
OTHERS = frozenset(
    f".{name}"
    for name in (
        "accurip", "bmp", "cue", "db", "doc", "docx", "gif", "heic", "htm", "html", "ini", "jpeg", "jpg", "json", "lnk",
        "log", "lrc", "m3u", "m3u8", "md", "md5", "mid", "midi", "nfo", "pdf", "pls", "png", "rtf", "sfv", "tif",
        "tiff", "torrent", "txt", "url", "webp", "xml", "xspf", "zip",
    )
)  # fmt: skip
# Folders that operating systems and servers make; hidden folders begin with a dot.
SYSTEM_FOLDERS = frozenset(("$RECYCLE.BIN", "System Volume Information", "lost+found", "@eaDir", "__MACOSX"))
# The first bytes of the usual formats: where they stand, and what they are.
MARKS = (
    (0, b"ID3"), (0, b"fLaC"), (0, b"OggS"), (8, b"WAVE"), (8, b"AIFF"), (8, b"AIFC"), (0, b".snd"), (4, b"ftyp"),
    (0, b"MAC "), (0, b"wvpk"), (0, b"MPCK"), (0, b"MP+"), (0, b"TTA1"), (0, b"TTA2"), (0, b"tBaK"), (0, b"caff"),
    (0, b"#!AMR"), (0, b"DSD "), (0, b"FRM8"), (0, b"ajkg"), (0, b"ADIF"), (0, b"riff\x2e\x91\xcf\x11"),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"), (0, b"\x1aE\xdf\xa3"),
)  # fmt: skip
BIT_RATES = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)  # kbit/s, MPEG 1 layer III
LOW_BIT_RATES = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)  # MPEG 2 and 2.5
RATES = (44100, 48000, 32000)  # Hz, MPEG 1; half of it in MPEG 2, a quarter in MPEG 2.5


def is_recording(path: Path) -> bool:
    """Returns whether a file is to be read as a recording: by its suffix, or by its content if the suffix is not known.

    Raises:
        OSError: The suffix is not known, and the file cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return True
    if suffix in OTHERS or not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(4096)
    return any(head.startswith(mark, place) for place, mark in MARKS) or _two_frames(head)


def _two_frames(head: bytes) -> bool:
    """Returns whether two frames of mp3 (or of AAC) follow one another at the start."""
    length = _frame_length(head)
    return length > 0 and _frame_length(head[length:]) > 0


def _frame_length(data: bytes) -> int:
    """Returns the length in bytes of the frame that `data` begins with, or 0. Source: ISO 11172-3, ISO 13818-7."""
    if len(data) < 7 or data[0] != 0xFF or data[1] & 0xE0 != 0xE0:
        return 0
    version, layer = data[1] >> 3 & 3, data[1] >> 1 & 3
    if data[1] & 0xF6 == 0xF0:  # ADTS
        return (data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5
    code, rate = data[2] >> 4, data[2] >> 2 & 3
    if version == 1 or layer != 1 or code in (0, 15) or rate == 3:  # layer III only
        return 0
    bit_rate = (BIT_RATES if version == 3 else LOW_BIT_RATES)[code] * 1000
    sample_rate = RATES[rate] // {3: 1, 2: 2, 0: 4}[version]
    return (144 if version == 3 else 72) * bit_rate // sample_rate + (data[2] >> 1 & 1)
