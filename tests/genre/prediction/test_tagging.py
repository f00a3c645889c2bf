import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from genre.prediction import packets, tagging, tags

ROOT = Path(__file__).parents[3]
RESTORED = ("restored", "")


@pytest.fixture
def journal(tmp_path):
    journal = tagging.Journal(tmp_path / "journal.jsonl")
    yield journal
    journal.close()


@pytest.fixture
def song(tmp_path, sounds):
    path = tmp_path / "song.mp3"
    path.write_bytes(sounds["mp3"])
    return path


def test_a_change_is_in_the_journal_before_the_file_is_touched(song, journal, monkeypatch):
    def fail(path, genres):
        assert json.loads(journal.path.read_text()) == {"file": str(song), "old": [], "new": ["rock"]}
        raise OSError(28, "No space left on device")

    before = song.read_bytes()
    monkeypatch.setattr(tags, "write", fail)
    with pytest.raises(OSError, match="No space left"):
        tagging.change(song, ["rock"], journal)
    assert song.read_bytes() == before
    assert sorted(path.name for path in song.parent.iterdir()) == ["journal.jsonl", "song.mp3"]


def test_changes_are_undone_the_last_one_first(song, journal):
    for genre in ("rock", "jazz", "pop"):
        tagging.change(song, [genre], journal)
    assert tags.read(song) == ["pop"]
    assert [tagging.undo(change) for change in tagging.read_journal(journal.path)[::-1]] == [RESTORED] * 3
    assert tags.read(song) == []


def test_a_genre_that_was_changed_since_is_left_as_it_is(song, journal):
    tagging.change(song, ["rock"], journal)
    tags.write(song, ["by hand"])
    (change,) = tagging.read_journal(journal.path)
    assert tagging.undo(change) == ("left", "changed since, to by hand; left as it is")
    assert tags.read(song) == ["by hand"]


def test_undone_twice_is_undone_once(song, journal):
    tags.write(song, ["old"])
    tagging.change(song, ["rock"], journal)
    (change,) = tagging.read_journal(journal.path)
    assert [tagging.undo(change), tagging.undo(change)] == [RESTORED, ("unchanged", "")]
    assert tags.read(song) == ["old"]


def test_a_file_that_is_gone_is_told(song, journal):
    tagging.change(song, ["rock"], journal)
    song.unlink()
    (change,) = tagging.read_journal(journal.path)
    with pytest.raises(ValueError, match="no such file; it was moved, renamed or removed"):
        tagging.undo(change)


def test_sound_that_would_change_is_never_written(song, journal, monkeypatch):
    before, write = song.read_bytes(), tags.write

    def damage(path, genres):
        write(path, genres)
        path.write_bytes(path.read_bytes()[:-500])

    monkeypatch.setattr(tags, "write", damage)
    with pytest.raises(ValueError, match="tags or sound would have been damaged; left as it is"):
        tagging.change(song, ["rock"], journal)
    assert song.read_bytes() == before


def test_a_file_that_another_program_changes_meanwhile_is_left_to_it(song, journal, monkeypatch):
    write = tags.write

    def meanwhile(path, genres):
        write(path, genres)
        os.utime(song, (1, 1))

    monkeypatch.setattr(tags, "write", meanwhile)
    with pytest.raises(ValueError, match="was changed by another program meanwhile; left as it is"):
        tagging.change(song, ["rock"], journal)
    assert tags.read(song) == []


def test_mode_and_links_are_kept(song, journal, tmp_path):
    song.chmod(0o640)
    link = tmp_path / "link.mp3"
    link.symlink_to(song)
    tagging.change(link, ["rock"], journal)
    assert link.is_symlink()
    assert song.stat().st_mode & 0o777 == 0o640
    assert tags.read(song) == ["rock"]


def test_a_link_that_took_the_place_of_a_file_stays_and_the_file_is_restored(song, journal, tmp_path):
    tagging.change(song, ["rock"], journal)
    moved = tmp_path / "store" / "song.mp3"
    moved.parent.mkdir()
    song.rename(moved)
    song.symlink_to(moved)
    (change,) = tagging.read_journal(journal.path)
    assert tagging.undo(change) == RESTORED
    assert song.is_symlink()
    assert tags.read(moved) == []


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="this system has other extended attributes")
def test_extended_attributes_are_kept(song, journal):
    try:
        os.setxattr(song, "user.xdg.tags", b"mine")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    tagging.change(song, ["rock"], journal)
    assert os.getxattr(song, "user.xdg.tags") == b"mine"


