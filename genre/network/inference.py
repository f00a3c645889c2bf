"""What a network says of clips, without training it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from genre.network.hardware import Hardware, explained
from genre.network.musicnn.network import Musicnn

# Clips at a time. On a CPU, more clips would have activations of over 32 MB. glibc asks the system for memory of this
# size each time and gives it back, which takes a quarter of the time.
BATCH_ON_CPU, BATCH_ON_GPU = 16, 256


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
    """Returns the logits of clips `(clip, mel, frame)`: `(clip, genre)`, float32, on the CPU; see `predict`."""
    return _logits_on_device(network, clips, hardware).cpu()


def evaluate(network: nn.Module, clips: Tensor, labels: Tensor, *, hardware: Hardware) -> Tensor:
    """Sums up cross entropy (without label smoothing) and correct answers over clips, without augmentation.

    Args:
        network: Computes logits `(batch, genre)` from `(batch, mel, frame)`.
        clips: `(clip, mel, frame)` in 0..1.
        labels: `(clip,)`, the number of each clip's genre.
        hardware: Where the network computes.

    Returns:
        `(2,)` on the device: the sum of the clips' cross entropies, and how many of the clips are classified correctly.
    """
    probabilities = _logits_on_device(network, clips, hardware).softmax(dim=1)
    labels = labels.to(probabilities.device)
    loss = nn.functional.nll_loss(probabilities.clamp(min=1e-7).log(), labels, reduction="sum")
    return torch.stack([loss, (probabilities.argmax(1) == labels).sum().to(loss.dtype)])


def compute_features(network: Musicnn, clips: Tensor, *, hardware: Hardware) -> Tensor:
    """Returns what a head learns from, the features of clips `(clip, mel, frame)`: `(clip, 456)`, on the CPU.

    Raises:
        ValueError: Memory ran out; the message names the parameters to change.
    """
    with _computing(hardware):
        return network.features(clips.to(hardware.device).float()).float().cpu()


def _logits_on_device(network: nn.Module, clips: Tensor, hardware: Hardware) -> Tensor:
    network.eval()
    size = BATCH_ON_CPU if hardware.device == "cpu" else BATCH_ON_GPU
    with _computing(hardware):
        # Half the bytes go to the device if the clips become float32 there.
        return torch.cat([network(part.to(hardware.device).float()).float() for part in torch.split(clips, size)])


@contextmanager
def _computing(hardware: Hardware) -> Iterator[None]:
    """Computes without gradients, in the number format of the hardware; says what to lower if memory runs out."""
    try:
        with torch.inference_mode(), hardware.autocast():
            yield
    except (MemoryError, RuntimeError) as error:
        raise explained(error, "split.clip_frames") from error
