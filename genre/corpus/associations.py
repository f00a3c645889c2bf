"""Measures whether the genre can be told from how files were stored, instead of from how they sound."""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

import numpy as np
import pandas as pd

from genre.corpus.folder import ScannedFile

# A property of the files is reported if its association with the genre (Cramer's V, 0..1) is at least so strong. In a
# mixed collection it is weaker; if all files of a genre are from one source, it is near 1.
NOTABLE_ASSOCIATION = 0.6


def summary(scanned: Sequence[ScannedFile], association: Mapping[str, float]) -> dict[str, Any]:
    """Returns the corpus in numbers, as metrics/corpus.json holds it, with what `associations` returned."""
    usable = [file for file in scanned if not file.reason and file.recording]
    return {
        "corpus": {
            "tracks": len(usable),
            "genres": len({file.genre for file in usable}),
            "hours": sum(file.recording.seconds for file in usable if file.recording) / 3600,
            "not_usable": sum(bool(file.reason) and file.is_recording for file in scanned),
            "association": {name.replace(" ", "_"): value for name, value in association.items()},
        }
    }


def associations(scanned: Sequence[ScannedFile]) -> dict[str, float]:
    """Returns the association of each property of the usable files with the genre: Cramer's V, bias-corrected.

    Source: Bergsma 2013, "A bias-correction for Cramer's V and Tschuprow's T", J. Korean Stat. Soc. 42:323. Numbers are
    put into classes: one for each number that more than a quarter of the files share, and four of equal size for the
    other numbers, or one for each if there are fewer than four. An unknown number counts as 0.
    A property that is the same for all files has the association 0.
    """
    rows = [(file.genre, file.recording) for file in scanned if file.recording and not file.reason]
    genres = pd.Series([genre for genre, _ in rows])
    properties = {
        "format": [recording.format for _, recording in rows],
        "codec": [recording.codec for _, recording in rows],
        "bit rate": _classes([recording.bit_rate for _, recording in rows]),
        "sampling rate": [recording.sample_rate for _, recording in rows],
        "peak level": _classes([recording.peak for _, recording in rows]),
    }
    return {name: _cramers_v(genres, pd.Series(values)) for name, values in properties.items()}


def _classes(values: Sequence[float]) -> list[str]:
    numbers = pd.Series(values, dtype=float).fillna(0)
    common = numbers.map(numbers.value_counts()) > len(numbers) / 4
    classes = numbers.astype(str)
    rest = numbers[~common]
    if rest.nunique() >= 4:
        classes[~common] = pd.qcut(rest.rank(), 4, labels=False, duplicates="drop").map("quarter {}".format)
    return list(classes)


def _cramers_v(genres: "pd.Series[str]", values: "pd.Series[str]") -> float:
    table = pd.crosstab(genres, values)
    rows, columns = table.shape
    n = len(genres)
    if min(rows, columns) < 2 or n <= max(rows, columns):
        return 0.0
    counts = table.to_numpy(float)
    chi2_by_n = (counts**2 / np.outer(counts.sum(axis=1), counts.sum(axis=0))).sum() - 1  # Pearson's statistic / n
    phi2 = max(0.0, chi2_by_n - (rows - 1) * (columns - 1) / (n - 1))
    smaller = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1))
    return sqrt(phi2 / (smaller - 1)) if smaller > 1 else 0.0
