import pandas as pd
import pytest

from genre.pipeline import tables


def test_names_like_numbers_and_na_stay_text(tmp_path):
    path = tmp_path / "t.csv"
    tables.write_csv(pd.DataFrame({"track": ["007", "NA"], "genre": ["null", "1e3"]}), path)
    table = tables.read_csv(path, ["track", "genre"])
    assert table.to_numpy().tolist() == [["007", "null"], ["NA", "1e3"]]


def test_groups_stay_text(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("track,group\na,01\nb,1\nc,\n")
    assert list(tables.read_csv(path, tables.GROUP_LIST)["group"]) == ["01", "1", ""]
    path.write_text("track,group\na,01\nb,1\n")
    assert list(tables.read_csv(path, tables.GROUP_LIST)["group"]) == ["01", "1"]


def test_names_with_quotes_commas_and_newlines_come_back(tmp_path):
    path, names = tmp_path / "t.csv", ['a,"b"', "c\nd", "é 漢字", " i "]
    tables.write_csv(pd.DataFrame({"track": names}), path)
    assert list(tables.read_csv(path, ["track"])["track"]) == names


@pytest.mark.parametrize("content", [b"", b"track\n\xff\xfe", b'track,genre\na,"b'])
def test_a_file_that_is_no_table_is_refused(tmp_path, content):
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="must be a CSV table in UTF-8"):
        tables.read_csv(path, ["track"])


@pytest.mark.parametrize("rows", ["a,b,\nc,d,\n", "a,b,,\nc,d,,\n", "a,b\nc,d,\n"])
def test_rows_that_are_longer_than_the_head_are_refused(tmp_path, rows):
    path = tmp_path / "t.csv"
    path.write_text("track,genre\n" + rows)
    with pytest.raises(ValueError, match=r"must have as many fields in each row|must be a CSV table"):
        tables.read_csv(path, ["track", "genre"])


def test_a_missing_column_is_named(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("track\na\n")
    with pytest.raises(ValueError, match="it lacks genre"):
        tables.read_csv(path, ["track", "genre"])


def test_a_table_without_tracks_or_with_one_twice_is_refused(tmp_path):
    path = tmp_path / "tracks.csv"
    header = ",".join(tables.TRACKS)
    path.write_text(f"{header}\n")
    with pytest.raises(ValueError, match="at least one track, got none"):
        tables.read_tracks(path)
    path.write_text(f"{header}\n" + "a,g,a.wav,1,1,,,\n" * 2)
    with pytest.raises(ValueError, match="each track once, got 'a' twice"):
        tables.read_tracks(path)
