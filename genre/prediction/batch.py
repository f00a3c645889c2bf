"""Predicts many recordings: processes decode them on all cores, the network computes in this one."""

import os
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from genre.audio import parallel
from genre.audio.processes import Failure
from genre.prediction import preparation

if TYPE_CHECKING:
    from genre.prediction.predictor import Prediction, Predictor


@dataclass(frozen=True)
class Answer:
    """The prediction of a recording, or the reason why there is none."""

    path: Path
    prediction: "Prediction | None" = None
    reason: str = ""


def predict_all(
    predictor: "Predictor", paths: Sequence[Path], *, step_seconds: float | None = None
) -> Generator[Answer, None, None]:
    """Yields the prediction of each recording, in order; a recording that fails does not stop the others.

    Decoding runs in separate processes of this machine: if a decoder crashes or hangs, this is the reason why the file
    has no prediction. What decoders print is not shown.

    Raises:
        ValueError: The step is not above 0.
    """
    predictor.step_frames(step_seconds)
    processes = min(os.cpu_count() or 1, len(paths))
    with TemporaryDirectory(prefix="genre-predict-") as folder:
        prepare = partial(preparation.prepare, predictor.spectrogram)
        numbered = ((path, Path(folder, f"{number}.npy")) for number, path in enumerate(paths))
        done = parallel.map_files(prepare, numbered, processes=processes, on_cluster=False)
        for path, npy in zip(paths, done, strict=True):
            yield _answer(predictor, path, npy, step_seconds)


def _answer(predictor: "Predictor", path: Path, npy: Path | Failure, step_seconds: float | None) -> Answer:
    if isinstance(npy, Failure):
        return Answer(path, reason=npy.reason)
    try:
        return Answer(path, predictor.predict_mel(preparation.StoredMel(npy), step_seconds=step_seconds))
    except ValueError as error:
        return Answer(path, reason=str(error))
    finally:
        npy.unlink()
