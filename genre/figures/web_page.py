"""A web page of recordings with players and a model's predictions: one file, which loads nothing from a network.

The template is web_page.html with web_page.css and web_page.js, in this folder. The script draws the page from one JSON
text, which holds names as data and never as HTML. The Content-Security-Policy in the page's head allows it to load
recordings and nothing else.
"""

import base64
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from genre.pipeline import files

if TYPE_CHECKING:  # it imports matplotlib, which the page does not need
    from genre.figures.page import Values


@dataclass(frozen=True)
class ListedTrack:
    """A recording in the list of the page.

    Attributes:
        name: What it is called.
        audio: The address of the recording; see `address`.
        seconds: Its length, which is the axis of time.
        probabilities: `(genre,)` of the whole recording, in 0..1.
        clips: `(clip, genre)` of its clips, in 0..1.
        starts: Where each clip starts, in seconds.
        predicted: The predicted genre.
        actual: The actual genre, or None if it is not known.
        subset: `train`, `valid` or `test`, or None where there are no subsets.
        unsure: Whether the highest probability is below the model's threshold.
        picture: A small PNG of its spectrogram, or None.
    """

    name: str
    audio: str
    seconds: float
    probabilities: "Values"
    clips: "Values"
    starts: Sequence[float]
    predicted: str
    actual: str | None = None
    subset: str | None = None
    unsure: bool = False
    picture: bytes | None = None

    def as_json(self) -> dict[str, Any]:
        """Returns the JSON value of the track.

        To save space, its probabilities are rounded to 4 decimals and those of its clips given in whole percent.
        """
        return {
            "name": self.name,
            "audio": self.audio,
            "seconds": round(float(self.seconds), 2),
            "probabilities": [round(float(value), 4) for value in self.probabilities],
            "clips": np.rint(100 * np.asarray(self.clips, float)).astype(int).tolist(),
            "starts": [round(float(start), 2) for start in self.starts],
            "predicted": self.predicted,
            "actual": self.actual,
            "subset": self.subset,
            "unsure": bool(self.unsure),
            "picture": base64.b64encode(self.picture).decode("ascii") if self.picture else None,
        }


@dataclass(frozen=True)
class Number:
    """A number at the head of the page, such as 85.0%, with a label and a detail, such as its interval."""

    value: str
    label: str
    detail: str = ""


@dataclass(frozen=True)
class PageContent:
    """What the page shows.

    Attributes:
        title: Stands above all.
        lead: A sentence below the title.
        genres: In the order of the probabilities.
        clip_seconds: Length of a clip.
        tracks: In the order of their names.
        headline: The numbers at the head.
        subsets: Those that there are; the page shows the tracks of the first one when it is opened.
        columns: Of the table of systems.
        systems: Name of a system -> its cells: a text, and share, low and high of a bar, or None.
        notes: Sentences above the list of tracks.
    """

    title: str
    lead: str
    genres: Sequence[str]
    clip_seconds: float
    tracks: Sequence[ListedTrack]
    headline: Sequence[Number] = ()
    subsets: Sequence[str] = ()
    columns: Sequence[str] = ()
    systems: Mapping[str, Sequence[tuple[str, tuple[float, float, float] | None]]] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def as_json(self) -> dict[str, Any]:
        """Returns the JSON value that web_page.js draws."""
        return {
            "title": self.title,
            "lead": self.lead,
            "genres": list(self.genres),
            "clip_seconds": round(float(self.clip_seconds), 3),
            "headline": [vars(number) for number in self.headline],
            "subsets": list(self.subsets),
            "systems": {
                "columns": list(self.columns),
                "rows": [{"system": name, "scores": [_cell(*cell) for cell in cells]}
                         for name, cells in self.systems.items()],
            },
            "notes": list(self.notes),
            "tracks": [track.as_json() for track in self.tracks],
        }  # fmt: skip


def _cell(text: str, bar: tuple[float, float, float] | None) -> dict[str, Any]:
    return {"text": text, "bar": dict(zip(("share", "low", "high"), bar, strict=True)) if bar else None}


def write(content: PageContent, path: Path) -> None:
    """Writes the page, whole or not at all."""
    with files.replacing(path) as temporary:
        temporary.write_text(_html(content.as_json()), encoding="utf-8")


def address(recording: Path, page: Path) -> str:
    """Returns the address of a recording for a link in `page`.

    A relative path gives an address that is relative to the page: it stays right when the whole project is moved or
    copied. An absolute path, as of a user's own folder, gives a `file:` address, which is right on this machine.
    """
    if recording.is_absolute():
        return recording.as_uri()
    return quote(os.fsencode(Path(os.path.relpath(recording, page.parent)).as_posix()))


def _html(content: Mapping[str, Any]) -> str:
    """Fills the template; as `<` is escaped, no name can end the element that holds the JSON text."""
    folder = resources.files("genre.figures")
    template, css, script = (
        folder.joinpath(f"web_page.{kind}").read_text(encoding="utf-8") for kind in ("html", "css", "js")
    )
    text = json.dumps(content, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    parts = {"/*CSS*/": css, "/*SCRIPT*/": script, "/*CONTENT*/": text}  # the content last: nothing in it is replaced
    for mark, part in parts.items():
        template = template.replace(mark, part, 1)
    return template
