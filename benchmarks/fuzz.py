"""Feeds damaged files to what reads files from outside, and reports whatever is neither a result nor a told mistake.

    python benchmarks/fuzz.py audio|archive|params|predict|all [--inputs 100000] [--first 0]

Inputs are made from small valid files by seeded mutations, number by number: the same number is the same input again.
Each target runs in a process of its own, so that a crash of native code is seen; a new process goes on behind the input
that crashed or hung. Allowed are a result without NaN, and a `ValueError` or `OSError` with a text.
"""

import argparse
import io
import multiprocessing
import random
import shutil
import sys
import tarfile
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import soundfile
import torch

from genre.audio import decoding, mel
from genre.console.check import check
from genre.corpus import archives, inspection
from genre.network import model_file, unet
from genre.pipeline import settings
from genre.prediction import predictor

PATIENCE = 20.0  # seconds for one input
RATE = 8000
ROOT = Path(__file__).resolve().parents[1]
TOKENS = [
    b"\0",
    b"\xff" * 4,
    b"\x7f\xff\xff\xff",
    b"PK\1\2",
    b"data",
    b"*",
    b"&a ",
    b"!!",
    b"1e400",
    b"- ",
    b": ",
    b"{",
    b"../",
]

Target = Callable[[bytes, Path], None]


def main() -> int:
    """Fuzzes the chosen targets; the status is 0 if nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("target", choices=[*TARGETS, "all"])
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    arguments = parser.parse_args()
    chosen = list(TARGETS) if arguments.target == "all" else [arguments.target]
    return min(1, sum(fuzz(name, arguments.first, arguments.inputs) for name in chosen))


def fuzz(name: str, first: int, inputs: int) -> int:
    """Runs one target over its inputs, prints what was found, and gives the number of findings."""
    start, found, number = time.monotonic(), 0, first
    while number < first + inputs:
        receiver, sender = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.Process(target=work, args=(name, number, first + inputs, sender))
        process.start()
        sender.close()
        number, told = follow(receiver, process, number)
        for text in told:
            print(f"{name} {text}", flush=True)
        found += len(told)
    seconds = time.monotonic() - start
    print(f"{name}: {inputs} inputs, {found} findings, {inputs / seconds:.0f} inputs/s", flush=True)
    return found


def follow(receiver: Connection, process: multiprocessing.Process, number: int) -> tuple[int, list[str]]:
    """Listens to a worker until it ends or hangs; gives the next input's number and the findings."""
    told: list[str] = []
    try:
        while True:
            if not receiver.poll(PATIENCE):
                process.kill()
                return number + 1, [*told, f"input {number}: no end within {PATIENCE:g} s"]
            number, text = receiver.recv()
            told += [text] if text else []
    except EOFError:
        process.join()
        if process.exitcode:
            told.append(f"input {number}: the process ended with {process.exitcode}")
            number += 1
        return number, told


def work(name: str, first: int, end: int, sender: Connection) -> None:
    """Runs inputs in this process; tells the number of each before it, and findings."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    target = TARGETS[name]
    with tempfile.TemporaryDirectory() as temporary:
        seeds = SEEDS[name](Path(temporary))
        for number in range(first, end):
            sender.send((number, ""))
            data = mutated(seeds, random.Random(f"{name} {number}"))
            try:
                target(data, Path(temporary))
            except (ValueError, OSError) as error:
                if not str(error):
                    sender.send((number, f"input {number}: {type(error).__name__} without a text"))
            except BaseException as error:  # this is what it looks for
                sender.send((number, f"input {number}: {type(error).__name__}: {str(error)[:200]}"))
    sender.send((end, ""))


def mutated(seeds: list[bytes], chance: random.Random) -> bytes:
    """Makes one input: a seed with one to eight changes, most of them near the start, where headers are."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.randint(1, 8)):
        place = min(
            len(data), int(chance.expovariate(1 / 60)) if chance.random() < 0.6 else chance.randrange(len(data) + 1)
        )
        kind = chance.randrange(6)
        if kind == 0 and place < len(data):
            data[place] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[place : place + 4] = chance.randbytes(4)
        elif kind == 2:
            del data[place : place + chance.choice([1, 2, 8, 100, len(data)])]
        elif kind == 3:
            data[place:place] = chance.choice(TOKENS)
        elif kind == 4:
            data[place:place] = data[place : place + chance.choice([1, 8, 64, 512])]
        else:
            other = chance.choice(seeds)
            data[place:] = other[min(place, len(other)) :]
    return bytes(data)


