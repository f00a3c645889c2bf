"""Writes a trained model as an ONNX file, which programs without torch can compute.

See docs/export.md for what is in the file.
"""

import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from genre.network import model_file
from genre.network.musicnn.network import Musicnn, compressed_power
from genre.pipeline import files
from genre.prediction import onnx_model, torch_model
from genre.prediction.onnx_model import INPUT, OUTPUT, SUFFIX

TOLERANCE = 1e-4  # the largest difference between torch and ONNX Runtime
CHECKED_CLIPS = 4
FRONT_END = """\
clips is float32 (clip, mel, frame) with values in 0..1; spectrogram and clip_params hold the sizes. From a recording: \
decode it; take the mean of its channels; resample to sample_rate Hz; cut it into frames of n_fft samples, centred on \
multiples of hop_length, with zeros beyond both ends; multiply by a periodic Hann window; take the squared magnitude \
of the real Fourier transform; sum it by n_mels triangular filters of area 1 from 0 Hz to f_max, with \
centres evenly spaced on Slaney's mel scale (librosa's default); divide by the largest value of the recording; take \
1 + log10(x) / 8 and at least 0; round to float16; cut windows of clip_frames frames. The probabilities of a clip are \
softmax(logits / calibration.temperature), those of a recording softmax(mean of its clips' \
logits / calibration.temperature). If the highest of them is \
below calibration.unsure_below, the prediction is unsure."""


def export(model_pt: Path, onnx: Path) -> float:
    """Writes the network and all that a prediction needs into one file, and compares its probabilities with torch's.

    The file takes any number of clips at once. The same model gives the same bytes.

    Args:
        model_pt: The trained model.
        onnx: The file to write; its name must end in `.onnx`.

    Returns:
        The largest difference between both, on random clips: see `largest_difference`.

    Raises:
        ValueError: The model cannot be read, the name has another suffix, or both differ by more than `TOLERANCE`.
    """
    if onnx.suffix != SUFFIX:
        raise ValueError(f"the name of an exported model must end in {SUFFIX}, got {onnx}")
    network, content = model_file.load(model_pt)
    program = _converted(network, content["spectrogram"]["n_mels"], content["clip_params"]["clip_frames"])
    for node in program.model.graph:
        node.metadata_props.clear()  # the lines of code that made it, with their folders on this machine
    program.model.metadata_props.update(_metadata(content))
    with files.replacing(onnx) as temporary:
        program.save(str(temporary), external_data=False)
        difference = largest_difference(model_pt, temporary)
        if not difference <= TOLERANCE:
            raise ValueError(f"{onnx}: must differ from torch's network by at most {TOLERANCE}, got {difference:.1e}")
    return difference


def largest_difference(model_pt: Path, onnx: Path) -> float:
    """Returns by how much torch and ONNX Runtime differ on random clips, in probabilities or logits.

    Random clips are unlike music: their probabilities may be so near 0 and 1 that they hide a difference. So logits are
    compared too, as shares of the largest one; the larger of both differences counts.
    """
    models = (torch_model.load(model_pt), onnx_model.load(onnx))
    shape = (CHECKED_CLIPS, models[0].spectrogram.n_mels, models[0].clips.clip_frames)
    clips = np.random.default_rng(0).uniform(size=shape).astype(np.float16)
    ours, theirs = (model.logits(clips) for model in models)
    of_logits = np.abs(ours - theirs).max() / max(np.abs(ours).max(), np.finfo(np.float32).tiny)
    of_probabilities = np.abs(models[0].from_logits(ours) - models[1].from_logits(theirs)).max()
    return float(max(of_probabilities, of_logits))


class _AllAtOnce(nn.Module):
    """musicnn without its division of clips into small groups, which ONNX cannot express for any number of clips."""

    def __init__(self, network: Musicnn) -> None:
        super().__init__()
        self.trunk, self.head = network.trunk, network.head

    def forward(self, mel_specgram: Tensor) -> Tensor:
        logits: Tensor = self.head(self.trunk(compressed_power(mel_specgram).transpose(1, 2)))
        return logits


def _converted(network: nn.Module, n_mels: int, clip_frames: int) -> Any:
    """Converts a network to an `ONNXProgram` that takes any number of clips."""
    whole = _AllAtOnce(network) if isinstance(network, Musicnn) else network
    with _quiet():
        return torch.onnx.export(
            whole.eval(), (torch.rand(2, n_mels, clip_frames),), dynamo=True, verbose=False, input_names=[INPUT],
            output_names=[OUTPUT], dynamic_shapes=({0: torch.export.Dim("clip")},),
        )  # fmt: skip


@contextmanager
def _quiet() -> Iterator[None]:
    """Hides warnings of torch's exporter: about packages it could also use, and about its own outdated calls."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        logger.setLevel(level)


def _metadata(content: dict[str, Any]) -> dict[str, str]:
    """Returns the metadata: what the model file holds beside the weights, the version, and how clips are made."""
    values = {**content, "version": version("genre"), "front_end": FRONT_END}
    return {name: json.dumps(value, ensure_ascii=False) for name, value in values.items()}
