"""Checks all of params.yaml before any stage works, so that a mistake of the last stage does not cost the first one."""

import math

from genre.audio.params import Spectrogram
from genre.corpus.params import Data
from genre.network.params import MUSICNN_SPECTROGRAM, Model
from genre.pipeline.settings import Section, Settings, build, shown
from genre.splits.params import Split
from genre.training.params import Augment, Train

SECTIONS: tuple[type[Section], ...] = (Data, Split, Spectrogram, Augment, Model, Train)


def check(settings: Settings) -> None:
    """Checks every section and every key, and what must hold between sections.

    Raises:
        ValueError: A section or key is missing or unknown, or a value breaks a rule; the message names it.
    """
    names = [kind.section for kind in SECTIONS]
    unknown = [name for name in settings.sections if name not in names]
    if unknown:
        raise ValueError(f"{settings.path}: {shown(unknown[0])} is not a section; there are {', '.join(names)}")
    for kind in SECTIONS:
        settings.load(kind)
        build(kind, settings.sections[kind.section], f"{settings.path}")  # refuses unknown keys too
    _check_crops(settings)
    _check_pretrained(settings)
    _check_trunk(settings)
    _check_shortest_track(settings)


def _check_crops(settings: Settings) -> None:
    clip = settings.load(Split).clip_frames
    crop = settings.load(Train).input_frames(clip)
    if crop > clip:
        raise ValueError(
            f"train.crop_frames must be at most split.clip_frames ({clip}), got {crop}; null takes whole clips"
        )
    if settings.load(Model).network == "reference" and crop != clip:
        raise ValueError(
            f"train.crop_frames must be null for model.network reference, which fits one length only, got {crop}"
        )


def _check_pretrained(settings: Settings) -> None:
    """Checks that the pretrained network gets spectrograms like those that it was trained on."""
    spectrogram = settings.load(Spectrogram)
    for key, value in MUSICNN_SPECTROGRAM.items():
        if settings.load(Model).network == "musicnn" and getattr(spectrogram, key) != value:
            raise ValueError(
                f"spectrogram.{key} must be {value} for model.network musicnn, which was trained on such spectrograms, "
                f"got {getattr(spectrogram, key)}; `genre recipe pretrained` sets all that belongs to it"
            )


def _check_trunk(settings: Settings) -> None:
    """Checks that a trunk that is trained on is there, and validation tracks that choose the epoch."""
    split, rate, network = settings.load(Split), settings.load(Train).trunk_rate, settings.load(Model).network
    if rate and network != "musicnn":
        raise ValueError(
            f"train.trunk_rate must be 0 for model.network {network}, which has no pretrained trunk, got {rate:g}"
        )
    advice = f"for train.trunk_rate {rate:g}: validation tracks choose the epoch"
    if rate and split.protocol == "stratified" and split.valid == 0:
        raise ValueError(f"split.valid must be above 0 {advice}; raise it, for example to 0.2, or set trunk_rate to 0")
    if rate and split.protocol == "kfold" and split.folds == 2:
        raise ValueError(f"split.folds must be at least 3 {advice}; raise it, or set trunk_rate to 0")


def _check_shortest_track(settings: Settings) -> None:
    """Checks that the shortest recording that is kept has as many frames as a clip."""
    split, spectrogram = settings.load(Split), settings.load(Spectrogram)
    frames = split.clip_frames - 1  # frames are centred, the first one on the start of the track
    needed = frames * spectrogram.hop_length / spectrogram.sample_rate
    if settings.load(Data).min_seconds < needed:
        raise ValueError(
            f"data.min_seconds must be at least the length of a clip (split.clip_frames {split.clip_frames}: "
            f"{math.ceil(100 * needed) / 100:.2f} s), got {settings.load(Data).min_seconds:g}; raise it, or lower "
            "split.clip_frames"
        )
