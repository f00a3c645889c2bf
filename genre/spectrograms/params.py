"""How a track is cut into clips: the part of the section `split` of params.yaml that training and evaluation read."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from genre.pipeline.settings import Section


class Clips(Section):
    """How many clips a track is cut into, how long each is, and where they begin; see `clip_starts`."""

    section: ClassVar[str] = "split"
    clips_per_track: Annotated[int, Field(ge=1, le=1000)]
    clip_frames: Annotated[int, Field(ge=32, le=8192, multiple_of=32)]  # the network halves it five times
    clip_spacing: Literal["even", "contiguous"]


class ClipLength(Section):
    """The length of a clip in frames of the spectrogram, for the figures."""

    section: ClassVar[str] = "split"
    clip_frames: int
