"""The synthetic corpus: music composed and synthesised by this module, under the names of GTZAN's ten genres.

It exists so that the whole pipeline runs anywhere, in minutes, without a download; accuracy on it says nothing about
music. A genre here is an entry of the table `STYLES`: tempo, harmony, rhythm, instruments. For a track, a key, a tempo,
players and patterns are drawn from the entry of its genre and played. The result is then recorded with a random
quality, so that the long-term spectrum tells less about the genre than the rhythm does.

A pattern is a string with a character for each sixteenth of a bar:

    .  silence          x X o      a drum: hit, accent, ghost note
    -  hold             1 3 5 6 8  that step of the chord (1 its root, 8 the octave)
    c  the whole chord  p s m      a guitar's root and fifth, root and sixth, palm-muted root and fifth
    ?  a free note of the melody
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from genre.corpus.instruments import DRUMS, VOICES, Waveform, amplify, record, sound

STEPS = 16  # in a bar, always of four beats
SECTION = 4  # bars; instruments come and go, and drummers fill, at its ends
_BARS = {"always": (0, 1, 2, 3), "first": (0,), "last": (3,)}  # of a section
_INTERVALS = {"1": (0,), "5": (7,), "6": (9,), "8": (12,), "p": (0, 7, 12), "s": (0, 9), "m": (0, 7)}

MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
PENTATONIC, BLUES = (0, 2, 4, 7, 9), (0, 3, 5, 6, 7, 10)
MIXOLYDIAN, DORIAN, PHRYGIAN = (0, 2, 4, 5, 7, 9, 10), (0, 2, 3, 5, 7, 9, 10), (0, 1, 3, 5, 7, 8, 10)


@dataclass(frozen=True)
class Part:
    """The part of one player of a band. For a track, one of `voices` and two of `patterns` are drawn.

    Both are strings of words separated by spaces; a word that occurs twice is twice as likely.
    """

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
    """The properties of a genre."""

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


# A table, formatted by hand: voices and patterns first, then what differs from the defaults.
# fmt: off
_CRASH = Part("crash", "X...............", level=-8, chance=0.6, when="first")
_FILL = Part("tom", "........x.x.xxxx ............xxxx ..........x.xxxx", level=-4, chance=0.6, when="last")
_SINGER = Part("singer", "..?-?-?-?---.... ?---..?-?-?-?--- ....?-?-?---?-..", low=57, level=1, chance=0.6)

STYLES: dict[str, Style] = {
    "blues": Style(  # a shuffle over twelve bars
        tempo=(70, 130), swing=(0.63, 0.69), drumless=0.2,
        progressions=(
            "I7 I7 I7 I7 IV7 IV7 I7 I7 V7 IV7 I7 V7",
            "I7 IV7 I7 I7 IV7 IV7 I7 I7 V7 IV7 I7 I7",
            "i7 i7 i7 i7 iv7 iv7 i7 i7 V7 iv7 i7 V7",
        ),
        scales=(BLUES,),
        parts=(
            Part("kick", "x.......x....... x.....x.x......."),
            Part("snare brush", "....x.......x...", level=-2),
            Part("hat ride", "x.o.x.o.x.o.x.o. x.x.x.x.x.x.x.x.", level=-6),
            Part("upright_bass finger_bass", "1.1.3.3.5.5.6.6. 1...3...5...6... 1.3.5.6.8.6.5.3.", low=31, gate=0.9),
            Part("crunch_guitar acoustic_guitar clean_guitar piano", "p.p.s.s.p.p.s.s. p.ps..s.p.ps..s.",
                 low=45, level=-2, gate=0.8),
            Part("piano organ clean_guitar", "......c-......c- ....c-......c-..", low=57, level=-5, chance=0.5),
            Part("lead_guitar harmonica singer saxophone", "..?-?-?---?---.. ?-?-?-----..?-?- ....?-?-?-------",
                 level=1, chance=0.85),
            _FILL,
        ),
    ),
    "classical": Style(  # no drums, and loudness and time that move
        tempo=(60, 125), swell=7.0, rubato=0.08, reverb=(1.2, 2.8),
        progressions=("I IV V7 I", "i iv V7 i", "I V vi iii IV I IV V", "I vi ii V7", "i bVI bIII V7"),
        scales=(MAJOR, MINOR),
        parts=(
            Part("strings strings strings piano", "c--------------- c-------c-------", low=53, chance=0.8, strum=0.01),
            Part("piano nylon_guitar harpsichord clarinet strings",
                 "1.5.3.5.1.5.3.5. 1-3-5-8-5-3-1-3- 1-----3---5-----", low=52, level=-2, chance=0.8),
            Part("strings upright_bass piano", "1--------------- 1-------5-------", low=36, level=-2, chance=0.9),
            Part("violin flute clarinet piano strings", "?---?-?-?------- ?-----?-?---?--- ?-?-?-?-?---?---",
                 low=67, level=2),
            Part("violin flute brass strings", "....?-------?--- ?-------?-------", level=-2, chance=0.5),
        ),
    ),
    "country": Style(  # the train beat; a guitar that picks the bass and strums after it
        tempo=(85, 135), drumless=0.2,
        progressions=("I I IV I I I V I", "I IV V I", "I V IV I", "I IV I V", "vi IV I V"),
        scales=(PENTATONIC, MAJOR),
        parts=(
            Part("kick", "x...x...x...x... x.......x.......", level=-2),
            Part("brush snare", "ooxoooxoooxoooxo ..x...x...x...x. o.x.o.xoo.x.o.xo", level=-3),
            Part("upright_bass finger_bass pick_bass", "1---5---1---5---", low=31, gate=0.8),
            Part("acoustic_guitar acoustic_guitar clean_guitar", "1.c.5.c.1.c.5.c. 1.cc5.cc1.cc5.cc",
                 low=48, strum=0.02),
            Part("banjo banjo acoustic_guitar", "5135813585135813 1358531513585315", low=57, level=-2, chance=0.7),
            Part("fiddle steel_guitar harmonica lead_guitar", "?---?-?-?---.... ?-?-?---..?-?---",
                 low=64, level=-1, chance=0.6),
            _SINGER,
        ),
    ),
    "disco": Style(  # four on the floor, open hats between, a bass in octaves
        tempo=(108, 130),
        progressions=("i iv bVII i", "i i bVI bVII", "ii7 V7 IM7 IM7", "i7 IV7 i7 IV7", "vi IV I V"),
        scales=(MINOR, DORIAN, MAJOR),
        parts=(
            Part("kick click_kick", "x...x...x...x...", level=1),
            Part("clap snare", "....x.......x...", level=-3),
            Part("open_hat", "..x...x...x...x.", level=-4),
            Part("hat shaker", "xoxoxoxoxoxoxoxo x.oxx.oxx.oxx.ox ................", level=-8),
            Part("finger_bass synth_bass pick_bass", "1.8.1.8.1.8.1.8. 1.8.1.8.1.881.8. 1-8.1-8.1.8.3.5.",
                 low=31, gate=0.8),
            Part("clean_guitar clean_guitar crunch_guitar", "c.cc..c.c.cc..c. ..c.c.cc..c.c.cc",
                 low=57, level=-5, chance=0.6, gate=0.5),
            Part("strings synth_pad brass", "c--------------- c-c.....c-c.c-c. ........c-----c-", level=-3, chance=0.7),
            Part("electric_piano piano organ", "c-....c-..c-.... ..c-..c-..c-..c-", low=55, level=-5, chance=0.5),
            _SINGER, _CRASH,
        ),
    ),
    "hiphop": Style(  # boom, bap, a long low bass, a looped chord and a voice that talks
        tempo=(78, 104), swing=(0.5, 0.62), swing_beats=0.5, reverb=(0.2, 0.8),
        progressions=("i i i i", "i bVI i bVI", "i7 iv7 i7 iv7", "i i bVII bVI", "IM7 vi7 IM7 vi7"),
        scales=(MINOR, DORIAN),
        parts=(
            Part("boom kick boom", "x......x..x..... x..x......x..... x.x....x..x..x..", level=2),
            Part("fat_snare clap snare", "....X.......X..."),
            Part("hat shaker", "x.x.x.x.x.x.x.x. x.x.x.xxx.x.x.xx x.xxx.x.x.x.xxxx", level=-7),
            Part("sub_bass sub_bass finger_bass synth_bass", "1-----.1--1-.... 1--1------1---.. 1-1-...1--1--5--",
                 low=28, level=2),
            Part("electric_piano piano strings vibraphone nylon_guitar",
                 "c-----..c---.... c---..c-..c-.... 1-3-5-..3-1-....", low=55, level=-4, chance=0.75),
            Part("rapper", "??.??.?.??.?.??. ?.???.??.??.?.?. .??.??.?.???.??.",
                 low=48, level=2, chance=0.85, gate=0.9),
            Part("brass synth_lead strings", "c............... ......c-......c-", low=62, level=-6, chance=0.3),
        ),
    ),
    "jazz": Style(  # swing on the ride, a bass that walks, chords off the beat, a soloist
        tempo=(115, 210), swing=(0.6, 0.68), drumless=0.15,
        progressions=("ii7 V7 IM7 vi7", "IM7 vi7 ii7 V7", "i7 iv7 ii7 V7", "I7 I7 I7 I7 IV7 IV7 I7 I7 ii7 V7 I7 V7"),
        scales=(MAJOR, MIXOLYDIAN, DORIAN),
        parts=(
            Part("ride ride brush", "x...x.x.x...x.x.", level=-1),
            Part("hat", "....x.......x...", level=-6),
            Part("kick", "o.......o....... x............... ..........x.....", level=-6, chance=0.7),
            Part("snare brush", "......o.......o. ..o.......o..... ............o...", level=-7, chance=0.7),
            Part("upright_bass", "1---?---?---?---", low=31, level=2, gate=0.95),
            Part("piano clean_guitar electric_piano organ", "..c-....c-...... c-....c-........ ......c-..c-....",
                 low=55, level=-4, chance=0.9),
            Part("saxophone brass piano vibraphone clean_guitar clarinet",
                 "?-?-?-?-?-?-?-.. ..?-?-?-?---?-?- ?---..?-?-?-?-..", level=1, chance=0.95),
        ),
    ),
    "metal": Style(  # two bass drums, muted strings, little but the tonic
        tempo=(105, 190), reverb=(0.2, 0.8),
        progressions=("i i bVI bVII", "i bII i bII", "i i i bV", "i bVI bIII bVII", "i i i i"),
        scales=(MINOR, PHRYGIAN),
        parts=(
            Part("click_kick", "xxxxxxxxxxxxxxxx x.xxx.xxx.xxx.xx xxxx..xxxxxx..xx", level=3),
            Part("snare fat_snare", "....x.......x... ........X....... ..x...x...x...x.", level=3),
            Part("crash ride hat", "x...x...x...x... x.x.x.x.x.x.x.x.", level=-6),
            Part("metal_guitar", "mmmmmmmmmmmmp-p- m.mmm.mmm.mmp--- mmmpmmmpmmmpmmp- p-------mmmmmmmm",
                 low=38, level=1, gate=0.7),
            Part("metal_guitar crunch_guitar", "mmmmmmmmmmmmp-p- p-------p---p---",
                 low=40, level=-3, chance=0.5, gate=0.8),
            Part("pick_bass", "1111111111111111 1.111.111.111.11", low=26, level=-1, gate=0.8),
            Part("lead_guitar", "?????????????-?- ?-?-????????????", low=64, chance=0.4),
            Part("singer rapper", "?---..?-?-?----- ?-?.?-?.?---....", low=50, chance=0.5),
            _CRASH, _FILL,
        ),
    ),
    "pop": Style(  # four chords, held and broken by keyboards, below a singer
        tempo=(92, 128),
        progressions=("I V vi IV", "vi IV I V", "I vi IV V", "IV V vi I"),
        scales=(MAJOR, PENTATONIC),
        parts=(
            Part("kick click_kick", "x.......x....... x.....x.x....... x...x...x...x..."),
            Part("clap snare", "....x.......x...", level=-2),
            Part("hat shaker", "x.x.x.x.x.x.x.x. xoxoxoxoxoxoxoxo", level=-8),
            Part("synth_bass finger_bass", "1.1.1.1.1.1.1.1. 1-----1-1-----1- 1-------1-----5-", low=31),
            Part("synth_pad strings organ", "c---------------", low=57, level=-3, chance=0.7),
            Part("piano electric_piano acoustic_guitar", "c---c---c---c--- c-----c-----c--- c-c-c-c-c-c-c-c-",
                 low=55, level=-2, chance=0.8),
            Part("synth_lead vibraphone clean_guitar", "1.3.5.8.5.3.1.3. 1358135813581358",
                 low=67, level=-4, chance=0.6),
            Part("singer", "?-?-?---?-?-?--- ..?-?-?-?---?--- ?---?-?-?---....", level=3, chance=0.95),
            _CRASH,
        ),
    ),
    "reggae": Style(  # chords off the beat, the drop on the third, a bass that rests
        tempo=(64, 92), swing=(0.5, 0.6),
        progressions=("i iv i iv", "I IV I IV", "i bVII i bVII", "I ii I ii", "i i iv bVII"),
        scales=(MINOR, MAJOR, PENTATONIC),
        parts=(
            Part("kick", "........x....... x.......x....... x...x...x...x...", level=1),
            Part("rim snare", "........x.......", level=-1),
            Part("hat", "x.x.x.x.x.x.x.x. x.oxx.oxx.oxx.ox ..x...x...x...x.", level=-7),
            Part("finger_bass upright_bass synth_bass", "1--1..3-5--..... ....1-1-3-5-1--- 1---..1-5-..3-..",
                 low=29, level=3),
            Part("clean_guitar crunch_guitar piano", "..c...c...c...c. ....c.......c... ..c...c...c...cc",
                 low=57, gate=0.6),
            Part("organ", ".c.c.c.c.c.c.c.c ..c...c...c...c.", level=-4, chance=0.6, gate=0.6),
            Part("singer harmonica brass", "?-?-?-----..?-.. ....?-?-?---....", chance=0.8),
            _FILL,
        ),
    ),
    "rock": Style(  # a backbeat and power chords that ring
        tempo=(98, 150),
        progressions=("I bVII IV I", "i bVI bVII i", "I IV V IV", "i bIII bVII IV", "I V vi IV"),
        scales=(PENTATONIC, MIXOLYDIAN, MINOR),
        parts=(
            Part("kick", "x.....x.x....... x.......x.x..... x.x.....x......."),
            Part("snare fat_snare", "....x.......x..."),
            Part("hat ride crash", "x.x.x.x.x.x.x.x.", level=-6),
            Part("crunch_guitar crunch_guitar metal_guitar", "p-p-p-p-p-p-p-p- p---p---..p-p--- p-----p-p-----p-",
                 low=43, level=1),
            Part("clean_guitar acoustic_guitar organ piano", "1-3-5-8-5-3-1-3- c-c-c-c-c-c-c-c- c---------------",
                 low=52, level=-3, chance=0.5),
            Part("pick_bass finger_bass", "1.1.1.1.1.1.1.1. 1---1-1-1---1-1-", low=31),
            Part("lead_guitar", "?-?-?---?-?-?--- ..?-?-----?-?---", low=62, chance=0.45),
            _SINGER, _CRASH, _FILL,
        ),
    ),
}
# fmt: on

GENRES: tuple[str, ...] = tuple(sorted(STYLES))


@dataclass(frozen=True)
class Note:
    """One note of a score, or a hit of a drum, whose pitch and length mean nothing."""

    start: float  # seconds from the beginning of the track
    seconds: float
    pitch: int  # MIDI
    loudness: float  # factor


@dataclass(frozen=True)
class Line:
    """All that one player plays."""

    voice: str  # of VOICES or DRUMS
    level: float  # dB
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Song:
    """What all players of a track have in common."""

    style: Style
    tempo: float  # beats a minute
    swing: float
    key: int  # pitch class of the tonic, 0 is C
    scale: tuple[int, ...]
    chords: tuple[str, ...]  # one a bar


def track_waveform(
    genre: str, number: int, *, seed: int = 42, seconds: float = 30.0, sample_rate: int = 22050
) -> npt.NDArray[np.float32]:
    """Compose, play and record track `number` of a genre.

    Args:
        genre: One of `GENRES`.
        number: 0 or more; another number is another track.
        seed: 0 or more; another seed is another corpus.
        seconds: Length, at least 1 (a shorter track may be silent); the waveform has `round(seconds * sample_rate)`
            samples.
        sample_rate: In Hz, at least 8000.

    Returns:
        Waveform `(time,)` between -1 and 1; the same arguments give the same samples.
    """
    song, lines = compose(genre, number, seed=seed, seconds=seconds)
    rng = _generator(genre, number, seed, "sound")
    mix = np.zeros(round(seconds * sample_rate))
    for line in lines:
        mix += 10.0 ** (line.level / 20.0) * _play(line, length=len(mix), sample_rate=sample_rate, rng=rng)
    return record(mix, reverb_seconds=rng.uniform(*song.style.reverb), sample_rate=sample_rate, rng=rng)


def compose(genre: str, number: int, *, seed: int = 42, seconds: float = 30.0) -> tuple[Song, tuple[Line, ...]]:
    """Write the score of a track: draw key, tempo, chords and players, and let each play its patterns.

    A shorter track is the beginning of the longer one.
    """
    style = STYLES[genre]
    rng = _generator(genre, number, seed, "score")
    song = _song(style, seconds, rng)
    drums = rng.uniform() >= style.drumless
    lines = []
    for part, player in zip(style.parts, rng.spawn(len(style.parts)), strict=True):
        voice = str(player.choice(part.voices.split()))
        if player.uniform() < part.chance and (drums or voice not in DRUMS):
            level = part.level + player.normal(0.0, 2.0)
            lines.append(Line(voice, level, tuple(_notes(part, song, player))))
    return song, tuple(lines)


def chord_tones(numeral: str) -> tuple[int, ...]:
    """Semitones above the tonic of root, third, fifth and perhaps seventh of a Roman numeral: `bVII`, `ii7`, `IM7`.

    Upper case has a major third and lower case a minor one; `7` adds the minor seventh and `M7` the major.
    """
    name = numeral.rstrip("M7").lstrip("b")
    root = MAJOR[("i", "ii", "iii", "iv", "v", "vi", "vii").index(name.lower())] - numeral.startswith("b")
    seventh = (11,) if numeral.endswith("M7") else (10,) if numeral.endswith("7") else ()
    return tuple(root + tone for tone in (0, 4 if name.isupper() else 3, 7, *seventh))


def _generator(genre: str, number: int, seed: int, purpose: str) -> np.random.Generator:
    """A random generator that depends only on these four arguments."""
    return np.random.default_rng([seed, number, *genre.encode(), 0, *purpose.encode()])


def _song(style: Style, seconds: float, rng: np.random.Generator) -> Song:
    """Draw what the players have in common; the chords last to the end of the bar in which the track ends."""
    tempo = rng.uniform(*style.tempo)
    progression = str(rng.choice(style.progressions)).split()
    bars = int(seconds * tempo / 240.0) + 1
    return Song(
        style=style,
        tempo=tempo,
        swing=rng.uniform(*style.swing),
        key=int(rng.integers(12)),
        scale=style.scales[rng.integers(len(style.scales))],
        chords=tuple(progression[bar % len(progression)] for bar in range(bars)),
    )


def _notes(part: Part, song: Song, rng: np.random.Generator) -> Iterator[Note]:
    """All notes of one player, from beginning to end."""
    patterns = [str(rng.choice(part.patterns.split())) for _ in range(2)]
    motif = int(rng.integers(2**32))
    for bar, chord in enumerate(song.chords):
        if bar % SECTION == 0:
            pattern = patterns[int(rng.uniform() < 0.3)]
            resting = rng.uniform() < 0.2 and part.chance < 1.0
            melody = _melody(part, song, np.random.default_rng(motif))  # the tune comes again in each section
        if resting or bar % SECTION not in _BARS[part.when]:
            continue
        for step, symbol, held in _symbols(pattern):
            pitches = _pitches(symbol, chord, part, song, melody)
            start = max(0.0, _clock(bar * STEPS + step, song) + rng.normal(0.0, 0.003))
            loudness = _loudness(symbol, bar * STEPS + step, song.style) * rng.uniform(0.85, 1.15)
            seconds = min(part.gate * held * 15.0 / song.tempo, 0.08 if symbol == "m" else np.inf)
            for order, pitch in enumerate(pitches):
                yield Note(start + order * part.strum, seconds, pitch, loudness / len(pitches) ** 0.5)


def _symbols(pattern: str) -> Iterator[tuple[int, str, int]]:
    """Step, character and length in steps of each note of a pattern."""
    for step, symbol in enumerate(pattern):
        if symbol not in ".-":
            following = pattern[step + 1 :]
            yield step, symbol, 1 + len(following) - len(following.lstrip("-"))


def _pitches(symbol: str, chord: str, part: Part, song: Song, melody: Iterator[int]) -> list[int]:
    """MIDI pitches that a character stands for, from `part.low` up."""
    if symbol in "xXo":
        return [60]  # a drum as it is usually tuned
    if symbol == "?":
        return [next(melody)]
    tones = [part.low + (song.key + tone - part.low) % 12 for tone in chord_tones(chord)]
    if symbol == "c":
        return sorted(tones)
    third = (tones[1] - tones[0]) % 12
    return [tones[0] + interval for interval in {**_INTERVALS, "3": (third,)}[symbol]]


def _melody(part: Part, song: Song, rng: np.random.Generator) -> Iterator[int]:
    """An endless random walk over the scale, in small steps, within an octave and a half above `part.low`."""
    pitches = [pitch for pitch in range(part.low, part.low + 18) if (pitch - song.key) % 12 in song.scale]
    place = len(pitches) // 2
    while True:
        place = min(max(place + int(rng.choice([-2, -1, -1, 0, 1, 1, 2])), 0), len(pitches) - 1)
        yield pitches[place]


def _clock(step: int, song: Song) -> float:
    """Time in seconds of a step counted from the beginning, swung and bent as the style has it."""
    whole, part = divmod(step / 4.0 / song.style.swing_beats, 1.0)
    part = part * 2 * song.swing if part < 0.5 else 1.0 - (1.0 - part) * 2 * (1.0 - song.swing)
    seconds = (whole + part) * song.style.swing_beats * 60.0 / song.tempo
    return float(seconds + song.style.rubato * np.sin(2 * np.pi * seconds / 7.0))


def _loudness(symbol: str, step: int, style: Style) -> float:
    """Factor from the accent of the character, the weight of the beat, and the swell of the music."""
    accent = {"X": 1.3, "o": 0.4, "m": 0.8}.get(symbol, 1.0) * (1.0 if step % 4 == 0 else 0.85)
    return float(accent * 10.0 ** (style.swell * np.sin(2 * np.pi * step / STEPS / 5.3) / 20.0))


def _play(line: Line, *, length: int, sample_rate: int, rng: np.random.Generator) -> Waveform:
    """Sound `(length,)` of one line. Equal notes are made once, but drums and words are never quite the same."""
    takes = 3 if line.voice in DRUMS or VOICES[line.voice].vowels else 1
    tuning = rng.normal(0.0, 2.0) if line.voice in DRUMS else 0.0
    waveform = np.zeros(length)
    made: dict[tuple[float, ...], Waveform] = {}
    for note in line.notes:
        key = (note.pitch, round(note.seconds, 3), int(rng.integers(takes)))
        if key not in made:
            made[key] = sound(line.voice, note.pitch + tuning, note.seconds, sample_rate=sample_rate, rng=rng)
        start = round(note.start * sample_rate)
        wave = made[key][: max(0, length - start)]
        waveform[start : start + len(wave)] += note.loudness * wave
    return amplify(line.voice, waveform, sample_rate=sample_rate, rng=rng)