def audio_seeds(_: Path) -> list[bytes]:
    """Encodes half a second in each format and subtype."""
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, (RATE // 2, 2)).astype(np.float32)
    formats = [
        ("WAV", "PCM_U8"), ("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("WAV", "IMA_ADPCM"),
        ("AU", "PCM_16"),
        ("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"), ("AIFF", "PCM_16"),
        ("CAF", "ALAC_16"), ("W64", "PCM_16"), ("RF64", "PCM_16"),
    ]  # fmt: skip
    seeds = []
    for kind, subtype in formats:
        encoded = io.BytesIO()
        soundfile.write(encoded, sound, RATE, format=kind, subtype=subtype)
        seeds.append(encoded.getvalue())
    return seeds


def hear_samples(data: bytes, folder: Path) -> None:
    """As `download` and `spectrogram` do."""
    path = folder / "g" / "a.wav"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    inspected = inspection.inspect(folder, 0.1, "g/a.wav")
    if not inspected.reason:
        waveform = decoding.decode(path, RATE)
        values = mel.log_mel(waveform, sample_rate=RATE, n_fft=512, hop_length=256, n_mels=32, f_max=RATE / 2)
        assert ((values >= 0) & (values <= 1)).all(), "a value outside of 0..1"
    else:
        assert inspected.reason.strip(), "no reason"


def archive_seeds(_: Path) -> list[bytes]:
    """Packs three small files in each format."""
    seeds = []
    for mode in ("w", "w:gz", "w:bz2", "w:xz"):
        for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
            packed = io.BytesIO()
            with tarfile.open(fileobj=packed, mode=mode, format=form) as file:
                for name, size in (("g/ä.wav", 600), ("g/" + "b" * 120, 0), ("g/c", 30)):
                    member = tarfile.TarInfo(name)
                    member.size = size
                    file.addfile(member, io.BytesIO(bytes(size)))
            seeds.append(packed.getvalue())
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", method) as file:
            for name in ("g/ä.wav", "g/b", "g/c/"):
                file.writestr(name, "" if name.endswith("/") else "x" * 300)
        seeds.append(packed.getvalue())
    return seeds


def unpack(data: bytes, folder: Path) -> None:
    """Unpacks; nothing may appear beside the folder."""
    path = folder / "a"
    path.write_bytes(data)
    try:
        archives.unpack(path, folder / "out", max_bytes=10**7, max_members=1000, max_ratio=1000)
    finally:
        shutil.rmtree(folder / "out", ignore_errors=True)
        found = {entry.name for entry in folder.iterdir()}
        assert found == {"a"}, f"left behind: {found}"


def load_params(data: bytes, folder: Path) -> None:
    """As each stage does, before it works."""
    path = folder / "params.yaml"
    path.write_bytes(data)
    check(settings.Settings.read(path))


def predict_seeds(folder: Path) -> list[bytes]:
    """Makes a tiny model beside the recordings."""
    torch.manual_seed(0)
    params = {"n_mels": 32, "clip_frames": 32, "network": "unet", "base_channels": 1}
    model_file.save(
        folder / "model.pt", unet.GenreNet(genres=3, **params), network_params=params, genres=["a", "b", "c"],  # type: ignore[arg-type]
        clip_params={"clips_per_track": 2, "clip_frames": 32, "clip_spacing": "even"},
        spectrogram={"sample_rate": RATE, "n_fft": 256, "hop_length": 64, "n_mels": 32, "f_max": RATE / 2},
        calibration={"temperature": 1.0, "unsure_below": 0.0}, credits={},
    )  # fmt: skip
    PREDICTORS.append(predictor.Predictor(folder / "model.pt"))
    return audio_seeds(folder)


def predict(data: bytes, folder: Path) -> None:
    """As `genre predict` does."""
    path = folder / "a.wav"
    path.write_bytes(data)
    predicted = PREDICTORS[-1].predict(path)
    assert np.isfinite(predicted.clips).all(), "a probability that is no number"


PREDICTORS: list[predictor.Predictor] = []
TARGETS: dict[str, Target] = {"audio": hear_samples, "archive": unpack, "params": load_params, "predict": predict}
SEEDS: dict[str, Callable[[Path], list[bytes]]] = {
    "audio": audio_seeds,
    "archive": archive_seeds,
    "params": lambda _: [(ROOT / "params.yaml").read_bytes()],
    "predict": predict_seeds,
}


if __name__ == "__main__":
    sys.exit(main())
