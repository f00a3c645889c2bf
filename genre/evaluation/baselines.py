"""What simpler systems reach on the same tracks: a number without them tells little."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.fft import dct
from sklearn.base import ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from genre.evaluation.predictions import of_clips

MFCCS = 20
BLOCK = 128  # clips


def band_statistics(clips: npt.NDArray[np.float16]) -> npt.NDArray[np.float64]:
    """Mean and standard deviation over time of each mel band: `(clip, mel, frame)` -> `(clip, 2 * mel)`."""
    values = clips.astype(np.float64)
    return np.concatenate([values.mean(axis=2), values.std(axis=2)], axis=1)


def mfcc_statistics(clips: npt.NDArray[np.float16]) -> npt.NDArray[np.float64]:
    """Mean and standard deviation over time of 20 mel-frequency cepstral coefficients: `-> (clip, 40)`.

    The coefficients are the first of an orthonormal DCT-II over the log-mel bands (Davis and Mermelstein 1980).
    """
    return band_statistics(dct(clips.astype(np.float32), type=2, axis=1, norm="ortho")[:, :MFCCS])


# name -> (what the classifier sees of a clip, the classifier)
SYSTEMS: dict[str, tuple[Callable[[npt.NDArray[np.float16]], npt.NDArray[np.float64]], ClassifierMixin]] = {
    "majority": (lambda clips: np.zeros((len(clips), 1)), DummyClassifier(strategy="prior")),
    "linear": (band_statistics, LogisticRegression(max_iter=5000)),
    "svm_mfcc": (mfcc_statistics, SVC(C=10.0)),
}


def probabilities(
    system: str, train: npt.NDArray[np.float16], genres: Sequence[str] | Sequence[int], test: npt.NDArray[np.float16]
) -> npt.NDArray[np.float64]:
    """Fits a system of `SYSTEMS` to clips and gives the probabilities of other clips' genres.

    The support-vector machine gives the softmax of its decision values, which ranks genres but is not calibrated.

    Args:
        system: `majority`, `linear` (logistic regression on `band_statistics`) or `svm_mfcc` (RBF kernel on
            `mfcc_statistics`); features are standardised.
        train: `(clip, mel, frame)`.
        genres: The genre of each clip of `train`.
        test: `(clip, mel, frame)`.

    Returns:
        `(clip, genre)` for `test`, the genres in alphabetical order.
    """
    classifier = SYSTEMS[system][1]
    fitted = make_pipeline(StandardScaler(), clone(classifier)).fit(_features(system, train), genres)
    if hasattr(fitted, "predict_proba"):
        return np.asarray(fitted.predict_proba(_features(system, test)))
    decisions = fitted.decision_function(_features(system, test))
    if decisions.ndim == 1:  # two genres: one number, for the second
        decisions = np.stack([-decisions, decisions], axis=1)
    shares = np.exp(decisions - decisions.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def _features(system: str, clips: npt.NDArray[np.float16]) -> npt.NDArray[np.float64]:
    """Computes what a system sees, a block of clips at a time: in double precision all at once fill the memory."""
    see = SYSTEMS[system][0]
    return np.concatenate([see(clips[start : start + BLOCK]) for start in range(0, len(clips), BLOCK)])


def predict_all(table: pd.DataFrame, genres: Sequence[str], clips: npt.NDArray[np.float16]) -> dict[str, pd.DataFrame]:
    """Fits every system to the training clips and predicts all clips.

    Args:
        table: The tracks: columns `track, genre, subset`.
        genres: The names of the genres, in alphabetical order.
        clips: `(clip, mel, frame)`, all clips of the first track of `table` first.

    Returns:
        system -> its table of clip predictions.
    """
    clips_per_track = len(clips) // len(table)
    train = (table["subset"] == "train").repeat(clips_per_track).to_numpy()
    labels = table["genre"].repeat(clips_per_track).to_numpy()
    return {
        system: of_clips(table, genres, probabilities(system, clips[train], labels[train], clips)) for system in SYSTEMS
    }
