"""The command `genre predict`: genres of files and folders as lines, JSON, table, page, playlists or figure."""

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from tqdm import tqdm

from genre.console import messages
from genre.console.progress import activity
from genre.prediction import collection, outputs, tags

if TYPE_CHECKING:
    from genre.prediction.batch import Answer
    from genre.prediction.predictor import Prediction, Predictor


def main(arguments: argparse.Namespace) -> int:
    """Prints a line for each recording; one that fails gets a line on standard error, and the others go on."""
    for path, suffix, option in (
        (arguments.csv, ".csv", "--csv"),
        (arguments.html, ".html", "--html"),
        (arguments.figure, ".png", "--figure"),
    ):
        if path:
            outputs.check_output(path, suffix, option)
    found = collection.find(arguments.paths)
    if arguments.figure and len(found.recordings) > 1:
        raise ValueError(f"--figure must get one recording, got {len(found.recordings)}; run it once for each")
    tell_found(found)
    recordings = untagged(found.recordings) if arguments.only_untagged else found.recordings
    # Without recordings too, so that no table, page or playlist of an earlier call is taken for that of this one.
    answers = _answers(arguments, recordings) if recordings or arguments.csv or arguments.html or arguments.m3u else []
    if found.folders:
        tagged = len(found.recordings) - len(recordings)
        tell(f"{summary(answers)}{f'; {tagged} left out, their tags name a genre' if tagged else ''}")
    return 2 if found.problems or any(answer.reason for answer in answers) else 0


def _answers(arguments: argparse.Namespace, recordings: Sequence[Path]) -> "list[Answer]":
    """Predicts all recordings, prints a line for each, and writes the files that the options name."""
    if arguments.figure:  # so that a missing library is told before the work
        from genre.figures import results  # noqa: F401
    predictor = load(arguments.model)
    if arguments.m3u:
        outputs.check_playlists(arguments.m3u, predictor.genres)
    answers = []
    for answer in predicted(predictor, recordings, arguments.step):
        answers.append(answer)
        if answer.prediction:
            as_line = outputs.as_json if arguments.json else _as_text
            show(as_line(answer.path, answer.prediction))
    if arguments.csv:
        outputs.write_table(answers, predictor.genres, arguments.csv)
    if arguments.m3u:
        for file in outputs.write_playlists(answers, predictor.genres, arguments.m3u):
            tell(f"note: {file}: in no playlist, which cannot hold a line break in a name")
    pairs = [(answer.path, answer.prediction) for answer in answers if answer.prediction]
    if arguments.html:
        _write_page(pairs, arguments.html)
    if arguments.figure:
        _draw(pairs, arguments.figure)
    return answers


def _write_page(pairs: "Sequence[tuple[Path, Prediction]]", html: Path) -> None:
    from genre.prediction.predictions_page import write_predictions_page

    if pairs:
        write_predictions_page(pairs, html)
    else:
        _remove(html)


def _remove(file: Path) -> None:
    """Removes the page or figure of an earlier call, which would be taken for that of this one."""
    file.unlink(missing_ok=True)
    tell(f"note: {file} was not written: there is no prediction to show")


def load(model: Path) -> "Predictor":
    """Loads a model; on a terminal a line says so, as torch takes seconds."""
    with activity(f"loading {model}", logged=False):
        from genre.prediction.predictor import Predictor

        return Predictor(model)


def predicted(predictor: "Predictor", recordings: Sequence[Path], step: float | None) -> "Iterator[Answer]":
    """Yields the prediction of each recording, with a progress bar; prints the reason where one fails."""
    from genre.prediction import batch

    answers = batch.predict_all(predictor, recordings, step_seconds=step)
    with closing(answers), tqdm(answers, "predicting", len(recordings), unit="file", disable=None, leave=False) as bar:
        for answer in bar:
            if answer.reason:
                tell_error(f"{answer.path}: {answer.reason}")
            yield answer


def untagged(recordings: Sequence[Path]) -> list[Path]:
    """Returns the recordings whose tags name no genre; those whose tags cannot be read are among them."""
    bar = tqdm(recordings, "reading tags", unit="file", disable=None, leave=False)
    return [path for path in bar if not tags.has_genre(path)]


def tell_found(found: collection.Found) -> None:
    """Prints the files that were named and cannot be used, and the notes."""
    for problem in found.problems:
        tell_error(problem)
    for note in found.notes:
        tell(f"note: {note}")


def summary(answers: "Sequence[Answer]") -> str:
    """Returns one line: how many recordings, how many of each genre, unsure, failed."""
    genres = Counter(
        answer.prediction.genre for answer in answers if answer.prediction and not answer.prediction.unsure
    )
    unsure = sum(answer.prediction is not None and answer.prediction.unsure for answer in answers)
    failed = sum(bool(answer.reason) for answer in answers)
    parts = [f"{genre} {count}" for genre, count in sorted(genres.items())]
    parts += [f"unsure {unsure}"] * (unsure > 0) + [f"failed {failed}"] * (failed > 0)
    return f"{count_of(len(answers), 'recording')}: {', '.join(parts) or 'none to predict'}"


def count_of(count: int, what: str) -> str:
    """Returns "1 recording" or "2 recordings"."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def show(line: str) -> None:
    """Prints a result on standard output, above the progress bar."""
    _write(line, sys.stdout)


def tell(line: str) -> None:
    """Prints a message on standard error, above the progress bar."""
    _write(messages.printable(line), sys.stderr)


def tell_error(line: str) -> None:
    """Prints a failure on standard error."""
    tell(f"error: {line}")


def _write(line: str, stream: TextIO | None) -> None:
    if stream is None:
        raise OSError("standard output or standard error is closed; open it, for example with `> /dev/null`")
    tqdm.write(line, stream)
    stream.flush()


def _as_text(path: Path, predicted: "Prediction") -> str:
    ranked = sorted(predicted.by_genre().items(), key=lambda item: -item[1])[:3]
    probabilities = ", ".join(f"{genre} {probability:.0%}" for genre, probability in ranked)
    answer = "unsure" if predicted.unsure else predicted.genre
    return messages.printable(f"{path}: {answer}  ({probabilities})")


def _draw(pairs: "Sequence[tuple[Path, Prediction]]", png: Path) -> None:
    from genre.figures import page, results

    if not pairs:
        _remove(png)
        return
    path, predicted = pairs[0]
    starts, seconds, title = list(predicted.starts), predicted.clip_seconds, messages.printable(path.name)
    page.save(results.predictions_over_time(predicted.clips, starts, seconds, predicted.genres, title), png)
