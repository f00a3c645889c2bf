"""Writes the synthetic corpus: every track of `genre.corpus.synthesis` as a wav file, composed on all cores."""

import io
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from genre.audio.processes import end_with_parent
from genre.corpus import synthesis

SAMPLE_RATE = 22050  # Hz, as GTZAN's


def compose_corpus(folder: Path, *, tracks_per_genre: int, seed: int) -> None:
    """Writes `tracks_per_genre` tracks of 30 s for each genre to `folder/GENRE/GENRE.NNNNN.wav`.

    Raises:
        ValueError: A process was ended from outside, as the system does where memory is short.
    """
    jobs = [(genre, number, seed, folder) for genre in synthesis.GENRES for number in range(tracks_per_genre)]
    try:
        with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=end_with_parent) as processes:
            for _ in tqdm(processes.map(_write_track, jobs), "composing", len(jobs), unit="track", disable=None):
                pass
    except BrokenProcessPool as error:
        raise ValueError(
            "a process that composes was ended from outside; if memory is short, close other programs"
        ) from error


def _write_track(job: tuple[str, int, int, Path]) -> None:
    genre, number, seed, folder = job
    waveform = synthesis.track_waveform(genre, number, seed=seed)
    path = folder / genre / f"{genre}.{number:05d}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded = io.BytesIO()  # not to the disk: libsndfile does not distinguish a full disk from other errors
    soundfile.write(encoded, np.round(waveform * 32767).astype(np.int16), SAMPLE_RATE, format="WAV", subtype="PCM_16")
    path.write_bytes(encoded.getbuffer())
