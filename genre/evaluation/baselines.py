"""What simpler systems reach on the same tracks: a number without them tells little."""

from collections.abc import Callable, Mapping, Sequence

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
MOST_FITTED = 10_000  # clips; the time that a support-vector machine takes grows with the square of them

Features = npt.NDArray[np.float64]


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


def probabilities(system: str, train: Features, genres: Sequence[str], test: Features) -> npt.NDArray[np.float64]:
    """Fits a system of `SYSTEMS` to clips and returns the probabilities of other clips' genres.

    The support-vector machine gives the softmax of its decision values, which ranks genres but is not calibrated.

    Args:
        system: `majority`, `linear` (logistic regression on `band_statistics`) or `svm_mfcc` (RBF kernel on
            `mfcc_statistics`); features are standardised.
        train: What the system sees of each clip, `(clip, feature)`; see `features`.
        genres: The genre of each clip of `train`.
        test: As `train`, of the clips to predict.

    Returns:
        `(clip, genre)` for `test`, the genres in alphabetical order.
    """
    classifier = SYSTEMS[system][1]
    fitted = make_pipeline(StandardScaler(), clone(classifier)).fit(train, genres)
    if hasattr(fitted, "predict_proba"):
        return np.asarray(fitted.predict_proba(test))
    decisions = fitted.decision_function(test)
    if decisions.ndim == 1:  # two genres: one number, for the second
        decisions = np.stack([-decisions, decisions], axis=1)
    shares = np.exp(decisions - decisions.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def features(clips: npt.NDArray[np.float16]) -> dict[str, Features]:
    """Computes what each system sees of clips `(clip, mel, frame)`: system -> `(clip, feature)`.

    A block of clips at a time: in double precision all at once fill the memory.
    """
    blocks = [clips[start : start + BLOCK] for start in range(0, len(clips), BLOCK)]
    return {system: np.concatenate([see(block) for block in blocks]) for system, (see, _) in SYSTEMS.items()}


def fitted_clips(genres: Sequence[str]) -> npt.NDArray[np.int64]:
    """Returns the numbers of the training clips that the systems are fitted to: all, or a share of each genre's.

    There are at most about `MOST_FITTED` of them, drawn at random, always the same ones. Every nth clip would take the
    same place of each track, such as its beginning.

    Args:
        genres: The genre of each training clip.
    """
    nth = -(-len(genres) // MOST_FITTED)
    shuffled = pd.Series(genres, dtype=str).sample(frac=1, random_state=0)
    return np.sort(shuffled.index[shuffled.groupby(shuffled).cumcount() % max(1, nth) == 0])


def predict_all(table: pd.DataFrame, genres: Sequence[str], seen: Mapping[str, Features]) -> dict[str, pd.DataFrame]:
    """Fits every system to the training clips and predicts all clips.

    Args:
        table: The tracks: columns `track, genre, subset`.
        genres: The names of the genres, in alphabetical order.
        seen: What `features` returns, of all clips, all those of the first track of `table` first.

    Returns:
        system -> its table of clip predictions.
    """
    clips_per_track = len(next(iter(seen.values()))) // len(table)
    labels = table["genre"].repeat(clips_per_track).to_numpy()
    train = np.flatnonzero((table["subset"] == "train").repeat(clips_per_track))
    train = train[fitted_clips(labels[train])]
    return {
        system: of_clips(table, genres, probabilities(system, values[train], labels[train], values))
        for system, values in seen.items()
    }
