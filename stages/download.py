"""Stage download: fetches or makes the recordings, decodes each once, and lists those that can be used."""

import io
import os
import shutil
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import soundfile
from tqdm import tqdm

from genre import archive, command, fetch, files, mirrors, synthesis, tracks, workspace
from genre.params import Data, Settings

if TYPE_CHECKING:
    from genre.corpus import Finding


def main(settings: Settings, audio: Path, tracks_csv: Path, excluded_csv: Path) -> None:
    """Writes the folder of recordings, the track table and the list of excluded files."""
    from genre import corpus  # noqa: PLC0415  brings torch, which the processes that compose can do without

    data = settings.load(Data)
    incoming = audio.with_name(".incoming")
    shutil.rmtree(incoming, ignore_errors=True)  # of a run that was killed
    try:
        source = corpus.root(_obtain(data, incoming))
        findings = corpus.scan(source, min_seconds=data.min_seconds)
        with files.replacing_folder(audio) as folder:
            _take(findings, source, folder, move=source.is_relative_to(incoming))
    finally:
        shutil.rmtree(incoming, ignore_errors=True)
    _report(findings, tracks_csv, excluded_csv)


def _obtain(data: Data, incoming: Path) -> Path:
    """Gives a folder with the recordings of the chosen source: `incoming`, or the user's own."""
    if data.source == "synthetic":
        _synthesise(data, incoming)
        return incoming
    if data.source == "local":
        place = workspace.resolve(str(data.path))
        if place.is_dir():
            return place
        if not place.is_file():
            raise ValueError(f"data.path must be a folder or an archive (tar.gz or zip), there is none at {place}")
    else:
        choices = mirrors.gtzan_archives() if data.source == "gtzan" else mirrors.mini_archives()
        place = fetch.fetch(choices, fetch.cache_folder())
    archive.unpack(
        place,
        incoming,
        max_bytes=int(data.max_unpacked_gigabytes * 1e9),
        max_members=data.max_unpacked_files,
        max_ratio=data.max_unpacked_ratio,
    )
    return incoming


def _synthesise(data: Data, folder: Path) -> None:
    jobs = [(genre, number, data.seed, folder) for genre in synthesis.GENRES for number in range(data.tracks_per_genre)]
    try:
        with ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=_end_with_parent) as processes:
            for _ in tqdm(processes.map(_write_track, jobs), "composing", len(jobs), unit="track", disable=None):
                pass
    except BrokenProcessPool as error:  # the system ends processes where memory is short
        raise ValueError("a process that composes was ended from outside; if memory is short, close others") from error


def _end_with_parent() -> None:
    """Lets this process end when the one that started it is killed, which could not tell it to."""

    def wait() -> None:
        if parent := parent_process():
            parent.join()
            os._exit(1)

    Thread(target=wait, daemon=True).start()


def _write_track(job: tuple[str, int, int, Path]) -> None:
    genre, number, seed, folder = job
    waveform = synthesis.track_waveform(genre, number, seed=seed)
    path = folder / genre / f"{genre}.{number:05d}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded = io.BytesIO()  # libsndfile does not tell a full disk from other errors
    soundfile.write(encoded, np.round(waveform * 32767).astype(np.int16), 22050, format="WAV", subtype="PCM_16")
    path.write_bytes(encoded.getbuffer())


def _take(findings: list["Finding"], source: Path, folder: Path, *, move: bool) -> None:
    """Brings the usable recordings into `folder`; the user's own are copied, never touched."""
    folder.mkdir(parents=True)
    for finding in findings:
        if finding.reason is None:
            target = folder / finding.file
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.move if move else shutil.copyfile)(source / finding.file, target)


def _report(findings: list["Finding"], tracks_csv: Path, excluded_csv: Path) -> None:
    usable = tracks.table((f.file, f.genre, f.seconds, f.sample_rate) for f in findings if f.reason is None)
    excluded = [(tracks.harmless(f.file), f.reason) for f in findings if f.reason is not None]
    files.write_csv(pd.DataFrame(excluded, columns=["file", "reason"]), excluded_csv)
    files.write_csv(usable, tracks_csv)
    print(f"{len(usable)} tracks of {usable['genre'].nunique()} genres; {len(excluded)} files excluded: {excluded_csv}")
    tracks.read(tracks_csv)
    if usable["genre"].nunique() < 2:
        raise ValueError(
            f"{tracks_csv} must hold at least 2 genres, got {usable['genre'].iloc[0]!r} alone; {excluded_csv} tells "
            "what could not be used"
        )


if __name__ == "__main__":
    command.run(main)
