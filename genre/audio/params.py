"""The section `spectrogram` of params.yaml: the log-mel power spectrogram."""

import math
from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from genre.audio.mel_scale import band_edges
from genre.pipeline.settings import Section


class Spectrogram(Section):
    """Sampling rate and resolution of the log-mel power spectrogram; see `genre.audio.mel.log_mel`."""

    section: ClassVar[str] = "spectrogram"
    sample_rate: Annotated[int, Field(ge=8000, le=192_000)]  # the search for repetitions needs 8000 Hz
    n_fft: Annotated[int, Field(ge=64, le=32_768)]
    hop_length: Annotated[int, Field(ge=1, le=32_768)]
    n_mels: Annotated[int, Field(ge=32, le=1024, multiple_of=32)]  # the network halves it five times
    f_max: Annotated[float, Field(ge=1000, le=96_000)]

    @model_validator(mode="after")
    def _hops_overlap(self) -> "Spectrogram":
        if self.hop_length > self.n_fft:
            raise ValueError(
                f"spectrogram.hop_length must be in 1..n_fft ({self.n_fft}), got {self.hop_length}; "
                "longer hops skip samples"
            )
        return self

    @model_validator(mode="after")
    def _bands_hold_sound(self) -> "Spectrogram":
        if self.f_max > self.sample_rate / 2:
            raise ValueError(
                f"spectrogram.f_max must be in 1000..{self.sample_rate / 2:g}, half of spectrogram.sample_rate, got "
                f"{self.f_max:g}; above it there is no sound"
            )
        return self

    @model_validator(mode="after")
    def _bands_hold_frequencies(self) -> "Spectrogram":
        """Checks that no band lies between two frequencies of the transform, where it would be 0 for ever."""
        edges = band_edges(self.n_mels, self.f_max)
        narrowest, distance = (edges[2:] - edges[:-2]).min(), self.sample_rate / self.n_fft
        if narrowest < distance:
            least = math.ceil(self.sample_rate / narrowest)
            raise ValueError(
                f"spectrogram.n_fft must be at least {least} for n_mels {self.n_mels} and f_max {self.f_max:g}, got "
                f"{self.n_fft}: its frequencies are {distance:.1f} Hz apart, and the "
                f"narrowest mel band is {narrowest:.1f} Hz wide; raise n_fft, or lower n_mels"
            )
        return self