@pytest.mark.parametrize(
    ("locked", "reason"),
    [("song.mp3", "is read-only; allow writing"), (".", "its folder is read-only; allow writing into it")],
)
def test_what_is_read_only_is_refused_and_not_in_the_journal(song, journal, monkeypatch, locked, reason):
    place, allowed = (song.parent / locked).resolve(), os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != place and allowed(path, mode))
    with pytest.raises(PermissionError, match=f"{reason}.*, then run again"):
        tagging.change(song, ["rock"], journal)
    assert journal.path.read_bytes() == b""


def test_names_of_any_length_and_bytes_can_be_tagged(tmp_path, sounds, journal):
    for name in (b"x" * 250 + b".ogg", b"\xff\n'\".ogg"):
        path = tmp_path / os.fsdecode(name)
        path.write_bytes(sounds["ogg"])
        tagging.change(path, ["rock"], journal)
        assert tags.read(path) == ["rock"]
    assert [tagging.undo(change) for change in tagging.read_journal(journal.path)] == [RESTORED] * 2
    assert tags.read(path) == []


def test_a_line_that_a_kill_cut_is_passed_over_and_the_journal_goes_on(song, tmp_path):
    path = tmp_path / "cut.jsonl"
    path.write_text('{"file": "/x", "old": [], "new": ["a"]}\n{"file": "/y", "ol')
    journal = tagging.Journal(path)
    tagging.change(song, ["rock"], journal)
    journal.close()
    assert [change.file for change in tagging.read_journal(path)] == ["/x", str(song)]


@pytest.mark.parametrize("content", [b"", b"file,genre\na,b\n", b"[1]\n5\n", b'{"file": "a", "old": 5, "new": []}\n'])
def test_what_is_no_journal_is_refused(tmp_path, content):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.csv must be a journal of `genre tag --write`, found no change in it"):
        tagging.read_journal(tmp_path / "a.csv")


def test_a_journal_that_is_missing_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"none\.jsonl is missing; `genre tag --write` names the journal"):
        tagging.read_journal(tmp_path / "none.jsonl")


@pytest.mark.parametrize("content", [b'{"file": "a", "old": [], "new": 5}', b"[" * 100_000, b'{"file": 1}'])
def test_lines_of_no_change_are_passed_over(tmp_path, content):
    path = tmp_path / "j.jsonl"
    path.write_bytes(content + b'\n{"file": "/x", "old": [], "new": ["a"]}\n')
    assert [change.file for change in tagging.read_journal(path)] == ["/x"]


def test_a_journal_is_never_written_into_another_file(tmp_path, song):
    before = song.read_bytes()
    for path in (song, tmp_path):
        with pytest.raises(ValueError, match="--journal must name a new file or a journal of `genre tag`, .* is none"):
            tagging.Journal(path)
    assert song.read_bytes() == before


def test_a_journal_without_a_change_is_not_left(tmp_path):
    tagging.Journal(tmp_path / "sub" / "j.jsonl").close()
    assert not (tmp_path / "sub" / "j.jsonl").exists()


PROGRAM = """
import sys
from pathlib import Path
from genre.prediction import tagging
journal = tagging.Journal(Path(sys.argv[1]))
for path in sorted(Path(sys.argv[2]).glob("[!.]*")):
    tagging.remove_leftover(path)
    tagging.change(path, [sys.argv[3]], journal)
    print(path.name, flush=True)
"""


@pytest.mark.slow
def test_killed_at_any_moment_while_tagging_200_files_every_file_is_whole_and_all_can_be_undone(tmp_path, sounds):
    folder, journal = tmp_path / "music", tmp_path / "journal.jsonl"
    folder.mkdir()
    suffixes = list(sounds)
    for number in range(200):
        suffix = suffixes[number % len(suffixes)]
        (folder / f"{number:03}.{suffix}").write_bytes(sounds[suffix])
    files = sorted(folder.iterdir())
    digests = {path: packets.digest(path) for path in files}
    chance, rounds = random.Random(0), 8
    for number in range(rounds + 1):
        words = [sys.executable, "-c", PROGRAM, str(journal), str(folder), f"genre {number}"]
        process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE)
        if number < rounds:
            for _ in range(chance.randrange(5, 150)):
                process.stdout.readline()
            with pytest.raises(subprocess.TimeoutExpired):  # somewhere in the middle of a file
                process.wait(chance.uniform(0, 0.005))
            process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == (-signal.SIGKILL if number < rounds else 0)
        for path in files:
            assert packets.digest(path) == digests[path]
            assert tags.read(path) in ([], *([f"genre {other}"] for other in range(number + 1)))
    assert sorted(folder.iterdir()) == files  # nothing is left over
    assert {tagging.undo(change)[0] for change in tagging.read_journal(journal)[::-1]} <= {"restored", "unchanged"}
    assert all(tags.read(path) == [] for path in files)
