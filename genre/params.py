"""The sections of params.yaml as frozen dataclasses: unknown, missing and impossible values are errors."""

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from reprlib import Repr
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

Section = TypeVar("Section")
SHOWN = Repr()  # what YAML's anchors can blow up is shown in short
SHOWN.maxstring = SHOWN.maxother = 100
SHOWN.maxlevel = 2


@dataclass(frozen=True)
class Rule:
    """What a value must be, in words and as a test."""

    text: str
    holds: Callable[[Any], bool]


def between(low: float, high: float) -> Rule:
    """A number in the closed range `low..high`; NaN is outside of every range."""
    return Rule(f"in {low}..{high}", lambda value: low <= value <= high)


def multiple_of(base: int) -> Rule:
    """A whole number that `base` divides: the network halves both sides of a clip, see `model.HALVINGS`."""
    return Rule(f"a multiple of {base}", lambda value: value % base == 0)


def crop_length() -> Rule:
    """Frames of a random crop: as many as `split.clip_frames` if None, else a multiple of 32."""
    return Rule("none or a multiple of 32 in 32..8192", lambda value: value is None or value in range(32, 8193, 32))


def one_of(*names: str) -> Rule:
    """One of a few words."""
    return Rule(f"one of {', '.join(names)}", lambda value: value in names)


Share = Annotated[float, between(0, 1)]
Seed = Annotated[int, between(0, 2**31 - 1)]


@dataclass(frozen=True)
class Data:
    """Where the recordings come from, and which are usable."""

    source: Annotated[str, one_of("synthetic", "gtzan", "gtzan-mini", "local")]
    path: str | None
    tracks_per_genre: Annotated[int, between(2, 1000)]
    seed: Seed
    min_seconds: Annotated[float, between(0.1, 3600)]
    max_unpacked_gigabytes: Annotated[float, between(0.001, 10_000)]
    max_unpacked_files: Annotated[int, between(1, 100_000_000)]
    max_unpacked_ratio: Annotated[float, between(1, 1_000_000)]

    def __post_init__(self) -> None:
        if self.source == "local" and not self.path:
            raise ValueError(
                "data.path must name a folder or archive when data.source is local, got none; add -S data.path=FOLDER"
            )


@dataclass(frozen=True)
class Split:
    """Who trains, who validates, who tests, and how a track is cut into clips."""

    protocol: Annotated[str, one_of("stratified", "fault-filtered", "kfold", "file")]
    valid: Annotated[float, between(0, 0.9)]
    test: Annotated[float, between(0, 0.9)]
    folds: Annotated[int, between(2, 100)]
    fold: Annotated[int, between(0, 99)]
    file: str | None
    group_by: Annotated[str, one_of("none", "repetition", "artist", "column")]
    groups: str | None
    leaks: Annotated[str, one_of("fail", "warn")]
    seed: Seed
    clips_per_track: Annotated[int, between(1, 1000)]
    clip_frames: Annotated[int, between(32, 8192), multiple_of(32)]
    clip_spacing: Annotated[str, one_of("even", "contiguous")]

    def __post_init__(self) -> None:
        if self.valid + self.test > 0.95:
            raise ValueError(
                f"split.valid + split.test must leave tracks to train on (at most 0.95), got {self.valid} + {self.test}"
            )
        if self.protocol == "stratified" and self.valid == self.test == 0:
            raise ValueError(
                "split.valid or split.test must be above 0, got 0 and 0; nothing would be left to judge by"
            )
        if self.group_by != "none" and self.listed:
            raise ValueError(
                f"split.group_by must be none for split.protocol {self.protocol}, whose list decides who is where, got "
                f"{self.group_by!r}"
            )
        if self.fold >= self.folds:
            raise ValueError(f"split.fold must be in 0..split.folds - 1 ({self.folds - 1}), got {self.fold}")
        if self.protocol == "file" and not self.file:
            raise ValueError("split.file must name a CSV table track,subset when split.protocol is file, got none")
        if self.group_by == "column" and not self.groups:
            raise ValueError("split.groups must name a CSV table track,group when split.group_by is column, got none")

    @property
    def listed(self) -> bool:
        """Whether a list says who is in which subset; else they are drawn."""
        return self.protocol in ("file", "fault-filtered")


