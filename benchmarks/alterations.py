"""What happens to a recording between the musician and the file: each alteration takes and returns a waveform.

A waveform is `(time,)` at `rate` Hz, full scale is 1. Codecs and changes of pitch and tempo are FFmpeg's, in memory.
"""

import io
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import partial

import av
import numpy as np
from scipy import signal

from genre.audio.reading import Waveform
from genre.audio.resampling import resample

SEMITONE = 2 ** (1 / 12)
MP3_RATES = (16_000, 22_050, 24_000, 32_000, 44_100, 48_000)  # some of those that the format has
OPUS_RATE = 48_000
SEED = 0  # of the noise and of the room


def encode(waveform: Waveform, rate: int, *, codec: str, container: str, kilobits: int) -> Waveform:
    """Encodes one channel with so many kilobits a second, and decodes it again."""
    coded_rate = rate if codec == "libmp3lame" and rate in MP3_RATES else OPUS_RATE
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=coded_rate, layout="mono")
        stream.bit_rate = 1000 * kilobits
        samples = np.clip(change_rate(waveform, rate, coded_rate), -1, 1)
        for frame in filtered(samples, coded_rate, {"aformat": f"sample_fmts={stream.codec_context.format.name}"}):
            output.mux(stream.encode(frame))  # type: ignore[arg-type]
        output.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as coded:
        resampler = av.AudioResampler("fltp", "mono")
        frames = [part for frame in coded.decode(audio=0) for part in resampler.resample(frame)]
        decoded = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    return change_rate(decoded, coded_rate, rate)


def limit_band(waveform: Waveform, rate: int, *, hertz: int) -> Waveform:
    """Stores at a sample rate of twice `hertz`."""
    return waveform if rate <= 2 * hertz else change_rate(change_rate(waveform, rate, 2 * hertz), 2 * hertz, rate)


def gain(waveform: Waveform, _rate: int, *, decibels: float) -> Waveform:
    """Multiplies, without a limit."""
    return waveform * np.float32(10 ** (decibels / 20))


def clip(waveform: Waveform, _rate: int, *, decibels: float) -> Waveform:
    """Cuts the waveform off at so many decibels below its peak."""
    limit = np.abs(waveform).max() * 10 ** (-decibels / 20)
    return np.clip(waveform, -limit, limit)


def add_noise(waveform: Waveform, _rate: int, *, decibels: float) -> Waveform:
    """Adds white noise whose power is so many decibels below the recording's."""
    noise = np.random.default_rng(SEED).standard_normal(len(waveform), np.float32)
    return waveform + noise * np.sqrt(np.mean(np.square(waveform))) * np.float32(10 ** (-decibels / 20))


def reverberate(waveform: Waveform, rate: int, *, seconds: float) -> Waveform:
    """Adds the echoes of a room: noise that falls by 60 dB in `seconds`, in sum as loud as the direct sound."""
    time = np.arange(round(seconds * rate)) / rate
    echoes = np.random.default_rng(SEED).standard_normal(len(time)) * 10 ** (-3 * time / seconds)
    response = echoes / np.sqrt(np.square(echoes).sum())
    response[0] += 1
    return signal.oaconvolve(waveform, response)[: len(waveform)].astype(np.float32)


def change_pitch(waveform: Waveform, rate: int, *, semitones: float) -> Waveform:
    """Raises the pitch, and keeps the tempo: plays the recording faster, then stretches it."""
    factor = SEMITONE**semitones
    faster = {"asetrate": f"{round(rate * factor)}", "aresample": f"{rate}", "atempo": f"{1 / factor:.6f}"}
    return joined(waveform, rate, faster)


def change_tempo(waveform: Waveform, rate: int, *, factor: float) -> Waveform:
    """Plays faster by a factor, and keeps the pitch."""
    return joined(waveform, rate, {"atempo": f"{factor}"})


ALTERATIONS: Mapping[str, Callable[[Waveform, int], Waveform]] = {
    "mp3 128 kb/s": partial(encode, codec="libmp3lame", container="mp3", kilobits=128),
    "mp3 64 kb/s": partial(encode, codec="libmp3lame", container="mp3", kilobits=64),
    "mp3 32 kb/s": partial(encode, codec="libmp3lame", container="mp3", kilobits=32),
    "opus 32 kb/s": partial(encode, codec="libopus", container="ogg", kilobits=32),
    "band limit 8 kHz": partial(limit_band, hertz=8000),
    "band limit 4 kHz": partial(limit_band, hertz=4000),
    "12 dB quieter": partial(gain, decibels=-12),
    "clipped 12 dB below the peak": partial(clip, decibels=12),
    "noise 20 dB below": partial(add_noise, decibels=20),
    "reverberation 0.8 s": partial(reverberate, seconds=0.8),
    "pitch + 1 semitone": partial(change_pitch, semitones=1),
    "pitch - 1 semitone": partial(change_pitch, semitones=-1),
    "tempo + 5 %": partial(change_tempo, factor=1.05),
    "tempo - 5 %": partial(change_tempo, factor=0.95),
}


def change_rate(waveform: Waveform, old: int, new: int) -> Waveform:
    """Resamples, with the filter with which the pipeline resamples."""
    ratio = Fraction(new, old)
    return resample(np.ascontiguousarray(waveform, np.float32), ratio.denominator, ratio.numerator)


def joined(waveform: Waveform, rate: int, filters: Mapping[str, str]) -> Waveform:
    """Returns what FFmpeg's filters, name -> arguments, make of a waveform."""
    return np.concatenate([frame.to_ndarray()[0] for frame in filtered(waveform, rate, filters)])


def filtered(waveform: Waveform, rate: int, filters: Mapping[str, str]) -> list[av.AudioFrame]:
    """Returns the frames that FFmpeg's filters make of a waveform."""
    graph = av.filter.Graph()
    source = graph.add_abuffer(sample_rate=rate, format="fltp", layout="mono", time_base=Fraction(1, rate))
    chain = [source, *(graph.add(name, arguments) for name, arguments in filters.items()), graph.add("abuffersink")]
    graph.link_nodes(*chain).configure()
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(waveform[None], np.float32), "fltp", "mono")
    frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), 0
    graph.push(frame)
    graph.push(None)
    frames = []
    while True:
        try:
            frames.append(graph.pull())
        except (av.BlockingIOError, av.EOFError):
            return frames
