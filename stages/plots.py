"""Stage plots: draws the figures of the metrics and of the spectrograms, and the page of all held-out tracks."""

from pathlib import Path

from genre.audio.params import Spectrogram
from genre.console import stage
from genre.console.progress import activity, progress
from genre.figures import collection, page, report, web_page
from genre.network import model_file
from genre.pipeline import files, tables
from genre.pipeline.settings import Settings
from genre.spectrograms import store
from genre.spectrograms.params import ClipLength
from genre.tracking import results
from genre.training.params import Augment


def main(
    settings: Settings,
    values: Path,
    index: Path,
    tracks_csv: Path,
    split_csv: Path,
    model_pt: Path,
    metrics: Path,
    folder: Path,
    report_html: Path,
) -> None:
    """Draws all figures into `folder`, from the tables in the folder `metrics` and from the spectrograms.

    The page `report_html` links to the recordings: to those of this project in the folder `audio` beside `tracks_csv`,
    to the user's own where they are.
    """
    tracked = results.begin()
    spectrograms, table = store.read(values, index), tables.read_csv(split_csv, tables.SPLIT)
    with activity("laying out the figures"):
        figures = collection.of_results(metrics) | collection.of_spectrograms(
            spectrograms, table, settings.load(ClipLength).clip_frames, settings.load(Spectrogram),
            settings.load(Augment),
        )  # fmt: skip
    with files.replacing_folder(folder) as new, progress("drawing the figures", len(figures), "figure") as bar:
        new.mkdir()
        for name, figure in figures.items():
            page.save(figure, new / f"{name}.png")
            bar.update()
    print(f"{len(figures)} figures in {folder}")
    recorded = tables.read_tracks(tracks_csv)
    recordings = {track: tracks_csv.parent / "audio" / file
                  for track, file in zip(recorded["track"], recorded["file"], strict=True)}  # fmt: skip
    with activity("making the page to listen to"):
        model = model_file.load(model_pt)[1]
        web_page.write(report.of_results(metrics, spectrograms, recordings, model, report_html), report_html)
    print(f"a page to listen to the held-out tracks: {report_html}")
    results.record(model_pt, [*sorted(folder.glob("*.png")), report_html, metrics / "history.csv"], background=tracked)


if __name__ == "__main__":
    stage.run(main)
