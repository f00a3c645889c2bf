"""Augmentation of training clips, a batch at a time, each kind drawn for each clip by itself."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

EQUALISER_POINTS = 5


def add_noise(mel_specgram: Tensor, *, level: float, generator: torch.Generator) -> Tensor:
    """Adds uniform noise in `0..level` to each value: `(batch, mel, frame)`; 1 is 80 dB."""
    return mel_specgram + level * torch.rand(mel_specgram.shape, generator=generator, device=mel_specgram.device)


def shift_time(mel_specgram: Tensor, *, step: int, steps: int, generator: torch.Generator) -> Tensor:
    """Moves each clip later by 1 to `steps` times `step` frames; what leaves at the end enters at the start."""
    (batch, mels, frames), device = mel_specgram.shape, mel_specgram.device
    shifts = step * torch.randint(1, steps + 1, (batch, 1), generator=generator, device=device)
    source = (torch.arange(frames, device=device) - shifts) % frames  # (batch, frame)
    return mel_specgram.gather(2, source[:, None, :].expand(batch, mels, frames))


def mask(mel_specgram: Tensor, *, dim: int, masks: int, width: int, generator: torch.Generator) -> Tensor:
    """Sets `masks` stripes of `width` frames (`dim` 2) or mel bands (`dim` 1) to 0, the floor of -80 dB.

    SpecAugment (Park et al. 2019, arXiv:1904.08779) with stripes of fixed width, as in the reference system. They may
    overlap; a stripe wider than the clip covers it.
    """
    batch, size, device = mel_specgram.shape[0], mel_specgram.shape[dim], mel_specgram.device
    starts = torch.randint(0, max(1, size - width + 1), (batch, masks, 1), generator=generator, device=device)
    places = torch.arange(size, device=device)
    hidden = ((places >= starts) & (places < starts + width)).any(dim=1)  # (batch, size)
    return mel_specgram.masked_fill(hidden[:, :, None] if dim == 1 else hidden[:, None, :], 0.0)


def limit_band(mel_specgram: Tensor, *, lowest: int, slope: int, generator: torch.Generator) -> Tensor:
    """Silences the bands above a cut-off, as recordings lack them that were stored in few bits or at a low sample rate.

    The cut-off of a clip is drawn from the bands `lowest..n_mels`. Above it, the level falls by 80 dB over a number of
    bands drawn from `1..slope`: from an abrupt end to a soft one.
    """
    (batch, mels, _), device = mel_specgram.shape, mel_specgram.device
    cut_offs = torch.randint(min(lowest, mels), mels + 1, (batch, 1), generator=generator, device=device)
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


def punch_holes(mel_specgram: Tensor, *, lowest: int, width: int, generator: torch.Generator) -> Tensor:
    """Sets high bands to 0 for short times, as codecs leave out what they have no bits for.

    Each stretch of `width` frames has, in half of the cases, a cut-off of its own from the bands `lowest..n_mels`.
    """
    (batch, mels, frames), device = mel_specgram.shape, mel_specgram.device
    stretches = (batch, -(-frames // width))
    cut_offs = torch.randint(min(lowest, mels), mels + 1, stretches, generator=generator, device=device)
    whole = torch.rand(stretches, generator=generator, device=device) < 0.5
    limits = cut_offs.masked_fill(whole, mels).repeat_interleave(width, dim=1)[:, None, :frames]  # (batch, 1, frame)
    return mel_specgram.masked_fill(torch.arange(mels, device=device)[:, None] >= limits, 0.0)


def augment(
    mel_specgram: Tensor,
    *,
    generator: torch.Generator,
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
    band_limit_probability: float,
    band_limit_lowest: int,
    band_limit_slope: int,
    equaliser_probability: float,
    equaliser_level: float,
    hole_probability: float,
    hole_lowest: int,
    hole_frames: int,
) -> Tensor:
    """Applies each kind to each clip with its probability, in the order of the parameters.

    `mel_specgram` is `(batch, mel, frame)` in 0..1, on any device, and left as it is; what comes back has the same
    shape. Noise and the equaliser can lift values above 1, by their levels at most. The `generator`, of the same
    device, decides everything: the same state gives the same clips. A kind of probability 0 draws no numbers. The sizes
    are those of the section `augment` of params.yaml.
    """
    kinds: tuple[tuple[float, Callable[..., Tensor], dict[str, Any]], ...] = (
        (noise_probability, add_noise, {"level": noise_level}),
        (shift_probability if shift_steps else 0.0, shift_time, {"step": shift_step, "steps": max(1, shift_steps)}),
        (time_mask_probability, mask, {"dim": 2, "masks": time_masks, "width": time_mask_frames}),
        (mel_mask_probability, mask, {"dim": 1, "masks": mel_masks, "width": mel_mask_bands}),
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
