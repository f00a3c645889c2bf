"""How fast features are computed on one core: `python -m benchmarks.features FOLDER`.

FOLDER holds recordings (wav, au, flac, ogg, mp3), at any depth. Ours is compared with librosa and with torchaudio's
`MelSpectrogram`, at two resolutions, on the same recordings in turn. Times are of the processor, not of the clock, and
the least of several rounds, so that other programs disturb them little. librosa is optional: `pip install librosa`.
"""

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchaudio.transforms import MelSpectrogram

from genre.audio.decoding import decode
from genre.audio.fingerprints import fingerprint
from genre.audio.mel import log_mel
from genre.audio.reading import Waveform

try:
    import librosa
except ImportError:
    librosa = None

SAMPLE_RATE = 22050
SETTINGS = ({"n_fft": 2048, "hop_length": 1024, "n_mels": 128}, {"n_fft": 2048, "hop_length": 512, "n_mels": 256})


def main() -> None:
    """Prints all figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tracks", type=int, default=10, help="(default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=20, help="(default: %(default)s)")
    arguments = parser.parse_args()
    use_one_core()
    paths = readable(arguments.folder, arguments.tracks)
    waveforms = [decode(path, SAMPLE_RATE) for path in paths]
    seconds = sum(map(len, waveforms)) / SAMPLE_RATE
    print(f"{len(paths)} recordings, {seconds:.0f} s; milliseconds of one core for each 30 s of sound")
    if librosa is None:
        print("librosa is not installed, so it is left out; `pip install librosa` adds it")
    for settings in SETTINGS:
        print_setting(settings, paths, waveforms, arguments.rounds)


def use_one_core() -> None:
    """Keeps this process on one core, where the system can do that, and torch on one thread."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)


def readable(folder: Path, most: int) -> list[Path]:
    """Lists recordings that can be decoded, spread over the folder."""
    paths = [path for path in sorted(folder.rglob("*.*")) if path.is_file() and not path.name.startswith(".")]
    found = []
    for path in paths[:: max(1, len(paths) // most)]:
        try:
            decode(path, SAMPLE_RATE)
        except ValueError as error:
            print(f"left out {path.name}: {error}")
        else:
            found.append(path)
    return found[:most]


def print_setting(settings: dict[str, int], paths: list[Path], waveforms: list[Waveform], rounds: int) -> None:
    """Prints times and ratios at one resolution."""
    mel_specgrams = alternatives(settings)
    jobs: dict[str, Callable[[int], Any]] = {
        f"log-mel, {name}": lambda number, compute=compute: compute(waveforms[number])  # type: ignore[misc]
        for name, compute in mel_specgrams.items()
    } | {
        f"decode + log-mel, {name}": lambda number, compute=compute: compute(decode(paths[number], SAMPLE_RATE))  # type: ignore[misc]
        for name, compute in mel_specgrams.items()
    }
    if librosa is not None:
        # librosa's own way from a file, where rates are equal: soundfile and the mean of the channels.
        jobs["decode + log-mel, librosa"] = lambda number: mel_specgrams["librosa"](
            librosa.load(paths[number], sr=SAMPLE_RATE)[0]
        )
    jobs["fingerprint"] = lambda number: fingerprint(waveforms[number], SAMPLE_RATE)
    jobs["decode + log-mel + fingerprint"] = lambda number: everything(paths[number], settings)
    times = least_times(jobs, len(paths), rounds)
    scale = 1000 * 30 * SAMPLE_RATE / sum(map(len, waveforms))
    print(", ".join(f"{name} {value}" for name, value in settings.items()))
    for name, seconds in times.items():
        ours = times.get(f"{name.rpartition(', ')[0]}, ours", seconds)
        print(f"  {name:32s} {scale * seconds:6.1f} ms" + (f"  {seconds / ours:.2f} x ours" if seconds != ours else ""))


def everything(path: Path, settings: dict[str, int]) -> None:
    """Does what stage spectrogram does for a recording."""
    waveform = decode(path, SAMPLE_RATE)
    log_mel(waveform, sample_rate=SAMPLE_RATE, f_max=SAMPLE_RATE / 2, **settings)
    fingerprint(waveform, SAMPLE_RATE)


def alternatives(settings: dict[str, int]) -> dict[str, Callable[[Waveform], Any]]:
    """Makes the functions that compute a log-mel spectrogram."""
    transform = MelSpectrogram(SAMPLE_RATE, norm="slaney", mel_scale="slaney", pad_mode="constant", **settings)

    def by_torchaudio(waveform: Waveform) -> torch.Tensor:
        power = transform(torch.from_numpy(waveform))
        return 10 * torch.log10((power / power.max()).clamp(min=1e-8))

    def by_librosa(waveform: Waveform) -> Any:
        power = librosa.feature.melspectrogram(y=waveform, sr=SAMPLE_RATE, **settings)
        return librosa.power_to_db(power, ref=np.max)

    functions: dict[str, Callable[[Waveform], Any]] = {
        "ours": lambda waveform: log_mel(waveform, sample_rate=SAMPLE_RATE, f_max=SAMPLE_RATE / 2, **settings),
        "torchaudio": by_torchaudio,
    }
    return functions if librosa is None else functions | {"librosa": by_librosa}


def least_times(jobs: dict[str, Callable[[int], Any]], tracks: int, rounds: int) -> dict[str, float]:
    """Runs the jobs in turn on every track, and sums for each job the least processor time of each track: seconds."""
    times = {name: np.full(tracks, np.inf) for name in jobs}
    for _ in range(rounds):
        for number in range(tracks):
            for name, job in jobs.items():
                start = time.process_time()
                job(number)
                times[name][number] = min(times[name][number], time.process_time() - start)
    return {name: float(least.sum()) for name, least in times.items()}


if __name__ == "__main__":
    main()
