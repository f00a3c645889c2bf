"""Stage plots: draws the figures of the metrics and of the spectrograms."""

from pathlib import Path

from genre.audio.params import Spectrogram
from genre.console import stage
from genre.figures import collection, page
from genre.pipeline import files, tables
from genre.pipeline.settings import Settings
from genre.spectrograms import store
from genre.spectrograms.params import ClipLength
from genre.tracking import results
from genre.training.params import Augment


def main(
    settings: Settings, values: Path, index: Path, split_csv: Path, model_pt: Path, metrics: Path, folder: Path
) -> None:
    """Draws all figures into `folder`, from the tables in the folder `metrics` and from the spectrograms."""
    spectrograms, table = store.read(values, index), tables.read_csv(split_csv, tables.SPLIT)
    figures = collection.of_results(metrics) | collection.of_spectrograms(
        spectrograms, table, settings.load(ClipLength).clip_frames, settings.load(Spectrogram), settings.load(Augment)
    )
    with files.replacing_folder(folder) as new:
        new.mkdir()
        for name, figure in figures.items():
            page.save(figure, new / f"{name}.png")
    print(f"{len(figures)} figures in {folder}")
    results.record(model_pt, [*sorted(folder.glob("*.png")), metrics / "history.csv"])


if __name__ == "__main__":
    stage.run(main)
