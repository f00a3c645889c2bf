"""A trained model as `genre export` writes it, computed by ONNX Runtime: no torch is needed.

The file holds the network, and as metadata the parts of the model file beside the weights, each as JSON.
"""

import json
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as errors

from genre.prediction.trained import Clip, Logits, Trained, trained

INPUT, OUTPUT = "clips", "logits"
SUFFIX = ".onnx"
# What ONNX Runtime raises for a file that is cut off, damaged or of another program.
UNREADABLE = (
    errors.Fail, errors.InvalidArgument, errors.InvalidGraph, errors.InvalidProtobuf, errors.NoModel,
    errors.NotImplemented, errors.RuntimeException,
)  # fmt: skip


def load(path: Path) -> Trained:
    """Reads an exported model.

    Raises:
        ValueError: The file is missing, or not a model that `genre export` wrote.
    """
    try:
        session = onnxruntime.InferenceSession(path.read_bytes(), _options(), providers=["CPUExecutionProvider"])
        content = {name: _parsed(text) for name, text in session.get_modelmeta().custom_metadata_map.items()}
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; `genre export {path}` makes it from a trained model") from None
    except UNREADABLE as error:
        raise ValueError(
            f"{path} must be a model that `genre export` wrote: it is damaged, or of another program"
        ) from error

    def logits(clips: Clip) -> Logits:
        # One by one: this is as fast as several at once, which for musicnn would not fit the processor's cache.
        return np.concatenate([session.run([OUTPUT], {INPUT: clip[None].astype(np.float32)})[0] for clip in clips])

    model = trained(path, logits, content)
    _check_shapes(path, session, model)
    return model


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors are reported by the exception, not also by a log message
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # a thread that waits leaves its core
    return options


def _parsed(text: str) -> object:
    """Returns the value of a metadata entry; an entry that is not JSON, as other programs write them, stays a text."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _check_shapes(path: Path, session: onnxruntime.InferenceSession, model: Trained) -> None:
    """Checks that the network's input and output have the dimensions of the clips and genres in the metadata."""
    clip, genres = [model.spectrogram.n_mels, model.clips.clip_frames], [len(model.genres)]
    ends = (session.get_inputs(), session.get_outputs())
    inputs, outputs = ({one.name: one.shape[1:] for one in some} for some in ends)
    if inputs != {INPUT: clip} or outputs != {OUTPUT: genres}:
        raise ValueError(
            f"{path} must take {INPUT} of {clip} and give {OUTPUT} of {genres}, got {inputs} and {outputs}; "
            "export the model again"
        )
