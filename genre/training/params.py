"""The sections `augment` and `train` of params.yaml."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from genre.network.params import Computation
from genre.pipeline.settings import Section

Share = Annotated[float, Field(ge=0, le=1)]


class Augment(Section):
    """Augmentation of training clips: each kind with its probability and size; see `genre.training.augment`."""

    section: ClassVar[str] = "augment"
    stretch_probability: Share
    stretch_tempo: Annotated[float, Field(ge=1, le=4)]
    stretch_bands: Annotated[float, Field(ge=0, le=64)]
    style_probability: Share
    noise_probability: Share
    noise_level: Share
    shift_probability: Share
    shift_step: Annotated[int, Field(ge=1, le=8192)]
    shift_steps: Annotated[int, Field(ge=0, le=8192)]
    time_mask_probability: Share
    time_masks: Annotated[int, Field(ge=0, le=100)]
    time_mask_frames: Annotated[int, Field(ge=0, le=8192)]
    mel_mask_probability: Share
    mel_masks: Annotated[int, Field(ge=0, le=100)]
    mel_mask_bands: Annotated[int, Field(ge=0, le=1024)]
    mask_fill: Literal["floor", "mean"]
    band_limit_probability: Share
    band_limit_lowest: Share
    band_limit_slope: Annotated[int, Field(ge=1, le=1024)]
    equaliser_probability: Share
    equaliser_level: Share
    hole_probability: Share
    hole_lowest: Share
    hole_frames: Annotated[int, Field(ge=1, le=8192)]


def check_batch(batch_size: int, devices: int) -> None:
    """Checks that every device gets two clips of a batch, which batch norm needs.

    Raises:
        ValueError: They get fewer.
    """
    if batch_size < 2 * devices:
        raise ValueError(
            f"train.batch_size must be at least 2 for each of the {devices} devices, got {batch_size}; raise it, or "
            "lower train.devices"
        )


class Train(Computation):
    """The training loop; see `genre.training.loop.fit`."""

    epochs: Annotated[int, Field(ge=1, le=10_000)]
    batch_size: Annotated[int, Field(ge=2, le=4096)]  # batch norm needs two clips
    optimizer: Literal["adamw", "adam"]
    learning_rate: Annotated[float, Field(ge=1e-8, le=10)]
    schedule: Literal["one-cycle", "constant"]
    weight_decay: Annotated[float, Field(ge=0, le=10)]
    l2_penalty: Annotated[float, Field(ge=0, le=10)]
    label_smoothing: Annotated[float, Field(ge=0, le=0.9)]
    mixup: Annotated[float, Field(ge=0, le=10)]
    average: Annotated[float, Field(ge=0, le=0.99999)]
    trunk_rate: Share
    crops: Literal["random", "fixed"]
    crop_frames: Annotated[int, Field(ge=32, le=8192, multiple_of=32)] | None
    keep: Literal["best", "last"]
    devices: Annotated[int, Field(ge=1, le=1024)] | Literal["auto"]

    @model_validator(mode="after")
    def _every_device_gets_two_clips(self) -> "Train":
        if self.devices != "auto":
            check_batch(self.batch_size, self.devices)
        return self

    def input_frames(self, clip_frames: int) -> int:
        """Returns how many frames the network is trained on at a time: those of a random crop, or of a whole clip."""
        return (self.crop_frames or clip_frames) if self.crops == "random" else clip_frames
