"""The page of predictions: recordings to listen to, with the model's probabilities over time."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from genre.figures import web_page
from genre.figures.web_page import ListedTrack, Number, PageContent
from genre.prediction.predictor import Prediction

GENRES_SHOWN = 5  # at the head of the page


def write_predictions_page(pairs: Sequence[tuple[Path, Prediction]], html_path: Path) -> None:
    """Writes a page with a player and the prediction of each recording; see `genre.figures.web_page`.

    Args:
        pairs: Each recording and the result of `Predictor.predict` for it, all by one model; at least one.
        html_path: The page. Recordings with a relative path are linked relative to the page, the others absolutely.
    """
    first = pairs[0][1]
    tracks = [_listed(path, predicted, html_path) for path, predicted in pairs]
    content = PageContent(
        title=f"Predicted genres of {len(tracks)} recording{'s' if len(tracks) > 1 else ''}",
        lead="What the trained model predicts, as a whole and over time.",
        genres=first.genres, clip_seconds=first.clip_seconds, tracks=tracks, headline=_headline(tracks),
        notes=["Unsure: the probability of the predicted genre is below the threshold that training found."],
    )  # fmt: skip
    web_page.write(content, html_path.resolve())  # a link stays a link


def _listed(path: Path, predicted: Prediction, html_path: Path) -> ListedTrack:
    return ListedTrack(
        name=str(path), audio=web_page.address(path, html_path),
        seconds=float(predicted.starts[-1]) + predicted.clip_seconds,  # the last window ends with the recording
        probabilities=predicted.probabilities, clips=predicted.clips, starts=list(predicted.starts),
        predicted=predicted.genre, unsure=predicted.unsure,
    )  # fmt: skip


def _headline(tracks: list[ListedTrack]) -> list[Number]:
    """Counts the recordings of the most frequent genres, of the others, and those for which the model is unsure."""
    sure = Counter(track.predicted for track in tracks if not track.unsure)
    shown = sure.most_common(GENRES_SHOWN)
    others = sure.total() - sum(count for _, count in shown)
    unsure = sum(track.unsure for track in tracks)
    numbers = [*((genre, count) for genre, count in shown), ("other genres", others), ("unsure", unsure)]
    return [Number(str(count), name) for name, count in numbers if count]
