import re
import shutil
from pathlib import Path

import pytest

from genre import recipe
from genre.audio.params import Spectrogram
from genre.console.check import SECTIONS, check
from genre.corpus.params import Data, DataSource
from genre.network.params import Model
from genre.pipeline.settings import Settings, flat
from genre.splits.params import Split
from genre.training.params import Train

PARAMS = Path(__file__).parents[3] / "params.yaml"


def read(*overrides: str) -> Settings:
    return Settings.read(PARAMS, overrides)


def test_the_shipped_file_loads_and_has_no_section_besides():
    settings = read()
    assert {kind.section for kind in SECTIONS} == set(settings.sections)
    assert all(settings.load(kind) for kind in SECTIONS)


def test_scientific_notation_is_a_number():
    assert read("train.learning_rate=3e-4").load(Train).learning_rate == 3e-4


def test_a_whole_number_passes_for_a_float():
    assert read("split.valid=0").load(Split).valid == 0.0


@pytest.mark.parametrize(
    ("section", "override", "message"),
    [
        (Train, "train.epochs=0", r"^train\.epochs must be in 1\.\.10000, got 0$"),
        (Train, "train.epochs=2.5", r"^train\.epochs must be a valid integer, got 2\.5 \(float\)$"),
        (Train, "train.epochs=true", r"^train\.epochs must be a valid integer, got True \(bool\)$"),
        (Train, "train.learning_rate=.nan", r"^train\.learning_rate must be in 1e-08\.\.10, got nan$"),
        (Train, "train.learning_rate=fast", r"^train\.learning_rate must be a valid number, got 'fast' \(str\)$"),
        (Train, "train.optimizer=sgd", r"^train\.optimizer must be 'adamw' or 'adam', got 'sgd'$"),
        (Train, "train.learning_rate=1e400", r"^train\.learning_rate must be in 1e-08\.\.10, got inf$"),
        (Train, f"train.learning_rate={'9' * 400}", r"^train\.learning_rate must be a valid number, got 9+\.\.\.9+ \(int\)$"),
        (Train, "train.epochs=null", r"^train\.epochs must be a valid integer, got None \(NoneType\)$"),
        (Train, "train.epochs=2020-01-01", r"^train\.epochs must be a valid integer, got datetime\.date\(2020, 1, 1\) \(date\)$"),
        (Train, "train.epochs=[1,2]", r"^train\.epochs must be a valid integer, got \[1, 2\] \(list\)$"),
        (Spectrogram, "spectrogram.n_mels=100", r"^spectrogram\.n_mels must be a multiple of 32, got 100$"),
        (Split, "split.clip_frames=200", r"^split\.clip_frames must be a multiple of 32, got 200$"),
        (Spectrogram, "spectrogram.sample_rate=4000", r"^spectrogram\.sample_rate must be in 8000\.\.192000, got 4000$"),
        (Spectrogram, "spectrogram.hop_length=4096", r"^spectrogram\.hop_length must be in 1\.\.n_fft \(2048\), got 4096"),
        (Spectrogram, "spectrogram.f_max=11026", r"^spectrogram\.f_max must be in 1000\.\.11025, half of spectrogram\.sample_rate, got 11026"),
        (Split, "split.test=0.9", r"^split\.valid \+ split\.test must leave tracks to train on .* got 0\.2 \+ 0\.9$"),
        (Train, "train.batch_size=1", r"^train\.batch_size must be in 2\.\.4096, got 1$"),
        (Split, "split.group_by=artist split.protocol=file split.file=a", r"^split\.group_by must be none for split\.protocol file"),
        (Split, "split.valid=0 split.test=0", r"^split\.valid or split\.test must be above 0, got 0 and 0"),
        (Split, "split.fold=5", r"^split\.fold must be in 0\.\.split\.folds - 1 \(4\), got 5$"),
        (Split, "split.protocol=file", r"^split\.file must name a CSV table"),
        (Split, "split.group_by=column", r"^split\.groups must name a CSV table"),
        (Data, "data.path=null", r"^data\.path must be a valid string, got None \(NoneType\)$"),
        (Data, "data.path=''", r"^data\.path must be a text that is not empty, got ''$"),
        (Train, "train.devices=two", r"^train\.devices must be a valid integer or 'auto', got 'two' \(str\)$"),
        (Train, "train.devices=0", r"^train\.devices must be in 1\.\.1024 or 'auto', got 0$"),
        (Train, "train.crop_frames=none", r"^train\.crop_frames must be a valid integer or null, got 'none' \(str\)$"),
        (Split, "split.file=7", r"^split\.file must be a valid string or null, got 7 \(int\)$"),
        (Train, "train.devices=9 train.batch_size=16", r"^train\.batch_size must be at least 2 for each of the 9 devices, got 16"),
        (Spectrogram, "spectrogram.n_fft=512 spectrogram.sample_rate=44100 spectrogram.hop_length=512",
         r"^spectrogram\.n_fft must be at least 880 for n_mels 128 and f_max 10000, got 512: .* raise n_fft, or lower n_mels$"),
        (Spectrogram, "spectrogram.n_mels=1024 spectrogram.f_max=11025", r"^spectrogram\.n_fft must be at least 3397 for n_mels 1024"),
        (Data, "data.source=spotify", r"^data\.source must be 'synthetic', 'gtzan', 'gtzan-mini' or 'local', got 'spotify'$"),
    ],
)  # fmt: skip
def test_a_bad_value_is_named_with_its_rule(section, override, message):
    with pytest.raises(ValueError, match=message):
        read(*override.split()).load(section)


