"""Two networks that were trained to tag the Million Song Dataset, with a head that is fitted to the genres.

Pons and Serra, "musicnn: Pre-trained convolutional neural networks for music audio tagging", 2019, arXiv:1909.06654.
The trunk is their models `MSD_musicnn` and `MSD_vgg` side by side; the head, a linear layer on the features of both, is
fitted to the genres. The trunk stays as published unless it is trained on (`train.trunk_rate`).
"""

import torch
from torch import Tensor, nn

from genre.network.musicnn import msd_musicnn, msd_vgg, weights

FEATURES = msd_musicnn.FEATURES + msd_vgg.FEATURES  # 456
FLOOR_DECIBELS = 80.0  # what 0 stands for in a stored spectrogram, below the track's peak
# The store keeps no track's level, so every track is taken to have the same one. This peak power is the median of the
# recordings that the recipe was chosen on, at full scale 1; a model then says the same of a quieter copy.
PEAK_POWER = 80.0
# The first layers make up to 19 MB a clip: on a CPU more at once take no less time, a GPU needs many.
CLIPS_AT_ONCE, CLIPS_AT_ONCE_ON_GPU = 1, 32


class Trunk(nn.Module):
    """The two published networks side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.musicnn = msd_musicnn.MsdMusicnn()
        self.vgg = msd_vgg.MsdVgg()

    def forward(self, log_mel: Tensor) -> Tensor:
        """Computes the features of both networks: `(batch, frame, mel)` -> `(batch, 456)`.

        Args:
            log_mel: See `compressed_power`.
        """
        return torch.cat([self.musicnn(log_mel), self.vgg(log_mel)], dim=1)


class Musicnn(nn.Module):
    """The trunk and a head for the genres: computes logits for clips of the store, as the other networks do.

    The trunk's batch norms keep their published statistics in training too: batches of few tracks would give others.
    """

    def __init__(self, *, genres: int) -> None:
        super().__init__()
        self.trunk = Trunk()
        self.head = nn.Linear(FEATURES, genres)

    def train(self, mode: bool = True) -> "Musicnn":
        """Sets the head to training or evaluation; the trunk is always in evaluation mode, which has gradients too."""
        super().train(mode)
        self.trunk.eval()
        return self

    def forward(self, mel_specgram: Tensor) -> Tensor:
        """Computes logits: `(batch, mel, frame)` in 0..1 -> `(batch, genre)`."""
        logits: Tensor = self.head(self.features(mel_specgram))
        return logits

    def features(self, mel_specgram: Tensor) -> Tensor:
        """Computes what the head learns from: `(batch, mel, frame)` in 0..1 -> `(batch, 456)`."""
        log_mel = compressed_power(mel_specgram).transpose(1, 2)  # (batch, frame, mel)
        at_once = CLIPS_AT_ONCE if log_mel.device.type == "cpu" else CLIPS_AT_ONCE_ON_GPU
        return torch.cat([self.trunk(clips) for clips in torch.split(log_mel, at_once)])


def compressed_power(mel_specgram: Tensor) -> Tensor:
    """Turns stored values in 0..1 (decibels below the track's peak) into `log10(10 000 p + 1)`, the trunk's input.

    What the store's floor of -80 dB hides would be below 0.004 here, where the loudest values are about 6.
    """
    power = PEAK_POWER * 10 ** (FLOOR_DECIBELS / 10 * (mel_specgram - 1))
    return torch.log10(10_000 * power + 1)


def load_pretrained() -> Trunk:
    """Makes the trunk with the published weights, in evaluation mode.

    Raises:
        ValueError: The package `musicnn` is not installed, or its files are damaged.
    """
    folder, trunk = weights.installed_folder(), Trunk()
    weights.set_msd_musicnn(trunk.musicnn, weights.read_checkpoint(folder / "MSD_musicnn"))
    weights.set_msd_vgg(trunk.vgg, weights.read_checkpoint(folder / "MSD_vgg"))
    return trunk.eval()
