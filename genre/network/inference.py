"""What a network says of clips, without training it."""

import torch
from torch import Tensor, nn

from genre.network.hardware import Hardware, explained

EVALUATION_BATCH = 64


def predict(network: nn.Module, clips: Tensor, *, hardware: Hardware, temperature: float = 1.0) -> Tensor:
    """Returns the genres' probabilities of clips `(clip, mel, frame)`: `(clip, genre)`, float32, on the CPU.

    Args:
        network: Computes logits `(batch, genre)` from `(batch, mel, frame)`.
        clips: In 0..1.
        hardware: Where the network computes.
        temperature: Divides the logits; see `genre.training.calibration`.

    Raises:
        ValueError: Memory ran out; the message names the parameters to change.
    """
    return (compute_logits(network, clips, hardware=hardware) / temperature).softmax(dim=1)


def compute_logits(network: nn.Module, clips: Tensor, *, hardware: Hardware) -> Tensor:
    """Returns the logits of clips `(clip, mel, frame)`: `(clip, genre)`; see `predict`."""
    network.eval()
    try:
        with torch.inference_mode(), hardware.autocast():
            logits = [
                network(part.float().to(hardware.device)).float().cpu() for part in torch.split(clips, EVALUATION_BATCH)
            ]
    except (MemoryError, RuntimeError) as error:
        raise explained(error, "split.clip_frames") from error
    return torch.cat(logits)


def evaluate(network: nn.Module, clips: Tensor, labels: Tensor, *, hardware: Hardware) -> tuple[float, float]:
    """Returns the mean cross entropy (without label smoothing) and the accuracy on clips, without augmentation.

    Args:
        network: Computes logits `(batch, genre)` from `(batch, mel, frame)`.
        clips: `(clip, mel, frame)` in 0..1.
        labels: `(clip,)`, the number of each clip's genre.
        hardware: Where the network computes.
    """
    probabilities = predict(network, clips, hardware=hardware)
    loss = nn.functional.nll_loss(probabilities.clamp(min=1e-7).log(), labels)
    return float(loss), float((probabilities.argmax(1) == labels).float().mean())
