"""What is known about GTZAN: its genres, where it can be fetched, and the tables in data/gtzan.

A track is named `<genre>/<stem>` here as everywhere: `blues/blues.00012`.
"""

import hashlib
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from genre import archive, files
from genre.fetch import Mirror

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
TABLES = Path(__file__).resolve().parents[1] / "data" / "gtzan"

# Two archives go by the name genres.tar.gz. One holds .wav files: Hugging Face's, of a fixed revision.
REVISION = "d2146561ecc7df707d9e6b8318885fe6a39668a2"
WAV_SHA256 = "b28cc067ff6199bd826f5d1a6931458586d64acae7f44b2e882b7a97af057531"
# The other one is the original, of .au files. Its host is gone; `id_` asks the Internet Archive for unchanged bytes.
AU_URL = "https://web.archive.org/web/20220328223413id_/http://opihi.cs.uvic.ca/sound/genres.tar.gz"
AU_SHA256 = "24347e0223d2ba798e0a558c4c172d9d4a19c00bb7963fe055d183dadb4ef2c6"
WAV_PATH = f"datasets/marsyas/gtzan/resolve/{REVISION}/data/genres.tar.gz"
MIRRORS = (
    Mirror(f"https://huggingface.co/{WAV_PATH}", WAV_SHA256, name="gtzan-wav.tar.gz"),
    Mirror(f"https://hf-mirror.com/{WAV_PATH}", WAV_SHA256, name="gtzan-wav.tar.gz"),
    Mirror(AU_URL, AU_SHA256, 1_225_571_541, name="gtzan-au.tar.gz"),
)

# A public sample: 10 tracks of each genre, 120 MB.
MINI_COMMIT = "a61439e86c13037011fde8e0f0743ec55c50bce3"
MINI_URL = f"https://codeload.github.com/TempoBeatDownbeat/gtzan_mini/tar.gz/{MINI_COMMIT}"
MINI_LIMITS = archive.Limits(max_bytes=500_000_000, max_members=1000, max_ratio=20)


def mirrors() -> tuple[Mirror, ...]:
    """Gives `MIRRORS`, or what the environment names instead (for who sits behind a proxy).

    GENRE_MIRRORS holds addresses, apart by spaces, of the .wav archive; or of another one, whose checksum is then in
    GENRE_MIRROR_SHA256.

    Raises:
        ValueError: An address or the checksum is none, or there is a checksum without addresses.
    """
    urls, sha256 = _addresses("GENRE_MIRRORS"), os.environ.get("GENRE_MIRROR_SHA256", "").strip().lower()
    if sha256 and not urls:
        raise ValueError("GENRE_MIRRORS must hold addresses if GENRE_MIRROR_SHA256 is set, got none; set or unset both")
    name = f"gtzan-{sha256[:12]}.tar.gz" if sha256 else "gtzan-wav.tar.gz"
    return tuple(Mirror(url, sha256 or WAV_SHA256, name=name) for url in urls) or MIRRORS


def mini_mirrors() -> tuple[Mirror, ...]:
    """Gives the mirror of the 100-track sample, or the addresses in GENRE_MINI_MIRRORS.

    GitHub packs a commit anew at times, so the archive has no checksum that lasts; its recordings do, see `check_mini`.
    """
    urls = _addresses("GENRE_MINI_MIRRORS") or [MINI_URL]
    return tuple(Mirror(url, None, name="gtzan-mini.tar.gz", check=check_mini) for url in urls)


def _addresses(variable: str) -> list[str]:
    return os.environ.get(variable, "").split()


def check_mini(path: Path, folder: Path = TABLES) -> None:
    """Checks that an archive holds the recordings of the sample's commit, bit for bit, and no other .wav files.

    Compared are the hashes that git gives to files, as recorded in `mini_blobs.csv`; they are listed by
    `git ls-tree -r` of that commit too.

    Raises:
        ValueError: It does not; the message names the first recording that is missing, changed or too many.
    """
    blobs = _table(folder, "mini_blobs.csv", ("track", "blob"))
    expected = dict(zip(blobs["track"], blobs["blob"], strict=True))
    actual = {}
    for name, reader in archive.members(path, MINI_LIMITS):
        if reader and name.endswith(".wav") and not Path(name).name.startswith("._"):
            data = b"".join(iter(partial(reader.read, archive.CHUNK), b""))
            track = "/".join(Path(name).with_suffix("").parts[-2:])
            actual[track] = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
    for track in sorted(expected | actual):
        if expected.get(track) != actual.get(track):
            fault = "is missing" if track not in actual else "is changed" if track in expected else "is none of them"
            raise ValueError(
                f"{path.name} must hold the {len(expected)} recordings of commit {MINI_COMMIT[:7]}, but {track} {fault}"
            )


def filtered_split(folder: Path = TABLES) -> pd.DataFrame:
    """Gives the fault-filtered split (Kereliuk, Sturm and Larsen 2015): columns `track` and `subset`.

    443 train, 197 valid, 290 test; `jazz/jazz.00054`, which cannot be decoded, is among the first.
    """
    return _table(folder, "filtered_split.csv", ("track", "subset"))


def artists(folder: Path = TABLES) -> pd.DataFrame:
    """Gives columns `track`, `artist`, `title` of all 1000 tracks (Sturm 2012); empty text where not known.

    Spelling is the source's: two artists are spelled in two ways, see data/gtzan/README.md.
    """
    return _table(folder, "artists.csv", ("track", "artist", "title"))


def repetitions(folder: Path = TABLES) -> list[tuple[str, ...]]:
    """Gives the groups of tracks that are the same excerpt, each sorted (second-hand, see data/gtzan/README.md)."""
    table = _table(folder, "repetitions.csv", ("track", "group"))
    return [tuple(sorted(tracks)) for _, tracks in table.groupby("group")["track"]]


def faults(folder: Path = TABLES) -> pd.DataFrame:
    """Gives columns `track`, `fault`, `source` of single faulty tracks; repetitions are not among them."""
    return _table(folder, "faults.csv", ("track", "fault", "source"))


def _table(folder: Path, name: str, columns: Sequence[str]) -> pd.DataFrame:
    return files.read_csv(folder / name, columns)[list(columns)]
