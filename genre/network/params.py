"""What the network is and what it runs on: the section `model` of params.yaml, and a part of `train`."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from genre.pipeline.settings import Section

# The networks of musicnn were trained on spectrograms with these parameters, in patches of 187 frames. They pool over
# time, so a clip of 192 frames, a multiple of 32, does as well.
MUSICNN_SPECTROGRAM = {"sample_rate": 16_000, "n_fft": 512, "hop_length": 256, "n_mels": 96, "f_max": 8000.0}


class Model(Section):
    """The network's architecture; see `genre.network.unet` and, for musicnn, `genre.network.musicnn`."""

    section: ClassVar[str] = "model"
    network: Literal["unet", "reference", "musicnn"]
    base_channels: Annotated[int, Field(ge=1, le=256)]
    activation: Literal["relu", "prelu"]
    dropout: Annotated[float, Field(ge=0, le=0.95)]


class Computation(Section):
    """Where the network computes, in which number format, and the seed of all random numbers."""

    section: ClassVar[str] = "train"
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)]
    device: Literal["auto", "cpu", "cuda", "mps"]
    precision: Literal["auto", "float32", "bfloat16"]
