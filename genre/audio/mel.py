"""The log-mel power spectrogram: one code path for the pipeline and for `genre predict`."""

from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from torchaudio.transforms import MelSpectrogram

Waveform = npt.NDArray[np.float32]  # (time,)

FLOOR_DECIBELS = 80.0
BLOCK_FRAMES = 2048


def log_mel(
    waveform: Waveform, *, sample_rate: int, n_fft: int, hop_length: int, n_mels: int
) -> npt.NDArray[np.float16]:
    """Computes the log-mel power spectrogram of a whole recording: `(time,)` -> `(frame, n_mels)`.

    Values are decibels relative to the recording's own peak, floored at -80 and mapped to 0..1, in half precision
    (steps of 0.04 dB at most). Frames are centred on multiples of `hop_length`, with zeros beyond both ends:
    `1 + time // hop_length` of them. The mel scale and its area normalisation are Slaney's (Auditory Toolbox, 1998),
    librosa's default. Silence gives zeros.
    """
    transform = _mel(sample_rate, n_fft, hop_length, n_mels)
    padded = torch.nn.functional.pad(torch.from_numpy(waveform), (n_fft // 2, n_fft // 2))
    frames = 1 + len(waveform) // hop_length
    power = torch.cat(
        [
            transform(padded[start * hop_length : (min(start + BLOCK_FRAMES, frames) - 1) * hop_length + n_fft])
            for start in range(0, frames, BLOCK_FRAMES)
        ],
        dim=1,
    )
    if not power.max() > 0:
        return np.zeros((frames, n_mels), np.float16)
    decibels = 10 * torch.log10((power / power.max()).clamp(min=10 ** (-FLOOR_DECIBELS / 10)))
    return (1 + decibels / FLOOR_DECIBELS).T.contiguous().numpy().astype(np.float16)


def mel_frequencies(*, sample_rate: int, n_fft: int, n_mels: int) -> npt.NDArray[np.float32]:
    """Gives the frequency in Hz at which each mel band weighs most: `(n_mels,)`."""
    bank = _mel(sample_rate, n_fft, n_fft, n_mels).mel_scale.fb  # (n_fft // 2 + 1, n_mels)
    bins = torch.arange(bank.shape[0], dtype=torch.float32) * sample_rate / n_fft
    weights = bank.sum(0).numpy()
    centres = (bank * bins[:, None]).sum(0).numpy() / np.where(weights > 0, weights, 1)
    # A band narrower than the distance of two bins may have none: it gets a place between its neighbours.
    bands, filled = np.arange(n_mels), np.flatnonzero(weights > 0)
    whole: npt.NDArray[np.float32] = np.where(weights > 0, centres, np.interp(bands, filled, centres[filled]))
    return whole.astype(np.float32)


@cache
def _mel(sample_rate: int, n_fft: int, hop_length: int, n_mels: int) -> MelSpectrogram:
    return MelSpectrogram(
        sample_rate,
        n_fft,
        hop_length=hop_length,
        n_mels=n_mels,
        center=False,
        norm="slaney",
        mel_scale="slaney",
    )
