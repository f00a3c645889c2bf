"""A trained model as the pipeline writes it (`models/model.pt`), computed by torch."""

from pathlib import Path

import torch

from genre.network import model_file
from genre.network.hardware import Hardware
from genre.network.inference import compute_logits
from genre.prediction.trained import Clip, Logits, Trained, trained


def load(path: Path) -> Trained:
    """Reads a model file.

    Raises:
        ValueError: The file is not a model of this project.
    """
    network, content = model_file.load(path)

    def logits(clips: Clip) -> Logits:
        hardware = Hardware("cpu", "float32", torch.get_num_threads())
        values: Logits = compute_logits(network, torch.from_numpy(clips), hardware=hardware).numpy()
        return values

    return trained(path, logits, content)
