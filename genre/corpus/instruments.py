"""The instruments and effects of the synthetic corpus, all of them computed.

There are four ways to make a sound here, each a few lines long: plucked strings (a delay line that feeds back into
itself), wavetables (one period of a wave, read at the pitch of the note), bells (frequency modulation) and drums (a
gliding sine and a band of noise). The tables `VOICES` and `DRUMS` hold the parameters in which instruments differ.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage, signal

Waveform = npt.NDArray[np.float64]  # `(time,)`; everything inside is float64, only a finished track is float32

TABLE_SIZE = 2048  # samples in one period of a wavetable
RELEASE_SECONDS = 0.03  # time in which a damped note fades out; if it were shorter, a click would be heard


@dataclass(frozen=True)
class Voice:
    """A pitched instrument. Times are seconds, pitches semitones, and 0 switches a feature off."""

    method: Literal["string", "table", "bell"]
    decay: float = 0.0  # until the note has fallen by 60 dB; 0 sustains
    attack: float = 0.005
    rolloff: float = 1.0  # harmonic k has amplitude k ** -rolloff (a string: darkness of the pick)
    odd_only: bool = False  # a closed tube, such as a clarinet, has the odd harmonics only
    drawbars: tuple[float, ...] = ()  # amplitudes of harmonics 1, 2, ... in place of the roll-off
    brightness_decay: float = 0.0  # the upper harmonics of a struck or filtered note fade out first
    vibrato: float = 0.0  # depth; sets in after a moment, as a player's does
    glide: float = 0.0  # starts this far above (or below) the pitch and slides into it
    unison: int = 1  # players, a little out of tune with each other
    vowels: tuple[tuple[float, ...], ...] = ()  # formants in Hz; each note sings one of them
    breath: float = 0.0  # level of noise
    ratio: float = 1.0  # of a bell: modulator to carrier frequency
    index: float = 0.0  # of a bell: depth of the modulation
    drive: float = 0.0  # gain into the amplifier's saturation


@dataclass(frozen=True)
class Drum:
    """A sine that falls from `high` to `low` Hz, and a band of noise; each with its own level and decay."""

    high: float
    low: float
    tone: float
    tone_decay: float
    noise: float
    noise_band: tuple[float, float]
    noise_decay: float
    bursts: int = 1  # hands that clap do not land together


_AH, _EH, _EE, _OH = (700.0, 1220.0, 2600.0), (530.0, 1840.0, 2480.0), (300.0, 2290.0, 3010.0), (480.0, 900.0, 2400.0)
_SUNG = (_AH, _EH, _EE, _OH)

VOICES: dict[str, Voice] = {
    "acoustic_guitar": Voice("string", decay=2.5, rolloff=0.5),
    "nylon_guitar": Voice("string", decay=1.6, rolloff=1.2),
    "banjo": Voice("string", decay=0.5, rolloff=0.1),
    "clean_guitar": Voice("string", decay=3.0, rolloff=0.8),
    "harpsichord": Voice("string", decay=1.0, rolloff=0.0),
    "crunch_guitar": Voice("string", decay=4.0, rolloff=0.7, drive=3.0),
    "metal_guitar": Voice("string", decay=4.0, rolloff=0.7, drive=12.0),
    "lead_guitar": Voice("table", decay=6.0, rolloff=1.2, vibrato=0.35, glide=-1.5, drive=3.0),
    "upright_bass": Voice("string", decay=1.2, rolloff=1.6),
    "finger_bass": Voice("string", decay=2.0, rolloff=1.2),
    "pick_bass": Voice("string", decay=2.5, rolloff=0.6, drive=1.0),
    "synth_bass": Voice("table", decay=1.5, rolloff=1.0, brightness_decay=0.15, unison=2),
    "sub_bass": Voice("table", decay=1.6, drawbars=(1.0, 0.15, 0.05), glide=5.0),
    "piano": Voice("table", decay=2.0, rolloff=1.1, attack=0.002, brightness_decay=0.25, unison=2),
    "electric_piano": Voice("bell", decay=2.2, attack=0.002, ratio=1.0, index=1.4),
    "vibraphone": Voice("bell", decay=2.5, attack=0.002, ratio=4.0, index=0.5),
    "organ": Voice("table", drawbars=(1.0, 0.8, 0.6, 0.5, 0.0, 0.3, 0.0, 0.3), vibrato=0.12),
    "strings": Voice("table", rolloff=1.1, attack=0.12, vibrato=0.2, unison=3),
    "violin": Voice("table", rolloff=1.0, attack=0.06, vibrato=0.35, breath=0.01),
    "fiddle": Voice("table", rolloff=0.9, attack=0.03, vibrato=0.2, glide=-1.0, breath=0.01),
    "flute": Voice("table", rolloff=2.2, attack=0.05, vibrato=0.2, breath=0.04),
    "clarinet": Voice("table", rolloff=1.1, attack=0.04, odd_only=True, breath=0.01),
    "harmonica": Voice("table", rolloff=0.8, attack=0.03, vibrato=0.3, glide=-1.0, breath=0.03),
    "saxophone": Voice("table", rolloff=1.2, attack=0.03, vibrato=0.25, glide=-0.6, breath=0.03),
    "brass": Voice("table", rolloff=0.8, attack=0.03, brightness_decay=0.3, unison=2, vibrato=0.1),
    "steel_guitar": Voice("table", decay=4.0, rolloff=1.5, vibrato=0.3, glide=-2.0),
    "synth_pad": Voice("table", rolloff=1.4, attack=0.1, unison=3),
    "synth_lead": Voice("table", rolloff=1.0, odd_only=True, unison=2),
    "singer": Voice("table", rolloff=1.0, attack=0.04, vibrato=0.35, glide=-0.8, vowels=_SUNG, breath=0.02),
    "rapper": Voice("table", rolloff=0.9, attack=0.01, decay=1.0, glide=2.5, vowels=_SUNG, breath=0.1),
}

DRUMS: dict[str, Drum] = {
    "kick": Drum(150, 50, 1.0, 0.25, 0.10, (1000, 5000), 0.02),
    "boom": Drum(130, 42, 1.2, 0.90, 0.05, (1000, 5000), 0.02),
    "click_kick": Drum(180, 55, 0.8, 0.15, 0.40, (2000, 7000), 0.02),
    "snare": Drum(260, 180, 0.4, 0.15, 0.70, (900, 9000), 0.22),
    "fat_snare": Drum(220, 140, 0.6, 0.20, 0.70, (500, 6000), 0.30),
    "brush": Drum(200, 180, 0.0, 0.10, 0.50, (1500, 7000), 0.16),
    "rim": Drum(1700, 1650, 0.5, 0.05, 0.25, (1500, 6000), 0.03),
    "clap": Drum(900, 800, 0.0, 0.05, 0.80, (800, 4000), 0.20, bursts=3),
    "hat": Drum(8000, 7900, 0.02, 0.04, 0.45, (6000, 11000), 0.06),
    "open_hat": Drum(8000, 7900, 0.02, 0.20, 0.45, (5000, 11000), 0.40),
    "shaker": Drum(6000, 6000, 0.0, 0.05, 0.30, (4000, 9000), 0.10, bursts=2),
    "ride": Drum(4700, 4690, 0.08, 0.60, 0.25, (4500, 10000), 0.60),
    "crash": Drum(3900, 3880, 0.05, 0.80, 0.60, (2500, 11000), 1.60),
    "tom": Drum(190, 110, 1.0, 0.35, 0.15, (500, 3000), 0.08),
}


def sound(name: str, pitch: float, seconds: float, *, sample_rate: int, rng: np.random.Generator) -> Waveform:
    """One note `(time,)` of an instrument of `VOICES` or `DRUMS`, about -1..1.

    `pitch` is MIDI, in semitones: 69 is the A of 440 Hz, and a drum is tuned as usual at 60. A drum rings as long as it
    does, whatever `seconds` says.
    """
    if name in DRUMS:
        return _drum(DRUMS[name], 2.0 ** ((pitch - 60.0) / 12.0), sample_rate, rng)
    voice, frequency = VOICES[name], 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)
    time = np.arange(round((seconds + RELEASE_SECONDS) * sample_rate)) / sample_rate
    methods = {"string": _string, "table": _table, "bell": _bell}
    wave = methods[voice.method](voice, frequency, time, sample_rate, rng)
    if voice.breath:
        wave = wave + voice.breath * rng.standard_normal(len(time))
    envelope = np.minimum(time / voice.attack, 1.0) * np.clip((time[-1] - time) / RELEASE_SECONDS, 0.0, 1.0)
    if voice.decay and voice.method != "string":  # a string loses its energy by itself
        envelope *= 10.0 ** (-3.0 * time / voice.decay)
    return np.asarray(wave * envelope)


def _string(voice: Voice, frequency: float, time: Waveform, sample_rate: int, rng: np.random.Generator) -> Waveform:
    """Karplus-Strong: noise in a loop one period long, a little darker and weaker on each round.

    Karplus and Strong, "Digital Synthesis of Plucked-String and Drum Timbres", Computer Music Journal 7 (1983).
    """
    period = sample_rate / frequency
    delay = int(period)
    loss = 10.0 ** (-3.0 * period / (voice.decay * sample_rate))
    # three taps dampen, two more interpolate between samples so that the string is in tune
    taps = loss * np.convolve([0.1, 0.8, 0.1], [1.0 - period + delay, period - delay])
    harmonics = np.arange(1.0, delay // 2 + 1)
    burst = _period(harmonics**-voice.rolloff, rng.uniform(0, 2 * np.pi, len(harmonics)), size=delay)
    wave = np.zeros(max(len(time), delay + 3) + delay)
    wave[3 : delay + 3] = burst
    step = delay - 2
    for start in range(delay + 3, len(time) + 3, step):
        wave[start : start + step] = np.convolve(wave[start - delay - 2 : start - delay + step + 1], taps, "valid")
    return wave[3 : len(time) + 3]


def _table(voice: Voice, frequency: float, time: Waveform, sample_rate: int, rng: np.random.Generator) -> Waveform:
    """Wavetable: one period with the harmonics of the voice below half the sample rate, read round and round."""
    amplitudes = _harmonics(voice, frequency, sample_rate, rng)
    phases = rng.uniform(0, 2 * np.pi, len(amplitudes))
    dark = _period(amplitudes * np.arange(1, len(amplitudes) + 1) ** -1.5, phases, size=TABLE_SIZE)
    bright = _period(amplitudes, phases, size=TABLE_SIZE)
    wave = np.zeros(len(time))
    for player in range(voice.unison):
        cents = 7.0 * (player - (voice.unison - 1) / 2)
        position = _turns(voice, frequency * 2.0 ** (cents / 1200), time, sample_rate, rng)
        index = (position * TABLE_SIZE).astype(np.int64) % TABLE_SIZE
        if voice.brightness_decay:
            wave += dark[index] + (bright - dark)[index] * np.exp(-time / voice.brightness_decay)
        else:
            wave += bright[index]
    return wave / voice.unison


def _bell(voice: Voice, frequency: float, time: Waveform, sample_rate: int, rng: np.random.Generator) -> Waveform:
    """Frequency modulation (Chowning 1973): the index, and with it the brightness, dies away with the note."""
    turns = _turns(voice, frequency, time, sample_rate, rng)
    index = voice.index * 10.0 ** (-2.0 * time / voice.decay)
    return np.sin(2 * np.pi * turns + index * np.sin(2 * np.pi * voice.ratio * turns))


def _harmonics(voice: Voice, frequency: float, sample_rate: int, rng: np.random.Generator) -> Waveform:
    """Amplitudes `(harmonic,)` of a voice at a pitch, up to 60 and below half the sample rate."""
    number = np.arange(1, max(2, min(60, int(0.45 * sample_rate / frequency))))
    if voice.drawbars:
        return np.array([*voice.drawbars, *[0.0] * len(number)])[: len(number)]
    amplitudes = number**-voice.rolloff
    if voice.odd_only:
        amplitudes = amplitudes * (number % 2)
    if voice.vowels:
        formants = np.array(voice.vowels[rng.integers(len(voice.vowels))])
        distance = (number[:, None] * frequency - formants) / (80.0 + 0.06 * formants)
        amplitudes = amplitudes * (0.05 + (1.0 / (1.0 + distance**2)).sum(axis=1))
    return np.asarray(amplitudes, dtype=np.float64)


def _period(amplitudes: Waveform, phases: Waveform, *, size: int) -> Waveform:
    """One period `(size,)`, peak 1, of harmonics 1, 2, ... with these amplitudes and phases."""
    spectrum = np.concatenate([[0.0], amplitudes * np.exp(1j * phases)])
    period = np.fft.irfft(spectrum[: size // 2 + 1], n=size)
    return np.asarray(period / np.abs(period).max(), dtype=np.float64)


def _turns(voice: Voice, frequency: float, time: Waveform, sample_rate: int, rng: np.random.Generator) -> Waveform:
    """How many periods have passed at each time, with the voice's slide into the note and its vibrato."""
    start = rng.uniform()
    if not (voice.vibrato or voice.glide):
        return np.asarray(start + frequency * time)
    waver = voice.vibrato * np.minimum(time / 0.3, 1.0) * np.sin(2 * np.pi * (rng.uniform(4.8, 6.2) * time + start))
    bend = voice.glide * np.exp(-time / 0.06)
    return np.asarray(start + np.cumsum(frequency * 2.0 ** ((waver + bend) / 12.0)) / sample_rate)


