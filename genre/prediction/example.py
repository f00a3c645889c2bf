"""A small recording that is stored with a model in MLflow as its example: a chord that fades out."""

import base64
import io
import wave

import numpy as np
import pandas as pd

RATE = 2000  # Hz
SECONDS = 13  # more than a clip of usual parameters
CHORD = (220.0, 277.2, 329.6)  # A major


def recording() -> bytes:
    """Returns the bytes of a wav file: one channel of 8 bits."""
    time = np.arange(RATE * SECONDS) / RATE
    tones = sum(np.sin(2 * np.pi * frequency * time) for frequency in CHORD) / len(CHORD)
    samples = np.round(127.5 + 120 * tones * np.exp(-time / 4)).astype(np.uint8)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


def request() -> pd.DataFrame:
    """Returns a request with one recording, as `genre.prediction.serving` takes it."""
    return pd.DataFrame({"audio": [base64.b64encode(recording()).decode()]})
