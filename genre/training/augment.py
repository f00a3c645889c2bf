"""Augmentation of training clips, a batch at a time, each kind drawn for each clip by itself."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


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
) -> Tensor:
    """Applies each kind to each clip with its probability, in the order noise, shift, time masks, mel masks.

    `mel_specgram` is `(batch, mel, frame)` in 0..1, on any device, and left as it is; what comes back has the same
    shape, and noise can lift values above 1, by `noise_level` at most. The `generator`, of the same device, decides
    everything: the same state gives the same clips. The sizes are those of the section `augment` of params.yaml.
    """
    kinds: tuple[tuple[float, Callable[..., Tensor], dict[str, Any]], ...] = (
        (noise_probability, add_noise, {"level": noise_level}),
        (shift_probability if shift_steps else 0.0, shift_time, {"step": shift_step, "steps": max(1, shift_steps)}),
        (time_mask_probability, mask, {"dim": 2, "masks": time_masks, "width": time_mask_frames}),
        (mel_mask_probability, mask, {"dim": 1, "masks": mel_masks, "width": mel_mask_bands}),
    )
    for probability, change, sizes in kinds:
        chosen = torch.rand(len(mel_specgram), generator=generator, device=mel_specgram.device) < probability
        changed = change(mel_specgram, **sizes, generator=generator)
        mel_specgram = torch.where(chosen[:, None, None], changed, mel_specgram)
    return mel_specgram
