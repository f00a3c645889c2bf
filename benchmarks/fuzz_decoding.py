"""Feeds damaged recordings to the decoders as stage `download` does, and reports what is neither a result nor a reason.

    python -m benchmarks.fuzz_decoding [--inputs 100000] [--first 0]

Inputs are made from small files of 30 kinds by seeded changes, number by number: the same number is the same input
again. They are read in processes that may die (`genre.audio.processes`); a crash or a hang is a finding, though it
costs a user no more than that file.
"""

import argparse
import math
import random
import sys
import tempfile
import time
from collections import Counter
from functools import cache
from pathlib import Path

from genre.audio import parallel, reading
from genre.audio.processes import Failure
from tests.genre.audio.sounds import encoded, noise

PATIENCE = 120.0  # seconds for one input
BATCH = 2000
KINDS = [
    ("pcm_s16le", "wav", 8000), ("pcm_s24le", "wav", 8000), ("pcm_f32le", "wav", 8000), ("adpcm_ms", "wav", 8000),
    ("pcm_s16be", "aiff", 8000), ("pcm_s16be", "au", 8000), ("pcm_s16le", "w64", 8000), ("pcm_s16be", "caf", 8000),
    ("flac", "flac", 8000), ("flac", "ogg", 8000), ("flac", "matroska", 8000), ("flac", "mp4", 8000),
    ("alac", "ipod", 8000), ("alac", "caf", 8000), ("wavpack", "wv", 8000), ("tta", "tta", 8000),
    ("libmp3lame", "mp3", 8000), ("libmp3lame", "mp3", 44100), ("libmp3lame", "mp4", 16000), ("mp2", "mp2", 16000),
    ("aac", "adts", 8000), ("aac", "ipod", 8000), ("aac", "matroska", 8000), ("aac", "mpegts", 8000),
    ("aac", "flv", 44100), ("ac3", "ac3", 32000), ("eac3", "eac3", 32000), ("vorbis", "ogg", 8000),
    ("libopus", "ogg", 8000), ("libopus", "webm", 8000), ("wmav1", "asf", 8000), ("wmav2", "asf", 44100),
]  # fmt: skip
TOKENS = [
    b"\0", b"\xff" * 4, b"\x7f\xff\xff\xff", b"\x80\0\0\0", b"data", b"OggS", b"fLaC", b"ID3\3", b"\xff\xfb\x90\x64",
    b"moov", b"mdat", b"LIST", bytes(300),
]  # fmt: skip


def main() -> int:
    """Fuzzes; the status is 0 if nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    arguments = parser.parse_args()
    end, start = arguments.first + arguments.inputs, time.monotonic()
    told: Counter[str] = Counter()
    for first in range(arguments.first, end, BATCH):
        numbers = range(first, min(end, first + BATCH))
        for number, found in zip(numbers, parallel.map_files(read, numbers, patience=PATIENCE), strict=True):
            if isinstance(found, Failure) or found not in ("read", "refused", "told"):
                print(f"input {number}: {found}", flush=True)
                told["findings"] += 1
            else:
                told[found] += 1
        print(f"{sum(told.values())} inputs: {dict(told)}, {time.monotonic() - start:.0f} s", flush=True)
    return min(1, told["findings"])


def read(number: int) -> str:
    """Makes the input of this number and reads it; gives what came of it, or what is wrong."""
    with tempfile.NamedTemporaryFile(suffix=random.Random(number).choice([".mp3", ".wav", ".m4a", ""])) as file:
        file.write(mutated(random.Random(f"decoding {number}")))
        file.flush()
        try:
            recording = reading.inspect(Path(file.name))
        except (ValueError, OSError) as error:
            return (
                "refused" if str(error).strip() and "\n" not in str(error) else f"{type(error).__name__} without a text"
            )
        except BaseException as error:  # this is what it looks for
            return f"{type(error).__name__}: {str(error)[:200]}"
    whole = 0 < recording.seconds < math.inf and 0 <= recording.peak < math.inf and recording.lost_seconds >= 0
    return ("told" if recording.missing else "read") if whole else f"an odd result: {recording}"


@cache
def seeds() -> list[bytes]:
    """Encodes a quarter of a second in each kind."""
    sounds = []
    for codec, form, rate in KINDS:
        options = {"strict": "experimental"} if codec == "vorbis" else {}
        bit_rate = 64_000 if codec.startswith("wma") else 0
        sounds.append(encoded(codec, form, noise(0.25, rate), rate, codec_options=options, bit_rate=bit_rate))
    return sounds


def mutated(chance: random.Random) -> bytes:
    """Makes one input: a seed with one to eight changes, most of them near the start, where headers are."""
    data = bytearray(chance.choice(seeds()))
    for _ in range(chance.randint(1, 8)):
        place = chance.randrange(len(data) + 1)
        if chance.random() < 0.6:
            place = min(len(data), int(chance.expovariate(1 / 100)))
        kind = chance.randrange(6)
        if kind == 0 and place < len(data):
            data[place] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[place : place + 4] = chance.randbytes(4)
        elif kind == 2:
            del data[place : place + chance.choice([1, 2, 8, 100, 1000])]
        elif kind == 3:
            data[place:place] = chance.choice(TOKENS)
        elif kind == 4:
            data[place:place] = data[place : place + chance.choice([1, 8, 64, 512])]
        elif chance.random() < 0.5:
            data[place:] = chance.choice(seeds())[place:]
        else:
            data += chance.choice(seeds())
    return bytes(data)


if __name__ == "__main__":
    sys.exit(main())
