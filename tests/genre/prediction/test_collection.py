import os

import pytest

from genre.prediction.collection import find


@pytest.fixture
def music(tmp_path):
    """A folder as people have them: two albums, and what lies beside music."""
    folder = tmp_path / "music"
    for name in ("b/two.flac", "a/1.mp3", "a/cover.jpg", "a/._1.mp3", ".hidden/x.mp3", "@eaDir/1.mp3", "z.txt"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (folder / "a" / "no suffix").write_bytes(b"fLaC and so on")
    return folder


def relative(found, folder):
    return [path.relative_to(folder).as_posix() for path in found.recordings]


def test_a_folder_is_gone_through_sorted_without_what_is_no_music(music):
    found = find([str(music)])
    assert relative(found, music) == ["a/1.mp3", "a/no suffix", "b/two.flac"]
    assert (found.problems, found.notes, found.folders) == ([], [], 1)


def test_each_file_comes_once_in_the_order_of_the_arguments(music):
    (music / "again.mp3").symlink_to(music / "a" / "1.mp3")
    found = find([str(music / "b" / "two.flac"), str(music), str(music / "a" / ".." / "a" / "1.mp3"), str(music / "b")])
    assert relative(found, music) == ["b/two.flac", "a/1.mp3", "a/no suffix"]
    assert found.problems == []


def test_links_to_folders_are_noted_and_a_loop_has_an_end(music):
    (music / "a" / "loop").symlink_to(music)
    found = find([str(music)])
    assert len(found.recordings) == 3
    assert found.notes == [f"{music / 'a' / 'loop'}: a link to a folder is not followed; name the folder itself"]
    assert len(find([str(music / "a" / "loop")]).recordings) == 3  # named by the user, it is


def test_broken_links_pipes_and_loops_of_links_are_told(music):
    (music / "gone.mp3").symlink_to(music / "nowhere.mp3")
    (music / "self.mp3").symlink_to(music / "self.mp3")
    os.mkfifo(music / "pipe.mp3")
    found = find([str(music)])
    assert sorted(found.problems) == [
        f"{music / 'gone.mp3'}: a broken link",
        f"{music / 'pipe.mp3'}: not a file",
        f"{music / 'self.mp3'}: cannot be read: Too many levels of symbolic links",
    ]
    assert len(found.recordings) == 3
    assert find([str(music / "pipe.mp3")]).problems == [f"{music / 'pipe.mp3'}: not a file"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("https://x.org/a.mp3", "an internet address is not read; download the recording, and name the file"),
        ("file:///a.mp3", "an internet address is not read; download the recording, and name the file"),
        ("-", "standard input is not read; save the recording to a file, and name that"),
        ("/nowhere/a.mp3", "no such file or folder"),
        ("x" * 300, "cannot be read: File name too long"),
    ],
)
def test_what_is_no_file_is_told_in_one_line(name, reason):
    found = find([name])
    assert found.problems == [f"{name}: {reason}"]
    assert found.recordings == []


def test_an_empty_name_is_not_this_folder(music, monkeypatch):
    monkeypatch.chdir(music)
    found = find([""])
    assert found.problems == [
        "'': the name is empty, perhaps because a variable of the shell is not set; `.` names this folder"
    ]
    assert found.recordings == []
    assert len(find(["."]).recordings) == 3


@pytest.mark.parametrize(
    ("others", "beside"),
    [([], "it is empty"), (["a.jpg"], "only 1 other file"), (["a.jpg", "b"], "only 2 other files")],
)
def test_a_folder_without_recordings_is_told(tmp_path, others, beside):
    for name in others:
        (tmp_path / name).touch()
    assert find([str(tmp_path)]).problems == [f"{tmp_path}: holds no recordings, {beside}"]


def test_a_folder_that_cannot_be_read_is_told_and_the_others_are_gone_through(music, make_unreadable):
    make_unreadable("b")
    found = find([str(music)])
    assert found.problems == [f"{music / 'b'}: cannot be read: Permission denied"]
    assert relative(found, music) == ["a/1.mp3", "a/no suffix"]


def test_names_of_any_bytes_are_found(tmp_path):
    for name in (b"\xff.mp3", b"a\nb.mp3", b"'\" $(x).mp3"):
        (tmp_path / os.fsdecode(name)).touch()
    assert len(find([str(tmp_path)]).recordings) == 3
