"""Stage download: fetches or makes the recordings, decodes each once, and lists those that can be used.

Processes that compose and decode import this file again. They need nothing of what it imports, so all of it is imported
where it is used.
"""

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genre.pipeline.settings import Settings

# Stands in the folder of a user's own music, which would be empty: DVC warns of an empty folder at every command.
README = "The recordings are read where they are; data/tracks.csv names them.\n"


def main(
    settings: "Settings", gtzan: Path, audio: Path, tracks_csv: Path, excluded_csv: Path, corpus_json: Path
) -> None:
    """Writes the folder of recordings, the table of tracks, the list of excluded files and the corpus in numbers.

    A folder of the user is read where it is, and nothing is copied: the table then has its path, and the folder of
    recordings stays empty.
    """
    from genre.console.progress import activity

    with activity("fetching or making the recordings, and decoding them"):
        from genre.console import messages
        from genre.corpus import associations, folder, losses, sources, tracks
        from genre.corpus.params import Data
        from genre.pipeline import files, tables

        data, incoming = settings.load(Data), audio.with_name(".incoming")
        shutil.rmtree(incoming, ignore_errors=True)  # of a run that was killed
        try:
            place = sources.obtain(data, gtzan, incoming)
            root = folder.genre_root(place, data.path if data.source == "local" else "the archive")
            if root != place:
                print(f"the genres are the folders of {messages.printable(str(root.relative_to(place)))}")
            scanned = folder.scan(root, min_seconds=data.min_seconds)
            with files.replacing_folder(audio) as new:
                new.mkdir(parents=True)
                if root.is_relative_to(incoming):
                    folder.move_usable(scanned, root, new)
                else:
                    (new / "README.txt").write_text(README)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
    usable, excluded = tracks.tables_of(scanned, None if root.is_relative_to(incoming) else _named(root, audio))
    tables.write_csv(excluded, excluded_csv)
    tables.write_csv(usable, tracks_csv)
    association = associations.associations(scanned)
    files.write_json(associations.summary(scanned, association), corpus_json)
    lines = [*losses.lines(scanned, association), f"each excluded file is in {excluded_csv}"]
    print(*map(messages.printable, lines), sep="\n")
    tracks.check_enough(tables.read_tracks(tracks_csv), tracks_csv, excluded_csv)


def _named(root: Path, audio: Path) -> Path:
    """Returns the path of the user's folder for the table of tracks: absolute, or relative to `audio` if `root` is.

    A relative data.path is a folder of this project. When the project is moved or copied, the recordings come with it,
    and the relative path stays right.
    """
    return root if root.is_absolute() else Path(os.path.relpath(root, audio))


if __name__ == "__main__":
    from genre.console import stage

    stage.run(main)
