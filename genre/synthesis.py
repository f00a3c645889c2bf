"""The embedded corpus: music composed and synthesised by this file, under the names of GTZAN's ten genres.

It is **synthetic**. It exists so that the whole pipeline runs anywhere, in minutes, without a download; accuracy on
it says nothing about music. A genre here is a table of habits (`STYLES`): tempo, harmony, rhythm, instruments.
A track draws from its genre's table a key, a tempo, players and patterns; plays them; and is then recorded as badly
or as well as chance has it, so that the long-term spectrum tells less about the genre than the rhythm does.

A pattern is a string with a character for each sixteenth of a bar:

    .  silence          x X o  a drum: hit, accent, ghost note
    -  hold             1 3 5 6 7 8  that step of the chord (1 its root, 8 the octave)
    c  the whole chord  p s m  a guitar's root and fifth, root and sixth, palm-muted root and fifth
    ?  a free note of the melody
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from genre.instruments import (
    DRUMS,
    VOICES,
    Waveform,
    compress,
    drum_sound,
    frequency_of,
    room_and_equaliser,
    saturate,
    voice_sound,
)

STEPS = 16  # in a bar, always of four beats
SECTION = 4  # bars; instruments come and go, and drummers fill, at its ends

MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
PENTATONIC, BLUES = (0, 2, 4, 7, 9), (0, 3, 5, 6, 7, 10)
MIXOLYDIAN, DORIAN, PHRYGIAN = (0, 2, 4, 5, 7, 9, 10), (0, 2, 3, 5, 7, 9, 10), (0, 1, 3, 5, 7, 8, 10)


@dataclass(frozen=True)
class Part:
    """What one player of a band does. A track draws one of `voices` and two of `patterns` (words in a string)."""

    voices: str
    patterns: str
    low: int = 60  # lowest MIDI pitch
    level: float = 0.0  # dB
    chance: float = 1.0  # that a track has this part; below 1 it also rests in some sections
    gate: float = 1.0  # share of the written length that sounds: small is staccato
    strum: float = 0.0  # seconds from the lowest to the highest note of a chord
    when: Literal["always", "first", "last"] = "always"  # which bars of a section


@dataclass(frozen=True)
class Style:
    """The habits of a genre."""

    tempo: tuple[float, float]  # beats a minute
    progressions: tuple[str, ...]  # a chord a bar, as Roman numerals
    scales: tuple[tuple[int, ...], ...]
    parts: tuple[Part, ...]
    swing: tuple[float, float] = (0.5, 0.5)  # where the middle of a beat falls; 2/3 is a triplet shuffle
    swing_beats: float = 1.0  # what swings: 1.0 eighths, 0.5 sixteenths
    swell: float = 0.0  # dB that loudness rises and falls over several bars
    rubato: float = 0.0  # seconds that time bends to and fro
    drumless: float = 0.0  # chance of a track without drums
    reverb: tuple[float, float] = (0.3, 1.5)  # seconds


_CRASH = Part("crash", "X...............", level=-8, chance=0.6, when="first")
_FILL = Part("tom", "........x.x.xxxx ............xxxx ..........x.xxxx", level=-4, chance=0.6, when="last")
_SINGER = Part("singer", "..?-?-?-?---.... ?---..?-?-?-?--- ....?-?-?---?-..", 57, 1, 0.6)

STYLES: dict[str, Style] = {
    "blues": Style(
        tempo=(70, 130),
        swing=(0.63, 0.69),
        progressions=(
            "I7 I7 I7 I7 IV7 IV7 I7 I7 V7 IV7 I7 V7",
            "I7 IV7 I7 I7 IV7 IV7 I7 I7 V7 IV7 I7 I7",
            "i7 i7 i7 i7 iv7 iv7 i7 i7 V7 iv7 i7 V7",
        ),
        scales=(BLUES,),
        drumless=0.2,
        parts=(
            Part("kick", "x.......x....... x.....x.x.......", level=0),
            Part("snare brush", "....x.......x...", level=-2),
            Part("hat ride", "x.o.x.o.x.o.x.o. x.x.x.x.x.x.x.x.", level=-6),
            Part("upright_bass finger_bass", "1.1.3.3.5.5.6.6. 1...3...5...6... 1.3.5.6.8.6.5.3.", 31, 0, gate=0.9),
            Part(
                "crunch_guitar acoustic_guitar clean_guitar piano",
                "p.p.s.s.p.p.s.s. p.ps..s.p.ps..s.",
                45,
                -2,
                gate=0.8,
            ),
            Part("piano organ clean_guitar", "......c-......c- ....c-......c-..", 57, -5, 0.5),
            Part(
                "lead_guitar harmonica singer saxophone",
                "..?-?-?---?---.. ?-?-?-----..?-?- ....?-?-?-------",
                60,
                1,
                0.85,
            ),
            _FILL,
        ),
    ),
    "classical": Style(
        tempo=(60, 125),
        progressions=("I IV V7 I", "i iv V7 i", "I V vi iii IV I IV V", "I vi ii V7", "i bVI bIII V7"),
        scales=(MAJOR, MINOR),
        swell=7.0,
        rubato=0.08,
        reverb=(1.2, 2.8),
        parts=(
            Part("strings strings strings piano", "c--------------- c-------c-------", 53, 0, 0.8, strum=0.01),
            Part(
                "piano nylon_guitar harpsichord clarinet strings",
                "1.5.3.5.1.5.3.5. 1-3-5-8-5-3-1-3- 1-----3---5-----",
                52,
                -2,
                0.8,
            ),
            Part("strings upright_bass piano", "1--------------- 1-------5-------", 36, -2, 0.9),
            Part("violin flute clarinet piano strings", "?---?-?-?------- ?-----?-?---?--- ?-?-?-?-?---?---", 67, 2),
            Part("violin flute brass strings", "....?-------?--- ?-------?-------", 60, -2, 0.5),
        ),
    ),
    "country": Style(
        tempo=(85, 135),
        progressions=("I I IV I I I V I", "I IV V I", "I V IV I", "I IV I V", "vi IV I V"),
        scales=(PENTATONIC, MAJOR),
        drumless=0.2,
        parts=(
            Part("kick", "x...x...x...x... x.......x.......", level=-2),
            Part("brush snare", "ooxoooxoooxoooxo ..x...x...x...x. o.x.o.xoo.x.o.xo", level=-3),
            Part("upright_bass finger_bass pick_bass", "1---5---1---5---", 31, 0, gate=0.8),
            Part(
                "acoustic_guitar acoustic_guitar clean_guitar",
                "1.c.5.c.1.c.5.c. 1.cc5.cc1.cc5.cc ..c...c...c...c.",
                48,
                0,
                strum=0.02,
            ),
            Part("banjo banjo acoustic_guitar", "5135813585135813 1358531513585315", 57, -3, 0.55),
            Part("fiddle steel_guitar harmonica lead_guitar", "?---?-?-?---.... ?-?-?---..?-?---", 64, -1, 0.6),
            _SINGER,
        ),
    ),
    "disco": Style(
        tempo=(108, 130),
        progressions=("i iv bVII i", "i i bVI bVII", "ii7 V7 IM7 IM7", "i7 IV7 i7 IV7", "vi IV I V"),
        scales=(MINOR, DORIAN, MAJOR),
        parts=(
            Part("kick click_kick", "x...x...x...x...", level=1),
            Part("clap snare", "....x.......x...", level=-3),
            Part("open_hat", "..x...x...x...x.", level=-4),
            Part("hat shaker", "xoxoxoxoxoxoxoxo x.oxx.oxx.oxx.ox ................", level=-8),
            Part(
                "finger_bass synth_bass pick_bass",
                "1.8.1.8.1.8.1.8. 1.8.1.8.1.881.8. 1-8.1-8.1.8.3.5.",
                31,
                0,
                gate=0.8,
            ),
            Part("clean_guitar clean_guitar crunch_guitar", "c.cc..c.c.cc..c. ..c.c.cc..c.c.cc", 57, -5, 0.6, gate=0.5),
            Part("strings synth_pad brass", "c--------------- c-c.....c-c.c-c. ........c-----c-", 60, -3, 0.7),
            Part("electric_piano piano organ", "c-....c-..c-.... ..c-..c-..c-..c-", 55, -5, 0.5),
            _SINGER,
            _CRASH,
        ),
    ),
    "hiphop": Style(
        tempo=(78, 104),
        progressions=("i i i i", "i bVI i bVI", "i7 iv7 i7 iv7", "i i bVII bVI", "IM7 vi7 IM7 vi7"),
        scales=(MINOR, DORIAN),
        swing=(0.5, 0.62),
        swing_beats=0.5,
        reverb=(0.2, 0.8),
        parts=(
            Part("boom kick boom", "x......x..x..... x..x......x..... x.x....x..x..x..", level=2),
            Part("fat_snare clap snare", "....X.......X...", level=0),
            Part("hat shaker", "x.x.x.x.x.x.x.x. x.x.x.xxx.x.x.xx x.xxx.x.x.x.xxxx", level=-7),
            Part(
                "sub_bass sub_bass finger_bass synth_bass", "1-----.1--1-.... 1--1------1---.. 1-1-...1--1--5--", 28, 2
            ),
            Part(
                "electric_piano piano strings vibraphone nylon_guitar",
                "c-----..c---.... c---..c-..c-.... 1-3-5-..3-1-....",
                55,
                -4,
                0.75,
            ),
            Part("rapper", "??.??.?.??.?.??. ?.???.??.??.?.?. .??.??.?.???.??.", 48, 2, 0.85, gate=0.9),
            Part("brass synth_lead strings", "c............... ......c-......c-", 62, -6, 0.3),
        ),
    ),
    "jazz": Style(
        tempo=(115, 210),
        progressions=("ii7 V7 IM7 vi7", "IM7 vi7 ii7 V7", "i7 iv7 ii7 V7", "I7 I7 I7 I7 IV7 IV7 I7 I7 ii7 V7 I7 V7"),
        scales=(MAJOR, MIXOLYDIAN, DORIAN),
        swing=(0.6, 0.68),
        drumless=0.15,
        parts=(
            Part("ride ride brush", "x...x.x.x...x.x.", level=-3),
            Part("hat", "....x.......x...", level=-6),
            Part("kick", "o.......o....... x............... ..........x.....", level=-6, chance=0.7),
            Part("snare brush", "......o.......o. ..o.......o..... ............o...", level=-7, chance=0.7),
            Part("upright_bass", "1---?---?---?---", 31, 2, gate=0.95),
            Part(
                "piano clean_guitar electric_piano organ",
                "..c-....c-...... c-....c-........ ......c-..c-....",
                55,
                -4,
                0.8,
            ),
            Part(
                "saxophone brass piano vibraphone clean_guitar clarinet",
                "?-?-?-?-?-?-?-.. ..?-?-?-?---?-?- ?---..?-?-?-?-..",
                60,
                1,
                0.9,
            ),
        ),
    ),
    "metal": Style(
        tempo=(105, 190),
        progressions=("i i bVI bVII", "i bII i bII", "i i i bV", "i bVI bIII bVII", "i i i i"),
        scales=(MINOR, PHRYGIAN),
        reverb=(0.2, 0.8),
        parts=(
            Part("click_kick", "xxxxxxxxxxxxxxxx x.xxx.xxx.xxx.xx xxxx..xxxxxx..xx", level=0),
            Part("snare fat_snare", "....x.......x... ........X....... ..x...x...x...x.", level=0),
            Part("crash ride hat", "x...x...x...x... x.x.x.x.x.x.x.x.", level=-8),
            Part(
                "metal_guitar", "mmmmmmmmmmmmp-p- m.mmm.mmm.mmp--- mmmpmmmpmmmpmmp- p-------mmmmmmmm", 38, 3, gate=0.7
            ),
            Part("metal_guitar crunch_guitar", "mmmmmmmmmmmmp-p- p-------p---p---", 40, -2, 0.5, gate=0.8),
            Part("pick_bass", "1111111111111111 1.111.111.111.11", 26, -1, gate=0.8),
            Part("lead_guitar", "?????????????-?- ?-?-????????????", 64, 0, 0.4),
            Part("singer rapper", "?---..?-?-?----- ?-?.?-?.?---....", 50, 0, 0.5),
            _CRASH,
            _FILL,
        ),
    ),
    "pop": Style(
        tempo=(92, 128),
        progressions=("I V vi IV", "vi IV I V", "I vi IV V", "IV V vi I"),
        scales=(MAJOR, PENTATONIC),
        parts=(
            Part("kick click_kick", "x.......x....... x.....x.x....... x...x...x...x...", level=0),
            Part("clap snare", "....x.......x...", level=-2),
            Part("hat shaker", "x.x.x.x.x.x.x.x. xoxoxoxoxoxoxoxo", level=-8),
            Part("synth_bass finger_bass", "1.1.1.1.1.1.1.1. 1-----1-1-----1- 1-------1-----5-", 31, 0),
            Part("synth_pad strings organ", "c---------------", 57, -3, 0.7),
            Part(
                "piano electric_piano acoustic_guitar",
                "c---c---c---c--- c-----c-----c--- c-c-c-c-c-c-c-c-",
                55,
                -2,
                0.8,
            ),
            Part("synth_lead vibraphone clean_guitar", "1.3.5.8.5.3.1.3. 1358135813581358", 67, -6, 0.4),
            Part("singer", "?-?-?---?-?-?--- ..?-?-?-?---?--- ?---?-?-?---....", 60, 3, 0.95),
            _CRASH,
        ),
    ),
    "reggae": Style(
        tempo=(64, 92),
        progressions=("i iv i iv", "I IV I IV", "i bVII i bVII", "I ii I ii", "i i iv bVII"),
        scales=(MINOR, MAJOR, PENTATONIC),
        swing=(0.5, 0.6),
        parts=(
            Part("kick", "........x....... x.......x....... x...x...x...x...", level=1),
            Part("rim snare", "........x.......", level=-1),
            Part("hat", "x.x.x.x.x.x.x.x. x.oxx.oxx.oxx.ox ..x...x...x...x.", level=-7),
            Part("finger_bass upright_bass synth_bass", "1--1..3-5--..... ....1-1-3-5-1--- 1---..1-5-..3-..", 29, 3),
            Part(
                "clean_guitar crunch_guitar piano",
                "..c...c...c...c. ....c.......c... ..c...c...c...cc",
                57,
                0,
                gate=0.6,
            ),
            Part("organ", ".c.c.c.c.c.c.c.c ..c...c...c...c.", 60, -4, 0.6, gate=0.6),
            Part("singer harmonica brass", "?-?-?-----..?-.. ....?-?-?---....", 60, 0, 0.8),
            _FILL,
        ),
    ),
    "rock": Style(
        tempo=(98, 150),
        progressions=("I bVII IV I", "i bVI bVII i", "I IV V IV", "i bIII bVII IV", "I V vi IV"),
        scales=(PENTATONIC, MIXOLYDIAN, MINOR),
        parts=(
            Part("kick", "x.....x.x....... x.......x.x..... x.x.....x......."),
            Part("snare fat_snare", "....x.......x..."),
            Part("hat ride crash", "x.x.x.x.x.x.x.x.", level=-6),
            Part(
                "crunch_guitar crunch_guitar metal_guitar", "p-p-p-p-p-p-p-p- p---p---..p-p--- p-----p-p-----p-", 43, 1
            ),
            Part(
                "clean_guitar acoustic_guitar organ piano",
                "1-3-5-8-5-3-1-3- c-c-c-c-c-c-c-c- c---------------",
                52,
                -3,
                0.5,
            ),
            Part("pick_bass finger_bass", "1.1.1.1.1.1.1.1. 1---1-1-1---1-1-", 31, 0),
            Part("lead_guitar", "?-?-?---?-?-?--- ..?-?-----?-?---", 62, 0, 0.45),
            _SINGER,
            _CRASH,
            _FILL,
        ),
    ),
}

GENRES: tuple[str, ...] = tuple(sorted(STYLES))


@dataclass(frozen=True)
class Note:
    """One note of a score, or a hit of a drum, whose pitch means nothing."""

    start: float  # seconds from the beginning of the track
    seconds: float
    pitch: float  # MIDI
    loudness: float  # factor


@dataclass(frozen=True)
class Line:
    """All that one player plays."""

    voice: str
    level: float  # dB
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Score:
    """A composed track, before any sound is made."""

    genre: str
    tempo: float
    swing: float
    key: int  # MIDI pitch class of the tonic, 0 is C
    chords: tuple[str, ...]  # one a bar
    lines: tuple[Line, ...] = field(repr=False)

    @property
    def bar_seconds(self) -> float:
        """Length of a bar."""
        return 4 * 60.0 / self.tempo


def track_waveform(
    genre: str, number: int, *, seed: int = 42, seconds: float = 30.0, sample_rate: int = 22050
) -> npt.NDArray[np.float32]:
    """Compose, play and record track `number` of a genre.

    Args:
        genre: One of `GENRES`.
        number: 0 or more; another number is another track.
        seed: 0 or more; another seed is another corpus.
        seconds: Length; the waveform has `round(seconds * sample_rate)` samples.
        sample_rate: In Hz, at least 8000.

    Returns:
        Waveform `(time,)` between -1 and 1; the same arguments give the same samples.

    Raises:
        ValueError: If an argument is outside its range.
    """
    if sample_rate < 8000:
        raise ValueError(f"sample_rate must be at least 8000 Hz, got {sample_rate}")
    score = compose(genre, number, seed=seed, seconds=seconds)
    rng = _generator(genre, number, seed, "sound")
    length = round(seconds * sample_rate)
    mix = np.zeros(length)
    for line in score.lines:
        mix += 10.0 ** (line.level / 20.0) * _play(line, length=length, sample_rate=sample_rate, rng=rng)
    return _record(mix, style=STYLES[genre], sample_rate=sample_rate, rng=rng)


def compose(genre: str, number: int, *, seed: int = 42, seconds: float = 30.0) -> Score:
    """Write the score of a track: draw key, tempo, chords and players, and let each play its patterns.

    Raises:
        ValueError: If the genre is unknown, `number` or `seed` negative, or `seconds` not positive.
    """
    if genre not in STYLES:
        raise ValueError(f"genre must be one of {', '.join(GENRES)}, got {genre!r}")
    if number < 0 or seed < 0:
        raise ValueError(f"number and seed of a track must be 0 or more, got {number} and {seed}")
    if not seconds > 0:
        raise ValueError(f"seconds of a track must be above 0, got {seconds}")
    style = STYLES[genre]
    rng = _generator(genre, number, seed, "score")
    tempo, swing = rng.uniform(*style.tempo), rng.uniform(*style.swing)
    bars = int(seconds * tempo / 240.0) + 1
    progression = str(rng.choice(style.progressions)).split()
    chords = tuple(progression[bar % len(progression)] for bar in range(bars))
    blank = Score(genre, tempo, swing, int(rng.integers(12)), chords, ())
    scale = style.scales[rng.integers(len(style.scales))]
    drums = rng.uniform() >= style.drumless
    lines = []
    for part in style.parts:
        voice = str(rng.choice(part.voices.split()))
        if rng.uniform() < part.chance and (drums or voice not in DRUMS):
            lines.append(_write(part, voice, blank, scale, rng))
    return Score(genre, tempo, swing, blank.key, chords, tuple(lines))


def chord_tones(numeral: str) -> tuple[int, tuple[int, ...]]:
    """Root, in semitones above the tonic, and intervals above that root of a Roman numeral such as `bVII` or `ii7`.

    Upper case has a major third and lower case a minor one; `7` adds the minor seventh and `M7` the major.
    """
    name = numeral.rstrip("M7").lstrip("b")
    degree = ("i", "ii", "iii", "iv", "v", "vi", "vii").index(name.lower())
    root = MAJOR[degree] - numeral.startswith("b")
    triad = (0, 4 if name.isupper() else 3, 7)
    if numeral.endswith("M7"):
        return root, (*triad, 11)
    return root, (*triad, 10) if numeral.endswith("7") else triad


def _generator(genre: str, number: int, seed: int, purpose: str) -> np.random.Generator:
    """Random numbers of their own for each track and purpose."""
    return np.random.default_rng([seed, number, *genre.encode(), 0, *purpose.encode()])


def _clock(step: float, score: Score, style: Style) -> float:
    """Time in seconds of a step counted from the beginning, swung and bent as the style has it."""
    whole, part = divmod(step / 4.0 / style.swing_beats, 1.0)
    part = part * 2 * score.swing if part < 0.5 else 1.0 - (1.0 - part) * 2 * (1.0 - score.swing)
    seconds = (whole + part) * style.swing_beats * 60.0 / score.tempo
    return float(seconds + style.rubato * np.sin(2 * np.pi * seconds / 7.0))


def _write(part: Part, voice: str, score: Score, scale: tuple[int, ...], rng: np.random.Generator) -> Line:
    """Let one player play through all bars, in two patterns, mostly the first."""
    style = STYLES[score.genre]
    patterns = part.patterns.split()
    chosen = [str(rng.choice(patterns)) for _ in range(2)]
    melody = _Melody(scale, score.key, part.low, rng)
    notes: list[Note] = []
    for bar, numeral in enumerate(score.chords):
        if bar % SECTION == 0:
            resting = rng.uniform() < 0.2 and part.chance < 1.0
            pattern = chosen[int(rng.uniform() < 0.3)]
        if resting or {"first": bar % SECTION != 0, "last": bar % SECTION != SECTION - 1}.get(part.when, False):
            continue
        for step, symbol in enumerate(pattern):
            if symbol not in ".-":
                held = 1 + len(pattern[step + 1 :]) - len(pattern[step + 1 :].lstrip("-"))
                at = bar * STEPS + step
                notes += _notes(symbol, at, held, numeral, part, score, style, melody, rng)
    return Line(voice, part.level + rng.normal(0.0, 2.0), tuple(notes))


class _Melody:
    """A walk over a scale, in small steps, that stays within an octave and a half."""

    def __init__(self, scale: tuple[int, ...], key: int, low: int, rng: np.random.Generator) -> None:
        self.pitches = [pitch for pitch in range(low, low + 18) if (pitch - key) % 12 in scale]
        self.place = len(self.pitches) // 2
        self.rng = rng

    def next(self) -> int:
        self.place += int(self.rng.choice([-2, -1, -1, 0, 1, 1, 2]))
        self.place = min(max(self.place, 0), len(self.pitches) - 1)
        return self.pitches[self.place]


def _notes(
    symbol: str,
    at: int,
    held: int,
    numeral: str,
    part: Part,
    score: Score,
    style: Style,
    melody: _Melody,
    rng: np.random.Generator,
) -> list[Note]:
    """What one character of a pattern sounds as, at step `at`, `held` steps long."""
    start = max(0.0, _clock(at, score, style) + rng.normal(0.0, 0.003))
    length = part.gate * held * 15.0 / score.tempo
    root, intervals = chord_tones(numeral)
    bass = part.low + (root + score.key - part.low) % 12
    steps = {"1": 0, "3": intervals[1], "5": 7, "6": 9, "7": 10, "8": 12}
    if symbol == "?":
        pitches = [melody.next()]
    elif symbol in steps:
        pitches = [bass + steps[symbol]]
    elif symbol == "c":
        pitches = sorted(part.low + (root + score.key + tone - part.low) % 12 for tone in intervals)
    else:
        pitches = {"s": [bass, bass + 9], "p": [bass, bass + 7, bass + 12], "m": [bass, bass + 7]}.get(symbol, [60])
    accent = {"X": 1.3, "o": 0.4, "m": 0.8}.get(symbol, 1.0) * (1.0 if at % 4 == 0 else 0.85)
    swell = 10.0 ** (style.swell * np.sin(2 * np.pi * at / STEPS / 5.3) / 20.0)
    loudness = accent * swell * rng.uniform(0.85, 1.15) / len(pitches) ** 0.5
    if symbol == "m":
        length = min(length, 0.08)
    return [Note(start + part.strum * order, length, pitch, float(loudness)) for order, pitch in enumerate(pitches)]


def _play(line: Line, *, length: int, sample_rate: int, rng: np.random.Generator) -> Waveform:
    """Sound `(length,)` of one line; each different note is made once, and a voice with vowels has three of each."""
    waveform = np.zeros(length)
    sounds: dict[tuple[float, ...], Waveform] = {}
    voice = VOICES.get(line.voice)
    variants = 3 if voice is None or voice.vowels else 1
    for note in line.notes:
        kind = int(rng.integers(variants))
        key = (note.pitch, round(note.seconds, 3), kind)
        if key not in sounds:
            sounds[key] = (
                voice_sound(voice, frequency_of(note.pitch), seconds=note.seconds, sample_rate=sample_rate, rng=rng)
                if voice
                else drum_sound(DRUMS[line.voice], sample_rate=sample_rate, rng=rng)
            )
        start = round(note.start * sample_rate)
        sound = sounds[key][: max(0, length - start)]
        waveform[start : start + len(sound)] += note.loudness * sound
    if voice is None:
        return waveform
    if voice.drive:
        waveform = saturate(waveform, voice.drive * rng.uniform(0.7, 1.5), sample_rate=sample_rate)
    sounding = waveform[np.abs(waveform) > 0.02 * np.abs(waveform).max()]
    return waveform * (0.2 / np.sqrt(np.mean(sounding**2))) if len(sounding) else waveform


def _record(mix: Waveform, *, style: Style, sample_rate: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Record a mix: room, equaliser, compressor, noise and level, all by chance and mostly whatever the genre."""
    gains = rng.normal(0.0, 4.0, 10) + rng.normal(0.0, 1.5) * np.arange(-4.5, 5.5)
    if rng.uniform() < 0.25:  # an old or poor recording
        gains[:2] -= 12.0
        gains[8:] -= 25.0
    mix = room_and_equaliser(
        mix,
        gains=gains,
        reverb_seconds=rng.uniform(*style.reverb),
        wet=rng.uniform(0.1, 0.6),
        sample_rate=sample_rate,
        rng=rng,
    )
    mix = compress(mix, rng.uniform(1.0, 3.0), sample_rate=sample_rate)
    noise = rng.standard_normal(len(mix)) * 10.0 ** (rng.uniform(-60.0, -32.0) / 20.0) * np.sqrt(np.mean(mix**2))
    mix = mix + noise
    mix -= mix.mean()
    return np.asarray(mix * (rng.uniform(0.3, 0.95) / np.abs(mix).max()), dtype=np.float32)
