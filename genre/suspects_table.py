"""Ranks labels by how doubtful they are: confident learning.

Northcutt, Jiang and Chuang 2021, "Confident learning: estimating uncertainty in dataset labels", Journal of Artificial
Intelligence Research 70:1373, computed by cleanlab. A genre's threshold is the mean probability that its own tracks
have for it. If a track's probability of another genre reaches that genre's threshold, the track counts as one of that
genre with a wrong label. These counts give an estimate of how many labels of each genre are wrong, and which other
genre is the true one. As many tracks are suspects: those whose label is among the least probable of their genre, if
they are also among those whose other genre is most probable.

Tracks are ranked by the probability of their label alone. `python -m benchmarks.suspects` measures how well.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from cleanlab.filter import find_label_issues
from cleanlab.rank import get_label_quality_scores

from genre.console.messages import printable

COLUMNS = ("rank", "track", "label", "suspected", "score", "suspect")


def rank(
    tracks: Sequence[str], labels: npt.NDArray[np.int64], genres: Sequence[str], probabilities: npt.NDArray[np.float64]
) -> pd.DataFrame:
    """Ranks all tracks, the most doubtful label first.

    Args:
        tracks: The names of the tracks.
        labels: `(track,)`, the number of each track's genre; every genre has tracks.
        genres: The names of the genres.
        probabilities: `(track, genre)`, of each track by a classifier that was fitted without it.

    Returns:
        Columns `rank` (from 1), `track`, `label`, `suspected` (the most probable other genre), `score` (1 less
        the probability of the label) and `suspect` (`yes` or `no`).
    """
    others = probabilities.copy()
    others[np.arange(len(labels)), labels] = -1
    table = pd.DataFrame({
        "track": list(tracks),
        "label": np.array(genres)[labels],
        "suspected": np.array(genres)[others.argmax(axis=1)],
        "score": 1 - get_label_quality_scores(labels, probabilities, method="self_confidence"),
        "suspect": np.where(find_label_issues(labels, probabilities, filter_by="both", n_jobs=1), "yes", "no"),
    })  # fmt: skip
    table = table.sort_values(["score", "track"], ascending=[False, True], ignore_index=True)
    table.insert(0, "rank", np.arange(1, len(table) + 1))
    return table


def as_text(table: pd.DataFrame, rows: int = 20) -> str:
    """Returns the first rows in lines of at most 80 characters; long names are cut in the middle."""
    shown = table.head(rows).assign(score=table["score"].map("{:.2f}".format))
    return "\n".join(_line(*row) for row in [COLUMNS, *shown.itertuples(index=False)])


def _line(rank: object, track: str, label: str, suspected: str, score: str, suspect: str) -> str:
    names = [f"{shortened(text, width):{width}}" for text, width in ((track, 33), (label, 13), (suspected, 13))]
    return f"{rank:>4} {' '.join(names)} {score:>5} {suspect}"


def shortened(name: str, width: int) -> str:
    """Returns a printable name of at most `width` characters: `a-very-long-name` becomes `a-v...ame`."""
    text = printable(name)
    if len(text) <= width:
        return text
    tail = (width - 3) // 2
    return f"{text[: width - 3 - tail]}...{text[-tail:]}"
