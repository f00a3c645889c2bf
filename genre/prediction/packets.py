"""A digest of the encoded sound in a file: it stays the same where tags alone are changed."""

import hashlib
from contextlib import suppress
from pathlib import Path

import av
from av.error import FFmpegError


def digest(path: Path) -> str:
    """Returns the MD5 of all packets of sound, without decoding them; in a damaged file, of those before the damage.

    Raises:
        ValueError: The file has no packets of sound.
        OSError: It cannot be read.
    """
    md5, size = hashlib.md5(usedforsecurity=False), 0
    with (
        path.open("rb") as file,
        suppress(FFmpegError),
        av.open(file, "r") as container,
    ):  # opened here, because FFmpeg takes some file names for addresses
        for packet in container.demux(container.streams.audio):
            md5.update(bytes(packet))
            size += packet.size
    if size == 0:
        raise ValueError("its sound cannot be read")
    return md5.hexdigest()
