"""Mixup (Zhang et al. 2018, "mixup: beyond empirical risk minimization", arXiv:1710.09412): clips are mixed in pairs.

A mixed clip is `share * clip + (1 - share) * other`, and its loss is mixed in the same way. The other one is the next
clip of the batch, whose order is random already. Each pair has a share of its own, drawn from Beta(alpha, alpha). A
share and its complement are equally probable, so the larger one is taken: the clip's own genre is always the main one.
"""

import numpy as np
import torch
from torch import Tensor


def draw_shares(alpha: float, clips: int, seed: int) -> Tensor:
    """Draws the share of each clip: `(clip,)` in 0.5..1, float32, on the CPU."""
    shares = np.random.default_rng(seed).beta(alpha, alpha, clips)
    return torch.from_numpy(np.maximum(shares, 1 - shares).astype(np.float32))


def mix(clips: Tensor, shares: Tensor) -> Tensor:
    """Mixes each clip of `(batch, mel, frame)` with the next one, the last with the first."""
    return torch.lerp(partners(clips), clips, shares[:, None, None])


def partners(of_clips: Tensor) -> Tensor:
    """Returns what belongs to the clips that `mix` mixes in, from what belongs to the clips: `(batch, ...)`."""
    return of_clips.roll(-1, 0)