def test_every_number_below_and_above_its_range_is_refused():
    tried = 0
    for kind in SECTIONS:
        for key, field in kind.model_fields.items():
            if field.annotation in (int, float):
                for value in (-1e12, 1e12):
                    tried += 1
                    with pytest.raises(ValueError, match=rf"^{kind.section}\.{key} must be in "):
                        read(f"{kind.section}.{key}={int(value)}").load(kind)
    assert tried > 50


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: [", "must be YAML"),
        ("- 1", "must map section names to their keys, got list"),
        ("train: 5", "must have a section train, got 5"),
        ("data: {}", "must have a section train, got None"),
        ("train: {seed: 1, device: cpu}", r"train\.precision is missing in"),
        ("train: {epochs: 1, epochs: 2}", "must be YAML"),
    ],
)
def test_a_bad_file_is_told_in_one_line(tmp_path, text, message):
    path = tmp_path / "params.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        Settings.read(path).load(Train)


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(ValueError, match="is missing; run in the repository's root"):
        Settings.read(tmp_path / "none.yaml")


@pytest.mark.parametrize("override", ["train.epochs", "epochs=3", "trian.epochs=3", "=1"])
def test_an_override_of_another_form_is_refused(override):
    with pytest.raises(ValueError, match=r"--set must be SECTION\.KEY=VALUE"):
        read(override)


def test_flat_names_each_value_by_section_and_key():
    assert flat(read().load(Model))["model.dropout"] == 0.3


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.crop_frames=160"], r"train.crop_frames must be at most split.clip_frames \(128\), got 160"),
        (["train.crop_frames=40"], "train.crop_frames must be a multiple of 32 or null, got 40"),
        (["model.network=reference"], "train.crop_frames must be null for model.network reference, .* got 64"),
    ],
)
def test_a_crop_that_does_not_fit_is_refused_before_any_stage_works(overrides, message):
    with pytest.raises(ValueError, match=message):
        check(Settings.read(PARAMS, overrides))


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["train.trunk_rate=0.1"], r"^train\.trunk_rate must be 0 for model\.network unet, .* got 0\.1$"),
        (
            ["split.valid=0"],
            r"^split\.valid must be above 0 for train\.trunk_rate 0\.1: .* to 0\.2, or set trunk_rate to 0$",
        ),
        (["split.protocol=kfold", "split.folds=2"], r"^split\.folds must be at least 3 for train\.trunk_rate 0\.1"),
    ],
)
def test_a_trunk_that_cannot_be_trained_on_is_refused_before_any_stage_works(tmp_path, overrides, message):
    params = Path(shutil.copy(PARAMS, tmp_path))
    if not overrides[0].startswith("train"):
        recipe.apply("pretrained", params, PARAMS.parent / "recipes")
    with pytest.raises(ValueError, match=message):
        check(Settings.read(params, ["train.trunk_rate=0.1", *overrides]))


@pytest.mark.parametrize("overrides", [["train.crop_frames=null"], ["train.crops=fixed"]])
def test_the_reference_network_learns_from_whole_clips(overrides):
    check(Settings.read(PARAMS, ["model.network=reference", *overrides]))


def test_every_section_is_checked_whoever_asks():
    check(read())
    with pytest.raises(ValueError, match=r"^model\.dropout must be in 0\.\.0\.95, got 1$"):
        check(read("model.dropout=1"))


def test_an_unknown_key_is_refused():
    with pytest.raises(
        ValueError, match=r"^train\.epoch is not a parameter; train has seed, device, precision, epochs"
    ):
        check(read("train.epoch=3"))


def test_an_unknown_section_is_refused(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(PARAMS.read_text() + "trian: {epochs: 3}\n")
    with pytest.raises(
        ValueError, match="'trian' is not a section; there are data, split, spectrogram, augment, model, train"
    ):
        check(Settings.read(path))


def test_what_anchors_blow_up_is_shown_in_short(tmp_path):
    path = tmp_path / "params.yaml"
    levels = [f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]" if n else "x0: &x0 [1, 2, 3]" for n in range(12)]
    path.write_text("\n".join(levels) + "\n" + re.sub(r"epochs: \d+", "epochs: *x11", PARAMS.read_text()))
    with pytest.raises(ValueError, match=r"^train\.epochs must be a valid integer, got \[\[\[") as error:
        Settings.read(path).load(Train)
    assert len(str(error.value)) < 2000


def test_a_clip_that_is_longer_than_the_shortest_track_is_refused_before_any_stage_works():
    check(read("data.min_seconds=5.9"))
    check(read(f"data.min_seconds={127 * 1024 / 22050}"))  # 128 frames, the first centred on the start
    message = (
        r"data\.min_seconds must be at least the length of a clip \(split\.clip_frames 128: 5\.90 s\), got 5; raise it"
    )
    with pytest.raises(ValueError, match=message):
        check(read("data.min_seconds=5"))


def test_a_part_of_a_section_loads_without_the_rest(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("data: {source: local}\n")
    assert Settings.read(path).load(DataSource).source == "local"