def _drum(drum: Drum, tuning: float, sample_rate: int, rng: np.random.Generator) -> Waveform:
    """One hit; a drum tuned higher by the factor `tuning` rings shorter by as much."""
    seconds = max(drum.tone_decay, drum.noise_decay) / tuning
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    frequency = tuning * (drum.low + (drum.high - drum.low) * np.exp(-time / 0.03))
    tone = np.sin(2 * np.pi * np.cumsum(np.minimum(frequency, 0.45 * sample_rate)) / sample_rate)
    noise = np.zeros(len(time))
    hiss = signal.sosfilt(_bandpass(*drum.noise_band, sample_rate), rng.standard_normal(len(time)))
    for start in [round(0.012 * burst * sample_rate) for burst in range(drum.bursts)]:
        ringing = 10.0 ** (-3.0 * tuning * time / drum.noise_decay)
        noise[start:] = np.maximum(noise[start:], ringing[: len(time) - start])
    ringing = 10.0 ** (-3.0 * tuning * time / drum.tone_decay)
    return np.asarray(drum.tone * tone * ringing + drum.noise * noise * hiss / (2.0 * np.std(hiss)))


def _bandpass(low: float, high: float, sample_rate: int) -> Waveform:
    """Second-order sections, with both edges moved below half the sample rate."""
    nyquist = sample_rate / 2.0
    edges = [min(low, 0.6 * nyquist), min(high, 0.9 * nyquist)]
    return np.asarray(signal.butter(2, edges, "bandpass", fs=sample_rate, output="sos"))


