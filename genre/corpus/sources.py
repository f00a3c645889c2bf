"""Returns a folder with the recordings of the chosen source: composed, fetched and unpacked, or the user's own."""

import os
from pathlib import Path

from genre.corpus import archives, gtzan, mirrors
from genre.corpus.params import Data


def obtain(data: Data, gtzan_folder: Path, incoming: Path) -> Path:
    """Returns a folder with the recordings of `data.source`.

    Args:
        data: The section `data`.
        gtzan_folder: The folder data/gtzan, with the checksums of the public sample.
        incoming: Where recordings are composed or unpacked; it does not exist yet.

    Returns:
        `incoming`, or the user's own folder, which is left as it is.

    Raises:
        ValueError: There is nothing at `data.path`, the archive is damaged, or no mirror can be reached.
    """
    if data.source == "synthetic":
        from genre.corpus import composing  # it imports scipy.signal, which takes a second

        composing.compose_corpus(incoming, tracks_per_genre=data.tracks_per_genre, seed=data.seed)
        return incoming
    if data.source == "local":
        place = _local(data.path)
        if place.is_dir():
            return place
    else:
        choices = gtzan.gtzan_archives() if data.source == "gtzan" else gtzan.mini_archives(gtzan_folder)
        place = mirrors.fetch(choices, mirrors.cache_folder())
    archives.unpack(
        place,
        incoming,
        max_bytes=int(data.max_unpacked_gigabytes * 1e9),
        max_members=data.max_unpacked_files,
        max_ratio=data.max_unpacked_ratio,
    )
    return incoming


def _local(path: str) -> Path:
    place = Path(path)
    repository = os.environ.get("DVC_ROOT")
    if repository and not place.is_absolute() and not Path.cwd().samefile(repository):
        raise ValueError(
            f"data.path must be absolute in a temporary or queued experiment, got {path!r}; "
            f"set it to {Path(repository) / place}"
        )
    if not place.exists():
        raise ValueError(f"data.path must be a folder or an archive (tar.gz or zip), there is none at {place}")
    return place
