import shutil

import pytest

from genre import recipe
from genre.pipeline.settings import Settings
from genre.training.params import Train
from tests.architecture import ROOT


@pytest.fixture
def params(tmp_path):
    return shutil.copy(ROOT / "params.yaml", tmp_path / "params.yaml")


def test_every_recipe_has_a_title_and_fits_the_params_file(params):
    found = recipe.names(ROOT / "recipes")
    assert {"unet", "unet-quick", "reference", "pretrained"} <= found.keys()
    for name, title in found.items():
        assert len(title) > 20
        recipe.apply(name, params, ROOT / "recipes")  # checks all of the file


def test_the_default_is_the_recipe_unet_quick_and_the_file_stays_as_it_is_byte_for_byte(params):
    before = params.read_bytes()
    assert recipe.apply("unet-quick", params, ROOT / "recipes") == []
    assert params.read_bytes() == before


def test_a_recipe_is_written_with_its_values_and_the_comments_stay_and_another_takes_them_back(params):
    before = params.read_text()
    lines = recipe.apply("reference", params, ROOT / "recipes")
    assert "train.crop_frames: 64 -> None" in lines
    assert Settings.read(params).load(Train).optimizer == "adam"
    assert params.read_text().count("#") == before.count("#")
    assert "crop_frames: null " in params.read_text()
    assert "file: null " in params.read_text()
    recipe.apply("unet-quick", params, ROOT / "recipes")
    assert Settings.read(params).sections == Settings.read(ROOT / "params.yaml").sections


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: {epoch: 3}", "recipe bad: train.epoch is not a parameter"),
        ("train: {epochs: 0}", r"train\.epochs must be in 1\.\.10000, got 0"),
        ("- 1", "bad.yaml must map sections"),
        ("a: [", "bad.yaml must map sections"),
    ],
)
def test_a_recipe_that_does_not_fit_changes_nothing(tmp_path, params, text, message):
    (tmp_path / "bad.yaml").write_text(text)
    before = params.read_bytes()
    with pytest.raises(ValueError, match=message):
        recipe.apply("bad", params, tmp_path)
    assert params.read_bytes() == before


def test_an_unknown_recipe_and_a_place_without_recipes_are_refused(tmp_path):
    with pytest.raises(ValueError, match="'nett' is not a recipe; there are pretrained, reference"):
        recipe.values("nett", ROOT / "recipes")
    with pytest.raises(ValueError, match="none is missing; run in the repository's root"):
        recipe.names(tmp_path / "none")


def test_a_params_file_that_is_missing_or_no_yaml_is_told_and_left(tmp_path):
    path = tmp_path / "params.yaml"
    with pytest.raises(ValueError, match=r"params\.yaml is missing; `git checkout -- .*params\.yaml` restores it"):
        recipe.apply("unet", path, ROOT / "recipes")
    for content, message in (
        (b"a: [", "must be YAML"), (b"\xff", "must be YAML"), (b"", "must map section names"), (b"a: 1", "must map section")
    ):  # fmt: skip
        path.write_bytes(content)
        with pytest.raises(ValueError, match=f"params.yaml {message}"):
            recipe.apply("unet", path, ROOT / "recipes")
        assert path.read_bytes() == content
    with pytest.raises(ValueError, match="none is missing; run in the repository's root"):
        recipe.apply("unet", tmp_path / "no.yaml", tmp_path / "none")
