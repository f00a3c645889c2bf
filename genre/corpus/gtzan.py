"""The addresses of GTZAN and of a public sample of it, and checks of the archives that were fetched."""

import hashlib
import os
import shutil
from functools import partial
from pathlib import Path

from genre.corpus import archives
from genre.corpus.mirrors import Mirror
from genre.pipeline import tables

# Two different archives are named genres.tar.gz. One holds .wav files: Hugging Face's, of a fixed revision.
REVISION = "d2146561ecc7df707d9e6b8318885fe6a39668a2"
WAV_SHA256 = "b28cc067ff6199bd826f5d1a6931458586d64acae7f44b2e882b7a97af057531"
# The other one is the original, with .au files. Its host is gone; `id_` asks the Internet Archive for unchanged bytes.
AU_URL = "https://web.archive.org/web/20220328223413id_/http://opihi.cs.uvic.ca/sound/genres.tar.gz"
AU_SHA256 = "24347e0223d2ba798e0a558c4c172d9d4a19c00bb7963fe055d183dadb4ef2c6"
WAV_PATH = f"datasets/marsyas/gtzan/resolve/{REVISION}/data/genres.tar.gz"
MIRRORS = (
    Mirror(f"https://huggingface.co/{WAV_PATH}", WAV_SHA256, name="gtzan-wav.tar.gz"),
    Mirror(f"https://hf-mirror.com/{WAV_PATH}", WAV_SHA256, name="gtzan-wav.tar.gz"),
    Mirror(AU_URL, AU_SHA256, name="gtzan-au.tar.gz"),
)

# A public sample: 10 tracks of each genre, 120 MB.
MINI_COMMIT = "a61439e86c13037011fde8e0f0743ec55c50bce3"
MINI_URL = f"https://codeload.github.com/TempoBeatDownbeat/gtzan_mini/tar.gz/{MINI_COMMIT}"


def gtzan_archives() -> tuple[Mirror, ...]:
    """Returns `MIRRORS`, or the mirrors that the environment names instead.

    GENRE_MIRRORS holds addresses of the .wav archive, separated by spaces; or of another archive, whose checksum is
    then in GENRE_MIRROR_SHA256.

    Raises:
        ValueError: An address or the checksum is malformed, or there is a checksum without addresses.
    """
    urls, sha256 = _addresses("GENRE_MIRRORS"), os.environ.get("GENRE_MIRROR_SHA256", "").strip().lower()
    if sha256 and not urls:
        raise ValueError("GENRE_MIRRORS must hold addresses if GENRE_MIRROR_SHA256 is set, got none; set or unset both")
    name = f"gtzan-{sha256[:12]}.tar.gz" if sha256 else "gtzan-wav.tar.gz"
    return tuple(Mirror(url, sha256 or WAV_SHA256, name=name) for url in urls) or MIRRORS


def mini_archives(folder: Path) -> tuple[Mirror, ...]:
    """Returns the mirror of the 100-track sample, or the addresses in GENRE_MINI_MIRRORS.

    GitHub sometimes packs a commit again to other bytes, so the archive has no fixed checksum. `check_mini` checks the
    recordings in it instead.
    """
    urls = _addresses("GENRE_MINI_MIRRORS") or [MINI_URL]
    return tuple(Mirror(url, None, name="gtzan-mini.tar.gz", check=partial(check_mini, folder=folder)) for url in urls)


def _addresses(variable: str) -> list[str]:
    return os.environ.get(variable, "").split()


def check_mini(path: Path, folder: Path) -> None:
    """Checks that an archive holds the recordings of the sample's commit, bit for bit, and no other .wav files.

    It compares the hashes that git gives to files (`git ls-tree -r` of that commit lists them, too).

    Args:
        path: The archive; it is unpacked to a temporary folder beside it.
        folder: The folder data/gtzan, with the hashes in `mini_blobs.csv`.

    Raises:
        ValueError: The archive is damaged, or a recording is missing, changed or unknown; the message names the first.
    """
    blobs = tables.read_csv(folder / "mini_blobs.csv", ("track", "blob"))
    expected = dict(zip(blobs["track"], blobs["blob"], strict=True))
    contents = path.with_name(f"{path.name}.contents")
    try:
        archives.unpack(path, contents, max_bytes=500_000_000, max_members=1000, max_ratio=100)
        actual = {"/".join(file.with_suffix("").parts[-2:]): _git_blob(file) for file in contents.rglob("[!.]*.wav")}
    finally:
        shutil.rmtree(contents, ignore_errors=True)
    for track in sorted(expected | actual):
        if expected.get(track) != actual.get(track):
            problem = "is missing" if track not in actual else "is changed" if track in expected else "is unknown"
            raise ValueError(
                f"{path.name} must hold the {len(expected)} recordings of commit {MINI_COMMIT[:7]}, "
                f"but {track} {problem}"
            )


def _git_blob(file: Path) -> str:
    data = file.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
