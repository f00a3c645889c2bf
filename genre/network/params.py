"""What the network is and what it runs on: the section `model` of params.yaml, and a part of `train`."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from genre.pipeline.settings import Section


class Model(Section):
    """The network's architecture; see `genre.network.unet`."""

    section: ClassVar[str] = "model"
    network: Literal["unet", "reference"]
    base_channels: Annotated[int, Field(ge=1, le=256)]
    activation: Literal["relu", "prelu"]
    dropout: Annotated[float, Field(ge=0, le=0.95)]


class Computation(Section):
    """Where the network computes, in which number format, and the seed of all random numbers."""

    section: ClassVar[str] = "train"
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)]
    device: Literal["auto", "cpu", "cuda", "mps"]
    precision: Literal["auto", "float32", "bfloat16"]
