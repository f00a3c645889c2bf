"""Augmentation of training clips, a batch at a time, each kind drawn for each clip by itself."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

EQUALISER_POINTS = 5
LEAST_DEVIATION = 1e-3  # of a mel band over time: a band that is silent in a clip has none


def stretch(mel_specgram: Tensor, *, tempo: float, bands: float, generator: torch.Generator) -> Tensor:
    """Plays each clip at another tempo and at another pitch, by linear interpolation of `(batch, mel, frame)`.

    The tempo is drawn from `1 / tempo..tempo` times the clip's, evenly on a logarithmic scale, and the pitch from
    `-bands..bands` mel bands; where the clip ends, it is reflected. Schlueter and Grill (2015, ISMIR, "Exploring data
    augmentation for improved singing voice detection") found that changes of pitch and random filters help most.
    """
    (batch, mels, frames), device = mel_specgram.shape, mel_specgram.device
    drawn = 2 * torch.rand(2, batch, generator=generator, device=device) - 1
    zeros = torch.zeros(batch, device=device)
    along_time = torch.stack([tempo ** drawn[0], zeros, zeros], dim=1)
    along_mel = torch.stack([zeros, zeros + 1, drawn[1] * bands * 2 / mels], dim=1)
    maps = torch.stack([along_time, along_mel], dim=1)  # (batch, 2, 3)
    grid = functional.affine_grid(maps, [batch, 1, mels, frames], align_corners=False)
    return functional.grid_sample(mel_specgram[:, None], grid, padding_mode="reflection", align_corners=False)[:, 0]


def mix_styles(mel_specgram: Tensor, *, generator: torch.Generator) -> Tensor:
    """Moves the level and the dynamics of each mel band towards those of the clip before it in the batch.

    These are the mean and the standard deviation of the band over time. They differ between recordings of one genre,
    by instruments and mastering, so a network should not rely on them. MixStyle (Zhou et al. 2021, arXiv:2104.02008)
    along the frequency axis (see Morocutti et al. 2023, arXiv:2305.07499). The share of the other clip is drawn from
    Beta(0.5, 0.5): it is mostly near 0 or near 1.
    """
    drawn = torch.rand(len(mel_specgram), 1, 1, generator=generator, device=mel_specgram.device)
    share = (drawn * torch.pi / 2).sin().square()
    mean = mel_specgram.mean(2, keepdim=True)
    deviation = mel_specgram.std(2, keepdim=True).clamp(min=LEAST_DEVIATION)
    moved = (mel_specgram - mean) / deviation * torch.lerp(deviation, deviation.roll(1, 0), share)
    return moved + torch.lerp(mean, mean.roll(1, 0), share)


def add_noise(mel_specgram: Tensor, *, level: float, generator: torch.Generator) -> Tensor:
    """Adds uniform noise in `0..level` to each value: `(batch, mel, frame)`; 1 is 80 dB."""
    return mel_specgram + level * torch.rand(mel_specgram.shape, generator=generator, device=mel_specgram.device)


def shift_time(mel_specgram: Tensor, *, step: int, steps: int, generator: torch.Generator) -> Tensor:
    """Moves each clip later by 1 to `steps` times `step` frames; what leaves at the end enters at the start."""
    (batch, mels, frames), device = mel_specgram.shape, mel_specgram.device
    shifts = step * torch.randint(1, steps + 1, (batch, 1), generator=generator, device=device)
    source = (torch.arange(frames, device=device) - shifts) % frames  # (batch, frame)
    return mel_specgram.gather(2, source[:, None, :].expand(batch, mels, frames))


def mask(mel_specgram: Tensor, *, dim: int, masks: int, width: int, fill: str, generator: torch.Generator) -> Tensor:
    """Hides `masks` stripes of `width` frames (`dim` 2) or mel bands (`dim` 1).

    SpecAugment (Park et al. 2019, arXiv:1904.08779) with stripes of fixed width, as in the reference system. They may
    overlap; a stripe wider than the clip covers it. They are filled with `fill`: `floor` is 0, which is -80 dB, and
    `mean` is that of the clip, as in SpecAugment.
    """
    batch, size, device = mel_specgram.shape[0], mel_specgram.shape[dim], mel_specgram.device
    starts = torch.randint(0, max(1, size - width + 1), (batch, masks, 1), generator=generator, device=device)
    places = torch.arange(size, device=device)
    hidden = ((places >= starts) & (places < starts + width)).any(dim=1)  # (batch, size)
    hidden = hidden[:, :, None] if dim == 1 else hidden[:, None, :]
    value = mel_specgram.mean((1, 2), keepdim=True) if fill == "mean" else mel_specgram.new_zeros(1)
    return torch.where(hidden, value, mel_specgram)


def limit_band(mel_specgram: Tensor, *, lowest: float, slope: int, generator: torch.Generator) -> Tensor:
    """Silences the bands above a cut-off, as recordings lack them that were stored in few bits or at a low sample rate.

    The cut-off of a clip is drawn from the bands `lowest * n_mels..n_mels`. Above it, the level falls by 80 dB over a
    number of bands drawn from `1..slope`: from an abrupt end to a soft one.
    """
    (batch, mels, _), device = mel_specgram.shape, mel_specgram.device
    cut_offs = torch.randint(round(lowest * mels), mels + 1, (batch, 1), generator=generator, device=device)
    widths = torch.randint(1, slope + 1, (batch, 1), generator=generator, device=device)
    loss = ((torch.arange(mels, device=device) + 1 - cut_offs) / widths).clamp(0, 1)  # (batch, mel)
    return (mel_specgram - loss[:, :, None]).clamp(min=0)


def equalise(mel_specgram: Tensor, *, level: float, generator: torch.Generator) -> Tensor:
    """Raises and lowers the bands along a smooth curve, by at most `level`; what is at the floor stays there.

    The curve of a clip is straight between `EQUALISER_POINTS` gains, drawn from `-level..level`, at even distances.
    """
    batch, mels, _ = mel_specgram.shape
    drawn = torch.rand(batch, 1, EQUALISER_POINTS, generator=generator, device=mel_specgram.device)
    gains = functional.interpolate(level * (2 * drawn - 1), size=mels, mode="linear", align_corners=True)
    return torch.where(mel_specgram > 0, (mel_specgram + gains.transpose(1, 2)).clamp(min=0), mel_specgram)


def punch_holes(mel_specgram: Tensor, *, lowest: float, width: int, generator: torch.Generator) -> Tensor:
    """Sets high bands to 0 for short times, as codecs leave out what they have no bits for.

    Each stretch of `width` frames has, in half of the cases, a cut-off of its own from the bands
    `lowest * n_mels..n_mels`.
    """
    (batch, mels, frames), device = mel_specgram.shape, mel_specgram.device
    stretches = (batch, -(-frames // width))
    cut_offs = torch.randint(round(lowest * mels), mels + 1, stretches, generator=generator, device=device)
    whole = torch.rand(stretches, generator=generator, device=device) < 0.5
    limits = cut_offs.masked_fill(whole, mels).repeat_interleave(width, dim=1)[:, None, :frames]  # (batch, 1, frame)
    return mel_specgram.masked_fill(torch.arange(mels, device=device)[:, None] >= limits, 0.0)


def augment(
    mel_specgram: Tensor,
    *,
    generator: torch.Generator,
    stretch_probability: float,
    stretch_tempo: float,
    stretch_bands: float,
    style_probability: float,
    noise_probability: float,
    noise_level: float,
    shift_probability: float,
    shift_step: int,
    shift_steps: int,
    time_mask_probability: float,
    time_masks: int,
    time_mask_frames: int,
    mel_mask_probability: float,
    mel_masks: int,
    mel_mask_bands: int,
    mask_fill: str,
    band_limit_probability: float,
    band_limit_lowest: float,
    band_limit_slope: int,
    equaliser_probability: float,
    equaliser_level: float,
    hole_probability: float,
    hole_lowest: float,
    hole_frames: int,
) -> Tensor:
    """Applies each kind to each clip with its probability, in the order of the parameters.

    `mel_specgram` is `(batch, mel, frame)` in 0..1, on any device, and left as it is; what comes back has the same
    shape. Noise and the equaliser can lift values above 1, by their levels at most, and another style can move them out
    of 0..1. The `generator`, of the same device, decides everything: the same state gives the same clips. A kind of
    probability 0 draws no numbers. The sizes are those of the section `augment` of params.yaml.
    """
    kinds: tuple[tuple[float, Callable[..., Tensor], dict[str, Any]], ...] = (
        (stretch_probability, stretch, {"tempo": stretch_tempo, "bands": stretch_bands}),
        (style_probability, mix_styles, {}),
        (noise_probability, add_noise, {"level": noise_level}),
        (shift_probability if shift_steps else 0.0, shift_time, {"step": shift_step, "steps": max(1, shift_steps)}),
        (time_mask_probability, mask, {"dim": 2, "masks": time_masks, "width": time_mask_frames, "fill": mask_fill}),
        (mel_mask_probability, mask, {"dim": 1, "masks": mel_masks, "width": mel_mask_bands, "fill": mask_fill}),
        (band_limit_probability, limit_band, {"lowest": band_limit_lowest, "slope": band_limit_slope}),
        (equaliser_probability, equalise, {"level": equaliser_level}),
        (hole_probability, punch_holes, {"lowest": hole_lowest, "width": hole_frames}),
    )
    for probability, change, sizes in kinds:
        if probability == 0:
            continue
        chosen = torch.rand(len(mel_specgram), generator=generator, device=mel_specgram.device) < probability
        changed = change(mel_specgram, **sizes, generator=generator)
        mel_specgram = torch.where(chosen[:, None, None], changed, mel_specgram)
    return mel_specgram
