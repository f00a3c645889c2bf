"""The section `split` of params.yaml: how tracks are assigned to train, valid and test."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from genre.spectrograms.params import Clips


class Split(Clips):
    """The section `split` of params.yaml: what the stage `split` reads, and the parameters of clips, inherited.

    How a track is cut into clips belongs to the same section, but the stages after `split` read it; see `Clips`.
    """

    protocol: Literal["stratified", "fault-filtered", "kfold", "file"]
    valid: Annotated[float, Field(ge=0, le=0.9)]
    test: Annotated[float, Field(ge=0, le=0.9)]
    folds: Annotated[int, Field(ge=2, le=100)]
    fold: Annotated[int, Field(ge=0, le=99)]
    file: str | None
    group_by: Literal["none", "repetition", "artist", "album", "column"]
    groups: str | None
    leaks: Literal["fail", "warn"]
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)]

    @property
    def listed(self) -> bool:
        """Whether a list says which track is in which subset; otherwise the subsets are drawn."""
        return self.protocol in ("file", "fault-filtered")

    @model_validator(mode="after")
    def _shares_leave_tracks(self) -> "Split":
        if self.valid + self.test > 0.95:
            raise ValueError(
                f"split.valid + split.test must leave tracks to train on (at most 0.95), got {self.valid} + {self.test}"
            )
        if self.protocol == "stratified" and self.valid == self.test == 0:
            raise ValueError(
                "split.valid or split.test must be above 0, got 0 and 0; no track would be left to evaluate"
            )
        if self.fold >= self.folds:
            raise ValueError(f"split.fold must be in 0..split.folds - 1 ({self.folds - 1}), got {self.fold}")
        return self

    @model_validator(mode="after")
    def _tables_are_named(self) -> "Split":
        if self.group_by != "none" and self.listed:
            raise ValueError(
                f"split.group_by must be none for split.protocol {self.protocol}, whose list assigns the subsets, got "
                f"{self.group_by!r}"
            )
        if self.protocol == "file" and not self.file:
            raise ValueError("split.file must name a CSV table track,subset when split.protocol is file, got none")
        if self.group_by == "column" and not self.groups:
            raise ValueError("split.groups must name a CSV table track,group when split.group_by is column, got none")
        return self
