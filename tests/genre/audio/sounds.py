"""Sounds encoded with PyAV, so that no binary file stands in git."""

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

RATE = 44100


def noise(seconds: float = 3.0, rate: int = RATE, channels: int = 2, seed: int = 0) -> np.ndarray:
    """Gives quiet noise of 16 bits as `(time, channel)`."""
    values = np.random.default_rng(seed).integers(-8000, 8000, (round(seconds * rate), channels))
    return (values / 32768).astype(np.float32)


def tone(frequency: float = 440.0, seconds: float = 3.0, rate: int = RATE, channels: int = 2) -> np.ndarray:
    """Gives a tone of 16 bits as `(time, channel)`."""
    wave = 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)
    return np.repeat((np.round(wave * 32768) / 32768).astype(np.float32)[:, None], channels, axis=1)


def encoded(
    codec: str, form: str, samples: np.ndarray, rate: int = RATE, *, sample_format: str = "", bit_rate: int = 0,
    options: dict[str, str] | None = None, tags: dict[str, str] | None = None, codec_options: dict[str, str] | None = None,
    seekable: bool = True, path: Path | None = None,
) -> bytes:  # fmt: skip
    """Encodes `(time, channel)` and gives the file's bytes; not `seekable` is as if it were streamed.

    Some options of containers need a file at `path`.
    """
    file = io.BytesIO()
    if not seekable:
        file.seekable = lambda: False
    layout = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[samples.shape[1]]
    with av.open(str(path) if path else file, "w", format=form, options=options or {}) as container:
        container.metadata.update(tags or {})
        stream = container.add_stream(codec, rate=rate, layout=layout, options=codec_options or {})
        if bit_rate:
            stream.bit_rate = bit_rate
        if sample_format:
            stream.codec_context.format = sample_format
        container.start_encoding()
        context = stream.codec_context
        resampler = av.AudioResampler(context.format.name, layout, rate, context.frame_size or 1024)
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples).reshape(1, -1), "flt", layout)
        frame.sample_rate = rate
        place = 0
        for piece in [*(resampler.resample(frame) if len(samples) else []), *resampler.resample(None), None]:
            if piece:
                piece.pts, piece.time_base = place, Fraction(1, rate)
                place += piece.samples
            container.mux(packet for packet in stream.encode(piece) if packet.size or form == "flac")
    return path.read_bytes() if path else file.getvalue()
