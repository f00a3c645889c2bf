"""Tables of predictions: one row a clip, or one row a track, with a column of probabilities for each genre."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import softmax

from genre.evaluation import merging
from genre.pipeline.tables import CLIP_PREDICTIONS


def of_clips(table: pd.DataFrame, genres: Sequence[str], probabilities: npt.NDArray[np.float64]) -> pd.DataFrame:
    """Makes the table of clip predictions.

    Args:
        table: The tracks: columns `track, genre, subset`.
        genres: The names of the genres, in the order of the probabilities.
        probabilities: `(clip, genre)`, all clips of the first track of `table` first.

    Returns:
        Columns `track, clip, subset, actual, predicted`, then a probability for each genre.
    """
    clips_per_track = len(probabilities) // len(table)
    rows = table.loc[table.index.repeat(clips_per_track), ["track", "subset", "genre"]].reset_index(drop=True)
    rows = rows.rename(columns={"genre": "actual"})
    rows.insert(1, "clip", np.tile(np.arange(clips_per_track), len(table)))
    rows["predicted"] = [genres[place] for place in probabilities.argmax(axis=1)]
    return pd.concat([rows, pd.DataFrame(probabilities, columns=list(genres))], axis=1)


def genres_of(predictions: pd.DataFrame) -> list[str]:
    """Returns the genres of a table of predictions, in the order of its columns."""
    return [column for column in predictions.columns if column not in CLIP_PREDICTIONS]


def by_track(predictions: pd.DataFrame) -> pd.DataFrame:
    """Merges the clips of each track (see `merging.merge_clips`), and finds the most probable genre.

    Of genres with equal probabilities the first column is taken.

    Returns:
        Columns `track, subset, actual, predicted`, then a probability for each genre; sorted by track.
    """
    genres = genres_of(predictions)
    logs = predictions.copy()
    logs[genres] = merging.logarithms(predictions[genres].to_numpy())
    merged = logs.groupby(["track", "subset", "actual"], as_index=False, sort=True)[genres].mean()
    merged[genres] = softmax(merged[genres].to_numpy(), axis=1)
    merged.insert(3, "predicted", [genres[place] for place in merged[genres].to_numpy().argmax(axis=1)])
    return merged
