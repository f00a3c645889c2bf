"""Slaney's mel scale (Auditory Toolbox, 1998), librosa's default, and the bands that divide it evenly."""

import numpy as np
import numpy.typing as npt

# The scale is linear below 1000 Hz, which is 15 mel, and grows 6.4 times in 27 mel above.
_LINEAR_HERTZ, _LINEAR_MELS, _MELS_PER_LOG = 1000.0, 15.0, 27 / np.log(6.4)


def band_edges(n_mels: int, f_max: float) -> npt.NDArray[np.float64]:
    """Computes the frequencies in Hz that `n_mels` triangular bands from 0 Hz to `f_max` lie between: `(n_mels + 2,)`.

    Band k rises from value k to value k + 1, where it weighs most, and falls to value k + 2.
    """
    return _mel_to_hertz(np.linspace(0, _hertz_to_mel(f_max), n_mels + 2))


def mel_frequencies(n_mels: int, f_max: float) -> npt.NDArray[np.float32]:
    """Computes the frequency in Hz at which each mel band weighs most, in increasing order: `(n_mels,)`."""
    return band_edges(n_mels, f_max)[1:-1].astype(np.float32)


def _hertz_to_mel(hertz: float) -> float:
    if hertz < _LINEAR_HERTZ:
        return hertz * _LINEAR_MELS / _LINEAR_HERTZ
    return float(_LINEAR_MELS + np.log(hertz / _LINEAR_HERTZ) * _MELS_PER_LOG)


def _mel_to_hertz(mels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    logarithmic = _LINEAR_HERTZ * np.exp((mels - _LINEAR_MELS) / _MELS_PER_LOG)
    return np.where(mels < _LINEAR_MELS, mels * _LINEAR_HERTZ / _LINEAR_MELS, logarithmic)
