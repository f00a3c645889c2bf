"""What the stage `split` reaches of this module is tested in tests/stages/test_split.py; here is the rest."""

import unicodedata
from pathlib import Path

import pandas as pd
import pytest

from genre.pipeline import tables
from genre.pipeline.settings import Settings
from genre.splits import assignment
from genre.splits.params import Split
from tests.genre.splits.test_protocols import table

ROOT = Path(__file__).parents[3]
NO_PAIRS = pd.DataFrame(columns=tables.REPETITIONS)


def assign(lists, **changes):
    overrides = [f"split.{key}={value}" for key, value in changes.items()]
    section = Settings.read(ROOT / "params.yaml", overrides).load(Split)
    return assignment.assign(section, "local", table(4, 4), NO_PAIRS, ROOT / "data" / "gtzan", lists)


def test_two_spellings_of_an_artist_are_one_name():
    assert assignment.plain_name("Earth, Wind & Fire") == assignment.plain_name("Earth Wind and Fire")
    assert assignment.plain_name("Blur") != assignment.plain_name("Blue")
    assert assignment.plain_name("Beyonc\u00e9") == assignment.plain_name("Beyonce\u0301")
    assert assignment.plain_name("!!!") == assignment.plain_name(" !!! ") == "!!!"


def test_a_table_of_ones_own_is_named_alone_or_with_its_folder(tmp_path):
    (tmp_path / "mine.csv").write_text("track,subset\ng0/000,train\ng1/000,train\ng0/001,test\n")
    alone, whole = (assign(tmp_path, protocol="file", file=file)[0] for file in ("mine.csv", tmp_path / "mine.csv"))
    assert alone.equals(whole)
    assert dict(zip(alone["track"], alone["subset"], strict=True)) == {
        "g0/000": "train", "g1/000": "train", "g0/001": "test",
    }  # fmt: skip


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_list_may_write_accents_another_way_than_the_names_of_the_files(tmp_path, form):
    tracks = table(4, 4).replace({"g0/000": unicodedata.normalize(form, "g0/\u00e9")})
    other = unicodedata.normalize({"NFC": "NFD", "NFD": "NFC"}[form], "g0/\u00e9")
    (tmp_path / "mine.csv").write_text(f"track,subset\n{other},train\ng1/000,train\ng0/001,test\n")
    section = Settings.read(ROOT / "params.yaml", ["split.protocol=file", "split.file=mine.csv"]).load(Split)
    assigned = assignment.assign(section, "local", tracks, NO_PAIRS, ROOT / "data" / "gtzan", tmp_path)[0]
    assert set(assigned["track"]) == {tracks["track"][0], "g1/000", "g0/001"}


@pytest.mark.parametrize(
    ("options", "name"),
    [({"protocol": "file", "file": ""}, "split.file"), ({"group_by": "column", "groups": ""}, "split.groups")],
    ids=["subsets", "groups"],
)
def test_a_table_outside_of_the_lists_or_missing_is_refused_with_where_to_put_it(tmp_path, options, name):
    key = name.removeprefix("split.")
    with pytest.raises(ValueError, match=rf"^{name} must name a table in \S+, got '/tmp/mine\.csv'; move it there, so"):
        assign(tmp_path, **{**options, key: "/tmp/mine.csv"})
    with pytest.raises(
        ValueError, match=rf"^{name} must name a table in \S+, there is no mine\.csv; .*git add \S+mine"
    ):
        assign(tmp_path, **{**options, key: "mine.csv"})
