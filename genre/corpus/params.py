"""The section `data` of params.yaml: where the recordings come from, and which of them are usable."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from genre.pipeline.settings import Section


class DataSource(Section):
    """The source of the recordings."""

    section: ClassVar[str] = "data"
    source: Literal["synthetic", "gtzan", "gtzan-mini", "local"]


class Data(DataSource):
    """All parameters of the stage `download`."""

    path: Annotated[str, Field(min_length=1)]
    tracks_per_genre: Annotated[int, Field(ge=2, le=1000)]
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)]
    min_seconds: Annotated[float, Field(ge=0.1, le=3600)]
    max_unpacked_gigabytes: Annotated[float, Field(ge=0.001, le=10_000)]
    max_unpacked_files: Annotated[int, Field(ge=1, le=100_000_000)]
    max_unpacked_ratio: Annotated[float, Field(ge=1, le=1_000_000)]
