"""One file from several mirrors; what a single address may answer is in test_http."""

import hashlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from genre.corpus.http import RetryPolicy
from genre.corpus.mirrors import Mirror, cache_folder, fetch
from tests.genre.corpus.faulty_server import answer, chunked, drip, ranged, serving, slow, whole

pytestmark = pytest.mark.usefixtures("no_proxy")
CONTENT = random.Random(1).randbytes(200_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HASTY = RetryPolicy(connect=1, read=0.3, tries=3, backoff=0.001, longest=1, lock=5)


def mirror(url, content=CONTENT, name="file.tar.gz"):
    return Mirror(url, hashlib.sha256(content).hexdigest(), name=name)


def fetched(folder, *mirrors):
    return fetch(mirrors, folder, policy=HASTY).read_bytes()


def left_in(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def part_of(folder, content):
    (folder / mirror("http://host/a").part).write_bytes(content)


def test_a_file_is_fetched_whole_and_nothing_else_is_left(server, tmp_path):
    path = fetch([mirror(server.follow(whole(CONTENT)))], tmp_path / "new" / "cache", policy=HASTY)
    assert path == tmp_path / "new" / "cache" / "file.tar.gz"
    assert path.read_bytes() == CONTENT
    assert left_in(path.parent) == ["file.tar.gz"]


def test_a_file_that_is_there_is_not_fetched_again(server, tmp_path):
    there = mirror(server.follow(whole(CONTENT)))
    assert fetched(tmp_path, there) == fetched(tmp_path, there)
    assert len(server.requests) == 1


def test_a_later_mirror_s_file_that_is_there_is_taken_before_the_network_is_asked(server, tmp_path):
    (tmp_path / "other.tar.gz").write_bytes(b"other")
    url = server.follow(whole(CONTENT))
    assert fetched(tmp_path, mirror(url), mirror(url, b"other", "other.tar.gz")) == b"other"
    assert not server.requests


def test_a_damaged_file_that_is_there_is_fetched_again(server, tmp_path):
    (tmp_path / "file.tar.gz").write_bytes(CONTENT[:-1] + b"?")
    assert fetched(tmp_path, mirror(server.follow(whole(CONTENT)))) == CONTENT


# ------------------------------------------------------------------------------------------------ checks


def test_a_wrong_checksum_is_refused_with_both_sums_and_nothing_is_left(server, tmp_path):
    other = b"?" + CONTENT[1:]
    with pytest.raises(ValueError, match=f"sha256 must be {SHA256}, got {hashlib.sha256(other).hexdigest()}"):
        fetched(tmp_path, mirror(server.follow(whole(other))))
    assert left_in(tmp_path) == []
    assert len(server.requests) == 1


def test_a_check_of_the_contents_stands_in_for_the_checksum(server, tmp_path):
    def check(path):
        if path.read_bytes() != CONTENT:
            raise ValueError("must hold all 10 tracks")

    assert fetched(tmp_path, Mirror(server.follow(chunked(CONTENT)), None, name="a", check=check)) == CONTENT
    with pytest.raises(ValueError, match="must hold all 10 tracks"):
        fetched(tmp_path, Mirror(server.follow(chunked(CONTENT[1:])), None, name="b", check=check))
    assert left_in(tmp_path) == ["a"]


def test_what_has_no_checksum_is_never_pieced_together(server, tmp_path):
    unsummed = Mirror(server.follow(chunked(CONTENT, stop=1000), ranged(CONTENT)), None, name="a")
    (tmp_path / unsummed.part).write_bytes(CONTENT[:10])
    assert fetched(tmp_path, unsummed) == CONTENT
    assert server.ranges == [None, None]


@pytest.mark.parametrize("length", [1, 1000, len(CONTENT), len(CONTENT) + 1])
def test_a_part_of_another_file_is_thrown_away(server, tmp_path, length):
    part_of(tmp_path, bytes(length))
    assert fetched(tmp_path, mirror(server.follow(ranged(CONTENT)))) == CONTENT
    assert server.ranges == [f"bytes={length}-", None]
    assert left_in(tmp_path) == ["file.tar.gz"]


def test_another_piece_than_asked_for_is_not_taken(server, tmp_path):
    part_of(tmp_path, CONTENT[:1000])
    odd = answer(206, content=CONTENT, Content_Range="bytes 0-199999/200000")
    assert fetched(tmp_path, mirror(server.follow(odd, ranged(CONTENT)))) == CONTENT
    assert server.ranges == ["bytes=1000-", None]


def test_a_file_that_has_changed_for_good_is_refused_and_nothing_is_left(server, tmp_path):
    part_of(tmp_path, CONTENT[:1000])
    grown = CONTENT + b"grown"
    with pytest.raises(ValueError, match=f"got {hashlib.sha256(grown).hexdigest()}"):
        fetched(tmp_path, mirror(server.follow(ranged(grown))))
    assert left_in(tmp_path) == []


def test_a_killed_download_is_resumed(server, tmp_path):
    there = mirror(server.follow(drip(CONTENT, stop=100_000), ranged(CONTENT)))
    code = (
        "import sys; from pathlib import Path; from genre.corpus.mirrors import *\n"
        f"fetch([Mirror({there.url!r}, {SHA256!r}, name='file.tar.gz')], Path(sys.argv[1]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, tmp_path], stderr=subprocess.PIPE)
    part = tmp_path / there.part
    deadline = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size >= 50_000) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert fetched(tmp_path, there) == CONTENT
    assert int(server.ranges[1].removeprefix("bytes=").removesuffix("-")) >= 50_000


# ------------------------------------------------------------------------------------------------ several mirrors


def test_another_mirror_goes_on_where_the_first_broke_off(server, tmp_path):
    with serving() as second:
        first = mirror(server.follow(ranged(CONTENT, stop=1000), answer(404)))
        assert fetched(tmp_path, first, mirror(second.follow(ranged(CONTENT)))) == CONTENT
        assert second.ranges == ["bytes=1000-"]


def test_the_second_mirror_serves_where_the_first_is_dead(server, tmp_path):
    with serving() as dead:
        url = dead.url
    assert fetched(tmp_path, mirror(url), mirror(server.follow(whole(CONTENT)))) == CONTENT


def test_each_mirror_has_its_own_checksum(server, tmp_path):
    url = server.follow(whole(b"other"))
    assert fetched(tmp_path, mirror(url, name="one.tar.gz"), mirror(url, b"other", "two.tar.gz")) == b"other"
    assert left_in(tmp_path) == ["two.tar.gz"]


def test_if_all_mirrors_fail_one_line_names_each_and_the_next_step(server, tmp_path):
    url = server.follow(answer(404))
    urls = [url, url.replace("http://", "http://me:secret@") + "?token=secret"]
    with pytest.raises(ValueError, match="cannot fetch") as error:
        fetched(tmp_path, *(mirror(url) for url in urls))
    assert str(error.value) == (
        f"cannot fetch file.tar.gz from any mirror: {url}: HTTP 404 Not Found; {url}: HTTP 404 Not Found; "
        "try again later, or fetch it by hand and run with -S data.source=local -S data.path=FILE"
    )


@pytest.mark.parametrize(
    ("url", "sha256", "text"),
    [
        ("ftp://host/a", SHA256, "must be an http:// or https:// address, got 'ftp://host/a'"),
        ("http:///a", SHA256, "must be an http:// or https:// address"),
        ("https://host/a", "abc", "a sha256 must be 64 hexadecimal digits in lower case, got 'abc'"),
        ("https://host/a", SHA256.upper(), "a sha256 must be 64 hexadecimal digits in lower case"),
    ],
)
def test_an_impossible_mirror_is_refused(url, sha256, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        Mirror(url, sha256, name="a")


# ------------------------------------------------------------------------------------------------ the folder


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's device that is always full")
def test_a_full_disk_is_told_with_the_folder(server, tmp_path):
    there = mirror(server.follow(whole(CONTENT)))
    (tmp_path / there.part).symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left on device") as error:
        fetched(tmp_path, there)
    assert error.value.filename == str(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may mount")
def test_a_disk_that_runs_full_is_told_and_the_download_goes_on_when_there_is_room(server, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", small], check=False).returncode:
        pytest.skip("this system does not let root mount")
    try:
        # Without its size, so that the room is not checked before.
        with pytest.raises(OSError, match="No space left on device"):
            fetched(small, mirror(server.follow(chunked(CONTENT))))
        done = next(small.glob("*.part")).stat().st_size
        assert done > 50_000
        subprocess.run(["mount", "-o", "remount,size=1m", small], check=True)
        assert fetched(small, mirror(server.follow(ranged(CONTENT)))) == CONTENT
        assert server.ranges == [f"bytes={done}-"]
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_file_in_place_of_the_folder_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    text = "cache must be a folder to write in, got: Not a directory; name another folder in GENRE_CACHE"
    with pytest.raises(ValueError, match=text):
        fetched(tmp_path / "file" / "cache", mirror("http://host/a"))


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs Unix permissions")
def test_a_folder_without_permission_is_told():
    was_root = os.geteuid() == 0
    # Not in tmp_path, whose parents are root's own.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o555)
        try:
            if was_root:
                os.seteuid(65534)  # nobody
            with pytest.raises(ValueError, match="must be a folder to write in, got: Permission denied"):
                fetched(Path(folder), mirror("http://host/a"))
        finally:
            if was_root:
                os.seteuid(0)


def test_two_downloads_at_once_fetch_once(server, tmp_path):
    there = mirror(server.follow(slow(CONTENT, seconds=0.2)))
    found = []
    threads = [threading.Thread(target=lambda: found.append(fetched(tmp_path, there))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CONTENT] * 4
    assert len(server.requests) == 1


def test_a_download_elsewhere_is_not_waited_for_endlessly(server, tmp_path):
    there = mirror(server.follow(slow(CONTENT, seconds=0.4)))
    thread = threading.Thread(target=fetch, args=([there], tmp_path))
    thread.start()
    while not server.requests:
        time.sleep(0.01)
    with pytest.raises(ValueError, match="is in use by another download; wait until it ends"):
        fetch([there], tmp_path, policy=RetryPolicy(lock=0.1))
    thread.join()


def test_the_cache_is_the_user_s_unless_the_environment_names_one(monkeypatch, tmp_path):
    monkeypatch.delenv("GENRE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder().name == "genre"
    monkeypatch.setenv("GENRE_CACHE", "~/elsewhere")
    assert cache_folder() == Path.home() / "elsewhere"
