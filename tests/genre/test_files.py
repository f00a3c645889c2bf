import json

import pandas as pd
import pytest

from genre import files


def test_a_block_that_raises_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail():
        with files.replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_is_replaced_whole(tmp_path):
    path = tmp_path / "out"
    (path / "stale").mkdir(parents=True)
    with files.replacing_folder(path) as temporary:
        temporary.mkdir()
        (temporary / "fresh").touch()
    assert [file.name for file in path.iterdir()] == ["fresh"]


def test_a_folder_that_fails_leaves_the_old_one(tmp_path):
    path = tmp_path / "out"
    path.mkdir()

    def fail():
        with files.replacing_folder(path) as temporary:
            temporary.mkdir()
            raise OSError

    with pytest.raises(OSError, match=r"^$"):
        fail()
    assert [file.name for file in tmp_path.iterdir()] == ["out"]


def test_names_like_numbers_and_na_stay_text(tmp_path):
    path = tmp_path / "t.csv"
    files.write_csv(pd.DataFrame({"track": ["007", "NA"], "genre": ["null", "1e3"]}), path)
    table = files.read_csv(path, ["track", "genre"])
    assert table.to_numpy().tolist() == [["007", "null"], ["NA", "1e3"]]


def test_names_with_quotes_commas_and_newlines_come_back(tmp_path):
    path, names = tmp_path / "t.csv", ['a,"b"', "c\nd", "é 漢字", " e "]
    files.write_csv(pd.DataFrame({"track": names}), path)
    assert list(files.read_csv(path, ["track"])["track"]) == names


@pytest.mark.parametrize("content", [b"", b"track\n\xff\xfe", b'track,genre\na,"b'])
def test_a_file_that_is_no_table_is_refused(tmp_path, content):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="must be a CSV table in UTF-8"):
        files.read_csv(path, ["track"])


def test_a_missing_column_is_named(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("track\na\n")
    with pytest.raises(ValueError, match="it lacks genre"):
        files.read_csv(path, ["track", "genre"])


def test_json_is_rounded_and_never_holds_nan(tmp_path):
    path = tmp_path / "m.json"
    files.write_json({"a": {"b": 1 / 3, "n": 2}}, path)
    assert json.loads(path.read_text()) == {"a": {"b": 0.333333, "n": 2}}
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json({"a": float("nan")}, path)
    assert json.loads(path.read_text()) == {"a": {"b": 0.333333, "n": 2}}