@dataclass(frozen=True)
class Spectrogram:
    """Log-mel power spectrogram."""

    sample_rate: Annotated[int, between(8000, 192_000)]  # what tells repeated recordings needs 8000
    n_fft: Annotated[int, between(64, 32_768)]
    hop_length: Annotated[int, between(1, 32_768)]
    n_mels: Annotated[int, between(32, 1024), multiple_of(32)]

    def __post_init__(self) -> None:
        if self.hop_length > self.n_fft:
            raise ValueError(
                f"spectrogram.hop_length must be in 1..n_fft ({self.n_fft}), got {self.hop_length}; "
                "longer hops skip samples"
            )


@dataclass(frozen=True)
class Augment:
    """Augmentation of training clips: each kind with its probability and size."""

    noise_probability: Share
    noise_level: Share
    shift_probability: Share
    shift_step: Annotated[int, between(1, 8192)]
    shift_steps: Annotated[int, between(0, 8192)]
    time_mask_probability: Share
    time_masks: Annotated[int, between(0, 100)]
    time_mask_frames: Annotated[int, between(0, 8192)]
    mel_mask_probability: Share
    mel_masks: Annotated[int, between(0, 100)]
    mel_mask_bands: Annotated[int, between(0, 1024)]


@dataclass(frozen=True)
class Model:
    """The network's shape."""

    network: Annotated[str, one_of("normalised", "reference")]
    base_channels: Annotated[int, between(1, 256)]
    activation: Annotated[str, one_of("relu", "prelu")]
    dropout: Annotated[float, between(0, 0.95)]


@dataclass(frozen=True)
class Train:
    """The training loop."""

    epochs: Annotated[int, between(1, 10_000)]
    batch_size: Annotated[int, between(2, 4096)]  # batch norm needs two
    optimizer: Annotated[str, one_of("adamw", "adam")]
    learning_rate: Annotated[float, between(1e-8, 10)]
    schedule: Annotated[str, one_of("one-cycle", "constant")]
    weight_decay: Annotated[float, between(0, 10)]
    l2_penalty: Annotated[float, between(0, 10)]
    label_smoothing: Annotated[float, between(0, 0.9)]
    crops: Annotated[str, one_of("random", "fixed")]
    crop_frames: Annotated[int | None, crop_length()]
    keep: Annotated[str, one_of("best", "last")]
    seed: Seed
    device: Annotated[str, one_of("auto", "cpu", "cuda", "mps")]
    precision: Annotated[str, one_of("auto", "float32", "bfloat16")]

    def frames(self, clip_frames: int) -> int:
        """Gives the length of what the network learns from: a crop's, or the clip's."""
        return (self.crop_frames or clip_frames) if self.crops == "random" else clip_frames


SECTIONS = (Data, Split, Spectrogram, Augment, Model, Train)