def amplify(name: str, waveform: Waveform, *, sample_rate: int, rng: np.random.Generator) -> Waveform:
    """Bring what a voice played to a loudness common to all, through its amplifier if it has one; drums stay as is.

    The amplifier is gain, soft clipping of the sum of all strings, and a loudspeaker that passes little above 5 kHz.
    """
    peak = np.abs(waveform).max()
    if name in DRUMS or peak == 0.0:
        return waveform
    if VOICES[name].drive:
        gain = 1.0 + VOICES[name].drive * rng.uniform(0.7, 1.5)
        waveform = signal.sosfilt(_bandpass(80.0, 4500.0, sample_rate), np.tanh(gain * waveform / peak))
    sounding = waveform[np.abs(waveform) > 0.02 * np.abs(waveform).max()]
    return np.asarray(waveform * (0.2 / np.sqrt(np.mean(sounding**2))))


def record(
    mix: Waveform, *, reverb_seconds: float, sample_rate: int, rng: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Record a mix `(time,)` to a track, peak below 1: room, equaliser, compressor, noise and level, all random.

    Because of the equaliser, the genre cannot be told from the long-term spectrum alone.
    """
    gains = rng.normal(0.0, 2.2, 10) + rng.normal(0.0, 0.8) * np.arange(-4.5, 5.5)  # dB, an octave each
    if rng.uniform() < 0.2:  # an old or poor recording
        gains[:2] -= 12.0
        gains[8:] -= 25.0
    mix = _room(mix, gains, reverb_seconds, rng.uniform(0.1, 0.6), sample_rate, rng)
    mix = _compress(mix, rng.uniform(1.0, 3.0), sample_rate)
    noise = 10.0 ** (rng.uniform(-60.0, -38.0) / 20.0) * np.sqrt(np.mean(mix**2))
    mix = mix + noise * rng.standard_normal(len(mix))
    mix -= mix.mean()
    return np.asarray(mix * (rng.uniform(0.3, 0.95) / np.abs(mix).max()), dtype=np.float32)


def _room(
    waveform: Waveform,
    gains: Waveform,
    seconds: float,
    wet: float,
    sample_rate: int,
    rng: np.random.Generator,
) -> Waveform:
    """Filter with `gains` in dB at 31.25 Hz and octaves above, and add an echo (decaying noise) of power `wet**2`.

    Both are one multiplication in the frequency domain.
    """
    time = np.arange(round(seconds * sample_rate)) / sample_rate
    echo = rng.standard_normal(len(time)) * 10.0 ** (-3.0 * time / seconds)
    echo *= wet / np.sqrt(np.sum(echo**2))
    size = fft.next_fast_len(len(waveform) + len(echo), real=True)
    frequencies = np.maximum(fft.rfftfreq(size, 1.0 / sample_rate), 1e-3)
    curve = 10.0 ** (np.interp(np.log2(frequencies / 31.25), np.arange(len(gains)), gains) / 20.0)
    curve /= 1.0 + (25.0 / frequencies) ** 4  # nothing below hearing, no offset
    spectrum = fft.rfft(waveform, size) * curve * (1.0 + fft.rfft(echo, size))
    return np.asarray(fft.irfft(spectrum, size)[: len(waveform)])


def _compress(waveform: Waveform, ratio: float, sample_rate: int) -> Waveform:
    """Even out loudness: `ratio` dB in become 1 dB out; 1 leaves all as it is.

    Loudness is the power of the 0.1 s around each sample: as it includes what follows, a sudden stroke is not too loud.
    """
    power = ndimage.uniform_filter1d(waveform**2, round(0.1 * sample_rate))
    power = np.maximum(power, 1e-4 * power.max() + 1e-12)  # silence is not amplified
    return np.asarray(waveform * power ** (0.5 / ratio - 0.5))
