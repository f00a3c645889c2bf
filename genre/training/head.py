"""Fits a linear head to the features of a pretrained network: two classifiers, averaged.

Few tracks by few artists: the danger is to learn the artists. Two linear classifiers that err differently are fitted,
brought to the same scale and averaged, which is again linear:

- linear discriminant analysis of the tracks' mean features, the covariance within the genres shrunk to a multiple of
  the identity (Friedman 1989, JASA 84:165): directions in which tracks of one genre differ count little;
- logistic regression on the clips, strongly regularised.

Both treat the genres as equally frequent. Otherwise a genre with few tracks is hardly ever predicted, which costs six
points on tracks by other artists. Features are standardised, and the head takes them as they are.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

Array = npt.NDArray[np.float64]

SHRINKAGE = 0.9  # 0 is the sample covariance, 1 a multiple of the identity
LEAST_TRACKS = 2  # of a genre: for the cross-validation, one to fit and one to predict
INVERSE_PENALTY = 0.003  # the C of scikit-learn's logistic regression


def fit_head(features: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> nn.Linear:
    """Fits the head; the same input gives the same bits.

    Args:
        features: `(track, clip, feature)` of the training tracks.
        labels: `(track,)`, the number of each track's genre; every number from 0 to the highest occurs.

    Returns:
        A layer `(clip, feature)` -> `(clip, genre)` of logits, to be divided by a temperature that is fitted on other
        tracks (`genre.training.calibration`).
    """
    clips = features.reshape(-1, features.shape[2]).astype(np.float64)
    mean, deviation = clips.mean(axis=0), clips.std(axis=0) + 1e-6
    standardised = (features - mean) / deviation
    weights, biases = _average(
        discriminant(standardised.mean(axis=1), labels),
        regression(standardised.reshape(clips.shape), labels.repeat(features.shape[1])),
        standardised.reshape(clips.shape),
    )
    weights = weights / deviation
    return _linear(weights, biases - weights @ mean)


def cross_validated_logits(
    features: npt.NDArray[np.float32], labels: npt.NDArray[np.int64], *, folds: int = 5, seed: int
) -> npt.NDArray[np.float64]:
    """Computes logits `(track, clip, genre)` of every track by a head that was fitted without it.

    A temperature and a threshold can be fitted on them, so that no track has to be kept from training for it. Each
    genre is dealt evenly to the folds.

    Raises:
        ValueError: A genre has fewer than two tracks.
    """
    if np.bincount(labels).min() < LEAST_TRACKS:
        raise ValueError(f"cross-validation needs two tracks of each genre, got {np.bincount(labels).tolist()}")
    fold = np.empty(len(labels), np.int64)
    order = np.random.default_rng(seed).permutation(len(labels))
    for genre in range(labels.max() + 1):
        members = order[labels[order] == genre]
        fold[members] = np.arange(len(members)) % folds
    logits = np.empty((*features.shape[:2], labels.max() + 1))
    for held_out in range(folds):
        tested = fold == held_out
        head = fit_head(features[~tested], labels[~tested])
        with torch.inference_mode():
            logits[tested] = head(torch.from_numpy(features[tested])).numpy()
    return logits


def discriminant(features: Array, labels: npt.NDArray[np.int64]) -> tuple[Array, Array]:
    """Linear discriminant analysis with equal priors: weights `(genre, feature)` and biases `(genre,)`."""
    centres = np.stack([features[labels == genre].mean(axis=0) for genre in range(labels.max() + 1)])
    within = features - centres[labels]
    covariance = within.T @ within / len(features)
    # With one track a genre there is no spread within the genres: the nearest centre then decides.
    identity = np.eye(len(covariance)) * (np.trace(covariance) / len(covariance) or 1.0)
    weights = np.linalg.solve((1 - SHRINKAGE) * covariance + SHRINKAGE * identity, centres.T).T
    return weights, -(weights * centres).sum(axis=1) / 2


def regression(features: Array, labels: npt.NDArray[np.int64]) -> tuple[Array, Array]:
    """Logistic regression with balanced genres: weights `(genre, feature)` and biases `(genre,)`."""
    from sklearn.linear_model import LogisticRegression  # two seconds; most trainings fit no head

    model = LogisticRegression(C=INVERSE_PENALTY, class_weight="balanced", max_iter=1000).fit(features, labels)
    weights, biases = model.coef_, model.intercept_
    if len(weights) == 1:  # two genres: scikit-learn gives the log odds of the second
        weights, biases = np.concatenate([-weights, weights]) / 2, np.concatenate([-biases, biases]) / 2
    return weights, biases


def _average(first: tuple[Array, Array], second: tuple[Array, Array], features: Array) -> tuple[Array, Array]:
    """Averages two linear maps, each divided by the standard deviation of its logits across the genres."""
    scaled = []
    for weights, biases in (first, second):
        logits = features @ weights.T + biases
        scale = (logits - logits.mean(axis=1, keepdims=True)).std()
        if not scale > 0:
            raise ValueError("training tracks must differ, all of them have the same features; are they copies of one?")
        scaled.append((weights / scale, biases / scale))
    (weights_a, biases_a), (weights_b, biases_b) = scaled
    return (weights_a + weights_b) / 2, (biases_a + biases_b) / 2


def _linear(weights: Array, biases: Array) -> nn.Linear:
    layer = nn.Linear(weights.shape[1], weights.shape[0])
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weights))
        layer.bias.copy_(torch.from_numpy(biases))
    return layer