@dataclass(frozen=True)
class Settings:
    """A params file, with the overrides of the command line applied."""

    path: Path
    sections: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path = Path("params.yaml"), overrides: Sequence[str] = ()) -> "Settings":
        """Reads YAML 1.2 (so `3e-4` is a number) and applies overrides of the form `section.key=value`.

        Raises:
            ValueError: The file is missing, not YAML, or not a mapping; an override has another form.
        """
        sections = _yaml(_text(path), f"{path}")
        if not isinstance(sections, dict):
            raise ValueError(f"{path} must map section names to their keys, got {type(sections).__name__}")
        for override in overrides:
            _apply(sections, override)
        return cls(path, sections)

    def check(self) -> None:
        """Checks every section, so that a mistake in a late stage's is told before the early ones have worked.

        Raises:
            ValueError: As `load`; or there is a section that no stage knows.
        """
        names = [section.__name__.lower() for section in SECTIONS]
        unknown = [name for name in self.sections if name not in names]
        if unknown:
            raise ValueError(f"{self.path}: {_shown(unknown[0])} is not a section; there are {', '.join(names)}")
        for section in SECTIONS:
            self.load(section)
        clip = self.load(Split).clip_frames
        crop = self.load(Train).frames(clip)
        if crop > clip:
            raise ValueError(
                f"train.crop_frames must be at most split.clip_frames ({clip}), got {crop}; null takes whole clips"
            )
        if self.load(Model).network == "reference" and crop != clip:
            raise ValueError(
                f"train.crop_frames must be null for model.network reference, which fits one length only, got {crop}"
            )

    def check_lengths(self, seconds: Mapping[str, float]) -> None:
        """Checks that a clip fits into every track; `seconds` is the length of each.

        Raises:
            ValueError: It does not; the message names the shortest track and what to change.
        """
        split, spectrogram = self.load(Split), self.load(Spectrogram)
        frames = split.clip_frames - 2  # the last frame is centred on the end, and resampling may round
        needed = frames * spectrogram.hop_length / spectrogram.sample_rate
        track = min(seconds, key=lambda track: seconds[track])
        if seconds[track] < needed:
            raise ValueError(
                f"every track must be at least a clip long (split.clip_frames {split.clip_frames}: {needed:.2f} s), "
                f"{track!r} has {seconds[track]:.2f} s; raise data.min_seconds, so that it is excluded, or lower "
                "split.clip_frames"
            )

    def load(self, section: type[Section]) -> Section:
        """Gives the section named as the dataclass `section`, in lower case, with every value checked.

        Raises:
            ValueError: The section or one of its keys is missing, unknown, of the wrong type or out of range.
        """
        name = section.__name__.lower()
        values = self.sections.get(name)
        if not isinstance(values, dict):
            raise ValueError(f"{self.path} must have a section {name}, got {_shown(values)}")
        return build(section, values, f"{self.path}")


def build(section: type[Section], values: Mapping[str, Any], where: str) -> Section:
    """Makes the dataclass `section` from `values`, each of them checked; `where` they stand is told in errors.

    Raises:
        ValueError: A value is missing, unknown, of the wrong type or out of range.
    """
    name, hints = section.__name__.lower(), get_type_hints(section, include_extras=True)
    unknown = sorted(set(map(str, values)) - set(hints))
    if unknown:
        raise ValueError(f"{name}.{unknown[0][:100]} is not a parameter; {name} has {', '.join(hints)}")
    missing = [key for key in hints if key not in values]
    if missing:
        raise ValueError(f"{name}.{missing[0]} is missing in {where}")
    return section(**{key: checked(f"{name}.{key}", value, hints[key]) for key, value in values.items()})


def flat(*sections: Any) -> dict[str, Any]:
    """The given section dataclasses as one mapping `section.key -> value`."""
    return {
        f"{type(section).__name__.lower()}.{key}": value
        for section in sections
        for key, value in asdict(section).items()
    }


def checked(name: str, value: Any, hint: Any) -> Any:
    """Gives `value` if it has the type and obeys the rules of `hint`; a whole number passes for a float.

    Raises:
        ValueError: It does not; the message names the parameter, the rule and the value.
    """
    kind, *rules = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    kinds = get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    if float in kinds and type(value) is int and abs(value) < 1e300:
        value = float(value)
    if type(value) not in kinds:
        names = " or ".join("none" if kind is type(None) else kind.__name__ for kind in kinds)
        raise ValueError(f"{name} must be of type {names}, got {_shown(value)} ({type(value).__name__})")
    for rule in rules:
        if not rule.holds(value):
            raise ValueError(f"{name} must be {rule.text}, got {_shown(value)}")
    return value


def _shown(value: Any) -> str:
    try:
        return SHOWN.repr(value)
    except ValueError:  # a whole number of thousands of digits
        return "a number too long to show"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; run in the repository's root, or name it with --params") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be text in UTF-8: {error}") from error


def _yaml(text: str, where: str) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"{where} must be YAML: {error}") from error


def _apply(sections: dict[str, Any], override: str) -> None:
    name, equals, value = override.partition("=")
    section, dot, key = name.partition(".")
    if not (equals and dot and isinstance(sections.get(section), dict)):
        raise ValueError(f"--set must be SECTION.KEY=VALUE with a section of the params file, got {override!r}")
    sections[section][key] = _yaml(value, f"--set {name}")
